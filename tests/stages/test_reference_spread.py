"""Spread of painted organs: closed forms of two-valued regions."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify


def measured(scene, activity):
    study = scene.study(scene.pet_series("pre", values=activity), regions=[scene.region_set()])
    maps = quantify(study, (), scene.config).value.maps
    return measure(study, (), maps, {}, scene.region_set(), scene.config)


@pytest.fixture
def result(scene):
    # Liver: 30 % of the planes at three times the level; spleen: half of them; muscle untouched.
    activity = scene.paint(2)
    k, j, i = scene.boxes["liver"]
    activity[k.start : k.start + 2, j, i] *= 3.0
    k, j, i = scene.boxes["spleen"]
    activity[k.start : k.start + 4, j, i] *= 3.0
    return measured(scene, activity)


def spread_of(result, name):
    region = next(r for r in result.value.lesions.regions if r.name == name)
    return region.measurement("suvbw", "median", "pet"), region.measurement("suvbw", "mad", "pet")


def test_the_median_absolute_deviation(result) -> None:
    # A quarter of the liver is brighter: more than half of the deviations are 0.
    assert spread_of(result, "liver")[1].value == 0.0
    # Halves at 1 and 3 times the level a: median 2 a, every deviation a.
    median, mad = spread_of(result, "spleen")
    assert mad.value == pytest.approx(0.5 * median.value, rel=1e-5)
    assert mad.n_voxels == 8 * 8 * 8
    assert spread_of(result, "lesion")[1] is None


def test_an_uneven_organ_is_named_once(result, scene) -> None:
    said = [f for f in result.findings if f.code == "W_REFERENCE_UNEVEN"]
    assert [f.where for f in said] == ["spleen"]
    # 1.4826 * 0.5 = 74 %.
    assert "74 %" in said[0].text
    even = measured(scene, scene.paint(2))
    assert not [f for f in even.findings if f.code == "W_REFERENCE_UNEVEN"]


def test_an_organ_without_a_value_has_no_spread(scene) -> None:
    activity = scene.paint(2)
    activity[scene.boxes["blood"]] = np.nan
    found = spread_of(measured(scene, activity), "blood")[1]
    assert np.isnan(found.value)
    assert found.note
