"""What is compared of a series: by formulas of the echoes."""

from __future__ import annotations

import numpy as np

from eprimg.model.grid import Grid
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages.register_contrast import CONTRASTS, comparable_volume

TIMES_S = (0.0012, 0.0036, 0.006)
GRID = Grid((2, 3, 4), np.eye(4), "1.2.3")
S0 = np.linspace(100.0, 900.0, 24).reshape(2, 3, 4)
R2STAR = np.linspace(20.0, 250.0, 24).reshape(2, 3, 4)


def echoes(data: np.ndarray) -> Series:
    volume = Volume(data.astype(np.float32), GRID, quantity("signal"))
    return Series("mr_post", Role.MR_POST, EchoStack(volume, TIMES_S), None)


def decay() -> np.ndarray:
    return S0[..., None] * np.exp(-np.array(TIMES_S) * R2STAR[..., None])


def test_the_default_is_the_shortest_echo_not_a_dark_late_one() -> None:
    found = comparable_volume(echoes(decay())).data
    np.testing.assert_allclose(found, S0 * np.exp(-0.0012 * R2STAR), rtol=1e-6)


def test_signal_at_echo_time_zero() -> None:
    np.testing.assert_allclose(comparable_volume(echoes(decay()), "s0").data, S0, rtol=1e-4)


def test_root_of_the_mean_square() -> None:
    expected = np.sqrt((decay() ** 2).mean(axis=-1))
    np.testing.assert_allclose(comparable_volume(echoes(decay()), "rss").data, expected, rtol=1e-6)


def test_noise_does_not_run_away() -> None:
    data = decay()
    data[0, 0, 0] = (10.0, 0.0, 0.0)  # nothing to extrapolate from
    data[0, 0, 1] = (0.0, 0.0, 0.0)
    data[0, 0, 2] = (10.0, 1e-3, 1e-3)  # falls steeply: 4 times the first echo at most
    data[0, 0, 3] = (10.0, 20.0, 40.0)  # rises: not below the first echo
    found = comparable_volume(echoes(data), "s0").data[0, 0]
    np.testing.assert_allclose(found, [10.0, 0.0, 40.0, 10.0], rtol=1e-4)


def test_one_echo_is_itself_whatever_is_asked() -> None:
    volume = Volume(decay()[..., :1].astype(np.float32), GRID, quantity("signal"))
    one = Series("mr_pre", Role.MR_PRE, EchoStack(volume, TIMES_S[:1]), None)
    for contrast in CONTRASTS:
        np.testing.assert_allclose(
            comparable_volume(one, contrast).data, volume.data[..., 0], rtol=1e-6
        )


def test_frames_of_a_dynamic_pet_are_averaged() -> None:
    frames = Volume(np.stack([S0, 3 * S0], axis=-1), GRID, quantity("activity"))
    found = comparable_volume(Series("pet", Role.PET, frames, None), "s0")
    np.testing.assert_allclose(found.data, 2 * S0)


def test_nan_stays_nan() -> None:
    data = decay()
    data[1, 1, 1] = np.nan
    for contrast in ("s0", "rss"):
        # The engine refuses a volume with a NaN; filling it here would hide that.
        found = comparable_volume(echoes(data), contrast).data
        assert np.isnan(found[1, 1, 1])
        assert np.isfinite(found[1, 1, 2])
