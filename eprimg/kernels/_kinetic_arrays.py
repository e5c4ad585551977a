"""Shapes, faults and weights that the kinetic quantities share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from enum import IntEnum
from numbers import Integral
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError

_SAMPLES = 1_000_000
"""Samples handled at once, so that the work beside input and outputs stays small."""


class KineticReason(IntEnum):
    """Why a voxel or lesion has no value; `KINETIC_REASON_TEXT` says it in words."""

    OK = 0
    NON_FINITE = 1
    NON_POSITIVE = 2
    BAD_ERROR = 3
    DENOMINATOR_UNCERTAIN = 4
    TAIL_RISES = 5


KINETIC_REASON_TEXT: Mapping[KineticReason, str] = MappingProxyType(
    {
        KineticReason.OK: "formed",
        KineticReason.NON_FINITE: "a value is NaN or infinite",
        KineticReason.NON_POSITIVE: "a value that has to be divided by, or taken the logarithm of, "
        "is zero or negative",
        KineticReason.BAD_ERROR: "a standard deviation or standard error is out of range",
        KineticReason.DENOMINATOR_UNCERTAIN: "the early value is too small against its standard "
        "error for a ratio",
        KineticReason.TAIL_RISES: "the last points do not fall, so an exponential through them has "
        "no finite area",
    }
)
"""One plain sentence per reason code."""


def argument(message: str, where: str, value: object) -> InputError:
    """Make the error for an argument that cannot be used."""
    return InputError(message, code="E_ARGUMENT", where=where, value=value)


def too_few(message: str, n_points: int) -> InputError:
    """Make the error for time points that do not give the quantity."""
    return InputError(
        message,
        code="E_KINETICS",
        where="times_s",
        value=f"{n_points} scans",
        action="Add scans, or use a quantity that needs fewer of them.",
    )


def require_together(name: str, first: object, other_name: str, second: object) -> None:
    """Refuse one of two arguments that make sense together only."""
    if (first is None) != (second is None):
        raise argument("give both arguments, or none", f"{name}, {other_name}", None)


def require_whole(value: object, where: str) -> None:
    """Refuse what is no whole number; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise argument("give a whole number", where, value)


def broadcast(*items: ArrayLike | None) -> tuple[list[NDArray[np.float64]], np.dtype[Any]]:
    """Give all items as float64 in one shape, None as NaN; and the dtype of the answer."""
    arrays = [np.asarray(math.nan if item is None else item) for item in items]
    for array in arrays:
        if array.dtype.kind not in "iuf":
            raise argument("values must be real numbers", "values", str(array.dtype))
    kinds = {array.dtype for array in arrays if array.ndim > 0}
    dtype = np.dtype(np.float32 if kinds == {np.dtype(np.float32)} else np.float64)
    try:
        same = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = [array.shape for array in arrays]
        raise argument("the shapes do not fit together", "values", shapes) from None
    return [np.asarray(array, dtype=np.float64) for array in same], dtype


def series(
    activity: ArrayLike, times_s: ArrayLike, sd: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[Any], np.dtype[Any]]:
    """Check a series: activities (..., n), times (n,), standard deviations (..., n), dtype."""
    values = np.asarray(activity)
    if values.ndim == 0 or values.dtype.kind not in "iuf":
        raise argument(
            "activities must be real numbers with the scans on the last axis",
            "activity",
            (str(values.dtype), values.shape),
        )
    times = np.asarray(times_s, dtype=np.float64)
    rising = times.ndim == 1 and bool(np.all(np.isfinite(times)) and np.all(np.diff(times) > 0.0))
    if not rising or times.size != values.shape[-1] or np.any(times < 0.0):
        raise argument(
            f"each of the {values.shape[-1]} scans needs a time; they must be finite, not negative "
            "and rise strictly",
            "times_s",
            times.tolist(),
        )
    spread = np.asarray(math.nan if sd is None else sd)
    try:
        spread = np.broadcast_to(spread, values.shape)
    except ValueError:
        raise argument("the shape must fit the activities", "sd", spread.shape) from None
    dtype = np.dtype(np.float32 if values.dtype == np.float32 else np.float64)
    return values, times, spread, dtype


def faults(
    values: tuple[NDArray[np.float64], ...], errors: tuple[NDArray[np.float64], ...] = ()
) -> NDArray[np.uint8]:
    """Reason of each element; an error that is NaN is unknown, not a fault."""
    reason = np.zeros(values[0].shape, np.uint8)
    for error in errors:
        reason[(error < 0.0) | np.isinf(error)] = KineticReason.BAD_ERROR
    for value in values:
        reason[~np.isfinite(value)] = KineticReason.NON_FINITE
    return reason


def series_faults(
    values: NDArray[np.float64], errors: NDArray[np.float64], *, needed: bool
) -> NDArray[np.uint8]:
    """Reason of each curve; `needed` errors are weights, so they must be known and positive."""
    bad = ~(errors > 0.0) | np.isinf(errors) if needed else (errors < 0.0) | np.isinf(errors)
    reason = np.zeros(values.shape[:-1], np.uint8)
    reason[np.any(bad, axis=-1)] = KineticReason.BAD_ERROR
    reason[~np.all(np.isfinite(values), axis=-1)] = KineticReason.NON_FINITE
    return reason


def given(
    reason: NDArray[np.uint8], dtype: np.dtype[Any], *results: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Results in the wanted type, NaN wherever there is a reason."""
    bad = reason != KineticReason.OK
    return tuple(np.where(bad, np.nan, result).astype(dtype) for result in results)


def blocks(shape: tuple[int, ...], n_samples: int) -> Iterator[tuple[slice, ...]]:
    """Cut the longest axis so that a block holds a bounded number of samples."""
    if not shape:
        yield ()
        return
    axis = int(np.argmax(shape))
    rest = max(1, math.prod(shape) // max(shape[axis], 1) * n_samples)
    step = max(1, _SAMPLES // rest)
    for start in range(0, shape[axis], step):
        yield (*(slice(None),) * axis, slice(start, start + step))
