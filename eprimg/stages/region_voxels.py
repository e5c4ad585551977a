"""The voxels of every region on one grid, looked up by bounding box instead of by whole volume.

Every number of a region is computed from its own voxels in its own box, in the same order, whether
one region or all of them are measured: a partial run gives the same digits as a whole one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.label_boxes import Box, joined_box, label_boxes
from eprimg.kernels.labels import LabelStatistics, label_statistics
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap

__all__ = ["RegionVoxels", "fills_space", "tight_box"]

_FILLS_SPACE_ML = 50.0
"""From here on a reference region is an organ that fills space (decision 0020)."""


class RegionVoxels:
    """Regions with their bounding boxes.  A lesion holds also what it shares with another one.

    Parameters
    ----------
    lesions : LesionSet
        Labels and regions.
    boxes : Mapping of int to tuple of slice, optional
        Bounding boxes by region id, when they are known already.

    Attributes
    ----------
    lesions : LesionSet
        As given.
    boxes : Mapping of int to tuple of slice
        A region without a voxel has none.
    shared : dict of int to dict of int to (tuple of slice, ndarray of bool)
        For each lesion that overlaps others: their ids, and the place and the voxels that it shares
        with each and that carry the other's label.
    """

    def __init__(self, lesions: LesionSet, boxes: Mapping[int, Box] | None = None) -> None:
        self.lesions = lesions
        if boxes is None:
            largest = max([0, *(r.id for r in lesions.regions)])
            boxes = label_boxes(lesions.labels, largest)
        self.shared: dict[int, dict[int, tuple[Box, npt.NDArray[np.bool_]]]] = {}
        if lesions.shared:
            boxes = self._with_shared(boxes)
        self.boxes = boxes
        self._inside: dict[int, npt.NDArray[np.bool_]] = {}

    @classmethod
    def of(cls, regions: LesionSet | RegionVoxels) -> RegionVoxels:
        """Return voxels of regions that may have been looked up already.

        Parameters
        ----------
        regions : LesionSet or RegionVoxels
            Either.

        Returns
        -------
        RegionVoxels
            The same object when it was one.
        """
        return regions if isinstance(regions, RegionVoxels) else cls(regions)

    def _with_shared(self, boxes: Mapping[int, Box]) -> dict[int, Box]:
        """Keep what is shared now: an edit, or another role, may have ended it."""
        lesions = {r.id for r in self.lesions.lesions}
        wider = dict(boxes)
        for each in self.lesions.shared:
            if each.id not in lesions or each.owner not in lesions:
                continue
            voxels = each.now(self.lesions.labels)
            found = tight_box(voxels)
            if found is None:
                continue
            k, j, i = (
                slice(c + f.start, c + f.stop) for c, f in zip(each.corner, found, strict=True)
            )
            self.shared.setdefault(each.id, {})[each.owner] = ((k, j, i), voxels[found])
            joined = joined_box(wider.get(each.id), (k, j, i))
            assert joined is not None
            wider[each.id] = joined
        return wider

    def inside(self, number: int) -> npt.NDArray[np.bool_]:
        """Tell which voxels of the box belong to a region.

        Parameters
        ----------
        number : int
            Region id; it must have a box.

        Returns
        -------
        ndarray of bool, shape of the box
            True inside.
        """
        if number not in self._inside:
            self._inside[number] = self.within(number, self.boxes[number])
        return self._inside[number]

    def within(self, number: int, part: Box) -> npt.NDArray[np.bool_]:
        """Tell which voxels of any part of the grid belong to a region.

        Parameters
        ----------
        number : int
            Region id.
        part : tuple of slice
            The part.

        Returns
        -------
        ndarray of bool, shape of the part
            True inside.
        """
        inside = np.asarray(self.lesions.labels[part] == number)
        for place, voxels in self.shared.get(number, {}).values():
            start = [max(p.start, q.start) for p, q in zip(place, part, strict=True)]
            stop = [min(p.stop, q.stop) for p, q in zip(place, part, strict=True)]
            if any(a >= b for a, b in zip(start, stop, strict=True)):
                continue
            here, own = (
                tuple(
                    slice(a - p.start, b - p.start) for a, b, p in zip(start, stop, w, strict=True)
                )
                for w in (part, place)
            )
            inside[here] |= voxels[own]
        return inside

    def own_labels(self, number: int) -> npt.NDArray[Any]:
        """Return the label volume as it would be if a region won all that it shares.

        Parameters
        ----------
        number : int
            Region id.

        Returns
        -------
        ndarray of integer, shape (k, j, i)
            The labels themselves for a region that shares nothing.
        """
        labels = self.lesions.labels
        if number not in self.shared:
            return labels
        changed = np.array(labels)
        for place, voxels in self.shared[number].values():
            changed[place][voxels] = number
        return changed

    def count(self, number: int) -> int:
        """Count the voxels of a region.

        Parameters
        ----------
        number : int
            Region id.

        Returns
        -------
        int
            0 when it has none.
        """
        return int(np.count_nonzero(self.inside(number))) if number in self.boxes else 0

    def pick(self, values: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
        """Return the values of a region's voxels.

        Parameters
        ----------
        values : ndarray, shape (k, j, i)
            Values on the grid of the labels.
        number : int
            Region id; it must have a box.

        Returns
        -------
        ndarray, shape (n,)
            In the order of the volume.
        """
        return np.asarray(values[self.boxes[number]][self.inside(number)])

    def statistics(self, map_: QuantityMap, number: int, **options: Any) -> LabelStatistics | None:
        """Compute the statistics of a map within a region.

        Parameters
        ----------
        map_ : QuantityMap
            Map on the grid of the labels.
        number : int
            Region id.
        **options
            ``quantiles`` and ``tail`` of `label_statistics`.

        Returns
        -------
        LabelStatistics or None
            One entry; None when the region has no voxel.
        """
        if number not in self.boxes:
            return None
        values = self.pick(map_.values, number)
        return label_statistics(
            values,
            np.ones(values.shape, dtype=np.int8),
            voxel_volume_ml=self.lesions.grid.voxel_volume_ml,
            valid=self.pick(map_.valid, number),
            **options,
        )


def tight_box(inside: npt.NDArray[np.bool_]) -> Box | None:
    """Return the bounding box of what is True.

    Parameters
    ----------
    inside : ndarray of bool, shape (k, j, i)
        A mask.

    Returns
    -------
    tuple of slice or None
        None when nothing is.
    """
    return label_boxes(inside.astype(np.uint8), 1).get(1)


def fills_space(voxels: RegionVoxels, region: Region) -> bool:
    """Tell an organ that fills space from a lesion, a sphere in an organ, and a thin vessel.

    Parameters
    ----------
    voxels : RegionVoxels
        Regions on the grid that they were drawn on.
    region : Region
        One of them.

    Returns
    -------
    bool
        True for a reference region of 50 mL and more.

    Notes
    -----
    Such a region goes to another grid by nearest voxel, so that organs that touch still touch and
    none takes voxels from its neighbour.  Everything else goes by signed distance: by nearest voxel
    balls of 8 to 22 mm lose or gain up to half of their volume (``docs/validation/carry.md``).
    """
    if region.role != RegionRole.REFERENCE:
        return False
    return voxels.count(region.id) * voxels.lesions.grid.voxel_volume_ml >= _FILLS_SPACE_ML
