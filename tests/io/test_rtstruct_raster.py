"""Contours to voxels: volumes from geometry, planes, gaps, holes and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import EprimgError
from eprimg.io.rtstruct_file import Contour, Outline
from eprimg.io.rtstruct_raster import lies_in_slices, rasterise
from eprimg.model.grid import Grid
from tests.io.rtstruct_factory import FRAME, GRID, box, circle

VOXEL_ML = 3.0 * 2.5 * 2.0 / 1000.0


def outline(*contours, kinds="CLOSED_PLANAR", slab_mm=None):
    kinds = [kinds] * len(contours) if isinstance(kinds, str) else kinds
    made = [Contour(k, np.asarray(c), slab_mm) for c, k in zip(contours, kinds, strict=True)]
    return Outline(1, "GTV", FRAME, contours=tuple(made))


def voxels(drawn, own=True, fill=False, grid=GRID):
    return rasterise(drawn, grid, own_series=own, fill_gaps=fill, where="GTV in x", on="pet")


def full(found, grid=GRID):
    mask = np.zeros(grid.shape, dtype=bool)
    place = tuple(slice(c, c + n) for c, n in zip(found.corner, found.voxels.shape, strict=True))
    mask[place] = found.voxels
    return mask


def codes(found):
    return [code for code, _ in found.notes]


def refused(code, *args, **kwargs):
    with pytest.raises(EprimgError) as caught:
        voxels(*args, **kwargs)
    assert caught.value.code == code
    return caught.value.message


def test_boxes_on_voxel_borders_give_exactly_their_voxels():
    found = voxels(outline(*(box(k, (1.5, 3.5), (5.5, 10.5)) for k in (2, 3, 4))))
    expected = np.zeros(GRID.shape, dtype=bool)
    expected[2:5, 2:6, 4:11] = True
    np.testing.assert_array_equal(full(found), expected)
    assert found.outlined_ml == pytest.approx(3 * 4 * 7 * VOXEL_ML, rel=1e-6)
    assert found.outside_ml == 0.0
    assert found.notes == ()


def test_a_voxel_belongs_to_a_region_from_one_half_on():
    half = voxels(outline(box(2, (1.5, 3.5), (5.5, 8.0))))  # column 8 is half inside
    assert full(half)[2, 2:6, 4:9].all()
    assert half.voxels.sum() == 4 * 5
    less = voxels(outline(box(2, (1.5, 3.5), (5.5, 7.98))))
    assert less.voxels.sum() == 4 * 4


def test_a_cylinder_has_its_volume():
    """Circle of 12 mm in 4 slices of 3 mm: pi r^2 h = 5.429 mL (a 120-gon has 0.05 % less)."""
    found = voxels(outline(*(circle(k) for k in range(2, 6))))
    exact = np.pi * 12.0**2 * 12.0 / 1000.0
    assert found.outlined_ml == pytest.approx(exact, rel=1e-3)
    # whole voxels of 2.5 x 2 mm: a circle of 91 of them has a border of about 33
    assert found.voxels.sum() * VOXEL_ML == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("kinds", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_holes_are_holes_and_undeclared_ones_are_told(kinds):
    ring = voxels(outline(circle(2), circle(2, radius_mm=7.0), kinds=kinds))
    assert ring.outlined_ml == pytest.approx(np.pi * (144 - 49) * 3 / 1000, rel=2e-3)
    assert not full(ring)[2, 10, 12]
    assert codes(ring) == (["W_RT_HOLE"] if kinds == "CLOSED_PLANAR" else [])


def test_two_islands_of_one_plane_are_both_kept():
    two = voxels(outline(box(2, (1.5, 1.5), (3.5, 3.5)), box(2, (1.5, 3.5), (3.5, 6.5))))
    assert two.voxels.sum() == 2 * 2 + 2 * 3  # they touch along a line
    assert two.notes == ()


def test_contours_that_cross_need_a_type_that_says_how_they_are_meant():
    crossing = (box(2, (1.5, 1.5), (5.5, 6.5)), box(2, (3.5, 3.5), (8.5, 9.5)))
    assert "cross each other" in refused("E_RT_CONTOUR", outline(*crossing))
    meant = voxels(outline(*crossing, kinds="CLOSEDPLANAR_XOR"))
    assert meant.voxels.sum() == 4 * 5 + 5 * 6 - 2 * (2 * 3)  # shared: rows 4, 5, columns 4 to 6


def test_copies_and_contours_without_an_area_are_left_out_and_told():
    a = box(2, (1.5, 1.5), (3.5, 3.5))
    found = voxels(outline(a, np.roll(a, 1, axis=0)[::-1], a[:2], np.repeat(a[:1], 5, axis=0)))
    assert found.voxels.sum() == 4
    assert codes(found) == ["W_RT_CONTOUR", "W_RT_CONTOUR"]
    assert found.notes[0][1].startswith("2 contours without an area")
    refused("E_RT_CONTOUR", outline(a[:2]))


@pytest.mark.parametrize("kind", ["POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", ""])
def test_open_contours_enclose_nothing(kind):
    drawn = outline(circle(2), circle(3), kinds=["CLOSED_PLANAR", kind])
    assert "enclose no volume" in refused("E_RT_CONTOUR", drawn)


def test_contours_that_are_not_flat_or_lie_across_the_slices():
    wavy = circle(2)
    wavy[::2] += (0.0, 0.0, 1.4)
    assert "not flat" in refused("E_RT_CONTOUR", outline(wavy))
    # a circle in a plane that holds the slice axis
    angle = 2 * np.pi * np.arange(50) / 50
    upright = GRID.center_lps_mm + 6 * (
        np.outer(np.cos(angle), [0, 0, 1]) + np.outer(np.sin(angle), [0.96, 0.28, 0])
    )
    assert "across the slices of pet" in refused("E_RT_PLANE", outline(upright))
    assert not lies_in_slices(outline(upright), GRID)
    assert lies_in_slices(outline(circle(2)), GRID)


def test_gaps_stay_empty_or_are_filled_and_both_is_told():
    drawn = outline(*(circle(k, radius_mm=r) for k, r in ((1, 8.0), (2, 8.0), (4, 12.0))))
    empty = voxels(drawn)
    assert not full(empty)[3].any()
    assert codes(empty) == ["W_RT_GAP"]
    assert "left empty" in empty.notes[0][1]
    assert "between 6.0 and 12.0 mm" in empty.notes[0][1]
    filled = voxels(drawn, fill=True)
    assert "interpolation" in filled.notes[0][1]
    radius = np.sqrt(full(filled)[3].sum() * 2.5 * 2.0 / np.pi)
    assert radius == pytest.approx(10.0, abs=0.5)  # half way between 8 and 12 mm
    np.testing.assert_array_equal(full(filled)[[1, 2, 4]], full(empty)[[1, 2, 4]])


def test_a_sparse_drawing_is_refused_unless_it_shall_be_filled():
    drawn = outline(*(circle(k) for k in (1, 3, 5)))
    assert "2 slices of pet apart" in refused("E_RT_GAP", drawn)
    filled = voxels(drawn, fill=True)
    assert [int(s.sum()) for s in full(filled)[1:6]] == [int(full(filled)[1].sum())] * 5


def test_contours_of_another_series_stand_for_slabs():
    """Planes 6 mm apart, half way between slices: together they cover 12 mm from 3.0 mm on."""
    drawn = outline(*(box(k, (1.5, 3.5), (5.5, 10.5)) for k in (1.5, 3.5)))
    found = voxels(drawn, own=False)
    expected = np.zeros(GRID.shape, dtype=bool)
    expected[1:5, 2:6, 4:11] = True  # slabs 0.5 to 2.5 and 2.5 to 4.5
    np.testing.assert_array_equal(full(found), expected)
    assert found.outlined_ml == pytest.approx(4 * 4 * 7 * VOXEL_ML, rel=1e-6)
    assert codes(found) == ["W_RT_PLANES"]
    assert "slab of 6 mm" in found.notes[0][1]


def test_thin_slabs_of_another_series_keep_their_volume():
    """Planes 1 mm apart from -1 to 10 mm: a box of 12 mm (slices are 3 mm)."""
    drawn = outline(*(box(k / 3, (1.5, 3.5), (5.5, 10.5)) for k in range(3, 15)))
    found = voxels(drawn, own=False)
    assert found.outlined_ml == pytest.approx(12 / 3 * 4 * 7 * VOXEL_ML, rel=1e-3)
    assert codes(found) == ["W_RT_PLANES"]
    assert found.voxels.sum() == 4 * 4 * 7  # slices 1.0 to 4.67 with 1/6 at both ends


def test_planes_much_closer_than_slices_are_no_holes_in_each_other():
    """Planes 1 mm apart on slices of 15 mm: a cone's contours lie inside each other."""
    affine = GRID.affine @ np.diag([5.0, 1.0, 1.0, 1.0])
    coarse = Grid(GRID.shape, affine, FRAME)
    drawn = outline(*(circle(2 + n / 15, radius_mm=8.0 + 0.2 * n, grid=coarse) for n in range(30)))
    found = voxels(drawn, own=False, grid=coarse)
    radii = 8.0 + 0.2 * np.arange(30)
    assert found.outlined_ml == pytest.approx(np.pi * (radii**2).sum() / 1000, rel=2e-3)
    assert codes(found) == ["W_RT_PLANES"]


