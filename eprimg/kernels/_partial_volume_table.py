"""Correct a mean or peak with measured recovery coefficients, and say how surely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.optimize import brentq

from eprimg.errors import InputError
from eprimg.kernels._partial_volume_blur import argument
from eprimg.kernels._partial_volume_recovery import (
    RecoveryRecord,
    recovery_coefficient,
    select_records,
)

_STEP = 1e-6


class RecoveryCorrection(NamedTuple):
    """A number corrected with a table of recovery coefficients, raw beside corrected.

    Attributes
    ----------
    raw, corrected : float
        As measured, and corrected, in the unit of the map.
    corrected_se : float
        Root of the sum of squares of the three terms below; NaN when one is not known.
    noise_se, rc_se, mask_se : float
        Terms from the standard errors of lesion and background, from the uncertainty of the
        coefficient, and from the boundary of the mask.
    rc : float
        Coefficient that was used.
    background_ratio : float
        True lesion to background ratio that goes with it; infinite for a cold background.
    """

    raw: float
    corrected: float
    corrected_se: float
    noise_se: float
    rc_se: float
    mask_se: float
    rc: float
    background_ratio: float


def recovery_correction(
    measured: float,
    diameter_mm: float,
    table: Sequence[RecoveryRecord],
    *,
    nuclide: str,
    scanner: str,
    background: float,
    statistic: str = "mean",
    measured_se: float = 0.0,
    background_se: float = 0.0,
    moved: Sequence[tuple[float, float]] = (),
) -> RecoveryCorrection:
    """Correct the mean or peak of a lesion with measured recovery coefficients.

    Parameters
    ----------
    measured : float
        Mean or peak of the lesion as measured; any unit that is linear in activity.
    diameter_mm : float
        Equivalent diameter of its mask in mm.
    table : sequence of RecoveryRecord
        Measured spheres, as `parse_recovery_table` gives them.
    nuclide, scanner : str
        Which records hold.
    background : float
        Mean around the lesion, in the same unit, far enough away to be free of its spill-out.
        At or below zero it is taken as cold, which the table must hold (ratio ``inf``).
    statistic : {"mean", "peak", "max"}, optional
        What was measured, and which records hold.
    measured_se, background_se : float, optional
        Standard errors of both, in the same unit.
    moved : sequence of tuple of float, optional
        ``(diameter_mm, measured)`` with the boundary of the mask moved in and out by its standard
        uncertainty: two entries.  Left out: no term for the mask, and no `corrected_se`.

    Returns
    -------
    RecoveryCorrection
        Raw and corrected side by side.

    Raises
    ------
    InputError
        ``E_RECOVERY_TABLE``: the table does not hold the diameter, with or without the error of
        the mask, or not the true ratio; ``E_ARGUMENT``: a number is not finite.

    Notes
    -----
    With coefficient r, measured lesion M and background B, the true lesion A solves
    ``r(A / B) A = M``: the table is entered with the *true* ratio, which is found on the way
    (``r(x) B = M x`` with ``x = B / A``; one root, for r is linear in x between two ratios).
    Errors to first order: with ``s = r - x dr/dx``, ``dA = dM / s``, ``dA = -(dr/dx) dB / s`` and
    ``dA = -A dr / s``.  Mask: half the difference of the values corrected with the boundary moved
    in and out, when the table holds both diameters, else the difference to the one that it holds.

    Valid for a compact, uniform lesion in a uniform background; a measured coefficient carries the
    walls of its sphere.

    References
    ----------
    .. [1] Soret M, Bacharach SL, Buvat I, J Nucl Med 2007;48:932-945.
       doi:10.2967/jnumed.106.035774
    """
    for name, value in (("measured", measured), ("background", background)):
        if not math.isfinite(value):
            raise argument(f"{name} must be finite.", name, value)
    chosen = select_records(table, nuclide, scanner, statistic)
    a, x = _solve(measured, diameter_mm, chosen, background)
    rc, rc_uncertainty = _coefficient(diameter_mm, chosen, x)
    slope = _slope(diameter_mm, chosen, x)
    s = rc - x * slope
    noise_se = math.hypot(measured_se, slope * background_se) / s
    rc_se = abs(a / s) * rc_uncertainty
    sides = [_other(value, diameter, chosen, background) for diameter, value in moved]
    known = [v for v in sides if math.isfinite(v)]
    if moved and not known:
        raise _outside("The diameter, with the error of the mask, lies outside of the table.", a)
    mask_se = math.nan
    if len(known) == 2:
        mask_se = 0.5 * abs(known[0] - known[1])
    elif known:
        mask_se = abs(known[0] - a)
    return RecoveryCorrection(
        raw=measured,
        corrected=a,
        corrected_se=math.hypot(noise_se, rc_se, mask_se),
        noise_se=noise_se,
        rc_se=rc_se,
        mask_se=mask_se,
        rc=rc,
        background_ratio=1.0 / x if x > 0.0 else math.inf,
    )


def _coefficient(
    diameter_mm: float, chosen: Sequence[RecoveryRecord], inverse_ratio: float
) -> tuple[float, float]:
    first = chosen[0]
    found = recovery_coefficient(
        diameter_mm,
        chosen,
        nuclide=first.nuclide,
        scanner=first.scanner,
        background_ratio=_ratio(chosen, inverse_ratio),
        statistic=first.statistic,
    )
    return found.rc, found.rc_uncertainty


def _ratio(chosen: Sequence[RecoveryRecord], inverse_ratio: float) -> float:
    """Turn 1/a into a ratio; rounding may not lead outside of the table."""
    ratios = [r.background_ratio for r in chosen]
    ratio = 1.0 / inverse_ratio if inverse_ratio > 0.0 else math.inf
    return min(max(ratio, min(ratios)), max(ratios))


def _limits(chosen: Sequence[RecoveryRecord]) -> tuple[float, float]:
    """Smallest and largest 1/a of the table."""
    ratios = [r.background_ratio for r in chosen]
    return 1.0 / max(ratios), 1.0 / min(ratios)


def _solve(
    measured: float, diameter_mm: float, chosen: Sequence[RecoveryRecord], background: float
) -> tuple[float, float]:
    """Find the true value and the inverse of its ratio to the background."""
    low, high = _limits(chosen)
    if background <= 0.0:
        if low > 0.0:
            raise _outside("The background is not above zero, and the table has no cold one.", None)
        if measured <= 0.0:
            raise _outside("A lesion at or below zero has no ratio.", measured)
        return measured / _coefficient(diameter_mm, chosen, 0.0)[0], 0.0

    def left(x: float) -> float:
        return _coefficient(diameter_mm, chosen, x)[0] * background - measured * x

    # A lesion of exactly the first or last ratio counts, whatever the rounding.
    edge = 1e-9 * (background + abs(measured))
    ends = left(low), left(high)
    if ends[0] < -edge or ends[1] > edge:
        raise _outside(
            f"The true ratio lies outside of the table, {1.0 / high:g} to "
            + (f"{1.0 / low:g}." if low > 0.0 else "a cold background."),
            measured / background,
        )
    if ends[0] <= 0.0:
        x = low
    elif ends[1] >= 0.0:
        x = high
    else:
        x = float(brentq(left, low, high, xtol=1e-12, rtol=1e-12))
    if x == 0.0:
        return measured / _coefficient(diameter_mm, chosen, 0.0)[0], 0.0
    return background / x, x


def _slope(diameter_mm: float, chosen: Sequence[RecoveryRecord], x: float) -> float:
    """Change of the coefficient with 1/a, within the table."""
    low, high = _limits(chosen)
    if high - low < 2.0 * _STEP:
        return 0.0
    a, b = max(x - _STEP, low), min(x + _STEP, high)
    rise = _coefficient(diameter_mm, chosen, b)[0] - _coefficient(diameter_mm, chosen, a)[0]
    return rise / (b - a)


def _other(
    measured: float, diameter_mm: float, chosen: Sequence[RecoveryRecord], background: float
) -> float:
    """Correct with another mask; NaN outside of the table."""
    if not (math.isfinite(measured) and math.isfinite(diameter_mm)):
        return math.nan
    try:
        return _solve(measured, diameter_mm, chosen, background)[0]
    except InputError:
        return math.nan


def _outside(message: str, value: object) -> InputError:
    return InputError(
        message,
        code="E_RECOVERY_TABLE",
        where="background_ratio",
        value=value,
        action="Measure spheres of this size and contrast, or look at the raw value alone.",
    )
