"""A person rejects an alignment; see `test_register` for the whole stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg.config import RegisterConfig
from eprimg.model.case import Finding, Severity
from eprimg.model.transform import Registration, Transform
from eprimg.stages.register_judge import judge, judge_case
from tests import tiny_case

TRUSTED = RegisterConfig()
REJECTED = RegisterConfig(reject=("pet",))


def _registration(moving: str, accepted: bool = True) -> Registration:
    return Registration(
        "mr_pre", moving, Transform(np.eye(4), "a", moving), "test", accepted=accepted
    )


def test_only_the_named_alignment_is_rejected_and_can_be_used_again() -> None:
    made = (_registration("mr_post"), _registration("pet"))
    judged = judge(made, REJECTED)
    assert [(r.accepted, r.rejected) for r in judged.value] == [(True, False), (False, True)]
    (finding,) = judged.findings
    assert (finding.code, finding.where) == ("W_REGISTRATION_REJECTED", "pet")
    assert "passed its checks" in finding.text
    again = judge(judged.value, TRUSTED)
    assert [(r.accepted, r.rejected) for r in again.value] == [(True, False), (True, False)]
    assert again.findings == ()


def test_what_the_check_refused_stays_refused() -> None:
    refused = judge([_registration("pet", accepted=False)], REJECTED)
    assert (refused.value[0].accepted, refused.value[0].rejected) == (False, False)
    assert refused.findings == ()
    assert not judge(refused.value, TRUSTED).value[0].accepted


def test_a_case_keeps_its_other_findings() -> None:
    own = Finding("W_REGISTRATION", Severity.WARNING, "pet", "Doubt.", stage="register")
    later = Finding("I_LATER", Severity.INFO, "", "Later.", stage="measure")
    case = replace(tiny_case.case(), registrations=(_registration("pet"),), findings=(own, later))
    rejected = judge_case(case, REJECTED)
    assert [f.code for f in rejected.findings] == [
        "W_REGISTRATION",
        "W_REGISTRATION_REJECTED",
        "I_LATER",
    ]
    assert judge_case(rejected, REJECTED).findings == rejected.findings
    assert judge_case(rejected, TRUSTED).findings == (own, later)
