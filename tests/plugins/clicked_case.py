"""A reading of the tiny study, measured, with one lesion that can be clicked on MR and on PET."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from eprimg import pipeline
from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet
from eprimg.model.study import Role
from napari_eprimg.reading.reading import Reading
from tests.stages.conftest import IDS, LESION, Scene

LESION_SPL = (24.0, 42.0, 30.0)
"""S, P, L in mm of the middle of the lesion's box; the grid: (k, j, i) lies at (4 k, 3 j, 3 i)."""
OUTSIDE_SPL = (24.0, 42.0, -30.0)
PET_SHIFT_MM = (1.0, -1.0, 1.5)
"""Parts of a voxel, so that an outline on PET is not that on the reference grid."""


@lru_cache(maxsize=1)
def clicked_case() -> Case:
    """Everything run; the lesion's own mask is left out, so there is only a small one in the
    liver beside the organs."""
    scene = Scene(Config().with_settings({"threads": 1}))
    base = scene.region_set()
    labels = np.array(base.labels)
    labels[labels == IDS["lesion"]] = 0
    labels[3:5, 3:5, 3:5] = IDS["lesion"]
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre"),
        scene.mr_series(Role.MR_POST, "post", column=1),
        scene.pet_series("pet"),
    )
    known = (scene.registration("mr_post"), scene.registration("pet", shift=PET_SHIFT_MM))
    start = Case(study, registrations=known)
    made = pipeline.run(study, scene.config, case=start, start="quantify", stop="quantify")
    regions = LesionSet(labels, base.grid, base.regions, "masks")
    return pipeline.run(study, scene.config, case=made, start="segment", regions=regions)


def clicked_reading() -> Reading:
    """A fresh reading of it, all steps done."""
    reading = Reading()
    adopt(reading)
    return reading


def adopt(reading: Reading) -> None:
    """Give a reading the measured case."""
    case = clicked_case()
    done = dict.fromkeys(pipeline.STAGES, 1.0)
    case = replace(case, provenance=replace(case.provenance, seconds=done))
    reading._config = Config().with_settings({"threads": 1})
    plan: Any = SimpleNamespace(
        study_file=SimpleNamespace(entered={}), findings=(),
        index=SimpleNamespace(series=()),
    )  # fmt: skip
    reading.adopt(Path("study"), plan, case)


def box() -> np.ndarray:
    """Where the lesion was painted, on the reference grid."""
    found = np.zeros(clicked_case().lesions.grid.shape, dtype=bool)
    found[LESION] = True
    return found
