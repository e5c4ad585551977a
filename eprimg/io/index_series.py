"""Frames of DICOM files grouped into series: echoes together, other frame types set aside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from eprimg.io.companions import with_companions
from eprimg.io.entries import SeriesEntry
from eprimg.io.frame_types import (
    SEG_CLASSES,
    VOLUME_CLASSES,
    by_echo,
    complex_part,
    drop_reason,
    n_positions,
)
from eprimg.io.instance import Instance
from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role

__all__ = ["dicom_entries"]

_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_ECHO_IN_NAME = re.compile(r"[\s_\-]*(?:e|echo|te)[\s_\-=]*\d+(?:\.\d+)?(?:\s*ms)?$", re.IGNORECASE)


def dicom_entries(instances: Sequence[Instance]) -> list[SeriesEntry]:
    """Group frames into series.

    Parameters
    ----------
    instances : sequence of Instance
        Frames of a whole folder.

    Returns
    -------
    list of SeriesEntry
        One per series (echoes that a scanner put into several series are joined); all of role
        unused, see `eprimg.io.roles`.
    """
    groups: dict[tuple[str, str], list[Instance]] = {}
    for each in instances:
        groups.setdefault((each.study_uid, each.series_uid), []).append(each)
    return with_companions(_joined_echoes([_entry(frames) for frames in groups.values()]))


def _entry(frames: list[Instance]) -> SeriesEntry:
    first = frames[0]
    kinds = {VOLUME_CLASSES.get(f.sop_class, "") for f in frames}
    if kinds == {""}:
        return _other_entry(frames)
    dropped: Counter[str] = Counter()
    kept: list[Instance] = []
    parts: list[Instance] = []
    for frame in frames:
        reason = (
            drop_reason(frame)
            if frame.sop_class in VOLUME_CLASSES
            else "secondary captures or other objects"
        )
        if reason:
            dropped[reason] += 1
            if frame.sop_class in VOLUME_CLASSES and complex_part(frame):
                parts.append(frame)
        else:
            kept.append(frame)
    modality = VOLUME_CLASSES.get((kept or frames)[0].sop_class, first.modality)
    times = tuple(t for t in by_echo(kept) if t is not None) if modality == "MR" else ()
    entry = SeriesEntry(
        key=f"{modality.lower()}-{first.series_number or 0}",
        role=Role.UNUSED,
        reason="",
        modality=modality,
        description=first.series_description,
        n_files=len({f.path for f in frames}),
        n_frames=len(kept),
        shape=_shape(kept, times),
        echo_times_ms=times,
        instances=tuple(kept),
        paths=tuple(sorted({f.path for f in kept}, key=str)),  # pathlib compares slowly
        dropped=tuple(sorted(dropped.items())),
        parts=tuple(parts),
        study_uid=first.study_uid,
        series_uids=(first.series_uid,),
        frame_of_reference=first.frame_of_reference,
        patient_key=first.patient_key,
        instant=_instant(kept or frames),
        manufacturer=first.manufacturer,
        field_strength_t=first.field_strength_t,
    )
    return replace(entry, findings=tuple(_series_findings(entry)))


def _other_entry(frames: list[Instance]) -> SeriesEntry:
    """Describe a series that is no volume: segmentation, structure set, report, screen copy."""
    first = frames[0]
    kind = (
        "SEG"
        if first.sop_class in SEG_CLASSES
        else "RTSTRUCT"
        if first.sop_class == _RTSTRUCT
        else first.modality or "OT"
    )
    return SeriesEntry(
        key=f"{kind.lower()}-{first.series_number or 0}",
        role=Role.UNUSED,
        reason="",
        modality=kind,
        description=first.series_description,
        n_files=len({f.path for f in frames}),
        n_frames=sum(f.number_of_frames for f in frames),
        shape=f"{first.number_of_frames} x {first.rows} x {first.columns}" if first.rows else "",
        instances=tuple(frames),
        paths=tuple(sorted({f.path for f in frames})),
        study_uid=first.study_uid,
        series_uids=(first.series_uid,),
        frame_of_reference=first.frame_of_reference,
        patient_key=first.patient_key,
        instant=_instant(frames),
        manufacturer=first.manufacturer,
    )


def _shape(kept: Sequence[Instance], times: tuple[float, ...]) -> str:
    if not kept:
        return ""
    sizes = Counter((f.rows, f.columns) for f in kept)
    (rows, columns), _ = sizes.most_common(1)[0]
    slices = n_positions(kept)
    text = f"{slices} x {rows} x {columns}"
    if len(sizes) > 1:
        text += " (mixed sizes)"
    if len(times) > 1:
        text += f", {len(times)} echoes"
    repeats = len(kept) / (slices * max(len(times), 1))
    if repeats > 1:
        text += f", {repeats:g} frames per position"
    return text


def _series_findings(entry: SeriesEntry) -> list[Finding]:
    findings = []
    if entry.dropped:
        words = "; ".join(f"{n} {reason}" for reason, n in entry.dropped)
        findings.append(Finding("I_DROPPED", Severity.INFO, entry.key, f"set aside: {words}"))
    if any(f.lossy for f in entry.instances):
        findings.append(
            Finding(
                "W_LOSSY",
                Severity.WARNING,
                entry.key,
                "the pixels were compressed with loss (0028,2110)",
            )
        )
    declared = {f.number_of_slices for f in entry.instances} - {None}
    if entry.modality == "PT" and len(declared) == 1:
        expected = declared.pop() or 0
        found = n_positions(entry.instances)
        if found != expected:
            findings.append(
                Finding(
                    "W_SLICE_COUNT",
                    Severity.WARNING,
                    entry.key,
                    f"NumberOfSlices (0054,0081) says {expected}, {found} positions are there",
                )
            )
    return findings


def _instant(frames: Sequence[Instance]) -> datetime | None:
    """Return the earliest acquisition instant; else that of the series, else of the study."""
    for kind in ("acquisition", "series", "study"):
        instants = [
            i
            for f in frames
            if (i := _parsed(getattr(f, f"{kind}_date"), getattr(f, f"{kind}_time"))) is not None
        ]
        if instants:
            return min(instants)
    return None


def _parsed(date: str, time: str) -> datetime | None:
    day = _day(date)
    if day is None:
        return None
    clock = re.match(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d+)?", time.strip())
    if clock is None:
        return day
    hours, minutes, seconds, part = clock.groups(default="0")
    return day + timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(seconds) + float(part or 0)
    )


@lru_cache(maxsize=256)
def _day(date: str) -> datetime | None:
    try:
        return datetime.strptime(date.replace(".", "").strip(), "%Y%m%d")
    except ValueError:
        return None


def _stem(description: str) -> str:
    return _ECHO_IN_NAME.sub("", description.strip()).lower()


def _signature(entry: SeriesEntry) -> tuple[object, ...] | None:
    """Describe what echoes of one acquisition share; None when the entry cannot be joined."""
    first = entry.instances[0] if entry.instances else None
    if entry.modality != "MR" or first is None or len(entry.echo_times_ms) != 1:
        return None
    positions = frozenset(
        tuple(round(x, 1) for x in f.position) if f.position else None for f in entry.instances
    )
    orientation = tuple(round(x, 3) for x in first.orientation) if first.orientation else None
    return (
        entry.study_uid,
        entry.patient_key,
        entry.frame_of_reference,
        _stem(entry.description),
        first.rows,
        first.columns,
        first.pixel_spacing,
        positions,
        orientation,
        first.repetition_time_ms,
        first.flip_angle_deg,
        first.scanning_sequence,
    )


def _joined_echoes(entries: list[SeriesEntry]) -> list[SeriesEntry]:
    """Join single-echo series of one acquisition into one echo train, when there is no doubt."""
    groups: dict[tuple[object, ...], list[SeriesEntry]] = {}
    for entry in entries:
        signature = _signature(entry)
        if signature is not None:
            groups.setdefault(signature, []).append(entry)
    result = [e for e in entries if _signature(e) is None]
    for group in groups.values():
        if len(group) == 1:
            result += group
            continue
        times = [e.echo_times_ms[0] for e in group]
        if len(by_echo([e.instances[0] for e in group])) < len(group):
            note = Finding(
                "W_ECHO_SPLIT",
                Severity.WARNING,
                group[0].key,
                f"{len(group)} single-echo series look like parts of echo trains, but echo times "
                "repeat; they were not joined",
            )
            result += [replace(e, findings=(*e.findings, note)) for e in group]
            continue
        group = [e for _, e in sorted(zip(times, group, strict=True), key=lambda p: p[0])]
        result.append(_join(group))
    return result


def _join(group: list[SeriesEntry]) -> SeriesEntry:
    first = group[0]
    frames = tuple(f for e in group for f in e.instances)
    times = tuple(e.echo_times_ms[0] for e in group)
    dropped: Counter[str] = Counter()
    for e in group:
        dropped.update(dict(e.dropped))
    numbers = ", ".join(str(e.instances[0].series_number) for e in group)
    note = Finding(
        "I_ECHO_JOINED",
        Severity.INFO,
        first.key,
        f"{len(group)} series of the same study and geometry (numbers {numbers}) hold one echo "
        "each; they were joined into one echo train",
    )
    instants = [e.instant for e in group if e.instant is not None]
    return replace(
        first,
        n_files=sum(e.n_files for e in group),
        n_frames=len(frames),
        shape=_shape(frames, times),
        echo_times_ms=times,
        instances=frames,
        paths=tuple(sorted({p for e in group for p in e.paths})),
        dropped=tuple(sorted(dropped.items())),
        parts=tuple(f for e in group for f in e.parts),
        series_uids=tuple(u for e in group for u in e.series_uids),
        instant=min(instants) if instants else None,
        findings=(*(f for e in group for f in e.findings), note),
    )
