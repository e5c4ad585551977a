"""Stage: every lesion and the patient in a tier, with a confidence and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eprimg.config import Config
from eprimg.errors import ConfigError, EprimgError
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.schemes import parse_scheme
from eprimg.model.study import Role, Study
from eprimg.model.tiers import EDITED, Cohort, Objection, PatientTier, Tier, TierScheme
from eprimg.registry import load_engine
from eprimg.resources import load_resource, resource_names
from eprimg.stages.objections import study_objections
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.tiers_lesion import NOT_VALIDATED, lesion_tier, not_tiered
from eprimg.stages.tiers_patient import patient_tier

__all__ = ["Stratified", "builtin_schemes", "marked_schemes", "stratify"]


@dataclass(frozen=True, eq=False, slots=True)
class Stratified:
    """Lesions and patient in tiers.

    Parameters
    ----------
    lesions : LesionSet or None
        Regions; every lesion has one tier per scheme.
    patient_tiers : tuple of PatientTier
        One per scheme.
    schemes : tuple of TierScheme
        The schemes that were applied.
    """

    lesions: LesionSet | None
    patient_tiers: tuple[PatientTier, ...]
    schemes: tuple[TierScheme, ...]


def builtin_schemes(names: Sequence[str]) -> tuple[TierScheme, ...]:
    """Return schemes of the package by their keys.

    Parameters
    ----------
    names : sequence of str
        Keys.

    Returns
    -------
    tuple of TierScheme
        In the order of the names.

    Raises
    ------
    ConfigError
        ``E_SCHEME`` for a name that is not in the package; scheme files are read elsewhere and
        passed to `stratify`.
    """
    known = resource_names("tier_schemes")
    unknown = [n for n in names if n not in known]
    if unknown:
        raise ConfigError(
            "the package has no such tier scheme",
            code="E_SCHEME",
            where="stratify.schemes",
            value=unknown,
            action=f"use one of: {', '.join(known)}, or the path of a scheme file",
        )
    return tuple(parse_scheme(load_resource(f"tier_schemes/{n}.toml"), f"{n}.toml") for n in names)


def marked_schemes(
    given: Sequence[TierScheme], own: Sequence[TierScheme]
) -> tuple[TierScheme, ...]:
    """Mark every scheme that is not as the settings name it, so that its tiers cannot pass for it.

    Parameters
    ----------
    given : sequence of TierScheme
        Schemes that take the place of those that the settings name.
    own : sequence of TierScheme
        Those that the settings name.

    Returns
    -------
    tuple of TierScheme
        An edited one is not validated and its version says so; one that was edited back is the one
        of the settings again.
    """
    known = {s.key: s for s in own}
    marked = []
    for scheme in given:
        as_named = known.get(scheme.key)
        version = scheme.version.removesuffix(EDITED)
        if as_named is not None and as_named == replace(
            scheme,
            version=version,
            validated=as_named.validated if scheme.edited else scheme.validated,
            source_file=as_named.source_file,
        ):
            scheme = as_named
        elif as_named is not None:
            scheme = replace(scheme, version=version + EDITED, validated=False)
        marked.append(scheme)
    return tuple(marked)


def stratify(
    study: Study,
    lesions: LesionSet | None,
    config: Config,
    *,
    cohorts: Sequence[Cohort] = (),
    schemes: Sequence[TierScheme] | None = None,
) -> StageResult[Stratified]:
    """Place every lesion, and the patient, in a tier of every scheme.

    Parameters
    ----------
    study : Study
        What was read: nuclide, protocols.
    lesions : LesionSet or None
        Measured regions.
    config : Config
        Settings.
    cohorts : sequence of Cohort
        Stored cohorts for the cohort rules.
    schemes : sequence of TierScheme, optional
        Schemes to apply; those that the settings name, from the package, when left out.

    Returns
    -------
    StageResult[Stratified]
        Lesions with tiers, patient tiers, schemes.
    """
    chosen = tuple(schemes) if schemes is not None else builtin_schemes(config.stratify.schemes)
    objections, noticed = study_objections(study, lesions)
    findings: list[Finding] = list(noticed)
    tiers: dict[int, list[Tier]] = {r.id: [] for r in lesions.lesions} if lesions else {}
    rules: dict[str, Any] = {}
    for scheme in chosen:
        for number, tier in _lesion_tiers(
            study, lesions, scheme, cohorts, config, objections, findings, rules
        ):
            tiers[number].append(tier)
        if scheme.edited:
            cuts = ", ".join(f"{edge:g}" for edge in scheme.edges) or "from a cohort"
            findings.append(
                Finding(
                    "W_SCHEME_EDITED",
                    Severity.WARNING,
                    scheme.key,
                    f"The reader edited scheme {scheme.key}: its tiers rest on other rules than "
                    f"those of its file (cut-offs now: {cuts}) and are not validated.",
                )
            )
        elif not scheme.validated:
            findings.append(
                Finding(
                    "I_SCHEME_EXAMPLE",
                    Severity.INFO,
                    scheme.key,
                    f"Tiers of scheme {scheme.key} are an {NOT_VALIDATED}: the cut-offs have not "
                    "been shown to separate patients who respond from those who do not.",
                )
            )
    placed = None
    if lesions is not None:
        placed = lesions.with_regions(
            tuple(
                replace(r, tiers=tuple(tiers[r.id])) if r.role == RegionRole.LESION else r
                for r in lesions.regions
            )
        )
    everyone: tuple[Region, ...] = placed.lesions if placed is not None else ()
    voxels = RegionVoxels(placed) if placed is not None and placed.shared else None
    patients = tuple(patient_tier(everyone, s, config.stratify, voxels=voxels) for s in chosen)
    return StageResult(Stratified(placed, patients, chosen), tuple(findings))


def _lesion_tiers(
    study: Study,
    lesions: LesionSet | None,
    scheme: TierScheme,
    cohorts: Sequence[Cohort],
    config: Config,
    objections: Sequence[Objection],
    findings: list[Finding],
    rules: dict[str, Any],
) -> list[tuple[int, Tier]]:
    if lesions is None:
        return []
    edges: tuple[float, ...] = ()
    trace = ""
    try:
        if scheme.rule not in rules:  # finding an engine takes longer than using it
            rules[scheme.rule] = load_engine("tier rule", scheme.rule)()
        edges, trace = rules[scheme.rule].cutoffs(scheme, cohorts)
        _check(scheme, edges)
    except EprimgError as error:
        findings.append(Finding.from_error(error, scheme.key))
        return [(r.id, not_tiered(scheme, error.message)) for r in lesions.lesions]
    pet = study.find(Role.PET)
    nuclide = None
    if pet is not None and isinstance(pet.acquisition, PETAcquisition):
        nuclide = pet.acquisition.injection.nuclide.value
    return [
        (r.id, lesion_tier(r, scheme, edges, trace, nuclide, config.stratify, objections))
        for r in lesions.lesions
    ]


def _check(scheme: TierScheme, edges: Sequence[float]) -> None:
    """Refuse cut-offs that do not go with the labels, or that the PET error model cannot judge."""
    if len(scheme.labels) != len(edges) + 1:
        raise ConfigError(
            f"the rule {scheme.rule} gives {len(edges)} cut-offs, but the scheme has "
            f"{len(scheme.labels)} labels",
            code="E_SCHEME",
            where=scheme.source_file or scheme.key,
            value=list(scheme.labels),
            action="give one more label than cut-offs",
        )
    if scheme.applies_to == "pet" and min(edges) <= 0:
        raise ConfigError(
            "cut-offs of PET uptake are positive",
            code="E_SCHEME",
            where=scheme.source_file or scheme.key,
            value=list(edges),
        )
