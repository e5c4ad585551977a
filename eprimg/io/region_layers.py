"""Regions that share voxels, put into as many label volumes as are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.model.case import Finding, Severity
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region

__all__ = ["RegionMask", "in_layers"]

_NAMED_PAIRS = 8


@dataclass(frozen=True, eq=False, slots=True)
class RegionMask:
    """A region and its voxels, in the part of the grid that it touches.

    Parameters
    ----------
    region : Region
        Its record.
    voxels : ndarray of bool, shape (k, j, i)
        True inside.
    corner : tuple of int
        Index of the first voxel of ``voxels`` in the grid.
    """

    region: Region
    voxels: npt.NDArray[np.bool_]
    corner: tuple[int, int, int] = (0, 0, 0)

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """The part of the grid."""
        k, j, i = (slice(c, c + n) for c, n in zip(self.corner, self.voxels.shape, strict=True))
        return k, j, i


def in_layers(
    masks: Sequence[RegionMask],
    grid: Grid,
    *,
    origin: str,
    settings: Mapping[str, object] | None = None,
) -> tuple[tuple[LesionSet, ...], tuple[Finding, ...]]:
    """Put regions into label volumes so that no voxel of any region is lost.

    Parameters
    ----------
    masks : sequence of RegionMask
        With unique ids; none of them is empty.
    grid : Grid
        Where they lie.
    origin : str
        File, for messages.
    settings : Mapping, optional
        Kept with every set.

    Returns
    -------
    tuple of LesionSet
        One when no two regions share a voxel.  Otherwise a region goes into the first set in
        which its voxels are free.
    tuple of Finding
        ``W_SEG_OVERLAP``, with the pairs and their shared volumes.
    """
    largest = max((m.region.id for m in masks), default=0)
    dtype = np.min_scalar_type(largest)
    layers: list[npt.NDArray[Any]] = []
    members: list[list[Region]] = []
    shared: list[str] = []
    names = {m.region.id: m.region.name for m in masks}
    for mask in masks:
        free = -1
        for number, layer in enumerate(layers):
            owners, counts = np.unique(layer[mask.place][mask.voxels], return_counts=True)
            taken = {int(o): int(n) for o, n in zip(owners, counts, strict=True) if o}
            shared += [
                f"{names[o]} and {mask.region.name} ({n * grid.voxel_volume_ml:.3g} mL)"
                for o, n in taken.items()
            ]
            if not taken and free < 0:
                free = number
        if free < 0:
            layers.append(np.zeros(grid.shape, dtype=dtype))
            members.append([])
            free = len(layers) - 1
        layers[free][mask.place][mask.voxels] = mask.region.id
        members[free].append(mask.region)
    sets = tuple(
        LesionSet(
            labels,
            grid,
            tuple(sorted(regions, key=lambda r: r.id)),
            origin=origin,
            settings=dict(settings or {}),
        )
        for labels, regions in zip(layers, members, strict=True)
    )
    if not shared:
        return sets, ()
    more = f" and {len(shared) - _NAMED_PAIRS} more" if len(shared) > _NAMED_PAIRS else ""
    text = (
        f"Regions share voxels: {', '.join(shared[:_NAMED_PAIRS])}{more}. They were read into "
        f"{len(sets)} label volumes, so that nothing was lost. Each lesion is measured on all of "
        "its voxels; an organ loses those of a lesion."
    )
    return sets, (Finding("W_SEG_OVERLAP", Severity.WARNING, origin, text),)
