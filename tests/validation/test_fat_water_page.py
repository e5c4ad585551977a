"""The bounds of the fat-water page hold, and can be broken."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg_phantoms import make
from tests.phantoms.vial_reading import VialData, read_vials
from tests.validation.fat_water_page import Row, compared, page


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> VialData:
    folder = tmp_path_factory.mktemp("fat-water") / "phantom"
    return read_vials(make("fat-water", folder, size="tiny", seed=5))


@pytest.fixture(scope="module")
def rows(data: VialData) -> list[Row]:
    return compared(data)


def test_every_vial_is_within_the_bounds(rows: list[Row]) -> None:
    # Source of the truth: the phantom's scene file.  Source of the bounds: mri.md names none, so
    # they are those of the page, 2.5 points of fat and 3.5 1/s or 4 % of R2* (more at 600 1/s).
    assert len(rows) == 126
    assert [r for r in rows if not r.ok] == []
    assert sum(r.valid * r.n_voxels for r in rows) > 0.98 * sum(r.n_voxels for r in rows)


def test_pure_water_has_no_bias(rows: list[Row]) -> None:
    some = [r for r in rows if r.fat_percent == 0 and r.r2star_per_s <= 400]
    for row in some:
        assert abs(row.pdff_bias_pp) < 0.1 + 4 * row.pdff_sem_pp
        assert abs(row.r2star_bias_per_s) < 0.3 + 4 * row.r2star_sem_per_s


def test_the_magnitude_fit_shows_what_the_complex_fit_mends(rows: list[Row]) -> None:
    some = [r for r in rows if r.fat_percent >= 20 and r.snr == 100 and r.r2star_per_s <= 400]
    assert len(some) == 20
    complex_error = np.array([abs(r.r2star_bias_per_s) / r.r2star_per_s for r in some])
    magnitude_error = np.array([abs(r.magnitude_bias_per_s) / r.r2star_per_s for r in some])
    assert np.all(magnitude_error > 0.06)
    assert np.median(magnitude_error) > 4 * np.median(complex_error)


def test_bounds_can_be_broken(data: VialData) -> None:
    other = VialData(
        {**data.images, "phase": -data.images["phase"]}, *data[1:]
    )  # fmt: skip
    broken = [r for r in compared(other) if not r.ok]
    assert len(broken) > 60


def test_the_page_names_what_it_says(rows: list[Row]) -> None:
    text = page(rows, rows)
    assert "126 of 126 vials are within the bounds" in text
    assert text.count("| 50 % |") == 9
