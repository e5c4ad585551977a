"""Transforms between frames of reference, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError

__all__ = ["Registration", "Transform"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Transform:
    """An affine map of points from one frame of reference to another.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        Maps LPS mm of ``from_frame`` (fixed) to LPS mm of ``to_frame`` (moving).
    from_frame, to_frame : str
        Frames of reference.
    """

    matrix: FloatArray
    from_frame: str
    to_frame: str

    def __post_init__(self) -> None:
        """Validate and freeze."""
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("a transform is a finite 4 x 4 matrix", code="E_TRANSFORM")
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
            raise GeometryError("a transform must be invertible", code="E_TRANSFORM")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls, from_frame: str, to_frame: str | None = None) -> Transform:
        """Transform that leaves every point where it is.

        Parameters
        ----------
        from_frame : str
            Frame of reference that points come from.
        to_frame : str, optional
            Frame that they go to; the same one by default.

        Returns
        -------
        Transform
            The identity.
        """
        return cls(np.eye(4), from_frame, from_frame if to_frame is None else to_frame)

    def apply(self, points_mm: npt.ArrayLike) -> FloatArray:
        """Map points.

        Parameters
        ----------
        points_mm : array_like, shape (..., 3)
            LPS mm in ``from_frame``.

        Returns
        -------
        ndarray, shape (..., 3)
            LPS mm in ``to_frame``.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        return np.asarray(points @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    def inverse(self) -> Transform:
        """Return the transform that goes back.

        Returns
        -------
        Transform
            From ``to_frame`` to ``from_frame``.
        """
        inverse = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        return Transform(inverse, self.to_frame, self.from_frame)

    def then(self, following: Transform) -> Transform:
        """Apply this transform first and another one after it.

        Parameters
        ----------
        following : Transform
            Starts in the frame where this one ends.

        Returns
        -------
        Transform
            The composed transform.

        Raises
        ------
        GeometryError
            ``E_FOR`` when the frames do not join.
        """
        if following.from_frame != self.to_frame:
            raise GeometryError(
                "transforms compose only when the first one ends where the second one starts",
                code="E_FOR",
                value=(self.to_frame, following.from_frame),
            )
        return Transform(following.matrix @ self.matrix, self.from_frame, following.to_frame)

    def __repr__(self) -> str:
        """Short form: frames, shift and rotation angle."""
        shift = np.linalg.norm(self.matrix[:3, 3])
        cosine = np.clip((np.trace(self.matrix[:3, :3]) - 1) / 2, -1, 1)
        angle = np.degrees(np.arccos(cosine))
        return (
            f"Transform(...{self.from_frame[-6:]} to ...{self.to_frame[-6:]}, "
            f"|t| {shift:.2f} mm, {angle:.2f} degrees)"
        )


@dataclass(frozen=True, eq=False, slots=True)
class Registration:
    """A transform with the way it was found and its quality figures.

    Parameters
    ----------
    fixed, moving : str
        Keys of the two series.
    transform : Transform
        From the fixed frame to the moving frame.
    engine : str
        ``identity``, or name and version of the engine.
    settings : Mapping
        Settings that reproduce the result.
    qc : Mapping
        Named quality figures with the unit in the name, e.g. ``moved_mm``.
    accepted : bool
        False when the check failed: voxel maps that need it are not made.
    note : str
        The check's outcome in one sentence.
    doubts : tuple of str
        Reasons to doubt it although it was accepted; a tier that rests on it is withheld.
    rejected : bool
        The check accepted it, but a person did not (``register.reject``); then ``accepted`` is
        False.
    """

    fixed: str
    moving: str
    transform: Transform
    engine: str
    settings: Mapping[str, object] = field(default_factory=dict)
    qc: Mapping[str, float] = field(default_factory=dict)
    accepted: bool = True
    note: str = ""
    doubts: tuple[str, ...] = ()
    rejected: bool = False
