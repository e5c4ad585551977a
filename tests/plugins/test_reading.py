"""A reading without a screen: steps, lights, roles, facts, settings, cut-offs."""

from __future__ import annotations

import datetime
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from eprimg.errors import Cancelled, ConfigError, EprimgError, InputError
from eprimg.io.write_tables import lesions_csv
from eprimg.model.study import Role
from napari_eprimg.reading.reading import Light, Reading, Step, reading_of
from tests.conftest import is_pet
from tests.io.dicom_factory import write_pet


def _state(reading: Reading, step: Step):
    return next(s for s in reading.states if s.step == step)


def _lights(reading: Reading) -> dict[Step, Light]:
    return {s.step: s.light for s in reading.states}


def _opened(folder: Path) -> Reading:
    reading = Reading()
    reading.open_task(folder).run_now()
    return reading


def test_steps_open_one_after_the_other(small_study: Path) -> None:
    reading = Reading()
    assert set(_lights(reading).values()) == {Light.IDLE}
    assert [bool(s.blocked_by) for s in reading.states] == [False] + [True] * 6
    with pytest.raises(InputError) as caught:
        reading.check_task()
    assert caught.value.code == "E_STAGE"
    assert "open a study" in str(caught.value)
    reading.open_task(small_study).run_now()
    assert reading.folder == small_study
    # The phantom writes two MR sessions, one PET series and two segmentations.
    assert sorted(reading.roles.values()) == ["mr_post", "mr_pre", "pet", "regions", "regions"]
    assert _state(reading, Step.OPEN).light == Light.DONE
    assert reading.case is None
    reading.check_task().run_now()
    assert _state(reading, Step.CHECK).light == Light.DONE
    assert reading.study is not None
    assert [s.key for s in reading.study.series] == ["mr_pre", "mr_post", "pet"]
    for step in (Step.MAPS, Step.LESIONS, Step.TIERS):
        with pytest.raises(InputError):
            reading.run_task(step)
    with pytest.raises(InputError):
        reading.run_task(Step.OPEN)
    assert not _state(reading, Step.REGISTER).blocked_by


def test_everything_is_done_in_a_measured_reading(measured_reading: Reading) -> None:
    lights = _lights(measured_reading)
    assert lights.pop(Step.REPORT) == Light.IDLE
    # The phantom has lesions in the liver and at its edge: the step says so.
    assert lights.pop(Step.LESIONS) == Light.DOUBT
    assert set(lights.values()) == {Light.DONE}
    assert not any(s.blocked_by for s in measured_reading.states)
    assert "6 lesions, 7 reference regions" in _state(measured_reading, Step.LESIONS).sentence
    assert all(s.sentence for s in measured_reading.states)


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        (lambda ds: ds.__delattr__("PatientWeight"), "(0010,1030)"),
        (
            lambda ds: [
                item.__delattr__(name)
                for item in ds.RadiopharmaceuticalInformationSequence
                for name in (
                    "RadiopharmaceuticalStartTime",
                    "RadiopharmaceuticalStartDateTime",
                )
                if name in item
            ],
            "(0018,10",
        ),
    ],
    ids=["weight", "injection time"],
)
def test_a_refused_pet_says_why_and_leaves_the_rest_usable(
    copy_of: Callable[..., Path], change: Callable[[pydicom.Dataset], object], tag: str
) -> None:
    reading = _opened(copy_of(change, only=is_pet))
    reading.check_task().run_now()
    state = _state(reading, Step.CHECK)
    assert state.light == Light.REFUSED
    assert tag in state.sentence
    assert reading.study is not None
    assert reading.study.find(Role.PET) is None
    assert reading.study.find(Role.MR_PRE) is not None
    assert not _state(reading, Step.REGISTER).blocked_by


