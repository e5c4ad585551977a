"""The voxels of every region on one grid, looked up by bounding box instead of by whole volume.

Every number of a region is computed from its own voxels in its own box, in the same order, whether
one region or all of them are measured: a partial run gives the same digits as a whole one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.label_boxes import Box, label_boxes
from eprimg.kernels.labels import LabelStatistics, label_statistics
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap

__all__ = ["RegionVoxels"]


class RegionVoxels:
    """Regions with their bounding boxes.

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
    """

    def __init__(self, lesions: LesionSet, boxes: Mapping[int, Box] | None = None) -> None:
        self.lesions = lesions
        if boxes is None:
            largest = max([0, *(r.id for r in lesions.regions)])
            boxes = label_boxes(lesions.labels, largest)
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
            self._inside[number] = np.asarray(self.lesions.labels[self.boxes[number]] == number)
        return self._inside[number]

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
