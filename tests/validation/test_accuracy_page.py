"""The page of all claims: nothing is lost, and a broken bound is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.validation import accuracy_page
from tests.validation.results import Line, read_lines, write_lines

GOOD = Line("SUV", "a | b", "within 1 %", "0.5 %", True, "suv.md")
BAD = Line("R2*", "bias of R2*", "within 1 %", "2 %", False, "test_r2star.py")


def test_claims_come_back_as_they_were_written(tmp_path: Path) -> None:
    shown = GOOD._replace(ok=None)
    write_lines("one", [GOOD, BAD, shown], tmp_path / "deep")
    assert read_lines("one", tmp_path / "deep") == [GOOD, BAD, shown]
    assert read_lines("other", tmp_path) is None


def test_a_page_that_was_not_made_is_named(tmp_path: Path) -> None:
    write_lines("suv", [GOOD], tmp_path)
    found, missing = accuracy_page.gathered(tmp_path)
    assert found == [GOOD]
    assert set(missing) == set(accuracy_page.PAGES) - {"suv"}


def test_the_page_has_a_table_for_every_item_and_counts_the_bounds() -> None:
    text = accuracy_page.page([GOOD, BAD, GOOD._replace(ok=None)])
    assert "1 of 2 bounds hold." in text
    assert "| a \\| b | within 1 % | 0.5 % | ok | [suv](suv.md) |" in text
    assert "| bias of R2\\* | within 1 % | 2 % | **fails** | `test_r2star.py` |" in text
    assert text.count("| shown |") == 1


@pytest.mark.parametrize(("lines", "code"), [([GOOD], 0), ([GOOD, BAD], 1)])
def test_a_broken_bound_or_a_missing_page_fails(
    lines: list[Line], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy_page, "TARGET", tmp_path / "accuracy.md")
    monkeypatch.setattr(accuracy_page, "scene_lines", list)
    monkeypatch.setattr(accuracy_page, "real_lines", list)
    monkeypatch.setattr(accuracy_page, "gathered", lambda: (list(lines), []))
    assert accuracy_page.main() == code
    assert "bounds hold" in (tmp_path / "accuracy.md").read_text(encoding="utf-8")
    monkeypatch.setattr(accuracy_page, "gathered", lambda: (list(lines), ["suv"]))
    assert accuracy_page.main() == 1
