"""Metabolic response between two FDG scans by PERCIST 1.0 and by EORTC 1999.

The functions take the thresholds as an argument; the named protocols with their citations are in
``resources/response_protocols.toml``.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

from eprimg.errors import InputError

__all__ = [
    "EortcRules",
    "EortcScan",
    "MetabolicResponse",
    "PercistRules",
    "PercistScan",
    "ResponseCategory",
    "eortc_response",
    "percist_response",
]

_ROUNDING = 1e-9


class ResponseCategory(StrEnum):
    """Outcome of a comparison."""

    COMPLETE = "complete metabolic response"
    PARTIAL = "partial metabolic response"
    STABLE = "stable metabolic disease"
    PROGRESSIVE = "progressive metabolic disease"
    NOT_EVALUABLE = "not evaluable"


class PercistRules(NamedTuple):
    """Thresholds of PERCIST; fields as in ``resources/response_protocols.toml``."""

    liver_factor: float
    liver_sd_factor: float
    liver_change_sul: float
    liver_change_percent: float
    uptake_difference_min: float
    change_percent: float
    change_sul: float
    tlg_rise_percent: float
    lesions_for_tlg: float


class EortcRules(NamedTuple):
    """Thresholds of EORTC 1999; fields as in ``resources/response_protocols.toml``."""

    rise_percent: float
    extent_percent: float
    early_fall_percent: float
    late_fall_percent: float


class PercistScan(NamedTuple):
    """Numbers of one scan.

    Attributes
    ----------
    sul_peak : tuple of float
        SULpeak per lesion in g/mL; empty when no lesion is left.
    tlg : tuple of float
        Total lesion glycolysis per lesion, same order; empty when not measured.
    liver_mean, liver_sd : float
        SUL of a region in healthy liver in g/mL; NaN when there is none.
    uptake_min : float
        Minutes from injection to scan; NaN when not known.
    """

    sul_peak: tuple[float, ...]
    tlg: tuple[float, ...]
    liver_mean: float
    liver_sd: float
    uptake_min: float


class EortcScan(NamedTuple):
    """Numbers of one scan.

    Attributes
    ----------
    suv : tuple of float
        SUV per lesion that was outlined on the first scan, in one fixed order.
    longest_mm : float
        Longest dimension of the uptake in mm; NaN when not measured.
    """

    suv: tuple[float, ...]
    longest_mm: float = math.nan


class MetabolicResponse(NamedTuple):
    """Category with its reasons.

    Attributes
    ----------
    category : ResponseCategory
        The outcome.
    reasons : tuple of str
        What it rests on, with numbers.
    change_percent : float
        Change of the quantity in per cent of the first scan; NaN when there is none.
    change : float
        The same in the unit of the quantity.
    not_judged : tuple of str
        Criteria for which there was no number or no statement: a category that they could turn is
        only as good as their absence.
    """

    category: ResponseCategory
    reasons: tuple[str, ...]
    change_percent: float
    change: float
    not_judged: tuple[str, ...] = ()


def percist_response(
    first: PercistScan,
    second: PercistScan,
    rules: PercistRules,
    *,
    new_lesion: bool | None = None,
    extent_grew: bool | None = None,
    resolved: bool | None = None,
) -> MetabolicResponse:
    """Category of metabolic response by PERCIST 1.0.

    Parameters
    ----------
    first, second : PercistScan
        Numbers of the scan before and after treatment, SUL by the same formula.
    rules : PercistRules
        Thresholds.
    new_lesion : bool, optional
        A reader saw a new lesion that is typical of the tumour; None when nobody looked.
    extent_grew : bool, optional
        A reader saw the uptake grow in extent.
    resolved : bool, optional
        A reader found every lesion indistinguishable from its surroundings (blood pool).

    Returns
    -------
    MetabolicResponse
        Category, reasons, change of SULpeak.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: a number is negative or infinite, or TLG and lesions differ in number.

    Notes
    -----
    Checked in this order: the scans are comparable (uptake time, liver), the hottest lesion of the
    first scan is measurable (``SULpeak >= 1.5 liver mean + 2 SD``); progression (new lesion, growth
    in extent, ``> 30 %`` *and* ``> 0.8`` rise, TLG ``> 75 %``); complete response (statement of a
    reader, and the hottest lesion below the liver mean); partial response (``>= 30 %`` *and*
    ``>= 0.8`` fall); else stable.  The hottest lesion of each scan is used, not necessarily the
    same.  A fact that is missing for comparability makes the pair not evaluable.

    Valid for FDG only.  For a labelled carrier the liver is a target organ, so neither the
    threshold nor the check of the liver means anything.

    References
    ----------
    .. [1] Wahl RL et al., From RECIST to PERCIST. J Nucl Med 2009;50 Suppl 1:122S-150S.
       doi:10.2967/jnumed.108.057307
    .. [2] O JH et al., Practical PERCIST. Radiology 2016 (PMC4976461).
    """
    for scan in (first, second):
        _check((*scan.sul_peak, *scan.tlg), "sul_peak, tlg")
        if scan.tlg and len(scan.tlg) != len(scan.sul_peak):
            raise _refused("tlg", len(scan.tlg), "TLG must be given per lesion.")
    before = max(first.sul_peak, default=math.nan)
    after = max(second.sul_peak, default=0.0)
    obstacles = _not_comparable(first, second, rules)
    threshold = rules.liver_factor * first.liver_mean + rules.liver_sd_factor * first.liver_sd
    if not first.sul_peak:
        obstacles.append("the first scan has no lesion")
    elif math.isfinite(threshold) and before < threshold - _ROUNDING:
        obstacles.append(
            f"the hottest lesion of the first scan is not measurable: SULpeak {before:.2f} is "
            f"below {threshold:.2f}"
        )
    if not second.sul_peak and resolved is not True:
        obstacles.append(
            "the second scan has no lesion, and no reader stated that all are resolved"
        )
    if resolved and second.sul_peak and after >= second.liver_mean:
        obstacles.append(
            f"a reader stated that all lesions are resolved, but SULpeak {after:.2f} is not below "
            f"the liver mean of {second.liver_mean:.2f}"
        )
    change = after - before if second.sul_peak else math.nan
    percent = 100.0 * change / before if before > 0 else math.nan
    if obstacles:
        return MetabolicResponse(ResponseCategory.NOT_EVALUABLE, tuple(obstacles), percent, change)
    missing = [
        words
        for value, words in (
            (new_lesion, "new lesions: no reader's statement"),
            (extent_grew, "extent of uptake: no reader's statement"),
            (resolved, "complete resolution: no reader's statement"),
        )
        if value is None
    ]
    rise = _tlg_rise(first, second, rules)
    if rise is None:
        missing.append("TLG: not measured on both scans")
    worse = _seen(new_lesion, extent_grew)
    moved = f"SULpeak {before:.2f} to {after:.2f}: {percent:+.1f} %, {change:+.2f}"
    if percent > rules.change_percent + _ROUNDING and change > rules.change_sul + _ROUNDING:
        worse.append(f"{moved}; rise above {rules.change_percent:g} % and {rules.change_sul:g}")
    if rise is not None and rise > rules.tlg_rise_percent + _ROUNDING:
        worse.append(f"TLG {rise:+.1f} %; rise above {rules.tlg_rise_percent:g} %")
    if worse:
        return _answer(ResponseCategory.PROGRESSIVE, worse, percent, change, missing)
    if resolved:
        said = ["a reader stated that all lesions are indistinguishable from their surroundings"]
        if second.sul_peak:
            said.append(f"SULpeak {after:.2f} is below the liver mean {second.liver_mean:.2f}")
        return _answer(ResponseCategory.COMPLETE, said, percent, change, missing)
    fell = percent <= -rules.change_percent + _ROUNDING
    if fell and change <= -rules.change_sul + _ROUNDING:
        return _answer(ResponseCategory.PARTIAL, [moved], percent, change, missing)
    said = [f"{moved}; neither response nor progression"]
    if fell:
        said = [f"{moved}; the fall is below {rules.change_sul:g} SUL"]
    return _answer(ResponseCategory.STABLE, said, percent, change, missing)


def eortc_response(
    first: EortcScan,
    second: EortcScan,
    rules: EortcRules,
    *,
    cycles: int,
    new_lesion: bool | None = None,
    resolved: bool | None = None,
) -> MetabolicResponse:
    """Category of metabolic response by EORTC 1999.

    Parameters
    ----------
    first, second : EortcScan
        Numbers before and after treatment, of the same lesions in the same order, SUV of one kind.
    rules : EortcRules
        Thresholds.
    cycles : int
        Cycles of treatment between the scans, 1 or more: it decides which fall is a response.
    new_lesion, resolved : bool, optional
        Statements of a reader; None when nobody looked.

    Returns
    -------
    MetabolicResponse
        Category, reasons, change of the summed SUV.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: lesions differ, a number is negative or not finite, no cycle.

    Notes
    -----
    Progression: rise ``> 25 %``, or longest dimension ``> 20 %``, or new lesion.  Complete: a
    reader's statement.  Partial: fall ``>= 15 %`` after one cycle, ``> 25 %`` after more.  Stable
    otherwise; after more than one cycle the publication leaves falls of 15 to 25 % open, they are
    counted as stable and this is said.  The publication does not fix how several lesions are
    joined; the sum is the usual reading.

    References
    ----------
    .. [1] Young H et al., Measurement of clinical and subclinical tumour response using
       [18F]-fluorodeoxyglucose and positron emission tomography: review and 1999 EORTC
       recommendations. Eur J Cancer 1999;35:1773-1782.
    """
    if cycles < 1:
        raise _refused("cycles", cycles, "The number of treatment cycles must be 1 or more.")
    _check((*first.suv, *second.suv), "suv")
    if len(first.suv) != len(second.suv):
        raise _refused(
            "suv",
            (len(first.suv), len(second.suv)),
            "Both scans need the same lesions, those outlined on the first.",
        )
    before, after = sum(first.suv), sum(second.suv)
    if not before > 0:
        return MetabolicResponse(
            ResponseCategory.NOT_EVALUABLE,
            ("the first scan has no lesion with uptake",),
            math.nan,
            math.nan,
        )
    change = after - before
    percent = 100.0 * change / before
    growth = (
        100.0 * (second.longest_mm / first.longest_mm - 1.0) if first.longest_mm > 0 else math.nan
    )
    missing = [
        words
        for absent, words in (
            (new_lesion is None, "new lesions: no reader's statement"),
            (resolved is None, "complete resolution: no reader's statement"),
            (not math.isfinite(growth), "extent of uptake: not measured on both scans"),
        )
        if absent
    ]
    moved = f"SUV {before:.2f} to {after:.2f}: {percent:+.1f} %"
    worse = _seen(new_lesion, None)
    if percent > rules.rise_percent + _ROUNDING:
        worse.append(f"{moved}; rise above {rules.rise_percent:g} %")
    if growth > rules.extent_percent + _ROUNDING:
        worse.append(f"longest dimension {growth:+.1f} %; growth above {rules.extent_percent:g} %")
    if worse:
        return _answer(ResponseCategory.PROGRESSIVE, worse, percent, change, missing)
    if resolved:
        said = ["a reader stated that all lesions are indistinguishable from their surroundings"]
        return _answer(ResponseCategory.COMPLETE, said, percent, change, missing)
    early = percent <= -rules.early_fall_percent + _ROUNDING
    late = percent < -rules.late_fall_percent - _ROUNDING
    if (cycles == 1 and early) or late:
        return _answer(ResponseCategory.PARTIAL, [moved], percent, change, missing)
    said = [moved]
    if early:
        said.append(
            f"a fall of {rules.early_fall_percent:g} to {rules.late_fall_percent:g} % after more "
            "than one cycle is left open by the publication; counted as stable"
        )
    return _answer(ResponseCategory.STABLE, said, percent, change, missing)


def _not_comparable(first: PercistScan, second: PercistScan, rules: PercistRules) -> list[str]:
    said = []
    apart = abs(second.uptake_min - first.uptake_min)
    if not math.isfinite(apart):
        said.append("the uptake time of a scan is not known")
    elif apart >= rules.uptake_difference_min - _ROUNDING:
        said.append(
            f"the uptake times differ by {apart:.0f} min, not less than "
            f"{rules.uptake_difference_min:g} min"
        )
    liver = second.liver_mean - first.liver_mean
    if not math.isfinite(liver) or not math.isfinite(first.liver_sd) or not first.liver_mean > 0:
        said.append("the liver of a scan was not measured")
        return said
    percent = 100.0 * abs(liver) / first.liver_mean
    if abs(liver) >= rules.liver_change_sul - _ROUNDING:
        said.append(
            f"the liver mean changed by {liver:+.2f} SUL, not less than {rules.liver_change_sul:g}"
        )
    if percent > rules.liver_change_percent + _ROUNDING:
        said.append(
            f"the liver mean changed by {percent:.0f} %, more than {rules.liver_change_percent:g} %"
        )
    return said


def _tlg_rise(first: PercistScan, second: PercistScan, rules: PercistRules) -> float | None:
    """Change of the TLG of the hottest lesions in per cent; None when it was not measured."""
    if not first.tlg or (second.sul_peak and not second.tlg):
        return None
    sums = []
    for scan in (first, second):
        order = sorted(range(len(scan.tlg)), key=scan.sul_peak.__getitem__, reverse=True)
        sums.append(sum(scan.tlg[i] for i in order[: int(rules.lesions_for_tlg)]))
    return 100.0 * (sums[1] / sums[0] - 1.0) if sums[0] > 0 else None


def _seen(new_lesion: bool | None, extent_grew: bool | None) -> list[str]:
    said = ["a new lesion"] if new_lesion else []
    return [*said, "the uptake grew in extent"] if extent_grew else said


def _answer(
    category: ResponseCategory,
    reasons: list[str],
    percent: float,
    change: float,
    missing: list[str],
) -> MetabolicResponse:
    return MetabolicResponse(category, tuple(reasons), percent, change, tuple(missing))


def _check(values: tuple[float, ...], where: str) -> None:
    if not all(math.isfinite(v) and v >= 0.0 for v in values):
        raise _refused(where, values, "Uptake must be finite and not negative.")


def _refused(where: str, value: object, message: str) -> InputError:
    return InputError(message, code="E_ARGUMENT", where=where, value=value)
