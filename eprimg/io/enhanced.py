"""Frames of enhanced (multi-frame) objects: facts come from the functional groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eprimg.io.header_values import HeaderValues
from eprimg.io.instance import Instance

__all__ = ["FRAME_CLASSES", "FUNCTIONAL_GROUPS", "expand_frames"]

FRAME_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
        "1.2.840.10008.5.1.4.1.1.128.1",  # Legacy Converted Enhanced PET
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
    }
)
"""Storage classes whose frames are described by functional groups."""

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
FUNCTIONAL_GROUPS = (_SHARED, _PER_FRAME)
"""Elements that hold the functional groups."""
_POSITION, _ORIENTATION, _MEASURES = 0x00209113, 0x00209116, 0x00289110
_TRANSFORMATION, _CONTENT, _ECHO, _TIMING = 0x00289145, 0x00209111, 0x00189114, 0x00189112
_FRAME_TYPES = (0x00189226, 0x00189751, 0x00189329, 0x0020930C)  # MR, PET, CT, unassigned legacy
_CONVERSION_SOURCE = 0x00209172
_PHILIPS_FRAME = (0x2005, "Philips MR Imaging DD 005", 0x0F)
"""Private sequence in which a Philips multi-frame file keeps what its single frames would hold."""
_PHILIPS_SLOPE = (0x2005, "Philips MR Imaging DD 001", 0x0E)
_MAX_FRAMES = 200_000


def _group(own: Any, shared: Any, tag: int) -> Any:
    """Return the item of a functional group: of the frame, else the shared one, else None."""
    for groups in (own, shared):
        if groups is not None and tag in groups:
            items = groups[tag].value
            if items:
                return items[0]
    return None


def _first(dataset: Any, tag: int) -> Any:
    return dataset[tag].value[0] if tag in dataset and dataset[tag].value else None


def expand_frames(first: Instance, dataset: Any) -> list[Instance]:
    """Return one instance per frame of a multi-frame object.

    Parameters
    ----------
    first : Instance
        Facts of the file's top level.
    dataset : pydicom.dataset.Dataset
        Dataset with the two functional group sequences.

    Returns
    -------
    list of Instance
        Empty when the object has no functional groups.
    """
    frames = dataset[_PER_FRAME].value if _PER_FRAME in dataset else None
    if not frames or len(frames) > _MAX_FRAMES:
        return []
    shared = _first(dataset, _SHARED)
    stride = (
        first.rows * first.columns * first.samples_per_pixel * ((first.bits_allocated + 7) // 8)
    )
    return [_frame(first, number, own, shared, stride) for number, own in enumerate(frames)]


def _frame(first: Instance, number: int, own: Any, shared: Any, stride: int) -> Instance:
    facts: dict[str, Any] = {}
    faults = list(first.faults)

    def values(tag: int) -> HeaderValues | None:
        item = _group(own, shared, tag)
        return None if item is None else HeaderValues(item)

    if (plane := values(_POSITION)) is not None:
        facts["position"] = plane.numbers(0x00200032, "ImagePositionPatient", 3)
        faults += plane.faults
    if (plane := values(_ORIENTATION)) is not None:
        facts["orientation"] = plane.numbers(0x00200037, "ImageOrientationPatient", 6)
        faults += plane.faults
    if (measures := values(_MEASURES)) is not None:
        facts["pixel_spacing"] = measures.numbers(0x00280030, "PixelSpacing", 2)
        facts["slice_thickness_mm"] = measures.number(0x00180050, "SliceThickness")
        faults += measures.faults
    if (rescale := values(_TRANSFORMATION)) is not None:
        slope = rescale.number(0x00281053, "RescaleSlope")
        intercept = rescale.number(0x00281052, "RescaleIntercept")
        facts["slope"] = 1.0 if slope is None else slope
        facts["intercept"] = 0.0 if intercept is None else intercept
        facts["rescale_type"] = rescale.text(0x00281054)
        faults += rescale.faults
    if (echo := values(_ECHO)) is not None:
        facts["echo_time_ms"] = echo.binary_float(0x00189082, "EffectiveEchoTime")
        faults += echo.faults
    if (timing := values(_TIMING)) is not None:
        facts["repetition_time_ms"] = timing.number(0x00180080, "RepetitionTime")
        facts["flip_angle_deg"] = timing.number(0x00181314, "FlipAngle")
        faults += timing.faults
    for tag in _FRAME_TYPES:
        if (kind := values(tag)) is not None:
            facts["image_type"] = kind.words(0x00089007) or first.image_type
            facts["complex_component"] = kind.text(0x00089208) or first.complex_component
            break
    if (content := values(_CONTENT)) is not None:
        instant = content.text(0x00189074)
        if instant:
            facts["acquisition_date"], facts["acquisition_time"] = instant[:8], instant[8:]
        facts["temporal_index"] = content.unsigned(0x00209128, "TemporalPositionIndex")
        facts["frame_duration_ms"] = content.binary_float(0x00189220, "FrameAcquisitionDuration")
    scale_slope = _philips_scale_slope(own, shared, faults)
    if scale_slope is not None:
        facts["philips_scale_slope"] = scale_slope
    offset = None if first.pixel_offset is None else first.pixel_offset + number * stride
    return replace(first, frame=number, pixel_offset=offset, faults=tuple(faults), **facts)


def _philips_scale_slope(own: Any, shared: Any, faults: list[tuple[str, str]]) -> float | None:
    """Read the scale slope (2005,xx0E) out of the private sequence (2005,xx0F) of a frame."""
    for groups in (own, shared):
        if groups is None:
            continue
        tag = HeaderValues(groups).private_tag(*_PHILIPS_FRAME)
        item = _first(groups, tag) if tag is not None else None
        if not hasattr(item, "_dict"):  # absent, or a sequence that was sent as unknown bytes
            continue
        values = HeaderValues(item)
        slope = values.private_tag(*_PHILIPS_SLOPE)
        if slope is None:
            continue
        found = values.binary_float(slope, "Philips scale slope")
        faults += values.faults
        return found
    return None
