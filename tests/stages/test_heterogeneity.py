"""Unevenness of a painted lesion: closed forms of two levels."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from eprimg.io.write_tables import profiles_csv
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify
from eprimg.stages.region_notes import exclude_region


def measured(scene, activity, **settings):
    study = scene.study(scene.pet_series("pre", values=activity), regions=[scene.region_set()])
    config = scene.config.with_settings({"heterogeneity": settings})
    maps = quantify(study, (), config).value.maps
    result = measure(study, (), maps, {}, scene.region_set(), config)
    return study, maps, result.value.lesions


@pytest.fixture
def painted(scene):
    # The lesion has 4 x 5 x 5 voxels of 4 x 3 x 3 mm; its innermost 2 x 3 x 3 are a third as hot.
    activity = scene.paint(2)
    k, j, i = scene.boxes["lesion"]
    core = tuple(slice(b.start + 1, b.stop - 1) for b in (k, j, i))
    activity[core] /= 3.0
    return measured(scene, activity)


def value(region, quantity, statistic, source="pet"):
    return region.measurement(quantity, statistic, source).value


def test_statistics_of_two_levels(painted) -> None:
    lesions = painted[2]
    lesion = lesions.lesions[0]
    high = value(lesion, "suvbw", "max")
    # 18 of 100 voxels at a third of the level, 82 at the level; the median is the level.
    assert value(lesion, "heterogeneity", "suvbw_cold_part") == pytest.approx(0.18)
    assert value(lesion, "heterogeneity", "suvbw_hot_part") == 0.0
    assert value(lesion, "heterogeneity", "suvbw_uniformity") == pytest.approx(0.18**2 + 0.82**2)
    bits = -(0.18 * math.log2(0.18) + 0.82 * math.log2(0.82))
    assert value(lesion, "histogram_entropy", "suvbw") == pytest.approx(bits)
    assert value(lesion, "suvbw", "p10") == pytest.approx(high / 3, rel=1e-5)
    # Two-point distribution with the share q = 0.82 above: skewness (1 - 2 q) / sqrt(q (1 - q)).
    skewness = (1 - 2 * 0.82) / math.sqrt(0.82 * 0.18)
    assert value(lesion, "heterogeneity", "suvbw_skewness") == pytest.approx(skewness, rel=1e-4)
    mean = 0.82 + 0.18 / 3
    spread = 2 / 3 * math.sqrt(0.82 * 0.18)
    assert value(lesion, "heterogeneity", "suvbw_cov") == pytest.approx(spread / mean, rel=1e-4)
    # Of organs nothing is asked.
    assert lesions.references[0].measurement("heterogeneity", "suvbw_cov") is None


def test_the_profile_of_a_cold_core(painted) -> None:
    lesions = painted[2]
    lesion = lesions.lesions[0]
    (profile,) = lesion.profiles
    high = value(lesion, "suvbw", "max")
    assert (profile.quantity, profile.source) == ("suvbw", "pet")
    assert profile.to_mm[0] == 3.0  # the finest spacing, which is more than the setting
    assert sum(profile.n_voxels) == 100
    # Rim voxels lie 1.5 or 2 mm deep, the core 4.5 or 6 mm.
    assert profile.n_voxels[0] == 82
    assert profile.mean[0] == pytest.approx(high, rel=1e-5)
    inner = [m for m in profile.mean[1:] if not math.isnan(m)]
    np.testing.assert_allclose(inner, high / 3, rtol=1e-5)
    assert lesions.references[0].profiles == ()


def test_the_table_of_profiles(painted) -> None:
    study, maps, lesions = painted
    text = profiles_csv(Case(study, maps=maps, lesions=lesions))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(lesions.lesions[0].profiles[0].mean)
    assert (rows[0]["name"], rows[0]["unit"], rows[0]["n_voxels"]) == ("lesion", "g/mL", "82")
    assert profiles_csv(Case(study)).count("\n") == 1


def test_few_voxels_and_an_excluded_lesion_have_none(scene) -> None:
    _, _, lesions = measured(scene, scene.paint(2), least_voxels=101)
    lesion = lesions.lesions[0]
    number = lesion.measurement("heterogeneity", "suvbw_cov", "pet")
    assert math.isnan(number.value)
    assert "100 voxels with a value, fewer than 101" in number.note
    assert lesion.profiles == ()
    _, _, lesions = measured(scene, scene.paint(2), measure=False)
    assert lesions.lesions[0].measurement("heterogeneity", "suvbw_cov") is None
    _, _, lesions = measured(scene, scene.paint(2))
    assert exclude_region(lesions.lesions[0], "x").profiles == ()


def test_the_change_of_r2star_is_measured_on_the_reference_grid(scene) -> None:
    study = scene.study(regions=[scene.region_set()])
    made = quantify(study, scene.registrations(), scene.config).value
    result = measure(
        study, scene.registrations(), made.maps, made.registered, scene.region_set(), scene.config
    )
    lesions: LesionSet = result.value.lesions
    sources = {(p.quantity, p.source) for p in lesions.lesions[0].profiles}
    assert sources == {("r2star", "mr_post"), ("dr2star", "registered"), ("suvbw", "pet")}
    # Painted: 30 before, 130 after.
    assert value(lesions.lesions[0], "dr2star", "p90", "registered") == pytest.approx(100, rel=0.02)
