"""Errors in sentences for people; details only where they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("qtpy")
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from eprimg.errors import InputError, raise_faults
from napari_eprimg.dock.notices import NoticeLog, NoticeView, is_expected, sentence_of


def _fault(number: int) -> InputError:
    return InputError(
        f"fault number {number}", code="E_FILE", where="Doe^Jane/0001.dcm", action=f"mend {number}"
    )


def test_a_file_name_is_left_out_of_the_sentence() -> None:
    assert sentence_of(_fault(1)) == "Fault number 1. Next: mend 1. (E_FILE)"


def test_of_several_faults_the_first_is_told_and_the_others_are_counted() -> None:
    with pytest.raises(InputError) as caught:
        raise_faults([_fault(1), _fault(2), _fault(3)])
    sentence = sentence_of(caught.value)
    assert sentence.startswith("Fault number 1. Next: mend 1. And 2 more")
    assert sentence.endswith("(E_FILE)")
    assert "Doe" not in sentence


def test_a_fault_of_the_program_is_told_as_one() -> None:
    assert is_expected(_fault(1))
    assert not is_expected(KeyError("Doe^Jane"))
    assert sentence_of(KeyError("Doe^Jane")) == "Unexpected fault of eprimg, report it (KeyError)."


def test_the_list_of_what_happened_can_be_copied(qtbot: Any) -> None:
    log = NoticeLog()
    log.information("Opened.")
    view = NoticeView(log)
    qtbot.addWidget(view)
    view.show()
    log.information("Checked.")
    assert [line.split("  i  ")[1] for line in view.text.toPlainText().splitlines()] == [
        "Opened.",
        "Checked.",
    ]
    qtbot.mouseClick(view.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == log.text()


def test_a_view_that_is_gone_is_not_called(qtbot: Any) -> None:
    log = NoticeLog()
    view = NoticeView(log)
    with qtbot.waitSignal(view.destroyed, timeout=20_000):
        view.deleteLater()
    log.information("Nobody sees this.")
    assert len(log.notices) == 1