def test_an_entered_weight_mends_the_check_and_is_recorded(
    copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    reading = _opened(copy_of(lambda ds: ds.__delattr__("PatientWeight"), only=is_pet))
    reading.check_task().run_now()
    reading.enter("weight_kg", "72,0")
    assert _state(reading, Step.CHECK).light == Light.STALE
    assert _state(reading, Step.REGISTER).blocked_by
    reading.check_task().run_now()
    assert _state(reading, Step.CHECK).light == Light.DONE
    assert reading.study is not None
    assert reading.study.overrides == {"weight_kg": 72.0}
    assert any(f.code == "I_ENTERED" for f in reading.findings)
    assert "--study study.toml" in reading.reproduce
    assert "weight_kg" in reading.reproduce
    # The files that the command line needs lead to the same input.
    line = reading.reproduce_command(tmp_path / "inputs")
    assert f"--study {tmp_path / 'inputs' / 'study.toml'}" in line
    from eprimg.io.study import read_study

    again = read_study(str(reading.folder), study_file=tmp_path / "inputs" / "study.toml")
    assert again.value.input_hash == reading.study.input_hash
    reading.forget("weight_kg")
    assert reading.entered == {}
    reading.check_task().run_now()
    assert _state(reading, Step.CHECK).light == Light.REFUSED


def test_nothing_usable_is_one_error_with_its_cause(copy_of: Callable[..., Path]) -> None:
    folder = copy_of(lambda ds: ds.__delattr__("PatientWeight"), keep=is_pet, only=is_pet)
    reading = _opened(folder)
    with pytest.raises(InputError, match="weight") as caught:
        reading.check_task().run_now()
    assert caught.value.code == "E_SUV_WEIGHT"
    assert _state(reading, Step.CHECK).light == Light.REFUSED
    assert _state(reading, Step.REGISTER).blocked_by


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("weight_kg", -3.0),
        ("weight_kg", "heavy"),
        ("injection_instant", "2024-03-05"),
        ("nuclide", "unobtainium"),
        ("residual_bq", 3.0),
        ("name", "x"),
    ],
)
def test_facts_that_cannot_be_used_are_refused_at_once(
    measured_reading: Reading, fact: str, value: object
) -> None:
    with pytest.raises(EprimgError) as caught:
        measured_reading.enter(fact, value)
    assert caught.value.code == "E_ENTERED"
    assert measured_reading.entered == {}
    assert _state(measured_reading, Step.CHECK).light == Light.DONE


def test_facts_keep_their_types(measured_reading: Reading) -> None:
    measured_reading.enter("injection_instant", "2024-03-05T11:15:00")
    measured_reading.enter("dose_bq", 74e6)
    measured_reading.enter("dose_mbq", 74)
    measured_reading.enter("residual_mbq", 0.5)
    measured_reading.enter("residual_instant", "2024-03-05T11:20:00")
    measured_reading.enter("sex", "m")
    assert measured_reading.entered == {
        "injection_instant": datetime.datetime(2024, 3, 5, 11, 15),
        "dose_mbq": 74.0,  # took the place of dose_bq
        "residual_mbq": 0.5,
        "residual_instant": datetime.datetime(2024, 3, 5, 11, 20),
        "sex": "M",
    }


def test_a_role_moves_from_one_series_to_another(small_study: Path) -> None:
    reading = _opened(small_study)
    by_role = {r: k for k, r in reading.roles.items()}
    before, after = by_role[Role.MR_PRE], by_role[Role.MR_POST]
    reading.set_role(after, Role.MR_PRE)
    assert reading.roles[after] == Role.MR_PRE
    assert reading.roles[before] == Role.UNUSED
    reading.set_role(before, Role.MR_POST)
    reading.check_task().run_now()
    assert reading.study is not None
    uids = {e.key: e.series_uids[0] for e in reading.plan.index.series}
    found = {s.key: s.source_uid for s in reading.study.series}
    assert (found["mr_pre"], found["mr_post"]) == (uids[after], uids[before])
    assert reading.study.overrides == {f"roles.{after}": "mr_pre", f"roles.{before}": "mr_post"}
    with pytest.raises(ConfigError):
        reading.set_role("nothing", Role.PET)


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({"read": {"position_tolerance_mm": 0.1}}, Step.CHECK),
        ({"register": {"seed": 5}}, Step.REGISTER),
        ({"r2star": {"method": "loglin"}}, Step.MAPS),
        ({"measure": {"map_order": 1}}, Step.MAPS),
        ({"measure": {"small_lesion_mm": 12.0}}, Step.LESIONS),
        ({"segment": {"percent": 50.0}}, Step.LESIONS),
        ({"stratify": {"indeterminate_low": 0.2}}, Step.TIERS),
        ({"threads": 1}, None),
    ],
)
def test_a_setting_makes_its_stage_and_the_later_ones_stale(
    measured_reading: Reading, settings: dict[str, object], first: Step | None
) -> None:
    measured_reading.set_config(settings)
    order = list(Step)
    for step, light in _lights(measured_reading).items():
        stale = first is not None and order.index(step) >= order.index(first)
        assert (light == Light.STALE) is (stale and step != Step.REPORT), step
    if first is not None:
        assert measured_reading.states[-1].blocked_by
        with pytest.raises(InputError):
            measured_reading.export_task("anywhere")


def test_wrong_settings_change_nothing(measured_reading: Reading) -> None:
    before = measured_reading.config
    with pytest.raises(ConfigError):
        measured_reading.set_config({"segment": {"percent": 500.0}, "nothing": 3})
    assert measured_reading.config == before


