from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eprimg.errors import InputError
from eprimg.kernels import uptake
from eprimg.kernels.radioactivity import decayed_dose_bq

TRUTH = json.loads((Path(__file__).parents[1] / "truth" / "uptake.json").read_text())


@pytest.mark.parametrize("case", TRUTH["lean_body_mass"]["cases"])
def test_lean_body_mass(case: dict[str, float]) -> None:
    mass = uptake.lean_body_mass_janmahasatian_kg(
        case["weight_kg"],
        case["height_m"],
        case["sex"],  # type: ignore[arg-type]
    )
    assert mass == pytest.approx(case["expected_kg"], rel=TRUTH["tolerance_relative"])


@pytest.mark.parametrize("case", TRUTH["body_surface_area"]["cases"])
def test_body_surface_area(case: dict[str, float]) -> None:
    area = uptake.body_surface_area_du_bois_m2(case["weight_kg"], case["height_m"])
    assert area == pytest.approx(case["expected_m2"], rel=TRUTH["tolerance_relative"])


def test_factor_of_a_real_series_equals_the_published_one() -> None:
    case = TRUTH["suvbw_factor"]
    dose = decayed_dose_bq(case["dose_bq"], case["elapsed_s"], case["half_life_s"])
    factor = uptake.suvbw_factor(dose, case["weight_g"])
    assert factor == pytest.approx(case["expected_g_per_bq"], rel=case["tolerance_relative"])


def test_published_percent_id_per_kg_in_suv() -> None:
    case = TRUTH["percent_id_per_kg"]
    suv = np.asarray(case["suvbw"])
    percent = uptake.percent_id_per_kg_from_suvbw(suv, weight_kg=case["weight_kg"])
    tolerance = case["tolerance_absolute"] * 100.0 / case["weight_kg"] + 1e-9
    np.testing.assert_allclose(percent, case["percent_id_per_kg"], atol=tolerance, rtol=0)


def test_dose_spread_over_the_body_is_suv_one() -> None:
    weight_kg, dose = 70.0, 37e6
    activity = np.asarray(dose / (weight_kg * 1000.0))
    assert uptake.suvbw(activity, dose_bq=dose, weight_g=70e3) == pytest.approx(1.0)
    assert uptake.percent_id_per_ml(activity, dose_bq=dose) == pytest.approx(100.0 / 70e3)
    assert uptake.percent_id_per_kg(activity, dose_bq=dose) == pytest.approx(100.0 / 70.0)


def test_suvbsa_is_ten_areas_per_weight_times_suvbw() -> None:
    activity = np.asarray([100.0, 5000.0])
    body = uptake.suvbw(activity, dose_bq=1e8, weight_g=70e3)
    area = TRUTH["body_surface_area"]["cases"][0]["expected_m2"]
    surface = uptake.suvbsa(activity, dose_bq=1e8, weight_kg=70.0, height_m=1.75)
    np.testing.assert_allclose(surface, body * 10.0 * area / 70.0, rtol=1e-13)


def test_sul_is_suvbw_times_lean_fraction() -> None:
    activity = np.asarray([100.0, 5000.0])
    body = uptake.suvbw(activity, dose_bq=1e8, weight_g=70e3)
    lean = TRUTH["lean_body_mass"]["cases"][1]["expected_kg"]
    sul = uptake.sul_janmahasatian(activity, dose_bq=1e8, weight_kg=70, height_m=1.75, sex="F")
    np.testing.assert_allclose(sul, body * lean / 70.0, rtol=1e-13)


