"""Findings stand in the order of the stages, however often a stage is run."""

from __future__ import annotations

from eprimg.model.case import Finding, Severity
from eprimg.stage_order import STAGES, with_findings


def _finding(code: str, stage: str = "") -> Finding:
    return Finding(code, Severity.INFO, "", code, stage=stage)


def test_a_stage_that_runs_again_replaces_its_findings_in_their_place() -> None:
    before = (
        _finding("READ", "read"),
        _finding("REGISTER", "register"),
        _finding("TIER", "stratify"),
    )
    after = with_findings(before, [_finding("ONE"), _finding("TWO")], "register")
    assert [(f.code, f.stage) for f in after] == [
        ("READ", "read"),
        ("ONE", "register"),
        ("TWO", "register"),
        ("TIER", "stratify"),
    ]
    assert with_findings(after, (), "register") == (before[0], before[2])


def test_the_stages_are_those_of_the_main_job() -> None:
    assert STAGES == ("register", "quantify", "segment", "measure", "stratify")


def test_an_empty_region_is_told_once_by_the_first_stage_that_saw_it() -> None:
    def empty(region: str, text: str) -> Finding:
        return Finding("W_REGION_EMPTY", Severity.WARNING, region, text)

    first = with_findings((), [empty("a", "on the reference")], "segment")
    both = with_findings(first, [empty("a", "on all"), empty("b", "on the PET")], "measure")
    assert [(f.where, f.text) for f in both] == [("a", "on the reference"), ("b", "on the PET")]
    # without the earlier word it is told by the later stage
    again = with_findings(with_findings(both, (), "segment"), [empty("a", "on all")], "measure")
    assert [(f.where, f.text) for f in again] == [("a", "on all")]
