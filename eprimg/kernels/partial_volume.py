"""Partial-volume correction: what the blur of the scanner took from a lesion, and how surely.

Three methods need regions and the width of the point-spread function: the geometric transfer matrix
(region means), iterative Yang (means and a map), single-target correction (one mask).  A table of
phantom spheres needs neither.  Raw and corrected values always come side by side: for small lesions
the corrected one hangs on the boundary of the mask even more than the raw one, and is noisier; see
`mask_error_sensitivity`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._partial_volume_blur import (
    Edge,
    Kernel,
    argument,
    check_volume,
    fraction_psf,
    gaussian_blur,
    make_psf,
)
from eprimg.kernels._partial_volume_boundary import MovedMeans, moved_means, moved_regions
from eprimg.kernels._partial_volume_input import Fwhm, Spacing, at_least, make_noise, start
from eprimg.kernels._partial_volume_recovery import (
    RecoveryEstimate,
    RecoveryRecord,
    parse_recovery_table,
    recovery_coefficient,
)
from eprimg.kernels._partial_volume_regions import Group, make_groups, with_regions
from eprimg.kernels._partial_volume_result import (
    PARTIAL_VOLUME_REASON_TEXT,
    MaskErrorResult,
    PartialVolumeResult,
    assemble,
)
from eprimg.kernels._partial_volume_solve import (
    PartialVolumeReason,
    Solved,
    solve_matrix,
    solve_target,
    solve_yang,
)
from eprimg.kernels._partial_volume_table import RecoveryCorrection, recovery_correction

__all__ = [
    "PARTIAL_VOLUME_REASON_TEXT",
    "Edge",
    "Kernel",
    "MaskErrorResult",
    "MovedMeans",
    "PartialVolumeReason",
    "PartialVolumeResult",
    "RecoveryCorrection",
    "RecoveryEstimate",
    "RecoveryRecord",
    "gaussian_blur",
    "geometric_transfer_matrix",
    "iterative_yang",
    "mask_error_sensitivity",
    "moved_means",
    "parse_recovery_table",
    "recovery_coefficient",
    "recovery_correction",
    "single_target_correction",
]

_Volume = NDArray[np.floating]


def geometric_transfer_matrix(
    image: _Volume,
    regions: NDArray[np.integer] | NDArray[np.floating],
    fwhm_mm: Fwhm,
    spacing_mm: Spacing,
    *,
    kernel: Kernel | None = None,
    valid: NDArray[np.bool_] | None = None,
    voxel_sd: float | _Volume | None = None,
    noise_fwhm_mm: Fwhm | None = None,
    minimum_diameter_fwhm: float = 1.5,
    largest_condition: float = 1e3,
) -> PartialVolumeResult:
    """Correct region means with the geometric transfer matrix (GTM).

    Parameters
    ----------
    image : ndarray of float32 or float64, shape (k, j, i)
        Map, linear in activity (Bq/mL, SUV); NaN is left out.
    regions : ndarray of int, shape (k, j, i), or of float, shape (k, j, i, n)
        Labels (zero and negative ones are background), or fractions of each voxel that add up to at
        most 1.  What the regions leave is background; further backgrounds are regions like others.
    fwhm_mm : float or sequence of float, shape (3,)
        Full width at half maximum of the point-spread function in mm.
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.
    kernel : {"sampled", "integrated"}, optional
        See `gaussian_blur`.  Left out: integrated for labels, sampled for fractions.
    valid : ndarray of bool, shape (k, j, i), optional
        Voxels whose values may enter; activity in the others still spreads.
    voxel_sd : float or ndarray, shape (k, j, i), optional
        Standard deviation of the noise per voxel, in the unit of the map; may be NaN where the map
        is not valid.  Left out: root mean square of the residuals of the group.
    noise_fwhm_mm : float or sequence of float, optional
        Width of the Gaussian that made the noise smooth, in mm; 0 is white noise.  Left out:
        `fwhm_mm`, which is on the safe side for reconstructed PET.
    minimum_diameter_fwhm : float, optional
        Regions whose equivalent diameter is less than this many FWHM (geometric mean of the axes)
        get no corrected value; their spread into others still counts.
    largest_condition : float, optional
        A group whose matrix has a larger condition number is refused.

    Returns
    -------
    PartialVolumeResult
        Without a map.

    Raises
    ------
    InputError
        An argument is out of range, or masks overlap.
    GeometryError
        Shapes differ.

    Notes
    -----
    With region masks p_j, blur h and ``w_ij = sum(p_i (h * p_j)) / sum(p_i)`` measured means are
    ``t = w T``, so ``T = w^-1 t``.  Errors: ``w^-1 cov(t) w^-T``, where ``cov(t_i, t_j)`` sums the
    noise of voxel pairs with correlation ``exp(-d^2 / (4 s^2))``, s = noise FWHM / 2.355.

    Valid for regions that are uniform inside, masks that are right, and a point-spread function
    that is Gaussian and the same all over the group.  The errors hold noise alone.  The background
    is the box around a group with a margin of four standard deviations (1.7 FWHM).  Beyond the
    border of the volume its mirror image is taken to go on.  1.5 FWHM: below it, less than about
    0.4 of a sphere's activity is seen in it.

    References
    ----------
    .. [1] Rousset OG, Ma Y, Evans AC, J Nucl Med 1998;39:904-911.
    .. [2] Erlandsson K et al., Phys Med Biol 2012;57:R119-R159. doi:10.1088/0031-9155/57/21/R119
    """
    psf, groups = start(image, regions, fwhm_mm, spacing_mm, kernel, valid)
    noise = make_noise(image, psf, voxel_sd, noise_fwhm_mm, valid)
    limit = at_least(largest_condition, "largest_condition", 1.0)
    solved = [solve_matrix(g, noise, limit) for g in groups]
    return assemble("gtm", psf, 0, groups, solved, minimum_diameter_fwhm, None)


def iterative_yang(
    image: _Volume,
    regions: NDArray[np.integer] | NDArray[np.floating],
    fwhm_mm: Fwhm,
    spacing_mm: Spacing,
    *,
    n_iterations: int = 10,
    kernel: Kernel | None = None,
    valid: NDArray[np.bool_] | None = None,
    voxel_sd: float | _Volume | None = None,
    noise_fwhm_mm: Fwhm | None = None,
    minimum_diameter_fwhm: float = 1.5,
    largest_condition: float = 1e3,
    standard_errors: bool = True,
) -> PartialVolumeResult:
    """Correct a map voxel by voxel, with region means that are updated (iterative Yang).

    Parameters
    ----------
    image, regions, fwhm_mm, spacing_mm, kernel, valid, voxel_sd, noise_fwhm_mm
        See `geometric_transfer_matrix`.
    n_iterations : int, optional
        Iterations, at least 1; `last_change` of the result tells whether they were enough.
    minimum_diameter_fwhm, largest_condition : float, optional
        See `geometric_transfer_matrix`.
    standard_errors : bool, optional
        False leaves them out (NaN): they take about as long as the correction.

    Returns
    -------
    PartialVolumeResult
        With a map.

    Raises
    ------
    InputError
        An argument is out of range, or masks overlap.
    GeometryError
        Shapes differ.

    Notes
    -----
    From ``f_0 = f``: ``T_i = mean of f_n in region i``, ``s = sum(T_i p_i)``,
    ``f_(n+1) = f s / (h * s)``.  As the blur is linear, ``h * s = sum(T_i (h * p_i))``: every mask
    is blurred once, in its own box.  Means over fractions hold a mixture at the rim even in a
    perfect map; T is freed from it with ``Q T = mean``, ``Q_ij = sum(p_i p_j) / sum(p_i)`` (of
    labels: the unit matrix).  Negative means enter s as 0; such a region gets no corrected value,
    nor one that sees more than 1 % of its own mean of it.  Standard errors are those of the settled
    iteration, to first order.

    Valid as the matrix is; texture inside of a region is kept, not restored.

    References
    ----------
    .. [1] Yang J et al., IEEE Trans Nucl Sci 1996;43:3322-3327.
    .. [2] Erlandsson K et al., Phys Med Biol 2012;57:R119-R159. doi:10.1088/0031-9155/57/21/R119
    .. [3] Thomas BA et al., Phys Med Biol 2016;61:7975-7993. doi:10.1088/0031-9155/61/22/7975
    """
    psf, groups = start(image, regions, fwhm_mm, spacing_mm, kernel, valid)
    noise = make_noise(image, psf, voxel_sd, noise_fwhm_mm, valid)
    steps = int(at_least(n_iterations, "n_iterations", 1))
    limit = at_least(largest_condition, "largest_condition", 1.0)
    solved = [solve_yang(g, noise, limit, steps, with_se=standard_errors) for g in groups]
    shown = np.full(image.shape, np.nan, dtype=image.dtype)
    return assemble("iterative_yang", psf, steps, groups, solved, minimum_diameter_fwhm, shown)


def single_target_correction(
    image: _Volume,
    mask: NDArray[np.bool_],
    fwhm_mm: Fwhm,
    spacing_mm: Spacing,
    *,
    n_iterations: int = 10,
    kernel: Kernel = "integrated",
    voxel_sd: float | _Volume | None = None,
    noise_fwhm_mm: Fwhm | None = None,
    minimum_diameter_fwhm: float = 1.5,
) -> PartialVolumeResult:
    """Correct one target whose surroundings are not uniform (single-target correction, STC).

    Parameters
    ----------
    image, fwhm_mm, spacing_mm, noise_fwhm_mm, minimum_diameter_fwhm
        See `geometric_transfer_matrix`.
    mask : ndarray of bool, shape (k, j, i)
        The target.
    n_iterations : int, optional
        Iterations, at least 1.
    kernel : {"sampled", "integrated"}, optional
        See `gaussian_blur`.
    voxel_sd : float or ndarray, shape (k, j, i), optional
        Standard deviation of the noise per voxel.  Left out: no standard errors, for the method
        leaves no residuals to take it from.

    Returns
    -------
    PartialVolumeResult
        One region with label 1, without a row for the background; with a map.

    Raises
    ------
    InputError
        An argument is out of range, or the mask is empty.
    GeometryError
        Shapes differ.

    Notes
    -----
    With mask p and q = 1 - p, from ``f_0 = f``:
    ``f_(n+1) = (f - p (h * (q f_n)) - q (h * (p f_n))) / (p (h * p) + q (h * q))``.
    Voxels are not tied to region means, so noise grows with the iterations; the standard errors
    follow it exactly, for the method is linear in the map.  Use it when one mask is all there is.

    References
    ----------
    .. [1] Thomas BA et al., Phys Med Biol 2016;61:7975-7993. doi:10.1088/0031-9155/61/22/7975
       (toolbox that holds the method)
    """
    check_volume(image)
    if mask.dtype != np.bool_ or not mask.any():
        raise argument("The target is a mask of bool with a voxel in it.", "mask", mask.dtype.name)
    psf = make_psf(fwhm_mm, spacing_mm, kernel)
    noise = make_noise(image, psf, voxel_sd, noise_fwhm_mm, None)
    steps = int(at_least(n_iterations, "n_iterations", 1))
    # Twice the reach: what lies beyond the box may not touch the voxels that touch the target.
    far = max(r * h for r, h in zip(psf.reach, psf.spacing_mm, strict=True))
    groups = make_groups(image, mask.astype(np.int8), psf, None, extra_mm=far)
    solved = [solve_target(g, psf, noise, steps) for g in groups]
    shown = np.full(image.shape, np.nan, dtype=image.dtype)
    return assemble("single_target", psf, steps, groups, solved, minimum_diameter_fwhm, shown)


def mask_error_sensitivity(
    image: _Volume,
    labels: NDArray[np.integer],
    fwhm_mm: Fwhm,
    spacing_mm: Spacing,
    *,
    method: Literal["gtm", "iterative_yang"] = "gtm",
    boundary_error_mm: float = 1.0,
    only: Collection[int] | None = None,
    n_iterations: int = 10,
    kernel: Kernel | None = None,
    valid: NDArray[np.bool_] | None = None,
    voxel_sd: float | _Volume | None = None,
    noise_fwhm_mm: Fwhm | None = None,
    minimum_diameter_fwhm: float = 1.5,
    largest_condition: float = 1e3,
) -> MaskErrorResult:
    """Correct again with the boundary of each region moved in and out.

    Parameters
    ----------
    image, fwhm_mm, spacing_mm, kernel, valid, voxel_sd, noise_fwhm_mm
        See `geometric_transfer_matrix`.
    labels : ndarray of int, shape (k, j, i)
        Labels; zero and negative ones are background.
    method : {"gtm", "iterative_yang"}, optional
        Which correction.
    boundary_error_mm : float, optional
        Standard uncertainty of the boundary in mm.
    only : collection of int, optional
        Labels whose boundary is moved; all when left out.
    n_iterations : int, optional
        Iterations of iterative Yang.
    minimum_diameter_fwhm, largest_condition : float, optional
        See `geometric_transfer_matrix`.

    Returns
    -------
    MaskErrorResult
        Result with the masks as they are, and the change with the boundary.

    Raises
    ------
    InputError
        An argument is out of range.
    GeometryError
        Shapes differ.

    Notes
    -----
    One region at a time; its boundary moves everywhere by the same distance, which is the worst of
    all boundary errors of that size: an error that changes sign around the lesion costs less.  Only
    between a higher and a lower neighbour it costs more; there the boundary also moves out towards
    the one and in from the other, and the larger difference counts.
    Voxels at the boundary take the fraction that a plane at the signed distance would cut off, so a
    shift below a voxel counts: spheres from 13 mm on move by 1 mm within 5 % on voxels up to 2 mm,
    within 20 % up to 4 mm.  What a region gains is taken from its neighbour, what it loses goes
    to the nearest one, be that background or another region; only a neighbour that would lose more
    than half of itself stays as it is.
    """
    if method not in ("gtm", "iterative_yang"):
        raise argument("The method is gtm or iterative_yang.", "method", method)
    if labels.ndim != 3:
        raise argument("Boundaries are moved on integer labels.", "labels", labels.shape)
    shift = at_least(boundary_error_mm, "boundary_error_mm", 0.0)
    limit = at_least(largest_condition, "largest_condition", 1.0)
    steps = int(at_least(n_iterations, "n_iterations", 1)) if method == "iterative_yang" else 0
    psf, groups = start(image, labels, fwhm_mm, spacing_mm, kernel, valid, extra_mm=shift)
    noise = make_noise(image, psf, voxel_sd, noise_fwhm_mm, valid)

    def solve(group: Group, errors: bool) -> Solved:
        if method == "gtm":
            return solve_matrix(group, noise, limit, with_se=errors)
        return solve_yang(group, noise, limit, steps, with_se=errors)

    shown = None if method == "gtm" else np.full(image.shape, np.nan, dtype=image.dtype)
    solved = [solve(g, True) for g in groups]
    base = assemble(method, psf, steps, groups, solved, minimum_diameter_fwhm, shown)
    raw, moved = (np.full((4, base.label.size), np.nan) for _ in range(2))
    opposed = np.zeros(base.label.size, dtype=bool)
    row = 0
    for number, group in enumerate(groups):
        for place, region in enumerate(group.regions):
            wanted = only is None or region.label in only
            if not wanted or base.reason[row + place] != PartialVolumeReason.OK:
                continue
            means = solved[number].corrected
            sides = moved_regions(group, place, (psf, fraction_psf(psf)), shift, means)
            opposed[row + place] = len(sides) > 2
            for side, regions in enumerate(sides):
                again = solve(with_regions(group, regions), False)
                raw[side, row + place] = again.transfer.raw[place]
                if again.reason[place] == PartialVolumeReason.OK:
                    moved[side, row + place] = again.corrected[place]
        row = int(np.searchsorted(base.group, number, side="right"))
    mask_se = 0.5 * np.abs(moved[0] - moved[1])
    worse = np.maximum(mask_se, 0.5 * np.abs(moved[2] - moved[3]))
    mask_se = np.where(opposed, worse, mask_se)
    combined = np.hypot(mask_se, base.corrected_se)
    return MaskErrorResult(
        base, shift, raw[0], raw[1], moved[0], moved[1], mask_se=mask_se, combined_se=combined
    )
