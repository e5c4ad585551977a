"""What a case looks like as layers: arrays on display grids, with names, units and metadata."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from eprimg.model.case import Case
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import Quantity, quantity
from eprimg.report.frames import reach, reference_grid
from eprimg.report.layers import first_echo
from napari_eprimg.lesions.tier_view import label_colours, scheme_by_key
from napari_eprimg.view.display import AXIS_LABELS, DisplayGrid, display_grid, show_on
from napari_eprimg.view.windows import auto_window

__all__ = [
    "LESIONS",
    "LayerSpec",
    "LayerTuple",
    "layer_specs",
    "layer_tuples",
    "region_features",
    "shown_labels",
    "smallest_type",
]

LayerTuple = tuple[npt.NDArray[Any], dict[str, Any], str]
"""Layer data, layer settings, layer type: what napari takes from a reader."""

LESIONS: Final = "lesions"
"""Key and role of the label layer."""

_NOTE: Final = (
    "For looking only: carried once to an axis-aligned grid, nearest voxel. "
    "Take numbers from the lesion table or from the maps on disk."
)
_NOT_ALIGNED: Final = " (not aligned)"
_OVER_TIME: Final = ("permeability_index", "patlak_ki", "uptake_auc", "uptake_retention")
_FURTHER: Final = re.compile(r"\w+_\d+")
"""Maps of further time points, e.g. ``suvbw_2``."""

_MAPS: Final = ("r2star_pre", "r2star_post", "dr2star", "pid_per_kg", "suvbw")
_COLOURS: Final = {
    "r2star": "magma",
    "dr2star": "viridis",
    "pid_per_kg": "inferno",
    "suvbw": "inferno",
    "activity": "inferno",
}
_PET_KEYS: Final = ("suvbw", "pid_per_kg", "activity")
_BELOW_KEYS: Final = ("signal", "hounsfield")
_PET_OPACITY: Final = 0.6


@dataclass(frozen=True, eq=False)
class LayerSpec:
    """One layer, before napari knows of it.

    Parameters
    ----------
    key : str
        Key of the map or series, or ``lesions``; layers are found by it, never by name.
    kind : str
        ``image`` or ``labels``.
    grid : DisplayGrid
        Where the layer lies.
    settings : dict
        Settings for napari: name, scale, translate, units, metadata and so on.
    source : ndarray, shape (k, j, i)
        What is shown; the same object means that nothing has changed.
    make : callable
        Returns the array on the display grid.
    """

    key: str
    kind: str
    grid: DisplayGrid
    settings: dict[str, Any]
    source: npt.NDArray[Any] = field(repr=False)
    make: Callable[[], npt.NDArray[Any]] = field(repr=False)

    def as_tuple(self) -> LayerTuple:
        """Return the layer as napari takes it from a reader.

        Returns
        -------
        tuple
            Array, settings, layer type.
        """
        return self.make(), dict(self.settings), self.kind


def layer_tuples(case: Case) -> list[LayerTuple]:
    """Return a case as layer tuples.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    list of tuple
        From bottom to top.
    """
    return [spec.as_tuple() for spec in layer_specs(case)]


def layer_specs(
    case: Case, colours: Mapping[int | None, Any] | None = None
) -> tuple[LayerSpec, ...]:
    """Say which layers show a case.

    Parameters
    ----------
    case : Case
        The case; one with a study only gives its series.
    colours : Mapping, optional
        Colour of each region id, and of None for any other label; by default that of its tier in
        the first scheme.

    Returns
    -------
    tuple of LayerSpec
        From bottom to top: series, R2* maps, change of R2*, PET, regions.  Everything that is
        aligned with the reference series lies on the reference grid in its frame; the rest lies on
        its own grid, says so in its name, and waits hidden.
    """
    reference = reference_grid(case)
    if reference is None:
        return ()
    target = display_grid(reference)
    specs = [*_series_layers(case, reference, target), *_map_layers(case, reference, target)]
    shown = _shown_first(specs)
    for spec in specs:
        spec.settings["visible"] = spec.key in shown
    if case.lesions is not None:
        specs.append(_regions_layer(case, case.lesions, colours))
    return tuple(specs)


def _shown_first(specs: list[LayerSpec]) -> set[str]:
    """One series below and one PET map above it."""
    aligned = [s for s in specs if s.settings["metadata"]["eprimg"]["aligned"]]
    base = next((s.key for s in aligned if _quantity_of(s) in _BELOW_KEYS), None)
    upper = next((s.key for s in reversed(aligned) if _quantity_of(s) in _PET_KEYS), None)
    chosen = {key for key in (base, upper) if key is not None}
    return chosen or {s.key for s in aligned[:1]}


def _quantity_of(spec: LayerSpec) -> str:
    return str(spec.settings["metadata"]["eprimg"]["quantity"])


def shown_labels(lesions: LesionSet, target: DisplayGrid) -> npt.NDArray[Any]:
    """Carry labels to a display grid, in the smallest unsigned type that holds the ids.

    Parameters
    ----------
    lesions : LesionSet
        Regions on the reference grid.
    target : DisplayGrid
        The display grid of the reference grid, or a part of it.

    Returns
    -------
    ndarray of uint8, uint16 or uint32, shape (S, P, L)
        A copy that may be painted on.  napari makes a colour for every value that the type can
        hold, so 8 bits are drawn at once and 16 bits are not.
    """
    largest = max((r.id for r in lesions.regions), default=0)
    return np.array(
        show_on(lesions.labels, lesions.grid, target, outside=0), smallest_type(largest)
    )


def smallest_type(largest: int) -> np.dtype[Any]:
    """Choose the type of a label layer.

    Parameters
    ----------
    largest : int
        Highest label value.

    Returns
    -------
    dtype
        The smallest unsigned integer that holds it.
    """
    kinds = (np.uint8, np.uint16, np.uint32)
    return np.dtype(next(kind for kind in kinds if largest <= np.iinfo(kind).max))


def _series_layers(case: Case, reference: Grid, target: DisplayGrid) -> Iterator[LayerSpec]:
    for series in case.study.series:
        if series.role not in (Role.MR_PRE, Role.MR_POST, Role.PET, Role.CT):
            continue
        made = any(series.key in m.sources for m in case.maps.values())
        if series.role == Role.PET and made:
            continue  # its SUV says the same with a meaning
        kind, words = _meaning(series)
        transform = reach(case, series.key, series.grid, reference.frame_of_reference)
        values = first_echo(series)
        place = _place(series.grid, transform, target)
        settings = _settings(
            f"{words} {_timepoint(case.study, series.key)}",
            "series",
            series.key,
            kind,
            place,
            series.grid,
            case,
            _timepoint(case.study, series.key),
            aligned=transform is not None,
        )
        settings["metadata"]["eprimg"]["series_uid"] = series.source_uid
        settings |= {
            "colormap": _COLOURS.get(kind.key, "gray"),
            "contrast_limits": _window(settings, auto_window(values, kind.key)),
        }
        yield LayerSpec(
            series.key,
            "image",
            place,
            settings,
            values,
            _shower(values, series.grid, place, transform),
        )


def _meaning(series: Series) -> tuple[Quantity, str]:
    """Quantity of a series and its name, with the unit where it has one."""
    if series.role == Role.PET and isinstance(series.pixels, Volume):
        kind = series.pixels.quantity  # activity, or SUVbw where the scanner has normalised
        return kind, f"PET {kind.name} [{kind.unit.text}]"
    if series.role == Role.CT:
        kind = quantity("hounsfield")
        return kind, f"{kind.name} [{kind.unit.text}]"
    echo = ""
    if isinstance(series.pixels, EchoStack):
        echo = f" echo {1000 * series.pixels.echo_times_s[0]:.3g} ms"
    kind = quantity("signal")
    return kind, f"{kind.name}{echo} [{kind.unit.text}]"


def _map_keys(case: Case) -> tuple[str, ...]:
    """Order the maps from bottom to top: further time points lie below the primary one."""
    known = {**case.maps, **case.registered}
    further = [k for k in known if _FURTHER.fullmatch(k) and k.rsplit("_", 1)[0] in _MAPS]
    return (*(k for k in _OVER_TIME if k in known), *sorted(further), *_MAPS)


def _map_layers(case: Case, reference: Grid, target: DisplayGrid) -> Iterator[LayerSpec]:
    for key in _map_keys(case):
        values = case.registered.get(key)
        aligned = values is not None
        if values is None:
            values = case.maps.get(key)
        if values is None:
            continue
        place = target if aligned else display_grid(values.grid)
        label = _map_timepoint(case.study, values)
        name = f"{values.quantity.name} [{values.quantity.unit.text}] {label}"
        settings = _settings(
            name, "map", key, values.quantity, place, values.grid, case, label, aligned=aligned
        )
        settings["metadata"]["eprimg"] |= {"method": values.method, "sources": list(values.sources)}
        inside = _inside_lesions(case, values.grid)
        window = _window(settings, auto_window(values.values, values.quantity.key, inside))
        settings |= {
            "colormap": _COLOURS.get(values.quantity.key, "magma"),
            "contrast_limits": window,
            "opacity": _PET_OPACITY if values.quantity.key in _PET_KEYS else 1.0,
        }
        yield LayerSpec(
            key, "image", place, settings, values.values, _shower(values.values, values.grid, place)
        )


def _window(settings: dict[str, Any], window: tuple[float, float]) -> tuple[float, float]:
    """Keep the automatic window with the layer, so that a reader can return to it."""
    settings["metadata"]["eprimg"]["auto_window"] = window
    return window


def _shower(
    values: npt.NDArray[Any], grid: Grid, place: DisplayGrid, transform: Transform | None = None
) -> Callable[[], npt.NDArray[Any]]:
    """Put off the carrying until the layer is made."""

    def make() -> npt.NDArray[Any]:
        numbers = values if values.dtype == np.float32 else values.astype(np.float32)
        return show_on(numbers, grid, place, outside=np.nan, transform=transform)

    return make


def _place(grid: Grid, transform: Transform | None, target: DisplayGrid) -> DisplayGrid:
    return display_grid(grid) if transform is None else target


def _inside_lesions(case: Case, grid: Grid) -> npt.NDArray[np.bool_] | None:
    lesions = case.lesions
    if lesions is None or not lesions.lesions or lesions.grid.shape != grid.shape:
        return None
    inside = np.isin(lesions.labels, [r.id for r in lesions.lesions])
    return inside if inside.any() else None


def _timepoint(study: Study, key: str) -> str:
    return next((t.label for t in study.timepoints for s in t.series if s.key == key), "")


def _map_timepoint(study: Study, values: QuantityMap) -> str:
    labels = list(dict.fromkeys(_timepoint(study, key) for key in values.sources))
    return " − ".join(label for label in labels if label)


def _grid_id(grid: Grid) -> str:
    text = f"{grid.shape} {np.round(grid.affine, 4).tolist()} {grid.frame_of_reference}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _settings(
    name: str,
    role: str,
    key: str,
    kind: Quantity | None,
    place: DisplayGrid,
    grid: Grid,
    case: Case,
    timepoint: str,
    *,
    aligned: bool,
) -> dict[str, Any]:
    """Return the settings that every layer has."""
    return {
        "name": name.strip() + ("" if aligned else _NOT_ALIGNED),
        "scale": place.spacing_mm,
        "translate": place.origin_mm,
        "units": ("mm", "mm", "mm"),
        "axis_labels": AXIS_LABELS,
        "blending": "translucent_no_depth",
        "metadata": {
            "eprimg": {
                "schema": 1,
                "role": role,
                "key": key,
                "quantity": "" if kind is None else kind.key,
                "unit": "" if kind is None else kind.unit.text,
                "timepoint": timepoint,
                "aligned": aligned,
                "grid_id": _grid_id(grid),
                "source_affine": grid.affine.tolist(),
                "source_shape": list(grid.shape),
                "frame_of_reference_uid": grid.frame_of_reference,
                "config_hash": case.provenance.config_hash,
                "display_only": True,
                "note": _NOTE,
            }
        },
    }


def _regions_layer(
    case: Case, lesions: LesionSet, colours: Mapping[int | None, Any] | None
) -> LayerSpec:
    place = display_grid(lesions.grid)
    settings = _settings(
        "Lesions and reference regions", LESIONS, LESIONS, None, place, lesions.grid, case, "",
        aligned=True,
    )  # fmt: skip
    settings |= {"opacity": 0.9, "features": region_features(lesions)}
    if colours is None:
        colours = label_colours(case, scheme_by_key(case))
    settings["colormap"] = dict(colours)
    return LayerSpec(
        LESIONS, "labels", place, settings, lesions.labels, lambda: shown_labels(lesions, place)
    )


def region_features(lesions: LesionSet) -> dict[str, list[Any]]:
    """Tell napari's own status bar and table what a label means.

    Parameters
    ----------
    lesions : LesionSet
        Regions.

    Returns
    -------
    dict
        Columns joined by ``index`` = label value, the background first.
    """
    regions = lesions.regions
    return {
        "index": [0, *(r.id for r in regions)],
        "name": ["no region", *(r.name for r in regions)],
        "role": ["", *(str(r.role) for r in regions)],
        "anatomy": ["", *(r.anatomy for r in regions)],
        "source": ["", *(str(r.source) for r in regions)],
        "tier": ["", *("; ".join(f"{t.scheme}: {t.label}" for t in r.tiers) for r in regions)],
    }
