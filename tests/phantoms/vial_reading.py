"""Read a phantom of vials from its files with pydicom and nibabel alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pydicom
from scipy.ndimage import binary_erosion


class VialData(NamedTuple):
    """What the files of a phantom of vials hold, in the order (slice, row, column[, echo])."""

    images: dict[str, np.ndarray]
    echo_times_s: np.ndarray
    labels: np.ndarray
    bath: np.ndarray
    field_hz: np.ndarray
    truth: dict[str, Any]

    @property
    def cores(self) -> np.ndarray:
        """Labels of voxels that lie wholly inside a vial: eroded once in the plane."""
        inside = np.zeros(self.labels.shape, bool)
        cross = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)
        for label in np.unique(self.labels[self.labels > 0]):
            inside |= binary_erosion(self.labels == label, cross)
        return np.where(inside, self.labels, 0)

    @property
    def complex_signal(self) -> np.ndarray:
        return (self.images["magnitude"] * np.exp(1j * self.images["phase"])).astype(np.complex64)


def read_images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return rescaled values (slice, row, column, echo) and the echo times in seconds."""
    files = [pydicom.dcmread(p) for p in sorted(folder.glob("*.dcm"))]
    times = sorted({float(f.EchoTime) for f in files})
    places = sorted({float(f.SliceLocation) for f in files})
    shape = (len(places), files[0].Rows, files[0].Columns, len(times))
    out = np.full(shape, np.nan)
    for f in files:
        at = places.index(float(f.SliceLocation)), times.index(float(f.EchoTime))
        out[at[0], :, :, at[1]] = f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept)
    assert np.isfinite(out).all()
    return out, np.array(times) / 1000.0


def read_vials(root: Path) -> VialData:
    truth = json.loads((root / "truth.json").read_text(encoding="utf-8"))
    images, times = {}, np.zeros(0)
    for kind, folder in truth["series"].items():
        images[kind], times = read_images(root / folder)

    def mask(name: str) -> np.ndarray:
        return np.asarray(nibabel.load(root / "masks" / f"{name}.nii.gz").dataobj).T

    bath = mask("bath").astype(bool)
    return VialData(images, times, mask("vials").astype(int), bath, mask("field_hz"), truth)
