"""Qt model of the lesion table, and the sorting and filtering on top of it."""

from __future__ import annotations

import math
from typing import Any, Final

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QSortFilterProxyModel, Qt
from qtpy.QtGui import QBrush, QColor, QIcon, QPainter, QPixmap

from napari_eprimg.lesions.lesion_rows import LesionRow, LesionTable
from napari_eprimg.lesions.tier_view import TierView

__all__ = ["ALL_TIERS", "LesionFilter", "LesionTableModel"]

ALL_TIERS: Final = ""
"""Filter that lets every region through."""

_DIM = QColor("#a9b0b8")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def tier_chip(view: TierView, size: int = 14) -> QPixmap:
    """Draw the colour of a tier as a small square, hatched where the tier was not called.

    Parameters
    ----------
    view : TierView
        Look of the tier.
    size : int
        Side in pixels.

    Returns
    -------
    QPixmap
        The square.
    """
    chip = QPixmap(size, size)
    chip.fill(QColor(view.fill))
    painter = QPainter(chip)
    if view.hatched:
        painter.fillRect(chip.rect(), QBrush(QColor("#5b626b"), Qt.BrushStyle.BDiagPattern))
    painter.setPen(QColor("#5b626b"))
    painter.drawRect(0, 0, size - 1, size - 1)
    painter.end()
    return chip


class LesionTableModel(QAbstractTableModel):
    """Rows of the lesion table for a view.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = LesionTable((), ())
        self._chips: dict[tuple[str, bool], QIcon] = {}

    @property
    def table(self) -> LesionTable:
        """What is shown."""
        return self._table

    def set_table(self, table: LesionTable) -> None:
        """Show other rows.

        Parameters
        ----------
        table : LesionTable
            The same regions and columns change in place; selection and sorting stay.
        """
        same = [r.region_id for r in table.rows] == [
            r.region_id for r in self._table.rows
        ] and table.columns == self._table.columns
        if not same:
            self.beginResetModel()
            self._table = table
            self.endResetModel()
            return
        before, self._table = self._table, table
        changed = [
            n for n, (a, b) in enumerate(zip(before.rows, table.rows, strict=True)) if a != b
        ]
        if changed:
            last = len(table.columns) - 1
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], last))

    def row_of(self, region_id: int) -> int:
        """Return the row of a region.

        Parameters
        ----------
        region_id : int
            Label value.

        Returns
        -------
        int
            -1 when it is not in the table.
        """
        for place, row in enumerate(self._table.rows):
            if row.region_id == region_id:
                return place
        return -1

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 (name of Qt)
        """Count the regions.

        Parameters
        ----------
        parent : QModelIndex
            Ignored: the table is flat.

        Returns
        -------
        int
            Number of regions.
        """
        return 0 if parent is not None and parent.isValid() else len(self._table.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 (name of Qt)
        """Count the columns, hidden ones included.

        Parameters
        ----------
        parent : QModelIndex
            Ignored: the table is flat.

        Returns
        -------
        int
            Number of columns.
        """
        return 0 if parent is not None and parent.isValid() else len(self._table.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Give what a cell shows.

        Parameters
        ----------
        index : QModelIndex
            The cell.
        role : int
            What of it is asked for.

        Returns
        -------
        object
            Text, tooltip, colour, alignment; None for anything else.
        """
        row = self._table.rows[index.row()]
        place = index.column()
        view = row.tiers[place]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.shown[place]
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.tips[place]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if self._table.columns[place].kind == "number" else _LEFT
        if role == Qt.ItemDataRole.DecorationRole and view is not None:
            return self._chip(view)
        if role == Qt.ItemDataRole.ForegroundRole and row.rank > 0:
            return QBrush(_DIM)
        if role == Qt.ItemDataRole.AccessibleTextRole and view is not None:
            return f"{view.word}, confidence {view.confidence}"
        return None

    def headerData(  # noqa: N802 (name of Qt)
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Give the title of a column.

        Parameters
        ----------
        section : int
            Number of the column.
        orientation : Qt.Orientation
            Rows have no title.
        role : int
            What is asked for.

        Returns
        -------
        object
            Title, or what the column holds as a tooltip.
        """
        if orientation != Qt.Orientation.Horizontal or section >= len(self._table.columns):
            return None
        column = self._table.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{column.text}\n(column {column.name} of lesions.csv)"
        return None

    def _chip(self, view: TierView) -> QIcon:
        key = (view.fill, view.hatched)
        if key not in self._chips:
            icon, chip = QIcon(), tier_chip(view)
            for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
                icon.addPixmap(chip, mode)  # else Qt tints the colour in the selected row
            self._chips[key] = icon
        return self._chips[key]


class LesionFilter(QSortFilterProxyModel):
    """Sorting by number and filtering by tier.

    Lesions stay above reference regions and those above excluded ones, whatever the order; a cell
    without a number is last in both directions.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._word, self._scheme = ALL_TIERS, ""
        self.setDynamicSortFilter(True)

    @property
    def word(self) -> str:
        """The tier that is let through; `ALL_TIERS` for every region."""
        return self._word

    def show_tier(self, word: str, scheme: str) -> None:
        """Let only lesions of one tier through.

        Parameters
        ----------
        word : str
            The tier, ``indeterminate``, ``not tiered`` or `ALL_TIERS`.
        scheme : str
            Key of the scheme that is meant.
        """
        if (word, scheme) == (self._word, self._scheme):
            return
        self._word, self._scheme = word, scheme
        self.invalidate()

    def filterAcceptsRow(  # noqa: N802 (name of Qt)
        self, source_row: int, source_parent: QModelIndex
    ) -> bool:
        """Tell whether a row is shown.

        Parameters
        ----------
        source_row : int
            Row of the model.
        source_parent : QModelIndex
            Ignored: the table is flat.

        Returns
        -------
        bool
            True when it is.
        """
        if self._word == ALL_TIERS:
            return True
        views = self._row(source_row).tiers
        return any(
            v is not None and v.scheme == self._scheme and v.word == self._word for v in views
        )

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:  # noqa: N802 (name of Qt)
        """Compare two cells.

        Parameters
        ----------
        left, right : QModelIndex
            Cells of one column.

        Returns
        -------
        bool
            True when the left one comes first in rising order.
        """
        a, b = self._row(left.row()), self._row(right.row())
        falling = self.sortOrder() == Qt.SortOrder.DescendingOrder
        if a.rank != b.rank:
            return (a.rank < b.rank) != falling
        place = left.column()
        column = self.sourceModel().table.columns[place]
        if column.kind == "number":
            x, y = a.numbers[place], b.numbers[place]
            if math.isnan(x) or math.isnan(y):
                return math.isnan(x) == falling if math.isnan(x) != math.isnan(y) else _tie(a, b)
            return x < y if x != y else _tie(a, b)
        return (a.cells[place], a.region_id) < (b.cells[place], b.region_id)

    def _row(self, place: int) -> LesionRow:
        return self.sourceModel().table.rows[place]


def _tie(a: LesionRow, b: LesionRow) -> bool:
    return a.region_id < b.region_id
