"""What the maps say at one point: every quantity from its own grid, and the region there."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.model.case import Case
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.lesions import Region
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.model.volume import Volume
from eprimg.quantities import Quantity, quantity
from eprimg.report.frames import reach, reference_grid
from eprimg.report.layers import first_echo
from eprimg.report.numbers import format_value

__all__ = ["OUTSIDE", "PointReader", "ReadOut", "ValueAt"]

OUTSIDE = "outside"
"""Shown for a point that the grid of a map does not reach."""

_OVER_TIME = ("uptake_retention", "uptake_auc", "patlak_ki", "permeability_index")
_ORDER = ("suvbw", "pid_per_kg", "dr2star", "r2star_post", "r2star_pre", *_OVER_TIME)
_FAR = 0.1
"""From this part on, the carried value is told beside the voxel's own."""

_PHASE = {"pre": "before agent", "post": "after agent"}


@dataclass(frozen=True, slots=True)
class ValueAt:
    """One quantity at a point.

    Parameters
    ----------
    key : str
        Key of the map or series.
    name : str
        Quantity in words, with the phase of the agent.
    unit : str
        Unit for the reader.
    value : float
        As in the map's voxel; NaN without a value.
    words : str
        Why there is no value; empty when there is one.
    index : tuple of int or None
        Voxel (k, j, i) of the map's own grid; None outside it.
    aligned : float
        Value at the same point after the map was carried to the reference grid, from which changes
        are computed; NaN when there is none.  At an edge it can be far from the voxel's own.
    """

    key: str
    name: str
    unit: str
    value: float
    words: str = ""
    index: tuple[int, int, int] | None = None
    aligned: float = math.nan

    @property
    def text(self) -> str:
        """Value with unit, or the words."""
        if self.words:
            return self.words
        unit = "" if self.unit in ("arbitrary", "ratio") else f" {self.unit}"
        said = f"{format_value(self.value)}{unit}"
        far = abs(self.aligned - self.value) > _FAR * max(abs(self.value), abs(self.aligned))
        return f"{said} (aligned {format_value(self.aligned)})" if far else said


@dataclass(frozen=True, slots=True)
class ReadOut:
    """Everything that is known at a point.

    Parameters
    ----------
    point_mm : tuple of float
        S, P, L in the reference frame.
    values : tuple of ValueAt
        PET first, then MR.
    region : Region or None
        The region there.
    """

    point_mm: tuple[float, float, float]
    values: tuple[ValueAt, ...]
    region: Region | None = None

    @property
    def place(self) -> str:
        """The point in words: distances to the right or left, and so on."""
        names = (("S", "I"), ("P", "A"), ("L", "R"))
        parts = [
            f"{pair[0] if mm >= 0 else pair[1]} {abs(mm):.1f}"
            for mm, pair in zip(self.point_mm, names, strict=True)
        ]
        return "  ".join(reversed(parts)) + " mm"

    @property
    def region_text(self) -> str:
        """Number, name and tiers of the region."""
        if self.region is None:
            return "no region"
        tiers = "; ".join(dict.fromkeys(t.label for t in self.region.tiers))
        return f"{self.region.id} {self.region.name}" + (f", {tiers}" if tiers else "")

    def line(self) -> str:
        """Put everything into one line for the status bar.

        Returns
        -------
        str
            Place, the quantities that have a value here, region and tier.
        """
        shown = [f"{v.name} {v.text}" for v in self.values if not v.words]
        return "   ".join([self.place, *shown, self.region_text])


@dataclass(frozen=True, eq=False, slots=True)
class _Source:
    """Where one quantity is read, and the way from the point (S, P, L, 1) to its voxel."""

    key: str
    name: str
    quantity: Quantity
    values: npt.NDArray[Any]
    to_index: npt.NDArray[np.float64] | None
    bend: Displacement | None
    map: QuantityMap | None
    carried: QuantityMap | None = None


