"""The compiled iteration against the same sums in numpy, and without standard errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from eprimg.kernels._partial_volume_input import start
from eprimg.kernels._partial_volume_loops import pack, scan, yang_step
from eprimg.kernels.partial_volume import iterative_yang


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_iteration_equals_numpy(soft: bool, kind: type) -> None:
    rng = np.random.default_rng(4)
    image = (2.0 + ndimage.gaussian_filter(rng.standard_normal((12, 11, 13)), 1.0)).astype(kind)
    image[0, 0, 0] = np.nan
    masks = np.zeros((*image.shape, 2), dtype=kind)
    masks[3:6, 3:7, 3:6, 0] = 0.6 if soft else 1.0
    masks[3:6, 3:7, 6:9, 1] = 0.4 if soft else 1.0
    group = start(image, masks, 5.0, (2.0, 2.0, 2.0), "sampled", None)[1][0]
    means, base = np.array([5.0, np.nan, 1.5]), 1.5
    # Independent: whole arrays; a region without a mean takes the background.
    parts = [np.zeros(group.shape) for _ in range(4)]
    for n, region in enumerate(group.regions):
        parts[n][region.support] = region.mask
        parts[2 + n][region.reach_box] = region.blurred
    sharp, blurred = base + 3.5 * parts[0], base + 3.5 * parts[2]
    corrected = np.where(group.valid, group.image * sharp / blurred, 0.0)
    weights = [parts[0], parts[1], 1.0 - parts[0] - parts[1]]
    expected = [(w * corrected).sum() / (w * group.valid).sum() for w in weights]
    packed = pack(group)
    rtol = 1e-5 if kind is np.float32 else 1e-12
    np.testing.assert_allclose(yang_step(group, packed, means, base), expected, rtol=rtol)
    shown = np.where(group.valid, corrected, np.nan)
    np.testing.assert_allclose(packed.corrected, shown, rtol=rtol)
    # The same loop without the compiler.
    sums, sizes = np.zeros(3), np.zeros(3)
    steps = np.array([3.5, 0.0])
    scan(group.image, group.valid, base, steps, sums, sizes, *packed)
    np.testing.assert_allclose(sums / sizes, expected, rtol=rtol)


def test_without_standard_errors_the_values_are_the_same() -> None:
    rng = np.random.default_rng(5)
    image = 3.0 + ndimage.gaussian_filter(rng.standard_normal((24, 24, 24)), 1.2)
    labels = np.zeros(image.shape, dtype=np.int16)
    labels[8:16, 8:16, 8:16] = 1
    image[labels == 1] += 6.0
    full = iterative_yang(image, labels, 6.0, (2.0, 2.0, 2.0))
    bare = iterative_yang(image, labels, 6.0, (2.0, 2.0, 2.0), standard_errors=False)
    np.testing.assert_array_equal(full.corrected, bare.corrected)
    assert np.isfinite(full.corrected_se).all()
    assert np.isnan(bare.corrected_se).all()
