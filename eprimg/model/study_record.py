"""What became of one study of a batch, and of all of them: records without disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from eprimg.model.case import Case, Finding, Severity
from eprimg.model.lesions import RegionSource

__all__ = [
    "BatchSummary",
    "CaseDigest",
    "Light",
    "PatientTierWord",
    "Status",
    "StudyRecord",
    "digest_case",
]

_SHOWN: Final = 5
_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.INFO)


class Status(StrEnum):
    """How a study ended."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


class Light(StrEnum):
    """Quality at a glance."""

    OK = "ok"
    LOOK = "look"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PatientTierWord:
    """The tier of a patient by one scheme.

    Parameters
    ----------
    scheme, label : str
        Key of the scheme; a label of it, ``indeterminate`` or ``not tiered``.
    confidence : float or None
        Probability of the tier; None when it cannot be stated.
    labels : tuple of str
        Labels of the scheme from low to high.
    notice : str
        E.g. ``example, not validated``.
    """

    scheme: str
    label: str
    confidence: float | None = None
    labels: tuple[str, ...] = ()
    notice: str = ""


@dataclass(frozen=True, slots=True)
class CaseDigest:
    """What the summary of a batch says about a measured case.

    Parameters
    ----------
    pseudonym : str
        Stands for the patient.
    light : Light
        Look when a registration was not accepted or a finding is a warning or an error.
    tiers : tuple of PatientTierWord
        One per scheme.
    n_lesions, n_candidates, n_references : int
        Lesions, those of them that nobody reviewed, and reference regions.
    n_findings : Mapping of str to int
        Number per severity.
    worst : str
        Highest severity; empty without findings.
    findings : tuple of (code, severity, text)
        The first ones, errors first; each code once.
    n_registrations, n_accepted : int
        Registrations, and those that were accepted.
    """

    pseudonym: str = ""
    light: Light = Light.REFUSED
    tiers: tuple[PatientTierWord, ...] = ()
    n_lesions: int = 0
    n_candidates: int = 0
    n_references: int = 0
    n_findings: Mapping[str, int] = field(default_factory=dict)
    worst: str = ""
    findings: tuple[tuple[str, str, str], ...] = ()
    n_registrations: int = 0
    n_accepted: int = 0


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What became of one study; on disk it is the truth of the batch.

    Parameters
    ----------
    key : str
        Key of the study; never a name.
    status : Status
        How it ended.
    code, message, action : str
        Code of the error, what it says and what to do next; empty when all went well.
    input_hash, config_hash, version : str
        Hash of the input files and facts, of the settings, and the version of eprimg.
    stamp : str
        Hash of names, sizes and times of the input files; an equal stamp saves reading them.
    result_hash : str
        Hash of the numbers in the output folder.
    seconds, peak_memory_mb : float
        Wall-clock time and peak memory of the study's process.
    attempts : int
        How often it was started.
    exit : str
        ``0``, an exit code, ``signal 9``, ``time limit`` ...
    started, finished : str
        ISO 8601 instants (UTC).
    host : str
        Computer that ran it.
    pid : int
        Process that ran it.
    digest : CaseDigest
        What the summary says about the case.
    """

    key: str
    status: Status
    code: str = ""
    message: str = ""
    action: str = ""
    input_hash: str = ""
    config_hash: str = ""
    version: str = ""
    stamp: str = ""
    result_hash: str = ""
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    attempts: int = 1
    exit: str = ""
    started: str = ""
    finished: str = ""
    host: str = ""
    pid: int = 0
    digest: CaseDigest = field(default_factory=CaseDigest)

    @property
    def light(self) -> Light:
        """Quality at a glance; a study without numbers is refused."""
        return self.digest.light if self.status == Status.OK else Light.REFUSED


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """All studies of a batch as they are on disk.

    Parameters
    ----------
    records : tuple of StudyRecord
        Sorted by key.
    waiting : tuple of str
        Keys of studies that are listed and have no record.
    findings : tuple of Finding
        Records and tables that could not be read.
    version : str
        Version of eprimg that made the batch.
    created : str
        Instant of the batch (ISO 8601, UTC).
    thumbnails, logs : frozenset of str
        Keys of studies that have such a file.
    """

    records: tuple[StudyRecord, ...] = ()
    waiting: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    version: str = ""
    created: str = ""
    thumbnails: frozenset[str] = frozenset()
    logs: frozenset[str] = frozenset()

    @property
    def counts(self) -> dict[str, int]:
        """Number of studies per status, ``waiting`` included."""
        numbers = {str(s): sum(r.status == s for r in self.records) for s in Status}
        return {**numbers, "waiting": len(self.waiting)}

    @property
    def schemes(self) -> tuple[str, ...]:
        """Keys of all schemes that placed a patient, in order of appearance."""
        return tuple(dict.fromkeys(t.scheme for r in self.records for t in r.digest.tiers))


def digest_case(case: Case) -> CaseDigest:
    """Say in short what a case holds.

    Parameters
    ----------
    case : Case
        A finished case.

    Returns
    -------
    CaseDigest
        Tiers, numbers of regions, findings and the light.
    """
    counts = {str(s): sum(f.severity == s for f in case.findings) for s in _ORDER}
    worst = next((s for s, n in counts.items() if n), "")
    accepted = sum(r.accepted for r in case.registrations)
    doubtful = worst in (Severity.ERROR, Severity.WARNING) or accepted < len(case.registrations)
    labels = {s.key: s.labels for s in case.schemes}
    lesions = case.lesions.lesions if case.lesions is not None else ()
    return CaseDigest(
        pseudonym=case.study.pseudonym,
        light=Light.LOOK if doubtful else Light.OK,
        tiers=tuple(
            PatientTierWord(
                t.scheme,
                t.label,
                float(t.confidence) if t.confidence == t.confidence else None,
                labels.get(t.scheme, ()),
                t.notice,
            )
            for t in case.patient_tiers
        ),
        n_lesions=len(lesions),
        n_candidates=sum(r.source == RegionSource.CANDIDATE for r in lesions),
        n_references=len(case.lesions.references) if case.lesions is not None else 0,
        n_findings=counts,
        worst=worst,
        findings=_first_findings(case.findings),
        n_registrations=len(case.registrations),
        n_accepted=accepted,
    )


def _first_findings(findings: tuple[Finding, ...]) -> tuple[tuple[str, str, str], ...]:
    """Keep the heaviest findings, each code once."""
    ordered = sorted(findings, key=lambda f: _ORDER.index(f.severity))
    first: dict[str, tuple[str, str, str]] = {}
    for finding in ordered:
        first.setdefault(finding.code, (finding.code, str(finding.severity), finding.text))
    return tuple(first.values())[:_SHOWN]
