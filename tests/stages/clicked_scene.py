"""The tiny study as a click finds it: registered, with maps, without any region."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg import pipeline
from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.study import Role
from tests.stages.conftest import Scene

Millimetres = tuple[float, float, float]


def tiny_scene() -> Scene:
    """The tiny study on one thread."""
    return Scene(Config().with_settings({"threads": 1}))


def clickable_case(
    scene: Scene,
    *,
    rolled: tuple[int, int, int] = (0, 0, 0),
    post_shift: Millimetres = (0.0, 0.0, 0.0),
    pet_shift: Millimetres = (0.0, 0.0, 0.0),
) -> Case:
    """Quantify the study without regions.

    ``rolled`` moves MR after the agent by whole voxels (k, j, i); the shifts are what the
    registrations say, in mm.
    """
    moved = scene.mr_series(Role.MR_POST, "post", column=1)
    data = np.roll(moved.pixels.volume.data, rolled, axis=(0, 1, 2))
    volume = replace(moved.pixels.volume, data=data)
    moved = replace(moved, pixels=replace(moved.pixels, volume=volume))
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre"), moved, scene.pet_series("pet"), regions=()
    )
    known = (
        scene.registration("mr_post", shift=post_shift),
        scene.registration("pet", shift=pet_shift),
    )
    start = Case(study, registrations=known)
    return pipeline.run(study, scene.config, case=start, start="quantify", stop="quantify")


def inside_box(scene: Scene, name: str) -> np.ndarray:
    """The painted box of a region on the reference grid."""
    found = np.zeros(scene.shape, dtype=bool)
    found[scene.boxes[name]] = True
    return found
