"""Copies of one drawing are left out; different drawings of the same name are both kept."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.io.region_sets import distinct_region_sets, require_voxels_on
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole


def drawn(
    origin: str,
    start: int,
    *,
    frame: str = "pre",
    size: int = 4,
    spacing: float = 2.0,
    name: str = "lesion-1",
) -> LesionSet:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[start : start + size, 2 : 2 + size, 2 : 2 + size] = 1
    grid = Grid(labels.shape, np.diag([spacing, spacing, spacing, 1.0]), frame)
    return LesionSet(labels, grid, (Region(1, name, RegionRole.LESION),), origin)


def test_a_copy_in_the_same_frame_is_left_out_and_named() -> None:
    kept, findings = distinct_region_sets([drawn("a.dcm", 2), drawn("a.nii.gz", 2)], "pre")
    assert [k.origin for k in kept] == ["a.dcm"]
    assert [f.code for f in findings] == ["W_REGIONS_REPEATED"]
    assert "lesion-1" in findings[0].text


def test_another_lesion_of_the_same_name_is_kept_under_a_new_name() -> None:
    kept, findings = distinct_region_sets([drawn("a.nii.gz", 1), drawn("b.nii.gz", 7)], "pre")
    assert [r.name for k in kept for r in k.regions] == ["lesion-1", "b:lesion-1"]
    assert [f.code for f in findings] == ["W_REGIONS_RENAMED"]


def test_the_reference_frame_comes_first_and_a_like_drawing_elsewhere_is_a_copy() -> None:
    # 4^3 voxels of 2 mm are 0.512 mL; 2^3 of 4 mm are 0.512 mL too.
    pet = drawn("pet.nii.gz", 5, frame="pet", size=2, spacing=4.0)
    kept, findings = distinct_region_sets([pet, drawn("pre.nii.gz", 2)], "pre")
    assert [k.origin for k in kept] == ["pre.nii.gz"]
    assert findings[0].where == "pet.nii.gz"
    big = drawn("big.nii.gz", 2, frame="pet", size=6, spacing=4.0)
    kept, findings = distinct_region_sets([drawn("pre.nii.gz", 2), big], "pre")
    assert len(kept) == 2
    assert kept[1].regions[0].name == "big:lesion-1"


def test_different_names_are_different_regions() -> None:
    sets = [drawn("a.nii.gz", 2), drawn("b.nii.gz", 2, name="liver")]
    kept, findings = distinct_region_sets(sets, "pre")
    assert len(kept) == 2
    assert findings == []


def moved(regions: LesionSet, x_mm: float) -> LesionSet:
    affine = np.array(regions.grid.affine)
    affine[0, 3] += x_mm
    grid = Grid(regions.grid.shape, affine, regions.grid.frame_of_reference)
    return LesionSet(regions.labels, grid, regions.regions, regions.origin)


def test_a_mask_outside_of_its_series_is_refused_with_both_places() -> None:
    # Index k runs along x: the region holds x = 4 to 10 mm, the series x = 0 to 22 mm, its last
    # outer face lies at 23 mm.
    series = Grid((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]), "pre")
    near = drawn("near.nii.gz", 2)
    require_voxels_on([moved(near, 19.0)], {"mr_pre": series}, "near.nii.gz")
    with pytest.raises(InputError) as caught:
        require_voxels_on([moved(near, 19.1)], {"mr_pre": series}, "near.nii.gz")
    assert caught.value.code == "E_SEG_EMPTY"
    assert caught.value.where == "near.nii.gz"
    assert "mask: x 23 to 29 y 4 to 10 z 4 to 10 mm LPS" in str(caught.value.value)
    assert "mr_pre: x 0 to 22 y 0 to 22 z 0 to 22 mm LPS" in str(caught.value.value)


def test_one_region_or_one_series_of_the_frame_is_enough() -> None:
    series = Grid((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]), "pre")
    far = moved(drawn("far.nii.gz", 2), 500.0)
    require_voxels_on([far, drawn("near.nii.gz", 2)], {"mr_pre": series}, "both")
    require_voxels_on([far], {"mr_pre": series, "other": far.grid}, "far.nii.gz")
    # a frame that no series has is refused elsewhere, with its own words
    require_voxels_on([drawn("x.nii.gz", 2, frame="x")], {"mr_pre": series}, "x.nii.gz")
