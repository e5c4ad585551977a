from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import GeometryError
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Study
from eprimg.model.transform import Transform
from eprimg.quantities import quantity
from eprimg.stages._carry_bend import inverse_of
from eprimg.stages._region_carrier import Carrier
from eprimg.stages.carry import (
    carry_labels,
    carry_map,
    carry_regions,
    output_to_input,
    reference_series,
    transform_to,
)
from eprimg.stages.region_voxels import RegionVoxels


def shifted(millimetres, start="a", end="b"):
    matrix = np.eye(4)
    matrix[:3, 3] = millimetres
    return Transform(matrix, start, end)


def test_reference_is_pre_then_post_then_pet(scene):
    pre = scene.mr_series(Role.MR_PRE, "pre")
    post = scene.mr_series(Role.MR_POST, "post")
    pet = scene.pet_series("pet")
    assert reference_series(scene.study(pet, post, pre)).key == "mr_pre"
    assert reference_series(scene.study(pet, post)).key == "mr_post"
    assert reference_series(scene.study(pet)).key == "pet"
    with pytest.raises(ValueError, match="E_NO_SERIES"):
        reference_series(Study("empty", ()))


def test_transform_to_needs_an_accepted_registration(scene):
    study = scene.study()
    post = study.find(Role.MR_POST)
    good, bad = scene.registration("mr_post"), scene.registration("mr_post", accepted=False)
    assert transform_to(study, (good,), post) is good.transform
    assert transform_to(study, (bad,), post) is None
    assert transform_to(study, (), post) is None
    identity = transform_to(study, (), study.find(Role.MR_PRE))
    np.testing.assert_array_equal(identity.matrix, np.eye(4))


def test_index_matrix_is_worked_out_by_hand(scene):
    # output voxel (k, j, i) lies at LPS (3 i, 3 j, 4 k); the transform adds (6, 0, 0) mm; the
    # input has 2 mm voxels and its first voxel at x = 2 mm: i_in = (3 i + 6 - 2) / 2 = 1.5 i + 2.
    out = scene.grid("a")
    source = scene.grid("b", spacing=(4.0, 3.0, 2.0), origin=(2.0, 0.0, 0.0))
    matrix = output_to_input(out, source, shifted((6.0, 0.0, 0.0)))
    np.testing.assert_allclose(matrix @ [3, 5, 4, 1], [3, 5, 8, 1], atol=1e-12)


def test_frames_must_join(scene):
    with pytest.raises(GeometryError) as caught:
        output_to_input(scene.grid("a"), scene.grid("c"), shifted((0, 0, 0)))
    assert caught.value.code == "E_FOR"


def test_a_map_and_its_labels_travel_alike(scene):
    values = scene.paint(1)
    native = QuantityMap(
        values,
        scene.grid("b"),
        quantity("r2star"),
        np.isfinite(values),
        "test.",
        standard_error=np.full(scene.shape, 2.0),
    )
    moved = carry_map(native, scene.grid("a"), shifted((6.0, 0.0, 0.0)), order=3)
    # output i reads input i + 2
    np.testing.assert_allclose(moved.values[:, :, :-2], values[:, :, 2:], rtol=1e-6)
    assert not moved.valid[:, :, -2:].any()
    np.testing.assert_allclose(moved.standard_error[:, :, :-2], 2.0)
    assert "resampled once" in moved.method
    assert "cubic B-spline" in moved.method
    labels = (values == 130.0).astype(np.int32) * 7
    carried = carry_labels(labels, scene.grid("b"), scene.grid("a"), shifted((6.0, 0.0, 0.0)))
    np.testing.assert_array_equal(carried[:, :, :-2], labels[:, :, 2:])


def test_a_map_without_any_error_carries_none(scene):
    values = scene.paint(1)
    native = QuantityMap(
        values,
        scene.grid("b"),
        quantity("r2star"),
        np.isfinite(values),
        "test.",
        standard_error=np.full(scene.shape, np.nan),
    )
    assert carry_map(native, scene.grid("a"), shifted((0, 0, 0)), order=1).standard_error is None


