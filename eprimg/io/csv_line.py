"""One line of a comma-separated table as cells; a quotation mark that is not closed is refused."""

from __future__ import annotations

import csv

__all__ = ["csv_cells"]


def csv_cells(line: str) -> list[str]:
    """Split one line of a table at its commas.

    Parameters
    ----------
    line : str
        Without its line break; a cell that holds a comma is in double quotes.

    Returns
    -------
    list of str
        The cells as they are written, spaces included.

    Raises
    ------
    ValueError
        A quotation mark is not closed, or a cell is too long; the words say which.

    Notes
    -----
    Tables are read line by line, because an open quotation mark would otherwise take the lines that
    follow into its cell, and every fault behind it would name a wrong line.
    """
    # The second line is only asked for by an open quotation mark.
    reader = csv.reader([line, ""])
    try:
        cells = next(reader)
    except csv.Error as error:
        raise ValueError(f"the line is not CSV: {error}") from error
    if reader.line_num > 1:
        raise ValueError("a quotation mark is not closed")
    return cells
