"""A whole reading of the small phantom by mouse and keyboard, with a picture of each step.

What is exported is compared byte for byte with what `eprimg run` writes in a process of its own:
before any edit with the plain run, after the edits with the command line that the window shows.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QComboBox, QWidget

from napari_eprimg.reading.reading import reading_of
from tests.gui.conftest import eprimg_run, finished
from tests.gui.hands import CTRL, Hands, inside
from tests.plugins.known_alignment import alignment_found_once
from tests.plugins.screen import drag, settle

TABLES = ("lesions.csv", "measurements.csv")
SCHEME = "example-pid-per-kg-peak"


def tables(folder: Path) -> list[bytes]:
    """The two tables of an output folder."""
    return [(folder / name).read_bytes() for name in TABLES]


def paint(room: Hands, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw with the left button from (row, column) to (row, column), and let the table follow."""
    drag(room.canvas, start, end)
    settle(0.6)


@pytest.mark.timeout(600)
def test_check_21_a_reading_gives_the_tables_of_the_command_line(
    room: Hands, small_study: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "readings of the small abdominal phantom"  # fills the fields
    folder.mkdir()
    plain = eprimg_run(small_study, "--out", folder / "plain")
    with alignment_found_once() as known:
        _read_edit_and_reopen(room, small_study, folder, plain)
    assert known == [False, True]  # found here once; the command line finds it twice more
    assert tables(folder / "edited") != tables(folder / "untouched")
    assert tables(folder / "edited") == tables(folder / "again")


def _read_edit_and_reopen(
    room: Hands, study: Path, folder: Path, plain: subprocess.Popen[str]
) -> None:
    """The whole reading, beside the run of the command line."""
    reading = reading_of(room.viewer)  # looked at, never told anything
    room.look("01_empty_room")
    _open_and_check(room, study)
    _register_and_map(room)
    _find_lesions_and_tiers(room)
    finished(plain)
    _export(room, folder / "untouched")
    assert tables(folder / "untouched") == tables(folder / "plain")
    room.look("09_report")

    case = reading.case
    before = _volume(room, 5)
    _jump_and_paint(room, inside(case, 5))
    assert _volume(room, 5) > before
    room.look("11_painted")
    room.key(Qt.Key.Key_Z, CTRL)
    settle(0.5)
    assert _volume(room, 5) == before
    assert np.array_equal(reading.case.lesions.labels, case.lesions.labels)
    _paint_again(room, inside(case, 5))
    assert _volume(room, 5) > before
    _exclude(room)
    _change_cut_off(room)
    rows = room.rows()

    _save_export_and_reopen(room, folder)
    assert room.rows() == rows


def _open_and_check(room: Hands, folder: Path) -> None:
    room.type("study_path", str(folder))
    room.wait()
    assert room.light("open") == "done"
    roles = [
        c.currentText()
        for c in room.window.findChildren(QComboBox)
        if c.isVisible() and c.objectName().startswith("role_")
    ]
    assert {"MR before ferumoxytol", "MR after ferumoxytol", "PET", "masks"} <= set(roles)
    room.look("02_open_roles")
    room.press("next_open")
    room.look("03_check_before")
    room.press("run_check")
    room.wait()
    assert room.light("check") in ("done", "look")
    # A fact by keyboard, and the header's value again.
    room.type("fact_weight_kg", "81")
    assert room.reads("entered by reader")
    assert room.light("check") == "run again"
    room.look("04_fact_entered")
    room.press("forget_weight_kg")
    room.press("run_check")
    room.wait()
    assert room.light("check") in ("done", "look")


def _register_and_map(room: Hands) -> None:
    room.press("next_check")
    room.press("run_register")
    room.wait()
    assert room.light("register") in ("done", "look")
    assert room.reads("✓ accepted")
    room.press("verdict_pet")
    assert room.reads("✕ rejected by the reader")
    assert room.light("register") == "look"
    room.look("05_rejected")
    room.press("verdict_pet")
    assert not room.reads("✕ rejected by the reader")
    room.look("05_registered")
    room.press("next_register")
    room.press("run_maps")
    room.wait()
    assert room.light("maps") in ("done", "look")
    assert room.reads("ΔR2*")
    room.look("06_maps")


def _find_lesions_and_tiers(room: Hands) -> None:
    room.press("next_maps")
    room.press("run_lesions")
    room.wait()
    assert room.light("lesions") in ("done", "look")
    assert len(room.rows()) == 13
    room.look("07_lesions")
    room.press("next_lesions")
    room.press("run_tiers")
    room.wait()
    assert room.light("tiers") in ("done", "look")
    room.look("08_tiers")


def _export(room: Hands, out: Path) -> None:
    room.open_step("report")
    room.type("out_folder", str(out), enter=False)
    room.press("run_report")
    room.wait()
    assert room.light("report") == "done"


def _volume(room: Hands, region_id: int) -> float:
    reading = reading_of(room.viewer)
    shown = next(r for r in room.rows() if r["id"] == str(region_id))
    column = next(title for title in shown if "olume" in title)
    assert reading.case.lesions is not None
    return float(shown[column])


def _jump_and_paint(room: Hands, middle: tuple[float, float, float]) -> None:
    room.click_row(5)
    assert room.viewer.dims.point[0] == pytest.approx(middle[0], abs=5.1)
    room.look("10_jumped")
    _paint_again(room, middle)


def _paint_again(room: Hands, middle: tuple[float, float, float]) -> None:
    room.press("brush")
    row, column = room.place(middle)
    paint(room, (row, column), (row + 30.0, column + 30.0))


def _exclude(room: Hands) -> None:
    room.click_row(3)
    room.press("exclude")
    room.look("12_exclude_question")
    room.answer("physiologic uptake of the bowel")
    settle(0.5)
    assert room.rows()[-1]["id"] == "3"
    room.look("13_excluded")


def _change_cut_off(room: Hands) -> None:
    room.open_step("tiers")
    colours = {k: tuple(v) for k, v in _colours(room).items()}
    name = next(
        w.objectName()
        for w in room.window.findChildren(QWidget)
        if w.objectName().startswith(f"edge_{SCHEME}_")
    )
    room.type(name, "1.5")
    settle(0.5)
    assert {k: tuple(v) for k, v in _colours(room).items()} != colours
    room.look("14_cut_off_changed")


def _colours(room: Hands) -> dict[Any, Any]:
    layer = next(x for x in room.viewer.layers if type(x).__name__ == "Labels")
    return dict(layer.colormap.color_dict)


def _save_export_and_reopen(room: Hands, folder: Path) -> None:
    room.open_step("report")
    room.type("case_path", str(folder / "reading.eprimg"), enter=False)
    room.press("save_case")
    room.wait()
    room.type("out_folder", str(folder / "edited"), enter=False)
    room.press("run_report")
    room.wait()
    room.look("15_saved_and_exported")
    room.type("out_folder", str(folder / "again"), enter=False)
    room.press("copy_command")
    line = QGuiApplication.clipboard().text()
    program, verb, *arguments = shlex.split(line)
    assert (program, verb) == ("eprimg", "run")
    assert "--case" in arguments
    process = eprimg_run(*arguments)
    room.press("reopen_case")
    room.wait()
    room.look("16_reopened")
    finished(process)
