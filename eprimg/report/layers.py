"""What the planes of a lesion show: which volume, through which transform, in which window."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Case
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series
from eprimg.model.transform import Transform
from eprimg.model.volume import EchoStack
from eprimg.report.frames import reach, reference_grid
from eprimg.report.numbers import nice_ceiling

__all__ = [
    "Layer",
    "anatomy_layer",
    "first_echo",
    "lesion_layers",
    "pet_layer",
    "signal_window",
]


_RATES: Final = {
    "r2star_pre": (Role.MR_PRE, "R2*\nbefore agent"),
    "r2star_post": (Role.MR_POST, "R2*\nafter agent"),
}
_GAMMA: Final = 0.5
"""R2* spans 30 to 300 1/s: on a linear scale everything before the agent would be black."""


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """One row of planes.

    Parameters
    ----------
    title : str
        Name of the row.
    unit : str
        Unit of the colour bar; empty for no colour bar.
    values : ndarray, shape (k, j, i)
        Numbers.
    grid : Grid
        Where they lie.
    transform : Transform
        From the reference frame to the grid's frame.
    low, high : float
        Ends of the window.
    colours : str
        Name of a colour map of matplotlib.
    valid : ndarray of bool, optional
        False for voxels without a value.
    base : Layer, optional
        Grey series below a translucent one.
    signed : bool
        True when values below the window are meaningful and deserve an arrow.
    gamma : float
        Exponent of the colour scale; 0.5 lets weak and strong values be read on one scale.
    """

    title: str
    unit: str
    values: npt.NDArray[Any]
    grid: Grid
    transform: Transform
    low: float
    high: float
    colours: str
    valid: npt.NDArray[np.bool_] | None = field(default=None)
    base: Layer | None = None
    signed: bool = False
    gamma: float = 1.0


def first_echo(series: Series) -> npt.NDArray[Any]:
    """Return three-dimensional values of a series to look at.

    Parameters
    ----------
    series : Series
        Any series.

    Returns
    -------
    ndarray, shape (k, j, i)
        First echo or first frame.
    """
    pixels = series.pixels
    values = pixels.volume.data if isinstance(pixels, EchoStack) else pixels.data
    return values[..., 0] if values.ndim == 4 else values


def signal_window(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Choose a grey window for a magnitude signal.

    Parameters
    ----------
    values : ndarray
        Signal.

    Returns
    -------
    low, high : float
        Zero (or the lowest value) and the 99.5th percentile of the body.
    """
    sample = np.asarray(values[::2, ::3, ::3], dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    top = float(np.percentile(sample, 99.0))
    body = sample[sample > 0.1 * top]
    high = float(np.percentile(body, 99.5)) if body.size else top
    return 0.0, high if high > 0 else 1.0


def anatomy_layer(case: Case, frame: str) -> Layer | None:
    """Return the grey series that shows the anatomy.

    Parameters
    ----------
    case : Case
        The case.
    frame : str
        The reference frame.

    Returns
    -------
    Layer or None
        First echo of the MR series without agent, else with agent, else CT.
    """
    for role in (Role.MR_PRE, Role.MR_POST):
        series = case.study.find(role)
        if series is None:
            continue
        transform = reach(case, series.key, series.grid, frame)
        if transform is None:
            continue
        values = first_echo(series)
        low, high = signal_window(values)
        title = "MR"
        if isinstance(series.pixels, EchoStack):
            title += f", echo {1000 * series.pixels.echo_times_s[0]:.3g} ms"
        title += "\nbefore agent" if role == Role.MR_PRE else "\nafter agent"
        return Layer(title, "", values, series.grid, transform, low, high, "gray")
    series = case.study.find(Role.CT)
    if series is not None:
        transform = reach(case, series.key, series.grid, frame)
        if transform is not None:
            return Layer(
                "CT", "", first_echo(series), series.grid, transform, -160.0, 240.0, "gray"
            )
    return None


def pet_layer(case: Case, config: Config, frame: str) -> Layer | None:
    """Return the PET uptake as inverted grey.

    Parameters
    ----------
    case : Case
        The case.
    config : Config
        Settings; ``report.suv_window_max`` fixes the window.
    frame : str
        The reference frame.

    Returns
    -------
    Layer or None
        SUVbw on its native grid, else %ID/kg; None without a PET map that can be reached.
    """
    pet = case.study.find(Role.PET)
    facts = pet.acquisition if pet is not None else None
    title = facts.modality if isinstance(facts, PETAcquisition) else "PET"
    for key in ("suvbw", "pid_per_kg"):
        found = _reachable(case, key, frame, Role.PET)
        if found is None:
            continue
        chosen, transform = found
        fixed = config.report.suv_window_max if key == "suvbw" else 0.0
        high = fixed or _uptake_window(case, chosen, key)
        unit = f"{chosen.quantity.name} [{chosen.quantity.unit.text}]"
        if key == "pid_per_kg":
            unit = chosen.quantity.unit.text
        return Layer(
            title, unit, chosen.values, chosen.grid, transform, 0.0, high, "gray_r", chosen.valid
        )
    return None


def lesion_layers(case: Case, config: Config) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """Choose the rows of planes, the same for every lesion so that colours stay comparable.

    Parameters
    ----------
    case : Case
        The case.
    config : Config
        Settings.

    Returns
    -------
    layers : tuple of Layer
        From anatomy to fusion.
    missing : tuple of str
        One sentence for each kind of row that cannot be shown.
    """
    grid = reference_grid(case)
    if grid is None:
        return (), ("There is no volume to show.",)
    frame = grid.frame_of_reference
    layers: list[Layer] = []
    missing: list[str] = []
    anatomy = anatomy_layer(case, frame)
    if anatomy is not None:
        layers.append(anatomy)
    rates = _rate_layers(case, frame, missing)
    layers += rates
    change = _change_layer(case, frame)
    if change is not None:
        layers.append(change)
    elif rates:
        missing.append(
            "ΔR2* is not shown: it needs both MR sessions and an accepted registration "
            "between them."
        )
    uptake = pet_layer(case, config, frame)
    if uptake is not None:
        layers.append(uptake)
        if anatomy is not None:
            name = "PET on " + anatomy.title.split(",")[0].split("\n")[0]
            layers.append(replace(uptake, title=f"Fusion\n{name}", colours="inferno", base=anatomy))
    elif case.study.find(Role.PET) is not None:
        missing.append(
            "PET is not shown on the lesions: there is no uptake map, or no accepted "
            "registration leads to it."
        )
    return tuple(layers), tuple(missing)


def _rate_layers(case: Case, frame: str, missing: list[str]) -> list[Layer]:
    """R2* before and after the agent, in one window so that equal colours are equal numbers."""
    found = {key: _reachable(case, key, frame, role) for key, (role, _) in _RATES.items()}
    tops = [_lesion_top(case, key) for key in _RATES if found[key]]
    high = nice_ceiling(max([60.0, *[1.15 * t for t in tops if np.isfinite(t)]]))
    layers = []
    for key, (role, title) in _RATES.items():
        chosen = found[key]
        if chosen is not None:
            values, transform = chosen
            layers.append(
                Layer(
                    title,
                    f"R2* [{values.quantity.unit.text}]",
                    values.values,
                    values.grid,
                    transform,
                    0.0,
                    high,
                    "magma",
                    values.valid,
                    gamma=_GAMMA,
                )
            )
        elif case.study.find(role) is not None:
            missing.append(
                f"{title.replace(chr(10), ' ')} is not shown: there is no map, or no accepted "
                "registration leads to it."
            )
    return layers


def _change_layer(case: Case, frame: str) -> Layer | None:
    change = case.registered.get("dr2star")
    if change is None or change.grid.frame_of_reference != frame:
        return None
    top = _lesion_top(case, "dr2star")
    return Layer(
        "ΔR2*\nafter − before",
        f"ΔR2* [{change.quantity.unit.text}]",
        change.values,
        change.grid,
        Transform.identity(frame),
        0.0,
        nice_ceiling(max(40.0, 1.15 * top if np.isfinite(top) else 0.0)),
        "viridis",
        change.valid,
        signed=True,
        gamma=_GAMMA,
    )


def _reachable(
    case: Case, key: str, frame: str, role: Role
) -> tuple[QuantityMap, Transform] | None:
    """Prefer the native map through its transform (one interpolation), else the registered one."""
    native, series = case.maps.get(key), case.study.find(role)
    if native is not None:
        source = native.sources[0] if native.sources else (series.key if series else "")
        transform = reach(case, source, native.grid, frame)
        if transform is not None:
            return native, transform
    registered = case.registered.get(key)
    if registered is not None and registered.grid.frame_of_reference == frame:
        return registered, Transform.identity(frame)
    return None


def _lesion_values(case: Case, key: str) -> npt.NDArray[np.float64]:
    """Voxel values of all lesions, on the reference grid or on the native one."""
    places = []
    if case.lesions is not None:
        places.append((case.registered.get(key), case.lesions))
        native = case.maps.get(key)
        if native is not None:
            for source in native.sources:
                if source in case.native_lesions:
                    places.append((native, case.native_lesions[source]))
            places.append((native, case.lesions))
    for values, regions in places:
        if values is None or values.grid.shape != regions.grid.shape:
            continue
        ids = [r.id for r in (case.lesions or regions).lesions]
        chosen = np.asarray(values.values[np.isin(regions.labels, ids)], dtype=np.float64)
        chosen = chosen[np.isfinite(chosen)]
        if chosen.size:
            return chosen
    return np.empty(0)


def _lesion_top(case: Case, key: str) -> float:
    values = _lesion_values(case, key)
    return float(np.percentile(values, 95)) if values.size else float("nan")


def _uptake_window(case: Case, chosen: QuantityMap, key: str) -> float:
    """Let the hottest lesion saturate a little, so that the weaker ones remain visible."""
    values = _lesion_values(case, key)
    if values.size:
        return nice_ceiling(0.6 * float(np.percentile(values, 99)))
    sample = chosen.values[::2, ::2, ::2]
    sample = sample[np.isfinite(sample)]
    return nice_ceiling(float(np.percentile(sample, 99.5)) if sample.size else 1.0)
