"""Signal that a macroscopic field gradient through the slice takes from each echo, and its return.

The field of the magnet varies over centimetres (air, bone, a pump); within a slice the spins then
turn at different speeds and the magnitude falls faster than by R2* alone.  The loss depends on the
slice profile; it is not exponential and can be divided out while enough signal is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError

__all__ = [
    "LEAST_FACTOR",
    "Profile",
    "dephasing_factor",
    "rephased_echoes",
    "through_slice_gradient",
    "usable_echoes",
]

Profile = Literal["rectangular", "gaussian", "table"]

LEAST_FACTOR = 0.3
"""An echo that keeps less of its signal is not used: dividing by less multiplies noise, and the
error of the gradient, more than threefold, and near a zero of the factor without bound.  House
rule, not published."""

_Floats = NDArray[np.float64]


def _argument(message: str, where: str, value: object) -> InputError:
    return InputError(message, code="E_ARGUMENT", where=where, value=value)


def through_slice_gradient(
    field_hz: ArrayLike, *, slice_step_mm: float, period_hz: float | None = None
) -> _Floats:
    """Slope of a field map from slice to slice, by central differences.

    Parameters
    ----------
    field_hz : array-like of float, shape (k, j, i)
        Offset of the resonance in Hz; NaN where it is not known.
    slice_step_mm : float
        Distance of slice centres along k in mm.
    period_hz : float, optional
        The field is known up to multiples of this (one over the echo spacing); steps between
        neighbouring slices are then taken to the nearest.

    Returns
    -------
    ndarray of float64, shape (k, j, i)
        In Hz/mm along rising k.  In a first or last slice, and beside an unknown voxel, the
        difference to the one neighbour that is known; NaN without any, or where the voxel itself is
        unknown.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for another shape or for a step or period that is not positive.

    Notes
    -----
    ``g = (f[k+1] - f[k-1]) / (2 dz)``.  Exact for a field that is quadratic in z.
    """
    field = np.asarray(field_hz, dtype=np.float64)
    if field.ndim != 3:
        raise _argument("a field map has three axes", "field_hz", field.shape)
    if not (math.isfinite(slice_step_mm) and slice_step_mm > 0.0):
        raise _argument("the slice step is positive", "slice_step_mm", slice_step_mm)
    if period_hz is not None and not (math.isfinite(period_hz) and period_hz > 0.0):
        raise _argument("the period is positive", "period_hz", period_hz)
    gradient = np.full(field.shape, np.nan)
    if field.shape[0] < 2:
        return gradient
    step = np.diff(field, axis=0)
    if period_hz is not None:
        step -= period_hz * np.round(step / period_hz)
    step /= slice_step_mm
    outside = np.full((1, *field.shape[1:]), np.nan)
    below, above = np.concatenate([outside, step]), np.concatenate([step, outside])
    both = np.isfinite(below) & np.isfinite(above)
    gradient = np.where(both, 0.5 * (below + above), np.where(np.isfinite(below), below, above))
    return np.asarray(np.where(np.isfinite(field), gradient, np.nan))


def dephasing_factor(
    gradient_hz_per_mm: ArrayLike,
    echo_times_s: ArrayLike,
    *,
    thickness_mm: float,
    profile: Profile = "rectangular",
    table: Sequence[float] = (),
) -> _Floats:
    r"""Part of the magnitude that is left at each echo under a linear field through the slice.

    Parameters
    ----------
    gradient_hz_per_mm : array-like of float, shape (...)
        Field gradient through the slice.
    echo_times_s : array-like of float, shape (n_echoes,)
        Echo times.
    thickness_mm : float
        Rectangular: width of the slice.  Gaussian: full width at half maximum.  Table: distance
        from its first to its last sample.
    profile : {"rectangular", "gaussian", "table"}
        Shape of the excited slice.
    table : sequence of float
        Amplitudes of the slice profile (transverse magnetisation) at even steps, joined by straight
        lines; three or more, with a sum above zero.

    Returns
    -------
    ndarray of float64, shape (..., n_echoes)
        Between 0 and 1; NaN where the gradient is.

    Raises
    ------
    InputError
        ``E_ARGUMENT``.

    Notes
    -----
    The factor is the magnitude of the Fourier transform of the slice profile ``p(z)``,

    .. math:: F(TE) = \left| \int p(z) e^{-2 \pi i g z TE} dz \right| / \int p(z) dz .

    Rectangular, width d: ``|sin(pi g d TE) / (pi g d TE)|`` [1]_; Gaussian of full width d:
    ``exp(-(pi g d TE)^2 / (4 ln 2))``; table: integrated exactly between its samples.

    It takes for granted that the field is linear within the slice, that R2* and the amount of
    tissue do not change there, and that the read-out does not shift the echo.  A slice is never a
    perfect box: with the measured profile the correction is better than with a sinc (ISMRM 2016,
    2821).  Partitions of a 3-D acquisition have no slice profile in this sense.

    References
    ----------
    .. [1] Fernandez-Seara MA, Wehrli FW. Magnetic Resonance in Medicine 2000;44:358.  See also
       Yablonskiy DA, Haacke EM. Magnetic Resonance in Medicine 1994;32:749, and Dahnke H,
       Schaeffter T. Magnetic Resonance in Medicine 2005;53:1202.
    """
    gradient = np.asarray(gradient_hz_per_mm, dtype=np.float64)
    times = np.asarray(echo_times_s, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or (times < 0.0).any():
        raise _argument("echo times are a list of seconds", "echo_times_s", times.tolist())
    if not (math.isfinite(thickness_mm) and thickness_mm > 0.0):
        raise _argument("the slice thickness is positive", "thickness_mm", thickness_mm)
    cycles = gradient[..., None] * times * thickness_mm
    if profile == "rectangular":
        return np.asarray(np.abs(np.sinc(cycles)))
    if profile == "gaussian":
        return np.asarray(np.exp(-((np.pi * cycles) ** 2) / (4.0 * math.log(2.0))))
    if profile != "table":
        raise _argument("no such slice profile", "profile", profile)
    return _of_table(cycles, table)


def _of_table(cycles: _Floats, table: Sequence[float]) -> _Floats:
    """Transform of straight lines between even samples: a sum of triangles, less half at the ends.

    Every inner sample is a triangle of two steps, whose transform is a squared sinc; the two outer
    ones are half triangles.
    """
    heights = np.asarray(table, dtype=np.float64)
    if heights.ndim != 1 or heights.size < 3 or not np.isfinite(heights).all():
        raise _argument("a slice profile has three or more finite samples", "table", list(table))
    steps = heights.size - 1
    area = (heights.sum() - 0.5 * (heights[0] + heights[-1])) / steps
    if not area > 0.0:
        raise _argument("the area of a slice profile is positive", "table", list(table))
    x = cycles / steps
    triangle = np.sinc(x) ** 2
    total = np.zeros(cycles.shape, dtype=np.complex128)
    for n, height in enumerate(heights):
        place = n / steps - 0.5
        if n in (0, steps):
            shape = _half_triangle(x)
            part = np.conj(shape) if n else shape
        else:
            part = triangle
        total += height * part * np.exp(-2j * np.pi * cycles * place)
    return np.asarray(np.abs(total) / (steps * area))


def _half_triangle(x: _Floats) -> NDArray[np.complex128]:
    """Transform of ``1 - u`` on 0..1 at the frequency x (conjugate: of its mirror image)."""
    w = 2.0 * np.pi * x
    small = np.abs(w) < 1e-3
    safe = np.where(small, 1.0, w)
    exact = (1.0 - 1j * safe - np.exp(-1j * safe)) / safe**2
    series = 0.5 - 1j * w / 6.0 - w**2 / 24.0
    return np.asarray(np.where(small, series, exact))


def usable_echoes(factor: ArrayLike, *, least: float = LEAST_FACTOR) -> NDArray[np.int16]:
    """Count the leading echoes that keep enough signal to be corrected.

    Parameters
    ----------
    factor : array-like of float, shape (..., n_echoes)
        From `dephasing_factor`.
    least : float
        An echo with a smaller factor ends the count: behind the first zero of a sinc the factor
        rises again, but signal and sign are lost.

    Returns
    -------
    ndarray of int16, shape (...)
        0 where the factor is NaN.
    """
    with np.errstate(invalid="ignore"):
        enough = np.asarray(factor) >= least
    return np.asarray(np.cumprod(enough, axis=-1).sum(axis=-1), dtype=np.int16)


def rephased_echoes(signal: ArrayLike, factor: ArrayLike) -> NDArray[np.floating]:
    """Divide echoes by the part of them that dephasing has left.

    Parameters
    ----------
    signal : array-like of float, shape (..., n_echoes)
        Magnitude.
    factor : array-like of float, same shape
        From `dephasing_factor`.

    Returns
    -------
    ndarray, shape (..., n_echoes)
        In the type of the signal (float32 or float64); NaN where the factor is NaN or zero.

    Notes
    -----
    Noise is divided too: its standard deviation at an echo grows by one over the factor.
    """
    samples = np.asarray(signal)
    dtype = np.float64 if samples.dtype == np.float64 else np.float32
    divisor = np.asarray(factor, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(divisor > 0.0, samples / divisor, np.nan)
    return np.asarray(found, dtype=dtype)
