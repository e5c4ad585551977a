"""Recovery of a sphere behind a Gaussian point spread, in closed form and as one integral.

Soret M, Bacharach SL, Buvat I, J Nucl Med 2007;48:932-945, doi 10.2967/jnumed.106.035774, describe
the effect; the formulas below are the convolution of a uniform sphere with a Gaussian.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import quad

from eprimg_phantoms.pet import FWHM_PER_SD


def centre_recovery(diameter_mm: float, fwhm_mm: float) -> float:
    """Return the value at the centre of a blurred unit sphere in a cold background.

    Parameters
    ----------
    diameter_mm : float
        Diameter of the sphere (mm).
    fwhm_mm : float
        Full width at half maximum of the point spread (mm).

    Returns
    -------
    float
        ``erf(R / (s sqrt 2)) - sqrt(2 / pi) (R / s) exp(-R^2 / (2 s^2))``: the part of a Gaussian
        with standard deviation s that lies within R of its centre.
    """
    if fwhm_mm == 0.0:
        return 1.0
    x = diameter_mm / 2.0 / (fwhm_mm / FWHM_PER_SD)
    return math.erf(x / math.sqrt(2.0)) - math.sqrt(2.0 / math.pi) * x * math.exp(-x * x / 2.0)


def mean_recovery(diameter_mm: float, fwhm_mm: float) -> float:
    """Return the mean of a blurred unit sphere over the sphere itself, in a cold background.

    Parameters
    ----------
    diameter_mm : float
        Diameter of the sphere (mm).
    fwhm_mm : float
        Full width at half maximum of the point spread (mm).

    Returns
    -------
    float
        Probability that a point of the sphere, moved by the point spread, still lies in it: the
        part of the sphere that covers itself after a shift d, ``1 - 3 d / (4 R) + d^3 / (16 R^3)``
        up to 2 R, averaged over the shifts.
    """
    if fwhm_mm == 0.0:
        return 1.0
    radius, sd = diameter_mm / 2.0, fwhm_mm / FWHM_PER_SD

    def weighted(d: float) -> float:
        covered = 1.0 - 0.75 * d / radius + d**3 / (16.0 * radius**3)
        maxwell = math.sqrt(2.0 / math.pi) * d * d / sd**3 * math.exp(-d * d / (2.0 * sd * sd))
        return covered * maxwell

    # Shifts beyond 40 standard deviations do not happen; the narrow peak must not be missed.
    return float(quad(weighted, 0.0, min(2.0 * radius, 40.0 * sd), epsabs=1e-12)[0])


def with_background(recovery: float, ratio: float) -> float:
    """Return measured over true concentration at a sphere to background ratio.

    Parameters
    ----------
    recovery : float
        Recovery in a cold background.
    ratio : float
        True sphere to background ratio; infinite for a cold background.

    Returns
    -------
    float
        ``(RC (a - 1) + 1) / a``, exact for a linear blur.
    """
    return recovery + (1.0 - recovery) / ratio if np.isfinite(ratio) else recovery
