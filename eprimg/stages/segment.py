"""Stage: regions on the reference grid, from imported masks first, else as candidates from PET."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.errors import Cancelled, EprimgError, GeometryError
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, MatchedLesions, Region, RegionRole, RegionSource
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg.stages._segment_merge import Merge
from eprimg.stages.candidates import find_candidates
from eprimg.stages.carry import carry_regions, fingerprints, reference_series, transform_to
from eprimg.stages.clicks import place_clicks
from eprimg.stages.lesion_matches import DrawnLesions, match_drawn
from eprimg.stages.model_regions import model_regions

__all__ = ["Segmented", "segment"]

_ORGAN_SHARE = 0.5
"""A candidate of which more than this part lies in reference organs is an organ, not a lesion."""


@dataclass(frozen=True, eq=False, slots=True)
class Segmented:
    """Regions of a study.

    Parameters
    ----------
    lesions : LesionSet or None
        All regions on the reference grid; None when there are none.
    native : Mapping of str to LesionSet
        Regions on the grid that they were drawn or found on, by series key, when that grid is not
        the reference grid: `measure` uses them there as they are instead of carrying them back.
    matches : tuple of MatchedLesions
        Lesions that were drawn on two series, and which of them belong together.
    """

    lesions: LesionSet | None
    native: Mapping[str, LesionSet] = field(default_factory=dict)
    matches: tuple[MatchedLesions, ...] = ()


def segment(
    study: Study,
    maps: Mapping[str, QuantityMap],
    config: Config,
    *,
    registrations: Sequence[Registration] = (),
    progress: Callable[[str, float], object] | None = None,
) -> StageResult[Segmented]:
    """Bring masks and clicked regions to the reference grid; without a lesion, look on PET.

    Parameters
    ----------
    study : Study
        What was read; its regions lie on the grids that they were drawn on.
    maps : Mapping of str to QuantityMap
        Native maps; ``suvbw`` is used when there is no lesion mask.
    config : Config
        Settings.
    registrations : sequence of Registration
        From the reference series to the others; masks of other sessions travel through them.
    progress : callable, optional
        Called with words and the fraction done, before every mask.

    Returns
    -------
    StageResult[Segmented]
        Regions on the reference grid, and on their own grids where these differ.

    Raises
    ------
    GeometryError
        ``E_FOR`` for a mask in a frame of reference that no series has, ``E_SEG_UNREGISTERED`` for
        a mask on a series that is not aligned with the reference series.
    """
    reference = reference_series(study)
    merge = Merge(np.zeros(reference.grid.shape, dtype=np.int32))
    clicked = place_clicks(study, config)
    merge.findings += clicked.findings
    given = (*study.regions, *clicked.value)
    drawn: list[DrawnLesions] = []
    for number, imported in enumerate(given):
        if progress is not None:
            progress(f"regions of {imported.origin}", number / (len(given) + 1))
        labels, series, how = _on_reference(study, registrations, imported, reference)
        before = len(merge.regions)
        drawn_on = series if series.key != reference.key else None
        merge.add(imported, labels, drawn_on, how, overlapping=True)
        merged = merge.regions[before:]
        drawn.append(DrawnLesions.of(series.key, labels, imported.regions, merged))
    matches, noticed = match_drawn(drawn, reference.grid.spacing_mm, config.matching)
    merge.findings += noticed
    if config.segment_model.engine:
        _add_model_regions(merge, study, registrations, maps, config, reference, progress)
    if not any(r.role == RegionRole.LESION for r in merge.regions):
        if progress is not None:
            progress("looking for candidates", 0.5)
        _add_candidates(merge, study, registrations, maps, config, reference)
    if not merge.regions:
        return StageResult(Segmented(None), tuple(merge.findings))
    lesions = merge.on_reference(reference.grid)
    outlines = fingerprints(lesions)
    native = {}
    for key, each in merge.on_native().items():
        own = {str(r.id): outlines[str(r.id)] for r in each.regions}
        native[key] = replace(each, settings={**each.settings, "outlines": own})
    return StageResult(Segmented(lesions, native, matches), tuple(merge.findings))


def _on_reference(
    study: Study, registrations: Sequence[Registration], regions: LesionSet, reference: Series
) -> tuple[npt.NDArray[np.int32], Series, dict[int, str]]:
    """Labels on the reference grid, the series that the mask was drawn on, how each got there."""
    if regions.grid.matches(reference.grid):
        return np.asarray(regions.labels, dtype=np.int32), reference, {}
    series = _drawn_on(study, regions.grid, reference)
    if series is None:
        raise unknown_frame(regions)
    transform = _transform_of_frame(study, registrations, series, reference)
    if transform is None:
        raise GeometryError(
            f"the mask was drawn on {series.key}, which is not aligned with {reference.key}",
            code="E_SEG_UNREGISTERED",
            where=regions.origin or None,
            action=f"give the mask on {reference.key}, or mend the registration",
        )
    labels, how = carry_regions(regions, reference.grid, transform)
    return labels, series, how


def unknown_frame(regions: LesionSet) -> GeometryError:
    """Make the refusal of a mask in a frame of reference that no series has.

    Parameters
    ----------
    regions : LesionSet
        The mask.

    Returns
    -------
    GeometryError
        ``E_FOR``.
    """
    return GeometryError(
        "the mask lies in a frame of reference that none of the series has",
        code="E_FOR",
        where=regions.origin or None,
        value=regions.grid.frame_of_reference,
        action="draw the mask on one of the series, or name the series in study.toml",
    )


def _drawn_on(study: Study, grid: Grid, reference: Series) -> Series | None:
    """Return the series whose grid, or at least whose frame of reference, a mask has."""
    for series in study.series:
        if series.grid.matches(grid):
            return series
    if reference.grid.frame_of_reference == grid.frame_of_reference:
        return reference
    return next(
        (s for s in study.series if s.grid.frame_of_reference == grid.frame_of_reference), None
    )


def _transform_of_frame(
    study: Study, registrations: Sequence[Registration], series: Series, reference: Series
) -> Transform | None:
    """Transform to the frame of a series; a CT has the one of the PET of its session."""
    direct = transform_to(study, registrations, series)
    if direct is not None:
        return direct
    frame = series.grid.frame_of_reference
    for other in study.series:
        if other.key in (series.key, reference.key) or other.grid.frame_of_reference != frame:
            continue
        if other.study_uid != series.study_uid:
            continue
        shared = transform_to(study, registrations, other)
        if shared is not None:
            return shared
    return None


def _add_model_regions(
    merge: Merge,
    study: Study,
    registrations: Sequence[Registration],
    maps: Mapping[str, QuantityMap],
    config: Config,
    reference: Series,
    progress: Callable[[str, float], object] | None,
) -> None:
    """Add what a model finds; imported organs and lesions go before it."""
    try:
        made = model_regions(maps, config, known=merge.regions, progress=progress)
        found = made.value
        if config.segment.accept_candidates:
            found = found.with_regions(confirmed(found.regions))
        labels, series, how = _on_reference(study, registrations, found, reference)
    except Cancelled:
        raise
    except EprimgError as error:
        merge.findings.append(Finding.from_error(error, config.segment_model.engine))
        return
    merge.findings += made.findings
    if found.regions:
        merge.add(found, labels, series if series.key != reference.key else None, how)


def _add_candidates(
    merge: Merge,
    study: Study,
    registrations: Sequence[Registration],
    maps: Mapping[str, QuantityMap],
    config: Config,
    reference: Series,
) -> None:
    suvbw = maps.get("suvbw")
    if suvbw is None:
        merge.note(
            "W_NO_LESIONS",
            Severity.WARNING,
            study.pseudonym,
            "There is no lesion mask, and no SUVbw map on which candidates could be found: "
            "no lesion is measured. Give a mask (NIfTI or DICOM SEG).",
        )
        return
    series = next(s for s in study.series if s.key == suvbw.sources[0])
    transform = transform_to(study, registrations, series)
    if transform is None:
        merge.note(
            "W_NO_LESIONS",
            Severity.WARNING,
            series.key,
            f"There is no lesion mask, and {series.key} is not aligned with "
            f"{reference.key}: candidates found on it could not be carried there.",
        )
        return
    try:
        found, noticed = find_candidates(
            suvbw,
            series,
            config.segment,
            organs=_organs(merge, reference.grid),
            transform=transform,
        )
    except EprimgError as error:
        merge.findings.append(Finding.from_error(error, series.key))
        return
    merge.findings += noticed
    on_reference, how = found.labels, dict[int, str]()
    if series.key != reference.key:
        on_reference, how = carry_regions(found, reference.grid, transform)
    labels = np.asarray(on_reference, dtype=np.int32)
    if config.segment.accept_candidates:
        found = found.with_regions(confirmed(found.regions))
    kept, labels, dropped = _without_organs(merge, found, labels)
    # Candidates are lesions: one way for all of them, whatever their numbers are now.
    how = dict.fromkeys((r.id for r in kept.regions), next(iter(how.values()), ""))
    if dropped:
        merge.note(
            "I_CANDIDATES_DROPPED",
            Severity.INFO,
            series.key,
            f"{_count(len(dropped), 'automatic region')} left out because more than half "
            f"of each lies in a reference organ: {', '.join(dropped)}.",
        )
    if not kept.regions:
        merge.note(
            "W_NO_LESIONS",
            Severity.WARNING,
            series.key,
            "There is no lesion mask, and no candidate was found on PET "
            f"({found.settings.get('rule', config.segment.engine)}). That is not proof "
            "that there is no lesion.",
        )
        return
    merge.add(kept, labels, series if series.key != reference.key else None, how)
    said = _count(len(kept.regions), "region")
    rule = found.settings.get("rule", config.segment.engine)
    if config.segment.accept_candidates:
        text = (
            f"{said} found automatically on PET ({rule}) and accepted as lesions without a "
            "mask, as the settings ask. Nobody has reviewed the outlines."
        )
    else:
        text = (
            f"{said} found automatically on PET ({rule}). They are candidates: a threshold "
            "cannot tell a lesion from a healthy organ. They are measured but get no tier "
            "until a person confirms them (--accept-candidates, or a mask)."
        )
    merge.note("I_CANDIDATES", Severity.INFO, series.key, text)


def _organs(merge: Merge, grid: Grid) -> LesionSet | None:
    """Return the reference regions and excluded parts so far, on the reference grid."""
    organs = tuple(r for r in merge.regions if r.role != RegionRole.LESION)
    return LesionSet(merge.labels.copy(), grid, organs) if organs else None


def _without_organs(
    merge: Merge, found: LesionSet, labels: npt.NDArray[np.int32]
) -> tuple[LesionSet, npt.NDArray[np.int32], list[str]]:
    """Drop candidates that lie in reference organs; number the others after all known ids."""
    organs = {r.id: r.name for r in merge.regions if r.role != RegionRole.LESION}
    in_organ = np.isin(merge.labels, list(organs))
    kept, dropped = [], []
    table = np.zeros(max([0, *(r.id for r in found.regions)]) + 1, dtype=np.int32)
    number = max([0, *organs])
    for region in found.regions:
        voxels = labels == region.id
        share = float(in_organ[voxels].mean()) if voxels.any() else 0.0
        if share > _ORGAN_SHARE:
            owners = merge.labels[voxels]
            owner = int(np.bincount(owners[owners > 0]).argmax())
            dropped.append(f"{region.name} ({100 * share:.0f} % in {organs[owner]})")
            continue
        number += 1
        table[region.id] = number
        kept.append(replace(region, id=number))
    native = replace(found, labels=table[np.asarray(found.labels)], regions=tuple(kept))
    return native, table[labels], dropped


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def confirmed(regions: tuple[Region, ...]) -> tuple[Region, ...]:
    """Mark candidates as confirmed.

    Parameters
    ----------
    regions : tuple of Region
        Regions of a set.

    Returns
    -------
    tuple of Region
        The same, every candidate with source ``confirmed``.
    """
    return tuple(
        replace(r, source=RegionSource.CONFIRMED) if r.source == RegionSource.CANDIDATE else r
        for r in regions
    )
