"""Sums over lesions that overlap: a voxel that several of them hold counts once."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["counted_parts", "voxel_weights"]


def voxel_weights(
    voxels: RegionVoxels,
    ids: Collection[int],
    inside: Mapping[int, npt.NDArray[np.bool_]] | None = None,
) -> dict[int, npt.NDArray[np.float64]]:
    """Divide every voxel among the lesions of a sum that hold it.

    Parameters
    ----------
    voxels : RegionVoxels
        All lesions of one grid, with what they share.
    ids : collection of int
        Lesions of the sum; those without a voxel are left out.
    inside : Mapping of int to ndarray of bool, optional
        By lesion, the voxels of its box that count, e.g. those above a threshold; all of its
        voxels when left out.

    Returns
    -------
    dict of int to ndarray of float
        For each lesion the weights of the voxels of its box: 0 outside; inside 1/k where k lesions
        of the sum hold the voxel.  The weights of all lesions add up to the number of voxels of
        their union.
    """
    boxes = {n: voxels.boxes[n] for n in ids if n in voxels.boxes}
    held = {n: voxels.inside(n) if inside is None else inside[n] for n in boxes}
    # Only these can overlap: no lesion shares with one that is not on record.
    apart = {n: {n, *voxels.shared.get(n, {})} for n in boxes}
    found = {}
    for number, box in boxes.items():
        count = held[number].astype(np.float64)
        for other, place in boxes.items():
            if other == number or not apart[number] & apart[other]:
                continue
            part = [
                slice(max(a.start, b.start), min(a.stop, b.stop))
                for a, b in zip(box, place, strict=True)
            ]
            if any(p.start >= p.stop for p in part):
                continue
            mine = tuple(
                slice(p.start - a.start, p.stop - a.start) for p, a in zip(part, box, strict=True)
            )
            its = tuple(
                slice(p.start - b.start, p.stop - b.start) for p, b in zip(part, place, strict=True)
            )
            count[mine] += held[other][its]
        found[number] = np.where(held[number], 1.0 / np.maximum(count, 1.0), 0.0)
    return found


def counted_parts(voxels: RegionVoxels | None, ids: Collection[int]) -> dict[int, float]:
    """Tell which part of each lesion's volume counts in a sum over lesions.

    Parameters
    ----------
    voxels : RegionVoxels or None
        All lesions of one grid; None when it is not known what they share.
    ids : collection of int
        Lesions of the sum.

    Returns
    -------
    dict of int to float
        By lesion, 0 to 1; 1 for a lesion that shares nothing with another one of the sum, and for
        one without a voxel.  Volumes times these parts add up to the volume of the union.
    """
    parts = dict.fromkeys(ids, 1.0)
    if voxels is None or not voxels.shared:
        return parts
    for number, weights in voxel_weights(voxels, ids).items():
        n = int(np.count_nonzero(weights))
        parts[number] = float(weights.sum()) / n if n else 1.0
    return parts
