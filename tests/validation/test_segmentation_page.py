"""The bounds of the segmentation page hold on a small part of it, and can be broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, stats

from tests.validation.pet_spheres import PSF_FWHM_MM, SCENES, SPACING_MM, _sphere, make_sphere
from tests.validation.segmentation_page import (
    Found,
    Row,
    faults,
    measured,
    page,
    patients,
    phantom_rows,
    spheres,
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return measured(spheres(1, (8.0, 13.0, 22.0)), ("adaptive-bg", "nestle"))


def test_the_small_part_keeps_the_bounds(rows: list[Row]) -> None:
    assert faults(rows) == []


def test_the_bounds_can_be_broken(rows: list[Row]) -> None:
    # nestle in the place of adaptive-bg: the threshold is too low, the volume too large
    other = [r._replace(method="adaptive-bg") for r in rows if r.method == "nestle"]
    said = " ".join(faults(other))
    assert "mean Dice" in said
    assert "volume error" in said


def test_the_sphere_is_the_closed_form_and_the_noise_has_no_bias() -> None:
    sigma = PSF_FWHM_MM / np.sqrt(8.0 * np.log(2.0))
    r = np.array([0.5, 4.0, 9.0])
    expected = stats.ncx2.cdf((5.0 / sigma) ** 2, 3, (r / sigma) ** 2)
    np.testing.assert_allclose(_sphere(r, 10.0), expected, atol=1e-9)
    image = make_sphere(SCENES[0], 37.0, 0)
    total = (image.values - 1.0).sum() * SPACING_MM**3 / 1000.0
    # contrast 7 times the volume; the sum of the noise: 27000 voxels of SD sqrt(1 / 40) before
    assert total == pytest.approx(7.0 * image.volume_ml, abs=4 * np.sqrt(27000 / 40) * 0.064 + 1)
    assert ndimage.center_of_mass(image.truth((slice(0, 30),) * 3, 1)) == pytest.approx(
        image.centre / SPACING_MM, abs=0.05
    )


def test_real_patients_or_words(rows: list[Row], real_data) -> None:
    found = patients(("adaptive-bg",))
    assert len(found) == 4
    # SOURCE.md of the set
    assert [round(p.drawn_ml, 2) for p in found] == [366.08, 27.88, 88.9, 30.24]
    assert all(p.dice > 0.15 and not p.reason for p in found)


def test_the_page_says_when_there_are_no_patients() -> None:
    full = measured(spheres(1, (8.0,)), ("adaptive-bg",))
    widened = [
        r._replace(diameter_mm=d, method=m)
        for r in full
        for d in (8.0, 10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
        for m in _methods()
    ]
    text = page(widened, [], [Found("adaptive-bg", "lesion-1", 37.0, 26.5, 27.0)])
    assert "| lesion-1, 37 mm | 26.50 mL | 27.00 mL (+2 %) |" in text
    assert "The real images were not there" in text
    assert text.count("| nestle |") == 1 + len(SCENES)


def test_candidates_of_the_phantom_have_their_true_volume(phantom: Path) -> None:
    # Truth: analytic volumes in truth.json.  Bound: that of the page, 15 %.
    found = phantom_rows(phantom, ("threshold", "adaptive-bg"))
    errors = {
        m: [abs(r.volume_ml / r.true_ml - 1.0) for r in found if r.method == m]
        for m in ("threshold", "adaptive-bg")
    }
    assert len(errors["adaptive-bg"]) == 3
    assert max(errors["adaptive-bg"]) <= 0.15
    assert max(errors["threshold"]) > 0.5


def _methods() -> tuple[str, ...]:
    from eprimg.kernels.pet_regions import PET_METHODS

    return PET_METHODS
