"""Air around a disc of tissue; every expected answer follows from where the disc was painted."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.outside_body import lies_outside_body


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    """Tissue of 1000 within 14 voxels of the middle, noise of about 10 around it, gas inside."""
    rng = np.random.default_rng(4)
    j, i = np.indices((40, 44)) - np.array([20, 22])[:, None, None]
    inside = j**2 + i**2 <= 14**2
    gas = (j - 3) ** 2 + i**2 <= 4**2
    plane = np.where(inside & ~gas, 1000.0, 0.0)
    noise = np.hypot(*rng.normal(0.0, 8.0, (2, 3, 40, 44)))
    return (np.broadcast_to(plane, (3, 40, 44)) + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("index", "outside"),
    [
        ((1, 2, 2), True),  # a corner
        ((0, 20, 4), True),  # 18 voxels beside the middle
        ((1, 20, 22), False),  # tissue
        ((1, 23, 22), False),  # gas: dark, but closed in by tissue
        ((2, 20, 10), False),  # tissue, 12 voxels beside the middle
    ],
)
def test_air_reaches_the_border_and_gas_does_not(volume, index, outside) -> None:
    assert lies_outside_body(volume, index) is outside
    assert lies_outside_body(37.0 * volume, index) is outside  # any unit


def test_a_volume_without_air_has_no_outside() -> None:
    tissue = np.full((2, 6, 7), 400.0)
    assert not lies_outside_body(tissue, (0, 0, 0))
    tissue[0, 0, 0] = np.nan
    assert lies_outside_body(tissue, (0, 0, 0))


@pytest.mark.parametrize("index", [(3, 0, 0), (0, -1, 0), (0, 0)])
def test_a_voxel_that_is_not_there_is_refused(volume, index) -> None:
    with pytest.raises(InputError) as caught:
        lies_outside_body(volume, index)
    assert caught.value.code == "E_ARGUMENT"
