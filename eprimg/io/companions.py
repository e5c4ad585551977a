"""Phase, real and imaginary frames that belong to a magnitude train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eprimg.io.entries import SeriesEntry
from eprimg.io.frame_types import SAME_ECHO_MS, complex_part
from eprimg.io.instance import Instance
from eprimg.model.case import Finding, Severity

__all__ = ["with_companions"]

_PAIRS = (("PHASE",), ("REAL", "IMAGINARY"))
"""What completes a magnitude, in order of preference: the phase has the magnitude's own scale."""

_Place = tuple[float, tuple[float, ...]]


def with_companions(entries: Sequence[SeriesEntry]) -> list[SeriesEntry]:
    """Give every magnitude train the frames that make its signal complex.

    Parameters
    ----------
    entries : sequence of SeriesEntry
        DICOM series of one folder, echoes joined.

    Returns
    -------
    list of SeriesEntry
        The same series in the same order, with ``companions`` where frames of one part were found
        at every position and echo time of the train exactly once, in the same study and frame of
        reference; ``I_PHASE_UNUSED`` where it is not clear which are meant.

    Notes
    -----
    Vendors put phase beside magnitude in one series (Philips, GE) or into the next one (Siemens).
    Frames of another series, and one of several frames at one place, are taken only when their
    acquisition date and time equal those of the magnitude frame: a repeated scan of the same
    geometry looks alike in everything else.
    """
    if not any(e.parts for e in entries):
        return list(entries)
    return [_completed(e, entries) if len(e.echo_times_ms) > 1 else e for e in entries]


def _completed(entry: SeriesEntry, entries: Sequence[SeriesEntry]) -> SeriesEntry:
    magnitude = {_place(f, entry.echo_times_ms): f for f in entry.instances}
    if len(magnitude) != len(entry.instances) or None in magnitude:
        return entry
    others = [
        f
        for e in entries
        if e is not entry
        and e.modality == "MR"
        and (e.study_uid, e.patient_key, e.frame_of_reference)
        == (entry.study_uid, entry.patient_key, entry.frame_of_reference)
        for f in e.parts
    ]
    doubtful = ""
    for names in _PAIRS:
        found: list[Instance] = []
        for name in names:
            chosen = _matched(entry, magnitude, entry.parts, name, own=True)
            if not chosen:
                chosen = _matched(entry, magnitude, others, name, own=False)
            if isinstance(chosen, str):
                doubtful = doubtful or chosen
                break
            if not chosen:
                break
            found += chosen
        else:
            return replace(entry, companions=tuple(found))
    if doubtful:
        note = Finding("I_PHASE_UNUSED", Severity.INFO, entry.key, doubtful)
        return replace(entry, findings=(*entry.findings, note))
    return entry


def _matched(
    entry: SeriesEntry,
    magnitude: dict[_Place | None, Instance],
    frames: Sequence[Instance],
    part: str,
    *,
    own: bool,
) -> list[Instance] | str:
    """Return one frame per magnitude frame; empty when some lack, words when it is not clear."""
    at: dict[_Place | None, list[Instance]] = {}
    for frame in frames:
        if complex_part(frame) != part:
            continue
        place = _place(frame, entry.echo_times_ms)
        like = magnitude.get(place)
        if like is not None and _same_plane(frame, like):
            at.setdefault(place, []).append(frame)
    if len(at) < len(magnitude):
        return []
    chosen = []
    for place, like in magnitude.items():
        here = at[place]
        if not own or len(here) > 1:
            here = [f for f in here if _instant(f) == _instant(like) and all(_instant(f))]
        if len(here) != 1:
            count = len({f.series_uid for f in at[place]})
            return (
                f"{part.lower()} frames of {count} series lie where this train lies, but their "
                "acquisition times do not tell that they were acquired with it; they are not used"
            )
        chosen += here
    return chosen


def _place(frame: Instance, times_ms: Sequence[float]) -> _Place | None:
    time = frame.echo_time_ms
    if time is None or frame.position is None:
        return None
    near = next((t for t in times_ms if abs(t - time) <= SAME_ECHO_MS), None)
    if near is None:
        return None
    # 0.0 + turns -0.0 into 0.0, so that both are one key
    return near, tuple(0.0 + round(x, 1) for x in frame.position)


def _same_plane(a: Instance, b: Instance) -> bool:
    return (
        (a.rows, a.columns) == (b.rows, b.columns)
        and _near(a.orientation, b.orientation, 1e-3)
        and _near(a.pixel_spacing, b.pixel_spacing, 1e-4)
        and a.repetition_time_ms == b.repetition_time_ms
        and a.flip_angle_deg == b.flip_angle_deg
    )


def _near(a: tuple[float, ...] | None, b: tuple[float, ...] | None, tolerance: float) -> bool:
    if a is None or b is None or len(a) != len(b):
        return a is b
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))


def _instant(frame: Instance) -> tuple[str, str]:
    return frame.acquisition_date, frame.acquisition_time