def test_one_contour_between_slices_needs_a_thickness():
    drawn = box(2.5, (1.5, 3.5), (5.5, 10.5))
    assert "how thick" in refused("E_RT_CONTOUR", outline(drawn), own=False)
    found = voxels(outline(drawn, slab_mm=6.0), own=False)
    assert [int(n) for n in full(found).sum(axis=(1, 2))] == [0, 0, 28, 28, 0, 0, 0, 0]


def test_what_lies_outside_of_the_grid_is_counted():
    found = voxels(outline(*(box(k, (-4.5, 3.5), (3.5, 10.5)) for k in (-2, -1, 0, 1))))
    assert full(found).sum() == 2 * 4 * 7
    assert found.outlined_ml == pytest.approx(4 * 8 * 7 * VOXEL_ML, rel=1e-6)
    assert found.outside_ml == pytest.approx(0.75 * found.outlined_ml, rel=1e-6)
    away = voxels(outline(circle(2, centre=(80.0, 90.0))))
    assert away.voxels.sum() == 0
    assert away.outside_ml == pytest.approx(away.outlined_ml)
    far = circle(2) + np.array([0.0, 0.0, 3e6])
    assert voxels(outline(far)).voxels.sum() == 0
    refused("E_RT_CONTOUR", outline(circle(2), far), fill=True)
    refused("E_RT_CONTOUR", outline(circle(2, radius_mm=1e6)))


