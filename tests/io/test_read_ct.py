"""The CT is read in Hounsfield units on one grid."""

from __future__ import annotations

from pathlib import Path

import pydicom

from eprimg.config import Config
from eprimg.io.index import scan
from eprimg.io.read_ct import read_ct_series
from eprimg.model.study import Role
from eprimg_phantoms import make


def test_values_are_stored_times_slope_plus_intercept(tmp_path: Path) -> None:
    folder = make("abdomen", tmp_path / "p", size="small", seed=3, with_ct=True)
    (entry,) = scan(folder / "dicom").by_role(Role.CT)
    series = read_ct_series(entry, config=Config().read).value
    assert series.key == "ct"
    slices = [pydicom.dcmread(p) for p in entry.paths]
    normal = 2  # the phantom's CT is axial
    slices.sort(key=lambda d: float(d.ImagePositionPatient[normal]))
    data = series.pixels.data  # type: ignore[union-attr]
    low = series.grid.index_to_lps_mm((0, 0, 0))[2]
    first = slices[0] if abs(low - float(slices[0].ImagePositionPatient[2])) < 1e-3 else slices[-1]
    expected = first.pixel_array * float(first.RescaleSlope) + float(first.RescaleIntercept)
    assert abs(data[0] - expected).max() < 1e-3
