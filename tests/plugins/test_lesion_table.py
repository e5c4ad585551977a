"""Qt model of the lesion table: sorting by number, filtering by tier, updating in place."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from qtpy.QtCore import QModelIndex, Qt

from napari_eprimg.lesions.lesion_rows import Column, LesionRow, LesionTable
from napari_eprimg.lesions.lesion_table import ALL_TIERS, LesionFilter, LesionTableModel, tier_chip
from napari_eprimg.lesions.tier_view import TierView

NAN = math.nan
COLUMNS = (
    Column("region_id", "id", "Label", "number", True),
    Column("volume_ml", "volume [mL]", "Volume", "number", True),
    Column("tier_own", "tier", "Tier", "tier", True, "own"),
)


def view(word: str) -> TierView:
    return TierView("own", word, "▲", "#0072B2", "#ffffff", word == "?", "90 %", "why", "")


def row(number: int, rank: int, volume: float, word: str) -> LesionRow:
    return LesionRow(
        number,
        rank,
        (str(number), "" if math.isnan(volume) else str(volume), word),
        (float(number), volume, NAN),
        (str(number), f"{volume:g}", word),
        ("", "no voxel" if math.isnan(volume) else "", "because"),
        (None, None, view(word)),
    )


TABLE = LesionTable(
    COLUMNS,
    (
        row(1, 0, 10.0, "high"),
        row(2, 0, NAN, "low"),
        row(3, 0, 9.0, "high"),
        row(10, 0, 100.0, "low"),
        row(20, 1, 5.0, "reference"),
        row(30, 2, 1.0, "excluded"),
    ),
)


@pytest.fixture
def shown(qapp) -> LesionFilter:
    model, order = LesionTableModel(), LesionFilter()
    model.set_table(TABLE)
    order.setSourceModel(model)
    order.model = model  # kept alive
    return order


def ids(order: LesionFilter) -> list[int]:
    return [int(order.index(n, 0).data()) for n in range(order.rowCount())]


@pytest.mark.parametrize(
    ("column", "falling", "expected"),
    [
        (0, False, [1, 2, 3, 10, 20, 30]),  # as numbers: 10 after 3
        (0, True, [10, 3, 2, 1, 20, 30]),
        (1, False, [3, 1, 10, 2, 20, 30]),  # without a number: last, in both directions
        (1, True, [10, 1, 3, 2, 20, 30]),
    ],
)
def test_numbers_sort_as_numbers_and_groups_stay(shown, column, falling, expected) -> None:
    shown.sort(column, Qt.SortOrder.DescendingOrder if falling else Qt.SortOrder.AscendingOrder)
    assert ids(shown) == expected


def test_filter_by_tier(shown) -> None:
    shown.sort(0)
    shown.show_tier("low", "own")
    assert ids(shown) == [2, 10]
    shown.show_tier("low", "another")
    assert ids(shown) == []
    shown.show_tier(ALL_TIERS, "own")
    assert len(ids(shown)) == 6


def test_same_regions_change_in_place(qapp, qtbot) -> None:
    model = LesionTableModel()
    model.set_table(TABLE)
    changed = replace(TABLE, rows=(*TABLE.rows[:2], row(3, 0, 8.5, "low"), *TABLE.rows[3:]))
    spans = []
    model.dataChanged.connect(lambda a, b: spans.append((a.row(), b.row())))
    with qtbot.assertNotEmitted(model.modelReset):
        model.set_table(changed)
    assert spans == [(2, 2)]
    with qtbot.waitSignal(model.modelReset):
        model.set_table(replace(TABLE, rows=TABLE.rows[1:]))


def test_cells_say_what_they_show(qapp) -> None:
    model = LesionTableModel()
    model.set_table(TABLE)
    assert (model.rowCount(), model.columnCount()) == (6, 3)
    assert model.rowCount(model.index(0, 0)) == 0
    assert model.rowCount(QModelIndex()) == 6
    roles = Qt.ItemDataRole
    assert model.index(1, 1).data(roles.ToolTipRole) == "no voxel"
    assert model.index(0, 2).data(roles.AccessibleTextRole) == "high, confidence 90 %"
    assert not model.index(0, 2).data(roles.DecorationRole).isNull()
    assert model.index(4, 0).data(roles.ForegroundRole) is not None
    assert model.headerData(1, Qt.Orientation.Horizontal) == "volume [mL]"
    tip = model.headerData(1, Qt.Orientation.Horizontal, roles.ToolTipRole)
    assert "volume_ml of lesions.csv" in tip
    assert model.row_of(10) == 3
    assert model.row_of(99) == -1


def test_a_tier_that_was_not_called_is_hatched(qapp) -> None:
    def colours(word: str) -> set[str]:
        picture = tier_chip(view(word)).toImage()
        return {picture.pixelColor(x, 7).name() for x in range(1, 13)}

    assert colours("high") == {"#0072b2"}
    assert len(colours("?")) > 1
