"""Maps: a quantity per voxel, with its doubt and its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError
from eprimg.model.grid import Grid
from eprimg.model.volume import read_only
from eprimg.quantities import Quantity

__all__ = ["ExternalMap", "QuantityMap", "echoes_of_map"]


@dataclass(frozen=True, eq=False, slots=True)
class QuantityMap:
    """One quantity per voxel.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        Values in the quantity's unit; NaN where ``valid`` is False.
    grid : Grid
        Where the voxels lie.
    quantity : Quantity
        What the values mean.
    valid : ndarray of bool, shape (k, j, i)
        False for a failed voxel.
    method : str
        How the values were made, in words that a reader can check.
    sources : tuple of str
        Keys of the series they were made from.
    standard_error : ndarray, optional
        Standard error per voxel, same unit.
    reason : ndarray of uint8, optional
        Reason code per voxel; see ``reason_words``.
    reason_words : Mapping of int to str
        Meaning of the reason codes.
    facts : Mapping
        What else the side-car should say (rule used, constants, candidates).
    details : Mapping of str to ndarray, shape (k, j, i)
        What else is known of each voxel of this very map (echoes used, residual, covariance); not
        written to disk and not carried to another grid.
    """

    values: npt.NDArray[Any]
    grid: Grid
    quantity: Quantity
    valid: npt.NDArray[np.bool_]
    method: str
    sources: tuple[str, ...] = ()
    standard_error: npt.NDArray[Any] | None = None
    reason: npt.NDArray[np.uint8] | None = None
    reason_words: Mapping[int, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shapes and that a failed voxel is never a number."""
        for name in ("values", "valid", "standard_error", "reason"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, self._fitting(array, name))
        kept = {name: self._fitting(array, name) for name, array in self.details.items()}
        object.__setattr__(self, "details", kept)

    def _fitting(self, array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
        if array.shape != self.grid.shape:
            raise GeometryError(
                f"the {name} of a map must have the shape of its grid",
                code="E_GEOM_MATRIX",
                value=(array.shape, self.grid.shape),
            )
        return read_only(array)

    def __repr__(self) -> str:
        """Short form: quantity, share of valid voxels and grid."""
        share = 100.0 * float(np.mean(self.valid))
        return f"QuantityMap({self.quantity.name}, {share:.1f} % valid, {self.grid!r})"


@dataclass(frozen=True, eq=False, slots=True)
class ExternalMap:
    """A map that was made elsewhere and is measured as a covariate.

    Parameters
    ----------
    key : str
        Name as a source of numbers, e.g. ``map_ktrans`` or ``map_r2_pre``.
    on : str
        Key of the series whose frame of reference, and registration, it shares.
    map : QuantityMap
        Values on their own grid; a voxel that is not finite is missing.
    phase : str
        ``pre``, ``post`` or empty.
    source_hash : str
        SHA-256 of the values.
    """

    key: str
    on: str
    map: QuantityMap
    phase: str = ""
    source_hash: str = ""


def echoes_of_map(r2star: QuantityMap | None, acquired_s: Sequence[float]) -> list[int]:
    """Return which of the acquired echoes an R2* map was fitted to.

    Parameters
    ----------
    r2star : QuantityMap or None
        The map; without one all echoes.
    acquired_s : sequence of float
        Echo times of the series in seconds.

    Returns
    -------
    list of int
        Positions, from 0.
    """
    fitted = None if r2star is None else r2star.facts.get("echo_times_s")
    if fitted is None:
        return list(range(len(acquired_s)))
    return [n for n, time in enumerate(acquired_s) if time in fitted]
