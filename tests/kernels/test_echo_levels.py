"""Air of each echo: levels from the Rayleigh distribution, whatever scale an echo was given."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.echo_levels import echo_levels, shared_maximum

TIMES_S = np.linspace(1.2e-3, 14e-3, 8)
SIGMA = 5.0


def magnitudes(rate=100.0, sigma=SIGMA, *, shape=(16, 32, 32), coils=1, seed=3):
    """A body of a quarter of the field, in air: magnitude of a decay with noise per channel."""
    rng = np.random.default_rng(seed)
    clean = np.zeros((*shape, TIMES_S.size))
    clean[:, :16, :16] = 1000.0 * np.exp(-rate * TIMES_S)
    power = (clean + rng.normal(0.0, sigma, clean.shape)) ** 2
    for _ in range(2 * coils - 1):
        power += rng.normal(0.0, sigma, clean.shape) ** 2
    return np.sqrt(power)


@pytest.mark.parametrize("coils", [1, 4])
def test_air_of_one_scale_has_one_level(coils):
    found = echo_levels(magnitudes(coils=coils), coils)
    # root mean square of 2 n channels of noise: sigma sqrt(2 n) (doi:10.1002/mrm.1910380524)
    np.testing.assert_allclose(found.levels, SIGMA * np.sqrt(2.0 * coils), rtol=0.02)
    assert found.n_voxels > 5000
    # power of n voxels: relative spread 1 / sqrt(n coils), half of it for the root
    assert found.relative_se == pytest.approx(0.5 / np.sqrt(coils * found.n_voxels))


@pytest.mark.parametrize("rate", [10.0, 100.0, 300.0])
def test_the_scale_of_each_echo_is_read_back(rate):
    scale = np.exp(rate * TIMES_S)
    found = echo_levels(magnitudes() * scale)
    np.testing.assert_allclose(found.levels, SIGMA * np.sqrt(2.0) * scale, rtol=0.02)


def test_scales_of_any_order_are_read_back():
    scale = np.array([1.0, 0.3, 2.0, 7.0, 0.9, 1.0, 4.0, 0.1])
    found = echo_levels((magnitudes() * scale).astype(np.float32))
    np.testing.assert_allclose(found.levels, SIGMA * np.sqrt(2.0) * scale, rtol=0.02)


@pytest.mark.parametrize(
    "stack",
    [
        magnitudes()[:, :16, :16],
        np.where(magnitudes(sigma=0.1) > 50.0, magnitudes(), 0.0)[:, :16],
        np.zeros((16, 32, 32, 8)),
        magnitudes()[:2, :8, :8],
    ],
    ids=["only tissue", "background of zeros", "nothing", "few voxels"],
)
def test_without_air_there_are_no_levels(stack):
    assert echo_levels(stack) == (None, 0.0, 0)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError) as caught:
        echo_levels(magnitudes(), 0)
    assert caught.value.code == "E_ARGUMENT"


def test_one_largest_value_of_all_echoes():
    stack = magnitudes()
    assert shared_maximum(stack) is None  # a decay
    stored = np.round(4095.0 * stack / stack.reshape(-1, 8).max(axis=0))
    assert shared_maximum(stored) == 4095.0
    assert shared_maximum(np.minimum(stack, 5.0)) is None  # cut off: many voxels hold it
    assert shared_maximum(np.zeros((4, 4, 4, 8))) is None
    assert shared_maximum(np.full((2, 2, 2, 3), np.nan)) is None
