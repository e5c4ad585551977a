"""Outlines on another grid: taken, taken back, and never out of another lesion's voxels."""

from __future__ import annotations

import numpy as np

from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.stages.native_labels import OUTLINES
from napari_eprimg.reading.drawn_edits import (
    GrowthChange,
    apply_drawn,
    drawn_change,
    grown_after,
)
from tests.tiny_case import grid

PET = grid("4.5")
ONE, TWO = (Region(n, f"lesion-{n}", RegionRole.LESION) for n in (1, 2))
LIVER = Region(3, "liver", RegionRole.REFERENCE, anatomy="liver")


def drawn() -> dict[str, LesionSet]:
    labels = np.zeros(PET.shape, np.int32)
    labels[0], labels[1, 0], labels[2, 0] = 3, 1, 9  # 9 was deleted and still has voxels here
    settings = {OUTLINES: {"1": "a", "3": "c"}, "kept": 7}
    return {"pet": LesionSet(labels, PET, (ONE, LIVER), "masks", settings)}


def mask() -> np.ndarray:
    found = np.zeros(PET.shape, dtype=bool)
    found[:, 0, :2] = True
    return found


def test_a_new_outline_takes_from_organs_and_from_what_is_gone_only() -> None:
    before = drawn()
    now = LesionSet(np.zeros(PET.shape, np.int32), PET, (ONE, TWO, LIVER))
    change = drawn_change(before, now, "pet", PET, mask(), TWO, "b")
    after = apply_drawn(before, change)["pet"]
    expected = np.array(before["pet"].labels)
    expected[0, 0, :2] = expected[2, 0, :2] = 2  # of the row of lesion 1 nothing
    np.testing.assert_array_equal(after.labels, expected)
    assert after.settings[OUTLINES] == {"1": "a", "2": "b", "3": "c"}
    assert after.settings["kept"] == 7
    assert [r.id for r in after.regions] == [1, 2, 3]
    assert change.nbytes == 4 * (8 + 4 + 4)
    back = apply_drawn({"pet": after}, change.reversed())["pet"]
    np.testing.assert_array_equal(back.labels, before["pet"].labels)
    assert back.settings == before["pet"].settings
    assert back.regions == before["pet"].regions


def test_the_first_outline_on_a_series_comes_and_goes_with_its_set() -> None:
    now = LesionSet(np.zeros(PET.shape, np.int32), PET, (TWO,))
    other = {"mr_post": drawn()["pet"]}
    change = drawn_change(other, now, "pet", PET, mask(), TWO, "b")
    after = apply_drawn(other, change)
    np.testing.assert_array_equal(after["pet"].labels == 2, mask())
    # Grown anew and smaller: what it leaves is free again.
    smaller = mask()
    smaller[0] = False
    again = drawn_change(after, now, "pet", PET, smaller, TWO, "d")
    np.testing.assert_array_equal(apply_drawn(after, again)["pet"].labels == 2, smaller)
    assert apply_drawn(after, again)["pet"].settings[OUTLINES] == {"2": "d"}
    assert list(apply_drawn(after, change.reversed())) == ["mr_post"]


def test_records_of_growing_follow() -> None:
    first = GrowthChange(2, None, {"method": "a"})
    again = GrowthChange(2, {"method": "a"}, {"method": "b"})
    known = {"1": {"method": "c"}}
    grown = grown_after(grown_after(known, (first,)), (again,))
    assert grown == {"1": {"method": "c"}, "2": {"method": "b"}}
    assert grown_after(grown, (again.reversed(),))["2"] == {"method": "a"}
    assert grown_after(known, (first.reversed(),)) == known
