"""Stage: numbers per region, each on the grid that its quantity was acquired on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eprimg.config import Config
from eprimg.kernels.label_boxes import Box, label_changes
from eprimg.kernels.partial_volume import RecoveryRecord
from eprimg.model.case import StageResult
from eprimg.model.eligibility import EligibilityRules
from eprimg.model.lesions import (
    BELOW_RESOLUTION,
    LesionSet,
    Measurement,
    Profile,
    Region,
    RegionRole,
)
from eprimg.model.maps import QuantityMap
from eprimg.model.plasma import PlasmaInput
from eprimg.model.relaxivity import RelaxivityModel
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration
from eprimg.stages.affected import DENOMINATORS, affected_regions
from eprimg.stages.blood_fraction import measure_blood_fraction
from eprimg.stages.blood_volume import correct_blood_volume
from eprimg.stages.carry import fingerprints, reference_series
from eprimg.stages.compare_blood import blood_calibration
from eprimg.stages.coverage import Drawn, add_coverage_notes, measure_coverage
from eprimg.stages.eligibility import (
    apply_eligibility,
    builtin_eligibility,
    eligibility_findings,
)
from eprimg.stages.external_maps import (
    covariate_voxels,
    measure_covariates,
    measure_vessel_size,
)
from eprimg.stages.fat_water_maps import measure_fat_water
from eprimg.stages.heterogeneity import measure_heterogeneity
from eprimg.stages.influx_maps import INFLUX_KEYS, influx_maps
from eprimg.stages.iron import iron_findings, measure_iron
from eprimg.stages.measure_mr import measure_differences, measure_r2star, tail_ratios
from eprimg.stages.measure_over_time import measure_over_time
from eprimg.stages.measure_pet import measure_pet
from eprimg.stages.native_labels import (
    CARRIED,
    CARRIED_BY,
    CARRIED_TO,
    OUTLINES,
    by_method,
    native_voxels,
)
from eprimg.stages.noise_floor import measure_doubts, voxel_doubts
from eprimg.stages.objections import JUDGED_BY, region_objections
from eprimg.stages.partial_volume import correct_partial_volume
from eprimg.stages.reference_spread import measure_spread, spread_findings
from eprimg.stages.region_notes import EXCLUDED, note_regions
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.time_points import measured_series, pet_points, phase_of, post_points
from eprimg.stages.voxelwise_error import VoxelwiseErrors

__all__ = ["Measured", "affected_regions", "measure"]


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """Regions with their numbers.

    Parameters
    ----------
    lesions : LesionSet or None
        Regions on the reference grid, with measurements and notes.
    native_lesions : Mapping of str to LesionSet
        The same labels on the grid of every series that was measured, by series key, and on that
        of every external map, by its key.
    registered : Mapping of str to QuantityMap
        Maps on the reference grid, those that need the blood curve among them (`influx_maps`).
    boxes : Mapping of str to Mapping of int to tuple of slice
        Bounding boxes of the regions, by series key and region id; with the reference series.
    """

    lesions: LesionSet | None
    native_lesions: Mapping[str, LesionSet] = field(default_factory=dict)
    registered: Mapping[str, QuantityMap] = field(default_factory=dict)
    boxes: Mapping[str, Mapping[int, Box]] = field(default_factory=dict)


def measure(
    study: Study,
    registrations: Sequence[Registration],
    maps: Mapping[str, QuantityMap],
    registered: Mapping[str, QuantityMap],
    lesions: LesionSet | None,
    config: Config,
    *,
    native: Mapping[str, LesionSet] | None = None,
    before: Mapping[str, LesionSet] | None = None,
    ids: Collection[int] | None = None,
    relaxivity: RelaxivityModel | None = None,
    recovery: Sequence[RecoveryRecord] = (),
    plasma: PlasmaInput | None = None,
    eligibility: EligibilityRules | None = None,
    progress: Callable[[str, float], object] | None = None,
) -> StageResult[Measured]:
    """Carry labels to each native grid once and measure every region there.

    Parameters
    ----------
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others.
    maps, registered : Mapping of str to QuantityMap
        Native maps, and maps on the reference grid.
    lesions : LesionSet or None
        Regions on the reference grid.
    config : Config
        Settings.
    native : Mapping of str to LesionSet, optional
        Regions that were drawn on a native grid, by series key, as `segment` returns them.  They
        are used as drawn where the outline on the reference grid is still the one that they belong
        to; after an edit they are carried.
    before : Mapping of str to LesionSet, optional
        What this stage returned for an earlier state of the labels (`Measured.native_lesions`).
        It saves work and changes no number.
    ids : collection of int, optional
        Measure only these regions again, and those whose voxels on a native grid differ from
        ``before``; the others keep their numbers and are taken to have the outline that they had
        there.  `affected_regions` finds the ids of an edit.  All when left out.
    relaxivity : RelaxivityModel, optional
        Model that ``iron.model`` names; without it there is no iron concentration.
    recovery : sequence of RecoveryRecord, optional
        Table of recovery coefficients, for ``partial_volume.method = "rc-table"``.
    plasma : PlasmaInput, optional
        Blood samples, for the net influx over several PET sessions.
    eligibility : EligibilityRules, optional
        Which lesions may be placed in a tier; the package's default rules when left out.
    progress : callable, optional
        Called with words and the fraction done.

    Returns
    -------
    StageResult[Measured]
        Regions with measurements and notes.  An excluded region has none but the reason.  The
        findings are those of all regions, whether they were measured again or not.  Several PET
        sessions add maps of net influx and permeability index to the registered maps.
    """
    others = {key: each for key, each in registered.items() if key not in INFLUX_KEYS}
    if lesions is None:
        return StageResult(Measured(None, registered=others))
    tell = progress or (lambda words, share: None)
    wanted = {r.id for r in lesions.regions if r.role != RegionRole.EXCLUDE}
    if ids is not None:
        wanted &= set(ids)
    reference = reference_series(study)
    tell("outlines", 0.0)
    regions = RegionVoxels(lesions)
    outlines = _outlines(regions, before or {}, ids)
    voxels: dict[str, RegionVoxels] = {}
    measured_on = measured_series(study)
    for step, series in enumerate(measured_on):
        if not any(series.key in m.sources for m in maps.values()):
            continue
        tell(f"regions on {series.key}", 0.1 + 0.3 * step / max(len(measured_on), 3))
        moved = native_voxels(
            study,
            registrations,
            regions,
            outlines,
            series,
            drawn=(native or {}).get(series.key),
            before=(before or {}).get(series.key),
        )
        if moved is not None:
            voxels[series.key] = moved
    covariates = covariate_voxels(study, registrations, regions, outlines, voxels, before or {})
    carried = {key: each.lesions for key, each in voxels.items()}
    native_sets = {**carried, **{key: each.lesions for key, each in covariates.items()}}
    if ids is not None:
        wanted |= _moved(before or {}, native_sets, lesions)
    numbers: dict[int, list[Measurement]] = {i: [] for i in wanted}
    kept = {r.id: r.measurements for r in lesions.regions if r.id not in wanted}
    drawn = _drawn(carried, lesions, reference)
    below = [lesions.reference(organ) for organ in tail_ratios(config)]
    doubted = wanted | {organ.id for organ in below if organ is not None}
    doubts = voxel_doubts(voxels, maps, config, ids=doubted)
    _measure_volume(numbers, regions, reference)
    tell("coverage", 0.4)
    for series in measured_on:
        if series.key in carried:
            measure_coverage(numbers, study, registrations, regions, series, drawn, voxels=voxels)
    for series in measured_on:
        phase = phase_of(series)
        if series.role != Role.PET and series.key in carried and f"r2star_{phase}" in maps:
            tell(f"numbers of {series.key}", 0.5)
            measure_r2star(numbers, voxels[series.key], maps[f"r2star_{phase}"], series.key, config)
            measure_fat_water(numbers, voxels[series.key], maps, phase, series.key)
            add_coverage_notes(numbers, series.key)
    measure_doubts(numbers, doubts)
    tell("change of R2*", 0.6)
    # The primary one first: what rests on it stays where it is with one time point.
    for point in post_points(study):
        with point.as_primary(numbers, kept) as (seen, old):
            here = point.registrations(registrations)
            measure_differences(
                seen,
                old,
                regions,
                point.plain(registered),
                _registration_error(point.study, here, reference),
                config,
                doubts=point.doubts(doubts),
                errors=VoxelwiseErrors(point.study, here, point.plain(maps), config),
            )
            measure_iron(seen, old, lesions, point.study, relaxivity)
            measure_blood_fraction(seen, old, lesions, point.study, config)
    for point in pet_points(study):
        if point.key not in carried:
            continue

        def telling(text: str, share: float) -> Callable[[], object]:
            return lambda: tell(text, share)

        own, on_grid = point.plain(maps), voxels[point.key]
        with point.as_primary(numbers, kept) as (seen, old):
            say = telling(f"numbers of {point.key}", 0.7)
            measure_pet(seen, old, on_grid, own, config, progress=say)
            correct_partial_volume(
                seen,
                on_grid,
                own,
                config,
                recovery=recovery,
                progress=telling("partial volume", 0.8),
            )
            correct_blood_volume(seen, old, on_grid.lesions, own, config)
        add_coverage_notes(numbers, point.key)
    measure_covariates(numbers, study, registrations, regions, covariates)
    measure_vessel_size(numbers, kept, study)
    tell("numbers over time", 0.85)
    measure_over_time(numbers, kept, lesions, study, config, plasma=plasma)
    measure_spread(numbers, voxels, maps, config)
    profiles = measure_heterogeneity(numbers, regions, voxels, maps, registered, config)
    measured = lesions.with_regions(
        tuple(_with_numbers(r, numbers, profiles) for r in lesions.regions)
    )
    tell("notes", 0.9)
    noted, findings = note_regions(
        RegionVoxels(measured, regions.boxes), voxels, doubts, wanted, config
    )
    rules = eligibility or builtin_eligibility()
    judged = noted.with_regions(
        tuple(
            apply_eligibility(
                replace(
                    r,
                    objections=region_objections(
                        r, study, registrations, maps, noted, drawn, doubts, config
                    ),
                ),
                noted,
                rules,
                config,
                JUDGED_BY,
            )
            if r.id in wanted and r.role == RegionRole.LESION
            else r
            for r in noted.regions
        )
    )
    judged = replace(judged, settings=_with_methods(judged, native_sets))
    findings = [*findings, *eligibility_findings(judged), *blood_calibration(study, plasma)]
    findings = [*findings, *spread_findings(judged), *iron_findings(study, relaxivity)]
    tell("net influx of every voxel", 0.95)
    influx = influx_maps(study, registered, judged, config, plasma=plasma)
    boxes = {reference.key: regions.boxes, **{key: each.boxes for key, each in voxels.items()}}
    return StageResult(
        Measured(judged, native_sets, {**others, **influx.value}, boxes),
        (*findings, *influx.findings),
    )


def _with_numbers(
    region: Region,
    numbers: Mapping[int, list[Measurement]],
    profiles: Mapping[int, list[Profile]],
) -> Region:
    """Give a region its new numbers; an excluded one keeps nothing but the reason."""
    if region.role == RegionRole.EXCLUDE:
        reason = tuple(n for n in region.notes if n.startswith(EXCLUDED))
        return replace(region, measurements=(), tiers=(), objections=(), notes=reason, profiles=())
    if region.role == RegionRole.REFERENCE and (region.objections or region.tiers):
        region = replace(region, objections=(), tiers=())
    if region.id not in numbers:
        return region
    return replace(
        region,
        measurements=tuple(numbers[region.id]),
        profiles=tuple(profiles.get(region.id, ())),
    )


def _outlines(
    regions: RegionVoxels, before: Mapping[str, LesionSet], ids: Collection[int] | None
) -> dict[str, str]:
    """Outlines of all regions; those that are not measured again have the outline they had."""
    known: Mapping[str, str] = {}
    for each in before.values():
        found = each.settings.get(OUTLINES)
        # A set as it was drawn knows its own regions only, and the outlines of that time.
        if isinstance(found, Mapping) and CARRIED in each.settings:
            known = found
            break
    if ids is None or not known:
        return fingerprints(regions.lesions, boxes=regions.boxes)
    new = {r.id for r in regions.lesions.regions if r.id in ids or str(r.id) not in known}
    # An excluded part is never measured, but it can be edited.
    new |= {r.id for r in regions.lesions.regions if r.role == RegionRole.EXCLUDE}
    fresh = fingerprints(regions.lesions, boxes=regions.boxes, ids=new)
    return {str(r.id): fresh.get(str(r.id)) or known[str(r.id)] for r in regions.lesions.regions}


def _moved(
    before: Mapping[str, LesionSet], carried: Mapping[str, LesionSet], lesions: LesionSet
) -> set[int]:
    """Regions whose voxels on a native grid differ from before, whatever the caller named.

    An edit on the reference grid reaches beyond what can be seen there when a region that was drawn
    on another grid is used as drawn no more, or again.
    """
    moved: set[int] = set()
    for key, now in carried.items():
        earlier = before.get(key)
        # A drawing as it came from the file holds no carried region yet: nothing to compare with.
        if earlier is None or now is lesions or CARRIED not in earlier.settings:
            continue
        if earlier.labels is not now.labels and earlier.grid.matches(now.grid):
            moved |= label_changes(earlier.labels, now.labels)[1]
            for each in (*earlier.shared, *now.shared):
                moved |= {each.id, each.owner}
    measured = [r for r in lesions.regions if r.role != RegionRole.EXCLUDE]
    if any(r.id in moved and r.anatomy in DENOMINATORS for r in measured):
        return {r.id for r in measured}
    return moved & {r.id for r in measured}


def _with_methods(lesions: LesionSet, native: Mapping[str, LesionSet]) -> dict[str, object]:
    """Keep on record how each region came to each grid."""
    known = lesions.settings.get(CARRIED_TO)
    kept = dict(known) if isinstance(known, Mapping) else {}
    there: dict[str, object] = {k: v for k, v in kept.items() if k == "reference grid"}
    for key, each in native.items():
        methods = each.settings.get(CARRIED_BY)
        if isinstance(methods, Mapping):
            there[key] = by_method(methods)
    return {**lesions.settings, CARRIED_TO: there}


def _drawn(carried: Mapping[str, LesionSet], lesions: LesionSet, reference: Series) -> Drawn:
    """Tell which regions were drawn on another grid than the reference, and where."""
    on: dict[int, str] = {}
    for key, each in carried.items():
        moved = each.settings.get(CARRIED)
        if key == reference.key or each is lesions or not isinstance(moved, tuple):
            continue
        on.update({r.id: key for r in each.regions if r.id not in moved and r.id not in on})
    return Drawn(carried, on)


def _measure_volume(
    numbers: dict[int, list[Measurement]], regions: RegionVoxels, reference: Series
) -> None:
    withheld = {
        r.id
        for r in regions.lesions.regions
        if any(note.startswith(BELOW_RESOLUTION) for note in r.notes)
    }
    for number, measured in numbers.items():
        n = regions.count(number)
        note = f"{BELOW_RESOLUTION}: not stated" if number in withheld else ""
        measured.append(
            Measurement(
                "volume",
                "volume",
                "reference",
                n * regions.lesions.grid.voxel_volume_ml if n and not note else float("nan"),
                float("nan"),
                "none: depends on who drew the outline",
                n,
                f"reference grid ({reference.key})",
                note=note if n else "no voxel on the reference grid",
            )
        )


def _registration_error(
    study: Study, registrations: Sequence[Registration], reference: Series
) -> tuple[float, str]:
    """Registration error between the two MR sessions in mm, and where it comes from."""
    other = study.find(Role.MR_POST)
    if other is None or other.key == reference.key:
        return float("nan"), "one MR session"
    for registration in registrations:
        if registration.moving == other.key and registration.accepted:
            value = registration.qc.get("registration_error_mm", float("nan"))
            if np.isfinite(value):
                return float(value), f"registration error {value:.2f} mm"
            half = 0.5 * float(np.prod(reference.grid.spacing_mm)) ** (1 / 3)
            return half, (f"registration error not known, half a voxel ({half:.2f} mm) taken")
    return float("nan"), "not registered"
