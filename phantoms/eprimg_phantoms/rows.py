"""Rows of a comparison, and the report they make."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes
    ----------
    name : str
        What is compared.
    measured, true : float or str or None
        Values; None where the result is missing.
    error : float or None
        Measured minus true, in ``unit``.
    unit : str
        Unit of the values.
    bound : float or None
        Largest absolute error that is allowed, in ``unit``.
    ok : bool
        Within the bound. Rows that are only shown are always ok.
    judged : bool
        False for rows that are shown without a bound.
    note : str
        Why a row failed or is not judged.
    """

    name: str
    measured: float | str | None
    true: float | str | None
    error: float | None
    unit: str
    bound: float | None
    ok: bool
    judged: bool = True
    note: str = ""


@dataclass(frozen=True)
class ComparisonReport:
    """All rows of one comparison, and the bounds they were judged by."""

    rows: tuple[Row, ...]
    size: str
    bounds: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether every judged row is within its bound."""
        return all(r.ok for r in self.rows)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows outside their bound."""
        return tuple(r for r in self.rows if not r.ok)

    @property
    def judged(self) -> tuple[Row, ...]:
        """Rows that have a bound."""
        return tuple(r for r in self.rows if r.judged)

    def summary(self) -> str:
        """Return one sentence."""
        n = len(self.judged)
        good = n - len(self.failed)
        return f"{good} of {n} comparisons within the bounds of size {self.size!r}"

    def text(self, *, shown: bool = True) -> str:
        """Return the table as plain text; ``shown`` adds the rows without a bound."""
        rows = [r for r in self.rows if r.judged or shown]
        head = ("", "comparison", "measured", "true", "error", "bound", "unit", "note")
        mark = {True: "ok", False: "FAIL"}
        cells = [
            (
                mark[r.ok] if r.judged else "-",
                r.name,
                _cell(r.measured),
                _cell(r.true),
                _cell(r.error, "+"),
                _cell(r.bound),
                r.unit,
                r.note,
            )
            for r in rows
        ]
        widths = [max(len(line[n]) for line in (head, *cells)) for n in range(len(head))]
        lines = [
            "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
            for line in (head, *cells)
        ]
        return "\n".join([*lines, "", self.summary()])


def _cell(value: float | str | None, sign: str = "") -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:{sign}.4g}"


def judged_row(
    name: str, measured: float, true: float, unit: str, bound: float | None, note: str = ""
) -> Row:
    """Return the row of a number; without a bound it is only shown."""
    error = measured - true
    if bound is None:
        return Row(name, measured, true, error, unit, None, ok=True, judged=False, note=note)
    # NaN compares false, so that a failed measurement never passes.
    return Row(
        name,
        measured,
        true,
        error,
        unit,
        bound,
        ok=math.isfinite(error) and abs(error) <= bound,
        note=note,
    )


def shown_row(name: str, measured: float, true: float, unit: str) -> Row:
    """Return a row without a bound."""
    return judged_row(name, measured, true, unit, None)


def missing_row(name: str, true: float, unit: str, bound: float | None, why: str) -> Row:
    """Return the row of a result that is not there: failed if it had to be judged."""
    judged = bound is not None
    return Row(name, None, true, None, unit, bound, ok=not judged, judged=judged, note=why)
