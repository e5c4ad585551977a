"""Expected numbers are counted by hand or taken from a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.metabolic_volume import background_adapted_threshold, metabolic_volume


def test_voxels_at_the_threshold_count():
    values = np.array([1.0, 2.0, 4.0, 6.0, np.nan])
    found = metabolic_volume(values, voxel_volume_ml=0.5, threshold=2.0)
    assert found == (1.5, 4.0, 6.0, 3, 2.0)  # (2 + 4 + 6) / 3 = 4, times 3 x 0.5 mL
    none = metabolic_volume(values, voxel_volume_ml=0.5, threshold=7.0)
    assert (none.volume_ml, none.total, none.n_voxels) == (0.0, 0.0, 0)
    assert math.isnan(none.mean)


def test_all_voxels_without_a_threshold_keep_their_sign():
    found = metabolic_volume(np.array([-1.0, 3.0]), voxel_volume_ml=2.0)
    assert (found.volume_ml, found.total) == (4.0, 4.0)
    part = metabolic_volume(
        np.array([-1.0, 3.0]), voxel_volume_ml=2.0, valid=np.array([True, False])
    )
    assert (part.volume_ml, part.total) == (2.0, -2.0)


def test_half_maximum_volume_of_a_gaussian():
    """exp(-r^2 / 2 s^2) is above one half within r = s sqrt(2 ln 2): a sphere."""
    s, step = 6.0, 0.25
    axis = np.arange(-15.0, 15.0 + step, step)
    r2 = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    found = metabolic_volume(
        np.exp(-r2 / (2 * s * s)), voxel_volume_ml=step**3 / 1000.0, threshold=0.5
    )
    radius = s * math.sqrt(2 * math.log(2))
    assert found.volume_ml == pytest.approx(4 / 3 * math.pi * radius**3 / 1000.0, rel=5e-3)


def test_half_way_between_background_and_maximum():
    assert background_adapted_threshold(10.0, 2.0) == pytest.approx(6.0)  # 0.5 (10 + 2)
    assert background_adapted_threshold(10.0, 2.0, fraction=0.41) == pytest.approx(5.28)


def test_bad_arguments_are_refused():
    values = np.ones(3)
    for call in (
        lambda: metabolic_volume(values, voxel_volume_ml=0.0),
        lambda: metabolic_volume(values, voxel_volume_ml=1.0, threshold=math.nan),
        lambda: background_adapted_threshold(1.0, 2.0),
        lambda: background_adapted_threshold(2.0, 1.0, fraction=0.0),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"
    with pytest.raises(GeometryError):
        metabolic_volume(values, voxel_volume_ml=1.0, valid=np.ones(2, bool))
