"""Magnitude, phase, real and imaginary series of known complex signals, as vendors write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from tests.io.dicom_factory import write_mr

SHAPE = (4, 6, 5, 3)
"""Slices, rows, columns, echoes."""
TIMES_MS = (2.0, 4.0, 6.0)


def magnitude() -> np.ndarray:
    """Whole numbers, so that stored magnitude is exact."""
    return np.random.default_rng(11).integers(400, 1000, SHAPE).astype(np.uint16)


def stored_phase() -> np.ndarray:
    """Twelve-bit phase, both ends of the range included."""
    values = np.random.default_rng(12).integers(0, 4096, SHAPE).astype(np.uint16)
    values[0, 0, 0, 0], values[0, 0, 1, 0] = 0, 4095
    return values


def siemens(d: Dataset) -> None:
    d.Manufacturer, d.BitsStored, d.HighBit = "SIEMENS", 12, 11
    d.RescaleSlope, d.RescaleIntercept, d.RescaleType = 2, -4096, "US"


def philips(d: Dataset) -> None:
    """As in philips_ingenia_gre2e of the shared data (see its SOURCE.md)."""
    d.Manufacturer, d.BitsStored, d.HighBit = "Philips Healthcare", 12, 11
    d.RescaleSlope, d.RescaleIntercept, d.RescaleType = "1.53455433455433", "-3142", "mrad"
    d.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 651.7395)


def write_part(
    folder: Path,
    image_type: str,
    values: np.ndarray,
    *,
    series: str,
    scale: Callable[[Dataset], None] | None = None,
    number: int = 1,
    time: str = "0906",
    keep: Callable[[int, int], bool] | None = None,
    more: Callable[[Dataset, int, int], None] | None = None,
) -> list[Path]:
    """Write one part of a complex train; every frame of a slice and echo has its own clock time."""

    def change(d: Dataset, k: int, e: int) -> None:
        d.ImageType = image_type.split("\\")
        d.SeriesNumber, d.AcquisitionTime = number, f"{time}{10 * e + k:02d}.25"
        d.SOPInstanceUID = f"{d.SOPInstanceUID}.{len(image_type)}.{number}"
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
        if scale is not None:
            scale(d)
        if values.dtype == np.int16:
            d.PixelRepresentation = 1
        d.PixelData = np.ascontiguousarray(values[k, :, :, e]).tobytes()
        if more is not None:
            more(d, k, e)

    prefix = "".join(c for c in image_type if c.isalnum()).lower() + str(number)
    return write_mr(
        folder, echo_times_ms=TIMES_MS, series=series, change=change, keep=keep, prefix=prefix
    )
