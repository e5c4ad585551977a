"""Which values of a series are compared in a registration: one per voxel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eprimg.model.study import Series
from eprimg.model.volume import EchoStack, Volume

__all__ = ["CONTRASTS", "comparable_volume"]

CONTRASTS = ("first-echo", "s0", "rss")
"""Values of ``register.moving_contrast``."""

_LARGEST_S0 = 4.0
"""Share of the first echo above which an extrapolation is noise."""


def comparable_volume(series: Series, contrast: str = "first-echo") -> Volume:
    """Return one value per voxel of a series.

    Parameters
    ----------
    series : Series
        MR with echoes, PET with or without frames, or CT.
    contrast : str
        Of echoes: ``first-echo`` (the shortest, least contrast of the agent), ``s0`` (signal at
        echo time 0) or ``rss`` (root of the mean square of all echoes).

    Returns
    -------
    Volume
        3-D; frames of a dynamic PET are averaged.

    Notes
    -----
    S0 is the weighted regression of the logarithm on the echo time, with the squared signal for
    weight, held between 1 and 4 times the first echo.  It serves the comparison alone.
    """
    if isinstance(series.pixels, EchoStack):
        volume = series.pixels.volume
        if contrast == "rss":
            values = np.sqrt((volume.data.astype(np.float64) ** 2).mean(axis=-1))
        elif contrast == "s0" and volume.data.shape[-1] > 1:
            values = _at_time_zero(volume.data, np.array(series.pixels.echo_times_s))
        else:
            values = volume.data[..., 0]
        data = np.ascontiguousarray(values, dtype=volume.data.dtype)
        return Volume(data, volume.grid, volume.quantity)
    volume = series.pixels
    if volume.data.ndim == 4:
        return Volume(volume.data.mean(axis=-1), volume.grid, volume.quantity)
    return volume


def _at_time_zero(
    signal: npt.NDArray[np.floating], times_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    out = np.empty(signal.shape[:-1])
    for k in range(signal.shape[0]):  # a slice at a time: the logarithms are as large as the series
        y = signal[k].astype(np.float64)
        weight = y * y
        log = np.log(np.where(y > 0, y, 1.0))
        s0, s1, s2 = weight.sum(axis=-1), weight @ times_s, weight @ times_s**2
        m0, m1 = (weight * log).sum(axis=-1), (weight * log) @ times_s
        spread = s0 * s2 - s1 * s1
        ok = spread > 1e-9 * s0 * s2
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = np.exp(np.where(ok, (s2 * m0 - s1 * m1) / spread, 0.0))
        first = y[..., 0]
        # A voxel that is not a number stays one: the engine refuses it by name.
        spoilt = np.where(np.isfinite(spread), 0.0, np.nan)
        out[k] = np.where(ok, np.clip(found, first, _LARGEST_S0 * first), first) + spoilt
    return out
