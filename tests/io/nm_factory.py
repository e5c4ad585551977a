"""Reconstructed SPECT files for tests: 111In, four slices, every voxel different."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from tests.io.dicom_factory import base

NM = "1.2.840.10008.5.1.4.1.1.20"
SHAPE = (4, 3, 5)
HALF_LIFE_S = 2.8047 * 86400.0
"""111In, 2.8047 d (NNDC)."""
DOSE_MBQ = 111.0
WEIGHT_KG = 70.0
ORIGIN = np.array([-20.0, -30.0, 40.0])
STEP_MM = 4.5


def item(**values: object) -> Dataset:
    made = Dataset()
    for key, value in values.items():
        setattr(made, key, value)
    return made


def stored() -> np.ndarray:
    return (1 + np.arange(np.prod(SHAPE))).astype(np.uint16).reshape(SHAPE)


def write_nm(
    folder: Path, change: Callable[[FileDataset], object] | None = None, *, name: str = "nm.dcm"
) -> Path:
    """Injected 2024-03-01 09:05, scanned 2024-03-03 09:05; axial slices, 4.5 mm apart."""
    folder.mkdir(parents=True, exist_ok=True)
    d = base(NM, "NM", sop_uid=f"2.25.700.{len(name)}", study="2.25.700", series="2.25.701")
    d.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    d.Units, d.DecayCorrection = "BQML", "START"
    d.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    d.SeriesDate = d.AcquisitionDate = "20240303"
    d.SeriesTime = d.AcquisitionTime = "090500"
    d.NumberOfFrames, d.Rows, d.Columns = SHAPE
    d.PixelSpacing, d.SliceThickness, d.SpacingBetweenSlices = [3.0, 2.0], STEP_MM, STEP_MM
    d.FrameIncrementPointer = [0x00540080]
    d.NumberOfSlices, d.SliceVector = SHAPE[0], list(range(1, SHAPE[0] + 1))
    d.DetectorInformationSequence = Sequence(
        [item(ImagePositionPatient=ORIGIN.tolist(), ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    )
    ranges = Sequence([item(EnergyWindowLowerLimit=154.0, EnergyWindowUpperLimit=188.0)])
    d.EnergyWindowInformationSequence = Sequence([item(EnergyWindowRangeSequence=ranges)])
    rotation = item(ActualFrameDuration=20000, NumberOfFramesInRotation=60)
    d.RotationInformationSequence = Sequence([rotation])
    nuclide = item(CodeValue="C-145A4", CodingSchemeDesignator="SRT", CodeMeaning="^111^Indium")
    d.RadiopharmaceuticalInformationSequence = Sequence(
        [
            item(
                Radiopharmaceutical="liposome",
                RadionuclideTotalDose=DOSE_MBQ,
                RadiopharmaceuticalStartDateTime="20240301090500",
                RadionuclideCodeSequence=Sequence([nuclide]),
            )
        ]
    )
    d.PixelData = stored().tobytes()
    if change is not None:
        change(d)
    path = folder / name
    d.save_as(path, enforce_file_format=True)
    return path
