from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from eprimg.errors import GeometryError, InputError
from eprimg.kernels import resample as kernel
from eprimg.kernels._resample_numba import interpolate
from eprimg.kernels.resample import claimed_box, resample_labels, resample_map

Array = np.ndarray[Any, Any]


def affine(scale: tuple[float, ...], shift: tuple[float, ...], angle: float = 0.0) -> Array:
    """Output index to input index: turn in the (j, i) plane, scale, shift."""
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(scale) @ turn
    matrix[:3, 3] = shift
    return matrix


def coordinates(matrix: Array, shape: tuple[int, ...]) -> Array:
    """Input index of every output voxel, shape (3, k, j, i)."""
    index = np.indices(shape).reshape(3, -1)
    return (matrix[:3, :3] @ index + matrix[:3, 3:]).reshape(3, *shape)


def reference(
    values: Array, matrix: Array, shape: tuple[int, ...], order: int, good: Array, erode: bool
) -> tuple[Array, Array]:
    """Scipy's interpolation, then clipping and validity voxel by voxel."""
    at = coordinates(matrix, shape)
    result = ndimage.map_coordinates(values, at, order=order, mode="mirror", output=np.float64)
    valid = np.zeros(shape, dtype=bool)
    for index in np.ndindex(shape):
        x = at[(slice(None), *index)]
        if np.any(x < -1e-4) or np.any(x > np.asarray(values.shape) - 1 + 1e-4):
            continue
        near, asked = [], []
        for position, n in zip(x, values.shape, strict=True):
            if abs(position - round(position)) <= 1e-4:
                near.append([round(position)])
                asked.append([round(position)])
            else:
                low = int(np.floor(position))
                near.append([low, low + 1])
                wide = range(low - 1, low + 3) if erode else range(low, low + 2)
                asked.append([p for p in wide if 0 <= p < n])
        valid[index] = all(good[p] for p in product(*asked))
        corners = [values[p] for p in product(*near)]
        if order == 3:
            result[index] = min(max(result[index], min(corners)), max(corners))
    result[~valid] = np.nan
    return result, valid


MATRICES = [
    affine((0.8, 0.7, 0.9), (0.3, 0.5, -0.6), 0.2),
    affine((1.3, 1.1, 0.5), (-0.2, 2.0, 0.1), -0.4),
    affine((1.0, 1.0, 0.5), (0.0, 1.0, 0.0)),
]


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("erode", [True, False])
def test_equals_scipy_with_clipping(matrix: Array, order: Any, erode: bool) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(100.0, 30.0, (7, 9, 8))
    good = np.ones(values.shape, dtype=bool)
    expected, valid = reference(values, matrix, (8, 10, 11), order, good, erode)
    found = resample_map(
        values, output_to_input=matrix, output_shape=(8, 10, 11), order=order, erode_valid=erode
    )
    np.testing.assert_array_equal(found.valid, valid)
    assert found.valid.any()
    np.testing.assert_allclose(found.values, expected, rtol=1e-10)


@pytest.mark.parametrize("erode", [True, False])
def test_validity_is_carried(erode: bool) -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(10.0, 1.0, (8, 9, 10))
    values[3, 4, 5] = np.nan
    mask = np.ones(values.shape, dtype=bool)
    mask[:, 0, :] = False
    good = mask & np.isfinite(values)
    for matrix in MATRICES:
        _, valid = reference(np.nan_to_num(values), matrix, (8, 10, 11), 1, good, erode)
        found = resample_map(
            values,
            output_to_input=matrix,
            output_shape=(8, 10, 11),
            valid=mask,
            erode_valid=erode,
        )
        np.testing.assert_array_equal(found.valid, valid)
        np.testing.assert_array_equal(np.isnan(found.values), ~valid)


