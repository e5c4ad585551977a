"""Complex echoes beside the magnitude of an echo train; read only when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError, InputError
from eprimg.model.acquisition import Known
from eprimg.model.grid import Grid
from eprimg.model.volume import EchoStack, read_only

if TYPE_CHECKING:  # a case holds series, which hold the source below
    from eprimg.model.case import StageResult

__all__ = ["ComplexEchoSource", "ComplexEchoStack"]


def _missing() -> Known[float]:
    return Known()


@dataclass(frozen=True, eq=False, slots=True)
class ComplexEchoStack:
    """Multi-echo complex signal on the grid of its magnitude.

    Parameters
    ----------
    data : ndarray of complex64, shape (k, j, i, n_echoes)
        Complex signal; its modulus has the scale of the magnitude series (or of the real part).
    grid : Grid
        Where the voxels lie.
    echo_times_s : tuple of float
        One strictly rising echo time per last-axis entry, in seconds.
    field_strength_t : Known[float]
        Field strength in tesla.
    made_from : str
        ``magnitude and phase`` or ``real and imaginary``.
    sign_convention : str
        What is known about the sense in which phase grows; scanners differ and most headers do
        not say, so a fit has to be given the sign or to find it.
    source_hash : str
        SHA-256 over instance UIDs, rescale and stored values of the phase (or real and imaginary)
        frames.
    """

    data: npt.NDArray[Any]
    grid: Grid
    echo_times_s: tuple[float, ...]
    field_strength_t: Known[float] = field(default_factory=_missing)
    made_from: str = "magnitude and phase"
    sign_convention: str = ""
    source_hash: str = ""

    def __post_init__(self) -> None:
        """Check shape, type and times, and freeze the array."""
        times = tuple(float(t) for t in self.echo_times_s)
        if self.data.shape != (*self.grid.shape, len(times)):
            raise GeometryError(
                "the array does not have the shape of its grid and echo times",
                code="E_GEOM_MATRIX",
                value=(self.data.shape, self.grid.shape, len(times)),
            )
        if not np.iscomplexobj(self.data):
            raise InputError("complex echoes are complex", code="E_PHASE", value=self.data.dtype)
        if any(t <= 0 or not np.isfinite(t) for t in times) or any(
            b <= a for a, b in pairwise(times)
        ):
            raise InputError(
                "echo times are positive and strictly rising", code="E_ECHO", value=times
            )
        object.__setattr__(self, "echo_times_s", times)
        object.__setattr__(self, "data", read_only(self.data))

    def __repr__(self) -> str:
        """Short form."""
        times = ", ".join(f"{1000 * t:g}" for t in self.echo_times_s)
        return (
            f"ComplexEchoStack({self.made_from}, {len(self.echo_times_s)} echoes at {times} ms, "
            f"{self.grid!r})"
        )


class ComplexEchoSource(Protocol):
    """Where complex echoes can be read from; holds names of files and no voxels."""

    @property
    def made_from(self) -> str:
        """``magnitude and phase`` or ``real and imaginary``."""

    def read(self, magnitude: EchoStack) -> StageResult[ComplexEchoStack]:
        """Read the complex echoes of a magnitude stack.

        Parameters
        ----------
        magnitude : EchoStack
            The stack that these echoes belong to, as the reader gave it.

        Returns
        -------
        StageResult of ComplexEchoStack
            On the grid and at the echo times of `magnitude`.

        Raises
        ------
        EprimgError
            When the scale of the phase is not stated, or grids or echoes differ.
        """
