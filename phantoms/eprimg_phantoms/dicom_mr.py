"""MR series: one classic single-frame magnitude file per slice and echo, in one series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pydicom.dataset import FileDataset
from pydicom.uid import MRImageStorage

from eprimg_phantoms.dicom_base import SeriesWriter, set_pixels, set_plane, set_slice, template
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity, da, ds, tm
from eprimg_phantoms.mri import MRSlice
from eprimg_phantoms.scene import Scene

# 1H at 1 T (MHz): gyromagnetic ratio over 2 pi, CODATA.
MHZ_PER_T = 42.577478


def mr_template(scene: Scene, who: Identity, grid: SampleGrid, session: str) -> FileDataset:
    """Build what all files of one MR session share."""
    visit = scene.sessions[session]
    d = template(
        scene, who, visit, sop_class=MRImageStorage, modality="MR", series="r2star", number=301
    )
    d.ImageType = ["ORIGINAL", "PRIMARY", "M", "FFE"]
    d.SeriesDescription = visit.description
    d.ProtocolName = "R2star GRE"
    d.ScanningSequence = "GR"
    d.SequenceVariant = "SP"
    d.ScanOptions = ""
    d.MRAcquisitionType = "2D"
    d.SequenceName = "r2s_gre"
    d.RepetitionTime = ds(scene.mr["repetition_time_ms"])
    d.FlipAngle = ds(scene.mr["flip_angle_deg"])
    d.EchoTrainLength = scene.echo_times_s.size
    d.NumberOfAverages = "1"
    d.MagneticFieldStrength = ds(scene.field_strength_t)
    d.ImagingFrequency = ds(scene.field_strength_t * MHZ_PER_T)
    d.ImagedNucleus = "1H"
    d.SpacingBetweenSlices = ds(grid.spacing_mm[0])
    d.RescaleSlope = ds(scene.mr["rescale_slope"][session])
    d.RescaleIntercept = ds(scene.mr["rescale_intercept"])
    d.RescaleType = "US"
    d.LossyImageCompression = "00"
    if session == "post":
        given = datetime.fromisoformat(scene.mr["contrast_start"])
        d.ContrastBolusAgent = scene.mr["contrast_agent"]
        d.ContrastBolusRoute = "IV"
        d.ContrastBolusStartTime = tm(given)
        # 30 mg of iron per mL of the product; the attribute asks for a volume.
        dose_mg = scene.mr["contrast_dose_mg_per_kg"] * scene.patient["weight_kg"]
        d.ContrastBolusVolume = ds(dose_mg / 30.0)
        d.ContrastBolusTotalDose = ds(dose_mg / 30.0)
        d.ImageComments = f"{scene.mr['contrast_agent']} given on {da(given)}"
    set_plane(d, grid)
    return d


def write_mr(
    scene: Scene,
    who: Identity,
    grid: SampleGrid,
    session: str,
    slices: Iterable[MRSlice],
    folder: Path,
) -> Iterator[MRSlice]:
    """Write the files of one MR session while the slices pass through.

    Parameters
    ----------
    scene, who, grid, session
        What, for whom, where and when.
    slices : iterable of MRSlice
        From the first to the last.
    folder : pathlib.Path
        Existing folder.

    Yields
    ------
    MRSlice
        The same slices.
    """
    d = mr_template(scene, who, grid, session)
    writer = SeriesWriter(d)
    n_slices = grid.shape[0]
    start = scene.sessions[session].start
    for k, one in enumerate(slices):
        for e, seconds in enumerate(scene.echo_times_s):
            number = e * n_slices + k + 1
            set_slice(d, grid, k, mr_uid(who, session, k, e), number, start)
            d.EchoTime = ds(float(seconds) * 1000.0)
            d.EchoNumbers = e + 1
            set_pixels(d, one.stored[e])
            writer.write(folder / f"IM{number:05d}.dcm")
        yield one


def mr_uid(who: Identity, session: str, k: int, echo: int) -> str:
    """Return the instance UID of slice ``k``, echo ``echo`` (from 0)."""
    return who.uid(session, "r2star", k, echo)
