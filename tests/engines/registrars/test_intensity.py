"""Values made comparable: clipping, root, window, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.registrars.intensity import comparable_values
from eprimg.engines.registrars.rigid_settings import IntensitySettings
from eprimg.errors import InputError
from eprimg.model.grid import Grid
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

RULES = IntensitySettings(0.0, 1.0, True, -1000.0, 1000.0)


def volume(values: np.ndarray, key: str) -> Volume:
    return Volume(values, Grid(values.shape[:3], np.eye(4), "1.2.3"), quantity(key))


def ramp() -> np.ndarray:
    return np.arange(125, dtype=np.float32).reshape(5, 5, 5)


def test_activity_is_the_root_and_negative_values_count_as_none() -> None:
    values = comparable_values(volume(ramp() - 16.0, "activity"), RULES)
    # By hand: sqrt(0) for everything up to 16, then sqrt(1), ... sqrt(108).
    np.testing.assert_allclose(values.ravel(), np.sqrt(np.clip(np.arange(125) - 16.0, 0, None)))


def test_signal_starts_at_zero_and_loses_its_tail() -> None:
    rules = IntensitySettings(0.2, 0.8, True, -1000.0, 1000.0)
    values = comparable_values(volume(ramp() + 100.0, "signal"), rules)
    # Quantiles of 100..224 at 0.2 and 0.8: 124.8 and 199.2.
    assert values.min() == 0.0
    assert values.max() == pytest.approx(199.2 - 124.8, abs=1e-3)


def test_ct_is_clipped_to_its_window() -> None:
    values = comparable_values(volume(ramp() * 50.0 - 3000.0, "hounsfield"), RULES)
    assert (values.min(), values.max()) == (0.0, 2000.0)


def test_few_bright_voxels_still_count() -> None:
    values = np.zeros((5, 5, 5), np.float32)
    values[2, 2, 2] = 7.0
    rules = IntensitySettings(0.05, 0.95, True, -1000.0, 1000.0)
    assert comparable_values(volume(values, "signal"), rules).max() == 7.0


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.full((5, 5, 5), 3.0, np.float32), "E_CONSTANT"),
        (np.where(ramp() == 7, np.nan, ramp()), "E_REGISTRATION_VALUES"),
        (np.where(ramp() == 7, np.inf, ramp()), "E_REGISTRATION_VALUES"),
        (ramp()[:3], "E_REGISTRATION_SMALL"),
        (np.zeros((5, 5, 5, 2), np.float32), "E_REGISTRATION_SMALL"),
    ],
)
def test_unusable_volumes_are_refused(values: np.ndarray, code: str) -> None:
    with pytest.raises(InputError) as caught:
        comparable_values(volume(values, "signal"), RULES, what="mr_pre")
    assert caught.value.code == code
    assert caught.value.where == "mr_pre"


def test_the_input_is_not_changed() -> None:
    values = ramp()
    comparable_values(volume(values, "activity"), RULES)
    np.testing.assert_array_equal(values, ramp())
