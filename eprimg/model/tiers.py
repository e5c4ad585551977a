"""Uptake tiers: the rule, the outcome and its confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from eprimg.errors import ConfigError

__all__ = [
    "EDITED",
    "INDETERMINATE",
    "JUDGED_SOURCES",
    "NOT_TIERED",
    "RESTS_ON",
    "Cohort",
    "Objection",
    "PatientTier",
    "Tier",
    "TierScheme",
]

INDETERMINATE = "indeterminate"
NOT_TIERED = "not tiered"

EDITED = ", edited by the reader"
"""How the version of a scheme ends that is not as in its file any more."""

JUDGED_SOURCES: Mapping[str, str] = {
    "dr2star": "mr_post-mr_pre",
    "r2star": "mr_post",
    "rr2star90": "mr_post",
    "rr2star": "mr_post",
    **dict.fromkeys(
        (
            "suvbw",
            "sul_janmahasatian",
            "sul_james128",
            "sul_james120",
            "suvibw",
            "suvbsa",
            "pid_per_ml",
            "pid_per_kg",
            "lesion_blood_ratio",
            "lesion_muscle_ratio",
            "lesion_liver_ratio",
            "metabolic_volume",
            "total_lesion_glycolysis",
        ),
        "pet",
    ),
}
"""Which of several measurements of a quantity a tier and a cohort rest on (native grids; of R2*
the one after ferumoxytol); the only one there is for a quantity that is not named here."""

RESTS_ON: Mapping[str, tuple[str, ...]] = {
    "rr2star": ("r2star",),
    "iron_concentration": ("dr2star",),
    "iron_content": ("dr2star",),
    "iron_mass": ("dr2star",),
    "blood_fraction": ("dr2star",),
}
"""Quantities that others are computed from: what speaks against the one speaks against both."""


@dataclass(frozen=True, slots=True)
class TierScheme:
    """A versioned rule that places a number in a tier.

    Parameters
    ----------
    key, version, title : str
        Identity; ``key`` names the table column.
    quantity, statistic : str
        The measurement that is judged, e.g. ``pid_per_kg`` and ``peak``.
    rule : str
        ``fixed``, ``cohort-median`` or ``cohort-tertile``.
    edges : tuple of float
        Rising cut-offs in the quantity's unit; empty for cohort rules.
    labels : tuple of str
        One more than edges, from low to high.
    patient_rule : str
        ``dominant-volume``, ``any`` or ``all``.
    validated : bool
        False prints ``example, not validated`` beside every tier.
    citation : str
        Where the cut-offs come from.
    applies_to : str
        ``pet`` or ``mr``.
    source_file : str
        File it was read from.
    """

    key: str
    version: str
    title: str
    quantity: str
    statistic: str
    rule: str
    edges: tuple[float, ...]
    labels: tuple[str, ...]
    patient_rule: str
    validated: bool
    citation: str
    applies_to: str
    source_file: str = ""

    def __post_init__(self) -> None:
        """Check edges and labels."""
        edges = np.asarray(self.edges, dtype=float)
        if self.rule == "fixed" and (
            len(edges) == 0 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any()
        ):
            raise ConfigError(
                "a fixed scheme has finite, strictly rising edges",
                code="E_SCHEME",
                where=self.source_file or self.key,
                value=self.edges,
            )
        if self.rule == "fixed" and len(self.labels) != len(self.edges) + 1:
            raise ConfigError(
                "a scheme has one more label than edges",
                code="E_SCHEME",
                where=self.source_file or self.key,
                value=self.labels,
            )

    @property
    def edited(self) -> bool:
        """Whether a reader changed what the file says."""
        return self.version.endswith(EDITED)


@dataclass(frozen=True, slots=True)
class Objection:
    """A reason against placing a lesion in a tier by some quantities.

    Parameters
    ----------
    code : str
        Code of the finding that says the same to the reader, e.g. ``W_REGION_CUT``.
    quantities : tuple of str
        Keys of the quantities that it speaks against.
    reason : str
        In words, for the tier.
    bias : str
        ``unknown``: no tier can be given.  ``low``: the number is too low, so only the highest
        tier stands.  ``high``: the number is too high, so only the lowest tier stands.
    """

    code: str
    quantities: tuple[str, ...]
    reason: str
    bias: str = "unknown"


@dataclass(frozen=True, slots=True)
class Tier:
    """Where a lesion was placed by one scheme.

    Parameters
    ----------
    scheme : str
        Key of the scheme.
    label : str
        A label of the scheme, ``indeterminate`` or ``not tiered``.
    confidence : float
        Probability of the most likely label, at most 0.99 where the known error is a lower bound;
        NaN when it cannot be stated.
    confidence_note : str
        What the confidence covers (``lower bound``: what it leaves out).
    reason : str
        The trace: value, edges, rule.
    most_likely : str
        The label that the number alone would give.
    probabilities : Mapping of str to float
        Probability of every label.
    notice : str
        E.g. ``example, not validated``.
    """

    scheme: str
    label: str
    confidence: float
    confidence_note: str
    reason: str
    most_likely: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    notice: str = ""


@dataclass(frozen=True, slots=True)
class PatientTier:
    """Where the patient was placed by one scheme.

    Parameters
    ----------
    scheme, label, confidence, confidence_note, reason, notice
        As in `Tier`.
    rule : str
        How lesions were combined.
    n_lesions : int
        Number of lesions that were used.
    probabilities : Mapping of str to float
        Probability of every label.
    """

    scheme: str
    label: str
    confidence: float
    confidence_note: str
    reason: str
    rule: str
    n_lesions: int
    notice: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cohort:
    """A stored reference distribution of one measurement.

    Parameters
    ----------
    key : str
        Name and version of the cohort.
    quantity, statistic : str
        What was measured.
    values : tuple of float
        One value per lesion.
    n_patients : int
        Number of patients they come from.
    citation : str
        Where the cohort comes from.
    notes : str
        Remarks, e.g. how many lesions were left out when it was collected.
    """

    key: str
    quantity: str
    statistic: str
    values: tuple[float, ...]
    n_patients: int
    citation: str = ""
    notes: str = ""
