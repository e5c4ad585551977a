from __future__ import annotations

from dataclasses import replace

import pytest

from eprimg.model.case import Case, Finding, Severity
from eprimg.model.study_record import BatchSummary, CaseDigest, Light, Status, StudyRecord
from eprimg.model.study_record import digest_case as digest
from tests.tiny_case import case as tiny_case

WARNING = Finding("W_NOISE_FLOOR", Severity.WARNING, "liver", "late echoes")
NOTE = Finding("I_STUDY_FILE", Severity.INFO, "study.toml", "used")
FAULT = Finding("E_FOR", Severity.ERROR, "pet", "other frame")


def test_the_digest_says_what_the_case_holds() -> None:
    # numbers counted by hand in tests/tiny_case.py
    short = digest(tiny_case())
    assert (short.pseudonym, short.n_lesions, short.n_references, short.n_candidates) == (
        "P-1",
        1,
        1,
        0,
    )
    assert (short.n_registrations, short.n_accepted, short.worst) == (1, 1, "warning")
    (tier,) = short.tiers
    assert (tier.scheme, tier.label, tier.confidence, tier.labels) == (
        "demo-scheme",
        "high",
        0.97,
        ("low", "high"),
    )


@pytest.mark.parametrize(
    ("findings", "accepted", "light"),
    [
        ((), True, Light.OK),
        ((NOTE,), True, Light.OK),
        ((NOTE, WARNING), True, Light.LOOK),
        ((FAULT,), True, Light.LOOK),
        ((), False, Light.LOOK),
    ],
)
def test_the_light_follows_findings_and_registrations(
    findings: tuple[Finding, ...], accepted: bool, light: Light
) -> None:
    case = tiny_case()
    (registration,) = case.registrations
    changed = replace(
        case, findings=findings, registrations=(replace(registration, accepted=accepted),)
    )
    assert digest(changed).light == light


def test_the_heaviest_findings_are_kept_each_code_once() -> None:
    case = replace(tiny_case(), findings=(NOTE, WARNING, WARNING, FAULT))
    short = digest(case)
    assert [f[0] for f in short.findings] == ["E_FOR", "W_NOISE_FLOOR", "I_STUDY_FILE"]
    assert short.n_findings == {"error": 1, "warning": 2, "info": 1}


def test_a_case_of_nothing_but_a_study_has_a_digest() -> None:
    short = digest(Case(tiny_case().study))
    assert (short.n_lesions, short.tiers, short.worst, short.light) == (0, (), "", Light.OK)


def test_a_confidence_that_cannot_be_stated_is_none() -> None:
    case = tiny_case()
    (tier,) = case.patient_tiers
    unknown = replace(case, patient_tiers=(replace(tier, confidence=float("nan")),))
    assert digest(unknown).tiers[0].confidence is None


def test_a_study_without_numbers_has_no_light() -> None:
    good = CaseDigest(light=Light.OK)
    assert StudyRecord("A", Status.OK, digest=good).light == Light.OK
    assert StudyRecord("A", Status.FAILED, digest=good).light == Light.REFUSED


def test_the_summary_counts_every_study_once() -> None:
    records = [StudyRecord(f"S{n}", s) for n, s in enumerate((Status.OK, Status.OK, Status.FAILED))]
    counts = BatchSummary(tuple(records), waiting=("S9",)).counts
    assert counts == {"ok": 2, "refused": 0, "failed": 1, "waiting": 1}
