"""Tiny DICOM series for tests, every element of which can be changed.

``change(dataset, k, e)`` is called for every file before it is written and may alter or delete
anything; ``None`` returned from ``keep(k, e)`` leaves the file out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

ROW = np.array([0.96, 0.28, 0.0])
"""Direction of rising column index: turned 16.26 degrees about z (a 7-24-25 triangle)."""
COLUMN = np.array([-0.28, 0.96, 0.0])
NORMAL = np.array([0.0, 0.0, 1.0])
ORIGIN = np.array([-20.0, 12.5, -7.25])
SPACING = (3.0, 2.5, 2.0)
"""Between slices, between rows, between columns (mm)."""

Change = Callable[[Dataset, int, int], None]


def stored(k: int, e: int, rows: int, columns: int) -> np.ndarray:
    """Stored values of one frame; every voxel of a series is different."""
    j, i = np.mgrid[:rows, :columns]
    return (1000 * e + 100 * k + 10 * j + i + 1).astype(np.uint16)


def base(sop_class: str, modality: str, *, sop_uid: str, study: str, series: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.1"
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    d.SpecificCharacterSet = "ISO_IR 192"
    d.SOPClassUID, d.SOPInstanceUID, d.Modality = sop_class, sop_uid, modality
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "Muster^M", "P1", "19600101", "F"
    d.PatientWeight, d.PatientSize = "70", "1.7"
    d.StudyInstanceUID, d.SeriesInstanceUID = study, series
    d.FrameOfReferenceUID = f"{study}.9"
    d.StudyDate, d.StudyTime = "20240301", "090000"
    d.SeriesDate, d.SeriesTime = "20240301", "090500"
    d.AcquisitionDate, d.AcquisitionTime = "20240301", "090600"
    d.Manufacturer, d.ManufacturerModelName = "Imaginary", "One"
    d.AccessionNumber, d.ReferringPhysicianName, d.StudyID = "", "", "1"
    d.PositionReferenceIndicator = ""
    d.SeriesNumber, d.SeriesDescription = 1, modality
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated = d.BitsStored = 16
    d.HighBit, d.PixelRepresentation = 15, 0
    return d


def place(d: Dataset, k: int, rows: int, columns: int) -> None:
    d.Rows, d.Columns = rows, columns
    d.PixelSpacing = [SPACING[1], SPACING[2]]
    d.SliceThickness = SPACING[0]
    d.ImageOrientationPatient = [*ROW, *COLUMN]
    d.ImagePositionPatient = [float(round(x, 6)) for x in ORIGIN + k * SPACING[0] * NORMAL]


def expected_affine() -> np.ndarray:
    """Affine (k, j, i) -> LPS by PS3.3 C.7.6.2.1.1, written out by hand."""
    affine = np.eye(4)
    affine[:3, 0] = SPACING[0] * NORMAL
    affine[:3, 1] = SPACING[1] * COLUMN
    affine[:3, 2] = SPACING[2] * ROW
    affine[:3, 3] = ORIGIN
    return affine


def write_mr(
    folder: Path,
    *,
    echo_times_ms: Sequence[float] = (2.0, 4.0, 6.0),
    n_slices: int = 4,
    rows: int = 6,
    columns: int = 5,
    study: str = "2.25.100",
    series: str = "2.25.101",
    change: Change | None = None,
    keep: Callable[[int, int], bool] | None = None,
    prefix: str = "mr",
) -> list[Path]:
    """Write a classic multi-echo gradient-echo series, one file per slice and echo."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for e, time in enumerate(echo_times_ms):
        for k in range(n_slices):
            if keep is not None and not keep(k, e):
                continue
            d = base(
                MRImageStorage,
                "MR",
                sop_uid=f"{series}.{e + 1}.{k + 1}",
                study=study,
                series=series,
            )
            d.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
            d.ScanningSequence, d.SequenceVariant = "GR", "SP"
            d.EchoTime, d.EchoNumbers, d.EchoTrainLength = time, e + 1, len(echo_times_ms)
            d.RepetitionTime, d.FlipAngle, d.MagneticFieldStrength = 20, 15, 3
            d.InstanceNumber = e * n_slices + k + 1
            place(d, k, rows, columns)
            d.PixelData = stored(k, e, rows, columns).tobytes()
            if change is not None:
                change(d, k, e)
            # names run against the slice order, so that file order proves nothing
            path = folder / f"{prefix}-{e}-{n_slices - k:03d}.dcm"
            d.save_as(path, enforce_file_format=True)
            paths.append(path)
    return paths


