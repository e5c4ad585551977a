"""The conformance test fails for engines that break the rules."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.segmenters.conformance import check_segmenter
from eprimg.engines.segmenters.contract import SegmenterResult
from eprimg.errors import Cancelled, InputError
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource


class Good:
    name, takes_volumes, finds_lesions = "good", True, True

    def segment(self, volumes, prompts=None, *, should_stop=None):
        if should_stop is not None and should_stop():
            raise Cancelled
        if not volumes or np.ptp(volumes[0].values[volumes[0].valid]) == 0:
            raise InputError("constant", code="E_MODEL_INPUT")
        labels = (np.nan_to_num(volumes[0].values) > 4).astype(np.int32)
        return SegmenterResult(self.made(labels, volumes[0].grid))

    def made(self, labels, grid):
        region = Region(1, "candidate-1", RegionRole.LESION, RegionSource.CANDIDATE)
        return LesionSet(labels, grid, (region,), origin="good")


class Unnamed(Good):
    def made(self, labels, grid):
        return LesionSet(labels, grid, (), origin="x")


class Confirmed(Good):
    def made(self, labels, grid):
        return LesionSet(labels, grid, (Region(1, "a", RegionRole.LESION),), origin="x")


class Turned(Good):
    def made(self, labels, grid):
        flipped = type(grid)(grid.shape, grid.affine @ np.diag([1, -1, 1, 1]), "elsewhere")
        return super().made(labels, flipped)


class Filling(Good):
    def made(self, labels, grid):
        return super().made(np.ones_like(labels), grid)


class Unstoppable(Good):
    def segment(self, volumes, prompts=None, *, should_stop=None):
        return super().segment(volumes, prompts)


class Indifferent(Good):
    def segment(self, volumes, prompts=None, *, should_stop=None):
        if not volumes:
            return None
        return super().segment(volumes, prompts, should_stop=should_stop)


def test_a_good_engine_passes():
    assert check_segmenter(Good()).regions.origin == "good"


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (Unnamed, "without a record"),
        (Confirmed, "is a candidate"),
        (Turned, ""),
        (Filling, "failed voxel"),
        (Unstoppable, "should_stop"),
        (Indifferent, "is refused"),
    ],
)
def test_broken_rules_are_named(engine, words):
    with pytest.raises(Exception, match=words):
        check_segmenter(engine())
