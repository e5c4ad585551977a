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
