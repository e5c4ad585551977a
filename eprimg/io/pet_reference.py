"""Instants of a PET series: starts of the frames, and the reference of the decay correction.

Sources: IBSI SUV manual (Vácha et al., draft 2026, CC BY 4.0) and the QIBA vendor-neutral SUV
procedure.  No single published rule is right for all vendors, so the candidates are ordered, all
of them are computed, and a disagreement is told or refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from eprimg.errors import ClockError, MissingTagError
from eprimg.io.clocks import combine, parse_datetime, parse_offset, shown
from eprimg.io.pet_header import PetHeader, tag
from eprimg.kernels.radioactivity import frame_mean_time_s
from eprimg.model.acquisition import CLOCK_SKEW_S, seconds_between
from eprimg.model.case import Finding, Severity

__all__ = [
    "REFUSE_CHANGE",
    "SAME_FRAME_S",
    "WARN_CHANGE",
    "Reference",
    "acquisition_instants",
    "counted_from",
    "reference_instant",
    "relative_change",
    "series_offset",
]

REFUSE_CHANGE = 0.20
"""Relative change of SUV from which a contradiction of the header is refused, not told."""

WARN_CHANGE = 0.01
"""Relative change of SUV from which a contradiction of the header is told."""

SAME_FRAME_S = 2.0
"""Seconds within which instants that a header leads to are one instant."""

_COMPUTED = "AcquisitionTime and FrameReferenceTime"
_STATED = "DecayCorrectionDateTime"
_EARLIEST = "earliest AcquisitionTime"

_SAME_INSTANT_S = 1.0
_NEAR_S = 86_400.0
_ENTER_REFERENCE = "enter [injection] reference_instant in study.toml"


@dataclass(frozen=True, slots=True)
class Reference:
    """Instant to which the voxel values are decay corrected.

    Parameters
    ----------
    instant : datetime
        The chosen one.
    rule : str
        Why, in words.
    candidates : tuple of (str, datetime)
        Every candidate that could be computed, the unused ones too.
    findings : tuple of Finding
        What to know about the choice.
    """

    instant: datetime
    rule: str
    candidates: tuple[tuple[str, datetime], ...]
    findings: tuple[Finding, ...] = ()


def series_offset(header: PetHeader) -> timezone | None:
    """Offset from UTC of the scanner's clock.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.

    Returns
    -------
    timezone or None
        None when the header does not state it.
    """
    if not header.offset:
        return None
    return parse_offset(header.offset, where=tag("TimezoneOffsetFromUTC"))


def acquisition_instants(header: PetHeader) -> tuple[datetime, ...]:
    """Instants at which the frames of all slices started.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.

    Returns
    -------
    tuple of datetime
        One per slice.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when a slice has no readable AcquisitionDate or AcquisitionTime.
    """
    offset = series_offset(header)
    return tuple(
        parse_datetime(s.acquisition_datetime, where=tag("FrameAcquisitionDateTime"), offset=offset)
        if s.acquisition_datetime
        else combine(
            s.acquisition_date,
            s.acquisition_time,
            offset=offset,
            date_where=tag("AcquisitionDate"),
            time_where=tag("AcquisitionTime"),
        )
        for s in header.slices
    )


def reference_instant(
    header: PetHeader,
    acquired: tuple[datetime, ...],
    half_life_s: float,
    *,
    entered: datetime | None = None,
) -> Reference:
    """Find the reference instant of a series with DecayCorrection START.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    acquired : tuple of datetime
        Frame starts, one per slice.
    half_life_s : float
        Half-life in s.
    entered : datetime, optional
        Reference instant that the user entered; it wins.

    Returns
    -------
    Reference
        The instant, the rule and all candidates.

    Raises
    ------
    EprimgError
        ``E_SUV_TIME`` when candidates would change SUV by more than 20 % and the user has not
        decided; ``E_PET_DURATION`` when the last usable rule needs a frame duration that is absent.

    Notes
    -----
    Order: DecayCorrectionDateTime of a multi-frame object, which defines the instant; vendor's
    private decay date-time; SeriesTime when it is not later than the earliest AcquisitionTime;
    acquisition start (plus mean time of the frame, except for GE) minus FrameReferenceTime, when
    that is the same instant in all slices within 2 s; earliest
    AcquisitionTime.  A wrong reference scales every voxel alike and looks plausible.
    """
    first = min(acquired)
    candidates: list[tuple[str, datetime, bool]] = []
    findings: list[Finding] = []
    stated = _stated(header, first, candidates)
    _private(header, first, candidates, findings)
    late_series = _series(header, first, candidates, findings)
    computed = _back_computed(header, acquired, half_life_s, candidates)
    candidates.append((_EARLIEST, first, True))

    usable = [(name, instant) for name, instant, good in candidates if good]
    rule, chosen = ("entered by the user", entered) if entered is not None else usable[0]
    fallback = rule == _EARLIEST
    if fallback and computed == "duration":
        raise MissingTagError(
            "the frame duration is needed to find the reference instant of the decay correction, "
            "and it is missing",
            code="E_PET_DURATION",
            where=tag("ActualFrameDuration"),
            action=_ENTER_REFERENCE,
        )
    if fallback:
        findings.append(
            _warn(
                "W_REFERENCE_TIME",
                "SeriesTime (0008,0031)",
                "Neither SeriesTime nor FrameReferenceTime gives the instant to which the voxel "
                "values "
                "are decay corrected; the earliest AcquisitionTime was taken.",
            )
        )
    elif late_series and entered is None:
        findings.append(
            _warn(
                "W_REFERENCE_TIME",
                "SeriesTime (0008,0031)",
                "SeriesTime is later than the acquisition, as after post-processing; the "
                "reference "
                f"instant was taken from: {rule}.",
            )
        )
    # one reference behind several frame starts confirms itself
    confirmed = rule == _COMPUTED and len(set(acquired)) > 1
    stated = stated and rule == _STATED  # that element is the definition, not a candidate
    confirmed = confirmed or any(
        name != rule
        and name != _EARLIEST
        and abs(seconds_between(chosen, instant, where="reference candidates")) <= SAME_FRAME_S
        for name, instant in usable
    )
    for name, instant in usable:
        change = relative_change(
            seconds_between(chosen, instant, where="reference candidates"), half_life_s
        )
        if name == rule or change <= WARN_CHANGE:
            continue
        # a start that two other sources contradict is only a late bed or frame, not a doubt
        settled = stated or entered is not None or (confirmed and name == _EARLIEST)
        if change > REFUSE_CHANGE and not settled:
            raise ClockError(
                f"the instant to which the voxel values are decay corrected is in doubt: "
                f"{shown(chosen)} ({rule}) or {shown(instant)} ({name}); SUV would differ by "
                f"{100 * change:.0f} %",
                code="E_SUV_TIME",
                where="SeriesTime (0008,0031)",
                action=_ENTER_REFERENCE,
            )
        findings.append(
            _warn(
                "W_REFERENCE_TIME",
                "SeriesTime (0008,0031)",
                f"Reference instant {shown(chosen)} ({rule}); {name} would give {shown(instant)} "
                "and "
                f"change SUV by {100 * change:.1f} %.",
            )
        )
    return Reference(chosen, rule, tuple((n, i) for n, i, _ in candidates), tuple(findings))


def _stated(
    header: PetHeader, first: datetime, candidates: list[tuple[str, datetime, bool]]
) -> bool:
    """Add the date-time that a multi-frame object states; refuse one that cannot be."""
    if not header.decay_datetime:
        return False
    where, offset = tag("DecayCorrectionDateTime"), series_offset(header)
    instant = parse_datetime(header.decay_datetime, where=where, offset=offset)
    apart = abs(seconds_between(instant, first, where=where))
    if apart > _NEAR_S and header.start_datetime:
        injected = parse_datetime(
            header.start_datetime, where=tag("RadiopharmaceuticalStartDateTime"), offset=offset
        )
        at_injection = abs(seconds_between(instant, injected, where=where)) <= CLOCK_SKEW_S
        apart = 0.0 if at_injection else apart
    if apart > _NEAR_S:
        raise ClockError(
            f"the values are decay corrected to {shown(instant)}, more than a day from the scan "
            "and from the injection (dates shifted by de-identification?)",
            code="E_SUV_TIME",
            where=where,
            action=_ENTER_REFERENCE,
        )
    candidates.append((_STATED, instant, True))
    return True


def _private(
    header: PetHeader,
    first: datetime,
    candidates: list[tuple[str, datetime, bool]],
    findings: list[Finding],
) -> None:
    if not header.private_decay:
        return
    where = header.private_decay_where
    try:
        instant = parse_datetime(header.private_decay, where=where, offset=series_offset(header))
        apart = abs(seconds_between(instant, first, where=where))
    except ClockError as error:
        findings.append(
            _warn(
                "W_REFERENCE_TIME",
                where,
                f"The private decay date-time is not used: {error.message}.",
            )
        )
        return
    near = apart <= _NEAR_S
    candidates.append(
        (
            "private decay date-time"
            if near
            else "private decay date-time (over a day from the scan, not used)",
            instant,
            near,
        )
    )
    if not near:
        findings.append(
            _warn(
                "W_REFERENCE_TIME",
                where,
                "The private decay date-time lies more than a day from the acquisition (dates "
                "shifted "
                "by de-identification?) and is not used.",
            )
        )


def _series(
    header: PetHeader,
    first: datetime,
    candidates: list[tuple[str, datetime, bool]],
    findings: list[Finding],
) -> bool:
    """Add SeriesTime; return True when it is later than the acquisition."""
    if not (header.series_date and header.series_time):
        return False
    try:
        instant = combine(
            header.series_date,
            header.series_time,
            offset=series_offset(header),
            date_where=tag("SeriesDate"),
            time_where=tag("SeriesTime"),
        )
    except ClockError as error:
        findings.append(
            _warn(
                "W_REFERENCE_TIME", tag("SeriesTime"), f"SeriesTime is not used: {error.message}."
            )
        )
        return False
    elapsed = seconds_between(instant, first, where=tag("SeriesTime"))
    late = elapsed < -_SAME_INSTANT_S
    early = elapsed > _NEAR_S
    name = "SeriesTime"
    if late:
        name += " (later than the acquisition, not used)"
    if early:
        name += " (over a day before the scan, not used)"
        findings.append(
            _warn(
                "W_REFERENCE_TIME",
                tag("SeriesTime"),
                "SeriesTime lies more than a day before the acquisition (dates shifted by "
                "de-identification?) and is not used.",
            )
        )
    candidates.append((name, instant, not (late or early)))
    return late


def _back_computed(
    header: PetHeader,
    acquired: tuple[datetime, ...],
    half_life_s: float,
    candidates: list[tuple[str, datetime, bool]],
) -> str:
    """Add the instant computed back from FrameReferenceTime; say what kept it from being used."""
    general_electric = _general_electric(header)
    references = [s.frame_reference_s for s in header.slices]
    if any(r is None or r < 0 for r in references) or not any(references):
        return "reference"
    if not general_electric and not all(references):
        return "reference"
    instants = counted_from(header, acquired, half_life_s)
    if instants is None:
        return "duration"
    spread = (max(instants) - min(instants)).total_seconds()
    constant = spread <= SAME_FRAME_S
    name = _COMPUTED
    if not constant:
        name += f" (differs by {spread:.0f} s between slices, not used)"
    middle = min(instants) + timedelta(seconds=spread / 2)
    candidates.append((name, middle if constant else min(instants), constant))
    return "" if constant else "spread"


def _general_electric(header: PetHeader) -> bool:
    return header.manufacturer.upper().startswith("GE")


def counted_from(
    header: PetHeader, acquired: tuple[datetime, ...], half_life_s: float
) -> list[datetime] | None:
    """Instant of every slice that FrameReferenceTime is counted from.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    acquired : tuple of datetime
        Frame starts, one per slice.
    half_life_s : float
        Half-life in s.

    Returns
    -------
    list of datetime or None
        One per slice; None when a frame duration that is needed is missing.  GE counts to the start
        of the frame, others to its mean time.
    """
    instants = []
    for piece, start in zip(header.slices, acquired, strict=True):
        shift = -(piece.frame_reference_s or 0.0)
        if not _general_electric(header):
            if not piece.duration_s or piece.duration_s < 0:
                return None
            shift += frame_mean_time_s(piece.duration_s, half_life_s)
        instants.append(start + timedelta(seconds=shift))
    return instants


def relative_change(seconds: float, half_life_s: float) -> float:
    """Relative change of SUV when an instant moves.

    Parameters
    ----------
    seconds : float
        How far, in s, either way.
    half_life_s : float
        Half-life in s.

    Returns
    -------
    float
        ``2 ** (|seconds| / half_life_s) - 1``.
    """
    return math.expm1(math.log(2.0) * min(abs(seconds) / half_life_s, 1000.0))


def _warn(code: str, where: str, text: str) -> Finding:
    return Finding(code, Severity.WARNING, where, text)
