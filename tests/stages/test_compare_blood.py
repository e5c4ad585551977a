"""Samples on an exponential: between them the expected value is that exponential."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Study, Timepoint
from eprimg.stages.compare_blood import blood_calibration, compare_blood

TIMES = np.array([1.0, 10.0, 30.0]) * 3600.0


def blood(times_s):
    return 10e3 * 2.0 ** (-np.asarray(times_s) / 72000.0)  # half-life in blood 20 h


def codes(findings):
    return [f.code for f in findings]


def test_agreement_and_disagreement():
    scans = np.array([20.0, 25.0]) * 3600.0
    found, findings = compare_blood(TIMES, blood(TIMES), scans, blood(scans) * [1.19, 0.79])
    assert found[0].sampled_bq_per_ml == pytest.approx(5e3)  # 20 h: half of 10 kBq/mL
    assert [c.difference_percent for c in found] == pytest.approx([19.0, -21.0])
    assert codes(findings) == ["I_BLOOD_POOL", "W_BLOOD_POOL"]
    assert "-21.0 %" in findings[1].text
    _, strict = compare_blood(TIMES, blood(TIMES), scans, blood(scans) * 1.19, limit_percent=10.0)
    assert codes(strict) == ["W_BLOOD_POOL"] * 2


def test_plasma_is_brought_to_whole_blood():
    """Haematocrit 0.4 and a carrier that stays out of the cells: plasma is 1 / 0.6 of blood."""
    found, _ = compare_blood(
        TIMES, blood(TIMES) / 0.6, [72000.0], [5e3], plasma_over_blood=1.0 / 0.6
    )
    assert found[0].difference_percent == pytest.approx(0.0, abs=1e-9)


def test_nothing_is_extrapolated():
    found, findings = compare_blood(TIMES, blood(TIMES), [100.0, 40 * 3600.0], [9e3, 2e3])
    assert all(math.isnan(c.difference_percent) for c in found)
    assert all("not compared" in f.text for f in findings)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (([1.0, 2.0], [1.0], [1.0], [1.0]), {}),
        (([2.0, 1.0], [1.0, 1.0], [1.0], [1.0]), {}),
        (([1.0, 2.0], [1.0, 0.0], [1.0], [1.0]), {}),
        (([1.0, 2.0], [1.0, 1.0], [math.nan], [1.0]), {}),
        (([1.0, 2.0], [1.0, 1.0], [1.0], [1.0]), {"plasma_over_blood": 0.0}),
    ],
)
def test_bad_arguments_are_refused(arguments, options):
    with pytest.raises(InputError) as caught:
        compare_blood(*arguments, **options)
    assert caught.value.code == "E_ARGUMENT"


def two_days(scene, factor=None):
    points = []
    for key, hours in (("pet_2", 24.0), ("pet", 144.0)):
        facts = scene.pet_acquisition(
            hours_after_injection=hours, pet_over_dose_calibrator=scene.known(factor)
        )
        series = replace(scene.pet_series(key, facts), key=key)
        points.append(Timepoint(key, scene.injected + timedelta(hours=hours), (series,)))
    return Study("case-1", tuple(points))


@pytest.mark.parametrize(
    ("of_dose", "of_samples", "code", "words"),
    [
        (None, None, None, ""),
        (1.0, None, None, ""),
        (None, 1.05, "I_WELL_COUNTER", "multiplied by 1.05"),
        (1.1, 1.05, "I_WELL_COUNTER", "multiplied by 1.05"),
        (None, 1.2, "W_CROSS_CALIBRATION", "+20 % apart"),
        (None, 0.8, "W_CROSS_CALIBRATION", "-20 % apart"),
        (1.1, None, "W_WELL_COUNTER", "off by +10.0 %"),
        (0.95, None, "W_WELL_COUNTER", "off by -5.0 %"),
    ],
)
def test_calibration_of_samples_is_told(scene, of_dose, of_samples, code, words):
    samples = PlasmaInput(TIMES, blood(TIMES), None, True, "3 samples", of_samples)
    found = blood_calibration(two_days(scene, of_dose), samples)
    assert codes(found) == ([code] if code else [])
    assert all(words in f.text and f.where == "kinetics.pet_over_well_counter" for f in found)


def test_samples_that_are_not_used_are_not_told(scene):
    samples = PlasmaInput(TIMES, blood(TIMES), None, True, "3 samples", 1.2)
    assert blood_calibration(two_days(scene, 1.1), None) == ()
    lone = Study("case-1", two_days(scene, 1.1).timepoints[1:])
    assert blood_calibration(lone, samples) == ()
