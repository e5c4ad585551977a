"""What the eligibility rules say about a measured lesion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from eprimg.config import Config
from eprimg.model.case import Finding, Severity
from eprimg.model.eligibility import EligibilityRule, EligibilityRules, parse_eligibility
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.tiers import Objection
from eprimg.resources import load_resource
from eprimg.stages.region_notes import INSIDE_CARRIER, IS_SMALL

__all__ = ["apply_eligibility", "builtin_eligibility", "eligibility_findings"]

_FLAG = "to be read with care"
"""Words in the note of a flagged lesion."""

_CODES = {"min-diameter": "W_REGION_SMALL", "not-in-organ": "W_CARRIER_BACKGROUND"}
_BELOW = "W_BELOW_RESOLUTION"


def builtin_eligibility() -> EligibilityRules:
    """Return the default rules of the package.

    Returns
    -------
    EligibilityRules
        ``default``.
    """
    return parse_eligibility(load_resource("eligibility/default.toml"), "default.toml")


def apply_eligibility(
    region: Region,
    lesions: LesionSet,
    rules: EligibilityRules,
    config: Config,
    judged_by: Mapping[str, tuple[str, ...]],
) -> Region:
    """Add objections and notes to a lesion that the rules exclude or flag.

    Parameters
    ----------
    region : Region
        Measured, with its notes; anything but a lesion is returned as it is.
    lesions : LesionSet
        All regions, for the organs.
    rules : EligibilityRules
        The rules.
    config : Config
        Limits that the rules name, and ``partial_volume.fwhm_mm``.
    judged_by : Mapping of str to tuple of str
        Quantities that rest on a session.

    Returns
    -------
    Region
        With objections of unknown direction: such a lesion gets no tier by those quantities.

    Notes
    -----
    Diameter is that of a sphere of the same volume, ``(6 V / pi)^(1/3)``.  Of three widths of the
    blur the largest counts.
    """
    if region.role != RegionRole.LESION:
        return region
    against, notes = list(region.objections), list(region.notes)
    for rule in rules.rules:
        reason = _reason(rule, region, lesions, config)
        if not reason:
            continue
        if rule.excludes:
            quantities = tuple(dict.fromkeys(q for s in rule.rests_on for q in judged_by[s]))
            against.append(Objection(_CODES.get(rule.kind, _BELOW), quantities, reason))
        # Small lesions and carrier organs have a note of their own already.
        elif rule.kind == "min-fwhm" and not any(o.code == _BELOW for o in against):
            notes.append(f"{reason}: {_FLAG} on PET")
    return replace(region, objections=tuple(against), notes=tuple(dict.fromkeys(notes)))


def _reason(rule: EligibilityRule, region: Region, lesions: LesionSet, config: Config) -> str:
    if rule.kind == "not-in-organ":
        for organ in lesions.references:
            said = f"{INSIDE_CARRIER} {organ.name}: "
            if organ.anatomy in rule.organs and any(n.startswith(said) for n in region.notes):
                return (
                    f"the lesion {INSIDE_CARRIER} {organ.name}, which takes the carrier up "
                    f"whatever the tumour does (rule {rule.key})"
                )
        return ""
    diameter = _diameter_mm(region)
    if not math.isfinite(diameter):
        return ""
    if rule.kind == "min-fwhm":
        width = max(config.partial_volume.fwhm_mm, default=math.nan)
        if not diameter < rule.limit * width:
            return ""
        return (
            f"the equivalent diameter of {diameter:.1f} mm is below {rule.limit:g} times the PET "
            f"blur of {width:g} mm (rule {rule.key})"
        )
    if rule.limit_from == "measure.small_lesion_mm":
        # The limit of the note itself, in the same words.
        said = next((n for n in region.notes if n.startswith(IS_SMALL)), "")
        return f"the lesion {said}" if said else ""
    limit = config.stratify.smallest_pet_lesion_mm if rule.limit_from else rule.limit
    if not diameter < limit:
        return ""
    return f"the equivalent diameter of {diameter:.1f} mm is below {limit:g} mm (rule {rule.key})"


def _diameter_mm(region: Region) -> float:
    volume = region.measurement("volume", "volume")
    if volume is None or not volume.value > 0:
        return math.nan
    return float((6.0 * 1000.0 * volume.value / math.pi) ** (1.0 / 3.0))


def eligibility_findings(lesions: LesionSet) -> list[Finding]:
    """Say which lesions are too small for the blur of PET.

    Parameters
    ----------
    lesions : LesionSet
        Judged regions.

    Returns
    -------
    list of Finding
        ``W_BELOW_RESOLUTION``; small lesions and carrier organs are said elsewhere.
    """
    found = []
    for region in lesions.lesions:
        said = [o.reason for o in region.objections if o.code == _BELOW]
        said += [n for n in region.notes if _FLAG in n]
        if said:
            text = f"{region.name}: {said[0]}."
            found.append(Finding(_BELOW, Severity.WARNING, region.name, text))
    return found
