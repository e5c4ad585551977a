"""Expected cells are those of RFC 4180, by hand."""

from __future__ import annotations

import pytest

from eprimg.io.csv_line import csv_cells


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("1,60.5,3,saline", ["1", "60.5", "3", "saline"]),
        ('1, 60.5 ,"agar, 1 %"', ["1", " 60.5 ", "agar, 1 %"]),
        ('1,"the ""old"" vial"', ["1", 'the "old" vial']),
        ('1,5" tube', ["1", '5" tube']),  # a mark inside a cell is a character
        ("", []),
    ],
)
def test_cells(line, cells):
    assert csv_cells(line) == cells


@pytest.mark.parametrize("line", ['"1,60,3,agar', '1,60,3,"agar', '1,"a ""b,c'])
def test_an_open_quotation_mark_is_refused(line):
    with pytest.raises(ValueError, match="quotation mark is not closed"):
        csv_cells(line)


def test_a_cell_without_end_is_refused():
    with pytest.raises(ValueError, match="not CSV"):
        csv_cells("1," + "x" * 200_000)
