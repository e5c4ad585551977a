"""Stage: numbers per region, each on the grid that its quantity was acquired on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.model.case import StageResult
from eprimg.model.lesions import LesionSet, Measurement, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration
from eprimg.stages.carry import carry_labels, fingerprints, reference_series, transform_to
from eprimg.stages.coverage import Drawn, add_coverage_notes, measure_coverage
from eprimg.stages.measure_mr import measure_differences, measure_r2star
from eprimg.stages.measure_pet import measure_pet
from eprimg.stages.noise_floor import voxel_doubts
from eprimg.stages.objections import region_objections
from eprimg.stages.region_notes import note_regions

__all__ = ["Measured", "measure"]

_CARRIED = "carried"
"""Setting of a native label set: ids of the regions that came from the reference grid."""

_RANK = {RegionRole.REFERENCE: 0, RegionRole.LESION: 1, RegionRole.EXCLUDE: 2}

_MEASURED_ROLES = (Role.MR_PRE, Role.MR_POST, Role.PET)


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """Regions with their numbers.

    Parameters
    ----------
    lesions : LesionSet or None
        Regions on the reference grid, with measurements and notes.
    native_lesions : Mapping of str to LesionSet
        The same labels on the grid of every series that was measured, by series key.
    """

    lesions: LesionSet | None
    native_lesions: Mapping[str, LesionSet] = field(default_factory=dict)


def measure(
    study: Study,
    registrations: Sequence[Registration],
    maps: Mapping[str, QuantityMap],
    registered: Mapping[str, QuantityMap],
    lesions: LesionSet | None,
    config: Config,
    *,
    native: Mapping[str, LesionSet] | None = None,
    ids: Collection[int] | None = None,
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
        Regions whose labels on a native grid are known already (drawn there, or carried before),
        by series key, as `segment` and this stage return them.  They are used as they are where
        the outline on the reference grid is still the one that they belong to; after an edit they
        are carried afresh.
    ids : collection of int, optional
        Measure only these regions again; the others keep their numbers.  All when left out.

    Returns
    -------
    StageResult[Measured]
        Regions with measurements and notes.
    """
    if lesions is None:
        return StageResult(Measured(None))
    wanted = {r.id for r in lesions.regions if r.role != RegionRole.EXCLUDE}
    if ids is not None:
        wanted &= set(ids)
    reference = reference_series(study)
    outlines = fingerprints(lesions)
    carried: dict[str, LesionSet] = {}
    for role in _MEASURED_ROLES:
        series = study.find(role)
        if series is None or not any(series.key in m.sources for m in maps.values()):
            continue
        known = (native or {}).get(series.key)
        moved = _on_native_grid(study, registrations, lesions, series, known, outlines)
        if moved is not None:
            carried[series.key] = moved
    numbers: dict[int, list[Measurement]] = {i: [] for i in wanted}
    kept = {r.id: r.measurements for r in lesions.regions if r.id not in wanted}
    drawn = _drawn(carried, lesions, reference)
    doubts = voxel_doubts(carried, maps, config)
    _measure_volume(numbers, lesions, reference)
    for role in _MEASURED_ROLES:
        series = study.find(role)
        if series is not None and series.key in carried:
            measure_coverage(numbers, study, registrations, lesions, series, drawn)
    for role, phase in ((Role.MR_PRE, "pre"), (Role.MR_POST, "post")):
        series = study.find(role)
        if series is not None and series.key in carried and f"r2star_{phase}" in maps:
            measure_r2star(numbers, carried[series.key], maps[f"r2star_{phase}"], str(role), config)
            add_coverage_notes(numbers, str(role))
    measure_differences(
        numbers,
        kept,
        lesions,
        registered,
        _registration_error(study, registrations, reference),
        config,
        doubts=doubts,
    )
    pet = study.find(Role.PET)
    if pet is not None and pet.key in carried:
        measure_pet(numbers, kept, carried[pet.key], maps, config)
        add_coverage_notes(numbers, str(Role.PET))
    measured = lesions.with_regions(
        tuple(
            replace(r, measurements=tuple(numbers[r.id])) if r.id in wanted else r
            for r in lesions.regions
        )
    )
    noted, findings = note_regions(measured, carried, doubts, wanted, config)
    judged = noted.with_regions(
        tuple(
            replace(
                r,
                objections=region_objections(
                    r, study, registrations, maps, noted, drawn, doubts, config
                ),
            )
            if r.id in wanted and r.role == RegionRole.LESION
            else r
            for r in noted.regions
        )
    )
    return StageResult(Measured(judged, carried), tuple(findings))


