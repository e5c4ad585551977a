"""Known movements of a patient between two sessions: rigid, or breathing with random bumps.

A movement maps points of the frame ``pre`` to points of the session.  Volumes are painted through
its inverse, which is a formula as well: nothing is resampled, and the truth has no blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import Array, RigidMotion, apply


class Motion(Protocol):
    """What every movement offers."""

    def to_session(self, points_mm: npt.ArrayLike) -> Array:
        """Points (..., 3) of the frame ``pre`` in the session, LPS mm."""
        ...

    def to_base(self, points_mm: npt.ArrayLike) -> Array:
        """Points (..., 3) of the session in the frame ``pre``, LPS mm."""
        ...


@dataclass(frozen=True)
class Rigid:
    """A turn and a shift.

    Attributes
    ----------
    matrix : numpy.ndarray
        Shape (4, 4): frame ``pre`` to session, LPS mm.
    """

    matrix: Array

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        *,
        shift_mm: float = 8.0,
        turn_deg: float = 5.0,
        centre_mm: npt.ArrayLike = (0.0, 0.0, 0.0),
    ) -> Self:
        """Draw shifts and turns about each axis, uniform between minus and plus the limits."""
        turns = rng.uniform(-turn_deg, turn_deg, 3)
        shifts = rng.uniform(-shift_mm, shift_mm, 3)
        return cls(RigidMotion.about(turns, shifts, centre_mm).matrix)

    def to_session(self, points_mm: npt.ArrayLike) -> Array:
        """Points (..., 3) of the frame ``pre`` in the session, LPS mm."""
        return apply(self.matrix, points_mm)

    def to_base(self, points_mm: npt.ArrayLike) -> Array:
        """Points (..., 3) of the session in the frame ``pre``, LPS mm."""
        return apply(np.asarray(np.linalg.inv(self.matrix), dtype=float), points_mm)


@dataclass(frozen=True)
class Breathing:
    """A rigid movement, and a smooth field of breathing and random bumps.

    With the rigid matrix M and the field u, a point q of the session shows what lies at
    ``M^-1 q + u(M^-1 q)`` in the frame ``pre``.  The breathing part of u is

    ``u_z = a s(z) exp(-x^2 / (2 wx^2))`` and ``u_y = -0.4 u_z``, with ``s`` rising smoothly from 0
    well below the diaphragm to 1 at it and back to 0 well above,

    and every bump is a vector times a Gaussian of the distance from its centre.

    Attributes
    ----------
    rigid : Rigid
        The rigid part.
    breath_mm : float
        Amplitude a along z.
    diaphragm_mm : float
        z where breathing moves most.
    bump_centres_mm, bump_vectors_mm : numpy.ndarray
        Shape (n, 3).
    bump_width_mm : float
        SD of every bump.
    """

    rigid: Rigid
    breath_mm: float
    diaphragm_mm: float
    bump_centres_mm: Array
    bump_vectors_mm: Array
    bump_width_mm: float

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        *,
        peak_mm: float = 10.0,
        diaphragm_mm: float = 60.0,
        bumps: int = 6,
        bump_width_mm: float = 38.0,
        extent_mm: npt.ArrayLike = (90.0, 60.0, 90.0),
    ) -> Self:
        """Draw a movement whose field reaches ``peak_mm`` inside the box of half ``extent_mm``."""
        extent = np.asarray(extent_mm, dtype=float)
        vectors = rng.normal(size=(bumps, 3))
        vectors *= 4.0 / np.linalg.norm(vectors, axis=1, keepdims=True)
        made = cls(
            Rigid.drawn(rng, shift_mm=4.0, turn_deg=2.0),
            float(rng.choice([-1.0, 1.0])) * 7.0,
            diaphragm_mm,
            rng.uniform(-1.0, 1.0, (bumps, 3)) * extent,
            vectors,
            bump_width_mm,
        )
        axes = [np.linspace(-e, e, 17) for e in extent]
        lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        scale = peak_mm / float(np.linalg.norm(made.field(lattice), axis=-1).max())
        return cls(
            made.rigid,
            made.breath_mm * scale,
            diaphragm_mm,
            made.bump_centres_mm,
            vectors * scale,
            bump_width_mm,
        )

    def field(self, points_mm: npt.ArrayLike) -> Array:
        """Return u at points (..., 3), mm."""
        p = np.asarray(points_mm)
        reach = np.where(p[..., 2] < self.diaphragm_mm, 85.0, 45.0)
        wave = self.breath_mm * np.exp(
            -0.5 * ((p[..., 2] - self.diaphragm_mm) / reach) ** 2 - 0.5 * (p[..., 0] / 95.0) ** 2
        )
        out = np.stack([np.zeros_like(wave), -0.4 * wave, wave], axis=-1)
        for centre, vector in zip(self.bump_centres_mm, self.bump_vectors_mm, strict=True):
            away = ((p - centre.astype(p.dtype)) ** 2).sum(axis=-1)
            out += np.exp(away * (-0.5 / self.bump_width_mm**2))[..., None] * vector
        return np.asarray(out)

    def to_base(self, points_mm: npt.ArrayLike) -> Array:
        """Points (..., 3) of the session in the frame ``pre``, LPS mm."""
        here = self.rigid.to_base(points_mm)
        return np.asarray(here + self.field(here))

    def to_session(self, points_mm: npt.ArrayLike) -> Array:
        """Points (..., 3) of the frame ``pre`` in the session, LPS mm.

        Raises
        ------
        RuntimeError
            If the field folds, so that its inverse cannot be found.
        """
        target = np.asarray(points_mm, dtype=float)
        here = target.copy()
        for _ in range(200):
            step = target - self.field(here) - here
            here += step
            if float(np.abs(step).max()) < 1e-9:
                return self.rigid.to_session(here)
        raise RuntimeError("the movement folds: its inverse was not found")
