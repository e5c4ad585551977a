"""Frame starts of a series without decay correction against what else the header says of them."""

from __future__ import annotations

from datetime import datetime

from eprimg.errors import ClockError
from eprimg.io.clocks import parse_datetime
from eprimg.io.pet_header import PetHeader, tag
from eprimg.io.pet_reference import (
    REFUSE_CHANGE,
    SAME_FRAME_S,
    WARN_CHANGE,
    counted_from,
    relative_change,
    series_offset,
)
from eprimg.kernels.radioactivity import frame_mean_time_s
from eprimg.model.acquisition import seconds_between
from eprimg.model.case import Finding, Severity

__all__ = ["check_frame_times"]


def check_frame_times(
    header: PetHeader, acquired: tuple[datetime, ...], half_life_s: float, findings: list[Finding]
) -> None:
    """Compare the frame starts with FrameReferenceDateTime and FrameReferenceTime.

    Parameters
    ----------
    header : PetHeader
        Facts of a series that is not decay corrected.
    acquired : tuple of datetime
        Frame starts, one per slice.
    half_life_s : float
        Half-life in s.
    findings : list of Finding
        ``W_REFERENCE_TIME`` is appended when one of the two changes SUV by more than 1 %.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when one of them changes it by more than 20 %.

    Notes
    -----
    FrameReferenceDateTime, of multi-frame objects, is the mean time of its frame.
    FrameReferenceTime is counted from one instant of the series, so that instant, computed back
    from every slice, must be the same; when it is not, the beds were acquired at other times than
    their AcquisitionTime says (one AcquisitionTime for all beds).  Which of the two is wrong cannot
    be known from the header.
    """
    _judge(
        _stated(header, acquired, half_life_s),
        tag("FrameReferenceDateTime"),
        "FrameReferenceDateTime is not the mean time of its frame by FrameAcquisitionDateTime and "
        "FrameAcquisitionDuration",
        "export the series again",
        findings,
    )
    spread = _spread_s(header, acquired, half_life_s)
    _judge(
        relative_change(spread, half_life_s),
        tag("FrameReferenceTime"),
        "AcquisitionTime and FrameReferenceTime place the slices differently, up to "
        f"{spread:.0f} s apart (one AcquisitionTime for several beds?), and values that are not "
        "decay corrected need the start of every bed",
        "export the series again, decay corrected (START) or with the AcquisitionTime of every bed",
        findings,
    )


def _judge(worst: float, where: str, problem: str, action: str, findings: list[Finding]) -> None:
    if worst <= WARN_CHANGE:
        return
    text = f"{problem}; SUV would differ by {100 * worst:.1f} %"
    if worst > REFUSE_CHANGE:
        raise ClockError(text, code="E_SUV_TIME", where=where, action=action)
    text += ". The start and duration are used."
    findings.append(Finding("W_REFERENCE_TIME", Severity.WARNING, where, text))


def _stated(header: PetHeader, acquired: tuple[datetime, ...], half_life_s: float) -> float:
    """Largest relative change of SUV by FrameReferenceDateTime."""
    where, worst = tag("FrameReferenceDateTime"), 0.0
    for piece, start in zip(header.slices, acquired, strict=True):
        if not piece.reference_datetime or not (piece.duration_s or 0.0) > 0:
            continue
        stated = parse_datetime(piece.reference_datetime, where=where, offset=series_offset(header))
        mean_s = frame_mean_time_s(piece.duration_s or 0.0, half_life_s)
        apart = seconds_between(start, stated, where=where) - mean_s
        worst = max(worst, relative_change(apart, half_life_s))
    return worst


def _spread_s(header: PetHeader, acquired: tuple[datetime, ...], half_life_s: float) -> float:
    """Seconds by which the instant that FrameReferenceTime counts from varies over the slices."""
    references = [s.frame_reference_s for s in header.slices if s.frame_reference_s is not None]
    if len(references) < len(header.slices) or min(references) < 0 or not any(references):
        return 0.0
    # one offset within the frame is counted from each frame's own start: it says nothing of beds
    same = max(references) - min(references) <= SAME_FRAME_S
    if same and all(max(references) <= (s.duration_s or 0.0) for s in header.slices):
        return 0.0
    instants = counted_from(header, acquired, half_life_s)
    if instants is None:
        return 0.0
    return (max(instants) - min(instants)).total_seconds()
