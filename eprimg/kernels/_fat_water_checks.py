"""Checks of the arguments of the fat-water fit: use, or refuse with a code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError
from eprimg.kernels._fat_water_result import FatSpectrum
from eprimg.kernels._r2star_checks import argument_error, checked_mask, checked_times

__all__ = [
    "LARGEST_DOUBT_PERCENT",
    "checked_complex",
    "checked_echoes",
    "checked_field",
    "checked_level",
    "checked_mask",
    "checked_polar",
    "checked_reach",
    "checked_sign",
    "checked_smoothing",
    "checked_spectrum",
]

LARGEST_DOUBT_PERCENT = 5.0
"""Standard error of the fat fraction, at a signal-to-noise ratio of 50, 10 % fat and an R2* of
30 1/s, above which echo times are refused.  Usual trains have about one, in-phase echoes alone six
(3 T, 2.3 ms apart) or eight (1.5 T, 4.6 ms)."""

_FIELDS_T = (0.2, 12.0)
_TURN = 2.0 * np.pi


def checked_complex(signal: ArrayLike) -> NDArray[Any]:
    """Return the signal as complex64 or complex128; refuse magnitudes."""
    stack = np.asarray(signal)
    if stack.ndim == 0 or stack.dtype.kind != "c":
        raise argument_error(
            "the fat-water fit needs complex samples with an echo axis",
            "signal",
            f"{stack.dtype}, shape {stack.shape}",
            "join magnitude and phase with complex_echoes",
        )
    if stack.dtype not in (np.complex64, np.complex128):
        stack = stack.astype(np.complex128)
    return stack


def checked_echoes(echo_times_s: ArrayLike, n_echoes: int, least: int) -> NDArray[np.float64]:
    """Return the echo times; refuse too few."""
    times = checked_times(echo_times_s, n_echoes)
    if n_echoes < least:
        raise InputError(
            f"the fat-water fit needs {least} echoes or more: five unknowns per voxel leave too "
            "little to tell water from fat",
            code="E_ECHO",
            where="echo_times_s",
            value=times.tolist(),
            action="fit the magnitude of in-phase echoes with fit_r2star instead",
        )
    return times


def checked_field(field_strength_t: float) -> float:
    """Return the field strength in tesla."""
    value = float(field_strength_t)
    if not _FIELDS_T[0] <= value <= _FIELDS_T[1]:
        raise argument_error(
            "the field strength must lie between 0.2 and 12 T",
            "field_strength_t",
            field_strength_t,
            "give tesla, not gauss or megahertz",
        )
    return value


def checked_spectrum(spectrum: FatSpectrum) -> FatSpectrum:
    """Return the spectrum; refuse one that does not add up."""
    shift, share = np.asarray(spectrum.shift_ppm, float), np.asarray(spectrum.amplitude, float)
    good = shift.ndim == 1 and shift.shape == share.shape and shift.size > 0
    if not (
        good
        and np.all(np.isfinite(shift))
        and np.all(np.abs(shift) < 10.0)
        and np.all(share >= 0.0)
        and abs(share.sum() - 1.0) < 1e-6
    ):
        raise argument_error(
            "a fat spectrum needs one share per shift; shifts in ppm from water, shares that add "
            "up to one",
            "spectrum",
            tuple(spectrum),
            None,
        )
    return spectrum


def checked_sign(phase_sign: int) -> int:
    """Return 1 or -1."""
    if phase_sign not in (1, -1):
        raise argument_error("the sign of the phase is 1 or -1", "phase_sign", phase_sign, None)
    return int(phase_sign)


def checked_level(sigma: float | None) -> float | None:
    """Return the noise level."""
    if sigma is None:
        return None
    value = float(sigma)
    if not (np.isfinite(value) and value > 0.0):
        raise argument_error(
            "the noise must be finite and positive",
            "sigma",
            sigma,
            "give the standard deviation of the real part in the unit of the signal",
        )
    return value


def checked_reach(max_field_hz: float) -> float:
    """Return the largest field offset in Hz."""
    value = float(max_field_hz)
    if not (np.isfinite(value) and value > 0.0):
        raise argument_error(
            "the largest field offset must be positive", "max_field_hz", max_field_hz, None
        )
    return value


def checked_smoothing(
    neighbourhood_voxels: float | Sequence[float], axes: int
) -> tuple[float, ...] | None:
    """Return the width of the neighbourhood per leading axis, None where there is none."""
    given = np.atleast_1d(np.asarray(neighbourhood_voxels, dtype=np.float64))
    if given.size not in (1, axes) or not np.all(np.isfinite(given)) or np.any(given < 0.0):
        raise argument_error(
            "the neighbourhood is one number of voxels, or one per leading axis, not negative",
            "neighbourhood_voxels",
            given.tolist(),
            None,
        )
    if axes == 0 or not given.any():
        return None
    return tuple(float(x) for x in np.broadcast_to(given, (axes,)))


def checked_polar(magnitude: ArrayLike, phase_rad: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return magnitude and phase as floats; refuse a phase that is not in radians."""
    size, angle = np.asarray(magnitude), np.asarray(phase_rad)
    if size.shape != angle.shape:
        raise argument_error(
            "magnitude and phase must have one shape", "phase_rad", (size.shape, angle.shape), None
        )
    if size.dtype.kind not in "iuf" or angle.dtype.kind not in "iuf":
        raise argument_error(
            "magnitude and phase are real numbers",
            "phase_rad",
            (str(size.dtype), str(angle.dtype)),
            None,
        )
    exact = np.float64 in (size.dtype, angle.dtype)
    kind = np.float64 if exact else np.float32
    size, angle = size.astype(kind, copy=False), angle.astype(kind, copy=False)
    known = angle[np.isfinite(angle) & np.isfinite(size)]
    if np.any(size < 0.0):
        raise argument_error(
            "a magnitude cannot be negative", "magnitude", float(np.nanmin(size)), None
        )
    if known.size > 1:
        span = float(np.ptp(known))
        if span > 1.05 * _TURN or np.abs(known).max() > 1.05 * _TURN:
            raise argument_error(
                "the phase spans more than one turn, so it is not in radians",
                "phase_rad",
                (float(known.min()), float(known.max())),
                "apply rescale slope and intercept, and scale the full range to 2 pi",
            )
    return size, angle