def test_a_rejected_alignment_is_not_measured_through_and_can_be_used_again(
    measured_reading: Reading, told: list[str]
) -> None:
    reading = measured_reading
    before, maps = lesions_csv(reading.case), set(reading.case.registered)
    assert any("suv" in key for key in maps), maps
    reading.reject_registration("pet")
    assert told == ["case_changed", "steps_changed"]
    assert _state(reading, Step.REGISTER).light == Light.DOUBT
    assert "1 of 2 alignments accepted" in _state(reading, Step.REGISTER).sentence
    assert _lights(reading)[Step.MAPS] == _lights(reading)[Step.TIERS] == Light.STALE
    assert [f.code for f in reading.findings].count("W_REGISTRATION_REJECTED") == 1
    reading.run_all_task().run_now()
    assert reading.case is not None
    left = set(reading.case.registered)
    assert left < maps
    assert not any("suv" in key or "pet" in key for key in left)
    # A run without a screen is told the same by the settings.
    line = reading.reproduce_command(reading.folder.parent / "rejected")
    assert "--config" in line
    assert 'reject = ["pet"]' in reading.config.to_toml()
    reading.reject_registration("pet", rejected=False)
    reading.run_all_task().run_now()
    assert lesions_csv(reading.case) == before
    assert "W_REGISTRATION_REJECTED" not in [f.code for f in reading.findings]
    with pytest.raises(InputError, match="no alignment of ct"):
        reading.reject_registration("ct")


def test_a_step_that_is_run_again_makes_the_later_ones_stale(
    measured_reading: Reading, told: list[str]
) -> None:
    measured_reading.run_task(Step.MAPS).run_now()
    lights = _lights(measured_reading)
    assert lights[Step.MAPS] == Light.DONE
    assert lights[Step.LESIONS] == lights[Step.TIERS] == Light.STALE
    assert told == ["case_changed", "steps_changed"]
    told.clear()
    before = lesions_csv(measured_reading.case)
    measured_reading.run_all_task().run_now()
    assert lesions_csv(measured_reading.case) == before
    assert Light.STALE not in _lights(measured_reading).values()
    assert {"regions_changed", "tiers_changed"} <= set(told)


def test_a_result_that_comes_too_late_is_not_taken(measured_reading: Reading) -> None:
    case = measured_reading.case
    task = measured_reading.run_task(Step.TIERS)
    result = task.work(lambda words, share: None)
    measured_reading.set_config({"stratify": {"indeterminate_low": 0.2}})
    with pytest.raises(InputError, match="changed while"):
        task.done(result)
    assert measured_reading.case is case
    assert _state(measured_reading, Step.TIERS).light == Light.REFUSED


def test_cancelling_leaves_everything_as_it_was(measured_reading: Reading) -> None:
    def stop(words: str, share: float) -> None:
        raise Cancelled

    before = (measured_reading.case, measured_reading.states)
    with pytest.raises(Cancelled):
        measured_reading.run_task(Step.LESIONS).run_now(stop)
    assert (measured_reading.case, measured_reading.states) == before
    measured_reading.run_task(Step.LESIONS).run_now()


