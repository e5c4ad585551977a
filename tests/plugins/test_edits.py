"""Edit records: what they keep, and how the stack moves them."""

from __future__ import annotations

import numpy as np

from eprimg.model.lesions import LesionSet, Measurement, Region, RegionRole
from napari_eprimg.reading import edits
from napari_eprimg.reading.edits import Edit, RecordChange, UndoStack, apply_edit, voxel_change
from tests import tiny_case

NUMBER = Measurement("suvbw", "max", "pet", 3.0, 0.1, "noise", 4, "native pet")


def _set() -> LesionSet:
    grid = tiny_case.grid()
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[0, 0, :2], labels[1, 1, :3] = 1, 2
    regions = tuple(
        Region(n, f"lesion-{n}", RegionRole.LESION, measurements=(NUMBER,)) for n in (1, 2)
    )
    return LesionSet(labels, grid, regions)


def test_only_changed_voxels_are_kept() -> None:
    lesions = _set()
    places = np.arange(10, dtype=np.int64)
    change = voxel_change(np.asarray(lesions.labels, np.int32), places, 1)
    assert change is not None
    assert change.places.tolist() == list(range(2, 10))  # 0 and 1 hold label 1 already
    assert voxel_change(np.asarray(lesions.labels, np.int32), places[:2], 1) is None


def test_an_edit_and_its_reverse_cancel() -> None:
    lesions = _set()
    change = voxel_change(np.asarray(lesions.labels, np.int32), np.arange(4), 2)
    gone = RecordChange(1, edits.identity_of(lesions.regions[0]), None)
    edit = Edit("x", change, (gone,))
    assert edits.touched_ids(edit) == {1, 2}
    after = apply_edit(lesions, edit)
    assert [r.id for r in after.regions] == [2]
    assert after.regions[0].measurements == (NUMBER,)
    back = apply_edit(after, edit.reversed())
    np.testing.assert_array_equal(back.labels, lesions.labels)
    assert [(r.id, r.name) for r in back.regions] == [(1, "lesion-1"), (2, "lesion-2")]
    assert not back.regions[0].measurements  # to be measured again
    assert lesions.labels[0, 0, 0] == 1  # the first set is as it was


def test_a_region_that_changes_its_role_loses_its_numbers() -> None:
    lesions = _set()
    before = edits.identity_of(lesions.regions[0])
    after = Region(1, "lesion-1", RegionRole.EXCLUDE, notes=("why",))
    excluded = apply_edit(lesions, Edit("x", None, (RecordChange(1, before, after),)))
    assert excluded.regions[0].measurements == ()
    assert excluded.regions[0].notes == ("why",)


def test_the_stack_forgets_what_was_undone_when_something_new_comes() -> None:
    stack = UndoStack()
    assert stack.take_back() is None
    assert stack.do_again() is None
    for words in "abc":
        stack.push(Edit(words))
    stack.take_back()
    assert (stack.undo_words, stack.redo_words) == ("b", "c")
    stack.push(Edit("d"))
    assert (stack.undo_words, stack.redo_words) == ("d", "")


def test_the_stack_is_bounded_but_remembers_that_there_were_edits(monkeypatch) -> None:
    monkeypatch.setattr(edits, "_MOST_BYTES", 100)
    stack = UndoStack()
    lesions = _set()
    labels = np.asarray(lesions.labels, np.int32)
    for value in (5, 6, 7):
        stack.push(Edit(str(value), voxel_change(labels, np.arange(6), value)))  # 96 bytes each
    assert stack.undo_words == "7"
    stack.take_back()
    assert stack.take_back() is None
    assert stack.holds_regions
    stack.clear()
    assert not stack.holds_regions
