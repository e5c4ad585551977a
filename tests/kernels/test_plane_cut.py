"""Cuts against scipy's interpolation and against a ramp, which linear interpolation reproduces."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from eprimg.errors import GeometryError
from eprimg.kernels._plane_cut_numba import cut_points
from eprimg.kernels.plane_cut import cut_plane

ORIGIN, DOWN, RIGHT = (-0.8, 1.3, 0.2), (0.31, -0.11, 0.07), (0.05, 0.24, 0.19)
SHAPE = (17, 23)


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return np.random.default_rng(5).normal(10, 3, (5, 6, 7)).astype(np.float32)


def points(shift: tuple[float, ...] = (0.0, 0.0, 0.0)) -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return np.array(
        [
            o + s + d * rows + r * columns
            for o, s, d, r in zip(ORIGIN, shift, DOWN, RIGHT, strict=True)
        ]
    )


def scipy_cut(volume: np.ndarray, where: np.ndarray, good: np.ndarray | None = None) -> np.ndarray:
    """Interpolate values and weights with scipy, and divide."""
    good = np.isfinite(volume) if good is None else good & np.isfinite(volume)
    weight = ndimage.map_coordinates(good.astype(np.float64), where, order=1, mode="nearest")
    filled = np.where(good, volume, 0).astype(np.float64)
    total = ndimage.map_coordinates(filled, where, order=1, mode="nearest")
    size = np.array(volume.shape)[:, None, None]
    inside = ((where >= -0.5) & (where <= size - 0.5)).all(axis=0) & (weight > 0.5)
    return np.where(inside, total / np.where(inside, weight, 1), np.nan)


def cut(volume: np.ndarray, **more: object) -> np.ndarray:
    return cut_plane(volume, origin=ORIGIN, down=DOWN, right=RIGHT, shape=SHAPE, **more)  # type: ignore[arg-type]


def test_values_are_those_of_scipy(volume: np.ndarray) -> None:
    found = cut(volume)
    assert 50 < np.isfinite(found).sum() < found.size  # the plane leaves the volume
    np.testing.assert_allclose(found, scipy_cut(volume, points()), rtol=1e-5)


def test_voxels_without_a_value_are_left_out_by_their_weight(volume: np.ndarray) -> None:
    gaps = volume.copy()
    gaps[2, 3, :3] = np.nan
    gaps[3, 1, 2] = np.inf
    valid = np.random.default_rng(6).random(volume.shape) > 0.25
    for good in (None, valid):
        expected = scipy_cut(gaps, points(), good)
        assert np.isnan(expected).sum() > np.isnan(scipy_cut(volume, points())).sum()
        np.testing.assert_allclose(cut(gaps, valid=good), expected, rtol=1e-5)


def test_a_pile_of_planes_gives_the_greatest_value(volume: np.ndarray) -> None:
    step = (0.4, 0.3, -0.2)
    pile = [scipy_cut(volume, points(tuple(n * s for s in step))) for n in range(6)]
    found = cut(volume, step=step, steps=6)
    np.testing.assert_allclose(found, np.fmax.reduce(pile), rtol=1e-5)
    assert np.isfinite(found).sum() > np.isfinite(pile[0]).sum()


def test_negative_values_are_the_greatest_where_there_are_no_others() -> None:
    found = cut_plane(
        np.array([[[-5.0]], [[-3.0]]]),
        origin=(0, 0, 0),
        down=(0, 0, 0),
        right=(0, 0, 0),
        shape=(1, 1),
        step=(1, 0, 0),
        steps=2,
    )
    assert found.tolist() == [[-3.0]]


def test_shifts_bend_the_plane(volume: np.ndarray) -> None:
    shifts = np.random.default_rng(7).normal(0, 0.5, (*SHAPE, 3))
    expected = scipy_cut(volume, points() + np.moveaxis(shifts, -1, 0))
    np.testing.assert_allclose(cut(volume, shifts=shifts), expected, rtol=1e-5)


def test_a_part_of_a_volume_gives_what_the_whole_does(volume: np.ndarray) -> None:
    big = np.random.default_rng(8).normal(0, 1, (9, 10, 11))
    big[2:7, 3:9, 1:8] = volume
    start = np.array([2, 3, 1])
    ends = np.stack([-0.5 - start, np.array(big.shape) - 0.5 - start], axis=1)
    inner = {"down": DOWN, "right": RIGHT, "shape": (4, 5)}
    part = cut_plane(volume, origin=(1.0, 2.0, 1.0), ends=ends, **inner)  # type: ignore[arg-type]
    whole = cut_plane(big, origin=(3.0, 5.0, 2.0), **inner)  # type: ignore[arg-type]
    np.testing.assert_allclose(part, whole, rtol=1e-5)


def test_the_loop_is_the_same_without_the_compiler(volume: np.ndarray) -> None:
    result = np.full(SHAPE, np.nan)
    good = np.random.default_rng(9).random(volume.shape) > 0.2
    ends = np.array([(-0.5, n - 0.5) for n in volume.shape])
    path = np.array([ORIGIN, DOWN, RIGHT, (0.2, 0.0, 0.1)])
    cut_points(volume, good, ends, path, 2, np.zeros((0, 0, 3)), result)
    found = cut(volume, valid=good, step=(0.2, 0.0, 0.1), steps=2)
    np.testing.assert_allclose(found, result, rtol=1e-6)


@pytest.mark.parametrize(
    "more",
    [{"valid": np.ones((5, 6, 8), bool)}, {"shifts": np.zeros((3, 3, 3))}],
)
def test_arrays_that_do_not_fit_are_refused(volume: np.ndarray, more: dict[str, object]) -> None:
    with pytest.raises(GeometryError) as caught:
        cut(volume, **more)
    assert caught.value.code == "E_ARGUMENT"


def test_a_flat_array_is_refused() -> None:
    for values in (np.zeros((3, 3)), np.zeros((0, 3, 3))):
        with pytest.raises(GeometryError):
            cut(values)
