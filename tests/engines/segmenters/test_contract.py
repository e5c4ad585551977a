"""Prompts: checked, and the same place in mm and in voxels."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.segmenters.conformance import conformance_volume
from eprimg.engines.segmenters.contract import PointPrompt, Prompts
from eprimg.errors import EprimgError


def test_places_are_told_in_mm_and_in_voxels():
    grid = conformance_volume().grid
    # voxel (k 6, j 9, i 14) by hand: z = -7.25 + 18; x = -20 - 6.3 + 26.88; y = 12.5 + 21.6 + 7.84
    place = (0.58, 41.94, 10.75)
    shown = Prompts((PointPrompt(place), PointPrompt(place, inside=False)), ((place, place),))
    record = shown.for_grid(grid)
    assert record["points"][0] == {
        "lps_mm": list(place),
        "index_ijk": [14.0, 9.0, 6.0],
        "inside": True,
    }
    assert record["points"][1]["inside"] is False
    assert record["boxes"][0][1]["index_ijk"] == [14.0, 9.0, 6.0]
    assert shown
    assert not Prompts()
    assert not Prompts(scribble=np.zeros(grid.shape, np.int8))


@pytest.mark.parametrize(
    "faulty",
    [
        {"points": (PointPrompt((1.0, np.nan, 2.0)),)},
        {"boxes_lps_mm": (((1.0, 2.0), (3.0, 4.0)),)},
        {"scribble": np.full((2, 2, 2), 3, np.int8)},
    ],
)
def test_prompts_that_are_none(faulty):
    with pytest.raises(EprimgError, match="E_ARGUMENT"):
        Prompts(**faulty)


def test_a_scribble_lies_on_the_grid():
    with pytest.raises(EprimgError, match="E_GRID_MISMATCH"):
        Prompts(scribble=np.ones((2, 2, 2), np.int8)).for_grid(conformance_volume().grid)
