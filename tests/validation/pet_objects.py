"""Tiny PET objects with a known SUV, written by a forward model of their own.

The model starts from the true SUV, the dose and the instants, works out what is in the body at any
time, integrates it over the frame by Simpson's rule, and stores what a scanner would store under
the stated Units and DecayCorrection.  Nothing of ``eprimg`` is used here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

PET = "1.2.840.10008.5.1.4.1.1.128"
ENHANCED = "1.2.840.10008.5.1.4.1.1.130"
LEGACY = "1.2.840.10008.5.1.4.1.1.128.1"
SUV = np.array([[0.2, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 4.0]])
"""Minimum 0.20, median 1.00, maximum 4.00 in every slice."""
N_SLICES = 3
INJECTED = datetime(2024, 6, 10, 10, 0)
# half-lives of the objects; each is written into the header, so no table is needed
F18, GA68, ZR89, CU64 = 6586.2, 4062.6, 282276.0, 45721.44
CODES = {
    F18: ("C-111A1", "^18^Fluorine"),
    GA68: ("C-131A3", "^68^Gallium"),
    ZR89: ("C-168A4", "^89^Zirconium"),
    CU64: ("C-127A2", "^64^Copper"),
}


@dataclass(frozen=True)
class Truth:
    """What happened, before anything is written down."""

    injected: datetime = INJECTED
    reference: datetime = INJECTED + timedelta(hours=1)
    starts: tuple[datetime, ...] = (INJECTED + timedelta(hours=1),) * N_SLICES
    duration_s: float = 300.0
    half_life_s: float = F18
    dose_bq: float = 368.08e6
    weight_kg: float = 70.0
    height_cm: float = 175.0
    sex: str = "O"

    def activity(self, instant: datetime) -> np.ndarray:
        """Bq/mL at an instant: SUV x dose left / weight."""
        left = 0.5 ** ((instant - self.injected).total_seconds() / self.half_life_s)
        return SUV * self.dose_bq * left / (1000.0 * self.weight_kg)

    def frame_mean(self, start: datetime) -> np.ndarray:
        """Mean of the activity over a frame, by Simpson's rule with 400 pieces."""
        times = np.linspace(0.0, self.duration_s, 401)
        weights = np.ones(401)
        weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
        left = 0.5 ** (times / self.half_life_s)
        return self.activity(start) * float((weights * left).sum() / weights.sum())

    def mean_time_s(self) -> float:
        """Seconds into a frame at which the activity equals its mean."""
        share = float(self.frame_mean(self.injected)[0, 0] / self.activity(self.injected)[0, 0])
        return -self.half_life_s * float(np.log2(share))


@dataclass(frozen=True)
class Writing:
    """How it is written down."""

    manufacturer: str = "Synthetic"
    units: str = "BQML"
    suv_type: str = ""
    decay: str = "START"
    series: datetime | None = None
    slopes: tuple[float, ...] = (1.0, 1.0, 1.0)
    activity_factor: float | None = None
    suv_factor: float | None = None
    private_decay: tuple[int, str, int] | None = None
    scan_shift: timedelta = timedelta(0)
    offset: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    drug: dict[str, Any] = field(default_factory=dict)


def size_kg(kind: str, truth: Truth) -> float:
    """Lean or ideal body mass in kg, from the formulas as published (W in kg, H in cm)."""
    weight, height = truth.weight_kg, truth.height_cm
    bmi = weight / (height / 100.0) ** 2
    both = {
        "LBM": (
            1.10 * weight - 120.0 * (weight / height) ** 2,
            1.07 * weight - 148.0 * (weight / height) ** 2,
        ),
        "LBMJAMES128": (
            1.10 * weight - 128.0 * (weight / height) ** 2,
            1.07 * weight - 148.0 * (weight / height) ** 2,
        ),
        "LBMJANMA": (
            9270.0 * weight / (6680.0 + 216.0 * bmi),
            9270.0 * weight / (8780.0 + 244.0 * bmi),
        ),
        "IBW": (48.0 + 1.06 * (height - 152.0), 45.5 + 0.91 * (height - 152.0)),
    }[kind]
    return {"M": both[0], "F": both[1], "O": sum(both) / 2.0}[truth.sex]


