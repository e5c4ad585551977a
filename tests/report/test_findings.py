from __future__ import annotations

from dataclasses import replace

from eprimg.model.case import Case, Finding, Severity
from eprimg.report.findings import finding_groups


def test_errors_first_and_equal_words_once(case: Case) -> None:
    twice = Finding("W_A", Severity.WARNING, "liver", "same words")
    groups = finding_groups(
        replace(
            case,
            findings=(
                Finding("I_B", Severity.INFO, "", "a note"),
                twice,
                replace(twice, where="spleen"),
                twice,
                Finding("E_C", Severity.ERROR, "pet", "refused"),
            ),
        )
    )
    assert [(g.code, g.places) for g in groups] == [
        ("E_C", ("pet",)),
        ("W_A", ("liver", "spleen")),
        ("I_B", ()),
    ]
    assert [g.look.word for g in groups] == ["Error", "Warning", "Note"]
