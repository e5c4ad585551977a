"""Export, save and reopen: the same numbers as the command line, or a polite refusal."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from eprimg import pipeline
from eprimg.errors import InputError, OutputError
from eprimg.io.output_folder import output_path
from eprimg.io.write_tables import lesions_csv
from eprimg.model.case import Case, Finding
from eprimg.model.study import Study
from napari_eprimg.reading.reading import Light, Reading, Step
from tests.conftest import is_pet
from tests.plugins.conftest import MeasuredStudy

_SCHEME = "example-pid-per-kg-peak"


def _edit(reading: Reading) -> int:
    """Some of everything; returns the id of a region that was deleted."""
    lesions = reading.case.lesions
    first, second, third = [r.id for r in lesions.lesions][:3]
    labels = np.array(lesions.labels)
    mine = np.argwhere(labels == first)
    labels[tuple(mine[: len(mine) // 3].T)] = 0
    reading.write_labels(labels, "erase")
    reading.exclude(second, "physiologic uptake")
    reading.delete([third])
    new = reading.new_lesion()
    reading.delete([new])
    reading.set_scheme_edges(_SCHEME, [1.0, 2.0])
    return new


@pytest.fixture(scope="module")
def saved(
    measured_study: MeasuredStudy, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Reading, Path]:
    """An edited reading and its saved case."""
    reading = Reading()
    reading.adopt(measured_study.folder, measured_study.plan, measured_study.case)
    _edit(reading)
    reading.view["window"] = [0.0, 7.5]
    path = tmp_path_factory.mktemp("saved") / "case"
    reading.save_task(path).run_now()
    return reading, path


def test_the_export_is_what_the_command_line_writes_byte_for_byte(
    saved: tuple[Reading, Path], known_alignment: list[bool], tmp_path: Path
) -> None:
    # That a process of its own finds the same alignment is check 21 of tests/gui.
    reading, path = saved
    assert reading.saved_as == path
    assert "--case case" in reading.reproduce
    line = shlex.split(reading.reproduce_command(out=str(tmp_path / "batch")))
    assert line[:2] == ["eprimg", "run"]
    reading.export_task(tmp_path / "gui").run_now()
    assert reading.states[-1].light == Light.DONE
    folder, case, out = Path(line[2]), line[line.index("--case") + 1], line[line.index("--out") + 1]
    pipeline.run_folder(folder, out, saved_case=case)
    assert known_alignment == [True]
    for key in ("lesions", "measurements", "labels"):
        gui = output_path(tmp_path / "gui", key).read_bytes()
        assert output_path(tmp_path / "batch", key).read_bytes() == gui, key


def test_a_saved_case_reopens_as_it_was(
    saved: tuple[Reading, Path], known_alignment: list[bool]
) -> None:
    reading, path = saved
    again = Reading()
    heard: list[str] = []
    again.case_changed.connect(lambda: heard.append("case"))
    again.tiers_changed.connect(lambda: heard.append("tiers"))
    again.open_task(path).run_now()
    assert known_alignment == [True]
    assert {"case", "tiers"} <= set(heard)
    assert lesions_csv(again.case) == lesions_csv(reading.case)
    np.testing.assert_array_equal(again.case.lesions.labels, reading.case.lesions.labels)
    assert again.view == {"window": [0.0, 7.5]}
    assert again.folder is not None
    assert again.folder.resolve() == reading.folder.resolve()
    assert again.schemes[0].edges == (1.0, 2.0)
    assert again.saved_as == path
    assert all(s.light in (Light.DONE, Light.DOUBT) for s in again.states[:-1])
    # Edits go on; the number of the lesion that was deleted before saving stays taken.
    assert again.new_lesion() == max(r.id for r in reading.case.lesions.regions) + 2
    assert again.saved_as is None
    assert again.must_be_saved
    assert again.reproduce.startswith("Save the case first")
    assert again.reproduce_command() == ""


def test_a_changed_source_is_refused_and_what_is_open_stays(
    copy_of: Callable[..., Path], measured_reading: Reading, tmp_path: Path
) -> None:
    reading = Reading()
    reading.open_task(copy_of(lambda ds: None, only=is_pet)).run_now()
    reading.check_task().run_now()
    reading.save_task(tmp_path / "case").run_now()
    file = next(p for p in sorted(reading.folder.rglob("*.dcm")) if is_pet(pydicom.dcmread(p)))
    dataset = pydicom.dcmread(file)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(file)
    case = measured_reading.case
    with pytest.raises(InputError, match="pet has changed") as caught:
        measured_reading.reopen_task(tmp_path / "case").run_now()
    assert caught.value.code == "E_CASE_SOURCES"
    assert measured_reading.case is case
    state = next(s for s in measured_reading.states if s.step == Step.OPEN)
    assert state.light == Light.REFUSED
    assert "Next:" in state.sentence


def test_a_reading_without_its_refused_pet_is_run_again_from_the_saved_case(
    copy_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading()
    folder = copy_of(lambda ds: ds.__delattr__("PatientWeight"), only=is_pet)
    reading.open_task(folder).run_now()
    reading.check_task().run_now()
    reading.save_task(tmp_path / "case").run_now()
    ran: list[Case] = []

    def keep(study: Study, *_: object, findings: tuple[Finding, ...], **__: object) -> Case:
        ran.append(Case(study, findings=findings))
        return ran[0]

    # Which series are read is the question here, not what the stages make of them.
    monkeypatch.setattr(pipeline, "run", keep)
    monkeypatch.setattr(pipeline, "export_case", lambda *_, **__: None)
    pipeline.run_folder(None, tmp_path / "out", saved_case=tmp_path / "case")
    assert [s.key for s in ran[0].study.series] == ["mr_pre", "mr_post"]
    assert {"E_SUV_WEIGHT", "I_CASE_REOPENED"} <= {f.code for f in ran[0].findings}
    with pytest.raises(InputError, match="weight"):  # without the case nothing is left out
        pipeline.run_folder(folder, tmp_path / "other")


def test_there_must_be_something_to_save_and_a_place_for_it(
    measured_reading: Reading, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nothing to save"):
        Reading().save_task(tmp_path / "case")
    measured_reading.save_task(tmp_path / "case").run_now()
    with pytest.raises(OutputError):
        measured_reading.save_task(tmp_path / "case").run_now()
    measured_reading.save_task(tmp_path / "case", overwrite=True).run_now()
    # Results never take the place of a saved case.
    with pytest.raises(OutputError) as caught:
        measured_reading.export_task(tmp_path / "case", overwrite=True)
    assert caught.value.code == "E_OUTPUT_FOREIGN"


def test_an_unedited_default_reading_needs_no_files(measured_reading: Reading) -> None:
    first, _ = measured_reading.reproduce.splitlines()
    assert first == "eprimg run STUDY --out OUT"
    folder = measured_reading.folder
    assert (
        measured_reading.reproduce_command() == f"eprimg run {shlex.quote(str(folder))} --out OUT"
    )
    assert str(folder) not in measured_reading.reproduce  # a path can hold a name
    measured_reading.set_config({"segment": {"percent": 50.0}})
    assert "--config settings.toml" in measured_reading.reproduce
    assert measured_reading.reproduce_command() == ""


def test_the_sample_of_this_process_is_not_measured_twice(
    measured_study: MeasuredStudy, tmp_path: Path
) -> None:
    from napari_eprimg.reading.known_cases import KnownCase, known_case, remember_case

    assert known_case(tmp_path) is None
    remember_case(tmp_path, KnownCase(measured_study.plan, measured_study.case))
    reading = Reading()
    reading.open_task(tmp_path).run_now()
    assert reading.case is measured_study.case
    assert reading.done(Step.TIERS)
    # With other settings its numbers would be wrong: it is opened like any folder.
    other = Reading()
    other.set_config({"segment": {"percent": 50.0}})
    with pytest.raises(InputError):
        other.open_task(tmp_path).run_now()
