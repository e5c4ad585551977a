"""The order of the stages, and of what they notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eprimg.model.case import Finding

__all__ = ["STAGES", "with_findings"]

STAGES = ("register", "quantify", "segment", "measure", "stratify")
"""Stages of the main job, in the order in which they are run."""

_ONCE = "W_REGION_EMPTY"


def with_findings(
    before: Sequence[Finding], noticed: Sequence[Finding], stage: str
) -> tuple[Finding, ...]:
    """Put a stage's findings in the place of those of its earlier run.

    Parameters
    ----------
    before : sequence of Finding
        Findings of a case.
    noticed : sequence of Finding
        What the stage noticed now; each gets the name of the stage.
    stage : str
        One of `STAGES`.

    Returns
    -------
    tuple of Finding
        In the order of stages; what was noticed before the first stage keeps the head.  That a
        region has no voxel is kept as the first stage that saw it says it, once for each region.
    """
    kept = [f for f in before if f.stage != stage]
    told = {f.where for f in kept if f.code == _ONCE}
    new = [f for f in noticed if f.code != _ONCE or f.where not in told]
    found = kept + [replace(f, stage=stage) for f in new]
    return tuple(sorted(found, key=lambda f: STAGES.index(f.stage) if f.stage in STAGES else -1))