DISC = circle(3)
DISC_ML_PER_MM = np.pi * 12.0**2 / 1000.0
"""A circle of 12 mm (the default) encloses pi r^2; its 120-gon has 0.05 % less."""


@pytest.mark.parametrize(
    ("own", "slab_mm", "thick_mm", "said"),
    [
        # drawn on this series: the contour stands for its slice of 3 mm
        (True, None, 3.0, None),
        (True, 3.0, 3.0, None),
        (True, 1.0, 3.0, "is 1 mm"),
        # drawn on another one: as thick as the file says
        (False, 3.0, 3.0, None),
        (False, None, 3.0, "no thickness is given"),
        (False, 9.0, 9.0, "is 9 mm"),
        (False, 1.0, 1.0, "is 1 mm"),
    ],
)
def test_contours_in_one_plane_are_as_thick_as_is_said(own, slab_mm, thick_mm, said):
    found = voxels(outline(DISC, slab_mm=slab_mm), own=own)
    assert found.outlined_ml == pytest.approx(DISC_ML_PER_MM * thick_mm, rel=1e-3)
    # half of a slice has to be covered: 1 mm of 3 is less, 9 mm are three whole slices
    slices = {3.0: [3], 9.0: [2, 3, 4], 1.0: []}[thick_mm]
    assert np.flatnonzero(full(found).any(axis=(1, 2))).tolist() == slices
    assert codes(found) == ([] if said is None else ["W_RT_PLANES"])
    assert all(said in text for _, text in found.notes)


def test_the_thickness_of_one_plane_between_slices_is_not_called_a_distance():
    found = voxels(outline(circle(2.5), slab_mm=6.0), own=False)
    assert "(Contour Slab Thickness (3006,0044))" in found.notes[0][1]
    assert "usual distance" not in found.notes[0][1]
