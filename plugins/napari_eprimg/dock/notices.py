"""What is told to the reader: one notification for each error, and the list of what happened.

A notification is one sentence, the next action and the code.  What a person who mends the program
needs (the traceback) waits in the list, from where it can be copied.  Offending values and file
names are left out of notifications: they can carry a patient's name.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psygnal import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from eprimg.errors import EprimgError
from napari_eprimg.dock.panel_parts import follow

__all__ = ["UNEXPECTED", "Notice", "NoticeLog", "NoticeView", "is_expected", "sentence_of"]

UNEXPECTED: Final = "unexpected fault of eprimg, report it"
"""Words for an error that eprimg did not raise on purpose."""

_TAG = re.compile(r"[A-Za-z]* ?\([0-9A-Fa-f]{4},[0-9A-Fa-fx]{4}\)")
_SIGNS: Final = {"information": "i", "warning": "▲", "error": "✖"}


@dataclass(frozen=True)
class Notice:
    """One entry of the list of what happened.

    Parameters
    ----------
    clock : str
        Local time of day, ``HH:MM:SS``.
    kind : str
        ``information``, ``warning`` or ``error``.
    sentence : str
        For a person.
    details : str
        For whoever mends the program; empty for a refusal that eprimg foresaw.
    """

    clock: str
    kind: str
    sentence: str
    details: str = ""

    def text(self) -> str:
        """Write the notice as lines of plain text.

        Returns
        -------
        str
            Time, sign, sentence; the details indented below.
        """
        lines = [f"{self.clock}  {_SIGNS[self.kind]}  {self.sentence}"]
        lines += [f"    {line}" for line in self.details.splitlines()]
        return "\n".join(lines)


def is_expected(error: BaseException) -> bool:
    """Tell a refusal that eprimg foresaw from a fault of the program.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    bool
        True for an error with a code.
    """
    return isinstance(error, EprimgError)


def sentence_of(error: BaseException) -> str:
    """Say an error in one sentence with its place, the next action and its code.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    str
        Words for a person; of several faults the first one, and how many there are.
    """
    if not isinstance(error, EprimgError):
        return f"{UNEXPECTED[:1].upper()}{UNEXPECTED[1:]} ({type(error).__name__})."
    first = error.faults[0] if error.faults else error
    sentence = first.message.strip().rstrip(".")
    place = _TAG.search(first.where or "")
    if place and place.group(0) not in sentence:
        sentence += f" [{place.group(0).strip()}]"
    sentence = sentence[:1].upper() + sentence[1:] + "."
    action = (first.action or error.action or "").strip().rstrip(".")
    if action:
        sentence += f" Next: {action}."
    more = len(error.faults) - 1
    if more > 0:
        sentence += f" And {more} more; see the list of what happened."
    return f"{sentence} ({first.code})"


class NoticeLog:
    """The list of what happened in one reading, and the only caller of napari's notifications.

    Attributes
    ----------
    added : Signal
        Emitted with the new `Notice`.
    notices : list of Notice
        In order.
    """

    added = Signal(object)

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def information(self, sentence: str) -> None:
        """Note something that went as it should; nothing pops up.

        Parameters
        ----------
        sentence : str
            For a person.
        """
        self._add("information", sentence)

    def error(self, error: BaseException) -> None:
        """Tell an error: one notification, and an entry with what is needed to mend it.

        Parameters
        ----------
        error : BaseException
            What was raised.
        """
        from napari.utils.notifications import show_error

        sentence = sentence_of(error)
        if isinstance(error, EprimgError):
            details = "\n".join(sentence_of(fault) for fault in error.faults[1:])
        else:
            details = "".join(traceback.format_exception(error)).rstrip()
        self._add("error", sentence, details)
        show_error(sentence)

    def warning(self, sentence: str) -> None:
        """Tell the reader why something was not done: one notification.

        Parameters
        ----------
        sentence : str
            For a person.
        """
        from napari.utils.notifications import show_warning

        self._add("warning", sentence)
        show_warning(sentence)

    def text(self) -> str:
        """Write the whole list as plain text.

        Returns
        -------
        str
            One notice after the other.
        """
        return "\n".join(notice.text() for notice in self.notices)

    def _add(self, kind: str, sentence: str, details: str = "") -> None:
        notice = Notice(datetime.now().strftime("%H:%M:%S"), kind, sentence, details)
        self.notices.append(notice)
        self.added.emit(notice)


class NoticeView(QWidget):
    """The list of what happened as text that can be selected and copied.

    Parameters
    ----------
    log : NoticeLog
        The list.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, log: NoticeLog, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._log = log
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setPlaceholderText("nothing happened yet")
        self.text.setMaximumHeight(130)
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the list, for a report of a fault")
        self.copy_button.clicked.connect(self._copy)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(row)
        for notice in log.notices:
            self.text.appendPlainText(notice.text())
        follow(self, log.added, self._append)

    def _append(self, notice: Notice) -> None:
        self.text.appendPlainText(notice.text())

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._log.text())
