"""The workflow by mouse and keyboard: what a reader sees, and what happens when things go wrong."""

from __future__ import annotations

import gc
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qtpy")
import pydicom
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from eprimg.io.study_file import read_study_file
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import RegionRole, RegionSource
from eprimg.model.study import Role
from napari_eprimg.dock.workflow_widget import WorkflowWidget
from napari_eprimg.reading.reading import Light, Step

from .conftest import MeasuredStudy
from .gui_pictures import keep_picture

LEFT = Qt.MouseButton.LeftButton
LONG_MS = 240_000


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """Messages of the notifications of this test."""
    told: list[str] = []

    def keep(notification: Any) -> None:
        told.append(notification.message)

    notification_manager.notification_ready.connect(keep)
    yield told
    notification_manager.notification_ready.disconnect(keep)


@pytest.fixture
def make_workflow(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> Callable[..., WorkflowWidget]:
    """Make a workflow in the left dock of a viewer of its own."""

    def make() -> WorkflowWidget:
        viewer = make_napari_viewer(show=True)
        widget = WorkflowWidget(viewer)
        viewer.window.add_dock_widget(widget, area="left", add_vertical_stretch=False)
        viewer.window.resize(1280, 800)
        qtbot.waitUntil(widget.isVisible, timeout=20_000)
        return widget

    return make


@pytest.fixture(scope="session")
def study_without_weight(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small phantom; PatientWeight (0010,1030) is missing in its PET series."""
    folder = tmp_path_factory.mktemp("weightless") / "dicom"
    shutil.copytree(small_study, folder)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        dataset = pydicom.dcmread(path, force=True)
        if dataset.get("Modality") == "PT":
            del dataset.PatientWeight
            dataset.save_as(path)
    return folder


def child(widget: QWidget, kind: type, name: str) -> Any:
    """Find a control by its name."""
    found = widget.findChild(kind, name)
    assert found is not None, name
    return found


def press(qtbot: Any, widget: QWidget, name: str) -> None:
    """Click a button with the mouse."""
    button = child(widget, QPushButton, name)
    assert button.isVisible(), name
    assert button.isEnabled(), f"{name}: {button.toolTip()}"
    qtbot.mouseClick(button, LEFT)


def press_step(qtbot: Any, workflow: WorkflowWidget, step: Step) -> None:
    """Open a step by a click on its heading."""
    if workflow.step != step:
        qtbot.mouseClick(child(workflow, QPushButton, f"step_{step.value}"), LEFT)
    assert workflow.step == step


def type_into(workflow: QWidget, name: str, text: str) -> None:
    """Type into a field and press Enter."""
    field = child(workflow, QLineEdit, name)
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def wait_idle(qtbot: Any, workflow: WorkflowWidget) -> None:
    """Wait for the running job."""
    qtbot.waitUntil(lambda: workflow.jobs.busy == "", timeout=LONG_MS)


def open_folder(qtbot: Any, workflow: WorkflowWidget, folder: Path) -> None:
    """Open a folder as a reader does who types."""
    press_step(qtbot, workflow, Step.OPEN)
    type_into(workflow, "study_path", str(folder))
    assert workflow.jobs.busy
    wait_idle(qtbot, workflow)


def drop_folder(qtbot: Any, workflow: WorkflowWidget, folder: Path) -> None:
    """Drop a folder on the workflow."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    point = QPoint(60, 200)
    actions, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(point, actions, data, LEFT, none)
    QApplication.sendEvent(workflow, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(workflow, QDropEvent(QPointF(point), actions, data, LEFT, none))
    assert workflow.jobs.busy == "Open a study"
    wait_idle(qtbot, workflow)


def lights(workflow: WorkflowWidget) -> dict[Step, Light]:
    """Lights as they are drawn."""
    return {step: section.light.light for step, section in workflow.sections.items()}


def sentence(workflow: WorkflowWidget, step: Step) -> str:
    """Sentence below the heading of a step; empty when it is hidden."""
    label = child(workflow, QLabel, f"sentence_{step.value}")
    return label.text() if label.isVisible() else ""


def test_before_a_study_is_open_every_other_step_says_what_to_do_first(
    qtbot: Any, make_workflow: Callable[..., WorkflowWidget]
) -> None:
    workflow = make_workflow()
    assert workflow.step == Step.OPEN
    run_all = child(workflow, QPushButton, "run_all")
    assert not run_all.isEnabled()
    assert run_all.toolTip() == "Open a study folder first."
    for step in (Step.CHECK, Step.REGISTER, Step.MAPS, Step.LESIONS, Step.TIERS, Step.REPORT):
        press_step(qtbot, workflow, step)
        button = child(workflow, QPushButton, f"run_{step.value}")
        assert not button.isEnabled()
        assert button.toolTip().endswith("first.")
        shown = [s for s, section in workflow.sections.items() if section.body.isVisible()]
        assert shown == [step]
    press_step(qtbot, workflow, Step.REGISTER)  # settings can be typed before a study is open
    qtbot.mouseClick(child(workflow, QWidget, "settings_register"), LEFT)
    control = child(workflow, QWidget, "max_moved_mm")
    control.setFocus()
    control.selectAll()
    QTest.keyClicks(control, "45")
    QTest.keyClick(control, Qt.Key.Key_Return)
    assert workflow.reading.config.register.max_moved_mm == 45.0


def test_settings_that_contradict_each_other_are_not_taken_until_they_agree(
    qtbot: Any, make_workflow: Callable[..., WorkflowWidget]
) -> None:
    workflow = make_workflow()
    press_step(qtbot, workflow, Step.MAPS)
    qtbot.mouseClick(child(workflow, QWidget, "settings_r2star"), LEFT)
    noise, method = (child(workflow, QComboBox, name) for name in ("noise", "method"))

    def choose(control: QComboBox, word: str) -> None:
        control.setFocus()
        while control.currentText() != word:
            QTest.keyClick(control, Qt.Key.Key_Down)

    choose(noise, "rician")
    choose(method, "irls")
    kept = workflow.reading.config.r2star
    assert (kept.noise, kept.method) == ("rician", "nlls")
    while noise.currentText() != "truncate":
        QTest.keyClick(noise, Qt.Key.Key_Up)
    kept = workflow.reading.config.r2star
    assert (kept.noise, kept.method) == ("truncate", "irls")


def test_roles_of_a_dropped_study_are_changed_by_keyboard_and_kept_in_the_copied_command(
    qtbot: Any, make_workflow: Callable[..., WorkflowWidget], small_study: Path, tmp_path: Path
) -> None:
    workflow = make_workflow()
    drop_folder(qtbot, workflow, small_study)
    assert workflow.reading.folder == small_study
    assert lights(workflow)[Step.OPEN] in (Light.DONE, Light.DOUBT)
    reading = workflow.reading
    combos = {
        c.objectName().removeprefix("role_"): c
        for c in workflow.findChildren(QComboBox)
        if c.objectName().startswith("role_")
    }
    assert {k: c.currentData() for k, c in combos.items()} == reading.roles
    (pet,) = (key for key, role in reading.roles.items() if role == Role.PET)
    keep_picture(workflow, "step_1_open")
    combos[pet].setFocus()
    QTest.keyClick(combos[pet], Qt.Key.Key_End)
    QTest.keyClick(combos[pet], Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: reading.roles[pet] == Role.UNUSED, timeout=20_000)
    assert child(workflow, QLineEdit, "study_path").text() == ""
    press_step(qtbot, workflow, Step.REPORT)
    copy = child(workflow, QPushButton, "copy_command")
    assert not copy.isEnabled()
    assert copy.toolTip().startswith("Choose an output folder")
    type_into(workflow, "out_folder", str(tmp_path / "out"))
    press(qtbot, workflow, "copy_command")
    program, verb, folder, *options = shlex.split(QGuiApplication.clipboard().text())
    assert (program, verb, folder) == ("eprimg", "run", str(small_study))
    file = Path(options[options.index("--study") + 1])
    assert options[options.index("--out") + 1] == str(tmp_path / "out")
    assert read_study_file(file).roles[pet] == Role.UNUSED
    assert "study.toml" in child(workflow, QLabel, "copied").text()


def test_a_folder_that_is_not_there_gives_one_notification_and_a_red_light(
    qtbot: Any,
    make_workflow: Callable[..., WorkflowWidget],
    tmp_path: Path,
    small_study: Path,
    messages: list[str],
) -> None:
    workflow = make_workflow()
    open_folder(qtbot, workflow, tmp_path / "Doe_Jane")
    assert lights(workflow)[Step.OPEN] == Light.REFUSED
    assert len(messages) == 1
    assert messages[0].endswith("(E_EMPTY)")
    assert "Doe" not in messages[0]
    open_folder(qtbot, workflow, small_study)
    assert lights(workflow)[Step.OPEN] in (Light.DONE, Light.DOUBT)
    assert len(messages) == 1


def test_a_missing_weight_is_told_with_its_tag_entered_and_taken_back(
    qtbot: Any,
    make_workflow: Callable[..., WorkflowWidget],
    study_without_weight: Path,
) -> None:
    workflow = make_workflow()
    open_folder(qtbot, workflow, study_without_weight)
    press(qtbot, workflow, "next_open")
    press(qtbot, workflow, "run_check")
    wait_idle(qtbot, workflow)
    reading = workflow.reading
    assert lights(workflow)[Step.CHECK] == Light.REFUSED
    assert "(0010,1030)" in sentence(workflow, Step.CHECK)
    # The rest is usable; there is no PET to compute SUV from.
    assert {s.key for s in reading.study.series} == {"mr_pre", "mr_post"}
    assert child(workflow, QPushButton, "step_register").isEnabled()
    keep_picture(workflow, "step_2_check_weight_missing")
    type_into(workflow, "fact_weight_kg", "many")
    assert reading.entered == {}
    type_into(workflow, "fact_weight_kg", "72")
    assert reading.entered == {"weight_kg": 72.0}
    rows = workflow.body(Step.CHECK).rows
    assert rows["weight_kg"].origin.text().startswith("entered by reader")
    press(qtbot, workflow, "run_check")
    wait_idle(qtbot, workflow)
    assert lights(workflow)[Step.CHECK] in (Light.DONE, Light.DOUBT)
    assert {s.key for s in reading.study.series} == {"mr_pre", "mr_post", "pet"}
    keep_picture(workflow, "step_2_check_weight_entered")
    press(qtbot, workflow, "forget_weight_kg")
    assert reading.entered == {}
    assert lights(workflow)[Step.CHECK] == Light.STALE
    assert rows["weight_kg"].origin.text().startswith("✖ missing")


def test_registration_can_be_cancelled_and_leaves_nothing_behind(
    qtbot: Any,
    make_workflow: Callable[..., WorkflowWidget],
    small_study: Path,
    messages: list[str],
) -> None:
    workflow = make_workflow()
    open_folder(qtbot, workflow, small_study)
    press(qtbot, workflow, "next_open")
    press(qtbot, workflow, "run_check")
    wait_idle(qtbot, workflow)
    press_step(qtbot, workflow, Step.REGISTER)
    viewer_layers = [layer.name for layer in workflow.body(Step.OPEN).viewer.layers]
    press(qtbot, workflow, "run_register")
    register = child(workflow, QPushButton, "run_register")
    assert not register.isEnabled()
    assert "cancel it" in register.toolTip()
    qtbot.waitUntil(lambda: workflow.bar.bar.value() > 30, timeout=LONG_MS)
    keep_picture(workflow, "step_3_register_running")
    qtbot.mouseClick(workflow.bar.cancel_button, LEFT)
    wait_idle(qtbot, workflow)
    reading = workflow.reading
    assert reading.case.registrations == ()
    assert lights(workflow)[Step.REGISTER] == Light.IDLE
    assert [layer.name for layer in workflow.body(Step.OPEN).viewer.layers] == viewer_layers
    assert messages == []
    assert child(workflow, QPushButton, "run_register").isEnabled()


def test_an_unexpected_fault_is_told_once_and_the_step_runs_again(
    qtbot: Any,
    make_workflow: Callable[..., WorkflowWidget],
    small_study: Path,
    messages: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import eprimg.io.study

    workflow = make_workflow()
    open_folder(qtbot, workflow, small_study)
    press(qtbot, workflow, "next_open")

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault of the program")

    with monkeypatch.context() as patch:
        patch.setattr("napari_eprimg.reading.reading_tasks.read_study", broken)
        press(qtbot, workflow, "run_check")
        wait_idle(qtbot, workflow)
    assert eprimg.io.study.read_study is not broken
    assert messages == ["Unexpected fault of eprimg, report it (ZeroDivisionError)."]
    assert lights(workflow)[Step.CHECK] == Light.REFUSED
    assert workflow.isVisible()
    qtbot.mouseClick(child(workflow, QWidget, "what_happened"), LEFT)
    assert "a fault of the program" in workflow.notices.text.toPlainText()
    qtbot.mouseClick(workflow.notices.copy_button, LEFT)
    assert "ZeroDivisionError" in QGuiApplication.clipboard().text()
    press(qtbot, workflow, "run_check")
    wait_idle(qtbot, workflow)
    assert lights(workflow)[Step.CHECK] in (Light.DONE, Light.DOUBT)
    assert len(messages) == 1


def test_two_viewers_do_not_share_a_reading_and_a_closed_one_stops_its_job(
    qtbot: Any,
    make_workflow: Callable[..., WorkflowWidget],
    small_study: Path,
    study_without_weight: Path,
) -> None:
    one, other = make_workflow(), make_workflow()
    open_folder(qtbot, one, small_study)
    open_folder(qtbot, other, study_without_weight)
    assert one.reading is not other.reading
    assert (one.reading.folder, other.reading.folder) == (small_study, study_without_weight)
    press(qtbot, one, "run_all")
    assert one.jobs.busy
    assert other.jobs.busy == ""
    press(qtbot, other, "next_open")
    assert child(other, QPushButton, "run_check").isEnabled()
    thread = one.jobs.thread_of_job
    viewer = one.body(Step.OPEN).viewer
    del one
    viewer.close()
    gc.collect()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=LONG_MS)
    press(qtbot, other, "run_check")
    wait_idle(qtbot, other)
    assert lights(other)[Step.CHECK] == Light.REFUSED


def test_after_running_all_the_step_that_needs_a_look_is_open(
    qtbot: Any,
    make_workflow: Callable[..., WorkflowWidget],
    measured_study: MeasuredStudy,
) -> None:
    workflow = make_workflow()
    reading = workflow.reading
    reading.adopt(measured_study.folder, measured_study.plan, measured_study.case)
    press_step(qtbot, workflow, Step.REGISTER)
    press(qtbot, workflow, "run_all")  # everything is done: the tiers alone
    wait_idle(qtbot, workflow)
    assert workflow.step == Step.TIERS
    refused = Finding("E_TEST", Severity.ERROR, "pet", "One series was refused.", stage="read")
    with_error = replace(reading.case, findings=(*reading.case.findings, refused))
    reading.adopt(measured_study.folder, measured_study.plan, with_error)
    press(qtbot, workflow, "run_all")
    wait_idle(qtbot, workflow)
    assert lights(workflow)[Step.CHECK] == Light.REFUSED
    assert workflow.step == Step.CHECK
    lesions = reading.case.lesions
    waiting = lesions.with_regions(
        tuple(
            replace(r, source=RegionSource.CANDIDATE) if r.role == RegionRole.LESION else r
            for r in lesions.regions
        )
    )
    reading.adopt(
        measured_study.folder, measured_study.plan, replace(measured_study.case, lesions=waiting)
    )
    press(qtbot, workflow, "run_all")
    wait_idle(qtbot, workflow)
    assert workflow.step == Step.LESIONS
    for number, step in enumerate(Step, start=1):
        press_step(qtbot, workflow, step)
        keep_picture(workflow, f"workflow_{number}_{step.value}")
