"""Regions by a segmentation model of the user's, on the grid of the maps that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eprimg.config import Config
from eprimg.engines.segmenters.contract import SegmenterResult
from eprimg.errors import ConfigError, InputError, cancellable
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.registry import load_engine

__all__ = ["model_regions"]


def model_regions(
    maps: Mapping[str, QuantityMap],
    config: Config,
    *,
    known: Sequence[Region] = (),
    progress: Callable[[str, float], object] | None = None,
) -> StageResult[LesionSet]:
    """Run the model that the settings name.

    Parameters
    ----------
    maps : Mapping of str to QuantityMap
        Native maps.
    config : Config
        ``segment_model`` names the engine, its program, weights and inputs.
    known : sequence of Region
        Imported regions.  An organ that is among them is not taken from the model, and no lesion
        is when there is one among them.
    progress : callable, optional
        Called with words and the finished share; False ends the program.

    Returns
    -------
    StageResult of LesionSet
        Candidates and organs on the grid of the first map, and what was run (``I_MODEL``).

    Raises
    ------
    EprimgError
        ``E_ENGINE``, ``E_CONFIG``, ``E_MODEL_...``, the codes of `run_child`; ``E_CANCELLED``.
    """
    settings = config.segment_model
    kind: Any = load_engine("segmenter", settings.engine)
    if not getattr(kind, "takes_volumes", False):
        raise ConfigError(
            f"{settings.engine} is no model that takes volumes",
            code="E_CONFIG",
            where="segment_model.engine",
            value=settings.engine,
            action="name it in segment.engine, or use one that `eprimg check` lists as a model",
        )
    missing = [key for key in settings.inputs if key not in maps]
    if missing or not settings.inputs:
        raise InputError(
            f"the model asks for {', '.join(missing) or 'nothing'}, which this study does not have",
            code="E_MODEL_INPUT",
            where="segment_model.inputs",
            action=f"use some of {', '.join(sorted(maps)) or 'no map'}",
        )
    watched = cancellable(progress)
    words = f"model {settings.engine}"
    watched(words, 0.3)

    def stopped() -> bool:
        return progress is not None and progress(words, 0.4) is False

    result: SegmenterResult = kind(settings, config.segment).segment(
        [maps[key] for key in settings.inputs], should_stop=stopped
    )
    found = result.regions
    lesions = sum(r.role == RegionRole.LESION for r in found.regions)
    about = found.settings.get("model")
    digest = str(about.get("weights_sha256", ""))[:16] if isinstance(about, Mapping) else ""
    seconds, memory = result.meta.get("seconds"), result.meta.get("peak_memory_mb")
    said = f" in {seconds:.1f} s with {memory:.0f} MB" if isinstance(seconds, float) else ""
    text = (
        f"{settings.engine} found {lesions} candidate regions and {len(found.references)} organs "
        f"on {', '.join(settings.inputs)}{said} (weights {digest}..., licence: "
        f"{settings.licence or 'not stated'}). Nobody has reviewed the outlines."
    )
    finding = Finding("I_MODEL", Severity.INFO, settings.engine, text)
    return StageResult(_new_ones(found, known), (finding,))


def _new_ones(found: LesionSet, known: Sequence[Region]) -> LesionSet:
    organs = {r.anatomy for r in known if r.anatomy}
    drawn = any(r.role == RegionRole.LESION for r in known)
    kept = tuple(
        r
        for r in found.regions
        if not (drawn if r.role == RegionRole.LESION else r.anatomy in organs)
    )
    labels = np.where(np.isin(found.labels, [r.id for r in kept]), found.labels, 0)
    return replace(found, labels=labels, regions=kept)
