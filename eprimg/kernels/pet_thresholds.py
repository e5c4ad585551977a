"""Threshold of a PET lesion from its maximum, peak, background: one function per named rule.

The constants were fitted by their authors to their own scanners and phantoms; they are parameters
here, and the name of the rule belongs beside every volume.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from eprimg.errors import InputError

__all__ = [
    "LIVER_RULES",
    "THRESHOLD_RULES",
    "LesionLevels",
    "PetConstants",
    "blurred_sphere",
    "lesion_threshold",
    "smallest_apparent_diameter_mm",
]

THRESHOLD_RULES = (
    "adaptive-bg",
    "fixed",
    "percent-of-max",
    "a50",
    "percist",
    "schaefer",
    "nestle",
)
"""Rules that are one number per lesion."""

LIVER_RULES = frozenset({"percist"})
"""Rules whose number comes from a reference organ."""


class PetConstants(NamedTuple):
    """Constants of the rules.

    Attributes
    ----------
    adaptive_fraction : float
        ``adaptive-bg``: part of the height above the background.
    fixed : float
        ``fixed``: threshold in the unit of the map.
    percent : float
        ``percent-of-max``: percent of the maximum.
    a50_fraction : float
        ``a50``: part of the height of the peak above the background.
    percist_factor, percist_sds : float
        ``percist``: factor on the mean of the reference organ, and its standard deviations on top.
    schaefer_mean, schaefer_background : float
        ``schaefer``: factors on mean70 and on the background.
    nestle_beta : float
        ``nestle``: factor on mean70.
    vote_fixed_low : float
        ``majority``: the second fixed threshold, besides ``fixed``.
    vote_least : int
        ``majority``: how many of the four must agree.
    """

    adaptive_fraction: float = 0.41
    fixed: float = 4.0
    percent: float = 41.0
    a50_fraction: float = 0.5
    percist_factor: float = 1.5
    percist_sds: float = 2.0
    schaefer_mean: float = 0.5
    schaefer_background: float = 0.5
    nestle_beta: float = 0.15
    vote_fixed_low: float = 2.5
    vote_least: int = 2


class LesionLevels(NamedTuple):
    """What is known of a lesion, all in the unit of the map.

    Attributes
    ----------
    maximum : float
        Highest value.
    background : float
        Median of the surroundings.
    mean70 : float
        Mean of the values at or above 70 % of the maximum.
    peak : float
        Mean of the hottest 1 mL sphere; NaN where none could be placed.
    reference_mean, reference_sd : float
        Of the reference organ; NaN when there is none.
    """

    maximum: float
    background: float
    mean70: float
    peak: float = math.nan
    reference_mean: float = math.nan
    reference_sd: float = math.nan


def lesion_threshold(
    rule: str, levels: LesionLevels, constants: PetConstants | None = None
) -> float:
    """Threshold of a lesion by a named rule.

    Parameters
    ----------
    rule : str
        One of `THRESHOLD_RULES`.
    levels : LesionLevels
        Maximum, background and the rest, in the unit of the map.
    constants : PetConstants, optional
        Constants of the rules.

    Returns
    -------
    float
        Threshold in the unit of the map; NaN when a level that the rule needs is not known.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for an unknown rule.

    Notes
    -----
    With maximum M, background B, mean70 m (mean of what is at or above 70 % of M) and peak P:

    ``adaptive-bg``: ``B + 0.41 (M - B)``.  ``fixed``: 4 g/mL, a convention of FDG in lymphoma.
    ``percent-of-max``: ``0.41 M``; below a contrast of about 2.5:1 it lies under the background.
    ``a50``: ``B + 0.5 (P - B)``.  ``percist``: ``1.5 mean + 2 SD`` of the liver; SUVbw and
    lean-body SUV give the same mask, because both sides scale alike.  Not valid for a tracer that
    the liver takes up on purpose.  ``schaefer``: ``0.5 m + 0.5 B``; the factors belong to one
    scanner [1]_.  ``nestle``: ``0.15 m + B`` [2]_.

    Valid for a lesion hotter than its surroundings; every rule but ``fixed`` follows the noise of
    the maximum.

    References
    ----------
    .. [1] Schaefer A et al., Eur J Nucl Med Mol Imaging 2008. doi:10.1007/s00259-008-0875-1
    .. [2] Nestle U et al., J Nucl Med 2005;46:1342-1348.
    .. [3] Wahl RL et al., PERCIST. J Nucl Med 2009;50 Suppl 1:122S-150S.
       doi:10.2967/jnumed.108.057307
    """
    c = constants or PetConstants()
    above = levels.background
    if rule == "adaptive-bg":
        return above + c.adaptive_fraction * (levels.maximum - above)
    if rule == "fixed":
        return c.fixed
    if rule == "percent-of-max":
        return c.percent / 100.0 * levels.maximum
    if rule == "a50":
        return above + c.a50_fraction * (levels.peak - above)
    if rule == "percist":
        return c.percist_factor * levels.reference_mean + c.percist_sds * levels.reference_sd
    if rule == "schaefer":
        return c.schaefer_mean * levels.mean70 + c.schaefer_background * above
    if rule == "nestle":
        return c.nestle_beta * levels.mean70 + above
    raise InputError(
        f"there is no threshold rule {rule!r}",
        code="E_ARGUMENT",
        where="rule",
        value=rule,
        action=f"use one of: {', '.join(THRESHOLD_RULES)}",
    )


def blurred_sphere(distance_mm: float, *, radius_mm: float, sigma_mm: float) -> float:
    """Value of a unit sphere blurred by a Gaussian, at a distance from its centre.

    Parameters
    ----------
    distance_mm : float
        From the centre, in mm.
    radius_mm : float
        Radius of the sphere in mm.
    sigma_mm : float
        Standard deviation of the Gaussian in mm, above 0.

    Returns
    -------
    float
        Between 0 and 1.

    Notes
    -----
    Closed form: ``(erf(a) + erf(b)) / 2 - s / (r sqrt(2 pi)) (exp(-a^2) - exp(-b^2))`` with
    ``a = (R - r) / (sqrt(2) s)``, ``b = (R + r) / (sqrt(2) s)``; at the centre
    ``erf(u) - 2 u exp(-u^2) / sqrt(pi)`` with ``u = R / (sqrt(2) s)``.
    """
    root = math.sqrt(2.0) * sigma_mm
    if distance_mm < 1e-6 * sigma_mm:
        u = radius_mm / root
        return math.erf(u) - 2.0 * u * math.exp(-u * u) / math.sqrt(math.pi)
    a, b = (radius_mm - distance_mm) / root, (radius_mm + distance_mm) / root
    rim = sigma_mm / (distance_mm * math.sqrt(2.0 * math.pi))
    return 0.5 * (math.erf(a) + math.erf(b)) - rim * (math.exp(-a * a) - math.exp(-b * b))


def smallest_apparent_diameter_mm(
    diameter_mm: float, *, psf_fwhm_mm: float, fraction: float = 0.41
) -> float:
    """Diameter that a sphere of a given size seems to have at a threshold above the background.

    Parameters
    ----------
    diameter_mm : float
        True diameter in mm.
    psf_fwhm_mm : float
        Full width at half maximum of the blur in mm, the voxel's included.
    fraction : float, optional
        Part of the height above the background.

    Returns
    -------
    float
        Diameter in mm of the surface at that part of the (blurred) height.

    Notes
    -----
    Blur sets a floor: the apparent diameter of a point is ``2 s sqrt(-2 ln fraction)``.  A lesion
    that seems no larger than a sphere of two voxels would may be any smaller one.
    """
    sigma = psf_fwhm_mm / math.sqrt(8.0 * math.log(2.0))
    radius = 0.5 * diameter_mm
    level = fraction * blurred_sphere(0.0, radius_mm=radius, sigma_mm=sigma)
    low, high = 0.0, radius + 6.0 * sigma
    for _ in range(60):
        middle = 0.5 * (low + high)
        if blurred_sphere(middle, radius_mm=radius, sigma_mm=sigma) > level:
            low = middle
        else:
            high = middle
    return low + high