def test_compiled_equals_plain_python() -> None:
    rng = np.random.default_rng(6)
    for order, erode, shape in ((3, True, (5, 6, 5)), (1, False, (1, 6, 5))):
        samples = rng.normal(0.0, 1.0, shape)
        good = rng.random(shape) > 0.1
        results = []
        for function in (interpolate, kernel._compiled_interpolation()):
            values, valid = np.full((4, 5, 4), np.nan), np.zeros((4, 5, 4), dtype=bool)
            shifts = np.zeros((0, 0, 0, 3), dtype=np.float32)
            function(samples, samples, good, MATRICES[0], shifts, order, erode, values, valid, 0, 4)
            results.append((values, valid))
        np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-13)
        np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identity_changes_neither_values_nor_validity(dtype: type) -> None:
    values = np.random.default_rng(8).normal(50.0, 20.0, (6, 7, 8)).astype(dtype)
    values[2, 3, 4] = np.nan
    found = resample_map(values, output_to_input=np.eye(4), output_shape=values.shape)
    assert found.values.dtype == dtype
    np.testing.assert_array_equal(found.valid, np.isfinite(values))
    np.testing.assert_allclose(found.values, values, rtol=1e-6)


def test_float32_stays_close_to_float64() -> None:
    values = np.random.default_rng(9).normal(100.0, 30.0, (7, 9, 8))
    double = resample_map(values, output_to_input=MATRICES[0], output_shape=(8, 10, 11))
    single = resample_map(
        values.astype(np.float32), output_to_input=MATRICES[0], output_shape=(8, 10, 11)
    )
    assert single.values.dtype == np.float32
    np.testing.assert_allclose(single.values, double.values, rtol=2e-5)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.floats(-3.0, 3.0)] * 3),
    st.floats(-50.0, 50.0),
    st.tuples(*[st.floats(0.4, 2.0)] * 3),
    st.tuples(*[st.floats(-2.0, 4.0)] * 3),
    st.sampled_from([1, 3]),
)
def test_linear_field_is_reproduced_by_linear_and_bounded_by_cubic(
    slope: tuple[float, ...],
    offset: float,
    scale: tuple[float, ...],
    shift: tuple[float, ...],
    order: Any,
) -> None:
    index = np.indices((8, 9, 7))
    values = offset + np.tensordot(slope, index, axes=1)
    matrix = affine(scale, shift, 0.3)
    found = resample_map(values, output_to_input=matrix, output_shape=(6, 6, 6), order=order)
    # The field of view has a tolerance of 1e-4 voxel, beyond which the border value holds.
    at = np.clip(coordinates(matrix, (6, 6, 6)), 0.0, np.reshape([7.0, 8.0, 6.0], (3, 1, 1, 1)))
    expected = offset + np.tensordot(slope, at, axes=1)
    inside = found.valid
    if order == 1:
        np.testing.assert_allclose(found.values[inside], expected[inside], atol=1e-8)
    elif inside.any():
        assert found.values[inside].min() >= values.min()
        assert found.values[inside].max() <= values.max()


def test_cubic_is_more_accurate_than_linear_on_a_smooth_map() -> None:
    def field(x: Array) -> Array:
        return np.sin(0.5 * x[0]) * np.cos(0.4 * x[1]) + 0.3 * np.sin(0.6 * x[2])

    values = field(np.indices((24, 24, 24)).astype(float))
    matrix = affine((0.9, 0.9, 0.9), (3.3, 4.4, 3.7), 0.05)
    expected = field(coordinates(matrix, (15, 15, 15)))
    error = {
        order: np.abs(
            resample_map(
                values,
                output_to_input=matrix,
                output_shape=(15, 15, 15),
                order=order,  # type: ignore[arg-type]
            ).values
            - expected
        ).mean()
        for order in (1, 3)
    }
    assert error[3] < 0.3 * error[1]
    assert error[3] < 5e-3


def test_failed_voxels_do_not_ring() -> None:
    values = np.full((9, 20, 20), 100.0)
    values[:, :, 12:] = 1e6  # a failed fit that left a huge number
    valid = values < 1e5
    found = resample_map(
        values,
        output_to_input=affine((1.0, 1.0, 0.5), (0.5, 0.5, 0.25)),
        output_shape=(8, 19, 39),
        valid=valid,
        erode_valid=False,
    )
    np.testing.assert_allclose(found.values[found.valid], 100.0, rtol=1e-9)
    assert found.valid[4, 9, 20]  # between voxels 10 and 11
    assert not found.valid[4, 9, 23]  # between voxels 11 and 12
    eroded = resample_map(
        values,
        output_to_input=affine((1.0, 1.0, 0.5), (0.5, 0.5, 0.25)),
        output_shape=(8, 19, 39),
        valid=valid,
    )
    assert not eroded.valid[4, 9, 20]
    assert eroded.valid[4, 9, 18]


