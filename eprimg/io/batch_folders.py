"""Studies of a folder tree: each folder at one depth is one patient with all its series."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from eprimg.errors import ConfigError
from eprimg.io.batch_tasks import StudyTask, folder_key, with_distinct_keys
from eprimg.io.index_nifti import is_nifti
from eprimg.model.case import Finding, Severity, StageResult

__all__ = ["folder_tasks", "looks_like_image"]

_MAGIC_AT = 128
_NAMED = 20


def looks_like_image(path: Path) -> bool:
    """Tell a DICOM or NIfTI file by its name or its first bytes.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    bool
        True for ``.nii``, ``.nii.gz``, ``.dcm``, ``.ima`` and for files with the DICOM prefix.
    """
    if is_nifti(path.name) or path.suffix.lower() in (".dcm", ".ima"):
        return True
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC_AT + 4)[_MAGIC_AT:] == b"DICM"
    except OSError:
        return False


class _Listing:
    """What lies directly in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folders: list[Path] = []
        self.files: list[Path] = []
        self.links: list[Path] = []
        self.problem = ""
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda e: os.fsencode(e.name))
        except OSError as error:
            self.problem = str(error.strerror)
            return
        for entry in found:
            if entry.name.startswith(".") or entry.name.upper() == "DICOMDIR":
                continue
            path = Path(entry.path)
            if entry.is_symlink():
                self.links.append(path)
            elif entry.is_dir():
                self.folders.append(path)
            elif entry.is_file():
                self.files.append(path)


def _is_own(folder: Path) -> bool:
    """Tell the results of a run or of a batch, which are no studies."""
    for name in ("manifest.json", "batch.json"):
        try:
            with (folder / name).open("rb") as file:
                if b"eprimg " in file.read(200):
                    return True
        except OSError:
            continue
    return False


def folder_tasks(root: Path, *, depth: int = 1) -> StageResult[tuple[StudyTask, ...]]:
    """List the studies of a folder tree.

    Parameters
    ----------
    root : Path
        The tree.
    depth : int
        0 for the root itself, 1 for its folders, 2 for the folders in them ...

    Returns
    -------
    StageResult of tuple of StudyTask
        Each folder at that depth, and each folder above it that holds no folder. Findings tell of
        loose files, links, results of earlier runs, and folders that are empty or cannot be read.

    Raises
    ------
    ConfigError
        ``E_ARGUMENT`` for a negative depth.
    """
    if depth < 0:
        raise ConfigError(
            "the depth of a folder tree is 0 or more",
            code="E_ARGUMENT",
            where="--depth",
            value=depth,
            action="1 takes each folder of the root as one study",
        )
    findings: list[Finding] = []
    tasks: list[StudyTask] = []
    loose: list[str] = []
    _collect(root, root, depth, tasks, findings, loose)
    if loose:
        findings.append(
            _finding(
                "W_BATCH_LOOSE",
                loose,
                "DICOM or NIfTI files lie beside the folders of the studies; they belong to no "
                "study and are not read",
            )
        )
    return StageResult(with_distinct_keys(tasks), tuple(findings))


def _collect(
    root: Path,
    folder: Path,
    depth: int,
    tasks: list[StudyTask],
    findings: list[Finding],
    loose: list[str],
) -> None:
    name = folder.relative_to(root).as_posix()
    listing = _Listing(folder)
    if listing.problem:
        text = f"the folder cannot be read: {listing.problem}; its study will be refused"
        findings.append(Finding("E_FILE", Severity.ERROR, name, text))
        tasks.append(_task(root, folder))
        return
    if depth > 0:
        _tell_links(root, listing.links, findings)
    folders = [f for f in listing.folders if not _is_own(f)]
    for own in (f for f in listing.folders if f not in folders):
        text = "it holds results of eprimg, so it is no study"
        where = own.relative_to(root).as_posix()
        findings.append(Finding("I_OUTPUT_SKIPPED", Severity.INFO, where, text))
    images = [f for f in listing.files if looks_like_image(f)] if depth > 0 else []
    if depth == 0 or (not folders and (folder != root or images)):
        if not listing.files and not listing.folders:
            text = "the folder is empty; its study will be refused"
            findings.append(Finding("W_BATCH_EMPTY", Severity.WARNING, name, text))
        tasks.append(_task(root, folder))
        return
    loose += [f.relative_to(root).as_posix() for f in images]
    for child in folders:
        _collect(root, child, depth - 1, tasks, findings, loose)


def _task(root: Path, folder: Path) -> StudyTask:
    source = folder.relative_to(root).as_posix()
    return StudyTask(folder_key(source), folder, source=source)


def _tell_links(root: Path, links: Sequence[Path], findings: list[Finding]) -> None:
    home = Path(os.path.realpath(root))
    groups: dict[str, list[str]] = {"W_LINK_OUTSIDE": [], "W_LINK_BROKEN": []}
    for link in links:
        target = Path(os.path.realpath(link))
        if not target.exists():
            groups["W_LINK_BROKEN"].append(link.relative_to(root).as_posix())
        elif not target.is_relative_to(home):
            groups["W_LINK_OUTSIDE"].append(link.relative_to(root).as_posix())
    for code, names in groups.items():
        if names:
            what = "out of the tree" if code == "W_LINK_OUTSIDE" else "to nothing"
            findings.append(
                _finding(
                    code,
                    names,
                    f"symbolic links {what} are not followed; name their folders in a manifest "
                    "to have them read",
                )
            )


def _finding(code: str, names: Sequence[str], text: str) -> Finding:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    if len(names) == 1:
        return Finding(code, Severity.WARNING, names[0], text)
    shown = ", ".join(names[:_NAMED])
    return Finding(code, Severity.WARNING, f"{len(names)} paths", f"{text} ({shown}{more})")
