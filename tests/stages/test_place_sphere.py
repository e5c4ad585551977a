"""Reference spheres on the tiny study: its boxes are the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.case import Case
from eprimg.stages.place_sphere import SPHERE, SphereRequest, place_sphere
from tests.stages.clicked_scene import clickable_case, inside_box, tiny_scene
from tests.stages.conftest import IDS, Scene

# The grid of the tiny study: index (k, j, i) lies at (3 i, 3 j, 4 k) mm; its boxes are in conftest.
LIVER = (13.5, 13.5, 20.0)
NEAR_THE_RIM = (6.0, 13.5, 20.0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """The tiny study, for the whole module: nothing here changes it."""
    return tiny_scene()


@pytest.fixture(scope="module")
def case(scene) -> Case:
    """With maps, without any region; PET lies 3 mm along x beside MR in its own frame."""
    return clickable_case(scene, pet_shift=(3.0, 0.0, 0.0))


def liver(scene) -> np.ndarray:
    return inside_box(scene, "liver")


@pytest.mark.parametrize("on", ["mr_post", "pet"])
def test_a_sphere_lies_inside_the_organ_of_the_series(scene, case, on) -> None:
    made = place_sphere(case, SphereRequest(on, NEAR_THE_RIM, 10.0), scene.config)
    assert made.mask.sum() > 8
    assert not (made.mask & ~liver(scene)).any()
    record = made.record
    assert record["method"] == SPHERE
    assert record["diameter_mm"] == 10.0
    assert record["moved_mm"] > 0  # clicked near the rim
    assert record["mad"] == 0  # every voxel of the box was painted alike
    assert record["seed_lps_mm"] == list(NEAR_THE_RIM)
    middle = scene.grid("pre").index_to_lps_mm(np.argwhere(made.on_reference).mean(axis=0))
    assert record["centre_lps_mm"] == pytest.approx(middle.tolist(), abs=1e-3)
    if on == "pet":
        # PET sees everything 3 mm further along x.
        shifted = np.subtract(record["centre_on_series_lps_mm"], record["centre_lps_mm"])
        assert shifted.tolist() == pytest.approx([3.0, 0.0, 0.0])
        # The reference grid sees it one voxel of 3 mm to the right.
        np.testing.assert_array_equal(made.on_reference, np.roll(made.mask, -1, axis=2))
        # 6000 Bq/mL over 74 MBq, decayed for 72 h, per 72 kg; half-life 282276 s.
        left = 74e6 * 0.5 ** (72 * 3600 / 282276.0)
        assert record["median"] == pytest.approx(6000.0 * 72000.0 / left, rel=1e-5)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (SphereRequest("mr_post", (-9.0, 0.0, 0.0), 10.0), "outside the field of view"),
        (SphereRequest("mr_post", LIVER, 30.0), "no sphere of 30 mm"),
    ],
)
def test_a_sphere_that_fits_nowhere_says_why(scene, case, request_, said) -> None:
    with pytest.raises(InputError, match=said) as caught:
        place_sphere(case, request_, scene.config)
    assert caught.value.code == "E_CLICK_REFUSED"
    assert caught.value.action


def test_other_regions_are_kept_off_and_its_own_is_not(scene, case) -> None:
    held = replace(case, lesions=scene.region_set())
    ask = SphereRequest("mr_post", LIVER, 10.0)
    with pytest.raises(InputError, match="free of other regions"):
        place_sphere(held, ask, scene.config)  # the mask of the liver itself is in the way
    made = place_sphere(held, ask, scene.config, instead_of=IDS["liver"])
    assert not (made.mask & ~liver(scene)).any()
    with pytest.raises(InputError, match="lesion lies there"):
        place_sphere(held, SphereRequest("mr_post", (30.0, 42.0, 24.0), 10.0), scene.config)
    with pytest.raises(InputError) as caught:
        place_sphere(held, SphereRequest("mr_post", LIVER, 0.0), scene.config)
    assert caught.value.code == "E_ARGUMENT"
