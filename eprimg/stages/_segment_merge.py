"""Puts sets of regions together: one label volume, free ids, and what lesions share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.label_boxes import Box
from eprimg.model.case import Finding, Severity
from eprimg.model.distinct_names import distinct_names
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, SharedVoxels
from eprimg.model.study import Series
from eprimg.stages.native_labels import CARRIED_TO, by_method, shared_with
from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["Merge"]

_PRIORITY = {RegionRole.EXCLUDE: 3, RegionRole.LESION: 2, RegionRole.REFERENCE: 1}
"""Who keeps a voxel that two regions claim."""

_NAMED_PAIRS = 20

Claims = dict[int, tuple[Box, npt.NDArray[np.bool_]]]
"""Lesion id -> place and all its voxels there, as drawn."""


@dataclass(slots=True)
class Merge:
    """Regions collected so far, on the reference grid.

    Parameters
    ----------
    labels : ndarray of int32, shape (k, j, i)
        Their labels.
    regions : list of Region
        Their records.
    origins : list of str
        Files and engines.
    settings : dict
        How they were made.
    native : dict of str to LesionSet
        Regions on the grid that they were drawn on, by series key.
    findings : list of Finding
        What was noticed.
    """

    labels: npt.NDArray[np.int32]
    regions: list[Region] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)
    native: dict[str, LesionSet] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _claims: Claims = field(default_factory=dict)
    _native_claims: dict[str, Claims] = field(default_factory=dict)
    _methods: dict[str, str] = field(default_factory=dict)

    def note(self, code: str, severity: Severity, where: str, text: str) -> None:
        """Keep a finding."""
        self.findings.append(Finding(code, severity, where, text))

    def add(
        self,
        added: LesionSet,
        labels: npt.NDArray[np.int32],
        drawn_on: Series | None,
        how: Mapping[int, str],
        *,
        overlapping: bool = False,
    ) -> None:
        """Add a set: free ids, one owner per voxel, and say what was changed.

        Parameters
        ----------
        added : LesionSet
            Regions on the grid that they were drawn on.
        labels : ndarray of int32
            The same on the reference grid.
        drawn_on : Series or None
            The series that they were drawn on, when it is not the reference series.
        how : Mapping of int to str
            How each region got to the reference grid; empty when it was drawn there.
        overlapping : bool
            Lesions keep what they share with lesions of other sets.
        """
        added = self._told_apart(added)
        used = {r.id for r in self.regions}
        new_id = {r.id: r.id for r in added.regions}
        if used & set(new_id):
            shift = max(used)
            new_id = {old: old + shift for old in new_id}
            self.note(
                "I_IDS_SHIFTED",
                Severity.INFO,
                added.origin,
                f"Label numbers of {added.origin or 'a mask'} are taken by an earlier mask: "
                f"{shift} was added to each of them.",
            )
        renumbered = _renumbered(labels, new_id)
        if overlapping:
            self._claims |= _claims_of(added.regions, renumbered, new_id)
        self._place(added, renumbered, new_id)
        self._methods |= {str(new_id[old]): method for old, method in how.items() if method}
        self.origins.append(added.origin)
        self.settings.update(added.settings)
        if drawn_on is not None and added.grid.matches(drawn_on.grid):
            own = _renumbered(np.asarray(added.labels), new_id)
            if overlapping:
                claims = self._native_claims.setdefault(drawn_on.key, {})
                claims |= _claims_of(added.regions, own, new_id)
            self._keep_native(drawn_on.key, added, own, new_id)

    def _told_apart(self, added: LesionSet) -> LesionSet:
        """Give regions other names than those that earlier ones have, e.g. a click and a mask."""
        named = distinct_names(added.regions, {r.name for r in self.regions})
        new = [n.name for n, r in zip(named, added.regions, strict=True) if n.name != r.name]
        if not new:
            return added
        self.note(
            "W_REGIONS_RENAMED",
            Severity.WARNING,
            added.origin,
            f"Names of {added.origin or 'a mask'} are those of other regions: they are called "
            f"{', '.join(new[:_NAMED_PAIRS])} here. Each is measured.",
        )
        return added.with_regions(named)

    def on_reference(self, grid: Grid) -> LesionSet:
        """Return all regions on the reference grid, and note which lesions overlap.

        Parameters
        ----------
        grid : Grid
            The reference grid.

        Returns
        -------
        LesionSet
            With the voxels that lesions share.
        """
        settings = dict(self.settings)
        if self._methods:
            settings[CARRIED_TO] = {"reference grid": by_method(self._methods)}
        made = LesionSet(
            labels=self.labels,
            grid=grid,
            regions=tuple(sorted(self.regions, key=lambda r: r.id)),
            origin="; ".join(dict.fromkeys(o for o in self.origins if o)),
            settings=settings,
            shared=_shared(self._claims, self.labels),
        )
        self._note_overlaps(made)
        return made

    def on_native(self) -> dict[str, LesionSet]:
        """Return the regions on the grids that they were drawn on.

        Returns
        -------
        dict of str to LesionSet
            By series key.
        """
        return {
            key: replace(each, shared=_shared(self._native_claims.get(key, {}), each.labels))
            for key, each in self.native.items()
        }

    def _place(
        self, added: LesionSet, renumbered: npt.NDArray[np.int32], new_id: Mapping[int, int]
    ) -> None:
        role = {r.id: r.role for r in self.regions}
        names = {r.id: r.name for r in self.regions}
        taken: dict[tuple[str, str], int] = {}
        for region in added.regions:
            voxels = renumbered == new_id[region.id]
            if not voxels.any():
                self.note(
                    "W_REGION_EMPTY",
                    Severity.WARNING,
                    region.name,
                    f"{region.name} has no voxel on the reference grid: it is smaller than a "
                    "voxel there, or outside its field of view.",
                )
            below = self.labels[voxels]
            for owner in np.unique(below[below > 0]).tolist():
                keeps = _PRIORITY[role[owner]] >= _PRIORITY[region.role]
                shared = voxels & (self.labels == owner)
                pair = (names[owner], region.name) if keeps else (region.name, names[owner])
                both = new_id[region.id] in self._claims and owner in self._claims
                if not both:
                    taken[pair] = taken.get(pair, 0) + int(np.count_nonzero(shared))
                if keeps:
                    voxels &= ~shared
            self.labels[voxels] = new_id[region.id]
            self.regions.append(replace(region, id=new_id[region.id]))
        if taken:
            said = ", ".join(
                f"{n} voxels of {loser} went to {winner}"
                for (winner, loser), n in sorted(taken.items())
            )
            self.note(
                "I_OVERLAP",
                Severity.INFO,
                added.origin,
                f"Regions overlap: {said}. A lesion wins over an organ, an excluded part over "
                "both; of two alike the one that was read first keeps the voxel.",
            )

    def _keep_native(
        self,
        key: str,
        added: LesionSet,
        labels: npt.NDArray[np.int32],
        new_id: Mapping[int, int],
    ) -> None:
        regions = tuple(replace(r, id=new_id[r.id]) for r in added.regions)
        earlier = self.native.get(key)
        if earlier is not None:
            role = {r.id: r.role for r in (*earlier.regions, *regions)}
            priority = np.zeros(max(role) + 1, dtype=np.int8)
            for each, what in role.items():
                priority[each] = _PRIORITY[what]
            old = np.asarray(earlier.labels, dtype=np.int32)
            labels = np.where(priority[old] >= priority[labels], old, labels).astype(np.int32)
            regions = (*earlier.regions, *regions)
        self.native[key] = LesionSet(
            labels,
            added.grid,
            tuple(sorted(regions, key=lambda r: r.id)),
            added.origin,
            added.settings,
        )

    def _note_overlaps(self, made: LesionSet) -> None:
        """Name every two lesions that overlap, with the volume that both hold."""
        if not made.shared:
            return
        voxels = RegionVoxels(made)
        names = {r.id: r.name for r in made.regions}
        pairs = 0
        for one, other in combinations(sorted(voxels.boxes), 2):
            if not self._meet(voxels, one, other):
                continue
            a, b = voxels.boxes[one], voxels.boxes[other]
            k, j, i = (
                slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a, b, strict=True)
            )
            both = voxels.within(one, (k, j, i)) & voxels.within(other, (k, j, i))
            n = int(np.count_nonzero(both))
            if not n:
                continue
            pairs += 1
            if pairs > _NAMED_PAIRS:
                continue
            shown = np.bincount(made.labels[k, j, i][both]).argmax()
            share = [100.0 * n / voxels.count(each) for each in (one, other)]
            self.note(
                "W_LESIONS_OVERLAP",
                Severity.WARNING,
                f"{names[one]}, {names[other]}",
                f"{names[one]} and {names[other]} share {n * made.grid.voxel_volume_ml:.3g} mL on "
                f"the reference grid ({share[0]:.0f} % of {names[one]}, {share[1]:.0f} % of "
                f"{names[other]}). Each is measured on all of its own voxels; the label volume "
                f"shows most of the shared ones as {names[int(shown)]}. Sums over lesions count "
                "the shared part once.",
            )

        if pairs > _NAMED_PAIRS:
            text = f"{pairs - _NAMED_PAIRS} more pairs of lesions overlap, beside those named."
            self.note("W_LESIONS_OVERLAP", Severity.WARNING, made.origin, text)

    @staticmethod
    def _meet(voxels: RegionVoxels, one: int, other: int) -> bool:
        """Tell whether one of two shares with the other, or both with a third."""
        partners = [{i, *voxels.shared.get(i, {})} for i in (one, other)]
        return bool(partners[0] & partners[1])


def _renumbered(labels: npt.NDArray[Any], new_id: Mapping[int, int]) -> npt.NDArray[np.int32]:
    table = np.zeros(max([*new_id, int(labels.max())]) + 1, dtype=np.int32)
    for old, new in new_id.items():
        table[old] = new
    return np.asarray(table[labels])


def _claims_of(
    regions: tuple[Region, ...], labels: npt.NDArray[np.int32], new_id: Mapping[int, int]
) -> Claims:
    """All voxels of each lesion, before any of them goes to another."""
    claims: Claims = {}
    voxels = RegionVoxels(
        LesionSet(
            labels,
            Grid(labels.shape, np.eye(4), "labels"),
            tuple(replace(r, id=new_id[r.id]) for r in regions),
        )
    )
    for region in regions:
        number = new_id[region.id]
        if region.role == RegionRole.LESION and number in voxels.boxes:
            claims[number] = (voxels.boxes[number], voxels.inside(number))
    return claims


def _shared(claims: Claims, labels: npt.NDArray[Any]) -> tuple[SharedVoxels, ...]:
    """Find what lesions hold under the label of another lesion."""
    found: list[SharedVoxels] = []
    for number, (place, inside) in sorted(claims.items()):
        seen = np.unique(labels[place][inside]).tolist()
        others = [i for i in seen if i != number and i in claims]
        found += shared_with(number, place, inside, labels, others)
    return tuple(found)
