"""Findings in order of weight, with the same words said once."""

from __future__ import annotations

from dataclasses import dataclass

from eprimg.model.case import Case
from eprimg.report.dates import without_dates
from eprimg.report.facts import injection_instant
from eprimg.report.palette import SEVERITIES, SeverityStyle

__all__ = ["FindingGroup", "finding_groups"]


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings with the same words.

    Parameters
    ----------
    look : SeverityStyle
        Colour, icon and word.
    code, text : str
        As in the finding.
    places : tuple of str
        Every place where it holds.
    """

    look: SeverityStyle
    code: str
    text: str
    places: tuple[str, ...]


def finding_groups(case: Case) -> tuple[FindingGroup, ...]:
    """Sort findings, errors first, and join those with the same words.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    tuple of FindingGroup
        Order of appearance is kept within a severity; dates are hours from the injection.
    """
    injected = injection_instant(case)
    places: dict[tuple[str, str, str], list[str]] = {}
    looks: dict[tuple[str, str, str], SeverityStyle] = {}
    for finding in case.findings:
        key = (str(finding.severity), finding.code, without_dates(finding.text, injected))
        looks[key] = SEVERITIES[finding.severity]
        held = places.setdefault(key, [])
        if finding.where and finding.where not in held:
            held.append(finding.where)
    groups = [FindingGroup(looks[k], k[1], k[2], tuple(v)) for k, v in places.items()]
    return tuple(sorted(groups, key=lambda g: g.look.rank))
