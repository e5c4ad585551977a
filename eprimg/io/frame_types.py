"""Which frames carry a signal to measure, and why the others are set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eprimg.io.instance import Instance

__all__ = [
    "SAME_ECHO_MS",
    "SEG_CLASSES",
    "VOLUME_CLASSES",
    "by_echo",
    "complex_part",
    "drop_reason",
    "is_spin_echo",
    "n_positions",
]

_ROOT = "1.2.840.10008.5.1.4.1.1"
VOLUME_CLASSES = {
    f"{_ROOT}.4": "MR",
    f"{_ROOT}.4.1": "MR",
    f"{_ROOT}.4.4": "MR",
    f"{_ROOT}.128": "PT",
    f"{_ROOT}.130": "PT",
    f"{_ROOT}.128.1": "PT",
    f"{_ROOT}.20": "NM",
    f"{_ROOT}.2": "CT",
    f"{_ROOT}.2.1": "CT",
    f"{_ROOT}.2.2": "CT",
}
"""Storage class UID -> modality, for the classes whose frames make volumes."""
SEG_CLASSES = frozenset({f"{_ROOT}.66.4", f"{_ROOT}.66.7"})
"""Segmentation storage (binary or fractional, and label map)."""

_FIELD_MAP = {"FIELD_MAP", "FIELD MAP", "FIELDMAP", "B0", "B0 MAP", "B0_MAP", "B1", "B1 MAP"}
_PHASE = {"P", "PHASE", "PHASE MAP", "PHASE_MAP", "P_FFE", "P_SE", "PHASE_DIFFERENCE"}
_REAL = {"R", "REAL", "R_FFE", "R_SE"}
_IMAGINARY = {"I", "IMAGINARY", "I_FFE", "I_SE"}
_DERIVED_WORDS = {
    "MIP",
    "MAXIP",
    "MINIP",
    "MIN IP",
    "MPR",
    "MPR THICK",
    "PROJECTION IMAGE",
    "REFORMATTED",
    "SUBTRACTION",
    "MEAN",
    "STDDEV",
    "CURVED",
    "VOLUME RENDERING",
    "CPR",
}
_MAP_WORDS = {
    "T2_STAR MAP",
    "T2* MAP",
    "T2STAR",
    "T2_STAR",
    "R2_STAR",
    "R2*",
    "R2_STAR MAP",
    "T1 MAP",
    "T2 MAP",
    "ADC",
    "FAT_FRACTION",
    "FAT FRACTION",
    "QSM",
}
_COMPLEX_PARTS = (("PHASE", _PHASE), ("REAL", _REAL), ("IMAGINARY", _IMAGINARY))
_PART_REASONS = frozenset(f"{name.lower()} frames" for name, _ in _COMPLEX_PARTS)
_NOT_SPECT = "gamma-camera files that are no static reconstruction (RECON TOMO)"
SAME_ECHO_MS = 0.005
"""Echo times closer than this are one echo time that was rounded."""


def drop_reason(frame: Instance) -> str:
    """Tell why a frame does not belong to a measured volume.

    Parameters
    ----------
    frame : Instance
        A frame of an MR, PET, SPECT or CT storage class.

    Returns
    -------
    str
        Reason in words (a plural noun), empty when the frame is kept.
    """
    words = {w.upper() for w in frame.image_type}
    if "LOCALIZER" in words:
        return "localizer frames"
    if "SCREEN SAVE" in words or "SCREEN_SAVE" in words:
        return "screen saves"
    if words & _DERIVED_WORDS:
        return "projections or reformatted frames"
    if VOLUME_CLASSES.get(frame.sop_class) == "NM":
        return "" if "RECON TOMO" in words and "TRANSMISSION" not in words else _NOT_SPECT
    if VOLUME_CLASSES.get(frame.sop_class) == "PT":
        return "reprojections" if "REPROJECTION" in frame.series_type else ""
    if VOLUME_CLASSES.get(frame.sop_class) != "MR":
        return ""
    if words & _FIELD_MAP:
        return "field-map frames"
    part = _part(frame)
    if part:
        return f"{part.lower()} frames"
    if "MOSAIC" in words:
        return "mosaic frames"
    if words & _MAP_WORDS:
        return "maps computed by the scanner"
    if "DERIVED" in words:
        return "frames derived by the scanner or a workstation"
    return ""


def _part(frame: Instance) -> str:
    component = frame.complex_component.upper()
    kinds = {w.upper() for w in frame.image_type[2:4]}
    for name, spellings in _COMPLEX_PARTS:
        if component == name or (component in ("", "MIXED") and kinds & spellings):
            return name
    return ""


def complex_part(frame: Instance) -> str:
    """Tell which part of the complex signal a frame holds.

    Parameters
    ----------
    frame : Instance
        A frame of an MR storage class.

    Returns
    -------
    str
        ``PHASE``, ``REAL`` or ``IMAGINARY``; empty for magnitude, field maps and everything that
        is not a signal.
    """
    reason = drop_reason(frame)
    return reason.removesuffix(" frames").upper() if reason in _PART_REASONS else ""


def by_echo(frames: Iterable[Instance]) -> dict[float | None, list[Instance]]:
    """Group frames by echo time; the echo number is not trusted (some vendors write 1 always).

    Parameters
    ----------
    frames : iterable of Instance
        MR frames.

    Returns
    -------
    dict
        Echo time in ms (None where it is missing) -> frames, times rising.
    """
    groups: dict[float | None, list[Instance]] = {}
    times: list[float] = []
    for frame in frames:
        time = frame.echo_time_ms
        if time is not None:
            near = next((t for t in times if abs(t - time) <= SAME_ECHO_MS), None)
            if near is None:
                times.append(time)
            time = near if near is not None else time
        groups.setdefault(time, []).append(frame)
    return dict(sorted(groups.items(), key=lambda g: (g[0] is None, g[0] or 0.0)))


def is_spin_echo(frame: Instance) -> bool:
    """Tell whether the header says spin echo, whose decay is R2 and not R2*.

    Parameters
    ----------
    frame : Instance
        An MR frame.

    Returns
    -------
    bool
        True for ScanningSequence SE without GR.
    """
    words = frame.scanning_sequence.upper().replace(" ", "").split("\\")
    return "SE" in words and "GR" not in words


def n_positions(frames: Sequence[Instance]) -> int:
    """Count distinct slice positions.

    Parameters
    ----------
    frames : sequence of Instance
        Frames of one series.

    Returns
    -------
    int
        Positions that differ by more than 0.01 mm; frames without one count as one position.
    """
    return len({tuple(round(x, 2) for x in f.position) if f.position else None for f in frames})
