"""Questions of the lesion table."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_eprimg.lesions.keys import KEYS
from napari_eprimg.lesions.lesion_dialogs import AskText, KeyList
from tests.plugins.gui_pictures import keep_picture


def test_an_empty_answer_is_refused(qapp) -> None:
    answers: list[str] = []
    ask = AskText("Exclude", "Why is lesion-3 left out?", answers.append)
    ask.open()
    assert not ask.ok.isEnabled()
    QTest.keyClicks(ask.field, "   ")
    QTest.keyClick(ask.field, Qt.Key.Key_Return)
    assert answers == []
    assert "cannot be left empty" in ask.why.text()
    QTest.keyClicks(ask.field, "bowel ")
    assert ask.why.text() == ""
    QTest.mouseClick(ask.ok, Qt.MouseButton.LeftButton)
    assert answers == ["bowel"]


def test_the_list_of_keys_names_every_key(qapp) -> None:
    from qtpy.QtWidgets import QLabel

    listed = KeyList(KEYS)
    listed.open()
    said = {label.text() for label in listed.findChildren(QLabel)}
    assert {word for pair in KEYS for word in pair} <= said
    keep_picture(listed, "key_list")
    listed.close()
