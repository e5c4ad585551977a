"""Letters and sides are proved with objects at known places, never with the code's own words."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.report.planes import (
    VIEWS,
    axis_letter,
    bounds_mm,
    make_plane,
    project_maximum,
    sample_plane,
)

FRAME = "1.2.840.1"

# DICOM PS3.3 C.7.6.2.1.1: x increases to the left, y to the posterior, z to the head.
LPS = {
    "L": (1, 0, 0),
    "R": (-1, 0, 0),
    "P": (0, 1, 0),
    "A": (0, -1, 0),
    "S": (0, 0, 1),
    "I": (0, 0, -1),
}


def oblique_grid(frame: str = FRAME) -> Grid:
    a, b = np.radians(20), np.radians(-15)
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    axes = (turn_y @ turn_x) @ np.array([[0, 0, 1.0], [0, 1, 0], [1, 0, 0]])
    shape, spacing = (40, 90, 100), np.array([4.0, 1.7, 1.5])
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine, frame)


def ball(grid: Grid, centre: tuple[float, float, float], radius: float = 8.0) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    distance = np.linalg.norm(grid.index_to_lps_mm(index) - np.array(centre), axis=-1)
    return (distance <= radius).astype(np.float32)


@pytest.mark.parametrize("letter", LPS)
def test_letters_follow_the_dicom_axes(letter: str) -> None:
    assert axis_letter(LPS[letter]) == letter


@pytest.mark.parametrize(
    ("view", "letters"),
    [
        # Radiological convention: seen from the feet; front and back seen from the front;
        # side view with the face to the left.
        ("axial", ("R", "L", "A", "P")),
        ("coronal", ("R", "L", "S", "I")),
        ("sagittal", ("A", "P", "S", "I")),
    ],
)
def test_edge_letters_are_radiological(view: str, letters: tuple[str, ...]) -> None:
    assert tuple(make_plane(view, (0, 0, 0), frame_of_reference=FRAME).letters) == letters


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("letter", LPS)
def test_an_object_lies_at_the_edge_that_bears_its_letter(view: str, letter: str) -> None:
    grid = oblique_grid()
    plane = make_plane(view, (0, 0, 0), frame_of_reference=FRAME, width_mm=120, height_mm=120)
    cut = sample_plane(ball(grid, tuple(30 * np.array(LPS[letter]))), grid, plane)
    found = np.argwhere(cut > 0.5)
    if letter not in plane.letters:
        assert len(found) == 0
        return
    row, column = found.mean(axis=0)
    middle = (np.array(plane.shape) - 1) / 2
    expected = {
        plane.letters.left: (0, -30),
        plane.letters.right: (0, 30),
        plane.letters.top: (-30, 0),
        plane.letters.bottom: (30, 0),
    }[letter]
    # 30 pixels of 1 mm, within one voxel of the anisotropic grid.
    np.testing.assert_allclose((row, column) - middle, expected, atol=2.0)


@pytest.mark.parametrize("view", VIEWS)
def test_the_asymmetric_volume_is_not_mirrored(view: str) -> None:
    """A linear ramp in patient coordinates is reproduced exactly by linear interpolation."""
    grid = oblique_grid()
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    x, y, z = np.moveaxis(grid.index_to_lps_mm(index), -1, 0)
    ramp = 1.0 * x + 10.0 * y + 100.0 * z
    plane = make_plane(view, (3, -4, 5), frame_of_reference=FRAME, width_mm=40, height_mm=30)
    px, py, pz = np.moveaxis(plane.points_mm(), -1, 0)
    np.testing.assert_allclose(sample_plane(ramp, grid, plane), px + 10 * py + 100 * pz, atol=0.01)


def test_points_step_by_one_pixel_and_are_centred() -> None:
    plane = make_plane("axial", (10, 20, 30), frame_of_reference=FRAME, width_mm=5, height_mm=3)
    points = plane.points_mm()
    assert points.shape == (3, 5, 3)
    np.testing.assert_allclose(points[1, 2], (10, 20, 30))
    np.testing.assert_allclose(points[1, 3] - points[1, 2], (1, 0, 0))
    np.testing.assert_allclose(points[2, 2] - points[1, 2], (0, 1, 0))
    assert plane.extent_mm == (-2.5, 2.5, 1.5, -1.5)
    assert plane.locate((13, 22, 99)) == (3.0, 2.0)


def test_a_transform_moves_the_plane_into_the_other_frame() -> None:
    grid = oblique_grid("9.9")
    shift = np.eye(4)
    shift[:3, 3] = (12, 0, 0)
    to_grid = Transform(shift, FRAME, "9.9")
    plane = make_plane("axial", (0, 0, 0), frame_of_reference=FRAME, width_mm=90, height_mm=90)
    # An object at +20 mm in the other frame lies at +8 mm here.
    cut = sample_plane(ball(grid, (20, 0, 0)), grid, plane, transform=to_grid)
    column = np.argwhere(cut > 0.5)[:, 1].mean() - 44.5
    assert column == pytest.approx(8.0, abs=1.5)


def test_frames_that_do_not_join_are_refused() -> None:
    plane = make_plane("axial", (0, 0, 0), frame_of_reference=FRAME)
    other = oblique_grid("9.9")
    with pytest.raises(GeometryError) as caught:
        sample_plane(np.zeros(other.shape), other, plane)
    assert caught.value.code == "E_FOR"
    with pytest.raises(GeometryError):
        sample_plane(
            np.zeros(other.shape), other, plane, transform=Transform.identity("7.7", "9.9")
        )


def test_outside_the_grid_and_invalid_voxels_are_nan() -> None:
    grid = oblique_grid()
    valid = np.ones(grid.shape, dtype=bool)
    valid[ball(grid, (0, 0, 0), 15) > 0] = False
    ones = np.where(valid, 1.0, np.nan)
    plane = make_plane("axial", (0, 0, 0), frame_of_reference=FRAME, width_mm=600, height_mm=600)
    cut = sample_plane(ones, grid, plane, valid=valid)
    assert np.isnan(cut[300, 300])
    assert np.isnan(cut[0, 0])
    assert np.nanmin(cut) == np.nanmax(cut) == 1.0
    away = make_plane("axial", (0, 0, 5000), frame_of_reference=FRAME)
    assert np.isnan(sample_plane(ones, grid, away)).all()


def test_the_projection_shows_what_lies_before_and_behind() -> None:
    grid = oblique_grid()
    values = ball(grid, (-20, -30, 0)) + ball(grid, (25, 30, 10))
    plane = make_plane("coronal", (0, 0, 0), frame_of_reference=FRAME, width_mm=100, height_mm=100)
    assert np.nanmax(sample_plane(values, grid, plane)) == 0
    shown = project_maximum(values, grid, plane, depth_mm=100, step_mm=2)
    assert shown[50, 30] > 0.9
    assert shown[40, 75] > 0.9


def test_the_projection_is_the_maximum_of_its_cuts() -> None:
    grid = oblique_grid()
    values = np.random.default_rng(2).normal(-5, 1, grid.shape).astype(np.float32)
    plane = make_plane("sagittal", (3, 2, 1), frame_of_reference=FRAME, width_mm=40, height_mm=30)
    # 80 mm in steps of 2 mm are 40 cuts, the first ones 1 mm from the middle to either side.
    offsets = [n - 39.0 for n in range(0, 79, 2)]
    cuts = [sample_plane(values, grid, plane, offset_mm=offset) for offset in offsets]
    found = project_maximum(values, grid, plane, depth_mm=80, step_mm=2)
    assert np.isfinite(found).any()
    np.testing.assert_allclose(found, np.fmax.reduce(cuts), rtol=1e-6)


def test_a_bent_projection_is_the_maximum_of_its_bent_cuts() -> None:
    grid = oblique_grid("9.9")
    draw = np.random.default_rng(4)
    low = np.diag([80.0, 80.0, 80.0, 1.0])
    low[:3, 3] = -120.0
    field = draw.normal(0, 6, (4, 4, 4, 3)).astype(np.float32)
    bent = Transform(np.eye(4), FRAME, "9.9", Displacement(field, Grid((4, 4, 4), low, FRAME)))
    values = draw.normal(-5, 1, grid.shape).astype(np.float32)
    plane = make_plane("axial", (0, 0, 0), frame_of_reference=FRAME, width_mm=20, height_mm=20)
    cuts = [
        sample_plane(values, grid, plane, transform=bent, offset_mm=offset)
        for offset in (-4.0, 0.0, 4.0)
    ]
    found = project_maximum(values, grid, plane, depth_mm=12, step_mm=4, transform=bent)
    assert np.isfinite(found).any()
    np.testing.assert_allclose(found, np.fmax.reduce(cuts), rtol=1e-6)


def test_bounds_are_taken_back_to_the_reference_frame() -> None:
    grid = Grid((2, 2, 2), np.diag([10.0, 10.0, 10.0, 1.0]), "9.9")
    shift = np.eye(4)
    shift[:3, 3] = (100, 0, 0)
    low, high = bounds_mm([(grid, Transform(shift, FRAME, "9.9"))])
    np.testing.assert_allclose(low, (-105, -5, -5))
    np.testing.assert_allclose(high, (-85, 15, 15))


def test_a_field_that_is_the_same_everywhere_is_a_shift() -> None:
    grid = oblique_grid("9.9")
    field = np.zeros((2, 2, 2, 3), dtype=np.float32)
    field[...] = (12, -5, 3)
    low = np.diag([400.0, 400.0, 400.0, 1.0])
    low[:3, 3] = -200.0
    whole = Displacement(field, Grid((2, 2, 2), low, FRAME))
    shift = np.eye(4)
    shift[:3, 3] = (12, -5, 3)
    plane = make_plane("coronal", (0, 0, 0), frame_of_reference=FRAME, width_mm=90, height_mm=90)
    values = ball(grid, (20, 0, 0))
    expected = sample_plane(values, grid, plane, transform=Transform(shift, FRAME, "9.9"))
    bent = Transform(np.eye(4), FRAME, "9.9", whole)
    found = sample_plane(values, grid, plane, transform=bent)
    assert np.nanmax(expected) > 0.9
    np.testing.assert_allclose(found, expected, atol=1e-5)
    low_corner, _ = bounds_mm([(grid, bent)])
    assert np.isfinite(low_corner).all()
