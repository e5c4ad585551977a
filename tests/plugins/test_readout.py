"""The read-out gives the voxel of each map's own grid, with unit and region."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap
from eprimg.model.transform import Registration, Transform
from eprimg.quantities import quantity
from napari_eprimg.view.readout import OUTSIDE, PointReader
from tests.plugins import marked_case as marked


def _value(read, key):
    return next(v for v in read.values if v.key == key)


def test_the_value_is_the_one_of_the_core_with_unit_region_and_tier() -> None:
    case = marked.case()
    read = PointReader(case).at(marked.spl(marked.LESION_2))
    suv = _value(read, "suvbw")
    assert (suv.value, suv.text) == (12.0, "12.0 g/mL")
    assert suv.index is not None
    assert case.maps["suvbw"].values[suv.index] == 12.0
    assert (read.region.id, read.region.name) == (2, "lesion-2")
    assert read.region_text == "2 lesion-2, high"
    assert read.place == "R 20.0  P 16.0  I 16.0 mm"
    for part in ("SUVbw 12.0 g/mL", "2 lesion-2, high", "R 20.0"):
        assert part in read.line()


def test_every_voxel_near_a_point_is_found_on_the_native_grid() -> None:
    # The PET has 5 x 4 x 3 mm voxels and is shifted by the registration: LPS of the reference
    # plus (7, -3, 11) is LPS of the PET.
    affine = np.array([[0, 0, 3, -40], [0, 4, 0, -50], [-5, 0, 0, 60], [0, 0, 0, 1]], float)
    grid = Grid((26, 27, 28), affine, marked.PET_FRAME)
    values = np.arange(np.prod(grid.shape), dtype=np.float32).reshape(grid.shape)
    native = QuantityMap(
        values, grid, quantity("suvbw"), np.ones(grid.shape, bool), "made", ("pet",)
    )
    matrix = np.eye(4)
    matrix[:3, 3] = (7, -3, 11)
    moved = Registration(
        "mr_pre", "pet", Transform(matrix, marked.FRAME, marked.PET_FRAME), "by hand"
    )
    box = np.diag([400.0, 400.0, 400.0, 1.0])
    box[:3, 3] = -200.0
    vectors = np.zeros((2, 2, 2, 3), dtype=np.float32)
    vectors[...] = (7, -3, 11)
    # the same shift, told by a field
    field = Displacement(vectors, Grid((2, 2, 2), box, marked.FRAME))
    bent = replace(moved, transform=Transform(np.eye(4), marked.FRAME, marked.PET_FRAME, field))
    bent_case = replace(marked.case(), maps={"suvbw": native}, registrations=(bent,))
    case = replace(marked.case(), maps={"suvbw": native}, registrations=(moved,))
    reader = PointReader(case)
    for k, j, i in ((0, 0, 0), (25, 26, 27), (12, 3, 20)):
        left, posterior, head = -40 + 3 * i - 7, -50 + 4 * j + 3, 60 - 5 * k - 11
        read = _value(reader.at((head + 1.9, posterior - 1.4, left + 1.2)), "suvbw")
        assert read.index == (k, j, i)
        assert read.value == values[k, j, i]
        same = PointReader(bent_case).at((head + 1.9, posterior - 1.4, left + 1.2))
        assert _value(same, "suvbw").index == (k, j, i)


def test_a_voxel_without_value_says_why() -> None:
    reader = PointReader(marked.case())
    assert _value(reader.at((-60.0, 0.0, 0.0)), "suvbw").text == "no value (outside the scan)"
    away = _value(reader.at((500.0, 0.0, 0.0)), "suvbw")
    assert (away.text, away.index) == (OUTSIDE, None)
    assert math.isnan(away.value)
    assert reader.at((500.0, 0.0, 0.0)).region_text == "no region"


def test_the_change_is_after_minus_before_in_even_organs_of_a_moved_patient(measured_study) -> None:
    # Each map is read on its own grid, the second session through its registration (7 mm and 3
    # degrees here); in an even organ that must agree with the change on the reference grid.
    case = measured_study.case
    reader, lesions = PointReader(case), case.lesions
    labels = np.asarray(lesions.labels)
    for name, tolerance in (("muscle", 3.0), ("aorta", 3.0), ("liver", 20.0)):
        number = next(r.id for r in lesions.regions if r.name == name)
        left = []
        for index in np.argwhere(labels == number)[::29]:
            x, y, z = lesions.grid.index_to_lps_mm(index[None])[0]
            found = {v.key: v.value for v in reader.at((z, y, x)).values}
            left.append(found["dr2star"] - (found["r2star_post"] - found["r2star_pre"]))
        assert abs(np.nanmedian(left)) < tolerance, name  # values: 6, 31 and 273 1/s


def test_what_is_not_aligned_gives_no_number() -> None:
    read = PointReader(marked.case(aligned=False)).at(marked.spl(marked.LESION_1))
    assert _value(read, "suvbw").text == "not aligned"
    assert _value(read, "mr_pre").value == pytest.approx(400, abs=101)


def test_a_change_that_one_session_lacks_says_so() -> None:
    case = marked.case()
    grid = case.study.series[0].grid
    valid = np.ones(grid.shape, bool)
    valid[0, 0, 0] = False
    values = np.where(valid, 30.0, np.nan).astype(np.float32)
    change = QuantityMap(
        values, grid, quantity("dr2star"), valid, "difference", ("mr_post", "mr_pre")
    )
    reader = PointReader(replace(case, registered={**case.registered, "dr2star": change}))
    assert _value(reader.at((1.0, 1.0, 1.0)), "dr2star").text == "30.0 1/s"
    corner = _value(reader.at((-63.0, -63.0, -63.0)), "dr2star")
    assert corner.text == "no value (one of the two maps has no value here)"


def test_at_an_edge_the_value_behind_the_change_is_told_too() -> None:
    # R2* after: 40 in its own voxel; 180 on the reference grid, where the change is computed.
    case = marked.case()
    grid = case.study.series[0].grid
    full = np.ones(grid.shape, bool)

    def made(key: str, number: float, sources: tuple[str, ...]) -> QuantityMap:
        values = np.full(grid.shape, number, np.float32)
        return QuantityMap(values, grid, quantity(key), full, "made", sources)

    own, carried = made("r2star", 40.0, ("mr_pre",)), made("r2star", 180.0, ("mr_pre",))
    change = made("dr2star", 140.0, ("mr_post", "mr_pre"))
    maps = {**case.maps, "r2star_post": own}
    told = {**case.registered, "r2star_post": carried, "dr2star": change}
    read = PointReader(replace(case, maps=maps, registered=told)).at((1.0, 1.0, 1.0))
    assert _value(read, "r2star_post").text == "40.0 1/s (aligned 180)"
    assert _value(read, "r2star_post").value == 40.0
    told |= {"r2star_post": made("r2star", 42.0, ("mr_pre",))}
    read = PointReader(replace(case, maps=maps, registered=told)).at((1.0, 1.0, 1.0))
    assert _value(read, "r2star_post").text == "40.0 1/s"  # an everyday difference
    told.pop("dr2star")
    told |= {"r2star_post": carried}
    read = PointReader(replace(case, maps=maps, registered=told)).at((1.0, 1.0, 1.0))
    assert _value(read, "r2star_post").text == "40.0 1/s"  # no change, nothing to explain


def test_the_phantoms_moved_series_are_read_through_their_registration(measured_study) -> None:
    # A value at a point is the value of the native map at the transformed point, for any point.
    case = measured_study.case
    reader = PointReader(case)
    grid = case.lesions.grid
    index = np.argwhere(case.lesions.labels > 0)
    chosen = index[:: max(len(index) // 40, 1)]
    moved = set()
    for point in grid.index_to_lps_mm(chosen):
        read = reader.at(point[::-1])
        for key, moving in (("r2star_post", "mr_post"), ("suvbw", "pet")):
            registration = case.registration(moving)
            assert registration.accepted
            matrix = registration.transform.matrix
            there = matrix[:3, :3] @ point + matrix[:3, 3]
            values = case.maps[key]
            voxel = tuple(
                np.rint(np.linalg.inv(values.grid.affine) @ [*there, 1.0])[:3].astype(int)
            )
            inside = all(0 <= v < n for v, n in zip(voxel, values.grid.shape, strict=True))
            assert _value(read, key).index == (voxel if inside else None)
            if inside and values.valid[voxel]:
                assert _value(read, key).value == pytest.approx(values.values[voxel])
            unmoved = np.rint(np.linalg.inv(values.grid.affine) @ [*point, 1.0])[:3].astype(int)
            moved.add(bool((unmoved != voxel).any()))
    assert True in moved  # without the registration other voxels would be read


def test_a_further_time_point_is_read_with_the_name_of_its_series() -> None:
    case = marked.case()
    second = replace(case.registered["suvbw"], sources=("pet_2",))
    both = replace(case, registered={**case.registered, "suvbw_2": second})
    read = PointReader(both).at(marked.spl(marked.LESION_2))
    assert [v.name for v in read.values if v.key.startswith("suvbw")] == ["SUVbw", "SUVbw (pet_2)"]
    assert _value(read, "suvbw_2").value == 12.0
