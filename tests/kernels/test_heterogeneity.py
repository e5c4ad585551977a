"""IBSI 1 digital phantom with its published values; closed forms of slabs and balls."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, stats

from eprimg.errors import InputError
from eprimg.kernels.heterogeneity import (
    histogram_statistics,
    hot_cold_fractions,
    penetration_profile,
    rim_distance,
)


@pytest.mark.real_data
def test_the_ibsi_phantom(real_data: Path) -> None:
    """Published: entropy 1.27, uniformity 0.512, mode 1 (its levels are the bins)."""
    nibabel = pytest.importorskip("nibabel")
    folder = real_data / "pet" / "ibsi1_digital_phantom"
    if not folder.is_dir():
        pytest.skip(f"no IBSI phantom at {folder}")
    values = np.asarray(nibabel.load(folder / "phantom.nii.gz").dataobj, dtype=np.float64)
    labels = np.asarray(nibabel.load(folder / "mask.nii.gz").dataobj)
    with (folder / "reference_values.csv").open(encoding="utf-8") as file:
        truth = {row["tag"]: row["reference"] for row in csv.DictReader(file)}
    found = histogram_statistics(values[labels > 0], bin_width=1.0, low=0.5)
    # A published tolerance of 0: exact to the digits that are printed.
    assert f"{found.entropy:.3g}" == truth["ih_entropy"]
    assert f"{found.uniformity:.3g}" == truth["ih_uniformity"]
    assert found.mode == float(truth["ih_mode"])
    assert found.n_bins - 1 == float(truth["ih_range"])


def test_entropy_is_that_of_scipy() -> None:
    x = np.random.default_rng(5).gamma(2.0, 3.0, 400)
    found = histogram_statistics(x, bin_width=0.7, low=0.0)
    counts = np.histogram(x, np.arange(0.0, x.max() + 0.7, 0.7))[0]
    assert found.entropy == pytest.approx(stats.entropy(counts, base=2))
    assert found.uniformity == pytest.approx(float(((counts / 400) ** 2).sum()))


def test_histograms_of_few_values() -> None:
    flat = histogram_statistics(np.full(9, 2.0), bin_width=0.5)
    assert (flat.entropy, flat.uniformity, flat.n_bins) == (0.0, 1.0, 1)
    # Four equal shares: 2 bits.
    four = histogram_statistics(np.array([0.0, 1.0, 2.0, 3.0, np.nan]), bin_width=1.0)
    assert (four.entropy, four.uniformity, four.n_voxels) == (2.0, 0.25, 4)


def test_hot_and_cold_parts() -> None:
    x = np.array([1.0, 4.0, 10.0, 10.0, 10.0, 10.0, 10.0, 16.0, 14.0, 40.0])
    # Median 10: above 15 are 16 and 40, below 5 are 1 and 4.
    assert hot_cold_fractions(x) == (0.2, 0.2)
    assert all(math.isnan(v) for v in hot_cold_fractions(-x))


def test_distance_in_a_slab_is_that_of_the_voxel_centres() -> None:
    inside = np.zeros((9, 3, 3), dtype=bool)
    inside[2:7] = True
    found = rim_distance(inside, (3.0, 1.0, 1.0))
    # Faces at 1.5 and 6.5 voxels: centres 0.5, 1.5, 2.5 voxels of 3 mm inside.
    np.testing.assert_allclose(found[:, 1, 1], [0, 0, 1.5, 4.5, 7.5, 4.5, 1.5, 0, 0])


def test_distance_in_a_ball_with_other_voxels() -> None:
    # A ball of 15 mm on voxels of 3 x 2 x 1 mm: distance is radius less distance from the middle.
    grid = np.indices((13, 19, 37)).astype(float)
    middle = np.sqrt(
        sum(((g - c) * h) ** 2 for g, c, h in zip(grid, (6, 9, 18), (3, 2, 1), strict=True))
    )
    inside = middle <= 15.0
    error = rim_distance(inside, (3.0, 2.0, 1.0))[inside] - (15.0 - middle[inside])
    # Within a voxel everywhere; steps of the grid are nearer than the ball, by less than half the
    # mean voxel size on average.
    assert np.abs(error).max() < 3.0
    assert -0.5 * (3.0 * 2.0 * 1.0) ** (1 / 3) < error.mean() < 0.0


def test_the_border_of_the_volume_is_no_rim() -> None:
    inside = np.ones((4, 3, 3), dtype=bool)
    assert np.isinf(rim_distance(inside, (1.0, 1.0, 1.0))).all()
    empty = penetration_profile(np.ones((4, 3, 3)), inside, (1.0, 1.0, 1.0), bin_mm=1.0)
    assert empty.mean.size == 0


def test_a_profile_that_is_known() -> None:
    inside = np.zeros((13, 6, 5), dtype=bool)
    inside[2:11] = True
    depth = rim_distance(inside, (2.0, 1.0, 1.0))
    values = np.where(inside, 50.0 - 3.0 * depth, 1e6)
    values[:, 0, 0] = np.nan
    valid = np.ones(inside.shape, dtype=bool)
    valid[:, 1, 1] = False
    found = penetration_profile(values, inside, (2.0, 1.0, 1.0), bin_mm=2.0, valid=valid)
    # Centres at 1, 3, 5, 7 mm on both sides and 9 mm in the middle; 28 of 30 voxels per plane.
    np.testing.assert_allclose(found.mean, 50.0 - 3.0 * np.array([1, 3, 5, 7, 9]))
    np.testing.assert_array_equal(found.n_voxels, [56, 56, 56, 56, 28])
    np.testing.assert_allclose(found.from_mm, [0, 2, 4, 6, 8])
    np.testing.assert_allclose(found.standard_error, 0.0, atol=1e-12)


def test_the_standard_error_is_that_of_scipy() -> None:
    random = np.random.default_rng(4)
    inside = np.zeros((8, 8, 8), dtype=bool)
    inside[1:7, 1:7, 1:7] = True
    values = random.normal(10.0, 2.0, inside.shape)
    found = penetration_profile(values, inside, (1.0, 1.0, 1.0), bin_mm=1.0)
    outermost = inside & ~ndimage.binary_erosion(inside)
    assert found.n_voxels[0] == outermost.sum()
    assert found.mean[0] == pytest.approx(values[outermost].mean())
    assert found.standard_error[0] == pytest.approx(stats.sem(values[outermost]))


def test_what_makes_no_sense_is_refused() -> None:
    ones = np.ones((3, 3, 3))
    inside = ones > 0
    for call in (
        lambda: histogram_statistics(ones * np.nan, bin_width=1.0),
        lambda: histogram_statistics(ones, bin_width=0.0),
        lambda: histogram_statistics(ones, bin_width=1.0, low=2.0),
        lambda: hot_cold_fractions(ones, part=1.0),
        lambda: rim_distance(inside, (1.0, 0.0, 1.0)),
        lambda: rim_distance(inside[0], (1.0, 1.0, 1.0)),
        lambda: penetration_profile(ones, inside, (1.0, 1.0, 1.0), bin_mm=math.nan),
        lambda: penetration_profile(ones[:2], inside, (1.0, 1.0, 1.0), bin_mm=1.0),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"
