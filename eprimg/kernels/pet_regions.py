"""One PET lesion around a point, by a named method, on a local part of the volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import GeometryError, InputError
from eprimg.kernels._pet_classes import flab_like, gradient_watershed, three_classes
from eprimg.kernels._pet_size import (
    below_reason,
    diameter_mm_of,
    resolution_mm,
    thin_reason,
    whole_voxels,
)
from eprimg.kernels._pet_voi import (
    Surroundings,
    climb,
    component,
    finer,
    fraction_of,
    look_around,
)
from eprimg.kernels.label_boxes import Box
from eprimg.kernels.peak import suv_peak
from eprimg.kernels.pet_thresholds import (
    THRESHOLD_RULES,
    LesionLevels,
    PetConstants,
    lesion_threshold,
)

__all__ = ["PET_METHODS", "PetRegion", "segment_lesion"]

PET_METHODS = (*THRESHOLD_RULES, "gradient-watershed", "flab", "gmm", "majority")
"""Methods by name; the first is the default."""

_VOTERS = ("fixed-low", "fixed", "percent-of-max", "a50")
_REACH_MM = 30.0
_LIMIT_MM = 200.0
_MOST = 0.5
"""A region that fills more than this part of the box around it is its surroundings."""


class PetRegion(NamedTuple):
    """A delineated lesion, or why there is none.

    Attributes
    ----------
    box : tuple of slice
        Part of the volume that was looked at.
    mask : ndarray of bool, shape of the box
        Whole voxels of the lesion: the fullest ones, and of equally full ones the hottest, as many
        as bring their volume nearest to that of `fine_mask`; at least one.  Equally full and
        equally hot ones belong all or none when that is within 3 % of the volume.
    fraction : ndarray of float32, shape of the box
        Part of every voxel that belongs to the lesion.
    fine_mask : ndarray of bool, `upsampling` times the shape of the box
        The lesion on the finer grid.
    volume_ml : float
        Volume on the finer grid in mL; NaN when it failed or lies below the resolution.
    threshold : float
        In the unit of the map; NaN for a method without one.
    background, maximum : float
        Median of the surroundings and highest voxel, in the unit of the map.
    equivalent_diameter_mm : float
        Diameter of the sphere of the same volume, before anything is withheld.
    below_resolution : bool
        The lesion seems no larger than a sphere of two voxels, blurred, would, or is less than two
        voxels wide along an axis.
    below_reason : str
        Which of these it is, with the sizes that were compared; empty when it is none.
    clipped : bool
        It touches the edge of the volume.
    reason : str
        Why there is no region; empty when there is one.
    """

    box: Box
    mask: NDArray[np.bool_]
    fraction: NDArray[np.float32]
    fine_mask: NDArray[np.bool_]
    volume_ml: float
    threshold: float
    background: float
    maximum: float
    equivalent_diameter_mm: float
    below_resolution: bool
    below_reason: str
    clipped: bool
    reason: str


def segment_lesion(
    values: NDArray[np.floating[Any]],
    spacing_mm: Sequence[float] | NDArray[np.floating[Any]],
    seed_index: Sequence[int],
    *,
    method: str = "adaptive-bg",
    constants: PetConstants | None = None,
    psf_fwhm_mm: float = 6.0,
    reference: tuple[float, float] | None = None,
    valid: NDArray[np.bool_] | None = None,
    within: NDArray[np.bool_] | None = None,
    snap_mm: float = 6.0,
    upsampling: int = 2,
    fill_holes: bool = True,
) -> PetRegion:
    """Delineate the lesion around a point.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        PET map; NaN is never in the lesion.
    spacing_mm : sequence of float, shape (3,)
        Voxel spacing along (k, j, i) in mm.
    seed_index : sequence of int, shape (3,)
        A voxel (k, j, i) in the lesion; from there the way goes up in steps of `snap_mm`.
    method : str, optional
        One of `PET_METHODS`.
    constants : PetConstants, optional
        Constants of the rules.
    psf_fwhm_mm : float, optional
        Full width at half maximum of the scanner's blur in mm.
    reference : (float, float), optional
        Mean and standard deviation of the reference organ, for ``percist``.
    valid : ndarray of bool, shape (k, j, i), optional
        Voxels that may be used.
    within : ndarray of bool, shape (k, j, i), optional
        The lesion stays inside.
    snap_mm : float, optional
        How far one step to a higher voxel may go, in mm; 0 takes the seed as it is.  Below the
        width of a valley between two lesions, so that the way does not lead across.
    upsampling : int, optional
        Finer voxels per voxel and axis (1 to 4); 2 is what was measured.
    fill_holes : bool, optional
        Count a cold core that is closed in on all sides.

    Returns
    -------
    PetRegion
        The lesion; or an empty mask, a NaN volume and the reason.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: unknown method, a number out of range, ``percist`` without a reference.
    GeometryError
        ``E_ARGUMENT``: shapes differ, or the seed lies outside the volume.

    Notes
    -----
    The surroundings are interpolated (cubic B-spline) to voxels of half the size, so that a lesion
    of few voxels is not cut in whole ones.  ``flab`` follows the idea of [1]_ (two hard classes,
    fuzzy ones between, priors from the neighbourhood), with expectation maximisation in place of
    its stochastic estimation; it is not that program.  ``majority`` takes what at least two of four
    rules take (two fixed thresholds, percent of the maximum, A50).

    A lesion that seems no larger than a blurred sphere of two voxels gets a mask, for its maximum
    and peak, but no volume: the volume of such a lesion is that of the blur.

    References
    ----------
    .. [1] Hatt M et al., IEEE Trans Med Imaging 2009;28:881-893. doi:10.1109/TMI.2008.2012036
    """
    spacing = _checked(values, spacing_mm, seed_index, valid, within, psf_fwhm_mm, upsampling)
    if method not in PET_METHODS:
        raise _refused("method", method, f"use one of: {', '.join(PET_METHODS)}")
    if method == "percist" and reference is None:
        raise _refused("reference", None, "percist needs the reference organ's mean and SD")
    c = constants or PetConstants()
    usable = np.isfinite(values)
    for mask in (valid, within):
        if mask is not None:
            usable &= mask
    seed = (int(seed_index[0]), int(seed_index[1]), int(seed_index[2]))
    top = climb(values, usable, spacing, seed, snap_mm)
    if top is None:
        return _failed((slice(0, 1),) * 3, upsampling, "no voxel at the seed can be used")
    reach = _REACH_MM
    while True:
        around = look_around(
            values, usable, spacing, top, fraction=c.adaptive_fraction, psf_mm=psf_fwhm_mm,
            reach_mm=reach, limit_mm=_LIMIT_MM,
        )  # fmt: skip
        finely = finer(around.values, upsampling)
        found = _delineated(around, finely, spacing, method, c, psf_fwhm_mm, reference, upsampling)
        if isinstance(found, str):
            return _failed(around.box, upsampling, found, around)
        fine, threshold = found
        leaves = _leaves(fine, around.box, values.shape)
        if np.count_nonzero(fine) > _MOST * fine.size or (leaves and reach >= _LIMIT_MM):
            why = "the region fills the search box: it leaks into the surroundings"
            return _failed(around.box, upsampling, why, around, threshold)
        if not leaves:
            break
        reach = min(2.0 * reach, _LIMIT_MM)
    if fill_holes:
        fine = np.asarray(ndimage.binary_fill_holes(fine))
        fine &= _repeated(around.usable, upsampling)
    return _measured(fine, finely, around, spacing, threshold, c, psf_fwhm_mm, upsampling)


def _delineated(
    around: Surroundings,
    fine: NDArray[np.float64],
    spacing: tuple[float, float, float],
    method: str,
    c: PetConstants,
    psf_mm: float,
    reference: tuple[float, float] | None,
    factor: int,
) -> tuple[NDArray[np.bool_], float] | str:
    """Mask on the finer grid with its threshold, or why there is none."""
    free_of_background = method in ("fixed", "percist", "percent-of-max")
    if not free_of_background and math.isnan(around.background):
        return "nothing of the surroundings is left to take the background from"
    if not free_of_background and not around.maximum > around.background:
        return "the seed is not above its surroundings"
    usable = _repeated(around.usable, factor)
    rough = _repeated(around.rough, factor)
    if not rough.any():
        return "the seed is not above its surroundings"
    best = np.unravel_index(int(np.argmax(np.where(rough, fine, -np.inf))), fine.shape)
    top = (int(best[0]), int(best[1]), int(best[2]))
    levels = _levels(around, fine, rough, spacing, method, reference)
    step = tuple(s / factor for s in spacing)
    if method in THRESHOLD_RULES:
        threshold = lesion_threshold(method, levels, c)
        if math.isnan(threshold):
            return f"a level that {method} needs is not known"
        if threshold <= levels.background:
            return _under(threshold, levels.background)
        mask = component(usable & (fine >= threshold), top)
        # a spline overshoots: what no voxel reaches is not reached
        if around.maximum < threshold or not mask.any():
            return f"nothing at the seed reaches the threshold of {threshold:.4g}"
        return mask, threshold
    if method == "majority":
        thresholds = [
            c.vote_fixed_low if rule == "fixed-low" else lesion_threshold(rule, levels, c)
            for rule in _VOTERS
        ]
        if sorted(thresholds)[c.vote_least - 1] <= levels.background:
            return _under(sorted(thresholds)[c.vote_least - 1], levels.background)
        votes = sum((fine >= t).astype(np.int8) for t in thresholds)
        mask = component(usable & (votes >= c.vote_least), top)
        return (mask, math.nan) if mask.any() else "too few rules agree at the seed"
    inside = _repeated(_near(around, spacing, psf_mm), factor)
    if method == "gmm":
        chosen = three_classes(
            fine, inside, background=levels.background, maximum=levels.maximum
        )  # fmt: skip
    elif method == "flab":
        chosen = flab_like(fine, inside, background=levels.background, maximum=levels.maximum)
    else:
        chosen = gradient_watershed(
            fine, inside, (step[0], step[1], step[2]), top, background=levels.background,
            maximum=levels.maximum, sigma_mm=0.25 * psf_mm,
        )  # fmt: skip
    mask = component(usable & chosen, top)
    return (mask, math.nan) if mask.any() else f"{method} gives nothing at the seed"


def _under(threshold: float, background: float) -> str:
    return (
        f"the threshold of {threshold:.4g} lies under the background of {background:.4g}: it "
        "leaks into the surroundings"
    )


def _levels(
    around: Surroundings,
    fine: NDArray[np.float64],
    rough: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    method: str,
    reference: tuple[float, float] | None,
) -> LesionLevels:
    maximum = float(fine[rough].max())
    hot = fine[rough & (fine >= 0.7 * maximum)]
    peak = math.nan
    if method in ("a50", "majority"):
        labels = around.rough.astype(np.int32)
        peak = float(suv_peak(around.values, labels, spacing, valid=around.usable).peak[0])
    mean, sd = reference or (math.nan, math.nan)
    mean70 = float(hot.mean()) if hot.size else math.nan
    return LesionLevels(maximum, around.background, mean70, peak, mean, sd)


def _near(
    around: Surroundings, spacing: tuple[float, float, float], psf_mm: float
) -> NDArray[np.bool_]:
    """Lesion and rim, without anything else that is hot: what a mixture may look at."""
    near = ndimage.distance_transform_edt(~around.rough, sampling=spacing) <= 2.0 * psf_mm
    if around.other.any():
        near &= ndimage.distance_transform_edt(~around.other, sampling=spacing) > psf_mm
    return np.asarray(near & around.usable)


def _measured(
    fine: NDArray[np.bool_],
    finely: NDArray[np.float64],
    around: Surroundings,
    spacing: tuple[float, float, float],
    threshold: float,
    c: PetConstants,
    psf_mm: float,
    factor: int,
) -> PetRegion:
    fraction = fraction_of(fine, factor)
    mask = whole_voxels(fraction, around.values)
    volume_ml = float(np.count_nonzero(fine)) * math.prod(spacing) / 1000.0 / factor**3
    diameter = diameter_mm_of(volume_ml)
    # The size is judged by one rule, whatever the method: a method may miss most of a lesion.
    size = diameter
    if not math.isnan(around.background):
        height = around.maximum - around.background
        at = around.background + c.adaptive_fraction * height
        rough = ndimage.binary_dilation(_repeated(around.rough, factor))
        seen = int(np.count_nonzero(rough & (finely >= at)))
        size = diameter_mm_of(seen * math.prod(spacing) / 1000.0 / factor**3)
    limit = resolution_mm(spacing, psf_mm, c.adaptive_fraction, factor)
    why = below_reason(size, diameter, limit, c.adaptive_fraction) or thin_reason(fine, factor)
    below = bool(why)
    return PetRegion(
        around.box, mask, fraction, fine, math.nan if below else volume_ml, threshold,
        around.background, around.maximum, diameter, below, why, around.clipped, "",
    )  # fmt: skip


def _failed(
    box: Box,
    factor: int,
    reason: str,
    around: Surroundings | None = None,
    threshold: float = math.nan,
) -> PetRegion:
    shape = tuple(b.stop - b.start for b in box)
    return PetRegion(
        box, np.zeros(shape, np.bool_), np.zeros(shape, np.float32),
        np.zeros([n * factor for n in shape], np.bool_), math.nan, threshold,
        math.nan if around is None else around.background,
        math.nan if around is None else around.maximum,
        math.nan, False, "", around is not None and around.clipped, reason,
    )  # fmt: skip


def _repeated(mask: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    if factor == 1:
        return mask.copy()
    return np.asarray(mask.repeat(factor, 0).repeat(factor, 1).repeat(factor, 2))


def _leaves(fine: NDArray[np.bool_], box: Box, shape: tuple[int, ...]) -> bool:
    """Tell whether a mask touches a face of the box that is not a face of the volume."""
    for axis, (part, size) in enumerate(zip(box, shape, strict=True)):
        for side, free in ((0, part.start > 0), (-1, part.stop < size)):
            if free and np.take(fine, side, axis=axis).any():
                return True
    return False


def _refused(where: str, value: object, action: str) -> InputError:
    return InputError(
        f"{where} cannot be used", code="E_ARGUMENT", where=where, value=value, action=action
    )


def _checked(
    values: NDArray[Any],
    spacing_mm: Any,
    seed_index: Sequence[int],
    valid: NDArray[np.bool_] | None,
    within: NDArray[np.bool_] | None,
    psf_fwhm_mm: float,
    upsampling: int,
) -> tuple[float, float, float]:
    if values.ndim != 3 or any(m is not None and m.shape != values.shape for m in (valid, within)):
        raise GeometryError(
            "a lesion needs one volume (k, j, i), and masks of its shape",
            code="E_ARGUMENT",
            where="values",
            value=values.shape,
        )
    spacing = tuple(float(s) for s in spacing_mm)
    if len(spacing) != 3 or not all(math.isfinite(s) and s > 0.0 for s in spacing):
        raise _refused("spacing_mm", spacing, "give three positive spacings in mm")
    if len(seed_index) != 3 or any(
        not 0 <= int(s) < n for s, n in zip(seed_index, values.shape, strict=True)
    ):
        raise GeometryError(
            "the seed lies outside the volume",
            code="E_ARGUMENT",
            where="seed_index",
            value=tuple(seed_index),
            action="give a voxel (k, j, i) of the volume",
        )
    if not (math.isfinite(psf_fwhm_mm) and psf_fwhm_mm > 0.0):
        raise _refused("psf_fwhm_mm", psf_fwhm_mm, "give the blur of the scanner in mm, above 0")
    if upsampling not in (1, 2, 3, 4):
        raise _refused("upsampling", upsampling, "use 2 (1 to 4)")
    return spacing[0], spacing[1], spacing[2]
