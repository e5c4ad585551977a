"""Masks on both series: Dice and centroid distance against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.transform import Registration, Transform, Verdict
from eprimg.stages.given_masks import compare_masks, mask_figures, named_masks

CHECK = RigidSettings.from_mapping(load_profile("rigid-mi")).check
SHAPE = (10, 12, 14)


def grid(frame: str = "fixed", spacing_mm: float = 4.0) -> Grid:
    affine = np.eye(4)[[2, 1, 0, 3]] @ np.diag((spacing_mm,) * 3 + (1.0,))
    return Grid(SHAPE, affine, frame)


def block(first: int, last: int) -> np.ndarray:
    """A block of 4 x 4 voxels across and columns ``first`` to ``last`` - 1."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[3:7, 4:8, first:last] = True
    return mask


def shifted(x_mm: float) -> Transform:
    matrix = np.eye(4)
    matrix[0, 3] = x_mm
    return Transform(matrix, "fixed", "moving")


@pytest.mark.parametrize(
    ("x_mm", "dice", "apart_mm"),
    [
        # Columns 4-7 and 5-8: three of four in common, 2 * 3 / 8, one voxel of 4 mm apart.
        (0.0, 0.75, 4.0),
        # The transform takes column 4 to column 5: the same voxels.
        (4.0, 1.0, 0.0),
        # Columns 4-7 against 5-8 seen two columns the other way (3-6 + ...): 1 of 4 in common.
        (-8.0, 0.25, 12.0),
        (-40.0, 0.0, 44.0),
    ],
)
def test_dice_and_distance_by_hand(x_mm: float, dice: float, apart_mm: float) -> None:
    found = mask_figures(
        {"liver": block(4, 8), "only here": block(0, 2)},
        grid(),
        {"liver": block(5, 9), "only there": block(0, 2)},
        grid("moving"),
        shifted(x_mm),
    )
    assert set(found) == {"liver"}
    assert found["liver"] == pytest.approx((dice, apart_mm))


def test_an_empty_mask_has_no_figure() -> None:
    empty = {"liver": np.zeros(SHAPE, dtype=bool)}
    found = mask_figures({"liver": block(4, 8)}, grid(), empty, grid("moving"), shifted(0.0))
    assert np.isnan(found["liver"]).all()
    made = compare_masks(
        Registration("fixed", "moving", shifted(0.0), "test"),
        ({"liver": block(4, 8)}, grid()),
        (empty, grid("moving")),
        CHECK,
    )
    assert (dict(made.qc), made.doubts) == ({}, ())


@pytest.mark.parametrize(
    ("spacing_mm", "x_mm", "accepted", "verdict", "doubts"),
    [
        # 64 voxels of 8 mm edge: 32.8 mL; one voxel off in the drawing is no doubt.
        (8.0, 0.0, True, Verdict.PASS, 0),
        (8.0, -8.0, True, Verdict.REVIEW, 1),
        # 64 voxels of 4 mm edge: 4.1 mL, too small to doubt for its overlap (0.75); 4 mm apart.
        (4.0, 0.0, True, Verdict.PASS, 0),
        # The same 8 mm apart, which is too far for a structure of any size.
        (4.0, -4.0, True, Verdict.REVIEW, 1),
        # What is refused needs no doubt.
        (8.0, -8.0, False, Verdict.FAIL, 0),
    ],
)
def test_a_large_mask_that_is_missed_is_a_doubt(
    spacing_mm: float, x_mm: float, accepted: bool, verdict: Verdict, doubts: int
) -> None:
    made = compare_masks(
        Registration("fixed", "moving", shifted(x_mm), "test", accepted=accepted, note="why"),
        ({"liver": block(4, 8)}, grid(spacing_mm=spacing_mm)),
        ({"liver": block(5, 9)}, grid("moving", spacing_mm)),
        CHECK,
    )
    assert len(made.doubts) == doubts
    assert made.verdict == verdict
    # One column of four is missed by the header alone, two at -1 column: 2 * 2 / 8.
    columns = 3 + x_mm / spacing_mm
    assert made.qc["mask_dice_liver"] == pytest.approx(2 * columns / 8)
    assert made.qc["mask_centroids_liver_mm"] == pytest.approx(spacing_mm - x_mm)


@pytest.mark.parametrize(("x_mm", "doubts"), [(0.0, 0), (12.0, 1)])
def test_a_field_of_view_that_cuts_is_no_doubt(x_mm: float, doubts: int) -> None:
    """Columns 0-3 of 4 mm are all that the fixed series shows of columns 0-7 of the moving one."""
    affine = np.array(grid().affine)
    affine[0, 3] = -16.0
    there = Grid(SHAPE, affine, "moving")
    made = compare_masks(
        Registration("fixed", "moving", shifted(x_mm), "test"),
        ({"node": block(0, 4)}, grid()),
        ({"node": block(0, 8)}, there),
        CHECK,
    )
    # Fixed centroid at 6 mm, moving one at -16 + 14 = -2 mm.
    assert made.qc["mask_centroids_node_mm"] == pytest.approx(8.0 + x_mm)
    # Of what both show: columns 0-3 against 0-3, and 12 mm on against column 0 alone, 6 mm apart.
    assert made.qc["mask_dice_node"] == pytest.approx(1.0 if x_mm == 0.0 else 2 / 5)
    assert len(made.doubts) == doubts


def test_masks_belong_to_the_grid_they_were_drawn_on() -> None:
    labels = block(4, 8).astype(np.int16) * 3
    regions = (Region(3, "liver", RegionRole.REFERENCE),)
    sets = (LesionSet(labels, grid(), regions), LesionSet(labels, grid("moving"), regions))
    found = named_masks(sets, grid("moving"))
    assert list(found) == ["liver"]
    assert np.array_equal(found["liver"], block(4, 8))
    assert named_masks(sets, grid("elsewhere")) == {}
