"""DICOM spatial registrations: a rigid or affine object, or a deformable one for a bent transform.

Both register the moving frame to the fixed frame: the object lies in the fixed frame.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError, OutputError
from eprimg.io.read_spatial import DEFORMABLE_CLASS, RIGID_CLASS
from eprimg.model.displacement import Displacement
from eprimg.model.transform import Transform

__all__ = ["ReferencedSeries", "is_uid", "write_spatial"]

FloatArray = npt.NDArray[np.float64]

_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


@dataclass(frozen=True, slots=True)
class ReferencedSeries:
    """Images that a registration speaks of.

    Parameters
    ----------
    frame_of_reference : str
        Their frame: the fixed or the moving one.
    study_uid, series_uid : str
        Where they are filed.
    sop_class : str
        SOP class UID of the images.
    sop_uids : tuple of str
        SOP instance UIDs of the images.
    """

    frame_of_reference: str
    study_uid: str
    series_uid: str
    sop_class: str
    sop_uids: tuple[str, ...]


def is_uid(text: str) -> bool:
    """Tell whether a text is a DICOM unique identifier (PS3.5 chapter 9).

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    bool
        True for numbers joined by dots, without leading zeros, of at most 64 signs.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def write_spatial(
    transform: Transform,
    path: Path | str,
    *,
    pseudonym: str,
    study_uid: str,
    instant: datetime,
    label: str = "REGISTRATION",
    description: str = "",
    references: Sequence[ReferencedSeries] = (),
    series_number: int = 900,
) -> None:
    """Write a transform as a DICOM spatial registration, all or nothing.

    Parameters
    ----------
    transform : Transform
        From the fixed frame to the moving frame; both must be DICOM UIDs.
    path : Path
        File to write; an older one is replaced.
    pseudonym : str
        Stands for the patient.
    study_uid : str
        Study instance UID under which the object is filed.
    instant : datetime
        When the registration was made.
    label : str
        Code string of at most 16 capital letters, digits, blanks and underscores.
    description : str
        Words on the registration.
    references : sequence of ReferencedSeries
        The images, for readers that want them; may be empty, the frames alone settle the meaning.
    series_number : int
        Number of the series.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` when a frame of reference or the study's identifier is no DICOM UID.
    OutputError
        ``E_OUTPUT_UNWRITABLE`` when it cannot be written.

    Notes
    -----
    PS3.3 C.20.2.1.1: the matrix of a rigid object takes points of the item's frame (moving) to the
    frame of the object (fixed), so it is the inverse of ``transform.matrix``.  PS3.3 C.20.3.1.1: a
    deformable object takes points of its own frame through pre-matrix, grid and post-matrix to the
    source frame, so grid and post-matrix are those of ``transform`` itself.
    """
    for uid in (transform.from_frame, transform.to_frame, study_uid):
        if not is_uid(uid):
            raise InputError(
                "a DICOM registration needs DICOM identifiers; this is none",
                code="E_TRANSFORM_FILE",
                where=Path(path).name,
                value=uid,
                action="write an ITK transform (.tfm, .h5) instead",
            )
    bend = transform.displacement
    sop_class = RIGID_CLASS if bend is None else DEFORMABLE_CLASS
    dataset = _header(transform, sop_class, pseudonym, study_uid, instant, series_number)
    dataset.ContentLabel = label
    dataset.ContentDescription = description[:64]
    if bend is None:
        dataset.RegistrationSequence = [
            _rigid_item(transform.from_frame, np.eye(4), references),
            _rigid_item(transform.to_frame, _inverse(transform.matrix), references),
        ]
    else:
        dataset.DeformableRegistrationSequence = [
            _deformable_item(transform.from_frame, None, np.eye(4), references),
            _deformable_item(transform.to_frame, bend, transform.matrix, references),
        ]
    _refer(dataset, references, study_uid)
    _save(dataset, Path(path))


def _header(
    transform: Transform,
    sop_class: str,
    pseudonym: str,
    study_uid: str,
    instant: datetime,
    series_number: int,
) -> Any:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    bend = transform.displacement
    seed = (
        f"{transform.from_frame} {transform.to_frame} {study_uid} {instant.isoformat()} "
        f"{transform.matrix.tobytes().hex()}"
    ).encode() + (b"" if bend is None else bend.vectors_mm.tobytes() + bend.grid.affine.tobytes())
    meta.MediaStorageSOPInstanceUID = _uid(b"instance", seed)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid(b"implementation", b"eprimg")
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientName = dataset.PatientID = pseudonym
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyInstanceUID = study_uid
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    dataset.ReferringPhysicianName = ""
    dataset.Modality = "REG"
    dataset.SeriesInstanceUID = _uid(b"series", seed)
    dataset.SeriesNumber = series_number
    dataset.Laterality = ""
    dataset.InstanceNumber = 1
    dataset.Manufacturer = "eprimg"
    dataset.ManufacturerModelName = "eprimg"
    dataset.DeviceSerialNumber = "none"
    dataset.SoftwareVersions = version("eprimg")
    dataset.FrameOfReferenceUID = transform.from_frame
    dataset.PositionReferenceIndicator = ""
    dataset.ContentDate = instant.strftime("%Y%m%d")
    dataset.ContentTime = instant.strftime("%H%M%S")
    dataset.ContentCreatorName = ""
    return dataset


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _uid(what: bytes, seed: bytes) -> str:
    """Return the identifier that belongs to a content: the same file twice has the same one."""
    return f"2.25.{int.from_bytes(hashlib.sha256(what + seed).digest()[:15], 'big')}"


