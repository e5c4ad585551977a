"""What of a change of R2* lies in blood, what has left it, and how large the vessels are.

All functions take changes: R2* (or R2) after minus before the agent, in 1/s.  Standard errors are
first-order propagation of independent errors; what all numbers share (relaxivity, drift between
sessions) is in none of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.kernels._kinetic_arrays import argument, broadcast

__all__ = [
    "VASCULAR_REASON_TEXT",
    "VascularReason",
    "VascularValue",
    "early_permeability",
    "extravascular_change",
    "fractional_blood_volume",
    "late_retention",
    "vessel_size_q",
]

_Array = NDArray[np.float64]


class VascularReason(IntEnum):
    """Why there is no value; `VASCULAR_REASON_TEXT` says it in words."""

    OK = 0
    NON_FINITE = 1
    NON_POSITIVE = 2
    BAD_ERROR = 3
    DENOMINATOR_UNCERTAIN = 4


VASCULAR_REASON_TEXT: Mapping[VascularReason, str] = MappingProxyType(
    {
        VascularReason.OK: "formed",
        VascularReason.NON_FINITE: "a change is NaN or infinite",
        VascularReason.NON_POSITIVE: "a change that has to be divided by, or to be raised to a "
        "power, is zero or negative",
        VascularReason.BAD_ERROR: "a standard error is negative or infinite",
        VascularReason.DENOMINATOR_UNCERTAIN: "the change that has to be divided by is too small "
        "against its standard error",
    }
)
"""One plain sentence per reason code."""

_LEAST_OVER_SE = 3.0
"""Below this multiple of its standard error nothing is divided by a change: first-order propagation
drops a bias of the order of the squared relative error, 11 % there."""


class VascularValue(NamedTuple):
    """A value per voxel or lesion: unit as the function says.

    Attributes
    ----------
    value : ndarray of float32 or float64
        NaN where `reason` is not OK.
    standard_error : ndarray, same type
        NaN also where a standard error was not given.
    reason : ndarray of uint8
        `VascularReason`.
    """

    value: NDArray[np.floating]
    standard_error: NDArray[np.floating]
    reason: NDArray[np.uint8]


def fractional_blood_volume(
    tissue: ArrayLike,
    blood: ArrayLike,
    *,
    tissue_se: ArrayLike | None = None,
    blood_se: ArrayLike | None = None,
) -> VascularValue:
    """Give the fractional blood volume: change of tissue over change of blood.

    Parameters
    ----------
    tissue, blood : array-like of float, shapes that broadcast
        Changes of R2* in 1/s, or of R1 in 1/s for both, soon after the injection.
    tissue_se, blood_se : array-like of float, optional
        Standard errors in 1/s.

    Returns
    -------
    VascularValue
        Ratio without unit (0.05 is 5 %).  It is neither cut to 0 nor to 1.

    Raises
    ------
    InputError
        The shapes do not fit.

    Notes
    -----
    ``fBV = dR2*(tissue) / dR2*(blood)`` with relative errors in quadrature.  It takes for granted
    that all agent is in vessels, that its relaxivity is the same in large and small vessels, and
    that R2* rises linearly with its concentration.  None of it holds strictly: R2* of
    whole blood is not linear in ferumoxytol (Knobloch et al., Invest Radiol 2018), and in small
    vessels it depends on their size and direction.  The ratio of changes of R1, taken with
    ultra-short echoes, does not depend on the dose and suffers less (Han et al., NeuroImage
    2015;112:382-389); hand those in where they are there.
    """
    (t, b, st, sb), dtype = broadcast(tissue, blood, tissue_se, blood_se)
    reason = _faults((t, b), (st, sb))
    _check_denominator(reason, b, sb)
    with np.errstate(all="ignore"):
        value = t / b
        error = np.sqrt(st**2 + (value * sb) ** 2) / b
    return _given(reason, dtype, value, error)


def extravascular_change(
    tissue: ArrayLike,
    blood: ArrayLike,
    first_tissue: ArrayLike,
    first_blood: ArrayLike,
    *,
    tissue_se: ArrayLike | None = None,
    blood_se: ArrayLike | None = None,
    first_tissue_se: ArrayLike | None = None,
    first_blood_se: ArrayLike | None = None,
) -> VascularValue:
    """Change of tissue without the part that is still in its vessels.

    Parameters
    ----------
    tissue, blood : array-like of float, shapes that broadcast
        Changes of R2* in 1/s at the time that is asked for.
    first_tissue, first_blood : array-like of float, broadcast
        Changes at a first scan, when the agent was in the vessels only.
    tissue_se, blood_se, first_tissue_se, first_blood_se : array-like of float, optional
        Standard errors in 1/s.

    Returns
    -------
    VascularValue
        In 1/s; negative values are kept.

    Raises
    ------
    InputError
        The shapes do not fit.

    Notes
    -----
    ``E(t) = T(t) - fBV(t0) B(t)`` with ``fBV(t0) = T(t0) / B(t0)``, T and B being the changes of
    tissue and blood, so ``E(t) = T(t) - T(t0) B(t) / B(t0)``.  The four numbers enter with the
    derivatives ``1``, ``-T0/B0``, ``-B/B0`` and ``T0 B / B0^2``.  What had leaked by t0 counts as
    blood, so E is too low by as much.  The assumptions of `fractional_blood_volume` hold here too.
    A fraction that is known otherwise goes into `kinetics.blood_volume_correction`.
    """
    (t, b, t0, b0, st, sb, st0, sb0), dtype = broadcast(
        tissue,
        blood,
        first_tissue,
        first_blood,
        tissue_se,
        blood_se,
        first_tissue_se,
        first_blood_se,
    )
    reason = _faults((t, b, t0, b0), (st, sb, st0, sb0))
    _check_denominator(reason, b0, sb0)
    with np.errstate(all="ignore"):
        fraction = t0 / b0
        value = t - fraction * b
        error = np.sqrt(
            st**2 + (fraction * sb) ** 2 + (b / b0 * st0) ** 2 + (fraction * b / b0 * sb0) ** 2
        )
    return _given(reason, dtype, value, error)


def early_permeability(
    tissue: ArrayLike,
    blood: ArrayLike,
    times_s: ArrayLike,
    *,
    tissue_se: ArrayLike | None = None,
    blood_se: ArrayLike | None = None,
) -> VascularValue:
    """Rate at which signal appears outside the vessels between two early scans.

    Parameters
    ----------
    tissue : array-like of float, shape (..., 2)
        Changes of R2* in 1/s at both scans.
    blood : array-like of float, broadcasts to the shape of `tissue`
        Changes of blood at both scans.
    times_s : array-like of float, shape (2,)
        Seconds since the injection, rising.
    tissue_se, blood_se : array-like of float, optional
        Standard errors in 1/s.

    Returns
    -------
    VascularValue
        In 1/s per s (times 3600: per h).

    Raises
    ------
    InputError
        Not two scans, times that do not rise, or shapes that do not fit.

    Notes
    -----
    ``(T2 - T1 B2/B1) / (t2 - t1)``, the `extravascular_change` over the time between the scans.
    **A house definition, not a published quantity**: early signal is blood and leaked agent, late
    signal is agent in cells, so both are reported on their own.  It is no permeability-surface
    product.  A tight vessel gives zero while blood clears, unlike the difference of slopes
    (`kinetics.two_scan_permeability_index`).
    """
    (t, b, st, sb), _ = broadcast(tissue, blood, tissue_se, blood_se)
    times = np.asarray(times_s, dtype=np.float64)
    if t.ndim == 0 or t.shape[-1] != 2:
        raise argument("give two scans on the last axis", "tissue", t.shape)
    if times.shape != (2,) or not np.isfinite(times).all() or not times[1] > times[0] >= 0.0:
        raise argument("give two rising times, not negative", "times_s", times.tolist())
    found = extravascular_change(
        t[..., 1],
        b[..., 1],
        t[..., 0],
        b[..., 0],
        tissue_se=st[..., 1],
        blood_se=sb[..., 1],
        first_tissue_se=st[..., 0],
        first_blood_se=sb[..., 0],
    )
    gap = float(times[1] - times[0])
    dtype = np.float32 if np.asarray(tissue).dtype == np.float32 else np.float64
    return VascularValue(
        (found.value / gap).astype(dtype), (found.standard_error / gap).astype(dtype), found.reason
    )


def late_retention(
    early_tissue: ArrayLike,
    late_tissue: ArrayLike,
    early_blood: ArrayLike,
    late_blood: ArrayLike,
    *,
    early_tissue_se: ArrayLike | None = None,
    late_tissue_se: ArrayLike | None = None,
    early_blood_se: ArrayLike | None = None,
    late_blood_se: ArrayLike | None = None,
) -> VascularValue:
    """Retention: what tissue keeps of its early signal beyond what blood keeps.

    Parameters
    ----------
    early_tissue, late_tissue, early_blood, late_blood : array-like of float, shapes that broadcast
        Changes of R2* in 1/s at an early scan (minutes to hours) and a late one (a day or more).
    early_tissue_se, late_tissue_se, early_blood_se, late_blood_se : array-like of float, optional
        Standard errors in 1/s.

    Returns
    -------
    VascularValue
        Without unit: 0 for tissue that follows blood, 1 for tissue that has kept all while blood
        has cleared; it can exceed 1.

    Raises
    ------
    InputError
        The shapes do not fit.

    Notes
    -----
    ``T_late/T_early - B_late/B_early``, which is the late `extravascular_change` over the early
    change of tissue.  The variance is the sum of those of both ratios.  **A house definition, not a
    published quantity.**  Agent in cells raises R2* more than the same agent in blood, so the
    number is no fraction of the iron.
    """
    (te, tl, be, bl, ste, stl, sbe, sbl), dtype = broadcast(
        early_tissue,
        late_tissue,
        early_blood,
        late_blood,
        early_tissue_se,
        late_tissue_se,
        early_blood_se,
        late_blood_se,
    )
    reason = _faults((te, tl, be, bl), (ste, stl, sbe, sbl))
    _check_denominator(reason, te, ste)
    _check_denominator(reason, be, sbe)
    with np.errstate(all="ignore"):
        kept, stayed = tl / te, bl / be
        error = np.sqrt(
            (stl**2 + (kept * ste) ** 2) / te**2 + (sbl**2 + (stayed * sbe) ** 2) / be**2
        )
    return _given(reason, dtype, kept - stayed, error)


def vessel_size_q(
    dr2: ArrayLike,
    dr2star: ArrayLike,
    *,
    dr2_se: ArrayLike | None = None,
    dr2star_se: ArrayLike | None = None,
) -> VascularValue:
    """Vessel-density index Q from the changes of R2 and R2*.

    Parameters
    ----------
    dr2, dr2star : array-like of float, shapes that broadcast
        Changes of R2 (spin echo) and R2* (gradient echo) in 1/s, both positive, from the same
        session while the agent is in the vessels.
    dr2_se, dr2star_se : array-like of float, optional
        Standard errors in 1/s.

    Returns
    -------
    VascularValue
        ``Q = dR2 / dR2*^(2/3)`` in s^(-1/3).

    Raises
    ------
    InputError
        The shapes do not fit.

    Notes
    -----
    At a sufficiently high concentration Q depends only on the vessels and on the diffusion of water
    [1]_: the more and the smaller the vessels, the higher.  It was insensitive to the dose of
    ferumoxytol in patients [2]_.  Relative variance ``(s2/dR2)^2 + (2/3 s*/dR2*)^2``.  Below that
    concentration, and once agent has left the vessels, Q has no such meaning.

    References
    ----------
    .. [1] MR imaging of microvasculature. MRM 2000;44:224-230.
       doi:10.1002/1522-2594(200008)44:2<224::AID-MRM9>3.0.CO;2-M
    .. [2] Fredrickson et al., MRM 2017;77:814 (PMC5677523).
    """
    (r2, star, s2, ss), dtype = broadcast(dr2, dr2star, dr2_se, dr2star_se)
    reason = _faults((r2, star), (s2, ss))
    _check_denominator(reason, star, ss)
    reason[(reason == VascularReason.OK) & (r2 <= 0.0)] = VascularReason.NON_POSITIVE
    with np.errstate(all="ignore"):
        value = r2 / np.cbrt(star) ** 2
        error = value * np.hypot(s2 / r2, 2.0 / 3.0 * ss / star)
    return _given(reason, dtype, value, error)


def _faults(values: tuple[_Array, ...], errors: tuple[_Array, ...]) -> NDArray[np.uint8]:
    """Reason of each element; an error that is NaN is unknown, not a fault."""
    reason = np.zeros(values[0].shape, np.uint8)
    for error in errors:
        reason[(error < 0.0) | np.isinf(error)] = VascularReason.BAD_ERROR
    for value in values:
        reason[~np.isfinite(value)] = VascularReason.NON_FINITE
    return reason


def _check_denominator(reason: NDArray[np.uint8], value: _Array, error: _Array) -> None:
    reason[(reason == VascularReason.OK) & (value <= 0.0)] = VascularReason.NON_POSITIVE
    weak = (reason == VascularReason.OK) & (value < _LEAST_OVER_SE * error)
    reason[weak] = VascularReason.DENOMINATOR_UNCERTAIN


def _given(
    reason: NDArray[np.uint8], dtype: np.dtype[np.floating], value: _Array, error: _Array
) -> VascularValue:
    bad = reason != VascularReason.OK
    return VascularValue(
        np.where(bad, math.nan, value).astype(dtype),
        np.where(bad, math.nan, error).astype(dtype),
        reason,
    )
