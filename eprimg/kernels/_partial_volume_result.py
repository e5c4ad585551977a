"""Records of partial-volume correction, and how solved groups become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._partial_volume_blur import Kernel, Psf, Triple, argument
from eprimg.kernels._partial_volume_regions import Group
from eprimg.kernels._partial_volume_solve import PartialVolumeReason, Solved

_Volume = NDArray[np.floating]
_Column = NDArray[np.float64]

PARTIAL_VOLUME_REASON_TEXT: Mapping[PartialVolumeReason, str] = MappingProxyType(
    {
        PartialVolumeReason.OK: "corrected",
        PartialVolumeReason.NO_VOXELS: "no valid voxel in the region",
        PartialVolumeReason.TOO_SMALL: "too small for the resolution: the mask rules the result",
        PartialVolumeReason.ILL_CONDITIONED: "regions cannot be told apart at this resolution",
        PartialVolumeReason.UNKNOWN_NEIGHBOUR: "activity of a neighbour that was not measured",
        PartialVolumeReason.NOT_POSITIVE: "the mean is not positive, which a ratio cannot correct",
        PartialVolumeReason.INCOMPLETE: "a voxel within reach of the blur is missing",
    }
)
"""One plain sentence per reason code."""


class PartialVolumeResult(NamedTuple):
    """Raw and corrected means side by side; one entry per region.

    Regions that spread into each other form a group.  Each group has its own background, which is
    one more region with label 0 at the end of its group.

    Attributes
    ----------
    method : str
        ``"gtm"``, ``"iterative_yang"`` or ``"single_target"``.
    fwhm_mm : tuple of float
        Point-spread function along (k, j, i) in mm.
    kernel : str
        ``"sampled"`` or ``"integrated"``.
    n_iterations : int
        Iterations; 0 for the matrix.
    label, group : ndarray of int64, shape (n_regions,)
        Label (of masks: 1, 2, ... in their order) and group from 0 on.
    volume_ml, diameter_mm : ndarray of float64, shape (n_regions,)
        Volume and diameter of the sphere of the same volume.
    recovery : ndarray of float64, shape (n_regions,)
        Part of a region's activity that is seen in it (diagonal of the matrix).
    raw, raw_se : ndarray of float64, shape (n_regions,)
        Mean over the region as measured, and its standard error from noise.
    corrected, corrected_se : ndarray of float64, shape (n_regions,)
        Corrected mean and its standard error from noise alone; NaN where `reason` is not OK.
    reason : ndarray of uint8, shape (n_regions,)
        `PartialVolumeReason` of each region.
    condition_number : ndarray of float64, shape (n_regions,)
        2-norm condition number of the matrix of the group.
    voxel_sd : ndarray of float64, shape (n_regions,)
        Noise per voxel that the standard errors rest on.
    last_change : ndarray of float64, shape (n_regions,)
        Relative change of the mean in the last iteration; NaN for the matrix.
    matrix : ndarray of float64, shape (n_regions, n_regions)
        Geometric transfer matrix: the row is the region that is looked at, the column where the
        activity is; 0 between groups.
    corrected_map : ndarray or None
        Corrected volume, type of the map; NaN outside of the boxes of the groups and in regions
        without a corrected value.  None for the matrix.
    """

    method: str
    fwhm_mm: Triple
    kernel: Kernel
    n_iterations: int
    label: NDArray[np.int64]
    group: NDArray[np.int64]
    volume_ml: _Column
    diameter_mm: _Column
    recovery: _Column
    raw: _Column
    raw_se: _Column
    corrected: _Column
    corrected_se: _Column
    reason: NDArray[np.uint8]
    condition_number: _Column
    voxel_sd: _Column
    last_change: _Column
    matrix: _Column
    corrected_map: _Volume | None


class MaskErrorResult(NamedTuple):
    """How far the corrected mean of each label hangs on the boundary of its mask.

    Attributes
    ----------
    base : PartialVolumeResult
        Result with the masks as they are; all columns below have its order, background included.
    boundary_error_mm : float
        Standard uncertainty of the boundary.
    raw_eroded, raw_dilated : ndarray of float64, shape (n_regions,)
        Raw mean with the boundary of this one region moved in or out.
    eroded, dilated : ndarray of float64, shape (n_regions,)
        Corrected mean with the boundary of this one region moved in or out; NaN for backgrounds,
        for regions without a corrected value, and where nothing is left of the mask.
    mask_se : ndarray of float64, shape (n_regions,)
        ``|eroded - dilated| / 2``.  Between a higher and a lower neighbour, where the two sides
        cancel, the same with the boundary out towards the one and in from the other, if larger.
    combined_se : ndarray of float64, shape (n_regions,)
        Root of the sum of squares of `mask_se` and the standard error from noise.
    """

    base: PartialVolumeResult
    boundary_error_mm: float
    raw_eroded: _Column
    raw_dilated: _Column
    eroded: _Column
    dilated: _Column
    mask_se: _Column
    combined_se: _Column


def assemble(
    method: str,
    psf: Psf,
    n_iterations: int,
    groups: Sequence[Group],
    solved: Sequence[Solved],
    minimum_diameter_fwhm: float,
    shown: _Volume | None,
) -> PartialVolumeResult:
    """Join groups, refuse what is too small, and fill the map."""
    if not minimum_diameter_fwhm >= 0.0:
        raise argument(
            "The smallest diameter must be 0 or more.",
            "minimum_diameter_fwhm",
            minimum_diameter_fwhm,
        )
    rows: list[tuple[float, ...]] = []
    blocks: list[_Column] = []
    for number, (group, found) in enumerate(zip(groups, solved, strict=True)):
        moved = found.transfer
        lesions = len(group.regions)
        kept = lesions + int(group.has_background and found.corrected.size > lesions)
        blocks.append(moved.matrix[:kept, :kept])
        volumes = [float(r.mask.sum(dtype=np.float64)) * psf.voxel_ml for r in group.regions]
        volumes.append(float(group.background.sum(dtype=np.float64)) * psf.voxel_ml)
        for n in range(kept):
            diameter = (6000.0 * volumes[n] / np.pi) ** (1.0 / 3.0)
            reason, label = int(found.reason[n]), 0
            if n < lesions:
                label = group.regions[n].label
                # Rounding: a region of exactly the limit counts.
                least = minimum_diameter_fwhm * psf.mean_fwhm_mm * (1.0 - 1e-9)
                if reason == PartialVolumeReason.OK and diameter < least:
                    reason = int(PartialVolumeReason.TOO_SMALL)
            good = reason == PartialVolumeReason.OK
            rows.append(
                (
                    label,
                    number,
                    reason,
                    volumes[n],
                    diameter,
                    moved.matrix[n, n],
                    moved.raw[n],
                    found.raw_se[n],
                    found.corrected[n] if good else np.nan,
                    found.corrected_se[n] if good else np.nan,
                    found.condition,
                    found.voxel_sd,
                    found.last_change[n],
                )
            )
            if shown is not None and found.corrected_map is not None and not good:
                _blank(found.corrected_map, group, n)
        if shown is not None and found.corrected_map is not None:
            shown[group.box] = found.corrected_map
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 13).T
    matrix = np.zeros((len(rows), len(rows)))
    start = 0
    for block in blocks:
        stop = start + block.shape[0]
        matrix[start:stop, start:stop] = block
        start = stop
    return PartialVolumeResult(
        method=method,
        fwhm_mm=psf.fwhm_mm,
        kernel=psf.kernel,
        n_iterations=n_iterations,
        label=table[0].astype(np.int64),
        group=table[1].astype(np.int64),
        volume_ml=table[3],
        diameter_mm=table[4],
        recovery=table[5],
        raw=table[6],
        raw_se=table[7],
        corrected=table[8],
        corrected_se=table[9],
        reason=table[2].astype(np.uint8),
        condition_number=table[10],
        voxel_sd=table[11],
        last_change=table[12],
        matrix=matrix,
        corrected_map=shown,
    )


def _blank(corrected: _Volume, group: Group, place: int) -> None:
    """Set voxels that are mostly of one region to NaN."""
    if place < len(group.regions):
        region = group.regions[place]
        corrected[region.support][region.mask >= 0.5] = np.nan
    else:
        corrected[group.background >= 0.5] = np.nan
