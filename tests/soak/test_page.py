"""Parts of the validation page are replaced, and nothing else of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.page import PAGE, soak_lines, write_part
from tests.soak.studies import BAD

NUMBERS = {
    "studies": 12,
    "bad": 2,
    "killed_workers": 3,
    "killed_studies": 4,
    "undisturbed_s": 60.2,
    "faults": 1,
}


def test_one_part_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n<!-- x: begin -->\nold\n<!-- x: end -->\n<!-- y: begin --><!-- y: end -->"
    )
    write_part("x", ["new \\1"], page=page)
    write_part("x", ["newer \\1"], page=page)
    assert page.read_text() == (
        "# A\n<!-- x: begin -->\n\nnewer \\1\n\n<!-- x: end -->\n<!-- y: begin --><!-- y: end -->"
    )


def test_a_page_without_the_part_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="0 parts"):
        write_part("x", [], page=page)


def test_the_page_has_the_parts_that_the_scripts_write() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("soak", "cost"):
        assert text.count(f"<!-- {name}: begin -->") == 1


def test_what_was_not_run_is_said_and_faults_are_shown() -> None:
    text = "\n".join(soak_lines(NUMBERS, {name: bad.code for name, bad in BAD.items()}))
    assert "| full disk | not run |" in text
    assert "| SLURM of one node | not run |" in text
    assert "**1**" in text
    assert text.count("`E_EMPTY`") == 2
