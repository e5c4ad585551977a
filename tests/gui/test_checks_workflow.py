"""Acceptance checks 17 to 20 and 22: what happens when something is missing, wrong or stopped."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QApplication, QDialog

from napari_eprimg.reading.reading import reading_of
from napari_eprimg.workspace import open_workspace
from tests.gui.hands import Hands, inside
from tests.gui.measured_room import MeasuredRoom
from tests.plugins.screen import drag, settle


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
def changed_pet(small_study: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a copy of the study (hard links) in which the PET headers are changed."""

    def copy(name: str, change: Callable[[pydicom.Dataset], None]) -> Path:
        target = tmp_path / name
        for source in sorted(p for p in small_study.rglob("*") if p.is_file()):
            place = target / source.relative_to(small_study)
            place.parent.mkdir(parents=True, exist_ok=True)
            header = pydicom.dcmread(source, specific_tags=["Modality"], force=True)
            if header.get("Modality") == "PT":
                dataset = pydicom.dcmread(source)
                change(dataset)
                dataset.save_as(place)
            else:
                try:
                    os.link(source, place)
                except OSError:
                    shutil.copyfile(source, place)
        return target

    return copy


def open_and_check(room: Hands, folder: Path) -> None:
    """Open a folder and read its pixels."""
    room.open_step("open")
    room.type("study_path", str(folder))
    room.wait()
    room.open_step("check")
    room.press("run_check")
    room.wait()


def _without_weight(dataset: pydicom.Dataset) -> None:
    del dataset.PatientWeight


def _without_injection(dataset: pydicom.Dataset) -> None:
    (given,) = dataset.RadiopharmaceuticalInformationSequence
    for tag in ("RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"):
        if tag in given:
            delattr(given, tag)


def _in_counts(dataset: pydicom.Dataset) -> None:
    dataset.Units = "CNTS"


@pytest.mark.timeout(300)
def test_check_17_what_is_missing_is_said_with_its_tag_and_the_rest_is_usable(
    room: Hands, changed_pet: Callable[..., Path]
) -> None:
    for name, change, tag in (
        ("a", _without_weight, "(0010,1030)"),
        ("b", _without_injection, "(0018,107"),
        ("c", _in_counts, "(0054,1001)"),
    ):
        open_and_check(room, changed_pet(name, change))
        assert room.light("check") == "refused", name
        assert tag in room.sentence("check"), room.sentence("check")
        keys = {x.metadata["eprimg"]["key"] for x in room.viewer.layers}
        assert keys == {"mr_pre", "mr_post"}, name  # no SUV, no PET in a wrong unit
        room.open_step("register")
        assert room.find("run_register", QAbstractButton).isEnabled()
        room.open_step("check")
        room.look(f"check_17_{name}")


