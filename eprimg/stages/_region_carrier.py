"""Carries some regions to a part of another grid; see `eprimg.stages.carry`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from eprimg.kernels.label_boxes import Box
from eprimg.kernels.resample import claimed_box, resample_labels
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.stages._carry_bend import bend_of
from eprimg.stages.carry import labels_by_lattice, output_to_input
from eprimg.stages.region_voxels import RegionVoxels, fills_space

__all__ = ["Carrier"]


class Carrier:
    """Carries some regions to a part of another grid: what `carry_regions` gives there.

    Parameters
    ----------
    regions : RegionVoxels
        Regions on their grid.
    target : Grid
        Where they are wanted.
    transform : Transform
        From the frame of ``target`` to the frame of the regions.

    Attributes
    ----------
    matrix : ndarray, shape (4, 4)
        From indices of the target to indices of the regions' grid.
    key : tuple of bytes and Displacement or None
        Tells one transform from another: fields by their identity.
    """

    def __init__(self, regions: RegionVoxels, target: Grid, transform: Transform) -> None:
        self._regions = regions
        self._target = target
        found = output_to_input(target, regions.lesions.grid, transform)
        self._bend = bend_of(target, regions.lesions.grid, transform)
        self.matrix, self._same_lattice = labels_by_lattice(found, self._bend)
        self._roles = {r.id: r for r in regions.lesions.regions}
        self.key = (self.matrix.tobytes(), transform.displacement)

    def claim(self, number: int) -> Box | None:
        """Return the part of the target outside of which a region gets no voxel.

        Parameters
        ----------
        number : int
            Region id.

        Returns
        -------
        tuple of slice or None
            None when it gets none at all.
        """
        box = self._regions.boxes.get(number)
        if box is None:
            return None
        claim = claimed_box(
            box,
            output_to_input=self.matrix,
            output_shape=self._target.shape,
            bend=self._bend,
        )
        if claim is None:
            return None
        k, j, i = claim
        return k, j, i

    def carry(self, ids: Collection[int], window: Box) -> npt.NDArray[Any]:
        """Carry regions.

        Parameters
        ----------
        ids : collection of int
            Regions; where two of them meet, the one that lies deeper wins.
        window : tuple of slice
            Part of the target.

        Returns
        -------
        ndarray of integer, shape of the window
            Labels.
        """
        boxes = {i: self._regions.boxes[i] for i in ids if i in self._regions.boxes}
        if self._same_lattice:
            return self._copied(boxes, window)
        of_organs = {i: box for i, box in boxes.items() if self.nearest(i)}
        others = {i: box for i, box in boxes.items() if i not in of_organs}
        moved = self._moved(others, window, "signed-distance") if others else None
        if not of_organs:
            return moved if moved is not None else self._moved({}, window, "signed-distance")
        below = self._moved(of_organs, window, "nearest")
        # A small reference region in an organ keeps its volume.
        return below if moved is None else np.where(moved > 0, moved, below)

    def nearest(self, number: int) -> bool:
        """Tell whether a region goes by nearest voxel.

        Parameters
        ----------
        number : int
            Region id.

        Returns
        -------
        bool
            True for an organ that fills space.
        """
        return fills_space(self._regions, self._roles[number])

    def methods(self) -> dict[str, str]:
        """Tell how every region travels.

        Returns
        -------
        dict of str to str
            ``nearest``, ``signed-distance`` or ``copied``, by region id as text.
        """
        return {
            str(i): "copied"
            if self._same_lattice
            else ("nearest" if self.nearest(i) else "signed-distance")
            for i in self._roles
        }

    def whole(self, number: int) -> tuple[Box, npt.NDArray[np.bool_]] | None:
        """Carry one region alone, with all voxels that it shares with others.

        Parameters
        ----------
        number : int
            Region id.

        Returns
        -------
        tuple of slice, ndarray of bool, or None
            Part of the target and which of its voxels belong to the region; None when it gets none.
        """
        claim = self.claim(number)
        if claim is None:
            return None
        box = {number: self._regions.boxes[number]}
        if self._same_lattice:
            return claim, self._copied(box, claim, whole=True) > 0
        return claim, self._moved(box, claim, "signed-distance") > 0

    def _moved(
        self, boxes: Mapping[int, Box], window: Box, method: Literal["nearest", "signed-distance"]
    ) -> npt.NDArray[Any]:
        regions = self._regions
        overlapping = {*regions.shared, *(o for pairs in regions.shared.values() for o in pairs)}
        return resample_labels(
            np.ascontiguousarray(regions.lesions.labels),
            output_to_input=self.matrix,
            output_shape=self._target.shape,
            input_spacing_mm=regions.lesions.grid.spacing_mm,
            method=method,
            keep_volume=method == "signed-distance",
            boxes=boxes,
            window=window,
            bend=self._bend,
            masks={i: regions.inside(i) for i in boxes if i in overlapping},
        )

    def _copied(
        self, boxes: Mapping[int, Box], window: Box, *, whole: bool = False
    ) -> npt.NDArray[Any]:
        labels = self._regions.lesions.labels
        shift = self.matrix[:3, 3].astype(int)
        carried = np.zeros([w.stop - w.start for w in window], dtype=labels.dtype)
        for number, box in boxes.items():
            # The part of the box that falls into the window, seen from both sides.
            start = [max(b.start - s, w.start) for b, s, w in zip(box, shift, window, strict=True)]
            stop = [min(b.stop - s, w.stop) for b, s, w in zip(box, shift, window, strict=True)]
            if any(a >= b for a, b in zip(start, stop, strict=True)):
                continue
            there = tuple(
                slice(a - w.start, b - w.start) for a, b, w in zip(start, stop, window, strict=True)
            )
            own = tuple(
                slice(a + s - q.start, b + s - q.start)
                for a, b, s, q in zip(start, stop, shift, box, strict=True)
            )
            inside = self._regions.inside(number) if whole else labels[box] == number
            carried[there][inside[own]] = number
        return carried
