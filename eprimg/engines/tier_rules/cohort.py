"""Tier rules: cut-offs from the distribution of a stored cohort."""

from __future__ import annotations

from collections.abc import Sequence

from eprimg.engines.tier_rules.fixed import Cutoffs
from eprimg.errors import ConfigError, InputError
from eprimg.kernels.cutoffs import median_cutoff, tertile_cutoffs
from eprimg.model.tiers import Cohort, TierScheme

__all__ = ["CohortMedianRule", "CohortTertileRule"]


class CohortMedianRule:
    """One cut-off: the median over the lesions of a stored cohort.

    Notes
    -----
    Relative to the cohort: half of it lies above, whatever the uptake.  The uncertainty of the
    median itself is not part of the confidence.

    References
    ----------
    .. [1] Ramanathan RK et al., Clin Cancer Res 2017;23(14):3638 (lesions above and below the
       median).
    """

    name = "cohort-median"
    version = "1"

    def cutoffs(self, scheme: TierScheme, cohorts: Sequence[Cohort]) -> Cutoffs:
        """Return the median of the matching cohort.

        Parameters
        ----------
        scheme : TierScheme
            The scheme.
        cohorts : sequence of Cohort
            Stored cohorts; the first one with the scheme's quantity and statistic is taken.

        Returns
        -------
        Cutoffs
            Edge and where it comes from.

        Raises
        ------
        ConfigError
            ``E_COHORT`` when no cohort fits or it is too small.
        """
        cohort = _matching(scheme, cohorts)
        try:
            edges = (median_cutoff(cohort.values),)
        except InputError as error:
            raise _unusable(cohort, error) from error
        return Cutoffs(edges, f"median of {_words(cohort)}")


class CohortTertileRule:
    """Two cut-offs: the tertiles over the lesions of a stored cohort.

    Notes
    -----
    Relative to the cohort, as the median is.
    """

    name = "cohort-tertile"
    version = "1"

    def cutoffs(self, scheme: TierScheme, cohorts: Sequence[Cohort]) -> Cutoffs:
        """Return the tertiles of the matching cohort.

        Parameters
        ----------
        scheme : TierScheme
            The scheme.
        cohorts : sequence of Cohort
            Stored cohorts; the first one with the scheme's quantity and statistic is taken.

        Returns
        -------
        Cutoffs
            Edges and where they come from.

        Raises
        ------
        ConfigError
            ``E_COHORT`` when no cohort fits, it is too small, or its tertiles coincide.
        """
        cohort = _matching(scheme, cohorts)
        try:
            low, high = tertile_cutoffs(cohort.values)
        except InputError as error:
            raise _unusable(cohort, error) from error
        return Cutoffs((float(low), float(high)), f"tertiles of {_words(cohort)}")


def _matching(scheme: TierScheme, cohorts: Sequence[Cohort]) -> Cohort:
    for cohort in cohorts:
        if (cohort.quantity, cohort.statistic) == (scheme.quantity, scheme.statistic):
            return cohort
    stored = ", ".join(f"{c.key} ({c.quantity} {c.statistic})" for c in cohorts) or "none"
    raise ConfigError(
        f"scheme {scheme.key} needs a stored cohort of {scheme.quantity} {scheme.statistic}; "
        f"given: {stored}",
        code="E_COHORT",
        where="stratify.cohort_file",
        action="name a cohort file (JSON), or use a scheme with fixed cut-offs",
    )


def _unusable(cohort: Cohort, error: InputError) -> ConfigError:
    return ConfigError(
        f"the cohort {cohort.key} cannot be used: {error.message}",
        code="E_COHORT",
        where="stratify.cohort_file",
        action=error.action,
    )


def _words(cohort: Cohort) -> str:
    return f"cohort {cohort.key} ({len(cohort.values)} lesions of {cohort.n_patients} patients)"
