"""MR series of vials: magnitude, phase, real or imaginary, one classic file per slice and echo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.uid import MRImageStorage

from eprimg_phantoms.complex_mri import MHZ_PER_T, ComplexArray
from eprimg_phantoms.dicom_base import SeriesWriter, set_pixels, set_plane, set_slice, template
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity, ds
from eprimg_phantoms.vials import VialScene

# Value 3 of Image Type, and Complex Image Component (DICOM PS3.3, C.8.13.3.1.1): vendors write the
# second into classic files too.
KINDS = {
    "magnitude": ("M", "MAGNITUDE"),
    "phase": ("P", "PHASE"),
    "real": ("R", "REAL"),
    "imaginary": ("I", "IMAGINARY"),
}
PHASE_BITS = 12
PHASE_LEVELS = 2**PHASE_BITS

Stored = npt.NDArray[np.uint16] | npt.NDArray[np.int16]


def stored_pixels(signal: ComplexArray, kind: str, slope: float) -> tuple[Stored, float, float]:
    """Return one image as integers with its rescale slope and intercept.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (rows, columns), complex.
    kind : str
        ``"magnitude"``, ``"phase"`` (rescaled to radians), ``"real"`` or ``"imaginary"``.
    slope : float
        Signal units per stored level, for all but the phase.

    Returns
    -------
    pixels : numpy.ndarray
        16 bits.
    slope, intercept : float
        Value = slope * pixel + intercept.
    """
    if kind == "phase":
        step = 2.0 * np.pi / PHASE_LEVELS
        levels = np.rint((np.angle(signal) + np.pi) / step) % PHASE_LEVELS
        return levels.astype(np.uint16), step, -np.pi
    if kind == "magnitude":
        return np.rint(np.abs(signal) / slope).clip(0, 65535).astype(np.uint16), slope, 0.0
    part = signal.real if kind == "real" else signal.imag
    return np.rint(part / slope).clip(-32768, 32767).astype(np.int16), slope, 0.0


def image_writer(
    scene: VialScene, who: Identity, grid: SampleGrid, kind: str, number: int, folder: Path
) -> Callable[[int, ComplexArray], None]:
    """Return a function that writes one slice of one kind of image.

    Parameters
    ----------
    scene, who, grid
        What, for whom and where.
    kind : str
        Kind of image.
    number : int
        Series number.
    folder : pathlib.Path
        Existing folder.

    Returns
    -------
    callable
        Takes the slice number and the complex signal (n_echoes, rows, columns).
    """
    d = _template(scene, who, grid, kind, number)
    writer = SeriesWriter(d)
    n_slices = grid.shape[0]
    # A twentieth of the noise per level: rounding adds next to nothing to it.
    slope = 0.5 * float(scene.mr["sigma"]) / 10.0

    def write(k: int, signal: ComplexArray) -> None:
        for e, seconds in enumerate(scene.echo_times_s):
            instance = e * n_slices + k + 1
            uid = who.uid(scene.session.name, kind, k, e)
            set_slice(d, grid, k, uid, instance, scene.session.start)
            d.EchoTime = ds(float(seconds) * 1000.0)
            d.EchoNumbers = e + 1
            pixels, step, intercept = stored_pixels(signal[e], kind, slope)
            d.RescaleSlope, d.RescaleIntercept = ds(step), ds(intercept)
            set_pixels(d, pixels)
            if kind == "phase":
                # The stored bits state the full scale, which stands for one turn.
                d.BitsStored, d.HighBit = PHASE_BITS, PHASE_BITS - 1
            writer.write(folder / f"IM{instance:05d}.dcm")

    return write


def _template(
    scene: VialScene, who: Identity, grid: SampleGrid, kind: str, number: int
) -> FileDataset:
    value, component = KINDS[kind]
    d = template(
        scene,  # type: ignore[arg-type]
        who,
        scene.session,
        sop_class=MRImageStorage,
        modality="MR",
        series=kind,
        number=number,
    )
    d.BodyPartExamined, d.Laterality = "PHANTOM", ""
    d.ImageType = ["ORIGINAL", "PRIMARY", value, "FFE"]
    d.ComplexImageComponent = component
    d.SeriesDescription = scene.session.description
    d.ProtocolName = "Multi-echo GRE"
    d.ScanningSequence = "GR"
    d.SequenceVariant = "SP"
    d.ScanOptions = ""
    d.MRAcquisitionType = "2D"
    d.SequenceName = "megre"
    d.RepetitionTime = ds(scene.mr["repetition_time_ms"])
    d.FlipAngle = ds(scene.mr["flip_angle_deg"])
    d.EchoTrainLength = scene.echo_times_s.size
    d.NumberOfAverages = "1"
    d.MagneticFieldStrength = ds(scene.field_strength_t)
    d.ImagingFrequency = ds(scene.field_strength_t * MHZ_PER_T)
    d.ImagedNucleus = "1H"
    d.SpacingBetweenSlices = ds(grid.spacing_mm[0])
    d.RescaleSlope, d.RescaleIntercept = "1", "0"
    # A reader must be told what the phase is in; PS3.3 has no term for it.
    d.RescaleType = "rad" if kind == "phase" else "US"
    d.LossyImageCompression = "00"
    set_plane(d, grid)
    return d
