"""The hands that the checks use: as patient as a person, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QPoint, QTimer
from qtpy.QtWidgets import QLineEdit, QPushButton, QScrollArea, QVBoxLayout, QWidget

from tests.gui import hands as hands_module
from tests.gui.hands import Hands
from tests.plugins.screen import settle
from tests.plugins.shown_viewer import delete_now


class BareHands(Hands):
    """Hands for a window without a viewer."""

    def __init__(self, window: QWidget) -> None:
        self.window = window


@pytest.fixture
def page(qapp: Any) -> Any:
    """Two fields and a button in a panel whose page is not laid out: all lie at the same place."""
    window = QScrollArea()
    window.resize(300, 200)
    inner = QWidget()
    layout = QVBoxLayout(inner)
    layout.setEnabled(False)
    for name in ("first", "second"):
        field = QLineEdit(inner)
        field.setObjectName(name)
        layout.addWidget(field)
        field.setGeometry(10, 10, 200, 30)
    far = QPushButton("far below", inner)
    far.setObjectName("far")
    layout.addWidget(far)
    far.setGeometry(10, 10, 200, 30)
    inner.resize(250, 400)
    window.setWidget(inner)
    window.show()
    settle(0.1)
    yield window
    delete_now(window)


def _lay_out(window: QScrollArea) -> None:
    for at, name in enumerate(("first", "second", "far")):
        window.widget().findChild(QWidget, name).move(10, 10 + 160 * at)


def test_a_field_of_a_page_that_is_laid_out_later_is_waited_for(page: Any) -> None:
    reader = BareHands(page)
    first = reader.find("first")
    # This is what failed: the field is behind its neighbours when it is looked at.
    with pytest.raises(AssertionError, match="first is behind"):
        reader.click(first, patience_s=0.1)
    QTimer.singleShot(300, lambda: _lay_out(page))
    reader.type("first", "1.5")
    assert first.text() == "1.5"
    assert reader.find("second").text() == ""


def test_a_click_waits_until_the_control_stays(page: Any) -> None:
    _lay_out(page)
    settle(0.1)
    button = page.widget().findChild(QPushButton, "far")
    hit: list[int] = []
    button.clicked.connect(lambda *_: hit.append(button.y()))
    runs = QTimer(page)  # of no length: the button moves whenever the window lives
    steps = iter(range(310, 330, 2))

    def move() -> None:
        at = next(steps, None)
        if at is None:
            runs.stop()
        else:
            button.move(10, at)

    runs.timeout.connect(move)
    runs.start(0)
    BareHands(page).press("far")  # below the panel: the wheel is turned
    assert hit == [328]
    assert page.verticalScrollBar().value() > 0


def test_a_control_that_comes_or_is_enabled_later_is_waited_for(page: Any) -> None:
    _lay_out(page)
    button = page.widget().findChild(QPushButton, "far")
    button.setEnabled(False)
    button.hide()
    hit: list[bool] = []
    button.clicked.connect(lambda *_: hit.append(button.isEnabled()))
    QTimer.singleShot(100, button.show)
    QTimer.singleShot(200, lambda: button.setEnabled(True))
    BareHands(page).press("far")
    assert hit == [True]


def test_patience_has_an_end(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands_module, "PATIENCE_S", 0.1)
    reader = BareHands(page)
    with pytest.raises(AssertionError, match="nothing: 0 on the screen"):
        reader.find("nothing")
    button = page.widget().findChild(QPushButton, "far")
    button.setEnabled(False)
    button.setToolTip("not yet")
    with pytest.raises(AssertionError, match="far: not yet"):
        reader.press("far")
    with pytest.raises(AssertionError, match="is off the screen|is behind"):
        reader.click(button, QPoint(5000, 5000), patience_s=0.1)
