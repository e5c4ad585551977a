"""Lesion sets: ids, label types, look-ups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole

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