def test_a_segmentation_of_occupied_slices_is_copied_exactly(scene):
    labels = scene.region_set().labels[3:9]
    part = scene.grid("a", shape=(6, 20, 24), origin=(0.0, 0.0, 12.0))
    carried = carry_labels(labels, part, scene.grid("a"), shifted((0, 0, 0), "a", "a"))
    np.testing.assert_array_equal(carried[3:9], labels)
    assert not carried[:3].any()
    assert not carried[9:].any()


def test_a_carried_ball_keeps_its_volume(scene):
    """A ball of 17 mm on 4 x 1.45 x 1.45 mm, carried to 2 mm: plain distances keep 0.92 of it."""
    source = scene.grid("a", shape=(12, 24, 24), spacing=(4.0, 1.45, 1.45))
    target = scene.grid("b", shape=(24, 18, 18), spacing=(2.0, 2.0, 2.0))
    z, y, x = np.indices(source.shape)
    apart = (4.0 * (z - 5.6)) ** 2 + (1.45 * (y - 11.7)) ** 2 + (1.45 * (x - 11.4)) ** 2
    labels = (apart < 8.5**2).astype(np.int32) * 3
    drawn_ml = np.count_nonzero(labels) * source.voxel_volume_ml
    carried = carry_labels(labels, source, target, shifted((0, 0, 0), "b", "a"))
    assert np.count_nonzero(carried == 3) * target.voxel_volume_ml == pytest.approx(
        drawn_ml, rel=0.01
    )


def test_what_lies_outside_is_not_squeezed_into_the_field_of_view(scene):
    """The lesion of slices 4 to 7 on a grid that ends after slice 5: half of it, not all."""
    labels = scene.region_set(names=("lesion",)).labels
    half = scene.grid("b", shape=(12, 20, 24), origin=(0.5, 0.5, -24.0))
    carried = carry_labels(labels, scene.grid("a"), half, shifted((0, 0, 0), "b", "a"))
    assert np.count_nonzero(carried) == pytest.approx(50, abs=5)


def bent(millimetres, start="a", end="b"):
    """Shift with a bump of 5 mm along x in the middle of the scene."""
    lattice = Grid((9, 9, 9), np.diag([8.0, 8.0, 8.0, 1.0])[[2, 1, 0, 3]], start)
    index = np.moveaxis(np.indices(lattice.shape, dtype=float), 0, -1)
    vectors = np.zeros((9, 9, 9, 3))
    vectors[..., 0] = 5.0 * np.prod(np.sin(np.pi * index / 8) ** 2, axis=-1)
    matrix = shifted(millimetres).matrix
    return Transform(matrix, start, end, Displacement(vectors.astype(np.float32), lattice))


