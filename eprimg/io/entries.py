"""Records of the index: what was found, and what each series is proposed for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from eprimg.errors import InputError
from eprimg.io.instance import Instance
from eprimg.model.case import Finding
from eprimg.model.study import Role

__all__ = ["DAMAGED", "SeriesEntry", "StudyIndex", "refuse_damaged"]

DAMAGED = "E_TRUNCATED"
"""Code of the finding that a series may miss a slice because a file is damaged."""


@dataclass(frozen=True, eq=False, slots=True)
class SeriesEntry:
    """One series (or one echo train spread over several series) with its proposed role.

    Parameters
    ----------
    key : str
        Unique short key inside the index, e.g. ``mr-2``.
    role : Role
        Proposed use.
    reason : str
        Why this role, in words.
    modality : str
        ``MR``, ``PT``, ``CT``, ``SEG``, ``RTSTRUCT``, ``NIFTI`` or as in the header.
    description : str
        Series description.
    source : str
        ``dicom`` or ``nifti``.
    n_files : int
        Files, dropped frames included.
    n_frames : int
        Frames that are kept.
    shape : str
        Size for a reader, e.g. ``53 x 80 x 80, 2 echoes``.
    echo_times_ms : tuple of float
        Distinct echo times of the kept frames, rising.
    instances : tuple of Instance
        Kept frames (empty for NIfTI).
    paths : tuple of Path
        Files of the kept frames, in sorted order.
    dropped : tuple of (str, int)
        Reason and number of frames that were set aside.
    parts : tuple of Instance
        Those of the frames that were set aside that hold phase, real or imaginary parts.
    companions : tuple of Instance
        Phase (or real and imaginary) frames at every position and echo time of ``instances``, of
        this series or of another one of the same acquisition; empty when there are none.
    companion_paths : tuple of Path
        The same for NIfTI: files in the order of ``paths`` (real before imaginary).
    study_uid : str
        Study instance UID.
    series_uids : tuple of str
        Series instance UIDs (several when echoes were joined).
    frame_of_reference : str
        Frame of reference UID, empty when absent.
    patient_key : str
        Fingerprint of the patient's identity, empty for NIfTI.
    instant : datetime or None
        Earliest acquisition instant.
    manufacturer : str
        As in the header.
    field_strength_t : float or None
        MR field strength.
    findings : tuple of Finding
        What was noticed about this series.
    """

    key: str
    role: Role
    reason: str
    modality: str
    description: str
    source: str = "dicom"
    n_files: int = 0
    n_frames: int = 0
    shape: str = ""
    echo_times_ms: tuple[float, ...] = ()
    instances: tuple[Instance, ...] = ()
    paths: tuple[Path, ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    parts: tuple[Instance, ...] = ()
    companions: tuple[Instance, ...] = ()
    companion_paths: tuple[Path, ...] = ()
    study_uid: str = ""
    series_uids: tuple[str, ...] = ()
    frame_of_reference: str = ""
    patient_key: str = ""
    instant: datetime | None = None
    manufacturer: str = ""
    field_strength_t: float | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class StudyIndex:
    """Everything that a folder holds.

    Parameters
    ----------
    root : Path
        Folder (or file) that was scanned.
    series : tuple of SeriesEntry
        In order of instant, then series number.
    findings : tuple of Finding
        What was noticed.
    n_files : int
        Files that were looked at.
    n_skipped : int
        Files that are neither DICOM nor NIfTI.
    """

    root: Path
    series: tuple[SeriesEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    n_files: int = 0
    n_skipped: int = 0

    def by_role(self, role: Role) -> tuple[SeriesEntry, ...]:
        """Return the series that were proposed for a role.

        Parameters
        ----------
        role : Role
            The role.

        Returns
        -------
        tuple of SeriesEntry
            In the order of the index.
        """
        return tuple(s for s in self.series if s.role == role)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``--json``: no patient identity, no absolute path.

        Returns
        -------
        dict
            Ready for `json.dumps`; patients and studies are numbered in order of appearance.
        """
        patients = _numbered(s.patient_key for s in self.series)
        studies = _numbered(s.study_uid for s in self.series)
        return {
            "root": self.root.name,
            "n_files": self.n_files,
            "n_skipped": self.n_skipped,
            "series": [
                {
                    "key": s.key,
                    "role": str(s.role),
                    "reason": s.reason,
                    "modality": s.modality,
                    "description": s.description,
                    "source": s.source,
                    "n_files": s.n_files,
                    "n_frames": s.n_frames,
                    "shape": s.shape,
                    "echo_times_ms": list(s.echo_times_ms),
                    "complex": bool(s.companions or s.companion_paths),
                    "dropped": [{"reason": r, "n": n} for r, n in s.dropped],
                    "files": [_relative(p, self.root) for p in s.paths[:1]],
                    "patient": patients.get(s.patient_key),
                    "study": studies.get(s.study_uid),
                    "series_uids": list(s.series_uids),
                    "frame_of_reference": s.frame_of_reference,
                    "instant": s.instant.isoformat() if s.instant else None,
                    "manufacturer": s.manufacturer,
                    "field_strength_t": s.field_strength_t,
                    "findings": [_plain(f) for f in s.findings],
                }
                for s in self.series
            ],
            "findings": [_plain(f) for f in self.findings],
        }


def refuse_damaged(entry: SeriesEntry) -> None:
    """Refuse a series that may miss slices because files of it could not be read.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.

    Raises
    ------
    InputError
        ``E_TRUNCATED``, with the names of the files.
    """
    texts = [f.text for f in entry.findings if f.code == DAMAGED]
    if texts:
        raise InputError(
            f"series {entry.key}: {'; '.join(texts)}",
            code=DAMAGED,
            where=entry.key,
            action="transfer the named files again; when they are no part of the series, move "
            "them out of its folder",
        )


def _numbered(values: Iterable[str]) -> dict[str, int]:
    return {v: n for n, v in enumerate(dict.fromkeys(v for v in values if v), start=1)}


def _relative(path: Path, root: Path) -> str:
    return (
        path.relative_to(root).as_posix()
        if path.is_relative_to(root) and path != root
        else path.name
    )


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "where": finding.where,
        "text": finding.text,
    }
