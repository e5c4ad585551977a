"""CT series of the PET/CT: same study and frame of reference as the PET."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.uid import CTImageStorage

from eprimg_phantoms.dicom_base import SeriesWriter, set_pixels, set_plane, set_slice, template
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity, da, ds, tm
from eprimg_phantoms.scene import Scene

# The CT of a PET/CT comes first.
BEFORE_PET = timedelta(minutes=3)


def ct_template(scene: Scene, who: Identity, grid: SampleGrid) -> FileDataset:
    """Build what all files of the CT series share."""
    visit = scene.sessions["pet"]
    d = template(
        scene, who, visit, sop_class=CTImageStorage, modality="CT", series="ct", number=402
    )
    start = visit.start - BEFORE_PET
    d.SeriesDate, d.SeriesTime = da(start), tm(start)
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.SeriesDescription = "CT low dose for PET"
    d.ScanOptions = "HELICAL MODE"
    d.KVP = "120"
    d.XRayTubeCurrent = "40"
    d.ExposureTime = "500"
    d.DataCollectionDiameter = ds(grid.shape[2] * grid.spacing_mm[2])
    d.ReconstructionDiameter = ds(grid.shape[2] * grid.spacing_mm[2])
    d.ConvolutionKernel = "STANDARD"
    d.GantryDetectorTilt = "0"
    d.AcquisitionNumber = 1
    d.RescaleIntercept = "0"
    d.RescaleSlope = "1"
    d.RescaleType = "HU"
    d.LossyImageCompression = "00"
    set_plane(d, grid)
    return d


def write_ct(
    scene: Scene,
    who: Identity,
    grid: SampleGrid,
    slices: Iterable[npt.NDArray[np.int16]],
    folder: Path,
) -> Iterator[int]:
    """Write the CT series (HU, int16); yields the number of each slice that is done."""
    d = ct_template(scene, who, grid)
    writer = SeriesWriter(d)
    start = scene.sessions["pet"].start - BEFORE_PET
    for k, hu in enumerate(slices):
        set_slice(d, grid, k, who.uid("pet", "ct", k), k + 1, start)
        set_pixels(d, hu)
        writer.write(folder / f"IM{k + 1:05d}.dcm")
        yield k
