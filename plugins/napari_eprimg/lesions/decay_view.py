"""Echo decay at a point and of a lesion: what was measured and what was fitted.

The fit at a point is read from the maps of the case; it is not made again.  The fit of a lesion's
mean signal is made as the map was: same echoes, estimator, noise mode and noise level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from eprimg.kernels.r2star import R2STAR_REASON_TEXT, R2StarReason
from eprimg.model.case import Case
from eprimg.model.maps import QuantityMap, echoes_of_map
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack
from eprimg.report.numbers import format_value
from eprimg.stages.carry import transform_to
from eprimg.stages.noise_floor import measurable_limit_per_s
from eprimg.stages.quantify_mr import fit_like_map

__all__ = ["PHASES", "Decay", "PhaseLook", "mean_decays", "point_decays"]


@dataclass(frozen=True, slots=True)
class PhaseLook:
    """How the decay before or after the agent is drawn.

    Parameters
    ----------
    phase : str
        End of the map keys: ``pre`` or ``post``.
    words : str
        For the reader.
    colour, marker : str
        Colour, and a marker that tells the two apart without colour.
    """

    phase: str
    words: str
    colour: str
    marker: str


# Okabe and Ito, Color Universal Design (2008): light enough for a dark window.
PHASES: Final[Mapping[Role, PhaseLook]] = {
    Role.MR_PRE: PhaseLook("pre", "before agent", "#56B4E9", "o"),
    Role.MR_POST: PhaseLook("post", "after agent", "#E69F00", "s"),
}
"""In the order in which they are drawn."""


@dataclass(frozen=True, eq=False, slots=True)
class Decay:
    """Signal over echo time, before or after the agent.

    Parameters
    ----------
    role : Role
        Before or after the agent.
    where : str
        ``voxel (k, j, i)`` or the name of the lesion, in words.
    echo_times_s : ndarray, shape (n_echoes,)
        Echo times.
    signal : ndarray, shape (n_echoes,)
        Measured signal, or mean over the lesion, arbitrary unit.
    r2star_per_s, standard_error_per_s, s0 : float
        The fit; NaN where there is none.
    rmse : float
        Root mean square residual of the fit, in the unit of the signal; NaN without a fit.
    reason : str
        Why there is no fit; empty when there is one.
    limit_per_s : float
        R2* above which late echoes are noise; NaN when not known.
    n_voxels : int
        Number of voxels.
    used : tuple of int
        Positions of the echoes in the fit; without a fit, of those that it was given.
    few_echoes : bool
        Too few of them lie above the noise.
    """

    role: Role
    where: str
    echo_times_s: npt.NDArray[np.float64]
    signal: npt.NDArray[np.float64]
    r2star_per_s: float
    standard_error_per_s: float
    s0: float
    rmse: float
    reason: str
    limit_per_s: float
    n_voxels: int
    used: tuple[int, ...]
    few_echoes: bool = False

    @property
    def above_range(self) -> bool:
        """True when R2* is above what the echo train can measure."""
        return self.few_echoes or self.r2star_per_s > self.limit_per_s

    def curve(self, echo_times_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Signal of the fit.

        Parameters
        ----------
        echo_times_s : array_like
            Times in seconds.

        Returns
        -------
        ndarray
            NaN without a fit.
        """
        times = np.asarray(echo_times_s, dtype=np.float64)
        return np.asarray(self.s0 * np.exp(-self.r2star_per_s * times))

    @property
    def words(self) -> str:
        """The fit in one sentence, with units; or why there is none."""
        look = PHASES[self.role]
        if self.reason:
            return f"{look.words}: no R2*, {self.reason}"
        said = (
            f"{look.words}: R2* {format_value(self.r2star_per_s, self.standard_error_per_s)} 1/s, "
            f"S0 {format_value(self.s0)}, RMSE {format_value(self.rmse)}"
        )
        if len(self.used) < len(self.signal):
            said += f", {len(self.used)} of {len(self.signal)} echoes"
        if self.r2star_per_s > self.limit_per_s:
            said += f"; above the measurable {self.limit_per_s:.0f} 1/s: late echoes are noise"
        elif self.few_echoes:
            said += "; above the measurable range: too few echoes lie above the noise"
        return said


def _stacks(case: Case) -> list[tuple[Role, Series, EchoStack]]:
    found = []
    for role in PHASES:
        series = case.study.find(role)
        if series is not None and isinstance(series.pixels, EchoStack):
            found.append((role, series, series.pixels))
    return found


def _limit(r2star: QuantityMap | None) -> float:
    product = r2star.facts.get("noise_floor_product") if r2star is not None else None
    if r2star is None or product is None or "echo_times_s" not in r2star.facts:
        return math.nan
    return measurable_limit_per_s(r2star, float(product))


def _rmse(
    signal: npt.NDArray[np.float64], times: npt.NDArray[np.float64], r2star: float, s0: float
) -> float:
    return float(np.sqrt(np.mean((signal - s0 * np.exp(-r2star * times)) ** 2)))


def _used(r2star: QuantityMap | None, times_s: Sequence[float], n: int | None) -> tuple[int, ...]:
    """Positions of the echoes of a fit that kept the first n of those that it was given."""
    given = echoes_of_map(r2star, times_s)
    return tuple(given[:n] if n else given)


