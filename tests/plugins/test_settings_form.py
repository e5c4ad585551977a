"""The form shows and returns what the configuration records say; nothing is defined twice."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

pytest.importorskip("qtpy")
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QLineEdit, QSpinBox

from eprimg.config import (
    Config,
    MeasureConfig,
    PartialVolumeConfig,
    R2StarConfig,
    RegisterConfig,
    SegmentConfig,
)
from napari_eprimg.dock.settings_form import SettingsForm

SECTIONS = [f.name for f in fields(Config) if is_dataclass(getattr(Config(), f.name))]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_a_control_with_its_meaning_and_keeps_its_value(
    qtbot: Any, section: str
) -> None:
    record = getattr(Config(), section)
    left_out = ("schemes",) if section == "stratify" else ()
    form = SettingsForm(record, leave_out=left_out)
    qtbot.addWidget(form)
    texts = {label.text() for label in form.findChildren(QLabel)}
    shown = [f for f in fields(record) if f.name not in left_out]
    for each in shown:
        meaning = each.metadata["text"]
        assert meaning[:1].upper() + meaning[1:] in texts
    assert form.values() == {f.name: getattr(record, f.name) for f in shown}
    assert Config().with_settings({section: form.values()}) == Config()


def test_limits_of_the_record_hold_for_the_controls(qtbot: Any) -> None:
    form = SettingsForm(SegmentConfig())
    qtbot.addWidget(form)
    percent = form.controls["percent"]
    assert isinstance(percent, QDoubleSpinBox)
    assert (percent.minimum(), percent.maximum()) == (1.0, 99.0)
    most = form.controls["maximum_candidates"]
    assert isinstance(most, QSpinBox)
    assert most.minimum() == 1


def test_a_typed_number_is_in_the_values_and_can_be_taken_back(qtbot: Any) -> None:
    form = SettingsForm(SegmentConfig())
    qtbot.addWidget(form)
    form.show()
    control = form.controls["percent"]
    assert isinstance(control, QDoubleSpinBox)
    control.selectAll()
    with qtbot.waitSignal(form.edited, timeout=20_000):
        QTest.keyClicks(control, "50")
        QTest.keyClick(control, Qt.Key.Key_Return)
    assert form.values()["percent"] == 50.0
    assert form.default_button.isVisible()
    with qtbot.waitSignal(form.edited, timeout=20_000):
        qtbot.mouseClick(form.default_button, Qt.MouseButton.LeftButton)
    assert form.values()["percent"] == 41.0
    assert not form.default_button.isVisible()


def test_a_list_of_numbers_is_typed_and_a_wrong_one_is_put_back(qtbot: Any) -> None:
    form = SettingsForm(PartialVolumeConfig())
    qtbot.addWidget(form)
    form.show()
    control = form.controls["fwhm_mm"]
    assert isinstance(control, QLineEdit)
    for typed, kept in (
        ("6, 5.5 5", (6.0, 5.5, 5.0)),
        ("six", (6.0, 5.5, 5.0)),
        ("0.2", (6.0, 5.5, 5.0)),
        ("7", (7.0,)),
        ("", ()),
    ):
        control.selectAll()
        QTest.keyClick(control, Qt.Key.Key_Delete)
        QTest.keyClicks(control, typed)
        QTest.keyClick(control, Qt.Key.Key_Return)
        assert form.values()["fwhm_mm"] == kept
        assert control.text() == ", ".join(f"{n:g}" for n in kept) or typed == "6, 5.5 5"
    form.show_record(PartialVolumeConfig(fwhm_mm=(6.0,)))
    assert control.text() == "6"
    assert form.values()["fwhm_mm"] == (6.0,)


def test_more_decimals_than_are_shown_are_kept(qtbot: Any) -> None:
    form = SettingsForm(MeasureConfig(minimum_coverage=0.912345))
    qtbot.addWidget(form)
    assert form.values()["minimum_coverage"] == 0.912345


def test_an_engine_that_is_not_installed_stays_what_it_is(qtbot: Any) -> None:
    form = SettingsForm(RegisterConfig(engine="elsewhere"), choices={"engine": ["simpleitk-rigid"]})
    qtbot.addWidget(form)
    assert form.values()["engine"] == "elsewhere"


def test_the_wheel_scrolls_the_panel_and_changes_no_number(qtbot: Any) -> None:
    from qtpy.QtCore import QPoint, QPointF
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    form = SettingsForm(R2StarConfig())
    qtbot.addWidget(form)
    form.show()
    control = form.controls["noise_floor_product"]
    control.clearFocus()
    before = form.values()
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, 120),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(control, event)
    assert form.values() == before
