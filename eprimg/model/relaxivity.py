"""A named relaxivity model: the curve, where it was measured, and by whom."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["RelaxivityModel"]


@dataclass(frozen=True, slots=True)
class RelaxivityModel:
    """Curve ``ΔR2* = b c + d c^2`` with c in mmol/L of iron.

    Parameters
    ----------
    key : str
        Name in the settings.
    field_strength_t : float
        Field strength in T at which it was measured.
    medium : str
        What the iron was in.
    coefficients : tuple of (float, float)
        b in L/(mmol s) and d in L^2/(mmol^2 s).
    covariance : tuple of two tuples of two floats
        Of the coefficients.
    range_mmol_per_l : tuple of (float, float)
        Concentrations at which it was measured.
    degrees_of_freedom : float
        Of the covariance; infinite for a published uncertainty.
    citation : str
        Source, or the name of the user's file.
    note : str
        What a reader has to know.
    """

    key: str
    field_strength_t: float
    medium: str
    coefficients: tuple[float, float]
    covariance: tuple[tuple[float, float], tuple[float, float]]
    range_mmol_per_l: tuple[float, float]
    degrees_of_freedom: float = math.inf
    citation: str = ""
    note: str = ""

    def words(self) -> str:
        """Name model, medium, field strength and source.

        Returns
        -------
        str
            One clause.
        """
        b, d = self.coefficients
        curve = f"r2* {b:.4g}" if d == 0.0 else f"{b:.4g} c {d:+.3g} c²"
        low, high = self.range_mmol_per_l
        return (
            f"{self.key}: {curve} L/(mmol s) in {self.medium} at {self.field_strength_t:g} T, "
            f"{low:g} to {high:g} mmol/L ({self.citation})"
        )
