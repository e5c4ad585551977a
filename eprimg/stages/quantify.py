"""Stage: maps of every quantity, on the grid of their own series and once on the reference grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eprimg.config import Config
from eprimg.errors import Cancelled, EprimgError, raise_faults
from eprimg.kernels.compiled import is_compiled
from eprimg.model.acquisition import MRAcquisition
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Study
from eprimg.model.transform import Registration
from eprimg.model.volume import EchoStack
from eprimg.quantities import quantity
from eprimg.stages.agent_dose import agent_findings
from eprimg.stages.carry import carry_map, reference_series, transform_to
from eprimg.stages.fat_water_maps import fat_water_maps
from eprimg.stages.field_gradient import external_field_map
from eprimg.stages.quantify_mr import milliseconds, r2star_maps
from eprimg.stages.quantify_over_time import maps_over_time
from eprimg.stages.quantify_pet import pet_maps
from eprimg.stages.time_points import (
    phase_of,
    post_points,
    primary_first,
    registered_keys,
    suffix_of,
)

__all__ = ["Progress", "Quantified", "protocol_differences", "quantify"]

Progress = Callable[[str, float], object]
"""Called with what is being done and the fraction of the stage that is done."""

_FIELD_TOLERANCE_T = 0.2
"""Two field strengths that differ less are the same class of scanner (2.89 T and 3 T)."""

_ECHO_TOLERANCE = 0.01
"""Relative difference of echo times that still is the same echo train."""


@dataclass(frozen=True, eq=False, slots=True)
class Quantified:
    """Maps of a study.

    Parameters
    ----------
    maps : Mapping of str to QuantityMap
        Native-grid maps by key.
    registered : Mapping of str to QuantityMap
        Maps on the reference grid by key.
    """

    maps: Mapping[str, QuantityMap]
    registered: Mapping[str, QuantityMap]


def quantify(
    study: Study,
    registrations: Sequence[Registration],
    config: Config,
    *,
    progress: Progress | None = None,
) -> StageResult[Quantified]:
    """Compute R2*, SUVbw and %ID/kg maps, and bring them to the reference grid.

    Parameters
    ----------
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others; one that was not accepted gives no registered map.
    config : Config
        Settings.
    progress : callable, optional
        Called with words and the fraction done.

    Returns
    -------
    StageResult[Quantified]
        Native maps ``r2star_pre``, ``s0_pre``, ``r2star_post``, ``s0_post``, ``activity``,
        ``suvbw``, ``pid_per_kg``, ``sul_<formula>`` as far as the series allow, and registered
        maps ``r2star_pre``, ``r2star_post``, ``dr2star``, ``suvbw``, ``pid_per_kg``.  The maps of
        further time points have the number of their series: ``r2star_post_2``, ``dr2star_2``,
        ``suvbw_2``.  From two PET time points on there are ``uptake_retention`` and
        ``uptake_auc`` on the reference grid; what needs blood comes later (`influx_maps`).

    Raises
    ------
    EprimgError
        When not one map could be made: all faults together.
    """
    tell = progress or (lambda text, fraction: None)
    maps: dict[str, QuantityMap] = {}
    findings: list[Finding] = []
    faults: list[EprimgError] = []
    if not is_compiled("_r2star_numba", "fit_chunk"):
        tell("compiling the R2* fit, once after the installation (about ten seconds)", 0.0)
    mr = [s for role in (Role.MR_PRE, Role.MR_POST) for s in primary_first(study, role)]
    for step, series in enumerate(mr):
        phase = phase_of(series)

        def told(share: float, *, key: str = series.key, step: int = step) -> None:
            tell(f"R2* of {key}", 0.6 * (step + share) / max(len(mr), 2))

        told(0.0)
        complex_: tuple[dict[str, QuantityMap], list[Finding]] | None = None
        field = None
        if config.r2star.field_gradient != "off":
            field = external_field_map(study, series)
            if field is None and config.fat_water.fit:
                complex_ = fat_water_maps(series, phase, config, told)
                field = complex_[0].get(f"field_map_{phase}")
        try:
            fitted, noticed = r2star_maps(series, phase, config, told, field=field)
        except Cancelled:
            raise
        except EprimgError as error:
            faults.append(error)
            findings += complex_[1] if complex_ else []
            continue
        maps.update(fitted)
        findings += noticed
        if config.fat_water.fit:
            fitted, noticed = complex_ or fat_water_maps(series, phase, config, told)
            maps.update(fitted)
            findings += noticed
    for pet in primary_first(study, Role.PET):
        tell("SUVbw and %ID/kg", 0.6)
        made = pet_maps(pet, sul_formula=config.uptake.sul_formula)
        maps.update({key + suffix_of(pet): each for key, each in made.maps.items()})
        findings += made.findings
        faults += made.faults
    if not maps:
        reference_series(study)
        raise_faults(faults)
    findings += [Finding.from_error(f) for f in faults]
    if study.find(Role.MR_POST) is None:
        findings += agent_findings(study)
    for point in post_points(study):
        findings += _protocol_findings(point.study, point.key)
        findings += point.renamed_findings(agent_findings(point.study))
    tell("maps on the reference grid", 0.65)
    registered, noticed = _registered_maps(study, registrations, maps, config, tell)
    findings += noticed
    registered |= maps_over_time(study, registered, config)
    tell("maps done", 1.0)
    return StageResult(Quantified(maps, registered), tuple(findings))


def protocol_differences(study: Study) -> tuple[str, ...]:
    """Say in what the series before and after ferumoxytol differ so that dR2* is doubtful.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    tuple of str
        Empty when field strength and echo train agree, or when one of the two series is missing.
    """
    pre, post = study.find(Role.MR_PRE), study.find(Role.MR_POST)
    if pre is None or post is None:
        return ()
    said = []
    fields = [
        s.acquisition.field_strength_t.value
        for s in (pre, post)
        if isinstance(s.acquisition, MRAcquisition)
    ]
    known = [f for f in fields if f is not None]
    if len(known) == 2 and abs(known[0] - known[1]) > _FIELD_TOLERANCE_T:
        said.append(f"field strength {known[0]:g} T before and {known[1]:g} T after")
    trains = [s.pixels.echo_times_s for s in (pre, post) if isinstance(s.pixels, EchoStack)]
    if len(trains) == 2:
        a, b = trains
        if len(a) != len(b):
            said.append(f"{len(a)} echoes before and {len(b)} after")
        elif any(abs(x - y) > _ECHO_TOLERANCE * max(x, y) for x, y in zip(a, b, strict=True)):
            said.append(f"echo times {milliseconds(a)} before and {milliseconds(b)} after")
    return tuple(said)


def _protocol_findings(study: Study, post_key: str) -> list[Finding]:
    differences = protocol_differences(study)
    if differences:
        return [
            Finding(
                "W_PROTOCOL_DIFFERS",
                Severity.WARNING,
                f"mr_pre, {post_key}",
                f"The series before and after ferumoxytol differ: {'; '.join(differences)}. "
                "ΔR2* mixes this difference with uptake and is not tiered.",
            )
        ]
    pre, post = study.find(Role.MR_PRE), study.find(Role.MR_POST)
    if pre is None or post is None:
        return []
    unknown = [
        key
        for s, key in ((pre, pre.key), (post, post_key))
        if not isinstance(s.acquisition, MRAcquisition)
        or s.acquisition.field_strength_t.value is None
    ]
    if unknown:
        return [
            Finding(
                "I_FIELD_UNKNOWN",
                Severity.INFO,
                ", ".join(unknown),
                "The field strength is not known, so it could not be checked that both series were "
                "acquired at the same one. ΔR2* is only meaningful if they were.",
            )
        ]
    return []


def _registered_maps(
    study: Study,
    registrations: Sequence[Registration],
    maps: Mapping[str, QuantityMap],
    config: Config,
    tell: Progress,
) -> tuple[dict[str, QuantityMap], list[Finding]]:
    reference = reference_series(study)
    registered: dict[str, QuantityMap] = {}
    findings: list[Finding] = []
    missing: set[str] = set()
    keys = registered_keys(study)
    for number, key in enumerate(keys):
        if key not in maps:
            continue

        def told(share: float, *, key: str = key, number: int = number) -> None:
            done = (number + min(share, 1.0)) / len(keys)
            tell(f"{key} on the reference grid", 0.65 + 0.3 * done)

        source = next(s for s in study.series if s.key == maps[key].sources[0])
        if source.key == reference.key:
            registered[key] = maps[key]
            continue
        transform = transform_to(study, registrations, source)
        if transform is None:
            missing.add(source.key)
            continue
        # PET: linear cannot overshoot beside hot lesions; R2*: cubic keeps lesion edges.
        order = 1 if source.role == Role.PET else config.measure.map_order
        registered[key] = carry_map(
            maps[key], reference.grid, transform, order=order, progress=told
        )
    for key in sorted(missing):
        refused = next((r for r in registrations if r.moving == key), None)
        why = refused.note if refused is not None and refused.note else "no transform was found"
        why = why.rstrip(".")
        findings.append(
            Finding(
                "W_NOT_REGISTERED",
                Severity.WARNING,
                key,
                f"{key} is not aligned with {reference.key} ({why}): there is no map of it on "
                "the reference grid, and regions are not carried to it.",
            )
        )
    for point in post_points(study):
        after = registered.get(f"r2star_post{point.suffix}")
        if "r2star_pre" in registered and after is not None:
            registered[f"dr2star{point.suffix}"] = _difference(
                after, registered["r2star_pre"], protocol_differences(point.study)
            )
    return registered, findings


def _difference(post: QuantityMap, pre: QuantityMap, differences: tuple[str, ...]) -> QuantityMap:
    post.grid.require_match(pre.grid, what="R2* before and after")
    valid = post.valid & pre.valid
    values = np.where(valid, post.values - pre.values, np.nan)
    error = None
    if post.standard_error is not None and pre.standard_error is not None:
        error = np.where(valid, np.hypot(post.standard_error, pre.standard_error), np.nan)
    method = (
        "ΔR2* = R2* after minus R2* before ferumoxytol, voxel by voxel on the reference "
        "grid; the R2* maps were fitted on their own grids, and a map from another grid was "
        "resampled once. Standard error: both fits in quadrature, registration not "
        "included."
    )
    if differences:
        method += f" The two protocols differ ({'; '.join(differences)})."
    return QuantityMap(
        values=values.astype(post.values.dtype, copy=False),
        grid=post.grid,
        quantity=quantity("dr2star"),
        valid=valid,
        method=method,
        sources=(*post.sources, *pre.sources),
        standard_error=None if error is None else error.astype(post.values.dtype, copy=False),
        facts={
            "post": dict(post.facts),
            "pre": dict(pre.facts),
            "protocol_differences": list(differences),
        },
    )