def _drawn(carried: Mapping[str, LesionSet], lesions: LesionSet, reference: Series) -> Drawn:
    """Tell which regions were drawn on another grid than the reference, and where."""
    on: dict[int, str] = {}
    for key, each in carried.items():
        moved = each.settings.get(_CARRIED)
        if key == reference.key or each is lesions or not isinstance(moved, tuple):
            continue
        on.update({r.id: key for r in each.regions if r.id not in moved and r.id not in on})
    return Drawn(carried, on)


def _on_native_grid(
    study: Study,
    registrations: Sequence[Registration],
    lesions: LesionSet,
    series: Series,
    known: LesionSet | None,
    outlines: Mapping[str, str],
) -> LesionSet | None:
    """Labels of all regions on the grid of a series; None when it is not aligned."""
    if series.grid.matches(lesions.grid):
        return lesions
    there = np.zeros(series.grid.shape, dtype=np.int32)
    held: set[int] = set()
    moved_before: set[int] = set()
    if known is not None and known.grid.matches(series.grid):
        earlier = known.settings.get("outlines")
        if isinstance(earlier, Mapping):
            held = {int(i) for i, outline in outlines.items() if earlier.get(i) == outline}
        before = known.settings.get(_CARRIED)
        moved_before = set(before) if isinstance(before, tuple) else set()
        labels = np.asarray(known.labels, dtype=np.int32)
        there = np.where(np.isin(labels, list(held)), labels, 0).astype(np.int32)
    missing = [r for r in lesions.regions if r.id not in held]
    if missing:
        transform = transform_to(study, registrations, series)
        if transform is None:
            if not held:
                return None
        else:
            source = np.asarray(lesions.labels, dtype=np.int32)
            # Apart, so that a lesion does not lose part of its volume along the seam to its organ.
            for organs in (True, False):
                ids = [r.id for r in missing if (r.role == RegionRole.REFERENCE) is organs]
                if not ids:
                    continue
                moved = carry_labels(
                    np.where(np.isin(source, ids), source, 0),
                    lesions.grid,
                    series.grid,
                    transform.inverse(),
                )
                there = _overlay(there, moved, lesions)
    moved_now = tuple(sorted((held & moved_before) | {r.id for r in missing}))
    settings = {**lesions.settings, "outlines": dict(outlines), _CARRIED: moved_now}
    return LesionSet(there, series.grid, lesions.regions, lesions.origin, settings)


def _overlay(
    below: npt.NDArray[np.int32], above: npt.NDArray[np.int32], lesions: LesionSet
) -> npt.NDArray[np.int32]:
    """Add carried labels; excluded parts win over lesions, lesions over organs."""
    rank = np.zeros(max([0, *(r.id for r in lesions.regions)]) + 1, dtype=np.int8)
    for region in lesions.regions:
        rank[region.id] = _RANK[region.role]
    wins = (above > 0) & ((below == 0) | (rank[above] > rank[below]))
    return np.where(wins, above, below).astype(np.int32)


def _measure_volume(
    numbers: dict[int, list[Measurement]], lesions: LesionSet, reference: Series
) -> None:
    counts = np.bincount(
        np.asarray(lesions.labels).ravel(), minlength=max([0, *(r.id for r in lesions.regions)]) + 1
    )
    for number, measured in numbers.items():
        n = int(counts[number])
        measured.append(
            Measurement(
                "volume",
                "volume",
                "reference",
                n * lesions.grid.voxel_volume_ml if n else float("nan"),
                float("nan"),
                "none: depends on who drew the outline",
                n,
                f"reference grid ({reference.key})",
                note="" if n else "no voxel on the reference grid",
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
