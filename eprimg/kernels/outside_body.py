"""Whether a voxel lies in the air around the body, on one slice of a signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import InputError

__all__ = ["lies_outside_body"]

_DARK = 0.05
"""Air is darker than this part of the bright tissue (99th percentile of the volume)."""
_BRIGHT = 99.0
_LOOKED_AT = 100_000
"""So many voxels, evenly spread, are enough for a percentile."""


def lies_outside_body(values: NDArray[np.floating[Any]], index: Sequence[int]) -> bool:
    """Tell whether a voxel lies in the air around the body.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        Magnitude signal, any unit.
    index : sequence of int
        Voxel (k, j, i).

    Returns
    -------
    bool
        True when the voxel belongs to a dark part of its slice (fixed k) that reaches the border
        of the slice, or has no value.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: shape, or a voxel outside the volume.

    Notes
    -----
    Dark is a signal, averaged over 3 x 3 voxels of the slice, below 5 % of the 99th percentile of
    the volume.  A dark organ, a dark lesion or gas inside the body does not reach the border
    through dark voxels, so it does not count as air.  The 5 % are a house rule: air holds nothing
    but noise, so the rule needs bright tissue at some 20 times the noise.  On a volume without air
    no voxel is dark enough.
    """
    place = tuple(int(c) for c in index)
    if values.ndim != 3 or len(place) != 3:
        raise _refuse(values.shape, "one volume and one voxel with the axes (k, j, i) are needed")
    if not all(0 <= c < n for c, n in zip(place, values.shape, strict=True)):
        raise _refuse(place, "the voxel lies inside the volume")
    k, j, i = place
    if not np.isfinite(values[k, j, i]):
        return True
    step = max(1, round((values.size / _LOOKED_AT) ** (1 / 3)))
    some = values[::step, ::step, ::step]
    some = some[np.isfinite(some)]
    if not some.size:
        return True
    limit = _DARK * float(np.percentile(some, _BRIGHT))
    plane = np.nan_to_num(np.asarray(values[k], dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    dark = ndimage.uniform_filter(plane, 3, mode="nearest") < limit
    if not dark[j, i]:
        return False
    parts, _ = ndimage.label(dark)
    own = parts[j, i]
    return bool(
        (parts[0] == own).any()
        or (parts[-1] == own).any()
        or (parts[:, 0] == own).any()
        or (parts[:, -1] == own).any()
    )


def _refuse(value: object, message: str) -> InputError:
    return InputError(
        message,
        code="E_ARGUMENT",
        where="index",
        value=value,
        action="give voxel indices (k, j, i)",
    )
