"""The tiny study measured, and random edits of its regions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg import pipeline
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.study import Role
from eprimg.model.volume import EchoStack
from eprimg.stages.carry import fingerprints
from eprimg.stages.region_notes import exclude_region

CONFIG_SHIFTS = {"mr_post": (1.2, -0.7, 0.9), "pet": (-1.1, 0.6, 1.7)}
"""Parts of a voxel: labels have to be carried, not copied."""


def noisy(series, seed):
    """The same series with voxels that all differ, so that no statistic hides a wrong voxel."""
    random = np.random.default_rng(seed)
    if isinstance(series.pixels, EchoStack):
        volume = series.pixels.volume
        data = volume.data * (1 + 0.05 * random.standard_normal(volume.data.shape))
        pixels = replace(series.pixels, volume=replace(volume, data=data.astype(np.float32)))
        return replace(series, pixels=pixels)
    data = series.pixels.data * (1 + 0.1 * random.standard_normal(series.pixels.data.shape))
    return replace(series, pixels=replace(series.pixels, data=data.astype(np.float32)))


def measured_case(scene, *, drawn_on_pet=False):
    """The tiny study with a second lesion in the liver, everything run."""
    study = scene.study(
        noisy(scene.mr_series(Role.MR_PRE, "pre"), 1),
        noisy(scene.mr_series(Role.MR_POST, "post", column=1), 2),
        noisy(scene.pet_series("pet"), 3),
    )
    registrations = tuple(
        scene.registration(key, shift=shift) for key, shift in CONFIG_SHIFTS.items()
    )
    base = scene.region_set()
    labels = np.array(base.labels)
    labels[3:6, 3:6, 3:6] = 2
    regions = LesionSet(
        labels,
        base.grid,
        tuple(sorted((*base.regions, Region(2, "second", RegionRole.LESION)), key=lambda r: r.id)),
        "masks",
    )
    native = {}
    if drawn_on_pet:
        on_pet = np.zeros(scene.shape, dtype=np.int32)
        on_pet[5:9, 12:16, 9:13] = 1
        outlines = {"1": fingerprints(regions)["1"]}
        lesion = tuple(r for r in regions.regions if r.id == 1)
        native = {"pet": LesionSet(on_pet, scene.grid("pet"), lesion, "m", {"outlines": outlines})}
    start = pipeline.Case(study, registrations=registrations)
    made = pipeline.run(study, scene.config, case=start, start="quantify", stop="quantify")
    return pipeline.run(
        study, scene.config, case=made, start="measure", regions=regions, native=native
    )


def with_labels(lesions, labels, regions=None):
    """A set with other labels, as a window would hand it over."""
    return LesionSet(labels, lesions.grid, regions or lesions.regions, lesions.origin)


def edit(lesions, random):
    """Do one random edit; return the new set and words for a failing test."""
    labels = np.array(lesions.labels)
    regions = list(lesions.regions)
    tumours = [r for r in regions if r.role == RegionRole.LESION]
    what = random.choice(
        ["paint", "paint", "paint", "erase", "erase", "new", "delete", "exclude", "organ", "rename"]
    )
    ball = tuple(
        slice(max(int(c) - 1, 0), int(c) + 2) for c in random.integers((0, 0, 0), labels.shape)
    )
    if what in ("paint", "erase") and tumours:
        region = tumours[random.integers(len(tumours))]
        own = np.argwhere(labels == region.id)
        if len(own):
            centre = own[random.integers(len(own))]
            ball = tuple(slice(max(int(c) - 1, 0), int(c) + 2) for c in centre)
        labels[ball] = region.id if what == "paint" else 0
        return with_labels(lesions, labels), f"{what} {region.name}"
    if what == "delete" and len(tumours) > 1:
        region = tumours[random.integers(len(tumours))]
        labels[labels == region.id] = 0
        return with_labels(
            lesions, labels, tuple(r for r in regions if r.id != region.id)
        ), f"delete {region.name}"
    if what == "exclude" and len(tumours) > 1:
        region = tumours[random.integers(len(tumours))]
        kept = tuple(exclude_region(r, "why") if r.id == region.id else r for r in regions)
        return with_labels(lesions, labels, kept), f"exclude {region.name}"
    if what == "organ":
        organs = [r for r in regions if r.role == RegionRole.REFERENCE]
        region = organs[random.integers(len(organs))]
        labels[ball] = region.id
        return with_labels(lesions, labels), f"paint {region.name}"
    if what == "rename" and tumours:
        region = tumours[random.integers(len(tumours))]
        kept = tuple(replace(r, name=f"{r.name}x") if r.id == region.id else r for r in regions)
        return with_labels(lesions, labels, kept), f"rename {region.name}"
    number = max(r.id for r in regions) + 1
    labels[ball] = number
    regions.append(Region(number, f"lesion-{number}", RegionRole.LESION))
    return with_labels(lesions, labels, tuple(regions)), f"new {number}"
