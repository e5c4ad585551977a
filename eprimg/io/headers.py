"""Headers of DICOM files, without their pixels: one `Instance` per two-dimensional frame."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from sys import intern
from typing import Any, BinaryIO

from eprimg.io.enhanced import FRAME_CLASSES, FUNCTIONAL_GROUPS, expand_frames
from eprimg.io.explicit_headers import (
    EXPLICIT_LE,
    LONG_VR,
    ExplicitValues,
    PixelPlace,
    read_explicit_header,
)
from eprimg.io.header_values import HeaderValues
from eprimg.io.instance import Instance
from eprimg.io.nm_frames import NM_CLASS, NM_ELEMENTS, expand_nm_frames
from eprimg.model.case import Finding, Severity

__all__ = ["NATIVE_LITTLE_ENDIAN", "HeaderCache", "Instance", "read_headers"]

HeaderCache = dict[tuple[Any, ...], tuple[dict[str, Any], tuple[tuple[str, str], ...]]]
"""Facts of elements that were seen before, by their bytes; lives for one scan."""
_MAX_KNOWN = 10_000

IMPLICIT_LE = "1.2.840.10008.1.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
NATIVE_LITTLE_ENDIAN = frozenset({IMPLICIT_LE, EXPLICIT_LE})
"""Transfer syntaxes whose pixels can be read straight from the file."""

_IMAGE_MODALITIES = frozenset({"MR", "PT", "CT", "NM"})
_UNDEFINED = 0xFFFFFFFF
_IN_FRAMES = FRAME_CLASSES | {NM_CLASS}
"""Storage classes whose files are read as frames."""


def read_headers(
    path: Path,
    *,
    findings: list[Finding],
    name: str | None = None,
    known: HeaderCache | None = None,
) -> list[Instance]:
    """Read the header of one file; never raises for what is in the file.

    Parameters
    ----------
    path : Path
        File.
    findings : list of Finding
        What is wrong with the file is appended here.
    name : str, optional
        Name to show; the file's name by default.
    known : dict, optional
        Start with an empty one and pass it for every file of a folder: what repeats is then
        understood once.

    Returns
    -------
    list of Instance
        One per frame; empty when the file cannot be used.
    """
    shown = name or path.name

    def note(code: str, severity: Severity, text: str) -> None:
        findings.append(Finding(code, severity, shown, text))

    try:
        quick = read_explicit_header(str(path), _WANTED)
        if quick is not None:
            values = ExplicitValues(quick.items)
            first = _instance(path, EXPLICIT_LE, values, quick.pixels, known)
            if first.sop_class not in _IN_FRAMES:
                return [first] if _whole(first, quick.pixels, quick.size, note) else []
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            syntax = _transfer_syntax(file)
            if syntax is None:
                note("W_SKIP_NONDICOM", Severity.WARNING, "not a DICOM file; it was left out")
                return []
            if syntax == DEFLATED_LE:
                note(
                    "E_SYNTAX",
                    Severity.ERROR,
                    "deflated transfer syntax is not read (a small file can inflate to gigabytes)",
                )
                return []
            if not syntax:
                note(
                    "W_NO_META",
                    Severity.WARNING,
                    "no transfer syntax in the meta group; implicit little endian was assumed",
                )
            dataset, pixels = _read_dataset(file, syntax)
        syntax = syntax or IMPLICIT_LE
        read = HeaderValues(dataset, little_endian=syntax != EXPLICIT_BE)
        first = _instance(path, syntax, read, pixels, known)
        if not _whole(first, pixels, size, note):
            return []
        if first.sop_class in FRAME_CLASSES:
            frames = expand_frames(first, dataset)
            if not frames:
                note(
                    "E_ENHANCED",
                    Severity.ERROR,
                    "multi-frame object without functional groups: frames cannot be placed",
                )
            return frames
        return expand_nm_frames(first, dataset) if first.sop_class == NM_CLASS else [first]
    except OSError as error:
        note("E_FILE", Severity.ERROR, f"the file cannot be read: {error.strerror}")
    except Exception as error:  # a damaged header can raise anything (fuzzed: 8 kinds)
        note("E_PARSE", Severity.ERROR, f"the header cannot be parsed ({type(error).__name__})")
    return []


def _whole(
    first: Instance,
    pixels: PixelPlace,
    size: int,
    note: Callable[[str, Severity, str], None],
) -> bool:
    """Note what is missing; tell whether the file can be used."""
    missing = [
        keyword
        for keyword, value in (
            ("SOPClassUID (0008,0016)", first.sop_class),
            ("StudyInstanceUID (0020,000D)", first.study_uid),
            ("SeriesInstanceUID (0020,000E)", first.series_uid),
        )
        if not value
    ]
    if first.modality in _IMAGE_MODALITIES and (not pixels.tag or not first.rows):
        missing.append("pixels")
    if missing:
        note(
            "E_TRUNCATED",
            Severity.ERROR,
            f"the header ends early or is damaged: no {', '.join(missing)}",
        )
        return False
    if pixels.length not in (None, _UNDEFINED) and pixels.offset + pixels.length > size:
        note(
            "E_PIXEL_SHORT",
            Severity.ERROR,
            f"the file ends {pixels.offset + pixels.length - size} bytes before its pixels do",
        )
    return True


class _PixelElement:
    """Stops the reader at the pixel element and remembers where its value starts."""

    __slots__ = ("file", "place")

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.place = PixelPlace()

    def __call__(self, tag: Any, vr: str | None, length: int) -> bool:
        if int.__lt__(tag, 0x7FE00008):  # plain int comparison: BaseTag's own is slow
            return False
        if int.__eq__(tag, 0x7FE00010) or int.__lt__(tag, 0x7FE00010):
            self.place = PixelPlace(int(tag), self.file.tell(), length)
        return True


def _transfer_syntax(file: BinaryIO) -> str | None:
    """Read the meta group; None when this is not DICOM, empty when it names no syntax."""
    if file.read(132)[128:] != b"DICM":
        return None
    syntax = ""
    while True:
        head = file.read(8)
        if len(head) < 8:
            return syntax
        group, element, vr, length = struct.unpack("<HH2sH", head)
        if group != 2:
            file.seek(-8, os.SEEK_CUR)
            return syntax
        if vr in LONG_VR:
            length = struct.unpack("<I", file.read(4))[0]
        value = file.read(length) if length < 1 << 16 else file.seek(length, os.SEEK_CUR) and b""
        if element == 0x0010 and isinstance(value, bytes):
            syntax = value.decode("ascii", "replace").strip("\0 ")


def _read_dataset(file: BinaryIO, syntax: str) -> tuple[Any, PixelPlace]:
    from pydicom.filereader import read_dataset

    stop = _PixelElement(file)
    dataset = read_dataset(
        file,
        syntax in (IMPLICIT_LE, ""),
        syntax != EXPLICIT_BE,
        stop_when=stop,
        specific_tags=[*_TAGS, *NM_ELEMENTS],
    )
    return dataset, stop.place


_TEXTS: dict[str, int] = {
    "sop_class": 0x00080016,
    "modality": 0x00080060,
    "study_uid": 0x0020000D,
    "series_uid": 0x0020000E,
    "frame_of_reference": 0x00200052,
    "series_description": 0x0008103E,
    "study_description": 0x00081030,
    "manufacturer": 0x00080070,
    "model": 0x00081090,
    "complex_component": 0x00089208,
    "study_date": 0x00080020,
    "study_time": 0x00080030,
    "series_date": 0x00080021,
    "series_time": 0x00080031,
    "contrast_agent": 0x00180010,
    "scanning_sequence": 0x00180020,
    "sequence_name": 0x00180024,
    "units": 0x00541001,
    "decay_correction": 0x00541102,
    "rescale_type": 0x00281054,
}
_PATIENT = (0x00100020, 0x00100021, 0x00100010, 0x00100030)
_WORDS: dict[str, int] = {
    "image_type": 0x00080008,
    "corrected_image": 0x00280051,
    "series_type": 0x00541000,
}
_INTEGERS: dict[str, tuple[int, str]] = {
    "series_number": (0x00200011, "SeriesNumber"),
    "echo_number": (0x00180086, "EchoNumbers"),
    "echo_train_length": (0x00180091, "EchoTrainLength"),
    "acquisition_number": (0x00200012, "AcquisitionNumber"),
    "temporal_index": (0x00200100, "TemporalPositionIdentifier"),
}
_SHORTS: dict[str, tuple[int, str]] = {
    "rows": (0x00280010, "Rows"),
    "columns": (0x00280011, "Columns"),
    "bits_allocated": (0x00280100, "BitsAllocated"),
    "bits_stored": (0x00280101, "BitsStored"),
    "pixel_representation": (0x00280103, "PixelRepresentation"),
}
_COUNTS: dict[str, tuple[int, str]] = {
    "number_of_slices": (0x00540081, "NumberOfSlices"),
    "number_of_time_slices": (0x00540101, "NumberOfTimeSlices"),
}
_FLOATS: dict[str, tuple[int, str]] = {
    "echo_time_ms": (0x00180081, "EchoTime"),
    "slice_thickness_mm": (0x00180050, "SliceThickness"),
    "field_strength_t": (0x00180087, "MagneticFieldStrength"),
    "repetition_time_ms": (0x00180080, "RepetitionTime"),
    "flip_angle_deg": (0x00181314, "FlipAngle"),
}
_VECTORS: dict[str, tuple[int, str, int]] = {
    "orientation": (0x00200037, "ImageOrientationPatient", 6),
    "pixel_spacing": (0x00280030, "PixelSpacing", 2),
}
_SOP_UID, _INSTANCE_NUMBER, _POSITION = 0x00080018, 0x00200013, 0x00200032
_ACQUISITION_DATE, _ACQUISITION_TIME = 0x00080022, 0x00080032
_ACQUISITION_INSTANT = 0x0008002A
_SLOPE, _INTERCEPT = 0x00281053, 0x00281052
_FRAME_REFERENCE_TIME, _FRAME_DURATION, _DECAY_FACTOR = 0x00541300, 0x00181242, 0x00541321
_FRAMES, _SAMPLES, _LOSSY = 0x00280008, 0x00280002, 0x00282110
_HIGH_BIT = 0x00280102
_BLOCKS = range(0x10, 0x20)
"""Blocks in which a private creator may reserve its elements (PS3.5 7.8.1); 10 is the usual one,
but a file that passed an archive or a de-identification may use another."""
_PHILIPS_SLOPE = (0x2005, "Philips MR Imaging DD 001", 0x0E)
_GE_IMAGE_TYPE = (0x0043, "GEMS_PARM_01", 0x2F)
_GE_COMPONENT = {0: "MAGNITUDE", 1: "PHASE", 2: "REAL", 3: "IMAGINARY"}
_SEQUENCE_NAME, _ECHO_PULSE_SEQUENCE = 0x00189005, 0x00189008
_PULSE_SEQUENCE = {"GRADIENT": "GR", "SPIN": "SE", "BOTH": "SE\\GR"}

_SERIES_TAGS = (
    0x00080005,
    *_TEXTS.values(),
    *_PATIENT,
    *_WORDS.values(),
    *(t for t, _ in (*_INTEGERS.values(), *_SHORTS.values(), *_COUNTS.values())),
    *(t for t, _ in _FLOATS.values()),
    *(t for t, _, _ in _VECTORS.values()),
    *(_FRAMES, _SAMPLES, _LOSSY, _HIGH_BIT, _SEQUENCE_NAME, _ECHO_PULSE_SEQUENCE),
    *(
        tag
        for group, _, element in (_PHILIPS_SLOPE, _GE_IMAGE_TYPE)
        for block in _BLOCKS
        for tag in (group << 16 | block, group << 16 | block << 8 | element)
    ),
)
"""Elements that seldom change inside a series; equal bytes are understood once per scan."""
_FRAME_TAGS = (
    *(_SOP_UID, _INSTANCE_NUMBER, _POSITION, _SLOPE, _INTERCEPT),
    *(_ACQUISITION_DATE, _ACQUISITION_TIME, _ACQUISITION_INSTANT),
    *(_FRAME_REFERENCE_TIME, _FRAME_DURATION, _DECAY_FACTOR),
)
_TAGS: list[Any] = [*_SERIES_TAGS, *_FRAME_TAGS, *FUNCTIONAL_GROUPS]
_WANTED = frozenset(_TAGS)
_OF_A_FRAME = frozenset(_FRAME_TAGS)


def _instance(
    path: Path, syntax: str, read: HeaderValues, pixels: PixelPlace, known: HeaderCache | None
) -> Instance:
    facts, faults = _series_facts(read, syntax, known)
    date, time = read.text(_ACQUISITION_DATE), read.text(_ACQUISITION_TIME)
    if not date:
        instant = read.text(_ACQUISITION_INSTANT)
        date, time = instant[:8], instant[8:]
    slope = read.number(_SLOPE, "RescaleSlope")
    intercept = read.number(_INTERCEPT, "RescaleIntercept")
    native = (
        pixels.tag == 0x7FE00010 and syntax in NATIVE_LITTLE_ENDIAN and pixels.length != _UNDEFINED
    )
    return Instance(
        path=path,
        sop_uid=read.text(_SOP_UID),
        acquisition_date=date,
        acquisition_time=time,
        instance_number=read.integer(_INSTANCE_NUMBER, "InstanceNumber"),
        position=read.numbers(_POSITION, "ImagePositionPatient", 3),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        frame_reference_time_ms=read.number(_FRAME_REFERENCE_TIME, "FrameReferenceTime"),
        frame_duration_ms=read.number(_FRAME_DURATION, "ActualFrameDuration"),
        decay_factor=read.number(_DECAY_FACTOR, "DecayFactor"),
        pixel_offset=pixels.offset if native else None,
        pixel_length=None if pixels.length == _UNDEFINED else pixels.length,
        faults=(*faults, *read.faults),
        **facts,
    )


def _series_facts(
    read: HeaderValues, syntax: str, known: HeaderCache | None
) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Understand the elements that seldom change; equal bytes give the same answer again."""
    key: tuple[Any, ...] | None = None
    if known is not None:
        key = (syntax, *read.shared_values(_SERIES_TAGS, _OF_A_FRAME))
        try:
            if key in known:
                return known[key]
        except TypeError:  # a sequence in place of a value cannot be a key
            key = None
    facts: dict[str, Any] = {k: intern(read.text(tag)) for k, tag in _TEXTS.items()}
    facts.update({k: read.words(tag) for k, tag in _WORDS.items()})
    facts.update({k: read.integer(tag, name) for k, (tag, name) in _INTEGERS.items()})
    facts.update({k: read.unsigned(tag, name) or 0 for k, (tag, name) in _SHORTS.items()})
    facts.update({k: read.unsigned(tag, name) for k, (tag, name) in _COUNTS.items()})
    facts.update({k: read.number(tag, name) for k, (tag, name) in _FLOATS.items()})
    facts.update({k: read.numbers(tag, name, n) for k, (tag, name, n) in _VECTORS.items()})
    facts["patient_key"] = _fingerprint([read.text(tag) for tag in _PATIENT])
    facts["samples_per_pixel"] = read.unsigned(_SAMPLES, "SamplesPerPixel") or 1
    facts["high_bit"] = read.unsigned(_HIGH_BIT, "HighBit")
    facts["number_of_frames"] = read.integer(_FRAMES, "NumberOfFrames") or 1
    facts["transfer_syntax"] = intern(syntax)
    facts["lossy"] = read.text(_LOSSY) == "01"
    slope_tag = read.private_tag(*_PHILIPS_SLOPE)
    if slope_tag is not None:
        facts["philips_scale_slope"] = read.binary_float(slope_tag, "Philips scale slope")
    kind_tag = None if facts["complex_component"] else read.private_tag(*_GE_IMAGE_TYPE)
    if kind_tag is not None:
        kind = read.unsigned(kind_tag, "GE image type")
        facts["complex_component"] = _GE_COMPONENT.get(-1 if kind is None else kind, "")
    if not facts["scanning_sequence"]:
        facts["scanning_sequence"] = _PULSE_SEQUENCE.get(read.text(_ECHO_PULSE_SEQUENCE), "")
    if not facts["sequence_name"]:
        facts["sequence_name"] = read.text(_SEQUENCE_NAME)
    faults = tuple(read.faults)
    read.faults.clear()
    if known is not None and key is not None and len(known) < _MAX_KNOWN:
        known[key] = facts, faults
    return facts, faults


def _fingerprint(parts: list[str]) -> str:
    plain = "\n".join(p.upper().rstrip("^ ") for p in parts)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]
