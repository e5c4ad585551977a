from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.peak import (
    global_intensity_peak,
    local_intensity_peak,
    sphere_weights,
    suv_peak,
)

TRUTH = json.loads((Path(__file__).parents[1] / "truth" / "peak.json").read_text())

SPACINGS = [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (3.27, 2.73, 2.73), (5.0, 4.07, 4.07), (13.0, 20, 9)]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("diameter", [12.4, 20.0])
def test_weights_add_up_to_the_sphere(spacing: tuple[float, float, float], diameter: float) -> None:
    weights = sphere_weights(spacing, diameter_mm=diameter)
    volume = math.pi / 6.0 * diameter**3
    assert weights.sum() * math.prod(spacing) == pytest.approx(
        volume, rel=2e-4 if max(spacing) <= 6.0 else 1e-3
    )
    assert weights.min() >= 0.0
    assert weights.max() <= 1.0 + 1e-12
    np.testing.assert_allclose(weights, weights[::-1, ::-1, ::-1], atol=1e-12)


def test_weights_equal_counted_subvoxels() -> None:
    spacing, n = (4.0, 3.0, 2.0), 60
    weights = sphere_weights(spacing)
    ticks = (np.arange(n) + 0.5) / n - 0.5
    worst = 0.0
    centre = [m // 2 for m in weights.shape]
    for index in np.ndindex(weights.shape):
        k, j, i = ((o - c + ticks) * s for o, c, s in zip(index, centre, spacing, strict=True))
        inside = k[:, None, None] ** 2 + j[:, None] ** 2 + i**2 <= 6.2**2
        worst = max(worst, abs(weights[index] - inside.mean()))
    # Half of it belongs to the count: 60^3 points.
    assert worst < 2e-3


def test_twelve_point_four_millimetres_is_one_millilitre() -> None:
    weights = sphere_weights((2.0, 2.0, 2.0))
    assert weights.sum() * 8.0 / 1000.0 == pytest.approx(1.0, rel=0.002)


def brute_force(
    values: np.ndarray, labels: np.ndarray, label: int, weights: np.ndarray, usable: np.ndarray
) -> tuple[float, tuple[int, ...], float]:
    """Sum voxel by voxel around each voxel of the lesion."""
    reach = [n // 2 for n in weights.shape]
    best = (-math.inf, (-1, -1, -1), math.nan)
    for centre in np.argwhere(labels == label):
        total = norm = 0.0
        for offset in np.ndindex(weights.shape):
            at = tuple(c + o - r for c, o, r in zip(centre, offset, reach, strict=True))
            if all(0 <= a < n for a, n in zip(at, values.shape, strict=True)) and usable[at]:
                total += weights[offset] * values[at]
                norm += weights[offset]
        if norm >= 0.5 * weights.sum() and total / norm > best[0]:
            best = (total / norm, tuple(int(c) for c in centre), norm / weights.sum())
    return best


def test_peak_equals_sums_voxel_by_voxel() -> None:
    rng = np.random.default_rng(11)
    spacing = (5.0, 4.0, 4.0)
    values = rng.gamma(2.0, 1.0, (9, 10, 11)).astype(np.float32)
    values[4, 5, 5] = np.nan
    valid = rng.random(values.shape) > 0.1
    labels = np.zeros(values.shape, dtype=np.uint16)
    labels[3:6, 3:7, 4:8] = 2
    labels[0:2, 0:3, 8:11] = 9  # a corner of the volume
    labels[7, 8, 2] = 4
    found = suv_peak(values, labels, spacing, valid=valid)
    assert found.label.tolist() == [2, 4, 9]
    weights = sphere_weights(spacing)
    usable = valid & np.isfinite(values)
    for n, label in enumerate(found.label):
        peak, centre, fraction = brute_force(values, labels, int(label), weights, usable)
        assert found.peak[n] == pytest.approx(peak, rel=1e-12)
        assert tuple(found.center_index[n]) == centre
        assert found.fraction_inside[n] == pytest.approx(fraction, rel=1e-12)


def test_sphere_sits_on_the_hot_spot_and_averages_it() -> None:
    # Uniform ball of radius 12 mm: the sphere fits inside, so the peak is the value itself.
    axis = (np.arange(25) - 12) * 2.0
    k, j, i = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    ball = k**2 + j**2 + i**2 <= 144.0
    values = np.where(ball, 8.0, 1.0)
    found = suv_peak(values, ball.astype(np.int32), (2.0, 2.0, 2.0))
    assert found.peak[0] == pytest.approx(8.0, rel=1e-12)
    assert found.fraction_inside[0] == 1.0


def test_linear_field_gives_the_value_at_the_outermost_centre() -> None:
    values = np.broadcast_to(np.arange(20.0) * 3.0 + 1.0, (20, 20, 20))
    labels = np.zeros(values.shape, dtype=int)
    labels[8:11, 8:11, 8:11] = 1
    for kernel in (suv_peak, local_intensity_peak):
        found = kernel(values, labels, (2.0, 2.0, 2.0))
        assert found.peak[0] == pytest.approx(31.0, rel=1e-12)
        assert found.center_index[0].tolist() == [8, 8, 10]


def test_corner_of_the_volume_is_refused_and_border_is_cut() -> None:
    values = np.ones((12, 12, 12))
    labels = np.zeros(values.shape, dtype=int)
    labels[0, 0, 0] = 1
    labels[0, 6, 6] = 2
    found = suv_peak(values, labels, (2.0, 2.0, 2.0))
    assert np.isnan(found.peak[0])
    assert np.isnan(found.fraction_inside[0])
    assert found.center_index[0].tolist() == [-1, -1, -1]
    # Cap cut off 1 mm beyond the centre: half the sphere and a slab of 1 mm.
    r, d = 6.2, 1.0
    inside = 0.5 + (r**2 * d - d**3 / 3.0) / (4.0 / 3.0 * r**3)
    assert found.fraction_inside[1] == pytest.approx(inside, rel=1e-3)
    assert found.peak[1] == pytest.approx(1.0)
    admitted = suv_peak(values, labels, (2.0, 2.0, 2.0), minimum_fraction=0.1)
    assert admitted.peak[0] == pytest.approx(1.0)


def test_local_intensity_peak_of_the_ibsi_phantom(real_data: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    folder = real_data / "pet" / "ibsi1_digital_phantom"
    if not folder.is_dir():
        pytest.skip(f"no IBSI phantom at {folder}")
    truth = TRUTH["ibsi_phantom"]
    # Isotropic voxels: the order of the axes does not matter here.
    values = np.asarray(nibabel.load(folder / "phantom.nii.gz").dataobj, dtype=np.float64)
    labels = np.asarray(nibabel.load(folder / "mask.nii.gz").dataobj).astype(np.int32)
    found = local_intensity_peak(values, labels, truth["spacing_mm"])
    assert found.peak[0] == pytest.approx(truth["expected"], abs=truth["tolerance_absolute"])

    # Published: global intensity peak 3.1 (IBSI 1, reference_values.csv)
    highest = global_intensity_peak(values, labels, truth["spacing_mm"])
    assert highest.peak[0] == pytest.approx(3.1, abs=0.05)


def test_global_intensity_peak_by_brute_force() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(5.0, 1.0, (9, 10, 11))
    labels = np.zeros(values.shape, dtype=int)
    labels[1:5, 2:7, 0:6] = 2
    spacing, radius = (4.0, 3.0, 2.0), 6.2
    k, j, i = (np.arange(n) * s for n, s in zip(values.shape, spacing, strict=True))
    best, place = -math.inf, None
    for at in np.argwhere(labels == 2):
        ck, cj, ci = at * np.asarray(spacing)
        near = (k[:, None, None] - ck) ** 2 + (j[:, None] - cj) ** 2 + (i - ci) ** 2 <= radius**2
        if values[near].mean() > best:
            best, place = values[near].mean(), at.tolist()
    found = global_intensity_peak(values, labels, spacing)
    assert found.peak[0] == pytest.approx(best, rel=1e-12)
    assert found.center_index[0].tolist() == place
    nothing = global_intensity_peak(values, labels, spacing, valid=np.zeros(values.shape, bool))
    assert math.isnan(nothing.peak[0])


def test_local_intensity_peak_takes_the_best_of_equal_maxima() -> None:
    values = np.ones((9, 9, 30))
    values[4, 4, 5] = values[4, 4, 24] = 10.0
    values[4, 4, 25] = 5.0  # outside the lesion, counts in the sphere
    labels = np.zeros(values.shape, dtype=np.int16)
    labels[4, 4, [5, 24]] = 3
    found = local_intensity_peak(values, labels, (4.0, 4.0, 4.0), diameter_mm=8.0)
    # Radius 4 mm: the centre and its six neighbours.
    assert found.peak[0] == pytest.approx((10.0 + 5.0 + 5.0) / 7.0, rel=1e-12)
    assert found.center_index[0].tolist() == [4, 4, 24]
    valid = values < 10.0
    none = local_intensity_peak(values, labels, (4.0, 4.0, 4.0), valid=valid)
    assert np.isnan(none.peak[0])


def test_no_label_gives_empty_columns() -> None:
    for kernel in (suv_peak, local_intensity_peak):
        found = kernel(np.ones((3, 3, 3)), np.zeros((3, 3, 3), np.uint8), (1.0, 1.0, 1.0))
        assert found.peak.size == 0
        assert found.center_index.shape == (0, 3)


def test_bad_arguments_are_refused() -> None:
    values, labels = np.ones((3, 3, 3)), np.ones((3, 3, 3), dtype=int)
    with pytest.raises(GeometryError):
        suv_peak(values, labels[:2], (1.0, 1.0, 1.0))
    with pytest.raises(GeometryError):
        suv_peak(values[0], labels[0], (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="integers"):
        suv_peak(values, values, (1.0, 1.0, 1.0))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="spacing"):
        local_intensity_peak(values, labels, (1.0, 0.0, 1.0))
    with pytest.raises(InputError, match="diameter"):
        suv_peak(values, labels, (1.0, 1.0, 1.0), diameter_mm=-1.0)
    with pytest.raises(InputError, match="fraction"):
        suv_peak(values, labels, (1.0, 1.0, 1.0), minimum_fraction=0.0)


def test_voxels_far_larger_than_the_sphere_have_no_peak_and_no_warning() -> None:
    # Metres read as if they were micrometres: no column of a voxel of 2 m meets a sphere of 12 mm.
    labels = np.ones((2, 2, 2), dtype=np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        valid = labels.astype(bool)
        valid[0, 0, 0] = False
        found = suv_peak(np.ones((2, 2, 2)), labels, (2000.0, 2000.0, 2000.0))
        holed = suv_peak(np.ones((2, 2, 2)), labels, (2000.0, 2000.0, 2000.0), valid=valid)
    assert math.isnan(found.peak[0])
    assert math.isnan(holed.peak[0])
    assert tuple(found.center_index[0]) == (-1, -1, -1)
