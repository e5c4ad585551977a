"""Real PET-MR pairs: a steady answer, and one that is doubted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.validation.real_pet_mr_page import (
    SHIFT_MM,
    Answer,
    disturbances,
    load,
    moved,
    solve,
    spread_mm,
)


@pytest.mark.real_data
def test_two_disturbed_headers_give_one_answer_that_is_doubted(real_data: Path) -> None:
    pair = load("STS_015")
    answers = [solve("STS_015", matrix) for matrix in disturbances()[:2]]
    apart = np.linalg.norm(answers[0].offset_mm - answers[1].offset_mm)
    assert apart <= pair.voxel_mm
    assert {a.verdict for a in answers} <= {"review", "fail"}
    assert any("cut through tissue" in r for a in answers for r in a.reasons)


@pytest.mark.real_data
def test_the_centre_of_the_tumour_lies_where_the_mr_mask_says(real_data: Path) -> None:
    import nibabel as nib

    # The masks of one patient were drawn once and carried by the headers: centroids agree.
    mask = nib.load(real_data / "pet" / "ibsi_sts_pet_mr" / "STS_015" / "MR_T1_mask.nii.gz")
    index = np.argwhere(np.asarray(mask.dataobj) > 0).mean(axis=0)
    centre = (mask.affine @ [*index, 1.0])[:3] * (-1.0, -1.0, 1.0)
    np.testing.assert_allclose(load("STS_015").tumour_mm, centre, atol=0.5)


@pytest.mark.real_data
def test_a_disturbed_header_moves_the_centre_by_the_shift(real_data: Path) -> None:
    pet = load("STS_025").pet
    matrix = disturbances()[3]
    other, about = moved(pet, matrix)
    shift = other.grid.center_lps_mm - pet.grid.center_lps_mm
    np.testing.assert_allclose(shift, matrix[:3, 3], atol=1e-9)
    np.testing.assert_allclose(about @ [*pet.grid.center_lps_mm, 1], [*other.grid.center_lps_mm, 1])
    assert np.abs(np.array([m[:3, 3] for m in disturbances()])).max() <= SHIFT_MM


def test_spread_by_hand() -> None:
    answers = [Answer(np.array([x, 0.0, 0.0]), "", (), 0.0) for x in (1.0, 2.0, 6.0)]
    median, spread = spread_mm(answers)
    assert median.tolist() == [2.0, 0.0, 0.0]
    assert spread.tolist() == [1.0, 0.0, 4.0]
