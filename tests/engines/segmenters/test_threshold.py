from __future__ import annotations

import numpy as np
import pytest

from eprimg.config import SegmentConfig
from eprimg.engines.segmenters.threshold import ThresholdSegmenter
from eprimg.errors import EngineError, UnitsError
from eprimg.model.grid import Grid
from eprimg.model.lesions import RegionSource
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity


def suv_map(values, key="suvbw"):
    grid = Grid(values.shape, np.diag([5.0, 5.0, 5.0, 1.0]), "pet")  # 0.125 mL per voxel
    return QuantityMap(values, grid, quantity(key), np.isfinite(values), "test")


@pytest.fixture
def uptake():
    values = np.ones((10, 10, 10), dtype=np.float32)
    values[1:4, 1:4, 1:4] = 10.0  # 27 voxels, 3.4 mL
    values[6:8, 6:8, 6:8] = 5.0  # 8 voxels, 1 mL
    values[9, 0, 0] = 9.0  # 1 voxel, 0.125 mL
    return values


def test_percent_of_maximum(uptake):
    found = ThresholdSegmenter(SegmentConfig(percent=41.0)).segment(suv_map(uptake))
    assert [r.name for r in found.regions] == ["candidate-1", "candidate-2"]
    assert np.bincount(found.labels.ravel()).tolist() == [1000 - 35, 27, 8]
    assert {r.source for r in found.regions} == {RegionSource.CANDIDATE}
    assert found.settings["rule"] == "SUVbw >= 41 % of the maximum"


def test_fixed_value_and_minimum_volume(uptake):
    config = SegmentConfig(rule="fixed", suvbw=6.0, minimum_volume_ml=0.1)
    found = ThresholdSegmenter(config).segment(suv_map(uptake))
    assert np.bincount(found.labels.ravel()).tolist() == [1000 - 28, 27, 1]


def test_nothing_found(uptake):
    config = SegmentConfig(rule="fixed", suvbw=60.0)
    assert ThresholdSegmenter(config).segment(suv_map(uptake)).regions == ()


def test_too_many(uptake):
    config = SegmentConfig(maximum_candidates=1)
    with pytest.raises(EngineError) as caught:
        ThresholdSegmenter(config).segment(suv_map(uptake))
    assert caught.value.code == "E_SEG_MANY"


def test_only_suvbw(uptake):
    with pytest.raises(UnitsError):
        ThresholdSegmenter(SegmentConfig()).segment(suv_map(uptake, "pid_per_kg"))