def write_enhanced_mr(
    path: Path,
    *,
    echo_times_ms: Sequence[float] = (2.0, 4.0),
    n_slices: int = 3,
    rows: int = 6,
    columns: int = 5,
    slopes: Sequence[float] = (1.0, 1.0),
    change: Callable[[Dataset], None] | None = None,
) -> Path:
    """Write one enhanced MR file; frames run through echoes fastest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    d = base(EnhancedMRImageStorage, "MR", sop_uid="2.25.201", study="2.25.200", series="2.25.202")
    d.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    d.Rows, d.Columns = rows, columns
    d.MagneticFieldStrength = 3
    d.EchoPulseSequence = "GRADIENT"
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[2]], SPACING[0]
    plane.ImageOrientationPatient = [*ROW, *COLUMN]
    shared.PixelMeasuresSequence = DicomSequence([measures])
    shared.PlaneOrientationSequence = DicomSequence([plane])
    d.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames, pixels = [], []
    for k in range(n_slices):
        for e, time in enumerate(echo_times_ms):
            own, position, echo, scale = Dataset(), Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = [*(ORIGIN + k * SPACING[0] * NORMAL)]
            echo.EffectiveEchoTime = time
            scale.RescaleSlope, scale.RescaleIntercept = slopes[e], 0
            scale.RescaleType = "US"
            own.PlanePositionSequence = DicomSequence([position])
            own.MREchoSequence = DicomSequence([echo])
            own.PixelValueTransformationSequence = DicomSequence([scale])
            frames.append(own)
            pixels.append(stored(k, e, rows, columns))
    d.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    d.NumberOfFrames = len(frames)
    d.PixelData = np.stack(pixels).tobytes()
    if change is not None:
        change(d)
    d.save_as(path, enforce_file_format=True)
    return path


def write_pet(
    folder: Path,
    *,
    n_slices: int = 4,
    rows: int = 6,
    columns: int = 5,
    study: str = "2.25.300",
    series: str = "2.25.301",
    change: Change | None = None,
    keep: Callable[[int, int], bool] | None = None,
) -> list[Path]:
    """Write a static 89Zr PET series in Bq/mL, decay corrected to START."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(n_slices):
        if keep is not None and not keep(k, 0):
            continue
        d = base(
            PositronEmissionTomographyImageStorage,
            "PT",
            sop_uid=f"{series}.{k + 1}",
            study=study,
            series=series,
        )
        d.ImageType = ["ORIGINAL", "PRIMARY"]
        d.SeriesType = ["STATIC", "IMAGE"]
        d.CorrectedImage = ["DECY", "ATTN", "SCAT", "NORM", "DTIM", "RAN"]
        d.Units, d.DecayCorrection, d.CountsSource = "BQML", "START", "EMISSION"
        d.ActualFrameDuration, d.FrameReferenceTime, d.DecayFactor = 300000, 150000.0, 1.0
        d.NumberOfSlices = n_slices
        d.InstanceNumber = d.ImageIndex = k + 1
        drug, nuclide = Dataset(), Dataset()
        nuclide.CodeValue, nuclide.CodingSchemeDesignator = "C-168A4", "SRT"
        nuclide.CodeMeaning = "^89^Zirconium"
        drug.RadionuclideCodeSequence = DicomSequence([nuclide])
        drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = 37e6, 282240.0
        drug.RadiopharmaceuticalStartDateTime = "20240227090500"
        drug.RadiopharmaceuticalStartTime = "090500"
        d.RadiopharmaceuticalInformationSequence = DicomSequence([drug])
        d.RescaleSlope, d.RescaleIntercept = 0.5 + 0.25 * k, 0
        place(d, k, rows, columns)
        d.PixelData = stored(k, 0, rows, columns).tobytes()
        if change is not None:
            change(d, k, 0)
        path = folder / f"pt-{n_slices - k:03d}.dcm"
        d.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_ct(
    folder: Path,
    *,
    n_slices: int = 4,
    study: str = "2.25.300",
    series: str = "2.25.302",
    change: Change | None = None,
) -> list[Path]:
    """Write a CT series (signed values, intercept -1024)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(n_slices):
        d = base(CTImageStorage, "CT", sop_uid=f"{series}.{k + 1}", study=study, series=series)
        d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.InstanceNumber = k + 1
        d.RescaleSlope, d.RescaleIntercept = 1, -1024
        place(d, k, 6, 5)
        d.PixelData = stored(k, 0, 6, 5).tobytes()
        if change is not None:
            change(d, k, 0)
        path = folder / f"ct-{k:03d}.dcm"
        d.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def read(path: Path) -> FileDataset:
    """Read a file back, independently of the code under test."""
    return pydicom.dcmread(path)