def stored_values(truth: Truth, how: Writing, start: datetime) -> np.ndarray:
    """What the scanner puts into the voxels of one slice, before the slope."""
    if how.units == "GML":
        divided = truth.weight_kg
        if how.suv_type not in ("", "BW"):
            divided = size_kg(how.suv_type, truth)
        return SUV * divided / truth.weight_kg
    if how.units == "CM2ML":
        square_metres = 0.007184 * truth.weight_kg**0.425 * truth.height_cm**0.725
        return SUV * 10.0 * square_metres / truth.weight_kg
    if how.units == "CNTS" and how.activity_factor is None and how.suv_factor:
        return SUV / how.suv_factor
    values = {
        "START": lambda: truth.activity(truth.reference),
        "ADMIN": lambda: truth.activity(truth.injected),
        "NONE": lambda: truth.frame_mean(start),
    }[how.decay]()
    return values / how.activity_factor if how.units == "CNTS" and how.activity_factor else values


def _clock(instant: datetime) -> tuple[str, str]:
    return instant.strftime("%Y%m%d"), instant.strftime("%H%M%S.%f")


def _base(sop_class: str, number: int) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = sop_class
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"2.25.7.{number + 1}"
    made.SeriesInstanceUID, made.StudyInstanceUID = "2.25.71", "2.25.72"
    made.FrameOfReferenceUID, made.Modality, made.PatientID = "2.25.73", "PT", "object"
    made.Rows, made.Columns = SUV.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    return made


def _patient(made: Dataset, truth: Truth, how: Writing) -> None:
    made.PatientSex, made.Manufacturer = truth.sex, how.manufacturer
    made.PatientWeight, made.PatientSize = truth.weight_kg, truth.height_cm / 100.0
    drug, code = Dataset(), Dataset()
    code.CodeValue, code.CodeMeaning = CODES[truth.half_life_s]
    code.CodingSchemeDesignator = "SRT"
    drug.RadionuclideCodeSequence = [code]
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = truth.dose_bq, truth.half_life_s
    date, clock = _clock(truth.injected)
    drug.RadiopharmaceuticalStartDateTime, drug.RadiopharmaceuticalStartTime = date + clock, clock
    _change(drug, how.drug)
    made.RadiopharmaceuticalInformationSequence = [drug]
    if how.offset:
        made.TimezoneOffsetFromUTC = how.offset


def _change(made: Dataset, tags: dict[str, Any]) -> None:
    for keyword, value in tags.items():
        if value is None:
            if keyword in made:
                delattr(made, keyword)
        else:
            setattr(made, keyword, value)


def _private(made: Dataset, truth: Truth, how: Writing) -> None:
    """Private elements in a block that is not the usual first one."""
    if how.activity_factor or how.suv_factor:
        block = made.private_block(0x7053, "Philips PET Private Group", create=True)
        for element, factor in ((0x00, how.suv_factor), (0x09, how.activity_factor)):
            if factor:
                block.add_new(element, "DS", repr(factor))
    if how.private_decay:
        group, creator, element = how.private_decay
        made.add_new((group, 0x10), "LO", "SOMEBODY ELSE")
        block = made.private_block(group, creator, create=True)
        block.add_new(element, "DT", "".join(_clock(truth.reference)))


def _quantised(values: np.ndarray, slope: float) -> tuple[np.ndarray, float]:
    """Signed 16-bit values and the slope that brings them back."""
    slope *= float(values.max()) / 30000.0
    slope = float(f"{slope:.9g}")
    return np.rint(values / slope).astype(np.int16), slope


