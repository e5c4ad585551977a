"""What frames have to share before they can be stacked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from eprimg.errors import EprimgError, GeometryError, InputError, MissingTagError
from eprimg.io.instance import Instance
from eprimg.io.pixels import content_matches
from eprimg.model.case import Finding, Severity

__all__ = ["check_identity", "check_planes", "without_copies"]

MAX_SIDE = 16384
"""Largest number of rows or columns."""
MAX_VOXELS = 2**31
"""Largest number of voxels of one volume (8 GiB as float32)."""
_UNIT_TOLERANCE = 1e-3
"""Largest deviation of a direction cosine vector from unit length and right angle."""
_NAMED = 3
_NEEDED = ("Position", "Orientation", "Spacing", "Rescale", "Rows", "Columns", "Bits", "PixelRep")
"""Parts of the names of elements whose faults stop the stacking."""


def _names(frames: Sequence[Instance]) -> str:
    shown = ", ".join(f.name for f in frames[:_NAMED])
    rest = len(frames) - _NAMED
    return shown + (f" and {rest} more" if rest > 0 else "")


def without_copies(
    instances: Sequence[Instance], what: str, findings: list[Finding]
) -> list[Instance]:
    """Keep one of each frame that was sent twice.

    Parameters
    ----------
    instances : sequence of Instance
        Frames of one volume.
    what : str
        Name of the series in messages.
    findings : list of Finding
        ``W_DUP`` is appended here.

    Returns
    -------
    list of Instance
        Frames with distinct identifiers.

    Raises
    ------
    InputError
        ``E_DUP_CONFLICT`` when two frames share an identifier and differ in content.
    """
    seen: dict[tuple[str, int | None], Instance] = {}
    conflicts: list[Instance] = []
    copies: list[Instance] = []
    for each in instances:
        identity = (each.sop_uid or str(each.path), each.frame)
        earlier = seen.setdefault(identity, each)
        if earlier is not each:
            (copies if content_matches(earlier, each) else conflicts).append(each)
    if conflicts:
        raise InputError(
            f"{what}: {len(conflicts)} frames carry a SOPInstanceUID that another frame with "
            "different content carries too",
            code="E_DUP_CONFLICT",
            where=f"SOPInstanceUID (0008,0018) in {_names(conflicts)}",
            action="remove the copies that do not belong to the study",
        )
    if copies:
        findings.append(
            Finding(
                "W_DUP",
                Severity.WARNING,
                what,
                f"{len(copies)} frames were there twice with the same content "
                f"({_names(copies)}); one of each was kept",
            )
        )
    return list(seen.values())


def check_identity(frames: list[Instance], what: str, faults: list[EprimgError]) -> None:
    """Check that frames are of one patient, one frame of reference, one kind.

    Parameters
    ----------
    frames : list of Instance
        Frames of one volume.
    what : str
        Name of the series in messages.
    faults : list of EprimgError
        Faults are appended here.
    """
    if len({f.patient_key for f in frames if f.patient_key}) > 1:
        faults.append(
            InputError(
                f"{what}: frames of different patients are mixed",
                code="E_PATIENT_MIX",
                where="PatientID (0010,0020)",
                action="separate the patients into one folder each",
            )
        )
    references = {f.frame_of_reference for f in frames}
    if len(references) > 1:
        faults.append(
            GeometryError(
                f"{what}: the frames lie in {len(references)} frames of reference",
                code="E_FOR",
                where="FrameOfReferenceUID (0020,0052)",
                action="split the series",
            )
        )
    odd = [f for f in frames if f.number_of_frames > 1 and f.frame is None]
    if odd:
        faults.append(
            InputError(
                f"{what}: multi-frame files of a kind whose frames cannot be placed",
                code="E_ENHANCED",
                where=_names(odd),
                action="export the series as single-frame or enhanced DICOM",
            )
        )


def check_planes(frames: list[Instance], what: str, faults: list[EprimgError]) -> None:
    """Check that every frame has a usable plane and that all planes are alike.

    Parameters
    ----------
    frames : list of Instance
        Frames of one volume.
    what : str
        Name of the series in messages.
    faults : list of EprimgError
        Faults are appended here.
    """
    broken: set[int] = set()
    for code, text in sorted({fault for f in frames for fault in f.faults}):
        if not any(word in text for word in _NEEDED):
            continue
        odd = [f for f in frames if (code, text) in f.faults]
        broken.update(id(f) for f in odd)
        faults.append(
            InputError(
                f"{what}: {text}", code=code, where=_names(odd), action="export the series again"
            )
        )
    for name, tag in (
        ("position", "ImagePositionPatient (0020,0032)"),
        ("orientation", "ImageOrientationPatient (0020,0037)"),
        ("pixel_spacing", "PixelSpacing (0028,0030)"),
    ):
        without = [f for f in frames if getattr(f, name) is None and id(f) not in broken]
        if without:
            faults.append(
                MissingTagError(
                    f"{what}: {len(without)} of {len(frames)} frames have no {tag}",
                    code="E_GEOM_MISSING",
                    where=_names(without),
                    action="without it voxels cannot be placed; export the series again",
                )
            )
    matrices = Counter((f.rows, f.columns) for f in frames)
    spacings = Counter(
        tuple(round(s, 5) for s in f.pixel_spacing) for f in frames if f.pixel_spacing
    )
    for values, tag in (
        (matrices, "Rows, Columns (0028,0010), (0028,0011)"),
        (spacings, "PixelSpacing (0028,0030)"),
    ):
        if len(values) > 1:
            faults.append(
                GeometryError(
                    f"{what}: frames of different matrix or pixel size",
                    code="E_GEOM_MIXED",
                    where=tag,
                    value=list(values)[:4],
                    action="split the series",
                )
            )
    rows, columns = max(matrices)
    if max(rows, columns) > MAX_SIDE or rows * columns * len(frames) > MAX_VOXELS:
        faults.append(
            InputError(
                f"{what}: {len(frames)} frames of {rows} x {columns} are too many voxels",
                code="E_TOO_LARGE",
                value=rows * columns * len(frames),
                action="check Rows and Columns; they may be damaged",
            )
        )
    if any(f.slope == 0 for f in frames):
        faults.append(
            InputError(
                f"{what}: RescaleSlope is zero, which makes every value the same",
                code="E_NUMERIC",
                where="RescaleSlope (0028,1053)",
                action="export the series again",
            )
        )
    if any(f.pixel_spacing and min(f.pixel_spacing) <= 0 for f in frames):
        faults.append(
            GeometryError(
                f"{what}: PixelSpacing is not positive",
                code="E_NUMERIC",
                where="PixelSpacing (0028,0030)",
            )
        )
    _check_orientations([f for f in frames if f.orientation is not None], what, faults)


def _check_orientations(frames: list[Instance], what: str, faults: list[EprimgError]) -> None:
    if not frames:
        return
    cosines = np.array([f.orientation for f in frames], dtype=np.float64)
    row, column = cosines[:, :3], cosines[:, 3:]
    bad = (
        (np.abs(np.linalg.norm(row, axis=1) - 1) > _UNIT_TOLERANCE)
        | (np.abs(np.linalg.norm(column, axis=1) - 1) > _UNIT_TOLERANCE)
        | (np.abs(np.einsum("nc,nc->n", row, column)) > _UNIT_TOLERANCE)
    )
    if bad.any():
        odd = [f for f, b in zip(frames, bad, strict=True) if b]
        faults.append(
            GeometryError(
                f"{what}: the direction cosines are not two unit vectors at right angles",
                code="E_GEOM_IOP",
                where=f"ImageOrientationPatient (0020,0037) in {_names(odd)}",
                value=odd[0].orientation,
                action="export the series again",
            )
        )
        return
    turned = np.abs(cosines - cosines[0]).max(axis=1) > _UNIT_TOLERANCE
    if turned.any():
        odd = [f for f, t in zip(frames, turned, strict=True) if t]
        faults.append(
            GeometryError(
                f"{what}: {len(odd)} of {len(frames)} frames have another orientation (a localizer "
                "in the series?)",
                code="E_GEOM_ORIENT",
                where=f"ImageOrientationPatient (0020,0037) in {_names(odd)}",
                action="split the series by orientation",
            )
        )
