"""Candidates on PET by the engine of the settings, with what it may know of organs and tracer."""

from __future__ import annotations

from typing import Any

from eprimg.config import SegmentConfig
from eprimg.engines.segmenters.pet_context import PetContext
from eprimg.kernels.pet_thresholds import LIVER_RULES
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.model.transform import Transform
from eprimg.registry import load_engine
from eprimg.stages.carry import carry_regions
from eprimg.stages.search_told import search_findings

__all__ = ["find_candidates", "pet_context"]

_NAMED = 12
"""So many left-out candidates are named in a finding; all are in the settings of the set."""


def pet_context(
    series: Series,
    *,
    organs: LesionSet | None = None,
    transform: Transform | None = None,
    seeds: tuple[tuple[int, int, int], ...] = (),
) -> PetContext:
    """Gather what is known around a PET map.

    Parameters
    ----------
    series : Series
        The PET series; its tracer and its description are what it says of what was injected.
    organs : LesionSet, optional
        Reference regions and excluded parts on any grid.
    transform : Transform, optional
        From the frame of the organs to that of the series; needed when they differ.
    seeds : tuple of (int, int, int)
        Voxels (k, j, i) that a person pointed at.

    Returns
    -------
    PetContext
        Organs on the grid of the series, nuclide, tracer, seeds.
    """
    if organs is not None and not organs.grid.matches(series.grid):
        there = (
            transform.inverse()
            if transform is not None
            else Transform.identity(series.grid.frame_of_reference)
        )
        carried, _ = carry_regions(organs, series.grid, there)
        organs = LesionSet(carried, series.grid, organs.regions, organs.origin)
    nuclide = series.nuclide
    if isinstance(series.acquisition, PETAcquisition):
        nuclide = series.acquisition.injection.nuclide.value or ""
    words = series.tracer or series.description
    if series.tracer and series.description:
        words += f" ({series.description})"
    return PetContext(organs, nuclide, words, seeds)


def find_candidates(
    suvbw: QuantityMap,
    series: Series,
    config: SegmentConfig,
    *,
    organs: LesionSet | None = None,
    transform: Transform | None = None,
    seeds: tuple[tuple[int, int, int], ...] = (),
) -> tuple[LesionSet, list[Finding]]:
    """Run the segmenter of the settings on a PET map.

    Parameters
    ----------
    suvbw : QuantityMap
        SUVbw on the native PET grid.
    series : Series
        The series that it was made from.
    config : SegmentConfig
        Settings.
    organs, transform, seeds
        See `pet_context`; an engine without ``takes_context`` is given the map alone.

    Returns
    -------
    LesionSet
        Candidates on the grid of the map.
    list of Finding
        What was left out and why, and what is doubtful.

    Raises
    ------
    EprimgError
        What the engine refuses.
    """
    engine: Any = load_engine("segmenter", config.engine)(config)
    findings: list[Finding] = []
    if not getattr(engine, "takes_context", False):
        plain = engine.segment(suvbw)
        if isinstance(plain, LesionSet):
            findings += search_findings(suvbw, plain, series.key, config)
        return plain, findings
    context = pet_context(series, organs=organs, transform=transform, seeds=seeds)
    found: LesionSet = engine.segment(suvbw, context)
    findings += search_findings(suvbw, found, series.key, config, organs=context.organs)
    liver_rule = config.method in LIVER_RULES and config.reference == "liver"
    if liver_rule and not context.nuclide:
        findings.append(
            Finding(
                "W_SEG_LIVER",
                Severity.WARNING,
                series.key,
                "The threshold comes from the liver, and no nuclide is known from the header: "
                "with a tracer that the liver takes up on purpose it is not valid.",
            )
        )
    elif liver_rule and config.force_liver_threshold:
        findings.append(
            Finding(
                "W_SEG_LIVER",
                Severity.WARNING,
                series.key,
                "The threshold comes from the liver because the settings force it, whatever the "
                f"tracer ({context.nuclide}).",
            )
        )
    removed = found.settings.get("removed", ())
    if isinstance(removed, tuple) and removed:
        said = [f"{r['name']} ({r['reason']}), {r['volume_ml']:.3g} mL" for r in removed[:_NAMED]]
        more = f" and {len(removed) - _NAMED} more" if len(removed) > _NAMED else ""
        findings.append(
            Finding(
                "I_CANDIDATES_DROPPED",
                Severity.INFO,
                series.key,
                f"Left out on PET: {'; '.join(said)}{more}.",
            )
        )
    return found, findings
