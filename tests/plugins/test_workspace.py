"""All windows of a reading in their places, for one viewer and for two, without identity."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qtpy")
import numpy as np
import pydicom
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDockWidget,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QTabBar,
    QWidget,
)

from napari_eprimg.reading.reading import Step
from napari_eprimg.workspace import DOCKS, Workspace, open_workspace

from .gui_pictures import keep_picture


@pytest.fixture
def make_workspace(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Callable[..., Workspace]:
    """Open the workspace in a viewer of its own."""

    def make(width: int = 1600, height: int = 1000) -> Workspace:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(width, height)
        workspace = open_workspace(viewer)
        qtbot.waitUntil(workspace.workflow.isVisible, timeout=20_000)
        return workspace

    return make


def adopt(workspace: Workspace, measured_study: Any) -> None:
    """Show the measured phantom without running it again."""
    workspace.reading.adopt(measured_study.folder, measured_study.plan, measured_study.case)


def test_every_dock_is_in_its_area_and_a_second_call_only_brings_back_what_was_closed(
    qtbot: Any,
    make_workspace: Callable[..., Workspace],
) -> None:
    workspace = make_workspace()
    viewer = workspace.viewer
    again = open_workspace(viewer)
    assert all(again.widgets[key] is workspace.widgets[key] for key in DOCKS)
    window = workspace.dock("workflow").parentWidget()
    names = [dock.objectName() for dock in window.findChildren(QDockWidget)]
    assert [names.count(name) for name in DOCKS.values()] == [1] * len(DOCKS)
    areas = Qt.DockWidgetArea
    for key, area in (
        ("workflow", areas.LeftDockWidgetArea),
        ("planes", areas.RightDockWidgetArea),
        ("lesions", areas.BottomDockWidgetArea),
        ("inspector", areas.BottomDockWidgetArea),
    ):
        assert window.dockWidgetArea(workspace.dock(key)) == area
    lesions, inspector = workspace.dock("lesions"), workspace.dock("inspector")
    qtbot.waitUntil(lambda: lesions in window.tabifiedDockWidgets(inspector), timeout=20_000)

    def shown() -> list[QTabBar]:
        return [b for b in window.findChildren(QTabBar) if b.isVisible() and b.count() > 1]

    window.resize(1280, 800)
    qtbot.waitUntil(lambda: len(shown()) == 2, timeout=20_000)
    for bar in shown():  # no tab is hidden behind arrows
        assert not bar.usesScrollButtons()
        assert bar.tabRect(bar.count() - 1).right() <= bar.width()
    viewer.window.remove_dock_widget(workspace.widgets["inspector"])
    third = open_workspace(viewer)
    assert third.widgets["inspector"] is not workspace.widgets["inspector"]
    assert third.widgets["workflow"] is workspace.widgets["workflow"]


def test_a_study_folder_that_napari_reads_is_opened_in_the_workflow(
    qtbot: Any, make_workspace: Callable[..., Workspace], small_study: Path
) -> None:
    workspace = make_workspace()
    layer = workspace.viewer.add_image(
        np.zeros((2, 2, 2)), metadata={"eprimg": {"role": "", "study_folder": str(small_study)}}
    )
    qtbot.waitUntil(lambda: workspace.reading.folder == small_study, timeout=60_000)
    assert layer not in workspace.viewer.layers
    assert workspace.workflow.step == Step.OPEN


def _texts(window: QWidget) -> list[str]:
    """Every text that a window shows."""
    found = [window.windowTitle()]
    for label in window.findChildren(QLabel):
        found.append(label.text())
    for button in window.findChildren(QAbstractButton):
        found.append(button.text())
    for field in window.findChildren(QLineEdit):
        found.append(field.text())
    for field in window.findChildren(QPlainTextEdit):
        found.append(field.toPlainText())
    for combo in window.findChildren(QComboBox):
        found += [combo.itemText(n) for n in range(combo.count())]
    return found


def _sticking_out(workflow: QWidget, section: QWidget) -> list[str]:
    """Controls of a step that are cut off at the side, and texts that are cut off below."""
    area = workflow.findChild(QScrollArea)
    right = area.viewport().width()
    inside = [w for w in section.findChildren(QWidget) if w.isVisible()]
    assert inside
    found = [
        f"{type(w).__name__} {w.objectName()}"
        for w in inside
        if w.mapTo(area.widget(), w.rect().topRight()).x() > right
        or w.mapTo(area.widget(), w.rect().topLeft()).x() < 0
    ]
    return found + [
        w.text()
        for w in inside
        if isinstance(w, QLabel) and w.wordWrap() and w.heightForWidth(w.width()) > w.height()
    ]


def test_every_step_fits_its_dock_and_shows_no_identity(
    qtbot: Any, make_workspace: Callable[..., Workspace], measured_study: Any
) -> None:
    workspace = make_workspace()
    adopt(workspace, measured_study)
    workflow = workspace.workflow
    window = workspace.dock("workflow").parentWidget()
    for width, height in ((1600, 1000), (1280, 800)):
        window.resize(width, height)
        for number, step in enumerate(Step, start=1):
            workflow.open_step(step)
            section = workflow.sections[step]
            with contextlib.suppress(TimeoutError):
                # The scroll bar comes and goes once before the step has its place.
                qtbot.waitUntil(lambda s=section: not _sticking_out(workflow, s), timeout=20_000)
            assert _sticking_out(workflow, section) == []
            keep_picture(workflow, f"workspace_{width}_{number}_{step.value}")
    workspace.show_dock("inspector")
    keep_picture(workflow, "workspace_1280_8_voxel")
    shown = "\n".join([*_texts(window), *(layer.name for layer in workspace.viewer.layers)])
    header = pydicom.dcmread(next(measured_study.folder.rglob("*.dcm")), stop_before_pixels=True)
    identity = [str(header.PatientName), str(header.PatientID), str(header.PatientBirthDate)]
    assert [text for text in identity if text and text in shown] == []
    assert str(measured_study.folder) not in shown


def test_two_viewers_have_workspaces_of_their_own(
    make_workspace: Callable[..., Workspace], measured_study: Any
) -> None:
    one, other = make_workspace(), make_workspace()
    adopt(one, measured_study)
    assert len(one.viewer.layers) > 0
    assert len(other.viewer.layers) == 0
    assert other.reading.case is None
    one.reading.select(1)
    one.reading.move_cursor((0.0, 10.0, 20.0))
    assert (other.reading.selected, other.reading.cursor_mm) == (0, None)
