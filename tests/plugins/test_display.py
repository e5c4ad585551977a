"""The display grid puts voxels where they are in the patient.

Positions are written out by hand from the direction cosines (a 3-4-5 triangle), not computed by
the code under test.
"""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from napari_eprimg.view.display import display_grid, part_of, show_on, shown_box


def _place(target, index):
    return [o + n * s for o, n, s in zip(target.origin_mm, index, target.spacing_mm, strict=True)]


def test_an_axis_aligned_grid_is_only_turned() -> None:
    # k runs to inferior (-S), j to anterior (-P), i to left: voxel (k, j, i) lies at
    # L = -10 + 1.5 i, P = 20 - 2 j, S = -7 - 4 k.
    affine = [[0, 0, 1.5, -10], [0, -2, 0, 20], [-4, 0, 0, -7], [0, 0, 0, 1]]
    grid = Grid((3, 4, 5), np.array(affine, dtype=float), "1.2.3")
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    target = display_grid(grid)
    assert target.shape == (3, 4, 5)
    assert target.spacing_mm == pytest.approx((4, 2, 1.5))
    assert target.origin_mm == pytest.approx((-15, 14, -10))
    shown = show_on(values, grid, target, outside=np.nan)
    np.testing.assert_array_equal(shown, values[::-1, ::-1])
    # k = 2, j = 1, i = 3 lies at S = -15, P = 18, L = -5.5.
    index = tuple(np.argwhere(shown == values[2, 1, 3])[0])
    assert _place(target, index) == pytest.approx([-15, 18, -5.5])


def test_a_sagittal_series_keeps_its_patient_axes() -> None:
    # Slices run to left (3 mm), rows downwards (1 mm), columns to posterior (2 mm).
    affine = [[3, 0, 0, 5], [0, 0, 2, 6], [0, -1, 0, 7], [0, 0, 0, 1]]
    grid = Grid((2, 3, 4), np.array(affine, dtype=float), "1.2.3")
    labels = np.zeros((2, 3, 4), dtype=np.uint8)
    labels[1, 0, 3] = 7  # at L = 8, P = 12, S = 7
    target = display_grid(grid)
    assert (target.shape, target.spacing_mm) == ((3, 4, 2), pytest.approx((1, 2, 3)))
    shown = show_on(labels, grid, target, outside=0)
    assert shown.dtype == np.uint8
    (index,) = np.argwhere(shown == 7)
    assert _place(target, index) == pytest.approx([7, 12, 8])


def test_an_oblique_grid_shows_a_voxel_within_half_a_voxel_of_its_place() -> None:
    # Rotated about the L axis: k = (0, -0.6, 0.8), j = (0, 0.8, 0.6), i = (1, 0, 0) in (L, P, S).
    affine = [[0, 0, 1, 0], [-1.2, 0.8, 0, 10], [1.6, 0.6, 0, 100], [0, 0, 0, 1]]
    grid = Grid((12, 16, 8), np.array(affine, dtype=float), "1.2.3")
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[5:8, 4:7, 3:6] = 300  # centre voxel (6, 5, 4): L = 4, P = 10 - 7.2 + 4, S = 100 + 12.6
    target = display_grid(grid)
    shown = show_on(labels, grid, target, outside=0)
    assert set(np.unique(shown)) == {0, 300}
    centre = _place(target, np.argwhere(shown == 300).mean(axis=0))
    assert centre == pytest.approx([112.6, 6.8, 4.0], abs=0.5)
    # Every voxel centre of the source lies inside the shown field of view.
    for index in np.ndindex(2, 2, 2):
        corner = np.array(index) * (np.array(grid.shape) - 1)
        k, j, i = corner
        place = np.array([100 + 1.6 * k + 0.6 * j, 10 - 1.2 * k + 0.8 * j, 1.0 * i])
        where = (place - target.origin_mm) / target.spacing_mm
        assert (where > -0.01).all()
        assert (where < np.array(target.shape) - 0.99).all()