class PointReader:
    """Read a case at points.

    Parameters
    ----------
    case : Case
        The case.

    Notes
    -----
    Values come from the voxel (on the map's own grid) whose centre is nearest; nothing is
    interpolated and nothing comes from a displayed copy.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._grid = reference_grid(case)
        self._sources = tuple(self._find_sources())
        lesions = case.lesions
        self._regions = {r.id: r for r in lesions.regions} if lesions is not None else {}
        self._labels = None if lesions is None else _to_index(lesions.grid, None)

    def at(self, point_mm: Sequence[float]) -> ReadOut:
        """Read every quantity and the region at a point.

        Parameters
        ----------
        point_mm : sequence of float
            S, P, L in mm, in the reference frame.

        Returns
        -------
        ReadOut
            Values with units.
        """
        s, p, ell = (float(mm) for mm in point_mm)
        point = np.array([s, p, ell, 1.0])
        values = tuple(_read(source, point) for source in self._sources)
        return ReadOut((s, p, ell), values, self._region(point))

    def _region(self, point: npt.NDArray[np.float64]) -> Region | None:
        if self._labels is None or self._case.lesions is None:
            return None
        labels = self._case.lesions.labels
        index = _voxel(self._labels, point, labels.shape)
        return None if index is None else self._regions.get(int(labels[index]))

    def _find_sources(self) -> list[_Source]:
        case = self._case
        found = [
            self._of_map(key, values)
            for key, values in {**case.registered, **case.maps}.items()
            if _plain(key) in _ORDER
        ]
        found.sort(key=lambda source: (_ORDER.index(_plain(source.key)), source.key))
        for series in case.study.series:
            made = any(series.key in m.sources for m in case.maps.values())
            if series.role in ("mr_pre", "mr_post", "pet") and not (series.role == "pet" and made):
                found.append(self._of_series(series))
        return found

    def _of_map(self, key: str, values: QuantityMap) -> _Source:
        plain = _plain(key)
        phase = _PHASE.get(plain.rpartition("_")[2], "")
        name = f"{values.quantity.name} {phase}".strip()
        if plain != key and values.sources:
            name += f" ({values.sources[0]})"
        # A change has two sources and lives on the reference grid only.
        source = values.sources[0] if len(values.sources) == 1 else ""
        way, bend = self._way(source, values.grid)
        # Only where a change is shown beside its parts: there a reader subtracts.
        carried = self._case.registered.get(key) if "dr2star" in self._case.registered else None
        if carried is values or not key.startswith("r2star"):
            carried = None
        return _Source(key, name, values.quantity, values.values, way, bend, values, carried)

    def _of_series(self, series: Series) -> _Source:
        # a scanner's own SUV is no activity: the volume knows which of the two it holds
        kind = quantity("signal")
        if series.role == "pet" and isinstance(series.pixels, Volume):
            kind = series.pixels.quantity
        plain = _plain(series.key)
        name = f"{kind.name} {_PHASE.get(plain.rpartition('_')[2], '')}".strip()
        name += f" ({series.key})" if plain != series.key else ""
        way, bend = self._way(series.key, series.grid)
        return _Source(series.key, name, kind, first_echo(series), way, bend, None)

    def _way(
        self, source: str, grid: Grid
    ) -> tuple[npt.NDArray[np.float64] | None, Displacement | None]:
        if self._grid is None:
            return None, None
        transform = reach(self._case, source, grid, self._grid.frame_of_reference)
        if transform is None:
            return None, None
        return _to_index(grid, transform.matrix), transform.displacement


def _plain(key: str) -> str:
    """Name of a map or series without the number of a further time point."""
    return re.sub(r"_\d+$", "", key)


def _to_index(grid: Grid, matrix: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    """Affine from (S, P, L, 1) of the reference frame to (k, j, i, 1) of a grid."""
    inverse = np.linalg.inv(grid.affine)
    if matrix is not None:
        inverse = inverse @ matrix
    return np.asarray(inverse[:, [2, 1, 0, 3]])


def _voxel(
    to_index: npt.NDArray[np.float64], point: npt.NDArray[np.float64], shape: Sequence[int]
) -> tuple[int, int, int] | None:
    k, j, i = np.rint((to_index @ point)[:3]).astype(int)
    inside = all(0 <= n < size for n, size in zip((k, j, i), shape, strict=True))
    return (int(k), int(j), int(i)) if inside else None


def _read(source: _Source, point: npt.NDArray[np.float64]) -> ValueAt:
    unit = source.quantity.unit.text

    def nothing(words: str, index: tuple[int, int, int] | None = None) -> ValueAt:
        return ValueAt(source.key, source.name, unit, math.nan, words, index)

    if source.to_index is None:
        return nothing("not aligned")
    there = point
    if source.bend is not None:
        there = np.append(point[:3] + source.bend.at(point[2::-1])[::-1], 1.0)
    index = _voxel(source.to_index, there, source.values.shape)
    if index is None:
        return nothing(OUTSIDE)
    value = float(source.values[index])
    if not math.isfinite(value) or (source.map is not None and not source.map.valid[index]):
        return nothing(f"no value ({_reason(source.map, index)})", index)
    return ValueAt(source.key, source.name, unit, value, "", index, _carried(source, point))


def _carried(source: _Source, point: npt.NDArray[np.float64]) -> float:
    """Value of the map that was carried to the reference grid; NaN when there is none."""
    if source.carried is None:
        return math.nan
    index = _voxel(_to_index(source.carried.grid, None), point, source.carried.values.shape)
    if index is None or not source.carried.valid[index]:
        return math.nan
    return float(source.carried.values[index])


def _reason(values: QuantityMap | None, index: tuple[int, int, int]) -> str:
    if values is not None and values.reason is not None:
        code = int(values.reason[index])
        words = values.reason_words.get(code, "")
        if words:
            return words
    if values is not None and len(values.sources) > 1:
        return "one of the two maps has no value here"
    return "not measured here"
