"""Voxels looked up by box are those of the whole volume."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.region_voxels import RegionVoxels, fills_space


def test_values_counts_and_statistics(scene):
    regions = scene.region_set()
    voxels = RegionVoxels(regions)
    values = np.arange(np.prod(scene.shape), dtype=np.float32).reshape(scene.shape)
    for region in regions.regions:
        inside = regions.labels == region.id
        assert voxels.count(region.id) == np.count_nonzero(inside)
        np.testing.assert_array_equal(voxels.pick(values, region.id), values[inside])
    assert voxels.count(99) == 0
    assert RegionVoxels.of(voxels) is voxels
    assert RegionVoxels.of(regions).boxes == voxels.boxes


def test_statistics_are_those_of_the_region_alone(scene):
    from eprimg.stages.quantify import quantify

    made = quantify(scene.study(), scene.registrations(), scene.config).value
    voxels = RegionVoxels(scene.region_set())
    found = voxels.statistics(made.maps["r2star_pre"], 1)
    assert found.n_valid.tolist() == [100]
    assert found.median[0] == pytest.approx(30.0, rel=1e-4)  # painted
    assert voxels.statistics(made.maps["r2star_pre"], 99) is None


def test_organs_of_fifty_millilitres_fill_space(scene):
    """50 mL are 1389 voxels of 36 mm3; a lesion of any size does not fill space."""
    labels = np.zeros(scene.shape, dtype=np.int32)
    labels.ravel()[:1389] = 1
    labels.ravel()[1400:2788] = 2
    labels.ravel()[3000:5000] = 3
    roles = {1: RegionRole.REFERENCE, 2: RegionRole.REFERENCE, 3: RegionRole.LESION}
    regions = tuple(Region(n, f"region-{n}", role) for n, role in roles.items())
    voxels = RegionVoxels(LesionSet(labels, scene.grid("pre"), regions))
    assert [fills_space(voxels, r) for r in regions] == [True, False, False]