@given(st.floats(-1e6, 1e6), st.floats(1e3, 1e10), st.floats(0.02, 300.0), st.floats(-100.0, 100.0))
def test_linear_in_activity_and_one_identity(
    activity: float, dose: float, weight_kg: float, scale: float
) -> None:
    array = np.asarray([activity, scale * activity])
    suv = uptake.suvbw(array, dose_bq=dose, weight_g=1000.0 * weight_kg)
    assert suv[1] == pytest.approx(scale * suv[0], rel=1e-12, abs=1e-290)
    direct = uptake.percent_id_per_kg(array, dose_bq=dose)
    np.testing.assert_allclose(
        uptake.percent_id_per_kg_from_suvbw(suv, weight_kg=weight_kg),
        direct,
        rtol=1e-12,
        atol=1e-290,
    )
    np.testing.assert_allclose(
        1000.0 * uptake.percent_id_per_ml(array, dose_bq=dose), direct, rtol=1e-12, atol=1e-290
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_nan_and_sign_are_kept(dtype: type) -> None:
    activity = np.asarray([[np.nan, -3.0], [0.0, 1e4]], dtype=dtype)
    before = activity.copy()
    suv = uptake.suvbw(activity, dose_bq=1e7, weight_g=70e3)
    assert suv.dtype == dtype
    np.testing.assert_allclose(suv, [[np.nan, -0.021], [0.0, 70.0]], rtol=1e-6)
    np.testing.assert_array_equal(activity, before)


BAD = [0.0, -1.0, math.nan, math.inf]


@pytest.mark.parametrize("bad", BAD)
def test_bad_dose_and_weight_are_refused(bad: float) -> None:
    activity = np.ones(2)
    calls = [
        lambda: uptake.suvbw(activity, dose_bq=bad, weight_g=7e4),
        lambda: uptake.suvbw(activity, dose_bq=1e8, weight_g=bad),
        lambda: uptake.suvbsa(activity, dose_bq=bad, weight_kg=70, height_m=1.7),
        lambda: uptake.percent_id_per_ml(activity, dose_bq=bad),
        lambda: uptake.percent_id_per_kg(activity, dose_bq=bad),
        lambda: uptake.percent_id_per_kg_from_suvbw(activity, weight_kg=bad),
        lambda: uptake.lean_body_mass_janmahasatian_kg(bad, 1.7, "M"),
        lambda: uptake.body_surface_area_du_bois_m2(70.0, bad),
    ]
    for call in calls:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"


def test_height_in_cm_and_unknown_sex_are_refused() -> None:
    with pytest.raises(InputError, match="cm"):
        uptake.body_surface_area_du_bois_m2(70.0, 175.0)
    with pytest.raises(InputError, match="M, F or O"):
        uptake.lean_body_mass_janmahasatian_kg(70.0, 1.75, "")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("shape", [(12, 300, 300), (7, 9, 30), (0, 4), ()])
def test_one_pass_equals_two(dtype: type, shape: tuple[int, ...]) -> None:
    """The product and the finite voxels as numpy gives them; the largest takes several blocks."""
    values = (np.random.default_rng(2).normal(0.0, 1e3, shape) * np.ones(shape)).astype(dtype)
    if values.size > 3 and dtype != np.int16:
        values.ravel()[[1, -2, -9]] = np.nan, np.inf, -np.inf
    before = values.copy()
    wanted = np.float32 if dtype == np.float32 else np.float64
    for array in (values, values.T):
        found, valid = uptake.scaled_with_valid(array, 1.7e-3)
        assert found.dtype == wanted
        assert found.shape == valid.shape == array.shape
        np.testing.assert_array_equal(found, array.astype(wanted) * wanted(1.7e-3))
        np.testing.assert_array_equal(valid, np.isfinite(array))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf, 3e38])
def test_a_single_failed_voxel_is_found_in_any_block(bad: float | None) -> None:
    """3e38 is finite in float32, but its square is not."""
    values = np.ones((3, 400, 400), np.float32)
    if bad is not None:
        values[2, 399, 7] = bad
    _, valid = uptake.scaled_with_valid(values, 0.5)
    np.testing.assert_array_equal(valid, np.isfinite(values))
    assert not valid.flags.writeable or bad is not None
