"""Maps over several PET sessions, voxel by voxel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.study import Role
from eprimg.stages.quantify import quantify
from eprimg.stages.quantify_over_time import maps_over_time
from tests.stages.test_time_points import moved, study  # noqa: F401


def test_retention_and_area_of_every_voxel(scene, study):  # noqa: F811
    registered = quantify(study, moved(scene, study), scene.config).value.registered
    early, late = registered["pid_per_kg_2"], registered["pid_per_kg"]
    kept, area = registered["uptake_retention"], registered["uptake_auc"]
    inside = tuple(slice(b.start + 1, b.stop - 1) for b in scene.boxes["lesion"])
    # Painted 9000 and 12000 Bq/mL at 24 and 72 h, each corrected to its own scan: 48 h of decay.
    assert kept.values[inside] == pytest.approx(12000 / 9000 * 2 ** (48 * 3600 / scene.half_life_s),
                                                rel=1e-5)  # fmt: skip
    expected = 12.0 * early.values[inside] + 24.0 * (early.values + late.values)[inside]
    assert area.values[inside] == pytest.approx(expected, rel=1e-5)
    assert (kept.sources, area.sources) == (("pet_2", "pet"), ("pet_2", "pet"))
    assert kept.facts["hours_after_injection"] == [24.0, 72.0]
    assert "24.0 h" in kept.method


def test_a_voxel_without_uptake_has_a_reason_and_no_ratio(scene, study):  # noqa: F811
    registered = dict(quantify(study, moved(scene, study), scene.config).value.registered)
    values = np.array(registered["pid_per_kg_2"].values)
    values[0, 0, 0] = 0.0
    registered["pid_per_kg_2"] = replace(registered["pid_per_kg_2"], values=values)
    kept = maps_over_time(study, registered, scene.config)["uptake_retention"]
    assert np.isnan(kept.values[0, 0, 0])
    assert not kept.valid[0, 0, 0]
    assert "zero or negative" in kept.reason_words[int(kept.reason[0, 0, 0])]


def test_one_session_gives_no_map(scene, study):  # noqa: F811
    registered = quantify(study, moved(scene, study), scene.config).value.registered
    alone = {k: m for k, m in registered.items() if not k.endswith("_2")}
    assert maps_over_time(study, alone, scene.config) == {}
    points = tuple(t for t in study.timepoints if t.series[0].role != Role.PET)
    assert maps_over_time(replace(study, timepoints=points), registered, scene.config) == {}
