"""The read-out: what every map says under the cursor or at the crosshair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

if TYPE_CHECKING:
    from napari_eprimg.view.readout import ReadOut

__all__ = ["ReadOutPanel"]


class ReadOutPanel(QWidget):
    """Place, one row for each quantity, and the region."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("read_out")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(4, 2, 4, 2)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(1, 1)
        self.title = QLabel("Values at the crosshair")
        self.title.setStyleSheet("font-weight: bold;")
        self.place = _label()
        self.region = _label()
        self._grid.addWidget(self.title, 0, 0, 1, 2)
        self._grid.addWidget(self.place, 1, 0, 1, 2)
        self.region.setWordWrap(True)
        self._grid.addWidget(self.region, 2, 0, 1, 2)
        self._rows: list[tuple[QLabel, QLabel]] = []

    def show_values(self, read: ReadOut | None, *, at_crosshair: bool) -> None:
        """Show what was read.

        Parameters
        ----------
        read : ReadOut or None
            None empties the panel.
        at_crosshair : bool
            True: read at the crosshair; False: under the mouse.
        """
        self.title.setText("Values at the crosshair" if at_crosshair else "Values under the mouse")
        self.place.setText("" if read is None else read.place)
        self.region.setText("Region: " + ("" if read is None else read.region_text))
        self.region.setToolTip(self.region.text())
        values = () if read is None else read.values
        while len(self._rows) < len(values):
            row = (_label(), _label())
            for column, label in enumerate(row):
                self._grid.addWidget(label, len(self._rows) + 3, column)
            self._rows.append(row)
        for number, (name, value) in enumerate(self._rows):
            used = number < len(values)
            name.setVisible(used)
            value.setVisible(used)
            if used:
                name.setText(values[number].name)
                value.setText(values[number].text)
                value.setToolTip(values[number].text)

    def text(self) -> str:
        """Return everything that is shown.

        Returns
        -------
        str
            One line for each row.
        """
        rows = [f"{n.text()}: {v.text()}" for n, v in self._rows if not n.isHidden()]
        return "\n".join([self.place.text(), self.region.text(), *rows])


def _label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setMinimumWidth(20)  # a long word must not widen the dock
    return label
