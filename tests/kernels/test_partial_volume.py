"""Partial-volume correction against closed forms of a blurred sphere.

The maps of these tests are not made with the code under test: a sphere of radius R blurred with a
Gaussian of standard deviation s has a closed form at every distance r from its centre
(`blurred_sphere`), and is sampled at voxel centres.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import ndimage
from scipy.integrate import quad
from scipy.special import erf

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.partial_volume import (
    PARTIAL_VOLUME_REASON_TEXT,
    PartialVolumeReason,
    gaussian_blur,
    geometric_transfer_matrix,
    iterative_yang,
    mask_error_sensitivity,
    parse_recovery_table,
    recovery_coefficient,
    single_target_correction,
)

SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
TWO = (2.0, 2.0, 2.0)

# Analytic values for spheres of the NEMA IEC body phantom without background, for a Gaussian of
# FWHM 5, 6, 7 and 8 mm: value at the centre, mean over the sphere.  Computed from the closed form
# apart from this code and printed with three decimals.
TABLE = {
    10: ((0.864, 0.522), (0.722, 0.443), (0.581, 0.372), (0.461, 0.311)),
    13: ((0.975, 0.623), (0.911, 0.555), (0.812, 0.491), (0.700, 0.431)),
    17: ((0.999, 0.707), (0.989, 0.652), (0.958, 0.599), (0.900, 0.547)),
    22: ((1.000, 0.772), (1.000, 0.728), (0.997, 0.684), (0.985, 0.642)),
    28: ((1.000, 0.820), (1.000, 0.785), (1.000, 0.750), (0.999, 0.715)),
    37: ((1.000, 0.863), (1.000, 0.836), (1.000, 0.809), (1.000, 0.783)),
}


def blurred_sphere(r: np.ndarray, radius: float, fwhm: float) -> np.ndarray:
    """Value at distance r of a unit sphere blurred with a Gaussian (convolution in closed form)."""
    s, r = fwhm * SIGMA, np.maximum(r, 1e-6)
    steps = erf((radius + r) / (math.sqrt(2) * s)) + erf((radius - r) / (math.sqrt(2) * s))
    bells = np.exp(-((radius - r) ** 2) / (2 * s * s)) - np.exp(-((radius + r) ** 2) / (2 * s * s))
    return np.asarray(0.5 * steps - s / (r * math.sqrt(2 * math.pi)) * bells)


def mean_within(limit: float, radius: float, fwhm: float) -> float:
    """Mean of the blurred sphere within a concentric sphere, by quadrature."""
    return quad(
        lambda r: 3 * r * r / limit**3 * float(blurred_sphere(np.array(r), radius, fwhm)), 0, limit
    )[0]


def distance(shape: Sequence[int], spacing: Sequence[float], centre: Sequence[float]) -> np.ndarray:
    axes = (np.arange(n) * h - c for n, h, c in zip(shape, spacing, centre, strict=True))
    k, j, i = np.meshgrid(*axes, indexing="ij")
    return np.asarray(np.sqrt(k * k + j * j + i * i))


def sphere_scene(
    diameter: float,
    fwhm: float,
    ratio: float,
    spacing: tuple[float, float, float] = TWO,
    margin: float = 20.0,
    shift: float = 0.3,
) -> tuple[np.ndarray, np.ndarray]:
    """Blurred sphere of value `ratio` in a background of 1, and the labels of the sphere."""
    shape = [int((diameter + 2 * margin) / h) + 1 for h in spacing]
    centre = [((n - 1) / 2 + shift) * h for n, h in zip(shape, spacing, strict=True)]
    r = distance(shape, spacing, centre)
    image = 1.0 + (ratio - 1.0) * blurred_sphere(r, diameter / 2, fwhm)
    return image, (r <= diameter / 2).astype(np.int16)


# --- blur -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("diameter", "column"), itertools.product(TABLE, range(4)))
def test_sphere_recovery_equals_the_analytic_table(diameter: int, column: int) -> None:
    fwhm, step, fine = 5.0 + column, 0.5 if diameter == 10 else 1.0, 4
    n = 2 * math.ceil((diameter / 2 + 1.8 * fwhm) / step) + 1
    # Fraction of each voxel in the sphere, counted on 4^3 points.
    ticks = ((np.arange(n * fine) + 0.5) / fine - 0.5 * n) * step
    inside = ticks[:, None, None] ** 2 + ticks[:, None] ** 2 + ticks**2 <= diameter**2 / 4
    mask = inside.reshape(n, fine, n, fine, n, fine).mean((1, 3, 5))
    blurred = gaussian_blur(mask, fwhm, (step,) * 3)
    centre, mean = TABLE[diameter][column]
    assert blurred[(n // 2,) * 3] == pytest.approx(centre, rel=0.01, abs=0.0005)
    assert (mask * blurred).sum() / mask.sum() == pytest.approx(mean, rel=0.01, abs=0.0005)


@pytest.mark.parametrize("step", [3.0, 4.0])
def test_voxel_box_in_the_blur_on_a_coarse_grid(step: float) -> None:
    # 17 mm sphere on voxels that hold the mean of the closed form over the voxel (5^3 points).
    # Fractions with sampled weights hold for each position of the grid; masks of 0 and 1 with
    # integrated weights on the average over positions, for one mask is off by its volume.
    rng, fwhm, n, fine = np.random.default_rng(5), 6.0, 13, 5
    shells = [(0.0, 3.0), (3.0, 6.0), (6.0, 9.0), (9.0, 12.0)]
    found, truth = [], []
    for _ in range(24):
        centre = (n - 1) / 2 * step + rng.uniform(-0.5, 0.5, 3) * step
        ticks = ((np.arange(n * fine) + 0.5) / fine - 0.5) * step
        k, j, i = (ticks - c for c in centre)
        r = np.sqrt(k[:, None, None] ** 2 + j[:, None] ** 2 + i**2)
        blocks = (n, fine, n, fine, n, fine)
        seen = blurred_sphere(r, 8.5, fwhm).reshape(blocks).mean((1, 3, 5))
        fractions = (r <= 8.5).reshape(blocks).mean((1, 3, 5))
        # 1.5 voxels per FWHM is the coarsest that may be sampled.
        limit = 0.015 if step == 3.0 else 0.04
        np.testing.assert_allclose(gaussian_blur(fractions, fwhm, (step,) * 3), seen, atol=limit)
        near = distance((n,) * 3, (step,) * 3, centre.tolist())
        mask = (near <= 8.5).astype(np.float64)
        boxed = gaussian_blur(mask, fwhm, (step,) * 3, kernel="integrated")
        found.append([boxed[(near >= a) & (near < b)].mean() for a, b in shells])
        truth.append([seen[(near >= a) & (near < b)].mean() for a, b in shells])
    np.testing.assert_allclose(np.nanmean(found, 0), np.nanmean(truth, 0), atol=0.02)


def test_sampled_blur_equals_scipy() -> None:
    image = np.random.default_rng(1).gamma(2.0, 1.0, (17, 20, 23))
    spacing, fwhm = (3.0, 2.0, 1.5), (7.0, 6.0, 5.0)
    sigmas = [f * SIGMA / h for f, h in zip(fwhm, spacing, strict=True)]
    radius = [math.ceil(4.0 * s) for s in sigmas]
    expected = ndimage.gaussian_filter(image, sigmas, mode="reflect", radius=radius)
    np.testing.assert_allclose(gaussian_blur(image, fwhm, spacing), expected, rtol=1e-10)
    expected = ndimage.gaussian_filter(image, sigmas, mode="constant", radius=radius)
    found = gaussian_blur(image, fwhm, spacing, edge="zero")
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("step", [1.0, 2.0, 4.0])
def test_integrated_blur_has_the_variance_of_gauss_and_voxel(step: float) -> None:
    line = np.zeros((41, 1, 1))
    line[20] = 1.0
    out = gaussian_blur(line, 6.0, (step, 2.0, 2.0), kernel="integrated")[:, 0, 0]
    offset = (np.arange(41) - 20) * step
    # Variances of independent boxes and bells add up; a little is cut off beyond four sigma.
    expected = (6.0 * SIGMA) ** 2 + step**2 / 12.0
    assert (out * offset**2).sum() / out.sum() == pytest.approx(expected, rel=0.005)


def test_blur_keeps_type_sum_and_uniform_volumes() -> None:
    rng = np.random.default_rng(2)
    image = rng.random((12, 9, 14)).astype(np.float32)
    for kernel in ("sampled", "integrated"):
        out = gaussian_blur(image, 6.0, TWO, kernel=kernel)
        assert out.dtype == np.float32
        assert out.sum() == pytest.approx(image.sum(), rel=1e-5)
        flat = gaussian_blur(np.full((5, 6, 7), 3.0), 6.0, TWO, kernel=kernel)
        np.testing.assert_allclose(flat, 3.0, rtol=1e-12)
    dark = gaussian_blur(np.ones((9, 9, 9)), 6.0, TWO, edge="zero")
    # At a corner of the volume half of each axis is missing, save half of the middle weight.
    middle = 1.0 / np.exp(-0.5 * (np.arange(-6, 7) * 2.0 / (6.0 * SIGMA)) ** 2).sum()
    assert dark[0, 0, 0] == pytest.approx((0.5 + 0.5 * middle) ** 3, rel=1e-6)


# --- geometric transfer matrix and iterative Yang ---------------------------------------------


@pytest.mark.parametrize("ratio", [4.0, 10.0])
@pytest.mark.parametrize("fwhm", [5.0, 7.0])
@pytest.mark.parametrize("diameter", [13.0, 17.0, 22.0, 28.0])
def test_exact_masks_give_back_the_truth(diameter: float, fwhm: float, ratio: float) -> None:
    image, labels = sphere_scene(diameter, fwhm, ratio)
    for correct in (geometric_transfer_matrix, iterative_yang):
        found = correct(image, labels, fwhm, TWO)
        assert found.label.tolist() == [1, 0]
        assert found.corrected[0] == pytest.approx(ratio, rel=0.05)
        assert found.corrected[1] == pytest.approx(1.0, rel=0.05)
        raw = image[labels == 1].mean()
        assert found.raw[0] == pytest.approx(raw, rel=1e-12)
        assert raw < 0.9 * ratio  # so that the correction had something to do
    target = single_target_correction(image, labels == 1, fwhm, TWO)
    assert target.corrected[0] == pytest.approx(ratio, rel=0.05)


@pytest.mark.parametrize("background", [1.0, 0.0])
def test_two_close_spheres_are_told_apart(background: float) -> None:
    # 13 and 17 mm, 2 mm between their surfaces, values 10 and 4; truth by superposition.
    shape, fwhm = (34, 34, 44), 6.0
    one = distance(shape, TWO, (33.0, 33.0, 32.0))
    two = distance(shape, TWO, (33.0, 33.0, 49.0))
    image = background + (10.0 - background) * blurred_sphere(one, 6.5, fwhm)
    image += (4.0 - background) * blurred_sphere(two, 8.5, fwhm)
    labels = np.where(one <= 6.5, 3, np.where(two <= 8.5, 8, 0)).astype(np.uint8)
    for correct in (geometric_transfer_matrix, iterative_yang):
        found = correct(image.astype(np.float32), labels, fwhm, TWO)
        assert found.label.tolist() == [3, 8, 0]
        np.testing.assert_allclose(found.corrected[:2], [10.0, 4.0], rtol=0.05)
        assert found.corrected[2] == pytest.approx(background, abs=0.05)
        # The same without the second sphere in the model: its activity counts as background.
        alone = correct(image, np.where(labels == 3, 3, 0), fwhm, TWO)
        assert abs(alone.corrected[1] - background) > 0.05


def test_groups_keep_their_own_background() -> None:
    # The same sphere in backgrounds of 1 and 3, which a common background would mix.
    shape, fwhm = (30, 30, 90), 6.0
    image = np.where(np.arange(90) < 45, 1.0, 3.0) * np.ones(shape)
    labels = np.zeros(shape, dtype=np.int32)
    for label, (at, base) in enumerate(((40.0, 1.0), (138.0, 3.0)), start=5):
        r = distance(shape, TWO, (29.0, 29.0, at))
        image += (10.0 - base) * blurred_sphere(r, 8.5, fwhm)
        labels[r <= 8.5] = label
    found = geometric_transfer_matrix(image, labels, fwhm, TWO)
    assert found.label.tolist() == [5, 0, 6, 0]
    assert found.group.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found.corrected, [10.0, 1.0, 10.0, 3.0], rtol=0.04)
    assert np.all(found.matrix[:2, 2:] == 0.0)


def scene_of_fractions() -> tuple[np.ndarray, np.ndarray]:
    """Return a smooth random map and three overlapping fractions on a small grid."""
    rng = np.random.default_rng(7)
    image = 2.0 + ndimage.gaussian_filter(rng.normal(size=(24, 22, 26)), 1.0)
    masks = np.zeros((*image.shape, 3))
    masks[8:13, 8:14, 7:12, 0] = 0.5
    masks[8:13, 8:14, 11:17, 1] = 0.3
    masks[12:16, 9:13, 9:15, 2] = 0.2
    return image, masks


def plain_blur(array: np.ndarray, fwhm: float, spacing: Sequence[float]) -> np.ndarray:
    sigmas = [fwhm * SIGMA / h for h in spacing]
    return ndimage.gaussian_filter(array, sigmas, radius=[math.ceil(4.0 * s) for s in sigmas])


def test_matrix_equals_whole_volume_blurs() -> None:
    # Independent: every mask, background too, blurred with scipy in the whole volume.
    image, masks = scene_of_fractions()
    spacing, fwhm = (3.0, 2.5, 2.0), 5.0
    image[9, 9, 9] = np.nan
    every = np.concatenate([masks, 1.0 - masks.sum(3, keepdims=True)], axis=3)
    found = geometric_transfer_matrix(
        image, masks, fwhm, spacing, minimum_diameter_fwhm=0.0, voxel_sd=0.0
    )
    box = found.volume_ml.sum() / (3.0 * 2.5 * 2.0 / 1000.0)
    reach = [math.ceil(4.0 * fwhm * SIGMA / h) for h in spacing]
    cut = tuple(
        slice(max(a - r, 0), min(b + r, n))
        for a, b, r, n in zip((8, 8, 7), (16, 14, 17), reach, image.shape, strict=True)
    )
    assert box == pytest.approx(math.prod(s.stop - s.start for s in cut))
    valid = np.isfinite(image)[cut]
    rows, raw = np.zeros((4, 4)), np.zeros(4)
    for i in range(4):
        p = every[..., i][cut] * valid
        raw[i] = (p * np.nan_to_num(image[cut])).sum() / p.sum()
        for j in range(4):
            rows[i, j] = (p * plain_blur(every[..., j], fwhm, spacing)[cut]).sum() / p.sum()
    np.testing.assert_allclose(found.matrix, rows, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.raw, raw, rtol=1e-12)
    np.testing.assert_allclose(found.corrected, np.linalg.solve(rows, raw), rtol=1e-8)
    np.testing.assert_allclose(found.condition_number, np.linalg.cond(rows), rtol=1e-8)
    np.testing.assert_allclose(found.recovery, np.diag(rows), rtol=1e-9)


def test_yang_equals_the_textbook_loop() -> None:
    # Independent: template blurred as a whole with scipy in each iteration.
    image, _ = scene_of_fractions()
    spacing, fwhm = (3.0, 2.5, 2.0), 5.0
    labels = np.zeros(image.shape, dtype=np.int32)
    labels[2:-2, 2:-2, 2:-2] = 9  # so wide that the box is the whole volume
    labels[8:13, 8:14, 7:12] = 2
    labels[8:13, 8:14, 12:17] = 4
    found = iterative_yang(image, labels, fwhm, spacing, n_iterations=3, kernel="sampled")
    assert found.label.tolist() == [2, 4, 9, 0]
    expected = image
    for _ in range(3):
        means = np.zeros(10)
        for label in found.label:
            means[label] = expected[labels == label].mean()
        template = means[labels]
        expected = image * template / plain_blur(template, fwhm, spacing)
    truth = [expected[labels == label].mean() for label in found.label]
    np.testing.assert_allclose(found.corrected, truth, rtol=1e-9)
    assert found.corrected_map is not None
    np.testing.assert_allclose(found.corrected_map, expected, rtol=1e-9)


def test_fractions_give_back_the_truth_on_a_coarse_grid() -> None:
    # Voxels of 4 mm that hold means of the closed form, fractions counted on 6^3 points.
    n, step, fine, fwhm = 15, 4.0, 6, 6.0
    ticks = ((np.arange(n * fine) + 0.5) / fine - 0.5 * n) * step + 0.7
    r = np.sqrt(ticks[:, None, None] ** 2 + ticks[:, None] ** 2 + ticks**2)
    blocks = (n, fine, n, fine, n, fine)
    image = (1.0 + 9.0 * blurred_sphere(r, 8.5, fwhm)).reshape(blocks).mean((1, 3, 5))
    fractions = (r <= 8.5).reshape(blocks).mean((1, 3, 5))[..., None]
    for correct in (geometric_transfer_matrix, iterative_yang):
        found = correct(image, fractions, fwhm, (step,) * 3)
        assert found.kernel == "sampled"
        np.testing.assert_allclose(found.corrected, [10.0, 1.0], rtol=0.02)


def test_single_target_does_not_need_a_uniform_background() -> None:
    # A 17 mm sphere of value 10 in a background of 1 that rises to 4 beyond a plane 4.5 mm beside
    # it: blurred plane = error function, blurred sphere = closed form.
    shape, fwhm, at = (40, 40, 40), 6.0, 39.9
    r = distance(shape, TWO, (at, at, at))
    lone = 1.0 + 9.0 * blurred_sphere(r, 8.5, fwhm)
    depth = np.arange(40) * 2.0 - at
    image = lone + 1.5 * (1.0 + erf((depth - 13.0) / (math.sqrt(2) * fwhm * SIGMA)))
    mask = r <= 8.5
    single = single_target_correction(image, mask, fwhm, TWO)
    assert single.corrected[0] == pytest.approx(10.0, rel=0.02)
    # One background for all of it takes too much away: the reason for this method.
    assert geometric_transfer_matrix(image, mask.astype(int), fwhm, TWO).corrected[0] < 9.8
    assert single.raw[0] == pytest.approx(image[mask].mean(), rel=1e-12)
    assert single.method == "single_target"
    assert single.label.tolist() == [1]
    assert single.corrected_map is not None
    inside = single.corrected_map[mask]
    assert inside.mean() == pytest.approx(single.corrected[0], rel=1e-12)


def test_map_belongs_to_the_boxes_and_means() -> None:
    image, labels = sphere_scene(17.0, 6.0, 4.0, margin=40.0)
    found = iterative_yang(image.astype(np.float32), labels, 6.0, TWO)
    shown = found.corrected_map
    assert shown is not None
    assert shown.dtype == np.float32
    assert shown.shape == image.shape
    assert np.isnan(shown[0, 0, 0])  # far from the region: not corrected, not copied
    assert shown[labels == 1].mean() == pytest.approx(found.corrected[0], rel=1e-5)
    assert found.last_change[0] < 1e-3
    assert geometric_transfer_matrix(image, labels, 6.0, TWO).corrected_map is None


# --- uncertainty ------------------------------------------------------------------------------


def yang_with_wrong_radius(ratio: float, radius: float, mask: float, fwhm: float) -> float:
    """Ten textbook iterations along the radius, in a background held at 1, by the midpoint rule."""
    r = (np.arange(2000) + 0.5) / 2000 * mask
    seen = 1.0 + (ratio - 1.0) * blurred_sphere(r, radius, fwhm)
    own, weight = blurred_sphere(r, mask, fwhm), r * r / (r * r).sum()
    value = float((weight * seen).sum())
    for _ in range(10):
        value = float((weight * seen * value / (1.0 + (value - 1.0) * own)).sum())
    return value


@pytest.mark.parametrize("diameter", [13.0, 17.0, 22.0])
@pytest.mark.parametrize("fwhm", [5.0, 7.0])
def test_mask_error_equals_the_concentric_closed_form(diameter: float, fwhm: float) -> None:
    # Mask of radius R' around a sphere of radius R in a wide background: the corrected value is
    # B + (A - B) mean_R'(blurred R) / mean_R'(blurred R'), means by quadrature.
    ratio, radius = 4.0, diameter / 2
    image, labels = sphere_scene(diameter, fwhm, ratio)
    found = mask_error_sensitivity(image, labels, fwhm, TWO, boundary_error_mm=1.0)
    expected = [
        1.0 + (ratio - 1.0) * mean_within(m, radius, fwhm) / mean_within(m, m, fwhm)
        for m in (radius - 1.0, radius + 1.0)
    ]
    raw = [1.0 + (ratio - 1.0) * mean_within(m, radius, fwhm) for m in (radius - 1, radius + 1)]
    np.testing.assert_allclose([found.raw_eroded[0], found.raw_dilated[0]], raw, rtol=0.04)
    assert found.eroded[0] == pytest.approx(expected[0], rel=0.06)
    assert found.dilated[0] == pytest.approx(expected[1], rel=0.06)
    half = 0.5 * (expected[0] - expected[1])
    assert found.mask_se[0] == pytest.approx(half, rel=0.08)
    assert found.mask_se[0] == pytest.approx(abs(found.eroded[0] - found.dilated[0]) / 2, rel=1e-12)
    assert np.isnan(found.mask_se[1])  # a background has no boundary of its own
    assert found.combined_se[0] == pytest.approx(
        math.hypot(found.mask_se[0], found.base.corrected_se[0]), rel=1e-12
    )
    yang = mask_error_sensitivity(image, labels, fwhm, TWO, method="iterative_yang")
    expected = [yang_with_wrong_radius(ratio, radius, radius + s, fwhm) for s in (-1.0, 1.0)]
    np.testing.assert_allclose([yang.eroded[0], yang.dilated[0]], expected, rtol=0.06)
    assert yang.mask_se[0] == pytest.approx(0.5 * (expected[0] - expected[1]), rel=0.1)
    assert yang.base.method == "iterative_yang"


def test_mask_error_on_anisotropic_voxels_and_beside_a_neighbour() -> None:
    spacing, shape, fwhm = (3.3, 2.0, 2.0), (22, 34, 44), 6.0
    one = distance(shape, spacing, (34.0, 33.0, 32.0))
    two = distance(shape, spacing, (34.0, 33.0, 49.0))
    image = 1.0 + 9.0 * blurred_sphere(one, 8.5, fwhm) + 9.0 * blurred_sphere(two, 8.5, fwhm)
    labels = np.where(one <= 8.5, 1, np.where(two <= 8.5, 2, 0)).astype(np.int32)
    found = mask_error_sensitivity(image, labels, fwhm, spacing)
    # The closed form of a lone sphere: where the two touch they are alike, and the boundary between
    # them costs nothing, so it is an upper bound on the loss; the masks of voxels 3.3 mm thick are
    # worth 10 %.
    expected = 1.0 + 9.0 * mean_within(9.5, 8.5, fwhm) / mean_within(9.5, 9.5, fwhm)
    assert np.all(found.dilated[:2] > 0.95 * expected)
    assert np.all(found.dilated[:2] < found.base.corrected[:2])
    expected = 1.0 + 9.0 * mean_within(7.5, 8.5, fwhm) / mean_within(7.5, 7.5, fwhm)
    np.testing.assert_allclose(found.eroded[:2], expected, rtol=0.1)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], fwhm: float) -> np.ndarray:
    """Noise of standard deviation 1 that a Gaussian made smooth (2 mm voxels)."""
    noise = rng.normal(size=tuple(n + 20 for n in shape))
    if fwhm:
        noise = ndimage.gaussian_filter(noise, fwhm * SIGMA / 2.0)
        # Sum of squared weights of three axes, from the impulse response.
        spike = np.zeros(61)
        spike[30] = 1.0
        noise /= (ndimage.gaussian_filter1d(spike, fwhm * SIGMA / 2.0) ** 2).sum() ** 1.5
    return noise[10:-10, 10:-10, 10:-10]


@pytest.mark.parametrize("noise_fwhm", [0.0, 5.0])
@pytest.mark.parametrize("method", ["gtm", "iterative_yang", "single_target"])
def test_stated_errors_cover_the_truth_in_simulation(method: str, noise_fwhm: float) -> None:
    rng, fwhm, sd = np.random.default_rng(3), 6.0, 0.1
    clean, labels = sphere_scene(17.0, fwhm, 4.0)
    draws, options = 120, {"voxel_sd": sd, "noise_fwhm_mm": noise_fwhm}

    def correct(image: np.ndarray) -> tuple[float, ...]:
        if method == "single_target":
            found = single_target_correction(image, labels == 1, fwhm, TWO, **options)  # type: ignore[arg-type]
        else:
            kernel = geometric_transfer_matrix if method == "gtm" else iterative_yang
            found = kernel(image, labels, fwhm, TWO, **options)  # type: ignore[arg-type]
        return found.raw[0], found.raw_se[0], found.corrected[0], found.corrected_se[0]

    if method == "single_target":
        draws = 40
    truth = correct(clean)
    noisy = np.array(
        [correct(clean + sd * smooth_noise(rng, clean.shape, noise_fwhm)) for _ in range(draws)]
    )
    for value, error in ((0, 1), (2, 3)):
        z = (noisy[:, value] - truth[value]) / noisy[:, error]
        # A standard deviation from n draws is known within 1 / sqrt(2 n): 6 % and 11 %.
        assert z.std(ddof=1) == pytest.approx(1.0, abs=0.2 if draws > 100 else 0.33)
        # 95 % intervals: 4 standard deviations of a binomial with n draws below 0.95.
        cover = (np.abs(z) < 1.96).mean()
        assert cover > 0.95 - 4.0 * math.sqrt(0.05 * 0.95 / draws)
    # The correction costs noise: it divides by a recovery of about 0.65.
    assert noisy[0, 3] > 1.2 * noisy[0, 1]


def test_noise_from_residuals_and_from_a_map() -> None:
    rng, fwhm = np.random.default_rng(4), 6.0
    clean, labels = sphere_scene(22.0, fwhm, 4.0)
    noisy = clean + 0.2 * rng.normal(size=clean.shape)
    found = geometric_transfer_matrix(noisy, labels, fwhm, TWO, noise_fwhm_mm=0.0)
    # 0.2 went in; the model of voxels leaves a little at the boundary.
    assert found.voxel_sd[0] == pytest.approx(0.2, rel=0.05)
    # White noise: the error of a mean of n voxels is sd / sqrt(n).
    count = np.count_nonzero(labels)
    assert found.raw_se[0] == pytest.approx(found.voxel_sd[0] / math.sqrt(count), rel=1e-9)
    flat = np.full(clean.shape, 0.2)
    by_map = geometric_transfer_matrix(noisy, labels, fwhm, TWO, voxel_sd=flat, noise_fwhm_mm=0.0)
    by_number = geometric_transfer_matrix(noisy, labels, fwhm, TWO, voxel_sd=0.2, noise_fwhm_mm=0.0)
    np.testing.assert_allclose(by_map.corrected_se, by_number.corrected_se, rtol=1e-12)
    noisy[0, 0, 0] = flat[0, 0, 0] = np.nan  # a failed voxel has no noise either
    by_map = geometric_transfer_matrix(noisy, labels, fwhm, TWO, voxel_sd=flat, noise_fwhm_mm=0.0)
    assert by_map.corrected_se[0] == pytest.approx(by_number.corrected_se[0], rel=1e-3)
    flat[5, 5, 5] = np.nan
    with pytest.raises(InputError, match="noise"):
        geometric_transfer_matrix(noisy, labels, fwhm, TWO, voxel_sd=flat)
    # Not told otherwise, noise counts as smooth as the map, which is on the safe side.
    assert geometric_transfer_matrix(noisy, labels, fwhm, TWO).raw_se[0] > 3.0 * found.raw_se[0]
    assert np.isnan(single_target_correction(clean, labels > 0, fwhm, TWO).corrected_se[0])


# --- refusals ---------------------------------------------------------------------------------


def test_small_regions_are_refused_but_still_count() -> None:
    fwhm = 7.0
    image, labels = sphere_scene(10.0, fwhm, 10.0)  # 1.43 FWHM
    for correct in (geometric_transfer_matrix, iterative_yang):
        found = correct(image, labels, fwhm, TWO)
        assert found.reason[0] == PartialVolumeReason.TOO_SMALL
        assert np.isnan(found.corrected[0])
        assert np.isnan(found.corrected_se[0])
        assert np.isfinite(found.raw[0])
        assert found.corrected[1] == pytest.approx(1.0, rel=0.05)  # its spread was taken out
        if found.corrected_map is not None:
            assert np.isnan(found.corrected_map[labels == 1]).all()
        allowed = correct(image, labels, fwhm, TWO, minimum_diameter_fwhm=1.3)
        assert allowed.corrected[0] == pytest.approx(10.0, rel=0.05)
    tested = mask_error_sensitivity(image, labels, fwhm, TWO)
    assert np.isnan([tested.eroded[0], tested.dilated[0], tested.combined_se[0]]).all()
    single = single_target_correction(image, labels == 1, fwhm, TWO)
    assert single.reason[0] == PartialVolumeReason.TOO_SMALL
    assert np.isnan(single.corrected[0])


def test_missing_voxels_are_left_out_or_named() -> None:
    fwhm = 6.0
    image, labels = sphere_scene(17.0, fwhm, 4.0)
    whole = geometric_transfer_matrix(image, labels, fwhm, TWO)
    holed = image.copy()
    holed[::5, ::3, ::2] = np.nan
    found = geometric_transfer_matrix(holed, labels, fwhm, TWO)
    # The rows of the matrix run over the same voxels, so nothing is biased.
    assert found.corrected[0] == pytest.approx(4.0, rel=0.05)
    assert found.raw[0] != whole.raw[0]
    yang = iterative_yang(holed, labels, fwhm, TWO)
    assert yang.corrected[0] == pytest.approx(4.0, rel=0.05)
    assert yang.corrected_map is not None
    assert np.isnan(yang.corrected_map[0, 0, 0])
    single = single_target_correction(holed, labels == 1, fwhm, TWO)
    assert single.reason[0] == PartialVolumeReason.INCOMPLETE
    assert np.isnan(single.corrected[0])
    for correct in (geometric_transfer_matrix, iterative_yang):
        gone = correct(image, labels, fwhm, TWO, valid=labels == 0)
        assert gone.reason.tolist() == [
            PartialVolumeReason.NO_VOXELS,
            PartialVolumeReason.UNKNOWN_NEIGHBOUR,
        ]
        assert np.isnan(gone.corrected).all()


def test_regions_that_cannot_be_told_apart_are_refused() -> None:
    image, labels = sphere_scene(17.0, 6.0, 4.0)
    half = 0.5 * (labels == 1)
    for correct in (geometric_transfer_matrix, iterative_yang):
        found = correct(image, np.stack([half, half], axis=3), 6.0, TWO)
        assert set(found.reason.tolist()) == {PartialVolumeReason.ILL_CONDITIONED}
        assert np.isnan(found.corrected).all()
        assert np.isfinite(found.raw).all()


def test_negative_means_are_refused_by_yang_and_kept_by_the_matrix() -> None:
    image, labels = sphere_scene(17.0, 6.0, 4.0)
    image -= 2.0  # background -1, sphere 2
    assert geometric_transfer_matrix(image, labels, 6.0, TWO).corrected[0] == pytest.approx(
        2.0, rel=0.07
    )
    found = iterative_yang(image, labels, 6.0, TWO)
    assert found.reason.tolist() == [
        PartialVolumeReason.UNKNOWN_NEIGHBOUR,
        PartialVolumeReason.NOT_POSITIVE,
    ]
    assert np.isnan(found.corrected).all()
    # A background a little below zero is refused by itself, not with the lesion.
    faint = iterative_yang(image + 1.0 - 0.01, labels, 6.0, TWO)
    assert faint.reason[0] == PartialVolumeReason.OK
    assert faint.corrected[0] == pytest.approx(3.0, rel=0.05)


def test_a_map_of_zeros_has_no_ratio() -> None:
    image, labels = sphere_scene(17.0, 6.0, 4.0)
    found = iterative_yang(np.zeros_like(image), labels, 6.0, TWO, voxel_sd=0.1)
    assert set(found.reason.tolist()) == {PartialVolumeReason.NOT_POSITIVE}
    matrix = geometric_transfer_matrix(np.zeros_like(image), labels, 6.0, TWO, voxel_sd=0.1)
    np.testing.assert_allclose(matrix.corrected, 0.0, atol=1e-12)
    assert matrix.corrected_se[0] > 0.0


def test_no_region_gives_empty_columns() -> None:
    empty = np.zeros((4, 5, 6), dtype=np.int32)
    for correct in (geometric_transfer_matrix, iterative_yang):
        found = correct(np.ones((4, 5, 6)), empty, 6.0, TWO)
        assert found.corrected.size == found.label.size == 0
        assert found.matrix.shape == (0, 0)
    assert mask_error_sensitivity(np.ones((4, 5, 6)), empty, 6.0, TWO).mask_se.size == 0


def test_every_reason_has_words() -> None:
    assert set(PARTIAL_VOLUME_REASON_TEXT) == set(PartialVolumeReason)


def test_bad_arguments_are_refused() -> None:
    image, labels = np.ones((6, 6, 6)), np.ones((6, 6, 6), dtype=np.int16)
    gtm = geometric_transfer_matrix
    for bad in (-1.0, 0.0, math.nan, math.inf, (6.0, 6.0), "a", (6.0, 6.0, "a"), ((6.0,), 6.0)):
        with pytest.raises(InputError, match="fwhm_mm"):
            gtm(image, labels, bad, TWO)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="spacing_mm"):
        gtm(image, labels, 6.0, (2.0, 2.0, 0.0))
    for kernel, width in (("sampled", 2.9), ("integrated", 1.9)):
        with pytest.raises(InputError, match="narrower"):
            gaussian_blur(image, width, TWO, kernel=kernel)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="edge"):
        gaussian_blur(image, 6.0, TWO, edge="wrap")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="kernel"):
        gtm(image, labels, 6.0, TWO, kernel="box")  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="float32"):
        gaussian_blur(labels, 6.0, TWO)  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="grid"):
        gtm(image, labels[:5], 6.0, TWO)
    with pytest.raises(GeometryError, match="grid"):
        gtm(image, labels, 6.0, TWO, valid=np.ones((6, 6, 5), dtype=np.bool_))
    with pytest.raises(InputError, match="bool"):
        gtm(image, labels, 6.0, TWO, valid=labels)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Regions"):
        gtm(image, image, 6.0, TWO)
    for masks in (np.full((6, 6, 6, 2), 0.6), np.full((6, 6, 6, 1), -0.1)):
        with pytest.raises(InputError, match="add up"):
            gtm(image, masks, 6.0, TWO)
    for sd in (-1.0, math.nan, np.ones(3), "a"):
        with pytest.raises(InputError, match="noise"):
            gtm(image, labels, 6.0, TWO, voxel_sd=sd)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="noise_fwhm_mm"):
        gtm(image, labels, 6.0, TWO, noise_fwhm_mm=-2.0)
    for limit in (0.5, "a"):
        with pytest.raises(InputError, match="largest_condition"):
            gtm(image, labels, 6.0, TWO, largest_condition=limit)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="smallest"):
        gtm(image, labels, 6.0, TWO, minimum_diameter_fwhm=-1.0)
    with pytest.raises(InputError, match="n_iterations"):
        iterative_yang(image, labels, 6.0, TWO, n_iterations=0)
    with pytest.raises(InputError, match="mask of bool"):
        single_target_correction(image, labels, 6.0, TWO)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="mask of bool"):
        single_target_correction(image, labels > 1, 6.0, TWO)
    with pytest.raises(InputError, match="method"):
        mask_error_sensitivity(image, labels, 6.0, TWO, method="rl")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="boundary_error_mm"):
        mask_error_sensitivity(image, labels, 6.0, TWO, boundary_error_mm=-1.0)


# --- recovery coefficients --------------------------------------------------------------------

CSV = """# made up for this test
nuclide, scanner, diameter_mm, background_ratio, rc, rc_uncertainty
89Zr, A, 10, inf, 0.40, 0.05
89Zr, A, 20, inf, 0.70, 0.02
89Zr, A, 40, inf, 0.85, 0.03
89Zr, A, 10, 5, 0.52, 0.05
89Zr, A, 20, 5, 0.76, 0.02
89Zr, A, 40, 5, 0.88, 0.03