@pytest.mark.timeout(300)
def test_check_18_19_cancel_and_fault_leave_nothing_behind_and_it_runs_again(
    room: Hands, small_study: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from eprimg import pipeline

    open_and_check(room, small_study)
    layers = [(x.name, x.data) for x in room.viewer.layers]
    room.open_step("register")
    room.press("run_register")
    reading = reading_of(room.viewer)
    settle(1.0)
    assert room.busy
    room.click(room.cancel_button())
    room.wait()
    assert reading.case.registrations == ()
    assert [x.name for x in room.viewer.layers] == [name for name, _ in layers]
    for layer, (_, data) in zip(room.viewer.layers, layers, strict=True):
        assert layer.data is data
    assert room.light("register") == "not yet"
    assert messages == []

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault of the program")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "run", broken)
        room.press("run_register")
        room.wait()
    assert len(messages) == 1
    assert "unexpected fault" in messages[0].lower()
    settle(0.3)
    room.look("check_19_fault")
    assert not [d for d in room.window.findChildren(QDialog) if d.isVisible() and d.isModal()]
    assert QApplication.activeModalWidget() is None
    assert room.light("register") == "refused"
    assert [x.name for x in room.viewer.layers] == [name for name, _ in layers]

    room.press("run_register")
    room.wait()
    assert room.light("register") in ("done", "look")
    assert len(reading.case.registrations) == 2
    assert len(messages) == 1


@pytest.mark.timeout(300)
def test_check_20_a_saved_case_comes_back_as_it_was_left(
    make_napari_viewer: Any,
    measured_study: Any,
    known_alignment: list[bool],
    changed_pet: Callable[..., Path],
    messages: list[str],
    tmp_path: Path,
) -> None:
    study = replace(measured_study, folder=changed_pet("study", lambda dataset: None))
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1600, 1000)
    open_workspace(viewer)
    room = MeasuredRoom(viewer, study)
    room.click_row(4)
    room.press("brush")
    s, p, ell = inside(room.reading.case, 4)
    drag(room.canvas, room.place((s, p, ell)), room.place((s, p + 9.0, ell)))
    settle(0.6)
    room.key(Qt.Key.Key_6)  # napari: move again
    before = _left(room)
    room.open_step("report")
    room.type("case_path", str(tmp_path / "reading.eprimg"), enter=False)
    room.press("save_case")
    room.wait()
    # Elsewhere, then back.
    room.click_row(1)
    room.key(Qt.Key.Key_W, Qt.KeyboardModifier.AltModifier)
    assert _left(room) != before
    room.press("reopen_case")
    room.wait()
    settle(0.6)
    after = _left(room)
    for key, value in before.items():
        assert after[key] == value, key
    assert known_alignment == [True]
    room.look("check_20_reopened")
    # The source has changed: refused in a sentence, and what is shown stays.
    source = next(f for f in sorted(study.folder.rglob("*.dcm")) if _modality(f) == "PT")
    dataset = pydicom.dcmread(source)
    pixels = dataset.pixel_array.copy()
    pixels[0, 0] += 1
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(source)
    room.press("reopen_case")
    room.wait()
    assert len(messages) == 1
    assert "chang" in messages[0]
    assert "(E_" in messages[0]
    assert _left(room)["rows"] == before["rows"]
    room.look("check_20_refused")
    room.__dict__.clear()


def _modality(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).Modality)


def _left(room: MeasuredRoom) -> dict[str, Any]:
    """What a reader would find again: table, layers, windows, camera, crosshair, selection."""
    camera = room.viewer.scene.camera
    images = [x for x in room.viewer.layers if hasattr(x, "contrast_limits")]
    return {
        "rows": room.rows(),
        "labels": np.asarray(room.reading.case.lesions.labels).tobytes(),
        "layers": [(x.name, x.visible, round(x.opacity, 3)) for x in room.viewer.layers],
        "windows": {x.name: tuple(round(float(v), 4) for v in x.contrast_limits) for x in images},
        "zoom": round(camera.zoom, 4),
        "center": tuple(round(float(x), 2) for x in camera.center),
        "slice": tuple(round(float(x), 2) for x in room.viewer.dims.point),
        "crosshair": tuple(round(x, 2) for x in room.reading.cursor_mm),
        "selected": room.reading.selected,
    }


@pytest.mark.timeout(300)
def test_check_22_two_viewers_share_nothing_and_a_closed_one_leaves_nothing(
    make_napari_viewer: Any, measured_study: Any
) -> None:
    from napari.qt import QtViewer

    rooms = []
    for _ in range(2):
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1280, 800)
        open_workspace(viewer)
        rooms.append(MeasuredRoom(viewer, measured_study))
        del viewer
    one, other = rooms
    assert one.reading is not other.reading
    one.window.raise_()
    settle(0.2)
    before = other.rows()
    one.click_row(3)
    one.press("delete")
    settle(0.5)
    assert "3" not in [row["id"] for row in one.rows()]
    assert other.rows() == before
    assert other.reading.selected == 0
    assert other.reading.cursor_mm != one.reading.cursor_mm
    panes = len(QtViewer._instances)
    assert panes == 8  # axial, coronal, sagittal, projection, twice
    viewer = one.viewer
    one.__dict__.clear()
    rooms.remove(one)
    del one
    viewer.close()
    del viewer
    settle(0.3)
    gc.collect()
    assert len(QtViewer._instances) == 4
    other.click_row(2)
    assert other.reading.selected == 2
    other.__dict__.clear()
