"""What a person says of the alignments: one that was rejected is not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eprimg.config import RegisterConfig
from eprimg.model.case import Case, Finding, Severity, StageResult
from eprimg.model.transform import Registration
from eprimg.stage_order import with_findings

__all__ = ["REJECTED", "judge", "judge_case"]

REJECTED = "W_REGISTRATION_REJECTED"
"""Code of the finding that names a rejected alignment."""


def judge(
    registrations: Sequence[Registration], config: RegisterConfig
) -> StageResult[tuple[Registration, ...]]:
    """Reject what a person rejected, and use again what is no longer rejected.

    Parameters
    ----------
    registrations : sequence of Registration
        As estimated, or as judged before.
    config : RegisterConfig
        Its ``reject`` names the series.

    Returns
    -------
    StageResult
        The registrations; nothing is measured through a rejected one, which a finding names.
        One that its own check refused stays refused.
    """
    judged = []
    findings = []
    for each in registrations:
        passed = each.accepted or each.rejected
        rejected = passed and bool({each.moving, *_through(each)} & set(config.reject))
        judged.append(replace(each, accepted=passed and not rejected, rejected=rejected))
        if rejected:
            findings.append(
                Finding(
                    REJECTED,
                    Severity.WARNING,
                    each.moving,
                    f"The alignment of {each.moving} with {each.fixed} passed its checks, but was "
                    "rejected by the reader: nothing is measured through it.",
                )
            )
    return StageResult(tuple(judged), tuple(findings))


def _through(registration: Registration) -> tuple[str, ...]:
    """Return the time points that a composed transform leads through."""
    through = registration.settings.get("through")
    return tuple(str(key) for key in through) if isinstance(through, list | tuple) else ()


def judge_case(case: Case, config: RegisterConfig) -> Case:
    """Judge the alignments of a case, without estimating them again.

    Parameters
    ----------
    case : Case
        After the stage `register`.
    config : RegisterConfig
        Its ``reject`` names the series.

    Returns
    -------
    Case
        With the registrations and findings that running the stage anew would give; what rests on
        them (from `quantify` on) has to be run again.
    """
    judged = judge(case.registrations, config)
    kept = [f for f in case.findings if f.stage == "register" and f.code != REJECTED]
    findings = with_findings(case.findings, (*kept, *judged.findings), "register")
    return replace(case, registrations=judged.value, findings=findings)
