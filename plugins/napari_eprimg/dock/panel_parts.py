"""Small parts that the panels of the workflow are put together from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

__all__ = [
    "Fold",
    "RunButton",
    "blocked",
    "card",
    "clear_layout",
    "follow",
    "push_button",
    "row",
    "still_on_wheel",
    "words",
]

_DIM = "color: #a9b0b8;"
_NARROW_PX = 60


class _Words(QLabel):
    """A wrapping label; Qt would ask for the height that it has when it is one letter wide."""

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (name of Qt)
        """One line; the height for the true width comes from `heightForWidth`.

        Returns
        -------
        QSize
            In pixels.
        """
        return QSize(1, self.fontMetrics().height())

    def setText(self, text: str) -> None:  # noqa: N802 (name of Qt)
        """Show another text and keep room for all of its lines.

        Parameters
        ----------
        text : str
            Plain text.
        """
        super().setText(text)
        self._keep_room()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (name of Qt)
        """Keep room for all lines at the new width; layouts inside layouts forget to ask.

        Parameters
        ----------
        event : QResizeEvent
            From Qt.
        """
        super().resizeEvent(event)
        self._keep_room()

    def _keep_room(self) -> None:
        need = self.heightForWidth(self.width()) if self.width() > _NARROW_PX else 0
        need = min(need, self.maximumHeight())
        if need != self.minimumHeight():
            self.setMinimumHeight(max(need, 0))


def words(text: str = "", *, dim: bool = False, bold: bool = False) -> QLabel:
    """Make a label that wraps and never asks for more width than there is.

    Parameters
    ----------
    text : str
        Plain text.
    dim : bool
        For remarks.
    bold : bool
        For headings.

    Returns
    -------
    QLabel
        The text can be selected with the mouse.
    """
    label = _Words(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setMinimumWidth(1)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setStyleSheet((_DIM if dim else "") + ("font-weight: bold;" if bold else ""))
    return label


def push_button(text: str, pressed: Callable[[], Any], *, tip: str = "") -> QPushButton:
    """Make a button.

    Parameters
    ----------
    text : str
        What it does.
    pressed : callable
        Called without arguments.
    tip : str
        More words.

    Returns
    -------
    QPushButton
        Connected; the Enter key presses it when it has the focus.
    """
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAutoDefault(True)
    button.clicked.connect(lambda _checked=False: pressed())
    return button


def follow(owner: QObject, signal: Any, slot: Callable[..., Any]) -> None:
    """Connect a signal of the reading for as long as a widget lives.

    Parameters
    ----------
    owner : QObject
        Whose life counts; a slot of a widget that is gone must not be called.
    signal : psygnal.SignalInstance
        What is followed.
    slot : callable
        Called with what the signal carries.
    """
    signal.connect(slot)
    owner.destroyed.connect(lambda *_: signal.disconnect(slot, missing_ok=True))


def row(*widgets: QWidget, stretch: bool = False) -> QHBoxLayout:
    """Put widgets side by side.

    Parameters
    ----------
    *widgets : QWidget
        From left to right.
    stretch : bool
        Leave free room at the right.

    Returns
    -------
    QHBoxLayout
        The row.
    """
    layout = QHBoxLayout()
    layout.setSpacing(6)
    for widget in widgets:
        layout.addWidget(widget)
    if stretch:
        layout.addStretch(1)
    return layout


def card(parts: Iterable[QWidget | QLayout]) -> QFrame:
    """Put parts below each other on a ground of their own.

    Parameters
    ----------
    parts : iterable of QWidget or QLayout
        From top to bottom.

    Returns
    -------
    QFrame
        The card.
    """
    frame = QFrame()
    frame.setObjectName("card")
    frame.setStyleSheet("QFrame#card { background: rgba(255, 255, 255, 14); border-radius: 4px; }")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(8, 6, 8, 6)
    layout.setSpacing(3)
    for part in parts:
        if isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    return frame


def clear_layout(layout: QLayout) -> None:
    """Take everything out of a layout and delete it.

    Parameters
    ----------
    layout : QLayout
        The layout; it stays.
    """
    while (item := layout.takeAt(0)) is not None:
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
        elif inner is not None:
            clear_layout(inner)


def blocked(button: QWidget, why: str, tip: str = "") -> None:
    """Enable a control, or disable it and say why.

    Parameters
    ----------
    button : QWidget
        The control.
    why : str
        Why it cannot be used now; empty when it can.
    tip : str
        Its tooltip when it can be used.
    """
    button.setEnabled(not why)
    button.setToolTip(why or tip)


class RunButton(QWidget):
    """The button that runs a step, with the sentence that says why it cannot be pressed.

    Parameters
    ----------
    text : str
        What it does.
    pressed : callable
        Called without arguments.
    """

    def __init__(self, text: str, pressed: Callable[[], Any]) -> None:
        super().__init__()
        self.button = push_button(text, pressed)
        self.why = words(dim=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(self.why)
        self.show_why("")

    def show_why(self, why: str) -> None:
        """Allow the button, or say why not.

        Parameters
        ----------
        why : str
            What must be done first; empty when it may be pressed.
        """
        blocked(self.button, why)
        self.why.setText(why)
        self.why.setVisible(bool(why))


class Fold(QWidget):
    """A heading that shows and hides what is below it.

    Parameters
    ----------
    title : str
        Heading.
    content : QWidget
        What is shown when it is open.
    """

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setStyleSheet("QToolButton { border: none; background: transparent; }")
        self.button.toggled.connect(self._toggle)
        self._content = content
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(content)
        self._toggle(False)

    def _toggle(self, opened: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self._content.setVisible(opened)


class _StillOnWheel(QObject):
    """Keeps the wheel from changing a number while the panel is scrolled."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (name of Qt)
        """Let the wheel scroll the panel unless the control has the focus.

        Parameters
        ----------
        watched : QObject
            The control.
        event : QEvent
            From Qt.

        Returns
        -------
        bool
            True when the control must not see the event.
        """
        wheel = event.type() == QEvent.Type.Wheel
        if wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def still_on_wheel(control: QWidget) -> None:
    """Keep the wheel from changing a control that does not have the focus.

    Parameters
    ----------
    control : QWidget
        A spin box or combo box.
    """
    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    control.installEventFilter(_StillOnWheel(control))
