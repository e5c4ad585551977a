"""Frames of reconstructed SPECT (NM objects), each seen through the elements of classic PET.

An NM object (PS3.3 A.5) keeps all slices in one file without functional groups: the place of the
first slice stands in the detector, the others follow along the normal by SpacingBetweenSlices
(0018,0088), whose sign gives the direction; SliceVector (0054,0080) tells the slice of each frame.
What is read here goes through the same rules as PET.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eprimg.errors import EprimgError, GeometryError, InputError
from eprimg.io.instance import Instance
from eprimg.io.pet_enhanced import Mapped, real_world_mapping
from eprimg.model.case import Finding, Severity

__all__ = ["NM_CLASS", "NM_ELEMENTS", "expand_nm_frames", "nm_datasets", "nm_findings"]

NM_CLASS = "1.2.840.10008.5.1.4.1.1.20"
"""Nuclear Medicine Image Storage."""

_DETECTOR, _SLICE_VECTOR, _SPACING = 0x00540022, 0x00540080, 0x00180088
NM_ELEMENTS = (_DETECTOR, _SLICE_VECTOR, _SPACING)
"""Elements that place the frames of an NM object."""

_MAX_FRAMES = 20_000
_UPTAKE_UNITS = frozenset({"BQML", "GML", "CM2ML"})
_SAME_SLOPE = 1e-6
_WHERE_DETECTOR = "DetectorInformationSequence (0054,0022)"


def expand_nm_frames(first: Instance, dataset: Any) -> list[Instance]:
    """Return one instance per frame of an NM object.

    Parameters
    ----------
    first : Instance
        Facts of the file's top level.
    dataset : pydicom.dataset.Dataset
        Dataset with the elements of `NM_ELEMENTS`.

    Returns
    -------
    list of Instance
        One per frame, with position and orientation where the header places them; the file as one
        instance when it is no reconstruction.
    """
    number = first.number_of_frames
    if "RECON TOMO" not in {w.upper() for w in first.image_type} or not 1 <= number <= _MAX_FRAMES:
        return [first]
    places, _ = _places(dataset, number)
    stride = (
        first.rows * first.columns * first.samples_per_pixel * ((first.bits_allocated + 7) // 8)
    )
    return [
        replace(
            first,
            frame=n,
            position=None if places is None else places[1][n],
            orientation=None if places is None else places[0],
            pixel_offset=None if first.pixel_offset is None else first.pixel_offset + n * stride,
        )
        for n in range(number)
    ]


def _element(place: Any, keyword: str) -> Any:
    """Value of an element; None when it is absent or cannot be read."""
    try:
        return place.get(keyword)
    except Exception:  # pydicom raises many kinds for an element that it cannot convert
        return None


def _numbers(place: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """Finite numbers of an element, None when it is absent, short or no number."""
    try:
        found = _element(place, keyword)
        values = tuple(float(v) for v in (found if found is not None else ()))
    except (TypeError, ValueError, AttributeError):
        return None
    return values if len(values) == count and all(math.isfinite(v) for v in values) else None


def _places(
    dataset: Any, number: int
) -> tuple[tuple[tuple[float, ...], tuple[tuple[float, ...], ...]] | None, list[EprimgError]]:
    """Orientation and position of every frame, and what stands in the way of it."""
    faults: list[EprimgError] = []
    detectors = list(_element(dataset, "DetectorInformationSequence") or [])
    holders = [*detectors, dataset]
    positions = {p for d in holders if (p := _numbers(d, "ImagePositionPatient", 3)) is not None}
    cosines = {o for d in holders if (o := _numbers(d, "ImageOrientationPatient", 6)) is not None}
    for found, words in ((positions, "position"), (cosines, "orientation")):
        if len(found) != 1:
            problem = (
                f"the header does not give the {words} of the first slice"
                if not found
                else f"the header gives {len(found)} different {words}s of the first slice"
            )
            faults.append(_geometry(problem, _WHERE_DETECTOR))
    spacing = _element(dataset, "SpacingBetweenSlices")
    try:
        step = float(spacing)
    except (TypeError, ValueError):
        step = math.nan
    if number > 1 and not (math.isfinite(step) and step != 0.0):
        faults.append(
            _geometry(
                "the distance and direction from slice to slice are not given (SliceThickness "
                "gives neither)",
                "SpacingBetweenSlices (0018,0088)",
                spacing,
            )
        )
    order = _order(dataset, number, faults)
    if faults:
        return None, faults
    origin, direction = np.array(positions.pop()), np.array(cosines.pop())
    normal = np.cross(direction[:3], direction[3:])
    step = 0.0 if number == 1 else step
    planes = tuple(tuple((origin + k * step * normal).tolist()) for k in order)
    return (tuple(direction.tolist()), planes), []


def _order(dataset: Any, number: int, faults: list[EprimgError]) -> list[int]:
    """Slice of each frame, from 0."""
    found = _element(dataset, "SliceVector")
    if found is None:
        return list(range(number))
    try:
        order = [int(n) - 1 for n in ([found] if isinstance(found, int) else found)]
    except (TypeError, ValueError):
        order = []
    if sorted(order) != list(range(number)):
        faults.append(
            _geometry(
                "the frames are not one per slice (gated, dynamic, or several energy windows)",
                "SliceVector (0054,0080)",
                f"{number} frames, {len(set(order))} slices",
            )
        )
    return order


def _geometry(problem: str, where: str, value: object = None) -> GeometryError:
    return GeometryError(
        f"SPECT slices cannot be placed: {problem}",
        code="E_NM_GEOMETRY",
        where=where,
        value=None if value is None else str(value),
        action="export one static reconstruction with its geometry, or as classic PET-like slices",
    )


def nm_datasets(instances: Sequence[Instance]) -> Mapped:
    """Read the header of a reconstructed SPECT series as one dataset of classic PET per frame.

    Parameters
    ----------
    instances : sequence of Instance
        Frames of one NM file.

    Returns
    -------
    Mapped
        One dataset per frame, in the order of `instances`.

    Raises
    ------
    InputError
        ``E_FILE`` when the file has gone, ``E_PET_FRAMES`` for several files,
        ``E_NM_GEOMETRY`` (a `GeometryError`) among the faults when slices cannot be placed.
    """
    import pydicom

    paths = list(dict.fromkeys(i.path for i in instances))
    if len(paths) > 1:
        raise InputError(
            f"the series holds {len(paths)} SPECT reconstructions; they are never merged",
            code="E_PET_FRAMES",
            where=", ".join(p.name for p in paths[:3]),
            action="keep the one that is to be measured",
        )
    try:
        dataset = pydicom.dcmread(paths[0], stop_before_pixels=True, force=True)
    except OSError as error:
        raise InputError(
            f"the file cannot be read: {error.strerror}", code="E_FILE", where=paths[0].name
        ) from error
    _, faults = _places(dataset, instances[0].number_of_frames)
    windows = _element(dataset, "EnergyWindowVector") or []
    if len({str(n) for n in ([windows] if isinstance(windows, int) else windows)}) > 1:
        faults.append(
            InputError(
                "the slices belong to different energy windows",
                code="E_PET_KIND",
                where="EnergyWindowVector (0054,0010)",
                action="export the reconstruction of one energy window, or of the sum",
            )
        )
    seen = [_NmFrame(dataset, i) for i in instances]
    for each in seen:
        faults += each.faults
    return Mapped(
        tuple(seen),
        tuple(i.name for i in instances),
        tuple(s.span for s in seen),
        tuple({(f.code, f.message): f for f in faults}.values()),
    )


class _NmFrame:
    """One slice, asked like a dataset of classic PET."""

    def __init__(self, top: Any, instance: Instance) -> None:
        self.top = top
        self.faults: list[EprimgError] = []
        self.span: tuple[float, float] | None = None
        self.values: dict[Any, Any] = {"ImagePositionPatient": instance.position}
        duration = _duration_ms(top)
        if duration is not None:
            self.values["ActualFrameDuration"] = duration
        if "RescaleSlope" not in top:
            # NM has no rescale of its own: stored values are counts unless something else is said.
            self.values.update(RescaleSlope=1.0, RescaleIntercept=0.0)
        self._mapping()

    def get(self, keyword: Any, default: Any = None) -> Any:
        """Value of an element: worked out here, else that of the object."""
        if keyword in self.values:
            return self.values[keyword]
        return self.top.get(keyword, default)

    def keys(self) -> Any:
        return self.top.keys()

    def private_block(self, group: int, creator: str) -> Any:
        return self.top.private_block(group, creator)

    def _mapping(self) -> None:
        """Take a real-world value mapping to an activity or an uptake; another one is no use."""
        try:
            found = real_world_mapping(_element(self.top, "RealWorldValueMappingSequence") or [])
        except InputError as fault:
            self.faults.append(fault)
            return
        except (TypeError, ValueError):
            found = None
        if found is None or found.units not in _UPTAKE_UNITS:
            return
        stated = str(_element(self.top, "Units") or "").strip().upper()
        slope = _element(self, "RescaleSlope")
        try:
            apart = abs(float(slope) / found.slope - 1.0)
        except (TypeError, ValueError, ZeroDivisionError):
            apart = math.inf
        same = stated in ("", "CNTS") or (stated == found.units and apart <= _SAME_SLOPE)
        if not same:
            self.faults.append(
                InputError(
                    f"Units and RescaleSlope say {stated} x {slope}, the real-world value mapping "
                    f"says {found.units} x {found.slope:g}",
                    code="E_PET_SLOPE",
                    where="RealWorldValueMappingSequence (0040,9096)",
                    action="export the series again",
                )
            )
        self.values.update(
            Units=found.units,
            SUVType=found.suv_type,
            RescaleSlope=found.slope,
            RescaleIntercept=found.intercept,
        )
        self.span = found.span


def _duration_ms(dataset: Any) -> float | None:
    """Time that the camera counted: duration of a view x views of the one rotation."""
    rotations = list(_element(dataset, "RotationInformationSequence") or [])
    if len(rotations) != 1:
        return None
    try:
        view = float(_element(rotations[0], "ActualFrameDuration"))
        views = int(_element(rotations[0], "NumberOfFramesInRotation"))
    except (TypeError, ValueError):
        return None
    return view * views if view > 0 and views > 0 else None


def nm_findings(mapped: Mapped) -> tuple[Finding, ...]:
    """Say what a SPECT header tells about agent and energy windows.

    Parameters
    ----------
    mapped : Mapped
        From `nm_datasets`.

    Returns
    -------
    tuple of Finding
        ``I_SPECT``.
    """
    top = mapped.datasets[0]
    agents = list(_element(top, "RadiopharmaceuticalInformationSequence") or [])
    agent = str(_element(agents[0], "Radiopharmaceutical") or "") if agents else ""
    windows = [
        f"{low:g}-{high:g} keV"
        for window in _element(top, "EnergyWindowInformationSequence") or []
        for span in _element(window, "EnergyWindowRangeSequence") or []
        if (low := _kev(span, "EnergyWindowLowerLimit")) is not None
        and (high := _kev(span, "EnergyWindowUpperLimit")) is not None
    ]
    text = (
        f"The series is SPECT (NM), not PET. Radiopharmaceutical: {agent or 'not stated'}; energy "
        f"windows: {', '.join(windows) or 'not stated'}. Clock, dose and weight follow the rules "
        "of PET; calibration, scatter, collimator and resolution are those of SPECT."
    )
    return (Finding("I_SPECT", Severity.INFO, "Modality (0008,0060)", text),)


def _kev(place: Any, keyword: str) -> float | None:
    try:
        return float(_element(place, keyword))
    except (TypeError, ValueError):
        return None
