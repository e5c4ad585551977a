"""Lesions that were drawn on several series, matched with each other on the reference grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from eprimg.config import MatchingConfig
from eprimg.kernels.lesion_matching import match_lesions
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import MatchedLesions, Region, RegionRole

__all__ = ["DrawnLesions", "match_drawn"]

_ODD = ("split", "merge", "mixed", "gone", "new")


@dataclass(frozen=True, eq=False, slots=True)
class DrawnLesions:
    """One set of regions as it was carried to the reference grid, before the sets were merged.

    Parameters
    ----------
    series : str
        Key of the series that it was drawn on.
    labels : ndarray of integer, shape (k, j, i)
        Labels of the set itself.
    ids : Mapping of int to int
        Label of the set -> id of the region in the merged set, lesions only.
    """

    series: str
    labels: npt.NDArray[np.integer]
    ids: Mapping[int, int]

    @classmethod
    def of(
        cls,
        series: str,
        labels: npt.NDArray[np.integer],
        own: Sequence[Region],
        merged: Sequence[Region],
    ) -> DrawnLesions:
        """Take the lesions of a set.

        Parameters
        ----------
        series : str
            Key of the series.
        labels : ndarray of integer
            Labels of the set on the reference grid.
        own, merged : sequence of Region
            Its regions as read and as merged, in one order.

        Returns
        -------
        DrawnLesions
            Without organs and excluded parts.
        """
        pairs = zip(own, merged, strict=True)
        return cls(series, labels, {a.id: b.id for a, b in pairs if a.role == RegionRole.LESION})

    def merged_labels(self) -> npt.NDArray[np.int32]:
        """Return the lesions by the ids of the merged set.

        Returns
        -------
        ndarray of int32
            0 where there is no lesion.
        """
        table = np.zeros(max([0, int(self.labels.max(initial=0)), *self.ids]) + 1, dtype=np.int32)
        for own, merged in self.ids.items():
            table[own] = merged
        return np.asarray(table[self.labels])


def match_drawn(
    sets: Sequence[DrawnLesions],
    spacing_mm: tuple[float, float, float],
    config: MatchingConfig,
) -> tuple[tuple[MatchedLesions, ...], tuple[Finding, ...]]:
    """Match the lesions of every two series; ids and tracking identifiers stay as they are.

    Parameters
    ----------
    sets : sequence of DrawnLesions
        In the order they were read.
    spacing_mm : tuple of float
        Of the reference grid.
    config : MatchingConfig
        Limits.

    Returns
    -------
    tuple of MatchedLesions
        Empty unless lesions were drawn on two series at least.
    tuple of Finding
        ``I_LESIONS_MATCHED``, one per pair of series.
    """
    volumes: dict[str, npt.NDArray[np.int32]] = {}
    for each in sets:
        if not each.ids:
            continue
        here = each.merged_labels()
        earlier = volumes.get(each.series)
        volumes[each.series] = here if earlier is None else np.where(earlier > 0, earlier, here)
    found: list[MatchedLesions] = []
    findings = []
    for one, other in combinations(volumes, 2):
        matches = match_lesions(
            volumes[one],
            volumes[other],
            spacing_mm,
            least_overlap=config.least_overlap,
            most_distance_mm=config.most_distance_mm,
        )
        found += [MatchedLesions(one, other, *m) for m in matches]
        odd = ", ".join(
            f"{n} {kind}" for kind in _ODD if (n := sum(m.kind == kind for m in matches))
        )
        same = sum(m.kind == "same" for m in matches)
        text = (
            f"Lesions drawn on {one} and on {other}: {same} the same"
            + (f", {odd}" if odd else "")
            + ". They stay regions of their own; lesion_matches.csv names the pairs."
        )
        findings.append(Finding("I_LESIONS_MATCHED", Severity.INFO, f"{one}, {other}", text))
    return tuple(found), tuple(findings)
