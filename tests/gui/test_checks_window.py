"""Acceptance checks 21 and 23 to 25: same numbers, imports, privacy, and a small screen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from qtpy.QtGui import QWindow
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTableView,
)

from tests.gui.legible import cut_off, hidden_tabs, sideways
from tests.gui.measured_room import MeasuredRoom
from tests.plugins import screen

STEPS = ("open", "check", "register", "maps", "lesions", "tiers", "report")


@pytest.fixture
def small_room(as_opened: Callable[..., MeasuredRoom]) -> MeasuredRoom:
    """The room around the measured phantom in a window of 1280 x 800 pixels."""
    return as_opened(size=(1280, 800))


def test_check_23_core_without_napari_and_plugin_without_a_binding() -> None:
    code = (
        "import sys, eprimg, eprimg.pipeline, eprimg.cli;"
        "bad = [m for m in sys.modules if m.split('.')[0] in"
        " ('napari', 'qtpy', 'PySide6', 'PyQt6', 'magicgui', 'napari_eprimg')];"
        "print(bad); sys.exit(bool(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    valid = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "eprimg"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert valid.returncode == 0, valid.stdout + valid.stderr
    spec = find_spec("napari_eprimg")
    assert spec is not None
    assert spec.origin is not None
    for path in Path(spec.origin).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for binding in ("PySide6", "PyQt6", "PyQt5", "shiboken"):
            assert f"import {binding}" not in text, path.name
            assert f"from {binding}" not in text, path.name


def _everything_written(viewer: Any) -> list[str]:
    """Every text of every window: labels, fields, lists, tables, tooltips, titles."""
    texts = []
    for widget in QApplication.allWidgets():
        texts += [widget.windowTitle(), widget.toolTip(), widget.accessibleName()]
        if isinstance(widget, QLabel | QLineEdit):
            texts.append(widget.text())
        if isinstance(widget, QLineEdit):
            texts.append(widget.placeholderText())
        if isinstance(widget, QPlainTextEdit):
            texts.append(widget.toPlainText())
        if isinstance(widget, QComboBox):
            texts += [widget.itemText(n) for n in range(widget.count())]
        if isinstance(widget, QAbstractButton):
            texts.append(widget.text())
        if isinstance(widget, QTableView) and widget.model() is not None:
            model = widget.model()
            texts += [
                str(model.index(r, c).data() or "")
                for r in range(model.rowCount())
                for c in range(model.columnCount())
            ]
    texts += [w.title() for w in QApplication.allWindows() if isinstance(w, QWindow)]
    texts += [layer.name for layer in viewer.layers]
    texts += [repr(layer.metadata) for layer in viewer.layers]
    texts += [viewer.title, str(viewer.status)]
    return [text for text in texts if text]


def test_check_24_nothing_of_the_patient_is_written_anywhere(
    small_room: MeasuredRoom, small_study: Path
) -> None:
    header = pydicom.dcmread(next(small_study.rglob("*.dcm")), stop_before_pixels=True)
    name = str(header.PatientName)
    birth = str(header.PatientBirthDate)
    secrets = {
        name, *name.split("^"), str(header.PatientID), birth,
        f"{birth[:4]}-{birth[4:6]}-{birth[6:]}",
    }  # fmt: skip
    assert all(len(secret) > 4 for secret in secrets)
    room = small_room
    room.type("study_path", str(small_study))  # a folder's name can hold a name
    room.wait()
    for step in STEPS:
        room.open_step(step)
        texts = _everything_written(room.viewer)
        assert len(texts) > 100
        for secret in secrets:
            found = [text for text in texts if secret.lower() in text.lower()]
            assert not found, (step, secret, found[:3])
        assert not [text for text in texts if str(small_study) in text], step
    room.look("check_24_privacy")


@pytest.mark.parametrize("size", [(1280, 800), (1600, 1000)], ids=["1280x800", "1600x1000"])
def test_check_25_everything_can_be_read_and_no_tab_is_hidden(
    small_room: MeasuredRoom, size: tuple[int, int]
) -> None:
    room = small_room
    room.window.resize(*size)
    screen.settle(0.5)
    assert (room.window.width(), room.window.height()) == size
    room.click_row(2)
    faults: dict[str, list[str]] = {}
    for step in STEPS:
        room.open_step(step)
        screen.settle(0.2)
        room.look(f"check_25_{size[0]}_{step}")
        found = cut_off(room.window) + sideways(room.window) + hidden_tabs(room.window)
        if found:
            faults[step] = found
    room.tab("eprimg voxel")
    room.look(f"check_25_{size[0]}_voxel")
    if found := cut_off(room.window) + sideways(room.window) + hidden_tabs(room.window):
        faults["voxel"] = found
    room.tab("eprimg lesions")
    assert faults == {}
    _canvases_have_room(room, size)


def _canvases_have_room(room: MeasuredRoom, size: tuple[int, int]) -> None:
    """The axial canvas has most of the height; every plane is drawn."""
    assert room.canvas.height() > 0.5 * size[1]
    assert room.canvas.width() > 0.35 * size[0]
    assert room.table().viewport().height() >= 3 * 22
    for name, (canvas, _, _) in room.panes().items():
        assert canvas.height() >= 100, name
        assert screen.n_colours(room.picture(name)) > 50, name
    assert np.isfinite(room.reading.cursor_mm).all()
