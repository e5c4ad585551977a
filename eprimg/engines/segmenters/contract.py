"""What a segmentation engine that takes volumes and prompts takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from eprimg.config import SegmentConfig, SegmentModelConfig
from eprimg.errors import GeometryError, InputError
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap
from eprimg.model.volume import read_only

__all__ = ["PointPrompt", "Prompts", "Segmenter", "SegmenterResult", "ShouldStop"]

ShouldStop = Callable[[], bool]
"""Asked between steps; True ends the work with ``E_CANCELLED``."""


@dataclass(frozen=True, slots=True)
class PointPrompt:
    """A click.

    Parameters
    ----------
    lps_mm : tuple of float
        Place in the frame of reference of the volumes.
    inside : bool
        True inside of what is wanted, False outside.
    """

    lps_mm: tuple[float, float, float]
    inside: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class Prompts:
    """What a person showed of what is wanted.

    Parameters
    ----------
    points : tuple of PointPrompt
        Clicks.
    boxes_lps_mm : tuple of pairs of points
        Two opposite corners each.
    scribble : ndarray of int8, shape (k, j, i), optional
        1 inside, -1 outside, 0 nothing, on the grid of the volumes.
    """

    points: tuple[PointPrompt, ...] = ()
    boxes_lps_mm: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()
    scribble: npt.NDArray[np.int8] | None = None

    def __post_init__(self) -> None:
        """Check and freeze."""
        places = [p.lps_mm for p in self.points] + [c for box in self.boxes_lps_mm for c in box]
        if any(len(place) != 3 or not np.isfinite(place).all() for place in places):
            raise InputError(
                "points and corners are three finite numbers (LPS mm)",
                code="E_ARGUMENT",
                where="prompts",
            )
        if self.scribble is not None:
            if not np.isin(self.scribble, (-1, 0, 1)).all():
                raise InputError(
                    "a scribble holds 1, 0 and -1 only", code="E_ARGUMENT", where="prompts"
                )
            object.__setattr__(self, "scribble", read_only(self.scribble))

    def __bool__(self) -> bool:
        """Tell whether anything was shown."""
        scribbled = self.scribble is not None and bool(np.any(self.scribble))
        return bool(self.points or self.boxes_lps_mm) or scribbled

    def for_grid(self, grid: Grid) -> dict[str, Any]:
        """Put points and boxes into plain records for a program.

        Parameters
        ----------
        grid : Grid
            Grid of the volumes.

        Returns
        -------
        dict
            ``points`` and ``boxes`` with ``lps_mm`` and ``index_ijk`` (fractions, i fastest, as in
            the NIfTI file that the program reads).

        Raises
        ------
        GeometryError
            ``E_GRID_MISMATCH`` when the scribble has another shape than the grid.
        """
        if self.scribble is not None and self.scribble.shape != grid.shape:
            raise GeometryError(
                "the scribble does not lie on the grid of the volumes",
                code="E_GRID_MISMATCH",
                where="prompts",
                value=(self.scribble.shape, grid.shape),
            )

        def place(lps_mm: Sequence[float]) -> dict[str, list[float]]:
            index = grid.lps_mm_to_index(lps_mm)[::-1]
            return {
                "lps_mm": [float(v) for v in lps_mm],
                "index_ijk": [round(float(v), 4) for v in index],
            }

        return {
            "points": [{**place(p.lps_mm), "inside": p.inside} for p in self.points],
            "boxes": [[place(corner) for corner in box] for box in self.boxes_lps_mm],
        }


@dataclass(frozen=True, eq=False, slots=True)
class SegmenterResult:
    """What an engine found.

    Parameters
    ----------
    regions : LesionSet
        On the grid of the volumes; everything new has the source ``candidate``.  Its settings say
        which weights (SHA-256) of which licence made it.
    meta : Mapping
        Seconds, peak memory in MB, last lines of the program.
    """

    regions: LesionSet
    meta: Mapping[str, object] = field(default_factory=dict)


class Segmenter(Protocol):
    """A model behind the entry-point group ``eprimg.segmenters`` that takes volumes."""

    name: str
    takes_volumes: bool
    """True; tells it from the engines that take an SUVbw map alone."""
    finds_lesions: bool
    """False for a model of organs."""

    def __init__(self, config: SegmentModelConfig, segment: SegmentConfig) -> None:
        """Keep the settings; nothing is run or read yet."""
        ...

    def segment(
        self,
        volumes: Sequence[QuantityMap],
        prompts: Prompts | None = None,
        *,
        should_stop: ShouldStop | None = None,
    ) -> SegmenterResult:
        """Find regions on volumes of one grid, in the order of the model's channels."""
        ...
