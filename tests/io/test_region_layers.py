"""Regions that share voxels: nothing is lost, and it is told."""

from __future__ import annotations

import numpy as np

from eprimg.io.region_layers import RegionMask, in_layers
from eprimg.model.lesions import Region, RegionRole
from tests.io.rtstruct_factory import GRID


def mask(number, corner, size):
    return RegionMask(
        Region(number, f"r{number}", RegionRole.LESION), np.ones(size, dtype=bool), corner
    )


def test_regions_that_are_apart_share_one_volume():
    sets, findings = in_layers(
        [mask(300, (1, 1, 1), (2, 2, 2)), mask(2, (4, 1, 1), (1, 3, 1))], GRID, origin="x"
    )
    assert findings == ()
    (only,) = sets
    assert [r.id for r in only.regions] == [2, 300]
    assert {int(n): int((only.labels == n).sum()) for n in (2, 300)} == {2: 3, 300: 8}
    assert only.labels.dtype == np.uint16


def test_overlaps_open_another_volume_and_are_named():
    sets, findings = in_layers(
        [
            mask(1, (1, 1, 1), (2, 2, 2)),
            mask(2, (2, 2, 2), (2, 2, 2)),
            mask(3, (5, 1, 1), (1, 1, 1)),
            mask(4, (3, 3, 3), (1, 1, 2)),
        ],
        GRID,
        origin="x",
        settings={"rule": "r"},
    )
    assert [[r.id for r in s.regions] for s in sets] == [[1, 3, 4], [2]]
    for number, count in ((1, 8), (2, 8), (3, 1), (4, 2)):
        assert sum(int((s.labels == number).sum()) for s in sets) == count
    (finding,) = findings
    assert finding.code == "W_SEG_OVERLAP"
    assert "r1 and r2 (0.015 mL)" in finding.text  # one voxel of 3 x 2.5 x 2 mm
    assert "r2 and r4 (0.015 mL)" in finding.text
    assert all(s.settings == {"rule": "r"} for s in sets)