def write_classic(folder: Path, truth: Truth, how: Writing) -> Path:
    """Write one file per slice."""
    folder.mkdir(parents=True, exist_ok=True)
    general_electric = how.manufacturer.startswith("GE")
    for k, start in enumerate(truth.starts):
        made = _base(PET, k)
        _patient(made, truth, how)
        made.ImageType, made.SeriesType = ["ORIGINAL", "PRIMARY"], ["STATIC", "IMAGE"]
        made.Units, made.DecayCorrection = how.units, how.decay
        if how.suv_type:
            made.SUVType = how.suv_type
        made.CorrectedImage = ["ATTN", "SCAT"] + ([] if how.decay == "NONE" else ["DECY"])
        shifted = start + how.scan_shift
        made.AcquisitionDate, made.AcquisitionTime = _clock(shifted)
        made.SeriesDate, made.SeriesTime = _clock((how.series or truth.reference) + how.scan_shift)
        since = (start - truth.reference).total_seconds()
        if not general_electric:
            since += truth.mean_time_s()
        made.FrameReferenceTime = round(1000.0 * since, 3)
        made.ActualFrameDuration = round(1000.0 * truth.duration_s)
        made.PixelSpacing, made.ImageOrientationPatient = [4, 4], [1, 0, 0, 0, 1, 0]
        made.ImagePositionPatient = [0, 0, 3.0 * k]
        pixels, slope = _quantised(stored_values(truth, how, start), how.slopes[k])
        made.RescaleSlope, made.RescaleIntercept = slope, 0
        made.PixelData = pixels.tobytes()
        _private(made, truth, how)
        _change(made, how.tags)
        made.save_as(folder / f"{N_SLICES - k:03d}.dcm", enforce_file_format=True)
    return folder


def write_enhanced(
    folder: Path,
    truth: Truth,
    how: Writing,
    *,
    mapped: bool = True,
    corrected_to: datetime | None = None,
    unit: str = "Bq/ml",
    sop_class: str = ENHANCED,
    change: Any = None,
) -> Path:
    """Write one multi-frame file: per-frame real-world value mapping or pixel transformation."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _base(sop_class, 0)
    _patient(made, truth, how)
    made.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    made.AttenuationCorrected = made.ScatterCorrected = "YES"
    made.DecayCorrected = "NO" if how.decay == "NONE" else "YES"
    if corrected_to is not None:
        made.DecayCorrectionDateTime = "".join(_clock(corrected_to))
    made.SeriesDate, made.SeriesTime = _clock(how.series or truth.reference)
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [4, 4], 3
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    frames, pixels = [], []
    for k, start in enumerate(truth.starts):
        own, content, place, scale = Dataset(), Dataset(), Dataset(), Dataset()
        content.FrameAcquisitionDateTime = "".join(_clock(start))
        content.FrameReferenceDateTime = "".join(
            _clock(start + timedelta(seconds=truth.mean_time_s()))
        )
        content.FrameAcquisitionDuration = 1000.0 * truth.duration_s
        place.ImagePositionPatient = [0, 0, 3.0 * k]
        values, slope = _quantised(stored_values(truth, how, start), how.slopes[k])
        own.FrameContentSequence, own.PlanePositionSequence = [content], [place]
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = slope, 0, how.units
        if mapped:
            # a rescale that has nothing to do with the real-world values
            scale.RescaleSlope, scale.RescaleType = 1, "US"
            mapping, code = Dataset(), Dataset()
            code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
            mapping.MeasurementUnitsCodeSequence = [code]
            mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = slope, 0.0
            mapping.add_new("RealWorldValueFirstValueMapped", "SS", -32768)
            mapping.add_new("RealWorldValueLastValueMapped", "SS", 32767)
            own.RealWorldValueMappingSequence = [mapping]
        own.PixelValueTransformationSequence = [scale]
        frames.append(own)
        pixels.append(values)
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = frames
    made.NumberOfFrames, made.PixelData = len(frames), np.stack(pixels).tobytes()
    _change(made, how.tags)
    if change is not None:
        change(made)
    made.save_as(folder / "frames.dcm", enforce_file_format=True)
    return folder


def at(truth: Truth, **changes: Any) -> Truth:
    """A truth with other facts."""
    return replace(truth, **changes)