18F, A, 10, 5, 0.60, 0.05
"""


def test_recovery_is_read_and_interpolated() -> None:
    table = parse_recovery_table(CSV)
    assert len(table) == 7
    assert table[0].background_ratio == math.inf

    def at(diameter: float, ratio: float) -> tuple[float, float]:
        return recovery_coefficient(
            diameter, table, nuclide="89Zr", scanner="A", background_ratio=ratio
        )

    assert list(at(20.0, 5.0)) == pytest.approx([0.76, 0.02])
    assert list(at(10.0, math.inf)) == pytest.approx([0.40, 0.05])
    values = [at(d, 5.0)[0] for d in np.linspace(10.0, 40.0, 61)]
    assert np.all(np.diff(values) > 0.0)
    assert max(values) <= 0.88 + 1e-12
    assert at(30.0, 5.0)[1] == 0.03  # the larger of the two neighbours
    # A linear blur: RC_a = RC + (1 - RC) / a, so 0.40 becomes 0.46 at a ratio of 10.
    assert at(10.0, 10.0)[0] == pytest.approx(0.46)


@pytest.mark.parametrize(
    ("diameter", "nuclide", "scanner", "ratio", "what"),
    [
        (9.9, "89Zr", "A", 5.0, "diameter"),
        (40.1, "89Zr", "A", 5.0, "diameter"),
        (math.nan, "89Zr", "A", 5.0, "diameter"),
        (20.0, "89Zr", "A", 4.0, "ratio"),
        (20.0, "64Cu", "A", 5.0, "nothing"),
        (20.0, "89Zr", "B", 5.0, "nothing"),
        (10.0, "18F", "A", 5.0, "two spheres"),
    ],
)
def test_recovery_is_never_extrapolated(
    diameter: float, nuclide: str, scanner: str, ratio: float, what: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        recovery_coefficient(
            diameter,
            parse_recovery_table(CSV),
            nuclide=nuclide,
            scanner=scanner,
            background_ratio=ratio,
        )
    assert caught.value.code == "E_RECOVERY_TABLE"


def test_all_faults_of_a_table_are_told_at_once() -> None:
    head = "nuclide,scanner,diameter_mm,background_ratio,rc,rc_uncertainty\n"
    faulty = head + (
        "89Zr,A,10,5,0.5,0.1\n89Zr,A,10,5,0.6,0.1\n89Zr,A,-1,5,0.5,0.1\n89Zr,A,12,5,nan,0.1\n"
        "89Zr,A,12,one,0.5,0.1\n89Zr,A,12,5,0.5\n,A,12,5,0.5,0.1\n89Zr,A,14,1,0.5,0.1\n"
    )
    with pytest.raises(InputError) as caught:
        parse_recovery_table(faulty)
    assert [f.where for f in caught.value.faults] == [f"record {n}" for n in range(2, 9)]
    for text in ("", head, head.replace("rc,", "recovery,") + "89Zr,A,10,5,0.5,0.1\n"):
        with pytest.raises(InputError):
            parse_recovery_table(text)
