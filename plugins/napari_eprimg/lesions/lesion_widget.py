"""The lesion table with its buttons."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QItemSelection, QItemSelectionModel, QPoint, QSize, Qt, QTimer
from qtpy.QtGui import QIcon, QKeySequence, QResizeEvent, QShortcut
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QMenu,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from eprimg.model.lesions import Region, RegionRole
from napari_eprimg.dock.panel_parts import still_on_wheel, words
from napari_eprimg.lesions.keys import KEYS, bind_keys
from napari_eprimg.lesions.lesion_buttons import LesionButtons, tool_button
from napari_eprimg.lesions.lesion_dialogs import KeyList
from napari_eprimg.lesions.lesion_rows import lesion_table
from napari_eprimg.lesions.lesion_table import ALL_TIERS, LesionFilter, LesionTableModel, tier_chip
from napari_eprimg.lesions.lesion_tools import lesion_tools_of
from napari_eprimg.lesions.tier_view import tier_counts, tier_entries, tier_view

if TYPE_CHECKING:
    import napari

__all__ = ["LesionWidget"]

_WIDEST = 170
"""A column is never wider at first, in pixels."""


class LesionWidget(QWidget):
    """Table of all regions: click to jump, sort, filter, edit.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.tools = lesion_tools_of(napari_viewer)
        self.reading = self.tools.reading
        self._following = False
        self._jumped = False
        bind_keys(napari_viewer, self.tools)
        self.model = LesionTableModel(self)
        self.filter = LesionFilter(self)
        self.filter.setSourceModel(self.model)
        self.view = self._make_view()
        self.why = words(dim=True)
        self.why.setMaximumHeight(2 * self.fontMetrics().lineSpacing() + 8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(3)
        self.buttons = LesionButtons(self.tools, self.selected_ids)
        self._add_choices(self.buttons.record_row)
        layout.addWidget(self.buttons)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.why)
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(0)
        self._calm.timeout.connect(self.refresh)
        self._connect()
        self.refresh()

    # ------------------------------------------------------------------ parts

    def sizeHint(self) -> QSize:  # noqa: N802 (name of Qt)
        """Room for the buttons and a few rows.

        Returns
        -------
        QSize
            In pixels.
        """
        return QSize(680, 260)

    def _make_view(self) -> QTableView:
        view = QTableView()
        view.setObjectName("lesion_table")
        view.setModel(self.filter)
        view.setSortingEnabled(True)
        view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.setAlternatingRowColors(False)
        view.setWordWrap(False)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(22)
        view.horizontalHeader().setHighlightSections(False)
        view.horizontalHeader().setStretchLastSection(True)
        view.setMinimumHeight(106)  # three rows between header and scroll bar
        return view

    def _add_choices(self, row: QHBoxLayout) -> None:
        self.tier_filter = QComboBox()
        self.tier_filter.setObjectName("tier_filter")
        self.tier_filter.setToolTip("Show lesions of one tier (Alt+1 to Alt+4; Alt+0: all)")
        self.tier_filter.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.tier_filter.setMinimumContentsLength(9)
        self.tier_filter.activated.connect(self._choose_tier)
        still_on_wheel(self.tier_filter)
        self.columns = tool_button("Columns", "columns", None, "Choose what is shown")
        self.columns.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.column_menu = QMenu(self.columns)
        self.column_menu.aboutToShow.connect(self._fill_columns)
        self.columns.setMenu(self.column_menu)
        self.keys = tool_button("Keys", "keys", self.show_keys, "List of the keys")
        for widget in (self.tier_filter, self.columns, self.keys):
            row.addWidget(widget)

    def _connect(self) -> None:
        reading, tools = self.reading, self.tools
        reading.case_changed.connect(self._later)
        reading.regions_changed.connect(self._later)
        reading.tiers_changed.connect(self._later)
        reading.steps_changed.connect(self._later)
        reading.selection_changed.connect(self.follow_selection)
        tools.scheme_changed.connect(self._later)
        tools.taken_over.connect(self._later)
        tools.filter_wanted.connect(self.filter_by_number)
        tools.step_wanted.connect(self.step)
        self.view.selectionModel().selectionChanged.connect(self._on_rows)
        self.view.clicked.connect(self._on_click)
        self.view.customContextMenuRequested.connect(self._context_menu)
        shortcut = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.view)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self.buttons.delete_selected)
        self.destroyed.connect(partial(_let_go, reading, self._later, self.follow_selection))

    # ------------------------------------------------------------------ keeping up

    def _later(self, *_: object) -> None:
        """Refresh once after everything that one edit changes."""
        self._calm.start()

    def refresh(self) -> None:
        """Show the regions as they are now."""
        table = lesion_table(self.reading.case)
        first = self.model.columnCount() != len(table.columns)
        self._following = True
        self.model.set_table(table)
        self._following = False
        if first and table.columns:
            self._show_columns()
        self._fill_filter()
        self.follow_selection(self.reading.selected)

    def _show_columns(self) -> None:
        chosen = self.reading.view.get("columns")
        header = self.view.horizontalHeader()
        for place, column in enumerate(self.model.table.columns):
            shown = column.name in chosen if isinstance(chosen, list) else column.first
            self.view.setColumnHidden(place, not shown)
        named = self.model.table.column("name")
        tiers = [n for n, c in enumerate(self.model.table.columns) if c.kind == "tier"]
        for after, place in enumerate(tiers, start=header.visualIndex(named) + 1):
            header.moveSection(header.visualIndex(place), after)
        self.view.resizeColumnsToContents()
        for place in range(self.model.columnCount()):
            if not self.view.isColumnHidden(place):
                header.resizeSection(place, min(header.sectionSize(place) + 6, _WIDEST))

    def _fill_columns(self) -> None:
        self.column_menu.clear()
        for place, column in enumerate(self.model.table.columns):
            action = self.column_menu.addAction(column.title)
            action.setToolTip(column.text)
            action.setCheckable(True)
            action.setChecked(not self.view.isColumnHidden(place))
            action.toggled.connect(partial(self._choose_column, place))

    def _choose_column(self, place: int, shown: bool) -> None:
        self.view.setColumnHidden(place, not shown)
        if shown:
            self.view.resizeColumnToContents(place)
        self.reading.view["columns"] = [
            c.name
            for n, c in enumerate(self.model.table.columns)
            if not self.view.isColumnHidden(n)
        ]

    def _fill_filter(self) -> None:
        scheme = self.tools.scheme
        counts = tier_counts(self.reading.case, scheme)
        held = self.filter.word
        self.tier_filter.blockSignals(True)
        self.tier_filter.clear()
        self.tier_filter.addItem(f"all tiers ({sum(counts.values())})", ALL_TIERS)
        looks = {}
        case = self.reading.case
        for region in case.lesions.lesions if case is not None and case.lesions is not None else ():
            view = tier_view(region, scheme)
            looks[view.word] = view
        for word in tier_entries(scheme):
            self.tier_filter.addItem(f"{word} ({counts[word]})", word)
            if word in looks:
                last = self.tier_filter.count() - 1
                self.tier_filter.setItemIcon(last, QIcon(tier_chip(looks[word])))
        at = max(self.tier_filter.findData(held), 0)
        self.tier_filter.setCurrentIndex(at)
        self.tier_filter.blockSignals(False)
        self._apply_filter()

    def _choose_tier(self, _: int) -> None:
        self._apply_filter()

    def _apply_filter(self) -> None:
        scheme = self.tools.scheme
        word = str(self.tier_filter.currentData() or ALL_TIERS)
        self.filter.show_tier(word, scheme.key if scheme is not None else "")

    def filter_by_number(self, number: int) -> None:
        """Show the lesions of the n-th tier.

        Parameters
        ----------
        number : int
            1 for the lowest tier and so on; 0 for every region.
        """
        if 0 <= number < self.tier_filter.count():
            self.tier_filter.setCurrentIndex(number)
            self._apply_filter()

    # ------------------------------------------------------------------ selection

    def shown_ids(self) -> list[int]:
        """List the regions from top to bottom as they are shown.

        Returns
        -------
        list of int
            Ids.
        """
        rows = self.model.table.rows
        return [
            rows[self.filter.mapToSource(self.filter.index(n, 0)).row()].region_id
            for n in range(self.filter.rowCount())
        ]

    def selected_ids(self) -> list[int]:
        """List the selected regions.

        Returns
        -------
        list of int
            Ids, from top to bottom.
        """
        rows = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        shown = self.shown_ids()
        return [shown[n] for n in rows]

    def step(self, by: int) -> None:
        """Go to the next or previous lesion in the order of the table.

        Parameters
        ----------
        by : int
            1 or -1.
        """
        lesions = {r.region_id for r in self.model.table.rows if r.rank == 0}
        self.tools.step(by, [i for i in self.shown_ids() if i in lesions])

    def _on_rows(self, chosen: QItemSelection, _: QItemSelection) -> None:
        if self._following:
            return
        self._show_state()
        ids = self.selected_ids()
        if len(ids) == 1 and not chosen.isEmpty():
            self._jumped = True
            self.tools.go_to(ids[0])

    def _on_click(self, index: Any) -> None:
        """Go to the row again when it was selected already."""
        if self._jumped:
            self._jumped = False
            return
        ids = self.selected_ids()
        if len(ids) == 1:
            self.tools.go_to(ids[0])

    def follow_selection(self, region_id: int) -> None:
        """Select the row of the region that is selected elsewhere.

        Parameters
        ----------
        region_id : int
            Label value; 0 for none.
        """
        row = self.model.row_of(region_id)
        index = self.filter.mapFromSource(self.model.index(row, 0)) if row >= 0 else None
        ids = self.selected_ids()
        self._following = True
        if index is None or not index.isValid():
            if len(ids) <= 1:
                self.view.clearSelection()
        elif region_id not in ids:
            flags = QItemSelectionModel.SelectionFlag
            self.view.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.view.scrollTo(index)
        self._following = False
        self._show_state()

    def _show_state(self) -> None:
        self.buttons.show_state()
        said = self._said(self.tools.region(self.reading.selected))
        self.why.setToolTip(said)
        self.why.setVisible(bool(said))
        self._fit_why()

    def _fit_why(self) -> None:
        """Show two lines of the reason; the tooltip has the rest."""
        room = int(1.8 * max(self.why.width(), 200))  # words at a line's end need some of it
        end = Qt.TextElideMode.ElideRight
        self.why.setText(self.why.fontMetrics().elidedText(self.why.toolTip(), end, room))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (name of Qt)
        """Fit the reason into the new width.

        Parameters
        ----------
        event : QResizeEvent
            From Qt.
        """
        super().resizeEvent(event)
        self._fit_why()

    def _said(self, region: Region | None) -> str:
        if region is None:
            return ""
        view = tier_view(region, self.tools.scheme)
        parts = [f"{region.id} {region.name}: {view.text}", view.why, view.notice]
        if region.role == RegionRole.LESION:
            parts += region.notes[:1]
        return "; ".join(p for p in parts if p)

    def show_keys(self) -> None:
        """Show the list of keys."""
        KeyList(KEYS, self).open()

    def _context_menu(self, where: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        buttons = self.buttons
        for button in (
            buttons.brush,
            buttons.erase,
            buttons.confirm,
            buttons.rename,
            buttons.exclude,
            buttons.delete,
        ):
            action = menu.addAction(button.text())
            action.setEnabled(button.isEnabled())
            action.triggered.connect(button.click)
        menu.popup(self.view.viewport().mapToGlobal(where))


def _let_go(reading: Any, later: Callable[..., None], follow: Callable[..., None], *_: Any) -> None:
    """Disconnect a widget that is gone."""
    for signal in (
        reading.case_changed,
        reading.regions_changed,
        reading.tiers_changed,
        reading.steps_changed,
    ):
        signal.disconnect(later, missing_ok=True)
    reading.selection_changed.disconnect(follow, missing_ok=True)
