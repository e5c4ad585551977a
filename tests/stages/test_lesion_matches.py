"""Lesions drawn on two series of the tiny study, all of which lie in one place."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np

from eprimg.config import MatchingConfig
from eprimg.io.write_tables import lesion_matches_csv
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.lesion_matches import DrawnLesions, match_drawn
from eprimg.stages.segment import segment


def masks(scene, frame, **boxes):
    """Regions with the names given, at index boxes; a name that begins with `organ` is one."""
    labels = np.zeros(scene.shape, dtype=np.int32)
    regions = []
    for number, (name, box) in enumerate(boxes.items(), start=1):
        labels[box] = number
        organ = name.startswith("organ")
        role = RegionRole.REFERENCE if organ else RegionRole.LESION
        regions.append(Region(number, name, role, tracking_uid=f"2.25.{frame}.{number}"))
    return LesionSet(labels, scene.grid(frame), tuple(regions), origin=frame)


LEFT = (slice(3, 7), slice(3, 8), slice(3, 8))
LEFT_MOVED = (slice(3, 7), slice(4, 9), slice(3, 8))
RIGHT = (slice(3, 7), slice(3, 8), slice(16, 21))
ORGAN = (slice(3, 7), slice(12, 18), slice(3, 21))


def test_lesions_of_two_series_are_matched_and_keep_their_identity(scene) -> None:
    before = masks(scene, "pre", a=LEFT, organ=ORGAN)
    on_pet = masks(scene, "pet", x=LEFT_MOVED, y=RIGHT, organ=ORGAN)
    study = scene.study(regions=[before, on_pet])
    result = segment(study, {}, scene.config, registrations=scene.registrations())
    found = result.value.matches
    # Ids 1, 2 were taken by the first mask, so those of the second rose by 2.
    assert [(m.first, m.second, m.kind, m.by) for m in found] == [
        ((1,), (3,), "same", "overlap"),
        ((), (4,), "new", ""),
    ]
    assert (found[0].first_series, found[0].second_series) == ("mr_pre", "pet")
    # Four of five rows of 3 mm are shared, although one lesion took the shared voxels.
    assert abs(found[0].dice - 0.8) < 1e-6
    assert abs(found[0].distance_mm - 3.0) < 1e-6
    uids = {r.id: r.tracking_uid for r in result.value.lesions.regions}
    assert (uids[1], uids[3]) == ("2.25.pre.1", "2.25.pet.1")
    said = [f for f in result.findings if f.code == "I_LESIONS_MATCHED"]
    assert len(said) == 1
    assert "1 the same, 1 new" in said[0].text
    case = Case(study, lesions=result.value.lesions, lesion_matches=found)
    rows = list(csv.DictReader(io.StringIO(lesion_matches_csv(case))))
    assert (rows[0]["first_names"], rows[0]["second_names"]) == ("a", "x")
    assert rows[0]["second_tracking_uids"] == "2.25.pet.1"
    assert (rows[1]["first_ids"], rows[1]["kind"], rows[1]["dice"]) == ("", "new", "")


def test_two_masks_of_one_series_are_not_matched(scene) -> None:
    study = scene.study(regions=[masks(scene, "pre", a=LEFT), masks(scene, "pre", b=RIGHT)])
    result = segment(study, {}, scene.config, registrations=scene.registrations())
    assert result.value.matches == ()


def test_the_limits_of_the_settings_are_used(scene) -> None:
    one = DrawnLesions("mr_pre", masks(scene, "pre", a=LEFT).labels, {1: 1})
    other = replace(one, series="pet", labels=masks(scene, "pre", a=LEFT_MOVED).labels, ids={1: 9})
    # 80 % of each is shared.
    assert match_drawn([one, other], scene.spacing, MatchingConfig())[0][0].by == "overlap"
    near = match_drawn([one, other], scene.spacing, MatchingConfig(0.9, 4.0))[0]
    assert [m.by for m in near] == ["distance"]
    far = match_drawn([one, other], scene.spacing, MatchingConfig(0.9, 2.0))[0]
    assert [m.kind for m in far] == ["gone", "new"]
    assert match_drawn([one], scene.spacing, MatchingConfig()) == ((), ())
