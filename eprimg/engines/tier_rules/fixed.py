"""Tier rule: cut-offs that the scheme file states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eprimg.kernels.cutoffs import fixed_cutoffs
from eprimg.model.tiers import Cohort, TierScheme

__all__ = ["Cutoffs", "FixedRule"]


class Cutoffs(NamedTuple):
    """Cut-offs of a scheme for this patient.

    Attributes
    ----------
    edges : tuple of float
        Strictly rising, in the unit of the scheme's quantity.
    trace : str
        Where they come from, in words.
    """

    edges: tuple[float, ...]
    trace: str


class FixedRule:
    """Cut-offs as written in the scheme file.

    Notes
    -----
    A fixed cut-off holds for the carrier, dose, nuclide, scanner and time after injection that it
    was found with.
    """

    name = "fixed"
    version = "1"

    def cutoffs(self, scheme: TierScheme, cohorts: Sequence[Cohort]) -> Cutoffs:
        """Return the cut-offs of a scheme.

        Parameters
        ----------
        scheme : TierScheme
            The scheme.
        cohorts : sequence of Cohort
            Not used by this rule.

        Returns
        -------
        Cutoffs
            Edges and where they come from.
        """
        edges = tuple(float(e) for e in fixed_cutoffs(scheme.edges))
        return Cutoffs(edges, f"fixed cut-offs of scheme {scheme.key} version {scheme.version}")
