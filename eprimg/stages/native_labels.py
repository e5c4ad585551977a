"""Regions on the grid of a series: as drawn there where that is known, else carried there.

The result depends on the outlines, the roles and the transform alone, never on the order of edits:
labels = regions drawn there, above organs that are carried, below lesions and excluded parts that
are carried.  Lesions that overlap keep all their voxels: those that carry another's label are
shared.  After an edit only the part of the grid is made again that the edited regions can reach,
now or before; everything that can reach into that part takes part.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.label_boxes import Box, boxes_meet, joined_box, label_boxes
from eprimg.model.lesions import LesionSet, Region, RegionRole, SharedVoxels
from eprimg.model.study import Series, Study
from eprimg.model.transform import Registration
from eprimg.stages._carry_bend import inverse_of
from eprimg.stages._region_carrier import Carrier
from eprimg.stages.carry import transform_to
from eprimg.stages.region_voxels import RegionVoxels, tight_box

__all__ = [
    "CARRIED",
    "CARRIED_BY",
    "CARRIED_TO",
    "OUTLINES",
    "by_method",
    "native_voxels",
    "shared_with",
]

CARRIED = "carried"
"""Setting of a native label set: ids of the regions that came from the reference grid."""

CARRIED_BY = "carried_by"
"""Setting of a label set: how each region got there, by id as text."""

CARRIED_TO = "carried_to"
"""Setting of the regions on the reference grid: grid -> method -> ids, for the record."""

OUTLINES = "outlines"
"""Setting of a native label set: outline on the reference grid of each region, by id as text."""

_LAYERS = "layers"

_RANK = {RegionRole.REFERENCE: 0, RegionRole.LESION: 1, RegionRole.EXCLUDE: 2}

Labels = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False, slots=True)
class _Layers:
    """How a native label set came about, for the next edit."""

    labels: Labels
    floor: Labels
    """Drawn regions and carried organs, without carried lesions."""
    boxes: Mapping[int, Box]
    claims: Mapping[int, Box]
    """Where a carried region can have voxels."""
    state: Mapping[int, tuple[str, int, bool]]
    """Outline, rank, and whether it was drawn there, by region."""
    matrix: object
    drawn: LesionSet | None

    def __repr__(self) -> str:
        return f"layers of {len(self.state)} regions"


def native_voxels(
    study: Study,
    registrations: Sequence[Registration],
    regions: RegionVoxels,
    outlines: Mapping[str, str],
    series: Series,
    *,
    drawn: LesionSet | None,
    before: LesionSet | None,
) -> RegionVoxels | None:
    """Return the labels of all regions on the grid of a series.

    Parameters
    ----------
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others.
    regions : RegionVoxels
        Regions on the reference grid.
    outlines : Mapping of str to str
        Their outlines (`eprimg.stages.carry.fingerprints`).
    series : Series
        Where they are wanted.
    drawn : LesionSet or None
        Regions that were drawn on that grid.  They are used as drawn where the outline on the
        reference grid is still the one that they belong to.
    before : LesionSet or None
        The result for an earlier state of the labels; only saves work.

    Returns
    -------
    RegionVoxels or None
        None when the series is not aligned and nothing was drawn on it.
    """
    lesions = regions.lesions
    if series.grid.matches(lesions.grid):
        return regions
    drawn = _drawing(drawn, series)
    held = _held(drawn, lesions, outlines)
    transform = transform_to(study, registrations, series)
    if transform is None and not held:
        return None
    carrier = None
    if transform is not None:
        carrier = Carrier(regions, series.grid, inverse_of(transform))
    state = {
        r.id: (outlines.get(str(r.id), ""), _RANK[r.role], r.id in held) for r in lesions.regions
    }
    work = _Work(lesions, series, drawn, held, carrier)
    earlier = _earlier(before, series, work)
    if earlier is None:
        made = work.whole(state)
    else:
        keys = {*state, *earlier.state}
        changed = {i for i in keys if state.get(i) != earlier.state.get(i)}
        made = work.again(earlier, state, changed) if changed else earlier
    carried = tuple(sorted(set(state) - held))
    settings = {**lesions.settings, OUTLINES: dict(outlines), CARRIED: carried, _LAYERS: made}
    methods = carrier.methods() if carrier is not None else {}
    settings[CARRIED_BY] = {i: "drawn here" if int(i) in held else m for i, m in methods.items()}
    native = LesionSet(
        made.labels,
        series.grid,
        lesions.regions,
        lesions.origin,
        settings,
        _shared(regions, made.labels, drawn, held, carrier),
    )
    return RegionVoxels(native, made.boxes)


def by_method(methods: Mapping[str, str]) -> dict[str, list[int]]:
    """Turn methods by region into regions by method.

    Parameters
    ----------
    methods : Mapping of str to str
        ``nearest``, ``signed-distance``, ``copied`` or ``drawn here``, by region id as text.

    Returns
    -------
    dict of str to list of int
        Ids in rising order.
    """
    found: dict[str, list[int]] = {}
    for number, method in sorted(methods.items(), key=lambda pair: int(pair[0])):
        found.setdefault(method, []).append(int(number))
    return found


def _shared(
    regions: RegionVoxels,
    labels: Labels,
    drawn: LesionSet | None,
    held: frozenset[int],
    carrier: Carrier | None,
) -> tuple[SharedVoxels, ...]:
    """Find what lesions that overlap share on this grid: each holds all of its own voxels."""
    own = RegionVoxels(drawn) if drawn is not None and drawn.shared else None
    partners: dict[int, set[int]] = {}
    for shared in (regions.shared, own.shared if own is not None else {}):
        for one, others in shared.items():
            for other in others:
                partners.setdefault(one, set()).add(other)
                partners.setdefault(other, set()).add(one)
    if not partners:
        return ()
    if own is None and drawn is not None:
        own = RegionVoxels(drawn)
    found: list[SharedVoxels] = []
    for number in sorted(partners):
        if number in held and own is not None:
            box = own.boxes.get(number)
            whole = None if box is None else (box, own.inside(number))
        else:
            whole = carrier.whole(number) if carrier is not None else None
        if whole is not None:
            found += shared_with(number, *whole, labels, partners[number])
    return tuple(found)


def shared_with(
    number: int,
    place: Box,
    inside: npt.NDArray[np.bool_],
    labels: npt.NDArray[Any],
    others: Collection[int],
) -> list[SharedVoxels]:
    """Find the voxels of a lesion that carry the labels of others.

    Parameters
    ----------
    number : int
        Region id of the lesion.
    place : tuple of slice
        Part of the grid.
    inside : ndarray of bool, shape of that part
        All voxels of the lesion.
    labels : ndarray of integer, shape (k, j, i)
        The label volume.
    others : collection of int
        Regions that it may overlap.

    Returns
    -------
    list of SharedVoxels
        One for each region whose label some of the voxels carry.
    """
    found = []
    for other in sorted(others):
        shared = inside & np.asarray(labels[place] == other)
        box = tight_box(shared)
        if box is not None:
            k, j, i = (p.start + b.start for p, b in zip(place, box, strict=True))
            found.append(SharedVoxels(number, other, (k, j, i), np.ascontiguousarray(shared[box])))
    return found


def _drawing(drawn: LesionSet | None, series: Series) -> LesionSet | None:
    """Leave out what does not lie on the grid, or holds nothing but carried regions."""
    if drawn is None or not drawn.grid.matches(series.grid):
        return None
    return drawn if any(r.id not in _carried(drawn) for r in drawn.regions) else None


def _carried(native: LesionSet) -> frozenset[int]:
    moved = native.settings.get(CARRIED)
    return frozenset(moved) if isinstance(moved, tuple | list) else frozenset()


def _held(
    drawn: LesionSet | None, lesions: LesionSet, outlines: Mapping[str, str]
) -> frozenset[int]:
    belongs = drawn.settings.get(OUTLINES) if drawn is not None else None
    if drawn is None or not isinstance(belongs, Mapping):
        return frozenset()
    carried = _carried(drawn)
    return frozenset(
        r.id
        for r in lesions.regions
        if r.id not in carried and belongs.get(str(r.id)) == outlines.get(str(r.id), "")
    )


def _earlier(before: LesionSet | None, series: Series, work: _Work) -> _Layers | None:
    """Layers that the new labels can be made from: same grid, transform and drawing."""
    layers = before.settings.get(_LAYERS) if before is not None else None
    if before is None or not isinstance(layers, _Layers) or not before.grid.matches(series.grid):
        return None
    same = np.may_share_memory(before.labels, layers.labels) and layers.matrix == work.matrix
    return layers if same and layers.drawn is work.drawn else None


@dataclass(frozen=True, eq=False, slots=True)
class _Work:
    lesions: LesionSet
    series: Series
    drawn: LesionSet | None
    held: frozenset[int]
    carrier: Carrier | None

    @property
    def matrix(self) -> object:
        return None if self.carrier is None else self.carrier.key

    def whole(self, state: Mapping[int, tuple[str, int, bool]]) -> _Layers:
        """Make everything."""
        everywhere = _all(self.series.grid.shape)
        claims = self.claims()
        floor = self.floor(everywhere, claims)
        labels = self.above(floor, everywhere, claims)
        return self.layers(labels, floor, label_boxes(labels, self.largest), claims, state)

    def again(
        self,
        earlier: _Layers,
        state: Mapping[int, tuple[str, int, bool]],
        changed: Collection[int],
    ) -> _Layers:
        """Make the part again that regions which changed can reach, now or before."""
        claims = self.claims(earlier.claims, changed)
        reach = {
            i: joined_box(claims.get(i), earlier.claims.get(i), earlier.boxes.get(i), self.box(i))
            for i in changed
        }
        low = [
            i for i in changed if self._is_low(state.get(i)) or self._is_low(earlier.state.get(i))
        ]
        floor = earlier.floor
        below = joined_box(*(reach[i] for i in low))
        if below is not None:
            floor = floor.astype(self.dtype)
            floor[below] = self.floor(below, claims)
        window = joined_box(*reach.values())
        if window is None:
            return self.layers(earlier.labels, floor, earlier.boxes, claims, state)
        # Looked up before the type may become too small for a region that is gone.
        old = set(np.unique(earlier.labels[window]).tolist())
        labels = earlier.labels.astype(self.dtype)
        labels[window] = self.above(np.asarray(floor[window]), window, claims)
        boxes = dict(earlier.boxes)
        for i in (old | set(np.unique(labels[window]).tolist())) - {0}:
            part = joined_box(earlier.boxes.get(i), window)
            assert part is not None
            found = _box_in(labels, i, part)
            boxes.pop(i, None)
            if found is not None:
                boxes[i] = found
        return self.layers(labels, floor, boxes, claims, state)

    @staticmethod
    def _is_low(state: tuple[str, int, bool] | None) -> bool:
        return state is not None and (state[2] or state[1] == _RANK[RegionRole.REFERENCE])

    @property
    def largest(self) -> int:
        return max([0, *(r.id for r in self.lesions.regions)])

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """The smallest type: these arrays are copied and searched after every stroke."""
        return np.dtype(np.min_scalar_type(self.largest))

    def box(self, number: int) -> Box | None:
        """Where a region was drawn, whether it is used as drawn or not."""
        if self.drawn is None or all(r.id != number for r in self.drawn.regions):
            return None
        return label_boxes(self.drawn.labels, number).get(number)

    def claims(
        self, known: Mapping[int, Box] | None = None, changed: Collection[int] = ()
    ) -> dict[int, Box]:
        if self.carrier is None:
            return {}
        claims = {}
        for region in self.lesions.regions:
            if region.id in self.held:
                continue
            if known is not None and region.id not in changed:
                claim = known.get(region.id)
            else:
                claim = self.carrier.claim(region.id)
            if claim is not None:
                claims[region.id] = claim
        return claims

    def floor(self, window: Box, claims: Mapping[int, Box]) -> Labels:
        """Regions drawn there, with carried organs where nothing was drawn."""
        below: Labels = np.zeros([w.stop - w.start for w in window], dtype=self.dtype)
        if self.drawn is not None:
            part = np.asarray(self.drawn.labels[window])
            below[...] = np.where(np.isin(part, list(self.held)), part, 0)
        # Apart, so that a lesion does not lose part of its volume along the seam to its organ.
        return self.overlaid(below, window, claims, organs=True)

    def above(self, floor: Labels, window: Box, claims: Mapping[int, Box]) -> Labels:
        """Carried lesions and excluded parts over the floor."""
        return self.overlaid(floor.astype(self.dtype), window, claims, organs=False)

    def overlaid(
        self, below: Labels, window: Box, claims: Mapping[int, Box], *, organs: bool
    ) -> Labels:
        """Add carried labels; excluded parts win over lesions, lesions over organs."""
        ids = [
            r.id
            for r in self.lesions.regions
            if r.id in claims
            and (r.role == RegionRole.REFERENCE) is organs
            and boxes_meet(claims[r.id], window)
        ]
        if not ids or self.carrier is None:
            return below
        moved = self.carrier.carry(ids, window)
        ranks = _ranks(self.lesions.regions)
        wins = (moved > 0) & ((below == 0) | (ranks[moved] > ranks[below]))
        return np.where(wins, moved, below).astype(self.dtype)

    def layers(
        self,
        labels: Labels,
        floor: Labels,
        boxes: Mapping[int, Box],
        claims: Mapping[int, Box],
        state: Mapping[int, tuple[str, int, bool]],
    ) -> _Layers:
        return _Layers(labels, floor, boxes, claims, state, self.matrix, self.drawn)


def _ranks(regions: Sequence[Region]) -> npt.NDArray[np.int8]:
    ranks = np.zeros(max([0, *(r.id for r in regions)]) + 1, dtype=np.int8)
    for region in regions:
        ranks[region.id] = _RANK[region.role]
    return ranks


def _all(shape: tuple[int, int, int]) -> Box:
    k, j, i = shape
    return slice(0, k), slice(0, j), slice(0, i)


def _box_in(labels: Labels, number: int, part: Box) -> Box | None:
    found = label_boxes(np.where(labels[part] == number, 1, 0).astype(np.uint8), 1).get(1)
    if found is None:
        return None
    k, j, i = (slice(f.start + p.start, f.stop + p.start) for f, p in zip(found, part, strict=True))
    return k, j, i
