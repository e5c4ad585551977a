"""Transforms between frames of reference, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError
from eprimg.model.displacement import Displacement

__all__ = ["Registration", "Transform", "Verdict"]

FloatArray = npt.NDArray[np.float64]

_INVERSE_STEPS = 60
_INVERSE_TOLERANCE_MM = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class Transform:
    """A map of points from one frame of reference to another: affine, and bent if need be.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        Maps LPS mm of ``from_frame`` (fixed) to LPS mm of ``to_frame`` (moving).
    from_frame, to_frame : str
        Frames of reference.
    displacement : Displacement, optional
        Shift ``u`` in ``from_frame`` that comes first: a point ``p`` goes to ``matrix (p + u(p))``.
    """

    matrix: FloatArray
    from_frame: str
    to_frame: str
    displacement: Displacement | None = None

    def __post_init__(self) -> None:
        """Validate and freeze."""
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("a transform is a finite 4 x 4 matrix", code="E_TRANSFORM")
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
            raise GeometryError("a transform must be invertible", code="E_TRANSFORM")
        bend = self.displacement
        if bend is not None and bend.grid.frame_of_reference != self.from_frame:
            raise GeometryError(
                "the displacement lies in another frame than the one that the transform starts in",
                code="E_FOR",
                value=(bend.grid.frame_of_reference, self.from_frame),
            )
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
        if self.displacement is not None:
            points = points + self.displacement.at(points)
        return np.asarray(points @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    @property
    def is_affine(self) -> bool:
        """True when the matrix tells everything."""
        return self.displacement is None

    def inverse(self) -> Transform:
        """Return the transform that goes back.

        Returns
        -------
        Transform
            From ``to_frame`` to ``from_frame``.

        Raises
        ------
        GeometryError
            ``E_TRANSFORM`` when the displacement folds space, so that nothing leads back;
            ``E_GEOM_SHEAR`` when a bent transform has a matrix that shears.

        Notes
        -----
        The inverse of a displacement is found node by node with the fixed-point iteration of Chen
        et al., Med Phys 2008;35:81, doi 10.1118/1.2816107, to 1e-3 mm.  Where the field jumps to
        zero at its border there is no exact inverse.
        """
        inverse = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        bend = self.displacement
        if bend is None:
            return Transform(inverse, self.to_frame, self.from_frame)
        grid = bend.widened(bend.largest_mm)
        back = Displacement(np.zeros((*grid.shape, 3), dtype=np.float32), grid)
        nodes = back.nodes_mm()
        shift = np.zeros_like(nodes)
        change = np.inf
        for _ in range(_INVERSE_STEPS):
            following = -bend.at(nodes + shift)
            # The border is a jump of the field: points that it throws in and out never settle.
            moved = np.abs(following - shift).max(axis=-1)
            shift = following
            change = float(np.quantile(moved, 0.99))
            if moved.max() < _INVERSE_TOLERANCE_MM:
                break
        if change > 0.1:
            raise GeometryError(
                "the displacement folds space onto itself, so it cannot be undone",
                code="E_TRANSFORM",
                value=f"{change:.2f} mm left",
                action="use a stiffer deformable registration, or the rigid one",
            )
        back = Displacement(shift.astype(np.float32), grid).moved(self.matrix, self.to_frame)
        return Transform(inverse, self.to_frame, self.from_frame, back)

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
        matrix = following.matrix @ self.matrix
        bend = self.displacement
        if following.displacement is not None:
            back = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
            second = following.displacement.moved(back, self.from_frame)
            if bend is None:
                bend = second
            else:
                grid = bend.covering(second.grid)
                nodes = Displacement(np.zeros((*grid.shape, 3), dtype=np.float32), grid).nodes_mm()
                first = bend.at(nodes)
                both = first + second.at(nodes + first)
                bend = Displacement(both.astype(np.float32), grid)
        return Transform(matrix, self.from_frame, following.to_frame, bend)

    def __repr__(self) -> str:
        """Short form: frames, shift and rotation angle."""
        shift = np.linalg.norm(self.matrix[:3, 3])
        cosine = np.clip((np.trace(self.matrix[:3, :3]) - 1) / 2, -1, 1)
        angle = np.degrees(np.arccos(cosine))
        return (
            f"Transform(...{self.from_frame[-6:]} to ...{self.to_frame[-6:]}, "
            f"|t| {shift:.2f} mm, {angle:.2f} degrees"
            + (")" if self.displacement is None else f", {self.displacement!r})")
        )


class Verdict(StrEnum):
    """What the checks, and the person who looked, say of a registration."""

    PASS = "pass"
    REVIEW = "review"
    FAIL = "fail"


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

    @property
    def verdict(self) -> Verdict:
        """``fail`` when it is not used, ``review`` when there are doubts, else ``pass``."""
        if not self.accepted:
            return Verdict.FAIL
        return Verdict.REVIEW if self.doubts else Verdict.PASS

    @property
    def reasons(self) -> tuple[str, ...]:
        """What the verdict rests on; empty for ``pass``."""
        if self.rejected:
            return ("rejected by the reader",)
        return self.doubts if self.accepted else (self.note,)
