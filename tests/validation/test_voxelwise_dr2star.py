"""A small part of the page of voxel-wise ΔR2*: one study on large voxels; the page can say no.

Expected values: the scene file (`phantoms/eprimg_phantoms/scenes/abdomen.toml`), and the scene
painted without movement and fitted by the phantom's own least squares.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eprimg_phantoms.scene import load_scene
from tests.validation import voxelwise_dr2star as cases
from tests.validation.voxelwise_bias import BOUND_PER_S, bias, by_lesion, groups, judged
from tests.validation.voxelwise_dr2star import Made, Row
from tests.validation.voxelwise_dr2star_page import claims, page
from tests.validation.voxelwise_misled import Off

SHAPE, SPACING_MM = (36, 116, 116), (5.0, 3.2, 3.2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One study on voxels of 3.2 x 3.2 x 5 mm; lesions moved by 6 mm."""
    movement = cases.drawn_movement(3, 6.0)
    folder = tmp_path_factory.mktemp("voxelwise") / "study"
    return cases.make_study("6 mm", folder, movement, shape=SHAPE, spacing_mm=SPACING_MM)


@pytest.fixture(scope="module")
def rows(made: Made) -> list[Row]:
    """The stages after the registration; `tests/end_to_end` has the search for the transform."""
    return cases.rows_of(made, cases.placed(made))


def test_the_truth_is_that_of_the_scene_file(made: Made) -> None:
    truths = {t.name: t for t in made.truths}
    assert len(truths) == 16
    first = truths["lesion-1"]  # 37 mm in the liver: 276 - 170 of contrast
    assert (first.tissue, first.diameter_mm, first.contrast) == (170.0, 37.0, 106.0)
    # A voxel in the middle holds one tissue: its fit gives what the scene says.
    assert made.ideal[first.core] == pytest.approx(170.0, abs=1e-3)
    # Mixed voxels lie between the lesion and what is around it: brighter in the liver.
    assert 170.0 < first.ideal_mean < 276.0
    assert truths["lesion-3"].ideal_mean < truths["lesion-3"].tissue  # in the mesentery
    moved = [np.linalg.norm(t.moved_mm - t.centre_mm) for t in made.truths]
    assert 3.0 < min(moved) < max(moved) < 10.0


def test_cores_and_whole_masks_are_within_the_bound(rows: list[Row]) -> None:
    large = [r for r in rows if r.diameter_mm >= 17.0 and r.judged]
    assert len(large) >= 10
    # Without an error of the registration; the header's numbers round by a micrometre.
    assert max(r.apart_mm for r in rows) < 0.01
    for figure in ("core_mean", "mean"):
        found = bias(large, figure)
        assert found.ok, (figure, str(found))
    # 22 mm and more have 40 and more voxels of core, whose mean has an error of about 0.5 1/s.
    for row in large:
        if row.diameter_mm >= 22.0:
            assert abs(row.core_mean) <= BOUND_PER_S, row


def test_the_clipped_map_draws_the_mean_towards_the_organ(rows: list[Row]) -> None:
    bright, _ = groups(judged(rows))
    assert bias(bright, "map_mean").value > bias(bright, "mean").value + 1.0


def test_a_wrong_alignment_costs_and_the_page_says_so(made: Made, rows: list[Row]) -> None:
    wrong = cases.rows_of(made, cases.placed(made, (0.0, 4.0, 3.0)))
    bright, other = groups(judged(wrong))
    right, besides = groups(judged(rows))
    # 5 mm: the prototype's lesions lost 25 1/s in a liver of 171 1/s; here it changes by 276
    assert bias(bright, "mean").value > bias(right, "mean").value + 10.0
    assert bias(other, "mean").value < bias(besides, "mean").value
    assert all(r.apart_mm == pytest.approx(5.0, abs=0.02) for r in wrong)
    off = [Off(5.0, (0, 0, 1), "fail", r, b) for r, b in zip(wrong, rows, strict=True)]
    one = [o._replace(off_mm=1.0, verdict="pass") for o in off]
    text = page(rows, [], [*one, *off])
    assert "| 1 | 1 / 0 / 0 | +" in text
    assert "| 5 | 0 / 0 / 1 | +" in text
    assert "5 mm costs +" in text
    assert "nan" not in text.split("## By lesion")[0]
    assert [line.ok for line in claims(rows, one)][-1] is None


def test_a_wrong_transform_is_handed_over_as_help(made: Made) -> None:
    (help_,) = cases.given(made, (0.0, 4.0, 3.0)).help.transforms
    centre = made.truths[0].centre_mm
    gone = help_.transform.apply(centre[None])[0] - made.truths[0].moved_mm
    assert gone == pytest.approx([0.0, 4.0, 3.0], abs=1e-3)
    assert {help_.fixed, help_.moving} == {s.key for s in made.study.series}


def test_a_bias_breaks_the_bound() -> None:
    row = Row(
        "s",
        "lesion-1",
        "liver",
        bright_around=True,
        judged=True,
        shift_mm=5.0,
        apart_mm=0.1,
        mean=1.0,
        map_mean=1.0,
        median=1.0,
        native_mean=1.0,
        native_median=1.0,
        core_mean=1.0,
        core_median=1.0,
        blurred=0.0,
        rim_rmse=3.0,
    )
    good = [row, row._replace(lesion="lesion-2", mean=-1.0)]
    assert bias(good, "mean").value == 0.0
    # t(0.975, 1 degree of freedom) = 12.706 (tables), SD sqrt(2), two lesions
    assert bias(good, "mean").half == pytest.approx(12.706, abs=1e-3)
    assert all(line.ok for line in claims(good, []))
    for figure, count in (("mean", 1), ("median", 1), ("core_mean", 2)):
        bad = [Row(**{**r._asdict(), figure: 2.1}) for r in good]
        assert [line.ok for line in claims(bad, [])].count(False) == count
    assert by_lesion([row, row._replace(mean=5.0)], "mean") == {"lesion-1": 3.0}
    assert judged([row._replace(judged=False)]) == []


def test_the_scene_is_changed_where_it_should_be(tmp_path: Path) -> None:
    movement = cases.Movement((1.0, 2.0, 3.0), (0.5, 0.0, 0.0))
    file = cases.write_scene(tmp_path / "s.toml", movement, sigma=2.5)
    scene = load_scene(file)
    assert scene.mr["sigma"] == 2.5
    assert scene.sizes["small"].mr_shape == cases.SHAPE
    assert scene.sizes["full"].mr_shape == (60, 256, 256)
    assert scene.sessions["post"].motion.angle_deg == pytest.approx(0.5)
    assert scene.sessions["pre"].motion.angle_deg == 0.0
    # The turn is about x through the pivot of the scene (0, 20, 0): that point is only shifted.
    moved = scene.sessions["post"].motion.matrix @ [0.0, 20.0, 0.0, 1.0]
    assert moved[:3] == pytest.approx([1.0, 22.0, 3.0])
    with pytest.raises(ValueError, match="no nothing"):
        cases._with("a = 1", "nothing", 2)