def point_decays(case: Case | None, point_mm: Sequence[float] | None) -> tuple[Decay, ...]:
    """Collect the decay in the voxels at a point.

    Parameters
    ----------
    case : Case or None
        The case.
    point_mm : sequence of float or None
        S, P, L in mm, in the frame of the reference series.

    Returns
    -------
    tuple of Decay
        Before and after the agent, each in the nearest voxel of its own grid; without a series
        that is not aligned or does not reach the point.  R2*, standard error and S0 are the values
        of the maps in that voxel.
    """
    if case is None or point_mm is None:
        return ()
    s, p, ell = point_mm
    decays = []
    for role, series, stack in _stacks(case):
        transform = transform_to(case.study, case.registrations, series)
        if transform is None:
            continue
        index = np.rint(series.grid.lps_mm_to_index(transform.apply((ell, p, s)))).astype(int)
        if (index < 0).any() or (index >= series.grid.shape).any():
            continue
        k, j, i = (int(n) for n in index)
        times = np.array(stack.echo_times_s)
        signal = np.asarray(stack.volume.data[k, j, i], dtype=np.float64)
        phase = PHASES[role].phase
        r2star = case.maps.get(f"r2star_{phase}")
        rate = _at(r2star, series, (k, j, i))
        s0 = _at(case.maps.get(f"s0_{phase}"), series, (k, j, i))
        fitted = math.isfinite(rate)
        n_used = _detail(r2star, "n_echoes", (k, j, i))
        used = _used(r2star, stack.echo_times_s, None if n_used is None else int(n_used))
        rmse = _detail(r2star, "rmse", (k, j, i))
        if rmse is None or not math.isfinite(rmse):  # two echoes leave none
            rmse = _rmse(signal[list(used)], times[list(used)], rate, s0)
        decays.append(
            Decay(
                role,
                f"voxel ({k}, {j}, {i})",
                times,
                signal,
                rate,
                _error_at(r2star, (k, j, i)) if fitted else math.nan,
                s0,
                rmse if fitted else math.nan,
                "" if fitted else _reason_at(r2star, (k, j, i)),
                _limit(r2star),
                1,
                used,
                fitted and _has_few(r2star, (k, j, i)),
            )
        )
    return tuple(decays)


def _at(values: QuantityMap | None, series: Series, index: tuple[int, int, int]) -> float:
    if values is None or not values.grid.matches(series.grid) or not values.valid[index]:
        return math.nan
    return float(values.values[index])


def _detail(values: QuantityMap | None, name: str, index: tuple[int, int, int]) -> float | None:
    found = None if values is None else values.details.get(name)
    return None if found is None else float(found[index])


def _has_few(r2star: QuantityMap | None, index: tuple[int, int, int]) -> bool:
    """Tell whether fewer echoes lie above the noise than the settings of the map ask for."""
    above = _detail(r2star, "echoes_above_noise", index)
    if r2star is None or above is None:
        return False
    least = int(r2star.facts.get("least_echoes_above_noise", 0))
    return above < min(least, len(r2star.facts["echo_times_s"]))


def _error_at(values: QuantityMap | None, index: tuple[int, int, int]) -> float:
    if values is None or values.standard_error is None:
        return math.nan
    return float(values.standard_error[index])


def _reason_at(values: QuantityMap | None, index: tuple[int, int, int]) -> str:
    if values is None:
        return "the maps were not made yet"
    if values.reason is None:
        return "the voxel has no value"
    return values.reason_words.get(int(values.reason[index]), "the voxel has no value")


def mean_decays(case: Case | None, region_id: int) -> tuple[Decay, ...]:
    """Fit the mean signal of a region on each native MR grid.

    Parameters
    ----------
    case : Case or None
        The case.
    region_id : int
        Label value; 0 for none.

    Returns
    -------
    tuple of Decay
        Before and after the agent, as far as the region reaches those grids.  The mean of signals
        is not the median of the voxels' R2* that the table reports.
    """
    if case is None or case.lesions is None or region_id == 0:
        return ()
    name = next((r.name for r in case.lesions.regions if r.id == region_id), f"{region_id}")
    decays = []
    for role, series, stack in _stacks(case):
        labels = _labels_on(case, series)
        chosen = None if labels is None else labels == region_id
        if chosen is None or not chosen.any():
            continue
        signal = np.asarray(stack.volume.data[chosen], dtype=np.float64).mean(axis=0)
        r2star = case.maps.get(f"r2star_{PHASES[role].phase}")
        decays.append(_fitted(role, name, stack, signal, r2star, int(chosen.sum())))
    return tuple(decays)


def _fitted(
    role: Role,
    name: str,
    stack: EchoStack,
    signal: npt.NDArray[np.float64],
    r2star: QuantityMap | None,
    n_voxels: int,
) -> Decay:
    times = np.array(stack.echo_times_s)
    fit = fit_like_map(signal, r2star, stack.echo_times_s)
    reason = R2StarReason(int(fit.reason))
    rate, s0, rmse = float(fit.r2star_per_s), float(fit.s0), float(fit.rmse)
    used = _used(r2star, stack.echo_times_s, int(fit.n_echoes))
    if not math.isfinite(rmse):  # two echoes leave none
        rmse = _rmse(signal[list(used)], times[list(used)], rate, s0)
    return Decay(
        role,
        name,
        times,
        signal,
        rate,
        float(fit.r2star_se_per_s),
        s0,
        rmse,
        "" if reason == R2StarReason.OK else R2STAR_REASON_TEXT[reason],
        _limit(r2star),
        n_voxels,
        used,
    )


def _labels_on(case: Case, series: Series) -> npt.NDArray[Any] | None:
    native = case.native_lesions.get(series.key)
    if native is not None and native.grid.matches(series.grid):
        return np.asarray(native.labels)
    if case.lesions is not None and case.lesions.grid.matches(series.grid):
        return np.asarray(case.lesions.labels)
    return None
