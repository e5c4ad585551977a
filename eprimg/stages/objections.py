"""Reasons against a tier: collected here, honoured in one place (`tiers_lesion.lesion_tier`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from eprimg.config import Config
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet, Region
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Study
from eprimg.model.tiers import Objection
from eprimg.model.transform import Registration
from eprimg.stages.agent_dose import agent_objections, session_instant
from eprimg.stages.carry import reference_series
from eprimg.stages.coverage import Drawn
from eprimg.stages.iron import iron_balance
from eprimg.stages.measure_mr import tail_ratios
from eprimg.stages.noise_floor import VoxelDoubt, VoxelDoubts
from eprimg.stages.quantify import protocol_differences
from eprimg.stages.quantify_pet import mass_balance_fault

__all__ = ["JUDGED_BY", "region_objections", "study_objections"]

_UPTAKE = (
    "suvbw",
    "pid_per_kg",
    "pid_per_ml",
    "sul_janmahasatian",
    "sul_james128",
    "sul_james120",
    "suvibw",
    "suvbsa",
    "metabolic_volume",
    "total_lesion_glycolysis",
)
_RATIOS = ("lesion_blood_ratio", "lesion_muscle_ratio", "lesion_liver_ratio")
_AFTER = ("r2star", "rr2star90")
JUDGED_BY = {
    "mr_pre": ("dr2star",),
    "mr_post": ("dr2star", *_AFTER),
    "pet": (*_UPTAKE, *_RATIOS),
}
"""Quantities of the schemes that rest on a session (R2* itself is judged after ferumoxytol)."""

_MEASURED = (Role.MR_PRE, Role.MR_POST, Role.PET)
_CARRIERS = ("liver", "spleen")

_CLEAR_FALL = 0.1
"""R2* has fallen when the median fell by more than this part of R2* before, and by more than twice
its standard error.  The fit error alone, which shrinks with the number of voxels, would make every
large organ "significant".  House rule, not published."""


def region_objections(
    region: Region,
    study: Study,
    registrations: Sequence[Registration],
    maps: Mapping[str, QuantityMap],
    lesions: LesionSet,
    drawn: Drawn,
    doubts: VoxelDoubts,
    config: Config,
) -> tuple[Objection, ...]:
    """Collect what speaks against a tier of one measured region.

    Parameters
    ----------
    region : Region
        With its measurements.
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others.
    maps : Mapping of str to QuantityMap
        Native maps.
    lesions : LesionSet
        All regions.
    drawn : Drawn
        Regions that were drawn on another grid than the reference.
    doubts : Mapping
        Doubtful voxels by source and region id.
    config : Config
        Settings.

    Returns
    -------
    tuple of Objection
        Empty when nothing does.
    """
    found = [
        *_coverage(region, config),
        *_alignment(region, study, registrations, drawn),
        *_noise_floor(region, lesions, doubts, config),
    ]
    uptake = maps.get("pid_per_kg")
    fault = mass_balance_fault(uptake.facts) if uptake is not None else ""
    if fault:
        found.append(Objection("E_MASS_BALANCE", _UPTAKE, fault))
    return tuple(found)


def _coverage(region: Region, config: Config) -> list[Objection]:
    found = []
    for role in _MEASURED:
        share = region.measurement("coverage", "share", str(role))
        if share is None or not share.value < config.measure.minimum_coverage:
            continue
        said = (
            f"only {100 * share.value:.0f} % of its volume lies in the field of view of {role}, "
            f"less than {100 * config.measure.minimum_coverage:.0f} %"
        )
        found.append(Objection("W_REGION_CUT", JUDGED_BY[role], said))
    return found


def _alignment(
    region: Region, study: Study, registrations: Sequence[Registration], drawn: Drawn
) -> list[Objection]:
    """Find doubtful registrations that the region was carried through."""
    reference = reference_series(study).key
    drawn_on = drawn.on.get(region.id, reference)
    series = [s for s in (study.find(role) for role in _MEASURED) if s is not None]
    found = []
    for registration in registrations:
        if registration.fixed != reference or not registration.doubts:
            continue
        moving = registration.moving
        rests: list[str] = []
        for each in series:
            if each.key != drawn_on and moving in (each.key, drawn_on):
                rests += JUDGED_BY[each.role]
            elif each.role == Role.MR_POST and moving == each.key:
                rests.append("dr2star")
        if rests:
            said = f"the alignment of {moving} is doubtful: {'; '.join(registration.doubts)}"
            found.append(Objection("W_REGISTRATION", tuple(dict.fromkeys(rests)), said))
    return found


def _noise_floor(
    region: Region, lesions: LesionSet, doubts: VoxelDoubts, config: Config
) -> list[Objection]:
    found = []
    limit = config.measure.noise_floor_share

    def above(source: str, number: int) -> VoxelDoubt | None:
        doubt = doubts.get(source, {}).get(number)
        return doubt if doubt is not None and doubt.above > limit else None

    doubt = above("mr_post", region.id)
    if doubt is not None:
        said = doubt.words("mr_post")
        found.append(Objection("W_NOISE_FLOOR", ("dr2star", *_AFTER), said, doubt.bias))
    doubt = above("mr_pre", region.id)
    if doubt is not None:
        said, bias = _turned(doubt, "mr_pre", "ΔR2*")
        found.append(Objection("W_NOISE_FLOOR", ("dr2star",), said, bias))
    for anatomy, ratios in tail_ratios(config).items():
        organ = lesions.reference(anatomy)
        doubt = above("mr_post", organ.id) if organ is not None else None
        if doubt is not None and organ is not None:
            said, bias = _turned(doubt, "mr_post", "the ratio")
            found.append(Objection("W_NOISE_FLOOR", ratios, f"{organ.name}: {said}", bias))
    return found


def _turned(doubt: VoxelDoubt, source: str, what: str) -> tuple[str, str]:
    """Words and direction for a number that falls as this R2* rises."""
    said = doubt.words(source)
    return (f"{said}; {what} is too high", "high") if doubt.bias == "low" else (said, doubt.bias)


def study_objections(
    study: Study, lesions: LesionSet | None
) -> tuple[tuple[Objection, ...], tuple[Finding, ...]]:
    """Collect what speaks against a tier of every lesion of a study.

    Parameters
    ----------
    study : Study
        What was read.
    lesions : LesionSet or None
        Measured regions.

    Returns
    -------
    tuple of Objection
        Empty when nothing does.
    tuple of Finding
        What was not said by an earlier stage.
    """
    found = []
    differences = protocol_differences(study)
    if differences:
        said = f"the protocols before and after ferumoxytol differ: {'; '.join(differences)}"
        found.append(Objection("W_PROTOCOL_DIFFERS", ("dr2star",), said))
    found += agent_objections(study)
    late = _order_fault(study)
    if late:
        found.append(Objection("W_AGENT_ORDER", JUDGED_BY["mr_post"], late))
    unbalanced, noticed = iron_balance(study, lesions)
    found += unbalanced
    fall = _fall_of_r2star(lesions) if lesions is not None else ""
    if not fall:
        return tuple(found), noticed
    found.append(Objection("W_DR2STAR_NEGATIVE", JUDGED_BY["mr_post"], fall))
    finding = Finding(
        "W_DR2STAR_NEGATIVE",
        Severity.WARNING,
        "mr_pre, mr_post",
        f"{fall[0].upper()}{fall[1:]}. Ferumoxytol raises R2*, so ΔR2* is not tiered. Check the "
        "roles in study.toml and the dates of both sessions.",
    )
    return tuple(found), (finding, *noticed)


def _order_fault(study: Study) -> str:
    pre, post = study.find(Role.MR_PRE), study.find(Role.MR_POST)
    if pre is None or post is None:
        return ""
    before, after = session_instant(study, Role.MR_PRE), session_instant(study, Role.MR_POST)
    if before is None or after is None or (before.tzinfo is None) != (after.tzinfo is None):
        return ""
    if before <= after:
        return ""
    return f"{pre.key}, taken as before the agent, was acquired after {post.key}"


def _fall_of_r2star(lesions: LesionSet) -> str:
    """Say that R2* fell where it cannot have fallen; carrier organs know best, lesions least."""
    carriers = [r for r in lesions.references if r.anatomy in _CARRIERS]
    others = [r for r in lesions.references if r.anatomy not in _CARRIERS]
    for regions, one_is_enough in ((carriers, True), (others, False), (lesions.lesions, False)):
        changes = {r.name: c for r in regions if math.isfinite(c := _change(r)[0])}
        if not changes:
            continue
        fell = [r for r in regions if r.name in changes and _fell(r)]
        if not fell or not (one_is_enough or 2 * len(fell) > len(changes)):
            return ""
        said = ", ".join(f"{r.name} {changes[r.name]:.0f} 1/s" for r in fell[:5])
        return (
            f"the median ΔR2* is negative ({said}): the series before and after may be exchanged, "
            "or the agent was still there before"
        )
    return ""


def _change(region: Region) -> tuple[float, float]:
    found = region.measurement("dr2star", "median", "mr_post-mr_pre")
    if found is None:
        return math.nan, math.nan
    return found.value, found.uncertainty


def _fell(region: Region) -> bool:
    change, error = _change(region)
    before = region.measurement("r2star", "median", "mr_pre")
    margin = _CLEAR_FALL * abs(before.value) if before is not None else 0.0
    if math.isfinite(error):
        margin = max(margin, 2.0 * error)
    return change < -margin
