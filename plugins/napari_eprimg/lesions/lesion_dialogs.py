"""Small questions of the lesion table: a line of text, and the list of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_eprimg.dock.panel_parts import words

__all__ = ["AskText", "KeyList"]


class AskText(QDialog):
    """Ask for one line of text; an empty one is refused.

    Parameters
    ----------
    title : str
        Title of the window.
    question : str
        What is asked for, and why.
    answered : callable
        Called with the text.
    text : str
        What is in the field at first.
    parent : QWidget, optional
        Owner.
    """

    def __init__(
        self,
        title: str,
        question: str,
        answered: Callable[[str], None],
        *,
        text: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.field = QLineEdit(text)
        self.field.setObjectName("answer")
        self.why = words(dim=True)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        layout = QVBoxLayout(self)
        layout.addWidget(words(question))
        layout.addWidget(self.field)
        layout.addWidget(self.why)
        layout.addWidget(self.buttons)
        self._answered = answered
        self.field.textChanged.connect(self._look)
        self.buttons.accepted.connect(self._answer)
        self.buttons.rejected.connect(self.reject)
        self.resize(440, 150)
        self._look(text)

    @property
    def ok(self) -> QWidget:
        """The button that accepts the answer."""
        return self.buttons.button(QDialogButtonBox.StandardButton.Ok)

    def _look(self, text: str) -> None:
        empty = not text.strip()
        self.ok.setEnabled(not empty)
        self.why.setText("It cannot be left empty." if empty else "")

    def _answer(self) -> None:
        text = self.field.text().strip()
        if text:
            self.accept()
            self._answered(text)


class KeyList(QDialog):
    """The keys of the reading.

    Parameters
    ----------
    keys : sequence of (str, str)
        Key and what it does.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, keys: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys of the reading")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        layout = QGridLayout(self)
        layout.setColumnStretch(1, 1)
        layout.setHorizontalSpacing(18)
        for row, (key, does) in enumerate(keys):
            layout.addWidget(words(key, bold=True), row, 0)
            layout.addWidget(words(does), row, 1)
        layout.setColumnMinimumWidth(0, 150)
        self.resize(520, 40 + 26 * len(keys))