def test_what_was_not_measured_stays_nan_and_nothing_is_invented() -> None:
    affine = [[0, 0, 1, 0], [-1.2, 0.8, 0, 0], [1.6, 0.6, 0, 0], [0, 0, 0, 1]]
    grid = Grid((6, 7, 8), np.array(affine, dtype=float), "1.2.3")
    values = np.random.default_rng(1).normal(size=grid.shape).astype(np.float32)
    values[2, 3, 4] = np.nan
    shown = show_on(values, grid, display_grid(grid), outside=np.nan)
    assert set(shown[np.isfinite(shown)]) <= set(values[np.isfinite(values)])
    assert np.isnan(shown).any()


def test_a_transform_carries_values_into_the_frame_of_the_display() -> None:
    # In the source a point of the display frame lies 3 mm further left, 4 mm further up.
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    source = Grid((10, 10, 10), affine, "1.2")
    reference = Grid((10, 10, 10), affine, "1.1")
    shift = np.eye(4)
    shift[0, 3], shift[2, 3] = 3.0, 4.0
    values = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    shown = show_on(
        values,
        source,
        display_grid(reference),
        outside=np.nan,
        transform=Transform(shift, "1.1", "1.2"),
    )
    assert shown[1, 5, 2] == values[3, 5, 5]
    assert np.isnan(shown[8:]).all()
    assert np.isnan(shown[:, :, 7:]).all()
    assert np.isfinite(shown[:8, :, :7]).all()


def test_a_field_that_is_the_same_everywhere_carries_like_a_shift() -> None:
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    source, reference = Grid((10, 10, 10), affine, "1.2"), Grid((10, 10, 10), affine, "1.1")
    box = np.diag([100.0, 100.0, 100.0, 1.0])
    box[:3, 3] = -50.0
    vectors = np.zeros((2, 2, 2, 3), dtype=np.float32)
    vectors[...] = (3.0, 0.0, 4.0)
    bent = Transform(np.eye(4), "1.1", "1.2", Displacement(vectors, Grid((2, 2, 2), box, "1.1")))
    shift = np.eye(4)
    shift[0, 3], shift[2, 3] = 3.0, 4.0
    values = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    shown = [
        show_on(values, source, display_grid(reference), outside=np.nan, transform=way)
        for way in (bent, Transform(shift, "1.1", "1.2"))
    ]
    assert np.isfinite(shown[0]).sum() == 8 * 10 * 7
    np.testing.assert_array_equal(shown[0], shown[1])


def test_a_part_of_a_display_grid_shows_the_same_voxels() -> None:
    affine = [[0, 0, 1, 0], [-1.2, 0.8, 0, 10], [1.6, 0.6, 0, 100], [0, 0, 0, 1]]
    grid = Grid((12, 16, 8), np.array(affine, dtype=float), "1.2.3")
    values = np.random.default_rng(1).normal(size=grid.shape)
    target = display_grid(grid)
    whole = show_on(values, grid, target, outside=0)
    box = (slice(2, 9), slice(3, 11), slice(1, 6))
    np.testing.assert_array_equal(
        show_on(values, grid, part_of(target, box), outside=0), whole[box]
    )


def test_the_box_of_changed_voxels_holds_all_of_them() -> None:
    affine = [[0, 0, 1, 0], [-1.2, 0.8, 0, 10], [1.6, 0.6, 0, 100], [0, 0, 0, 1]]
    grid = Grid((12, 16, 8), np.array(affine, dtype=float), "1.2.3")
    target = display_grid(grid)
    labels = np.zeros(grid.shape, dtype=np.uint16)
    box = (slice(5, 8), slice(4, 7), slice(3, 6))
    labels[box] = 9
    shown = show_on(labels, grid, target, outside=0)
    found = shown_box(box, grid, target)
    assert (shown == 9).sum() == (shown[found] == 9).sum() > 0
    assert np.prod([s.stop - s.start for s in found]) < shown.size / 4
