"""Parts that all written DICOM files share: patient, study, series, plane, pixels, file."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian

from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity, da, ds, tm
from eprimg_phantoms.scene import Scene, Session

MANUFACTURER = "Imaginary Imaging"
IMPLEMENTATION_UID = "2.25.129174410571624914830113310561183243617"

VARYING = frozenset(
    (
        "SOPInstanceUID",
        "AcquisitionDate",
        "AcquisitionTime",
        "ContentDate",
        "ContentTime",
        "InstanceNumber",
        "ImagePositionPatient",
        "SliceLocation",
        "EchoTime",
        "EchoNumbers",
        "RescaleSlope",
        "FrameReferenceTime",
        "DecayFactor",
        "ImageIndex",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "PixelData",
    )
)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return one item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def template(
    scene: Scene,
    who: Identity,
    session: Session,
    *,
    sop_class: str,
    modality: str,
    series: str,
    number: int,
) -> FileDataset:
    """Build the part that is equal in all files of a series.

    Parameters
    ----------
    scene : Scene
        Patient data come from here.
    who : Identity
        Source of the UIDs.
    session : Session
        Visit: study and frame of reference are one per visit.
    sop_class, modality : str
        Kind of object.
    series : str
        Key of the series (for its UID).
    number : int
        Series number.

    Returns
    -------
    pydicom.dataset.FileDataset
        Without the per-slice elements and pixels.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "EPRIMGPHANTOM1"
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    d.SpecificCharacterSet = "ISO_IR 192"
    d.SOPClassUID = sop_class
    d.Modality = modality
    d.Manufacturer = MANUFACTURER
    d.InstitutionName = "Digital reference object"
    d.ManufacturerModelName = f"Scene {scene.name}"
    d.DeviceSerialNumber = "0001"
    d.SoftwareVersions = "1"
    d.ReferringPhysicianName = ""
    d.PatientName = who.patient_name
    d.PatientID = who.patient_id
    d.PatientBirthDate = scene.patient["birth_date"]
    d.PatientSex = scene.patient["sex"]
    born = scene.patient["birth_date"]
    d.PatientAge = f"{session.start.year - int(born[:4]):03d}Y"
    d.PatientSize = ds(scene.patient["height_m"])
    d.PatientWeight = ds(scene.patient["weight_kg"])
    d.StudyInstanceUID = who.uid(session.name, "study")
    d.StudyID = {"pre": "1", "post": "2", "pet": "3"}[session.name]
    d.StudyDate, d.StudyTime = da(session.start), tm(session.start - timedelta(minutes=5))
    d.StudyDescription = f"Digital reference object {scene.name}"
    d.AccessionNumber = ""
    d.SeriesInstanceUID = who.uid(session.name, series, "series")
    d.SeriesNumber = number
    d.SeriesDate, d.SeriesTime = da(session.start), tm(session.start)
    d.BodyPartExamined = "ABDOMEN"
    d.PatientPosition = "HFS"
    d.FrameOfReferenceUID = who.uid(session.name, "frame of reference")
    d.PositionReferenceIndicator = ""
    d.SamplesPerPixel = 1
    d.PhotometricInterpretation = "MONOCHROME2"
    d.BitsAllocated = 16
    return d


def set_plane(d: Dataset, grid: SampleGrid) -> None:
    """Write the elements of the plane that all slices share."""
    _, d.Rows, d.Columns = grid.shape
    directions = grid.directions
    d.ImageOrientationPatient = [ds(x) for x in (*directions[:, 2], *directions[:, 1])]
    d.PixelSpacing = [ds(grid.spacing_mm[1]), ds(grid.spacing_mm[2])]
    d.SliceThickness = ds(grid.spacing_mm[0])


def set_slice(
    d: Dataset, grid: SampleGrid, k: int, uid: str, number: int, instant: datetime
) -> None:
    """Write position, identity and instant of one slice."""
    position = grid.affine[:3, 3] + grid.affine[:3, 0] * k
    d.ImagePositionPatient = [ds(x) for x in position]
    d.SliceLocation = ds(float(position @ grid.directions[:, 0]))
    d.SOPInstanceUID = uid
    d.file_meta.MediaStorageSOPInstanceUID = uid
    d.InstanceNumber = number
    d.AcquisitionDate, d.AcquisitionTime = da(instant), tm(instant)
    d.ContentDate, d.ContentTime = da(instant), tm(instant)


def set_pixels(d: Dataset, pixels: npt.NDArray[np.uint16] | npt.NDArray[np.int16]) -> None:
    """Write pixels, shape (rows, columns), 16 bits."""
    signed = int(pixels.dtype.kind == "i")
    d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 15, signed
    d.SmallestImagePixelValue = int(pixels.min())
    d.LargestImagePixelValue = int(pixels.max())
    d["SmallestImagePixelValue"].VR = d["LargestImagePixelValue"].VR = "SS" if signed else "US"
    d.PixelData = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    d["PixelData"].VR = "OW"


class SeriesWriter:
    """Writes the files of one series: what all files share is encoded once.

    Parameters
    ----------
    template : pydicom.dataset.FileDataset
        What all files share; the caller changes elements of it from file to file.
    varying : set of str
        Keywords that change from file to file. Every other element is encoded at the first file.
    """

    def __init__(self, template: FileDataset, varying: frozenset[str] = VARYING) -> None:
        self.template = template
        self._varying = {tag_for_keyword(k) for k in varying}
        self._fixed: dict[int, bytes] = {}

    def write(self, path: Path) -> None:
        """Write the template as it is now."""
        meta = DicomBytesIO()
        meta.is_little_endian, meta.is_implicit_VR = True, False
        write_file_meta_info(meta, self.template.file_meta)
        parts = [b"\0" * 128, b"DICM", meta.getvalue()]
        for tag in sorted(self.template.keys()):
            if tag in self._varying:
                parts.append(self._encode(tag))
            else:
                if tag not in self._fixed:
                    self._fixed[tag] = self._encode(tag)
                parts.append(self._fixed[tag])
        path.write_bytes(b"".join(parts))

    def _encode(self, tag: int) -> bytes:
        out = DicomBytesIO()
        out.is_little_endian, out.is_implicit_VR = True, False
        write_data_element(out, self.template[tag], ["utf-8"])
        return bytes(out.getvalue())
