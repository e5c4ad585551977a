"""Bad masks of every kind: a code that says what is wrong, or a finding; never a silent number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import Config, SegmentConfig
from eprimg.engines.segmenters.threshold import ThresholdSegmenter
from eprimg.errors import EprimgError, GeometryError
from eprimg.io.read_regions import read_region_sets
from eprimg.io.read_rtstruct import SeriesGrid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from eprimg.stages.segment import segment
from tests.io.rtstruct_factory import GRID, SERIES, circle, roi, write_rtstruct
from tests.io.test_read_nifti import save


def code_of(path, **options):
    with pytest.raises(EprimgError) as caught:
        read_region_sets(path, **options)
    return caught.value.code


def cube(shape=(4, 5, 6), dtype=np.uint8):
    labels = np.zeros(shape, dtype=dtype)
    labels[tuple(slice(0, max(1, n // 2)) for n in shape)] = 1
    return labels


def study(values=None, regions=()):
    """One PET series on the grid of the contours."""
    data = np.ones(GRID.shape, dtype=np.float32) if values is None else values
    volume = Volume(data, GRID, quantity("activity"))
    series = Series("pet", Role.PET, volume, None, source_uid=SERIES)
    return Study("P-1", (Timepoint("PET", None, (series,)),), tuple(regions))


def suv(values, valid=None):
    ok = np.isfinite(values) if valid is None else valid
    return {"suvbw": QuantityMap(values, GRID, quantity("suvbw"), ok, "test", ("pet",))}


def test_empty_masks(tmp_path):
    assert code_of(save(tmp_path / "m.nii", np.zeros((3, 4, 5), np.uint8))) == "E_SEG_EMPTY"
    path = write_rtstruct(tmp_path / "rs.dcm", [roi(1, "GTV", [])])
    assert code_of(path, series=[SeriesGrid("pet", GRID, SERIES)]) == "E_SEG_EMPTY"


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, -1.0])
def test_masks_with_values_that_are_no_labels(tmp_path, value):
    labels = cube(dtype=np.float32)
    labels[0, 0, 0] = value
    assert code_of(save(tmp_path / "m.nii", labels)) == "E_SEG_LABELS"


def test_a_drawing_in_two_dimensions(tmp_path):
    """A mask of one slice, and one contour among many slices: measured, and said to be flat."""
    for shape in ((1, 5, 6), (5, 6, 1)):
        flat = read_region_sets(save(tmp_path / "lesion.nii", cube(shape)))
        assert "W_REGION_FLAT" in [f.code for f in flat.findings]
    path = write_rtstruct(tmp_path / "rs.dcm", [roi(1, "GTV", [circle(2)])])
    one = read_region_sets(path, series=[SeriesGrid("pet", GRID, SERIES)])
    assert "W_REGION_FLAT" in [f.code for f in one.findings]
    thick = read_region_sets(save(tmp_path / "lesion2.nii", cube()))
    assert "W_REGION_FLAT" not in [f.code for f in thick.findings]


def test_a_mask_outside_of_the_volume():
    moved = np.array(GRID.affine)
    moved[:3, 3] += 900.0
    labels = np.zeros(GRID.shape, np.uint8)
    labels[2:4, 3:6, 3:6] = 1
    region = Region(1, "lesion", RegionRole.LESION)
    outside = LesionSet(labels, replace(GRID, affine=moved), (region,), "far")
    result = segment(study(regions=[outside]), {}, Config())
    assert "W_REGION_EMPTY" in [f.code for f in result.findings]
    assert not result.value.lesions.labels.any()


def test_a_mask_in_another_frame():
    region = Region(1, "lesion", RegionRole.LESION)
    other = LesionSet(
        np.ones(GRID.shape, np.uint8), replace(GRID, frame_of_reference="2.25.8"), (region,), "x"
    )
    with pytest.raises(GeometryError, match="E_FOR"):
        segment(study(regions=[other]), {}, Config())


def test_constant_and_failed_volumes_give_no_lesion():
    config = Config(segment=SegmentConfig(rule="fixed", suvbw=4.0))
    for values in (np.ones(GRID.shape, np.float32), np.full(GRID.shape, np.nan, np.float32)):
        result = segment(study(values), suv(values), config)
        assert result.value.lesions is None
        assert "W_NO_LESIONS" in [f.code for f in result.findings]


def test_failed_voxels_are_in_no_candidate():
    values = np.ones(GRID.shape, np.float32)
    values[2:6, 5:12, 5:12] = 9.0
    values[3, 6, 6] = np.nan
    found = ThresholdSegmenter(SegmentConfig(percent=50.0)).segment(suv(values)["suvbw"])
    assert found.labels[3, 6, 6] == 0
    assert (found.labels == 1).sum() == 4 * 7 * 7 - 1