def _matrix_item(matrix: FloatArray) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DSfloat

    item = Dataset()
    linear = matrix[:3, :3]
    straight = np.abs(linear @ linear.T - np.eye(3)).max() < 1e-6 and np.linalg.det(linear) > 0
    item.FrameOfReferenceTransformationMatrixType = "RIGID" if straight else "AFFINE"
    item.FrameOfReferenceTransformationMatrix = [
        DSfloat(float(v), auto_format=True) for v in matrix.ravel()
    ]
    return item


def _with_images(item: Any, frame: str, references: Sequence[ReferencedSeries]) -> Any:
    from pydicom.dataset import Dataset

    images = []
    for series in references:
        for uid in series.sop_uids if series.frame_of_reference == frame else ():
            image = Dataset()
            image.ReferencedSOPClassUID = series.sop_class
            image.ReferencedSOPInstanceUID = uid
            images.append(image)
    if images:
        item.ReferencedImageSequence = images
    return item


def _rigid_item(frame: str, matrix: FloatArray, references: Sequence[ReferencedSeries]) -> Any:
    from pydicom.dataset import Dataset

    registration = Dataset()
    registration.MatrixSequence = [_matrix_item(matrix)]
    registration.RegistrationTypeCodeSequence = []
    item = Dataset()
    item.FrameOfReferenceUID = frame
    item.MatrixRegistrationSequence = [registration]
    return _with_images(item, frame, references)


def _deformable_item(
    frame: str,
    bend: Displacement | None,
    after: FloatArray,
    references: Sequence[ReferencedSeries],
) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.SourceFrameOfReferenceUID = frame
    item.RegistrationTypeCodeSequence = []
    item.PostDeformationMatrixRegistrationSequence = [_matrix_item(after)]
    if bend is not None:
        item.DeformableRegistrationGridSequence = [_grid_item(bend)]
    return _with_images(item, frame, references)


def _grid_item(bend: Displacement) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DSfloat

    grid, vectors = bend.grid, bend.vectors_mm
    affine = np.array(grid.affine)
    axes = grid.axes_lps
    if np.linalg.det(axes[:, ::-1]) < 0:  # planes must run along row x column: turn their order
        vectors = vectors[::-1]
        affine[:3, 3] = grid.index_to_lps_mm((grid.shape[0] - 1, 0, 0))
    item = Dataset()
    item.ImageOrientationPatient = [
        DSfloat(float(v), auto_format=True) for v in (*axes[:, 2], *axes[:, 1])
    ]
    item.ImagePositionPatient = [DSfloat(float(v), auto_format=True) for v in affine[:3, 3]]
    item.GridDimensions = list(grid.shape[::-1])
    item.GridResolution = [float(v) for v in grid.spacing_mm[::-1]]
    item.VectorGridData = np.ascontiguousarray(vectors, dtype="<f4").tobytes()
    return item


def _refer(dataset: Any, references: Sequence[ReferencedSeries], study_uid: str) -> None:
    """Fill the common instance references: series of this study, and of other studies."""
    from pydicom.dataset import Dataset

    here: list[Any] = []
    elsewhere: dict[str, list[Any]] = {}
    for series in references:
        images = []
        for uid in series.sop_uids:
            image = Dataset()
            image.ReferencedSOPClassUID = series.sop_class
            image.ReferencedSOPInstanceUID = uid
            images.append(image)
        item = Dataset()
        item.SeriesInstanceUID = series.series_uid
        item.ReferencedInstanceSequence = images
        same = series.study_uid == study_uid
        (here if same else elsewhere.setdefault(series.study_uid, [])).append(item)
    if here:
        dataset.ReferencedSeriesSequence = here
    others = []
    for uid, items in elsewhere.items():
        study = Dataset()
        study.StudyInstanceUID = uid
        study.ReferencedSeriesSequence = items
        others.append(study)
    if others:
        dataset.StudiesContainingOtherReferencedInstancesSequence = others


def _save(dataset: Any, target: Path) -> None:
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            dataset.save_as(file, enforce_file_format=True)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise OutputError(
            f"the registration cannot be written: {error.strerror}",
            code="E_OUTPUT_UNWRITABLE",
            where=target.name,
            action="give a folder that you may write to",
        ) from error
