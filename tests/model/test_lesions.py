"""Lesion sets: ids, label types, look-ups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole, SharedVoxels

GRID = Grid((2, 2, 2), np.eye(4), "1.2")


def test_look_ups() -> None:
    number = Measurement("suvbw", "mean", "pet", 2.0, float("nan"), "none", 3, "native pet")
    lesion = Region(1, "lesion-1", RegionRole.LESION, measurements=(number,))
    spleen = Region(4, "spleen", RegionRole.REFERENCE, anatomy="spleen")
    regions = LesionSet(np.zeros(GRID.shape, np.uint8), GRID, (lesion, spleen))
    assert regions.lesions == (lesion,)
    assert regions.reference("spleen") is spleen
    assert regions.reference("liver") is None
    assert lesion.measurement("suvbw", "mean") is number
    assert lesion.measurement("suvbw", "mean", "mr_pre") is None
    assert regions.with_regions((lesion,)).regions == (lesion,)
    assert "1 lesions, 1 reference" in repr(regions)


def test_wrong_sets_are_refused() -> None:
    lesion = Region(1, "a", RegionRole.LESION)
    with pytest.raises(GeometryError):
        LesionSet(np.zeros((1, 2, 2), np.uint8), GRID, (lesion,))
    with pytest.raises(InputError, match="integers"):
        LesionSet(np.zeros(GRID.shape), GRID, (lesion,))
    for regions in ((lesion, lesion), (Region(0, "z", RegionRole.LESION),)):
        with pytest.raises(InputError, match="unique and positive"):
            LesionSet(np.zeros(GRID.shape, np.uint8), GRID, regions)


def test_a_further_time_point_never_stands_in_for_the_primary_one() -> None:
    def row(source: str) -> Measurement:
        return Measurement("suvbw", "mean", source, 1.0, 0.1, "", 5, f"native {source}")

    second = Region(1, "lesion-1", RegionRole.LESION, measurements=(row("pet_2"),))
    assert second.measurement("suvbw", "mean") is None
    assert second.measurement("suvbw", "mean", "pet_2") is second.measurements[0]
    both = replace(second, measurements=(row("registered_2"), row("mr_post_3-mr_pre"), row("pet")))
    assert both.measurement("suvbw", "mean") is both.measurements[2]
    compared = replace(second, measurements=(row("pet/pet_2"),))
    assert compared.measurement("suvbw", "mean") is compared.measurements[0]


def overlapping() -> LesionSet:
    """Lesion 2 holds the whole first slice, of which the labels show two voxels as lesion 1."""
    labels = np.array([[[1, 1], [2, 2]], [[1, 1], [0, 5]]], dtype=np.int32)
    regions = (
        Region(1, "a", RegionRole.LESION),
        Region(2, "b", RegionRole.LESION),
        Region(5, "liver", RegionRole.REFERENCE),
    )
    shared = SharedVoxels(2, 1, (0, 0, 0), np.ones((1, 1, 2), dtype=bool))
    return LesionSet(labels, GRID, regions, shared=(shared,))


def test_a_deleted_lesion_gives_back_what_it_showed_of_another() -> None:
    lesions = overlapping()
    expected = [[[2, 2], [2, 2]], [[0, 0], [0, 5]]]
    np.testing.assert_array_equal(lesions.labels_without([1]), expected)
    np.testing.assert_array_equal(
        lesions.labels_without([1, 2]), [[[0, 0], [0, 0]], [[0, 0], [0, 5]]]
    )
    np.testing.assert_array_equal(lesions.labels, overlapping().labels)


def test_edits_and_roles_end_what_is_shared() -> None:
    lesions = overlapping()
    assert lesions.shared_by(2) == lesions.shared
    assert lesions.shared_by(1) == ()
    excluded = tuple(
        replace(r, role=RegionRole.EXCLUDE) if r.id == 1 else r for r in lesions.regions
    )
    assert lesions.with_regions(excluded).shared_by(2) == ()
    erased = np.array(lesions.labels)
    erased[0, 0] = 0
    assert replace(lesions, labels=erased).shared_by(2) == ()
    with pytest.raises(GeometryError):
        replace(lesions, shared=(SharedVoxels(2, 1, (1, 1, 1), np.ones((2, 1, 1), dtype=bool)),))
