"""What lies in a folder: studies, series, echoes and frame types, and a proposed role for each."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from eprimg.errors import InputError
from eprimg.io.damaged import LostFile, lost_files, with_lost_files
from eprimg.io.entries import SeriesEntry, StudyIndex
from eprimg.io.headers import HeaderCache, Instance, read_headers
from eprimg.io.index_nifti import is_nifti, is_nrrd, nifti_entries, nrrd_entries
from eprimg.io.index_series import dicom_entries
from eprimg.io.roles import propose_roles
from eprimg.model.case import Finding, Severity

__all__ = ["SeriesEntry", "StudyIndex", "scan"]

_SIDE_CARS = {".json", ".toml", ".bval", ".bvec"}
_NAMED = 20
_LINKS = {
    "W_LINK_OUTSIDE": "a symbolic link out of the folder; it was not followed",
    "W_LINK_BROKEN": "a symbolic link to a file that is not there",
}


def scan(path: Path | str, *, progress: Callable[[int, int], None] | None = None) -> StudyIndex:
    """Look at every file below a folder, headers only, and group what is found.

    Files are taken in sorted order; a DICOMDIR and symbolic links that lead out of the folder are
    not followed.  A file that cannot be used becomes a finding, also of the series that it may
    have belonged to (``E_TRUNCATED``).

    Parameters
    ----------
    path : Path or str
        Folder, or one file.
    progress : callable, optional
        Called with (files done, files in all).

    Returns
    -------
    StudyIndex
        Series with proposed roles.

    Raises
    ------
    InputError
        ``E_EMPTY`` when there is no file, or none that is DICOM or NIfTI.
    """
    root = Path(path)
    raw: list[Finding] = []
    lost: list[LostFile] = []
    files = list(_walk(root, raw, lost))
    links, action = _links_in_words(raw)
    if not files:
        raise InputError(
            ("the folder holds no files" if root.exists() else "there is no such file") + links,
            code="E_EMPTY",
            where=root.name,
            action=action,
        )
    instances: list[Instance] = []
    nifti: list[Path] = []
    nrrd: list[Path] = []
    known: HeaderCache = {}
    prefix = len(str(root).rstrip(os.sep)) + 1  # pathlib would double the cost of a file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote header values, and findings say what matters
        for number, file in enumerate(files, start=1):
            name = file[prefix:] if len(file) > prefix else root.name
            if is_nifti(name):
                nifti.append(Path(file))
            elif is_nrrd(name):
                nrrd.append(Path(file))
            elif f".{name.rpartition('.')[2]}".lower() not in _SIDE_CARS:
                n_noticed = len(raw)
                frames = read_headers(Path(file), findings=raw, name=name, known=known)
                if not frames:
                    lost += lost_files(Path(file), raw[n_noticed:])
                instances += frames
            if progress is not None:
                progress(number, len(files))
    n_skipped = sum(f.code == "W_SKIP_NONDICOM" for f in raw)
    if not instances and not nifti and not nrrd:
        broken = [f for f in raw if f.code not in ("W_SKIP_NONDICOM", *_LINKS)]
        detail = "".join(f"; {f.where}: {f.text}" for f in broken[:3])
        raise InputError(
            f"none of {len(files)} files can be read as DICOM or NIfTI{detail}{links}",
            code="E_EMPTY",
            where=root.name,
            action=action,
        )
    entries = [*dicom_entries(instances), *nifti_entries(nifti, root), *nrrd_entries(nrrd)]
    entries.sort(key=_in_time)
    entries, proposals = propose_roles(with_lost_files(_with_keys(entries), lost))
    findings = [*_gathered(raw), *_patients(entries), *proposals]
    return StudyIndex(root, tuple(entries), tuple(findings), len(files), n_skipped)


def _links_in_words(raw: list[Finding]) -> tuple[str, str]:
    """Return what to add to the refusal of an empty folder, and what to do."""
    words = ""
    for code, what in (("W_LINK_OUTSIDE", "lead out of it"), ("W_LINK_BROKEN", "lead nowhere")):
        names = [f.where for f in raw if f.code == code]
        if names:
            more = ", ..." if len(names) > 3 else ""
            words += f"; {len(names)} symbolic links in it {what} ({', '.join(names[:3])}{more})"
    if words:
        return words, "give a copy with the files themselves (cp -rL; datalad get and unlock)"
    return "", "name a folder with DICOM or NIfTI files"


def _walk(root: Path, findings: list[Finding], lost: list[LostFile]) -> Iterator[str]:
    if root.is_file():
        yield str(root)
    if not root.is_dir():
        return
    home = root.resolve()
    pending = [str(root)]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda e: e.name)
        except OSError as error:
            text = f"the folder cannot be read: {error.strerror}"
            findings.append(Finding("E_FILE", Severity.ERROR, Path(folder).name, text))
            continue
        if folder != str(root) and _is_own_output(Path(folder) / "manifest.json"):
            text = "results of an earlier run lie in the study's folder; they were not read"
            findings.append(Finding("I_OUTPUT_SKIPPED", Severity.INFO, Path(folder).name, text))
            continue
        folders = []
        for entry in found:
            if entry.name.startswith(".") or entry.name.upper() == "DICOMDIR":
                continue
            if entry.is_symlink():
                target = Path(os.path.realpath(entry.path))
                if target.is_relative_to(home) and target.exists():
                    if target.is_file():
                        yield entry.path
                    continue  # a folder of the tree is looked at where it lies
                code = "W_LINK_OUTSIDE" if target.exists() else "W_LINK_BROKEN"
                name = Path(entry.path).relative_to(root).as_posix()
                findings.append(Finding(code, Severity.WARNING, name, _LINKS[code]))
                lost += lost_files(Path(entry.path), findings[-1:])
            elif entry.is_dir():
                folders.append(entry.path)
            elif entry.is_file():
                yield entry.path
        pending += reversed(folders)


def _is_own_output(manifest: Path) -> bool:
    """Tell an output folder of ours by the head of its manifest."""
    try:
        with manifest.open("rb") as file:
            return b"eprimg output folder" in file.read(200)
    except OSError:
        return False


def _in_time(entry: SeriesEntry) -> tuple[str, int, str, str]:
    first = entry.instances[0] if entry.instances else None
    number = first.series_number if first is not None else None
    return (
        entry.instant.isoformat() if entry.instant else "9999",
        number if number is not None else 1 << 31,
        entry.description,
        entry.series_uids[0] if entry.series_uids else "",
    )


def _with_keys(entries: list[SeriesEntry]) -> list[SeriesEntry]:
    """Make keys unique: a second ``mr-2`` (of another study) becomes ``mr-2b``."""
    seen: dict[str, int] = defaultdict(int)
    keyed = []
    for entry in entries:
        seen[entry.key] += 1
        n = seen[entry.key]
        suffix = "" if n == 1 else chr(96 + n) if n <= 26 else f"-{n}"
        keyed.append(replace(entry, key=entry.key + suffix))
    return keyed


def _gathered(raw: list[Finding]) -> list[Finding]:
    """Put equal findings about many files into one, with the count and the first names."""
    groups: dict[tuple[str, Severity, str], list[str]] = {}
    for finding in raw:
        groups.setdefault((finding.code, finding.severity, finding.text), []).append(finding.where)
    gathered = []
    for (code, severity, text), names in groups.items():
        if len(names) == 1:
            gathered.append(Finding(code, severity, names[0], text))
            continue
        shown = ", ".join(names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        gathered.append(Finding(code, severity, f"{len(names)} files", f"{text} ({shown}{more})"))
    return gathered


def _patients(entries: list[SeriesEntry]) -> list[Finding]:
    patients = {e.patient_key for e in entries if e.patient_key}
    if len(patients) < 2:
        return []
    groups = [", ".join(e.key for e in entries if e.patient_key == p) for p in sorted(patients)]
    return [
        Finding(
            "W_PATIENT_MIX",
            Severity.WARNING,
            "folder",
            f"{len(patients)} different patient identities: {' | '.join(groups)}; they are not "
            "read as one study",
        )
    ]
