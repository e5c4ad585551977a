"""PET series: BQML, decay correction START, one rescale slope per slice, dated injection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from eprimg_phantoms.dicom_base import (
    SeriesWriter,
    code,
    set_pixels,
    set_plane,
    set_slice,
    template,
)
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity, ds, dt, tm
from eprimg_phantoms.scene import Scene

LARGEST = 32767

# SNOMED CT codes and meanings of DICOM PS3.16 CID 4020.
NUCLIDE_CODES = {
    "89Zr": ("63360001", "^89^Zirconium"),
    "64Cu": ("3932008", "^64^Copper"),
    "18F": ("77004003", "^18^Fluorine"),
}


def radiopharmaceutical(scene: Scene) -> Dataset:
    """Return the item of the Radiopharmaceutical Information Sequence."""
    given = datetime.fromisoformat(scene.pet["injection"])
    item = Dataset()
    nuclide = str(scene.pet["nuclide"])
    item.Radiopharmaceutical = f"{nuclide} {scene.pet.get('radiopharmaceutical', 'nanoparticle')}"
    item.RadiopharmaceuticalVolume = "5"
    item.RadiopharmaceuticalRoute = "IV"
    item.RadiopharmaceuticalStartTime = tm(given)
    item.RadiopharmaceuticalStartDateTime = dt(given)
    item.RadionuclideTotalDose = ds(scene.pet["injected_activity_bq"])
    item.RadionuclideHalfLife = ds(scene.pet["half_life_s"])
    item.RadionuclidePositronFraction = ds(scene.pet["positron_fraction"])
    value, meaning = NUCLIDE_CODES[nuclide]
    item.RadionuclideCodeSequence = [code(value, "SCT", meaning)]
    return item


def pet_template(scene: Scene, who: Identity, grid: SampleGrid) -> FileDataset:
    """Build what all files of the PET series share."""
    visit = scene.sessions["pet"]
    d = template(
        scene,
        who,
        visit,
        sop_class=PositronEmissionTomographyImageStorage,
        modality="PT",
        series="pet",
        number=401,
    )
    d.ImageType = ["ORIGINAL", "PRIMARY"]
    d.SeriesDescription = visit.description
    d.Units = "BQML"
    d.CountsSource = "EMISSION"
    d.SeriesType = ["WHOLE BODY", "IMAGE"]
    d.NumberOfSlices = grid.shape[0]
    d.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"]
    d.RandomsCorrectionMethod = "DLYD"
    d.AttenuationCorrectionMethod = "CT, simulated"
    d.ScatterCorrectionMethod = "Simulated"
    d.DecayCorrection = "START"
    d.ReconstructionMethod = "Analytic scene with point spread"
    d.ReconstructionDiameter = ds(grid.shape[2] * grid.spacing_mm[2])
    width = float(scene.pet["psf_fwhm_mm"])
    d.ConvolutionKernel = f"Gaussian {width:g} mm" if width else "none"
    d.CollimatorType = "NONE"
    d.RadiopharmaceuticalInformationSequence = [radiopharmaceutical(scene)]
    # The orientation codes below replace PatientPosition; the standard does not allow both.
    del d.PatientPosition
    supine = code("102538003", "SCT", "recumbent")
    supine.PatientOrientationModifierCodeSequence = [code("40199007", "SCT", "supine")]
    d.PatientOrientationCodeSequence = [supine]
    d.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]
    d.RescaleIntercept = "0"
    d.LossyImageCompression = "00"
    set_plane(d, grid)
    return d


def frame_mean_seconds(duration_s: float, half_life_s: float) -> float:
    """Return when, after its start, a decaying source has the mean activity of a frame (s)."""
    x = np.log(2.0) * duration_s / half_life_s
    return float(np.log(x / -np.expm1(-x)) * half_life_s / np.log(2.0))


def bed_of(scene: Scene, grid: SampleGrid, k: int) -> int:
    """Return the bed position (from 0) that slice ``k`` was acquired in."""
    return int(k * grid.spacing_mm[0] // scene.pet["bed_length_mm"])


def quantise(activity: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int16], str]:
    """Return one slice as integers, and the slope (Bq/mL per unit) as it stands in the header."""
    slope = ds(max(float(np.abs(activity).max()), 1e-3) / LARGEST)
    stored = np.rint(activity.astype(np.float64) / float(slope)).clip(-LARGEST, LARGEST)
    return stored.astype(np.int16), slope


def write_pet(
    scene: Scene, who: Identity, grid: SampleGrid, activity: npt.NDArray[np.float32], folder: Path
) -> Iterator[int]:
    """Write the PET series; yields the number of each slice that is done.

    Parameters
    ----------
    scene, who, grid
        What, for whom and where.
    activity : numpy.ndarray
        Shape (slices, rows, columns), Bq/mL at the start of the series.
    folder : pathlib.Path
        Existing folder.

    Yields
    ------
    int
        Index of the slice.
    """
    d = pet_template(scene, who, grid)
    writer = SeriesWriter(d)
    start, duration = scene.sessions["pet"].start, float(scene.pet["bed_duration_s"])
    half_life = float(scene.pet["half_life_s"])
    for k in range(grid.shape[0]):
        shift = bed_of(scene, grid, k) * duration
        # Mean activity of the frame, counted from the instant that the values refer to.
        reference = shift + frame_mean_seconds(duration, half_life)
        stored, slope = quantise(activity[k])
        set_slice(d, grid, k, who.uid("pet", "pet", k), k + 1, start + timedelta(seconds=shift))
        d.RescaleSlope = slope
        d.FrameReferenceTime = ds(reference * 1000.0)
        d.ActualFrameDuration = str(int(duration * 1000))
        d.DecayFactor = ds(2.0 ** (reference / half_life))
        d.ImageIndex = k + 1
        set_pixels(d, stored)
        writer.write(folder / f"IM{k + 1:05d}.dcm")
        yield k