def test_overshoot_at_an_edge_is_clipped() -> None:
    values = np.zeros((4, 4, 20))
    values[:, :, 10:] = 100.0
    matrix = affine((1.0, 1.0, 0.1), (0.0, 0.0, 5.0))
    found = resample_map(values, output_to_input=matrix, output_shape=(4, 4, 90))
    plain = ndimage.affine_transform(
        values, matrix, output_shape=(4, 4, 90), order=3, mode="mirror"
    )
    assert plain.max() > 105.0
    assert found.values.min() >= 0.0
    assert found.values.max() <= 100.0


def test_single_slice_reaches_half_a_slice() -> None:
    values = np.arange(20.0).reshape(1, 4, 5)
    for shift, inside in ((0.0, True), (0.5, True), (0.6, False)):
        found = resample_map(
            values, output_to_input=affine((1, 1, 1), (shift, 0, 0)), output_shape=(1, 4, 5)
        )
        assert found.valid.all() == inside
        if inside:
            np.testing.assert_allclose(found.values, values, atol=1e-12)


def test_outside_and_all_invalid_are_nan() -> None:
    values = np.ones((4, 4, 4), dtype=np.float32)
    far = resample_map(
        values, output_to_input=affine((1, 1, 1), (50, 0, 0)), output_shape=(4, 4, 4)
    )
    none = resample_map(values * np.nan, output_to_input=np.eye(4), output_shape=(4, 4, 4))
    for found in (far, none):
        assert not found.valid.any()
        assert np.isnan(found.values).all()
        assert found.values.dtype == np.float32


def ball(shape: tuple[int, ...], spacing: tuple[float, ...], centre: Any, radius: float) -> Array:
    """Voxels whose centre lies in a ball, in mm."""
    axes = [np.arange(n) * s - c for n, s, c in zip(shape, spacing, centre, strict=True)]
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    result: Array = k**2 + j**2 + i**2 <= radius**2
    return result


