"""What a person gives to help the alignment: transforms, pairs of landmarks, masks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import read_only

__all__ = ["GivenTransform", "HelpUse", "LandmarkPairs", "ManualHelp", "MetricMask"]

FloatArray = npt.NDArray[np.float64]


class HelpUse(StrEnum):
    """What given help is used for."""

    RESULT = "result"
    START = "start"
    CHECK = "check"


@dataclass(frozen=True, eq=False, slots=True)
class GivenTransform:
    """A transform that was found elsewhere.

    Parameters
    ----------
    transform : Transform
        From the fixed frame to the moving frame.
    source : str
        File name.
    sha256 : str
        Hash of the file.
    fixed, moving : str
        Keys of the two series that it was given for; empty when it joins whatever lies in its two
        frames (an object that was found in the folder).
    use : HelpUse
        ``result`` or ``start``.
    """

    transform: Transform
    source: str
    sha256: str
    fixed: str = ""
    moving: str = ""
    use: HelpUse = HelpUse.RESULT


@dataclass(frozen=True, eq=False, slots=True)
class LandmarkPairs:
    """The same anatomical points in two series.

    Parameters
    ----------
    fixed, moving : str
        Keys of the two series.
    fixed_mm, moving_mm : ndarray, shape (n, 3)
        LPS mm in the frame of either series.
    use : HelpUse
        ``result``: the fit is the registration; ``start``: the search begins there; ``check``: only
        the distances are reported.
    names : tuple of str
        Names of the pairs; may be empty.
    source : str
        File that they came from.
    """

    fixed: str
    moving: str
    fixed_mm: FloatArray
    moving_mm: FloatArray
    use: HelpUse = HelpUse.CHECK
    names: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Validate and freeze."""
        first = np.array(self.fixed_mm, dtype=np.float64)
        second = np.array(self.moving_mm, dtype=np.float64)
        good = first.ndim == 2 and first.shape == second.shape and first.shape[1:] == (3,)
        if not good or len(first) == 0 or not np.isfinite([first, second]).all():
            raise InputError(
                "landmarks are pairs of finite points with three numbers each",
                code="E_LANDMARKS",
                where=self.source,
                value=(first.shape, second.shape),
                action="give as many fixed_mm as moving_mm",
            )
        object.__setattr__(self, "fixed_mm", read_only(first))
        object.__setattr__(self, "moving_mm", read_only(second))


@dataclass(frozen=True, eq=False, slots=True)
class MetricMask:
    """Where the similarity of two series is looked at.

    Parameters
    ----------
    on : str
        Key of the series on which it lies.
    inside : ndarray of bool, shape (k, j, i)
        True where voxels count.
    grid : Grid
        Where the voxels of the mask lie, in the frame of that series.
    source : str
        File name.
    """

    on: str
    inside: npt.NDArray[np.bool_]
    grid: Grid
    source: str = ""

    def __post_init__(self) -> None:
        """Validate and freeze."""
        inside = np.array(self.inside, dtype=bool)
        if inside.shape != self.grid.shape or not inside.any():
            raise InputError(
                "a mask for the alignment holds at least one voxel and has the shape of its grid",
                code="E_REGISTRATION_MASK",
                where=self.source,
                value=(inside.shape, int(inside.sum())),
                action="give a mask that covers the anatomy that both series show",
            )
        object.__setattr__(self, "inside", read_only(inside))


@dataclass(frozen=True, eq=False, slots=True)
class ManualHelp:
    """Everything that was given to help the alignments of a study.

    Parameters
    ----------
    transforms : tuple of GivenTransform
        Transforms from files.
    landmarks : tuple of LandmarkPairs
        Pairs of points.
    masks : tuple of MetricMask
        Masks for the metric.
    """

    transforms: tuple[GivenTransform, ...] = ()
    landmarks: tuple[LandmarkPairs, ...] = ()
    masks: tuple[MetricMask, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything was given."""
        return bool(self.transforms or self.landmarks or self.masks)

    def digest(self) -> str:
        """Hash everything that a number may depend on.

        Returns
        -------
        str
            SHA-256, or an empty text when nothing was given.
        """
        if not self:
            return ""
        hashed = hashlib.sha256()
        for each in self.transforms:
            hashed.update(f"{each.fixed} {each.moving} {each.use} {each.sha256}\n".encode())
        for pairs in self.landmarks:
            hashed.update(f"{pairs.fixed} {pairs.moving} {pairs.use}\n".encode())
            hashed.update(pairs.fixed_mm.tobytes() + pairs.moving_mm.tobytes())
        for mask in self.masks:
            hashed.update(f"{mask.on} {mask.grid.affine.tolist()} {mask.grid.shape}\n".encode())
            hashed.update(np.packbits(mask.inside).tobytes())
        return hashed.hexdigest()
