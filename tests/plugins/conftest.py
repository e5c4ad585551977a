"""Fixtures of the plugin tests: napari without settings, and readings of the small phantom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Before napari is imported: no settings are read or written, and the tested Qt binding is taken.
os.environ["NAPARI_CONFIG"] = ""
os.environ.setdefault("QT_API", "pyside6")

if TYPE_CHECKING:
    from eprimg.io.study_plan import StudyPlan
    from eprimg.model.case import Case, StageResult
    from eprimg.model.transform import Registration
    from napari_eprimg.reading.reading import Reading
    from tests.plugins.reading_room import ReadingRoom


@dataclass(frozen=True, eq=False)
class MeasuredStudy:
    """The small phantom, read and run once."""

    folder: Path
    plan: StudyPlan
    case: Case
    aligned: StageResult[tuple[Registration, ...]]
    """What the stage `register` gave."""


@pytest.fixture(scope="module", autouse=True)
def no_canvas_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """See `no_canvas_left`; and spare the search for garbage what was there before."""
    from tests.plugins.shown_viewer import no_canvas_left, spare_what_is_there

    items = [item for item in request.session.items if item.path == request.node.path]
    if any("qapp" in getattr(item, "fixturenames", ()) for item in items):
        spare_what_is_there()
    with no_canvas_left():
        yield


@pytest.fixture(scope="session")
def small_study(phantom: Path) -> Path:
    """Folder with the DICOM of the small phantom (seed 1)."""
    return phantom / "dicom"


@pytest.fixture(scope="session")
def measured_study(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> MeasuredStudy:
    """The small phantom with every stage run, once for all tests of all workers."""
    from eprimg import pipeline
    from eprimg.io.study import read_study
    from eprimg.io.study_plan import plan_study
    from tests.made_once import keep, kept, made_once, shared_folder
    from tests.plugins.known_alignment import heard_alignments

    def measure(folder: Path) -> None:
        plan = plan_study(small_study)
        read = read_study(small_study, plan=plan, leave_out_refused=True)
        with heard_alignments() as heard:
            case = pipeline.run(read.value, findings=read.findings)
        (aligned,) = heard
        keep((plan, case, aligned), folder)

    # Who made it reads it too: the tests see the same records in every worker.
    plan, case, aligned = kept(made_once(shared_folder(tmp_path_factory), "measured", measure))
    return MeasuredStudy(small_study, plan, case, aligned)


@pytest.fixture
def known_alignment(measured_study: MeasuredStudy, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Take the registration of the small phantom from `measured_study`; see `give_alignment`."""
    from tests.plugins.known_alignment import give_alignment

    return give_alignment(measured_study, monkeypatch)


@pytest.fixture
def measured_reading(measured_study: MeasuredStudy) -> Reading:
    """A fresh reading of the small phantom with everything run."""
    from napari_eprimg.reading.reading import Reading

    reading = Reading()
    reading.adopt(measured_study.folder, measured_study.plan, measured_study.case)
    return reading


@pytest.fixture
def output_folder(tmp_path: Path) -> Path:
    """An output folder of eprimg with one map and the regions."""
    from eprimg.io.output_folder import output_path, whole_folder
    from eprimg.io.write_maps import write_labels, write_map
    from tests import tiny_case

    case = tiny_case.case()
    with whole_folder(tmp_path / "out") as root:
        (root / "maps").mkdir()
        (root / "regions").mkdir()
        place = output_path(root, "registered_map", key="r2star_pre")
        write_map(case.maps["r2star_pre"], place, key="r2star_pre")
        assert case.lesions is not None
        write_labels(case.lesions, output_path(root, "labels"), output_path(root, "label_names"))
    return tmp_path / "out"


@pytest.fixture
def told(measured_reading: Reading) -> list[str]:
    """Names of the signals that `measured_reading` emits, in order."""
    names = (
        "case_changed",
        "regions_changed",
        "tiers_changed",
        "steps_changed",
        "selection_changed",
        "cursor_changed",
    )
    heard: list[str] = []
    for name in names:
        getattr(measured_reading, name).connect(lambda *_, name=name: heard.append(name))
    return heard


@pytest.fixture(scope="module")
def shared_room(qapp, measured_study: MeasuredStudy) -> Iterator[ReadingRoom]:
    """The whole reading room, opened once for a module."""
    from tests.plugins.reading_room import ReadingRoom
    from tests.plugins.shown_viewer import shown_viewer

    with shown_viewer() as viewer:
        room = ReadingRoom(viewer, measured_study)
        del viewer
        yield room
        room.close()
        del room


@pytest.fixture
def room(shared_room: ReadingRoom, measured_study: MeasuredStudy) -> ReadingRoom:
    """The reading room on the small phantom with everything run, as it is at first."""
    shared_room.reset(measured_study)
    return shared_room