def test_an_error_turns_the_light_red_and_the_next_success_green(
    measured_reading: Reading, tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        measured_reading.open_task(tmp_path).run_now()
    state = _state(measured_reading, Step.OPEN)
    assert state.light == Light.REFUSED
    assert state.sentence.endswith(".")
    assert tmp_path.name not in state.sentence  # people name folders after patients
    assert measured_reading.case is not None  # what was open stays open
    measured_reading.open_task(str(measured_reading.folder)).run_now()
    assert _state(measured_reading, Step.OPEN).light == Light.DONE
    assert measured_reading.case is None


def test_cut_offs_change_tiers_and_no_voxel(measured_reading: Reading, told: list[str]) -> None:
    case = measured_reading.case
    labels = case.lesions.labels
    key = "example-pid-per-kg-peak"
    # As text: a confidence that is not a number is not equal to itself.
    before = {r.id: repr(r.tiers[0]) for r in case.lesions.lesions}
    measured_reading.set_scheme_edges(key, [1000.0, 2000.0])
    case = measured_reading.case
    # No tissue takes up 1000 %ID/kg: every tier that can be given is the lowest.
    given = {t.label for r in case.lesions.lesions for t in r.tiers if t.scheme == key}
    assert given <= {"low", "not tiered"}
    assert "low" in given
    assert np.shares_memory(case.lesions.labels, labels)
    assert told == ["tiers_changed", "steps_changed"]
    scheme = next(s for s in measured_reading.schemes if s.key == key)
    assert scheme.edges == (1000.0, 2000.0)
    assert not scheme.validated
    assert scheme.version.endswith("edited by the reader")
    assert measured_reading.edited
    assert measured_reading.undo_words == f"cut-offs of {key}"
    measured_reading.undo()
    assert {r.id: repr(r.tiers[0]) for r in measured_reading.case.lesions.lesions} == before
    assert not measured_reading.edited
    measured_reading.redo()
    assert measured_reading.case.schemes[0].edges == (1000.0, 2000.0)
    # A run of the step keeps the reader's cut-offs.
    measured_reading.run_task(Step.TIERS).run_now()
    assert measured_reading.case.schemes[0].edges == (1000.0, 2000.0)


@pytest.mark.parametrize("edges", [[5.0], [20.0, 5.0], [-1.0, 5.0], [5.0, float("nan")]])
def test_cut_offs_that_make_no_sense_are_refused(
    measured_reading: Reading, edges: list[float]
) -> None:
    before = measured_reading.case
    with pytest.raises(ConfigError) as caught:
        measured_reading.set_scheme_edges("example-pid-per-kg-peak", edges)
    assert caught.value.code == "E_SCHEME"
    assert measured_reading.case is before
    assert not measured_reading.can_undo
    with pytest.raises(ConfigError):
        measured_reading.set_scheme_edges("nothing", [1.0])


def test_schemes_can_be_chosen(measured_reading: Reading) -> None:
    measured_reading.set_schemes(["example-dr2star-median"])
    assert [t.scheme for t in measured_reading.case.patient_tiers] == ["example-dr2star-median"]
    assert measured_reading.config.stratify.schemes == ("example-dr2star-median",)
    with pytest.raises(ConfigError):
        measured_reading.set_schemes(["no-such-scheme"])
    measured_reading.set_schemes(["example-pid-per-kg-cohort-median"])
    with pytest.raises(ConfigError, match="cohort"):
        measured_reading.set_scheme_edges("example-pid-per-kg-cohort-median", [1.0])
    measured_reading.undo()
    measured_reading.undo()
    assert len(measured_reading.case.patient_tiers) == 2


def test_selection_and_cursor(measured_reading: Reading, told: list[str]) -> None:
    measured_reading.select(3)
    measured_reading.select(3)
    assert measured_reading.selected == 3
    measured_reading.select(999)
    assert measured_reading.selected == 0
    measured_reading.move_cursor((1.0, np.float64(2.0), 3))
    measured_reading.move_cursor([1.0, 2.0, 3.0])
    assert measured_reading.cursor_mm == (1.0, 2.0, 3.0)
    assert told == ["selection_changed", "selection_changed", "cursor_changed"]


class _Viewer:
    """Stands for napari's viewer: a weak map needs no more."""


class _Proxy:
    def __init__(self, viewer: _Viewer) -> None:
        self.__wrapped__ = viewer


def test_two_viewers_have_two_readings(measured_reading: Reading, small_study: Path) -> None:
    one, two = _Viewer(), _Viewer()
    first, second = reading_of(one), reading_of(two)
    assert first is not second
    assert reading_of(one) is first
    assert reading_of(_Proxy(one)) is first
    first.open_task(small_study).run_now()
    first.set_config({"segment": {"percent": 50.0}})
    assert second.folder is None
    assert second.config.segment.percent == 41.0
    assert second.states[0].light == Light.IDLE
    gone = weakref.ref(first)
    del one, first
    gc.collect()
    assert gone() is None


def test_neither_qt_nor_napari_is_needed() -> None:
    script = (
        "import sys, napari_eprimg.reading.reading, napari_eprimg.reader, napari_eprimg.writer, "
        "napari_eprimg.sample, napari_eprimg.settings; "
        "print(sorted({'napari', 'qtpy', 'PySide6', 'PyQt6', 'vispy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_sessions_share_a_role_and_series_of_one_session_do_not(tmp_path: Path) -> None:
    def two_injections(d, k, e):
        d.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = 40e6
        d.SeriesDate = d.AcquisitionDate = "20240305"
        d.SeriesNumber = 4

    write_pet(tmp_path / "1")
    write_pet(tmp_path / "4", study="2.25.5", series="2.25.6", change=two_injections)
    write_pet(tmp_path / "5", series="2.25.7", change=lambda d, k, e: setattr(d, "SeriesNumber", 5))
    reading = _opened(tmp_path)
    assert set(reading.roles.values()) == {Role.UNUSED}
    for key in ("pt-1", "pt-4"):
        reading.set_role(key, Role.PET)
    pets = {"pt-1": Role.PET, "pt-4": Role.PET}
    assert {k: r for k, r in reading.roles.items() if r == Role.PET} == pets
    assert reading._study_file().roles == pets
    reading.set_role("pt-5", Role.PET)  # of the session of pt-1
    assert reading.roles == {"pt-1": Role.UNUSED, "pt-4": Role.PET, "pt-5": Role.PET}
