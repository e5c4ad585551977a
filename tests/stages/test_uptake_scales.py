"""Factors are worked out here from the formulas of their sources."""

from __future__ import annotations

import pytest

from eprimg.stages.quantify import quantify
from eprimg.stages.uptake_scales import sul_words, uptake_scales

DOSE = 37e6


def test_factors_of_a_known_body(scene):
    scales = uptake_scales(scene.pet_acquisition(), DOSE)
    assert scales.refused == {}
    assert scales.factors["suvbw"] == pytest.approx(72e3 / DOSE)
    assert scales.factors["pid_per_kg"] == pytest.approx(1000.0 * scales.factors["pid_per_ml"])
    # 48 + 1.06 x 23 = 72.38 kg
    assert scales.factors["suvibw"] == pytest.approx(72.38e3 / DOSE)


def test_each_quantity_asks_for_its_own_facts(scene):
    nothing = scene.known(None)
    scales = uptake_scales(scene.pet_acquisition(weight_kg=nothing), DOSE)
    assert set(scales.factors) == {"pid_per_ml", "pid_per_kg", "suvibw"}
    assert set(scales.refused) == {"suvbw", "sul_janmahasatian", "suvbsa"} == scales.missing
    scales = uptake_scales(scene.pet_acquisition(sex=nothing), DOSE)
    assert set(scales.refused) == {"sul_janmahasatian", "suvibw"}
    assert "sex" in scales.refused["suvibw"]


def test_a_fact_that_cannot_be_used_is_not_a_missing_one(scene):
    scales = uptake_scales(scene.pet_acquisition(height_m=scene.known(175.0)), DOSE)
    assert "in cm" in scales.refused["sul_janmahasatian"]
    assert scales.missing == frozenset()
    scales = uptake_scales(scene.pet_acquisition(weight_kg=scene.known(0.0)), DOSE)
    assert "positive" in scales.refused["suvbw"]
    short = uptake_scales(scene.pet_acquisition(height_m=scene.known(1.45)), DOSE)
    assert "1.52 m" in short.refused["suvibw"]
    assert "suvbsa" in short.factors


def test_doubts_about_the_lean_mass_are_told(scene):
    """1.75 m and 110 kg: BMI 35.9, James still rises (turn at 43.0) but is known to be off."""
    heavy = scene.pet_acquisition(weight_kg=scene.known(110.0))
    assert uptake_scales(heavy, DOSE).remarks == {}
    assert "35.9" in uptake_scales(heavy, DOSE, sul_formula="james128").remarks["sul_james128"]
    other = scene.pet_acquisition(sex=scene.known("O"))
    assert set(uptake_scales(other, DOSE).remarks) == {"sul_janmahasatian", "suvibw"}
    config = scene.config.with_settings({"uptake": {"sul_formula": "james120"}})
    result = quantify(scene.study(scene.pet_series("pet", heavy)), (), config)
    assert "W_SUL_DOUBTFUL" in [f.code for f in result.findings]
    # 1.75 m and 140 kg: BMI 45.7, beyond the turn of the women's formula
    huge = scene.pet_acquisition(weight_kg=scene.known(140.0), sex=scene.known("F"))
    result = quantify(scene.study(scene.pet_series("pet", huge)), (), config)
    assert "W_SUL_REFUSED" in [f.code for f in result.findings]
    assert "sul_james120" not in result.value.maps


def test_the_words_name_the_formula():
    assert "10.2165" in sul_words("janmahasatian")
    assert "Morgan" in sul_words("james120")