def test_maps_labels_and_counts_follow_a_bent_transform(scene):
    """Every route agrees with points that the transform itself moves."""
    transform = bent((6.0, 0.0, 0.0))
    source, target = scene.grid("b"), scene.grid("a")
    ramp = source.index_to_lps_mm(np.moveaxis(np.indices(scene.shape), 0, -1))[..., 0]
    native = QuantityMap(
        ramp, source, quantity("r2star"), np.ones(scene.shape, dtype=bool), "test."
    )
    moved = carry_map(native, target, transform, order=1)
    points = target.index_to_lps_mm(np.moveaxis(np.indices(scene.shape), 0, -1))
    there = transform.apply(points)
    assert np.abs(there[..., 0] - points[..., 0] - 6.0).max() > 3.0
    valid = moved.valid
    assert valid.mean() > 0.5
    np.testing.assert_allclose(moved.values[valid], there[valid][:, 0], atol=1e-3)
    labels = np.zeros(scene.shape, dtype=np.int32)
    middle = tuple(slice(n // 2 - 3, n // 2 + 3) for n in scene.shape)
    labels[middle] = 4
    carried = carry_labels(labels, source, target, transform)
    index = np.rint(source.lps_mm_to_index(there)).astype(int)
    inside = ((index >= 0) & (index < scene.shape)).all(axis=-1)
    nearest = np.zeros(scene.shape, dtype=np.int32)
    nearest[inside] = labels[tuple(index[inside].T)]
    both = np.count_nonzero((nearest > 0) & (carried > 0))
    dice = 2 * both / (np.count_nonzero(nearest) + np.count_nonzero(carried))
    assert dice > 0.9
    plain = carry_labels(labels, source, target, shifted((6.0, 0.0, 0.0)))
    assert np.count_nonzero(plain != carried) > 10


def test_the_way_back_is_found_once_per_field():
    transform = bent((6.0, 0.0, 0.0))
    assert inverse_of(transform) is inverse_of(transform)
    points = np.array([[30.0, 30.0, 30.0], [20.0, 40.0, 25.0]])
    back = inverse_of(transform).apply(transform.apply(points))
    np.testing.assert_allclose(back, points, atol=0.3)


def rotated(degrees, start="b", end="a"):
    """About the axis of the slices, with the middle of the scene in place."""
    angle, middle = np.deg2rad(degrees), np.array([34.5, 28.5, 22.0])
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle
    return Transform(matrix, start, end)


def tiled(scene):
    """Two organs that fill the field of view, and a sphere of 16 mm within one of them."""
    labels = np.full(scene.shape, 5, dtype=np.int32)
    labels[:, :, 12:] = 6
    k, j, i = np.indices(scene.shape)
    labels[(4.0 * (k - 6)) ** 2 + (3.0 * (j - 9)) ** 2 + (3.0 * (i - 5)) ** 2 < 64.0] = 7
    names = {5: "liver", 6: "stomach", 7: "blood"}
    regions = tuple(Region(n, name, RegionRole.REFERENCE) for n, name in names.items())
    return LesionSet(labels, scene.grid("a"), regions)


@pytest.mark.parametrize("bend", [False, True])
def test_organs_that_touch_still_touch_and_a_sphere_keeps_its_volume(scene, bend):
    regions = tiled(scene)
    transform = bent((0.0, 0.0, 0.0), "b", "a") if bend else rotated(7.0)
    fine = scene.grid("b", shape=(16, 30, 36), spacing=(3.0, 2.0, 2.0))
    labels, how = carry_regions(regions, fine, transform)
    assert how == {5: "nearest", 6: "nearest", 7: "signed-distance"}
    # By hand: the voxel of the source in which the centre of each voxel lies.
    points = transform.apply(fine.index_to_lps_mm(np.moveaxis(np.indices(fine.shape), 0, -1)))
    index = np.floor(regions.grid.lps_mm_to_index(points) + 0.5).astype(int)
    inside = ((index >= 0) & (index < regions.grid.shape)).all(axis=-1)
    expected = np.zeros(fine.shape, dtype=int)
    expected[inside] = regions.labels[tuple(index[inside].T)]
    far = (expected != 7) & (labels != 7)
    np.testing.assert_array_equal(labels[far], expected[far])
    right = inside & (index[..., 2] >= 12)
    assert not (labels[right] == 0).any()  # no gap where the two organs meet
    carried = np.count_nonzero(labels == 7) * fine.voxel_volume_ml
    if bend:  # stretched here: against the voxels whose centres lie in it
        drawn = np.count_nonzero(expected == 7) * fine.voxel_volume_ml
        assert carried == pytest.approx(drawn, rel=0.08)
    else:
        drawn = np.count_nonzero(regions.labels == 7) * regions.grid.voxel_volume_ml
        assert carried == pytest.approx(drawn, rel=0.02)
    assert carry_regions(regions, scene.grid("b"), shifted((3.0, 0.0, 0.0), "b", "a"))[1] == {
        5: "copied",
        6: "copied",
        7: "copied",
    }


def test_native_labels_hold_what_carrying_gives(scene):
    """The other route to a native grid, window by window: the same voxels and methods."""
    regions = tiled(scene)
    fine = scene.grid("b", shape=(16, 30, 36), spacing=(3.0, 2.0, 2.0))
    labels, how = carry_regions(regions, fine, rotated(7.0))
    carrier = Carrier(RegionVoxels(regions), fine, rotated(7.0))
    assert carrier.methods() == {str(n): method for n, method in how.items()}
    window = (slice(2, 9), slice(4, 27), slice(7, 30))
    np.testing.assert_array_equal(carrier.carry((5, 6, 7), window), labels[window])
