"""Edits of regions: each can be undone, and the table always equals a fresh full run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eprimg import pipeline
from eprimg.errors import EprimgError, GeometryError, InputError
from eprimg.io.write_tables import lesions_csv, measurements_csv
from eprimg.model.lesions import RegionRole, RegionSource
from napari_eprimg.reading.reading import ANATOMIES, Light, Reading, Step, reason_of
from napari_eprimg.view.display import display_grid, show_on
from tests.plugins.conftest import MeasuredStudy


def _tables(case) -> tuple[str, str]:
    return lesions_csv(case), measurements_csv(case)


def _fresh(reading: Reading) -> tuple[str, str]:
    """Tables of a full run with the regions as they are now."""
    case = pipeline.run(
        reading.case.study,
        reading.config,
        case=reading.case,
        start="segment",
        regions=reading.case.lesions,
        native=reading.case.drawn_lesions,
    )
    return _tables(case)


def _region(reading: Reading, number: int):
    return next(r for r in reading.case.lesions.regions if r.id == number)


def _first(reading: Reading, role: RegionRole = RegionRole.LESION) -> int:
    return next(r.id for r in reading.case.lesions.regions if r.role == role)


def _lps_centre(reading: Reading, number: int) -> np.ndarray:
    lesions = reading.case.lesions
    return lesions.grid.index_to_lps_mm(np.argwhere(lesions.labels == number).mean(axis=0))


def _spl(reading: Reading, number: int) -> tuple[float, float, float]:
    ell, p, s = _lps_centre(reading, number)
    return s, p, ell


def _grow(reading: Reading) -> None:
    labels = np.array(reading.case.lesions.labels)
    k, j, i = np.argwhere(labels == _first(reading)).max(axis=0)
    labels[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = _first(reading)
    reading.write_labels(labels, "paint")


def _erase(reading: Reading) -> None:
    labels = np.array(reading.case.lesions.labels)
    mine = np.argwhere(labels == _first(reading))
    labels[tuple(mine[: len(mine) // 2].T)] = 0
    reading.write_labels(labels, "erase")


def _paint_new(reading: Reading) -> None:
    number = reading.new_lesion()
    labels = np.array(reading.case.lesions.labels)
    k, j, i = np.array(labels.shape) // 2
    labels[k - 2 : k + 2, j - 3 : j + 3, i - 3 : i + 3] = number
    reading.write_labels(labels, "paint a new lesion")


def _spleen(reading: Reading) -> None:
    spleen = reading.case.lesions.reference("spleen").id
    labels = np.array(reading.case.lesions.labels)
    mine = np.argwhere(labels == spleen)
    labels[tuple(mine[::3].T)] = 0
    reading.write_labels(labels, "erase a part of the spleen")


EDITS: dict[str, Callable[[Reading], object]] = {
    "paint": _grow,
    "erase": _erase,
    "new lesion": _paint_new,
    "new lesion without voxels": lambda r: r.new_lesion(),
    "reference organ": _spleen,
    "delete": lambda r: r.delete([_first(r)]),
    "delete a reference": lambda r: r.delete([r.case.lesions.reference("spleen").id]),
    "exclude": lambda r: r.exclude(_first(r), "physiologic uptake"),
    "exclude a reference": lambda r: r.exclude(r.case.lesions.reference("liver").id, "cirrhosis"),
    "rename": lambda r: r.rename(_first(r), "primary"),
    "rename a reference": lambda r: r.rename(r.case.lesions.reference("liver").id, "right lobe"),
    "threshold": lambda r: r.threshold_lesion(_spl(r, _first(r)), percent=50.0, radius_mm=40.0),
    "place a reference": lambda r: r.place_reference("muscle", _spl(r, _first(r)), 60.0),
}


@pytest.mark.parametrize("name", EDITS)
def test_edit_undo_and_redo_give_the_table_of_a_fresh_run(
    measured_reading: Reading, name: str
) -> None:
    before = _tables(measured_reading.case)
    labels = measured_reading.case.lesions.labels
    if name == "threshold":
        measured_reading.delete([_first(measured_reading)])  # room to grow
        measured_reading.measure_dirty()
        before, labels = _tables(measured_reading.case), measured_reading.case.lesions.labels
        point = np.argwhere(measured_reading.case.registered["suvbw"].valid).mean(axis=0)
        ell, p, s = measured_reading.case.lesions.grid.index_to_lps_mm(point)
        measured_reading.threshold_lesion((s, p, ell), percent=50.0, radius_mm=40.0)
    else:
        EDITS[name](measured_reading)
    changed = measured_reading.measure_dirty()
    assert changed or name.startswith("delete")
    after = _tables(measured_reading.case)
    assert after != before
    assert after == _fresh(measured_reading)
    edited = measured_reading.case.lesions.labels
    steps = 2 if name == "new lesion" else 1
    for _ in range(steps):
        measured_reading.undo()
    measured_reading.measure_dirty()
    assert _tables(measured_reading.case) == before
    np.testing.assert_array_equal(measured_reading.case.lesions.labels, labels)
    for _ in range(steps):
        measured_reading.redo()
    measured_reading.measure_dirty()
    assert _tables(measured_reading.case) == after
    np.testing.assert_array_equal(measured_reading.case.lesions.labels, edited)


def test_a_row_of_edits_is_taken_back_to_the_beginning(measured_reading: Reading) -> None:
    before = _tables(measured_reading.case)
    ids = [r.id for r in measured_reading.case.lesions.lesions]
    _grow(measured_reading)
    measured_reading.exclude(ids[1], "cyst")
    measured_reading.measure_dirty()
    measured_reading.delete([ids[2]])
    _paint_new(measured_reading)
    measured_reading.set_scheme_edges("example-pid-per-kg-peak", [1.0, 2.0])
    measured_reading.measure_dirty()
    measured_reading.include(ids[1])
    measured_reading.measure_dirty()
    assert measured_reading.edited
    done = 0
    while measured_reading.can_undo:
        assert measured_reading.undo_words
        measured_reading.undo()
        measured_reading.measure_dirty()
        done += 1
    assert done == 7
    assert _tables(measured_reading.case) == before
    assert not measured_reading.edited
    measured_reading.undo()  # nothing to undo is no error
    assert _tables(measured_reading.case) == before


def test_numbers_are_never_given_twice(measured_reading: Reading) -> None:
    highest = max(r.id for r in measured_reading.case.lesions.regions)
    first = measured_reading.new_lesion()
    measured_reading.delete([first])
    second = measured_reading.new_lesion()
    assert (first, second) == (highest + 1, highest + 2)
    labels = np.array(measured_reading.case.lesions.labels)
    labels[0, 0, 0] = first
    with pytest.raises(InputError, match="any more"):
        measured_reading.write_labels(labels, "paint a deleted region")
    labels[0, 0, 0] = 77
    measured_reading.write_labels(labels, "paint a number that is new")
    assert _region(measured_reading, 77).role == RegionRole.LESION
    assert measured_reading.new_lesion() == 78
    # Undoing a new lesion does not free its number either.
    measured_reading.undo()
    assert measured_reading.new_lesion() == 79


def test_only_edited_regions_are_measured_again(measured_reading: Reading, told: list[str]) -> None:
    before = {r.id: r for r in measured_reading.case.lesions.regions}
    number = measured_reading.new_lesion()
    assert "regions_changed" in told
    changed = measured_reading.measure_dirty()
    assert changed == {number}
    for region in measured_reading.case.lesions.regions:
        if region.id != number:
            assert region.measurements is before[region.id].measurements
    assert measured_reading.measure_dirty() == frozenset()


def test_excluding_needs_and_keeps_a_reason(measured_reading: Reading) -> None:
    number = _first(measured_reading)
    with pytest.raises(InputError):
        measured_reading.exclude(number, "  ")
    measured_reading.exclude(number, "physiologic uptake")
    measured_reading.measure_dirty()
    region = _region(measured_reading, number)
    assert region.role == RegionRole.EXCLUDE
    assert reason_of(region) == "physiologic uptake"
    assert not region.measurements
    assert "physiologic uptake" in lesions_csv(measured_reading.case)
    measured_reading.exclude(number, "cyst")
    assert reason_of(_region(measured_reading, number)) == "cyst"
    measured_reading.include(number)
    assert _region(measured_reading, number).role == RegionRole.LESION
    spleen = measured_reading.case.lesions.reference("spleen").id
    measured_reading.exclude(spleen, "infarct")
    measured_reading.include(spleen)
    assert _region(measured_reading, spleen).role == RegionRole.REFERENCE


@pytest.fixture
def candidates(measured_study: MeasuredStudy) -> Reading:
    """The phantom without its masks: candidates by threshold on PET."""
    from dataclasses import replace

    study = replace(measured_study.case.study, regions=())
    case = pipeline.run(study, case=measured_study.case, start="segment")
    reading = Reading()
    reading.adopt(measured_study.folder, measured_study.plan, case)
    return reading


def test_candidates_are_confirmed_by_word_or_by_editing(candidates: Reading) -> None:
    ids = [r.id for r in candidates.case.lesions.lesions]
    assert {_region(candidates, i).source for i in ids} == {RegionSource.CANDIDATE}
    assert "to be confirmed" in next(
        s.sentence for s in candidates.states if s.step == Step.LESIONS
    )
    _erase(candidates)
    assert _region(candidates, ids[0]).source == RegionSource.CONFIRMED
    candidates.undo()
    assert _region(candidates, ids[0]).source == RegionSource.CANDIDATE
    candidates.confirm(ids)
    candidates.confirm(ids)  # nothing left to confirm
    candidates.measure_dirty()
    assert {_region(candidates, i).source for i in ids} == {RegionSource.CONFIRMED}
    assert all(_region(candidates, i).tiers for i in ids)
    assert _tables(candidates.case) == _fresh(candidates)
    candidates.undo()
    candidates.measure_dirty()
    assert {_region(candidates, i).source for i in ids} == {RegionSource.CANDIDATE}
    assert not candidates.can_undo


def test_painting_on_the_display_changes_only_what_was_painted(measured_reading: Reading) -> None:
    lesions = measured_reading.case.lesions
    target = display_grid(lesions.grid)
    number = _first(measured_reading)
    shown = np.array(show_on(lesions.labels, lesions.grid, target, outside=0))
    s, p, ell = np.argwhere(shown == number).max(axis=0)
    box = (slice(s - 1, s + 2), slice(p - 1, p + 2), slice(ell - 1, ell + 2))
    shown[box] = number
    measured_reading.write_shown_labels(shown, target, "paint", box=box)
    after = measured_reading.case.lesions
    changed = after.labels != lesions.labels
    assert changed.any()
    assert (after.labels[changed] == number).all()
    # Every painted voxel is now shown as painted; the phantom's MR is oblique.
    again = show_on(after.labels, after.grid, target, outside=0)
    inside = show_on(np.ones(after.grid.shape, np.uint8), after.grid, target, outside=0)[box] > 0
    assert (again[box][inside] == number).all()
    assert measured_reading.undo_words == "paint"
    measured_reading.measure_dirty()
    assert _tables(measured_reading.case) == _fresh(measured_reading)
    words = measured_reading.undo_words
    measured_reading.write_shown_labels(np.array(again), target, "nothing painted")
    assert measured_reading.undo_words == words


def test_a_click_grows_to_the_threshold_around_the_local_maximum(
    measured_reading: Reading,
) -> None:
    reading = measured_reading
    number = _first(reading)
    point = _spl(reading, number)
    reading.delete([number])
    new = reading.threshold_lesion(point, percent=60.0, radius_mm=20.0)
    lesions, suv = reading.case.lesions, reading.case.registered["suvbw"]
    mine = lesions.labels == new
    index = np.argwhere(np.ones(lesions.grid.shape, dtype=bool))
    distance = np.linalg.norm(
        lesions.grid.index_to_lps_mm(index) - np.array(point)[::-1], axis=1
    ).reshape(lesions.grid.shape)
    assert distance[mine].max() <= 20.0
    top = suv.values[(distance <= 20.0) & suv.valid].max()
    assert suv.values[mine].min() >= 0.6 * top
    assert _region(reading, new).source == RegionSource.CONFIRMED
    assert "60 %" in reading.undo_words
    with pytest.raises(InputError):
        reading.threshold_lesion((1e4, 1e4, 1e4), percent=60.0, radius_mm=20.0)
    with pytest.raises(InputError):
        reading.threshold_lesion(point, percent=60.0, radius_mm=20.0, map_key="nothing")


def test_a_lesion_takes_no_voxel_of_another_lesion(measured_reading: Reading) -> None:
    point = _spl(measured_reading, _first(measured_reading))
    before = measured_reading.case.lesions
    new = measured_reading.threshold_lesion(point, percent=5.0, radius_mm=30.0)
    after = measured_reading.case.lesions.labels
    taken = before.labels[after == new]
    roles = {r.id: r.role for r in before.regions} | {0: None}
    assert {roles[n] for n in np.unique(taken).tolist()} <= {None, RegionRole.REFERENCE}


def test_a_reference_sphere_has_the_stated_volume(measured_reading: Reading) -> None:
    reading = measured_reading
    lesions = reading.case.lesions
    point = lesions.grid.index_to_lps_mm((np.array(lesions.grid.shape) - 1) / 2)[::-1]
    old = lesions.reference("muscle")
    number = reading.place_reference("muscle", point, 50.0)
    assert old is None or number == old.id  # one reference per organ: it was replaced
    after = reading.case.lesions
    region = _region(reading, number)
    assert (region.role, region.anatomy) == (RegionRole.REFERENCE, "muscle")
    labels = after.labels == number
    others = np.isin(
        lesions.labels, [r.id for r in lesions.regions if r.role != RegionRole.REFERENCE]
    )
    # Voxels of lesions stay theirs; the rest is a sphere of 4/3 pi r^3.
    index = np.argwhere(labels | others)
    distance = np.linalg.norm(after.grid.index_to_lps_mm(index) - point[::-1], axis=1)
    volume = np.count_nonzero(distance <= 25.0) * after.grid.voxel_volume_ml
    assert volume == pytest.approx(4 / 3 * np.pi * 2.5**3, rel=0.1)
    for wrong in (("brain", point, 10.0), ("liver", point, 0.0), ("liver", (1e4, 0, 0), 10.0)):
        with pytest.raises(InputError):
            reading.place_reference(*wrong)
    assert set(ANATOMIES) >= {"liver", "spleen", "blood", "muscle"}


def test_names_are_unique_and_not_empty(measured_reading: Reading) -> None:
    one, two = [r.id for r in measured_reading.case.lesions.lesions][:2]
    for name in ("", " ", _region(measured_reading, two).name):
        with pytest.raises(InputError):
            measured_reading.rename(one, name)
    measured_reading.rename(one, _region(measured_reading, one).name)
    assert not measured_reading.can_undo
    for call in (
        lambda: measured_reading.delete([999]),
        lambda: measured_reading.exclude(999, "x"),
        lambda: measured_reading.rename(999, "x"),
    ):
        with pytest.raises(EprimgError) as caught:
            call()
        assert caught.value.code == "E_SEG_LABELS"
    measured_reading.delete([])
    assert not measured_reading.can_undo


def test_labels_of_another_shape_are_refused(measured_reading: Reading) -> None:
    with pytest.raises(GeometryError):
        measured_reading.write_labels(np.zeros((2, 2, 2), dtype=np.int32), "x")


def test_regions_cannot_be_edited_before_they_are_there(measured_study: MeasuredStudy) -> None:
    reading = Reading()
    with pytest.raises(InputError, match="cannot be edited"):
        reading.new_lesion()
    reading.open_task(measured_study.folder).run_now()
    reading.check_task().run_now()
    with pytest.raises(InputError) as caught:
        reading.new_lesion()
    assert caught.value.code == "E_STAGE"
    assert reading.measure_dirty() == frozenset()


def test_edits_survive_a_run_of_earlier_steps(measured_reading: Reading) -> None:
    reading = measured_reading
    _grow(reading)
    reading.rename(_first(reading), "primary")
    reading.measure_dirty()
    labels, before = reading.case.lesions.labels, _tables(reading.case)
    reading.run_task(Step.MAPS).run_now()
    _erase(reading)
    reading.undo()
    # Nothing is measured while the step must be run again as a whole.
    assert reading.measure_dirty() == frozenset()
    reading.run_all_task().run_now()
    np.testing.assert_array_equal(reading.case.lesions.labels, labels)
    assert _tables(reading.case) == before
    assert reading.can_undo
    reading.undo()
    assert _region(reading, _first(reading)).name != "primary"


def test_edits_survive_reading_the_study_again(measured_reading: Reading) -> None:
    reading = measured_reading
    reading.rename(_first(reading), "primary")
    reading.enter("weight_kg", 80.0)
    reading.check_task().run_now()
    assert _region(reading, _first(reading)).name == "primary"
    assert not _region(reading, _first(reading)).measurements
    assert next(s for s in reading.states if s.step == Step.LESIONS).light == Light.STALE


def test_an_edit_makes_the_report_stale(measured_reading: Reading, tmp_path) -> None:
    measured_reading.export_task(tmp_path / "out").run_now()
    assert measured_reading.states[-1].light == Light.DONE
    measured_reading.rename(_first(measured_reading), "primary")
    assert measured_reading.states[-1].light == Light.STALE