def dice(a: Array, b: Array) -> float:
    """Overlap of two masks."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_labels_of_balls_on_a_finer_grid() -> None:
    spacing, fine = (4.0, 2.0, 2.0), (2.0, 1.5, 1.5)
    shape = (24, 48, 48)
    labels = np.zeros(shape, dtype=np.uint8)
    balls = {3: ((30.0, 30.0, 30.0), 12.0), 7: ((60.0, 60.0, 55.0), 9.0)}
    for label, (centre, radius) in balls.items():
        labels[ball(shape, spacing, centre, radius)] = label
    matrix = np.diag([*np.divide(fine, spacing), 1.0])
    out_shape = (48, 64, 64)
    found = resample_labels(
        labels, output_to_input=matrix, output_shape=out_shape, input_spacing_mm=spacing
    )
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 3, 7}
    nearest = resample_labels(
        labels,
        output_to_input=matrix,
        output_shape=out_shape,
        input_spacing_mm=spacing,
        method="nearest",
    )
    for label, (centre, radius) in balls.items():
        truth = ball(out_shape, fine, centre, radius)
        assert dice(found == label, truth) > 0.93
        assert dice(found == label, truth) > dice(nearest == label, truth)


def brute_force_labels(
    labels: Array, matrix: Array, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> Array:
    """Signed distances over the whole padded volume, label by label."""
    padded = np.pad(labels, 4)
    at = coordinates(matrix, shape) + 4.0
    best = np.zeros(shape)
    result = np.zeros(shape, dtype=labels.dtype)
    for label in np.unique(labels[labels > 0]):
        signed = ndimage.distance_transform_edt(padded == label, sampling=spacing)
        signed -= ndimage.distance_transform_edt(padded != label, sampling=spacing)
        moved = ndimage.map_coordinates(signed, at, order=1, mode="constant", cval=-99.0)
        wins = moved > np.maximum(best, 1e-6)
        result[wins] = label
        best[wins] = moved[wins]
    return result


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_boxes_give_the_same_as_whole_volumes(angle: float) -> None:
    rng = np.random.default_rng(12)
    labels = np.zeros((14, 18, 16), dtype=np.int16)
    for label in range(1, 9):
        centre, radius = rng.uniform((0, 0, 0), (40, 36, 32)), rng.uniform(2.5, 9.0)
        labels[ball(labels.shape, (3.0, 2.0, 2.0), centre, radius)] = label
    matrix = affine((0.613, 0.91, 0.717), (-1.3, 0.4, 0.7), angle)
    shape = (25, 20, 24)
    found = resample_labels(
        labels, output_to_input=matrix, output_shape=shape, input_spacing_mm=(3.0, 2.0, 2.0)
    )
    expected = brute_force_labels(labels, matrix, shape, (3.0, 2.0, 2.0))
    assert (found != expected).mean() < 1e-4
    assert (found > 0).sum() > 300


@pytest.mark.parametrize("method", ["signed-distance", "nearest"])
def test_label_identity(method: Any) -> None:
    labels = np.random.default_rng(1).integers(0, 4, (5, 6, 7)).astype(np.uint16)
    found = resample_labels(
        labels,
        output_to_input=np.eye(4),
        output_shape=labels.shape,
        input_spacing_mm=(3.0, 1.0, 1.0),
        method=method,
    )
    np.testing.assert_array_equal(found, labels)
    assert found.dtype == labels.dtype


def test_seam_of_touching_labels_has_no_gap() -> None:
    labels = np.zeros((5, 5, 12), dtype=np.int32)
    labels[1:4, 1:4, 2:6] = 5
    labels[1:4, 1:4, 6:10] = 2
    # Twice as fine: every second output voxel lies exactly between two input voxels.
    found = resample_labels(
        labels,
        output_to_input=affine((1.0, 1.0, 0.5), (0.0, 0.0, 0.0)),
        output_shape=(5, 5, 23),
        input_spacing_mm=(1.0, 1.0, 1.0),
    )
    np.testing.assert_array_equal(found[2, 2, 4:11], 5)
    assert found[2, 2, 11] == 2  # the seam: lower label
    np.testing.assert_array_equal(found[2, 2, 12:19], 2)
    assert found[2, 2, 3] == 0
    assert found[2, 2, 19] == 0


def test_label_at_the_border_reaches_half_a_voxel() -> None:
    labels = np.ones((4, 4, 4), dtype=np.uint8)
    for method in ("signed-distance", "nearest"):
        found = resample_labels(
            labels,
            output_to_input=affine((0.25, 1.0, 1.0), (-1.0, 0.0, 0.0)),
            output_shape=(24, 4, 4),
            input_spacing_mm=(1.0, 1.0, 1.0),
            method=method,  # type: ignore[arg-type]
        )
        column = found[:, 1, 1]
        # Index (x + 1) * 4; the edges -0.5 and 3.5 are at 2 and 18.
        assert column[3:18].all()
        assert not column[:2].any()
        assert not column[19:].any()


def test_label_outside_the_output_and_empty_labels() -> None:
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    keywords: dict[str, Any] = {"output_shape": (3, 3, 3), "input_spacing_mm": (1.0, 1.0, 1.0)}
    assert not resample_labels(labels, output_to_input=np.eye(4), **keywords).any()
    labels[0, 0, 0] = 1
    far = affine((1, 1, 1), (50, 0, 0))
    assert not resample_labels(labels, output_to_input=far, **keywords).any()


def test_bad_arguments_are_refused() -> None:
    values, labels = np.ones((3, 3, 3)), np.ones((3, 3, 3), dtype=np.int16)
    good: dict[str, Any] = {"output_to_input": np.eye(4), "output_shape": (3, 3, 3)}
    with pytest.raises(InputError, match="order"):
        resample_map(values, **good, order=2)  # type: ignore[arg-type]
    with pytest.raises(GeometryError):
        resample_map(values[0], **good)
    with pytest.raises(GeometryError):
        resample_map(values, **good, valid=np.ones((2, 3, 3), dtype=bool))
    for matrix in (np.eye(3), np.zeros((4, 4)), np.full((4, 4), np.nan)):
        with pytest.raises(InputError, match="affine"):
            resample_map(values, output_to_input=matrix, output_shape=(3, 3, 3))
    with pytest.raises(InputError, match="shape"):
        resample_map(values, output_to_input=np.eye(4), output_shape=(3, 3))
    with pytest.raises(InputError, match="spacing"):
        resample_labels(labels, **good, input_spacing_mm=(1.0, 0.0, 1.0))
    with pytest.raises(InputError, match="not negative"):
        resample_labels(-labels, **good, input_spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="method"):
        resample_labels(
            labels,
            **good,
            input_spacing_mm=(1.0, 1.0, 1.0),
            method="gauss",  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("fine", [(2.0, 1.5, 1.5), (1.0, 1.0, 1.0), (4.0, 4.0, 4.0)])
@pytest.mark.parametrize("radius", [4.0, 6.5, 11.0])
def test_keep_volume_keeps_the_volume_of_small_balls(
    fine: tuple[float, ...], radius: float
) -> None:
    spacing, shape = (4.0, 1.5, 1.5), (15, 40, 40)
    centre = (29.0, 30.4, 28.7)
    labels = ball(shape, spacing, centre, radius).astype(np.uint8) * 9
    out_shape = tuple(int(60 / s) for s in fine)
    matrix = np.diag([*np.divide(fine, spacing), 1.0])
    matrix[:3, 3] = shift = (0.13, 0.21, -0.37)
    keywords: dict[str, Any] = {
        "output_to_input": matrix,
        "output_shape": out_shape,
        "input_spacing_mm": spacing,
    }
    volume = (labels > 0).sum() * np.prod(spacing)
    kept = resample_labels(labels, keep_volume=True, **keywords)
    plain = resample_labels(labels, **keywords)
    voxel = np.prod(fine)
    # Nearest count, give or take voxels of equal distance.
    assert abs((kept > 0).sum() * voxel - volume) <= 2.0 * voxel
    truth = ball(out_shape, fine, np.subtract(centre, np.multiply(shift, spacing)), radius)
    assert dice(kept > 0, truth) >= dice(plain > 0, truth) - 0.02


def test_keep_volume_at_the_border_identity_and_tiny_labels() -> None:
    labels = np.random.default_rng(1).integers(0, 4, (5, 6, 7)).astype(np.int16)
    same = resample_labels(
        labels,
        output_to_input=np.eye(4),
        output_shape=labels.shape,
        input_spacing_mm=(3.0, 1.0, 1.0),
        keep_volume=True,
    )
    np.testing.assert_array_equal(same, labels)
    # Half of the label lies outside the output: the other half keeps its size.
    labels = np.zeros((8, 8, 16), dtype=np.int16)
    labels[2:6, 2:6, 4:12] = 1
    half = resample_labels(
        labels,
        output_to_input=affine((1, 1, 1), (0, 0, 8)),
        output_shape=(8, 8, 8),
        input_spacing_mm=(1.0, 1.0, 1.0),
        keep_volume=True,
    )
    np.testing.assert_array_equal(half, labels[:, :, 8:])
    # One voxel on a grid three times as coarse does not vanish.
    tiny = np.zeros((9, 9, 9), dtype=np.int16)
    tiny[4, 4, 5] = 6
    coarse: dict[str, Any] = {
        "output_to_input": affine((3, 3, 3), (0, 0, 0)),
        "output_shape": (3, 3, 3),
        "input_spacing_mm": (1.0, 1.0, 1.0),
    }
    assert not resample_labels(tiny, **coarse).any()
    found = resample_labels(tiny, keep_volume=True, **coarse)
    assert np.argwhere(found == 6).tolist() == [[1, 1, 2]]


def test_a_tiny_label_is_not_spread_over_its_surroundings():
    # One voxel of 4 mm inside, carried to 3 mm: 2.4 voxels of volume, but only the voxel that lies
    # within it may be taken; 27 voxels of 4 mm (64 of 3 mm) do keep their volume.
    tiny = np.zeros((9, 9, 9), np.uint8)
    tiny[3:5, 4, 4] = 1
    large = np.zeros((9, 9, 9), np.uint8)
    large[3:6, 3:6, 3:6] = 1
    matrix = np.diag([0.75, 0.75, 0.75, 1.0])
    found = {}
    for name, labels in (("tiny", tiny), ("large", large)):
        for keep in (False, True):
            found[name, keep] = resample_labels(
                labels,
                output_to_input=matrix,
                output_shape=(12, 12, 12),
                input_spacing_mm=(4.0, 4.0, 4.0),
                keep_volume=keep,
            )
    assert np.array_equal(found["tiny", True], found["tiny", False])
    assert abs(int(found["large", True].sum()) - 64) <= 3


def test_a_window_holds_what_the_whole_holds_there() -> None:
    random = np.random.default_rng(4)
    labels = np.zeros((16, 18, 20), dtype=np.int32)
    for label in range(1, 7):
        corner = random.integers(0, 12, 3)
        labels[tuple(slice(c, c + 5) for c in corner)] = label
    matrix = np.eye(4)
    matrix[:3, 3] = (0.3, -1.2, 0.7)
    options = {
        "output_to_input": matrix,
        "output_shape": (17, 17, 19),
        "input_spacing_mm": (2.0, 1.5, 1.5),
        "keep_volume": True,
    }
    whole = resample_labels(labels, **options)
    boxes = {
        n: box for n, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None
    }
    window = (slice(3, 12), slice(0, 9), slice(5, 19))
    np.testing.assert_array_equal(
        resample_labels(labels, boxes=boxes, window=window, **options), whole[window]
    )
    for label, box in boxes.items():
        claim = claimed_box(box, output_to_input=matrix, output_shape=whole.shape)
        outside = whole == label
        outside[claim] = False
        assert not outside.any()


def test_a_stopped_resampling_says_so() -> None:
    heard: list[float] = []

    def stop(share: float) -> None:
        heard.append(share)
        if len(heard) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        resample_map(
            np.ones((4, 4, 4), np.float32),
            output_to_input=np.eye(4),
            output_shape=(4, 4, 4),
            progress=stop,
        )
    assert len(heard) == 3


def wave(low: Sequence[int], high: Sequence[int]) -> np.ndarray:
    """Shift of half a voxel along i that follows k, and of a third along k that follows j."""
    k, j, i = np.indices([b - a for a, b in zip(low, high, strict=True)]) + np.reshape(
        low, (3, 1, 1, 1)
    )
    return np.stack([0.3 * np.sin(0.5 * j), 0.0 * k, 0.5 * np.cos(0.4 * k) + 0.0 * i], axis=-1)


WAVE = kernel.Bend(wave, np.array([0.3, 0.0, 0.5]))


@pytest.mark.parametrize("order", [1, 3])
def test_a_bent_lattice_reads_where_the_shifts_lead(order: int) -> None:
    """A straight ramp is exact for both orders: the value is the index that was asked for."""
    k, j, i = np.indices((12, 14, 16), dtype=float)
    ramp = 2.0 * k - 3.0 * j + 5.0 * i
    moved = resample_map(
        ramp, output_to_input=np.eye(4), output_shape=ramp.shape, order=order, bend=WAVE
    )
    shift = wave((0, 0, 0), ramp.shape)
    expected = ramp + 2.0 * shift[..., 0] + 5.0 * shift[..., 2]
    inner = (slice(3, -3),) * 3
    # The cubic spline is mirrored at the border, so a ramp bends there; inside it decays fast.
    tolerance = 1e-6 if order == 1 else 0.15  # shifts are of single precision
    assert moved.valid[inner].all()
    np.testing.assert_allclose(moved.values[inner], expected[inner], atol=tolerance)


def test_bent_labels_follow_a_ball_and_keep_its_stretched_volume() -> None:
    k, j, i = np.indices((24, 24, 24), dtype=float)
    ball = ((k - 11) ** 2 + (j - 12) ** 2 + (i - 10) ** 2 <= 36).astype(np.int16)

    def stretch(low: Sequence[int], high: Sequence[int]) -> np.ndarray:
        """Output index x reads input 12 + (x - 12) / 1.25 along i: a ball 1.25 times as long."""
        index = np.indices([b - a for a, b in zip(low, high, strict=True)])[2] + low[2]
        shift = np.zeros((*index.shape, 3))
        shift[..., 2] = (12 + (index - 12) / 1.25) - index
        return shift

    bend = kernel.Bend(stretch, np.array([0.0, 0.0, 3.0]))
    moved = resample_labels(
        ball,
        output_to_input=np.eye(4),
        output_shape=ball.shape,
        input_spacing_mm=(1.0, 1.0, 1.0),
        keep_volume=True,
        bend=bend,
    )
    assert np.count_nonzero(moved) == pytest.approx(1.25 * np.count_nonzero(ball), rel=0.03)
    centre = np.argwhere(moved).mean(axis=0)
    assert centre == pytest.approx((11, 12, 12 + (10 - 12) * 1.25), abs=0.1)
    box = kernel.claimed_box(
        (slice(5, 18), slice(6, 19), slice(4, 17)),
        output_to_input=np.eye(4),
        output_shape=ball.shape,
        bend=bend,
    )
    assert box is not None
    outside = moved.copy()
    outside[box] = 0
    assert not outside.any()


@pytest.mark.parametrize("bend", [None, WAVE])
def test_nearest_takes_the_voxel_in_which_the_centre_lies(bend: kernel.Bend | None) -> None:
    """Against rounding by hand; a window holds what the whole holds there."""
    labels = np.random.default_rng(3).integers(0, 5, (10, 12, 14)).astype(np.int16)
    matrix = np.eye(4)
    matrix[:3, :3] = [[0.8, 0.1, 0.0], [-0.1, 0.9, 0.05], [0.0, -0.1, 1.1]]
    matrix[:3, 3] = (0.3, -1.2, 0.7)
    shape = (11, 13, 12)
    options = {"output_to_input": matrix, "output_shape": shape, "bend": bend, "method": "nearest"}
    spacing = {"input_spacing_mm": (2.0, 1.5, 1.5)}
    whole = resample_labels(labels, **options, **spacing)
    index = np.moveaxis(np.indices(shape, dtype=float), 0, -1) @ matrix[:3, :3].T + matrix[:3, 3]
    if bend is not None:
        index = index + wave((0, 0, 0), shape)
    near = np.floor(index + 0.5 + 1e-6).astype(int)
    inside = ((near >= 0) & (near < labels.shape)).all(axis=-1)
    expected = np.zeros(shape, dtype=int)
    expected[inside] = labels[tuple(near[inside].T)]
    np.testing.assert_array_equal(whole, expected)
    assert 0.3 < inside.mean() < 1.0
    boxes = {n: box for n, box in enumerate(ndimage.find_objects(labels), start=1) if box}
    window = (slice(2, 9), slice(3, 13), slice(0, 7))
    two = {n: boxes[n] for n in (2, 4)}
    found = resample_labels(labels, boxes=two, window=window, **options, **spacing)
    np.testing.assert_array_equal(found, np.where(np.isin(expected, (2, 4)), expected, 0)[window])


def test_labels_that_overlap_are_carried_from_their_own_masks() -> None:
    """Two boxes of which the labels show one whole: with its mask the other is carried whole."""
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2:8, 2:8, 5:11] = 2
    labels[2:8, 2:8, 2:8] = 1
    box = (slice(2, 8), slice(2, 8), slice(5, 11))
    matrix = np.eye(4)
    matrix[:3, 3] = 0.4
    options = {
        "output_to_input": matrix,
        "output_shape": labels.shape,
        "input_spacing_mm": (1.0, 1.0, 1.0),
        "keep_volume": True,
        "boxes": {2: box},
    }
    part = resample_labels(labels, **options)
    whole = resample_labels(labels, masks={2: np.ones((6, 6, 6), dtype=bool)}, **options)
    assert np.count_nonzero(part) < 0.6 * 6**3  # the half that the labels show
    alone = np.zeros_like(labels)
    alone[box] = 2
    np.testing.assert_array_equal(whole, resample_labels(alone, **options))
    assert np.count_nonzero(whole) > 0.9 * 6**3
