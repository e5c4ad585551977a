"""Which studies a batch holds: from a folder tree, a CSV manifest or a BIDS dataset."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from eprimg.errors import InputError
from eprimg.io.batch_bids import bids_tasks, is_bids
from eprimg.io.batch_files import BatchPaths, write_whole
from eprimg.io.batch_folders import folder_tasks
from eprimg.io.batch_manifest import read_manifest
from eprimg.io.batch_tasks import StudyTask, shard
from eprimg.model.case import StageResult

__all__ = ["StudyTask", "list_studies", "shard", "write_sources"]

_TABLES = (".csv", ".tsv")


def list_studies(
    root: Path | str,
    *,
    manifest: Path | str | None = None,
    depth: int = 1,
    per_session: bool = False,
) -> StageResult[tuple[StudyTask, ...]]:
    """List the studies of a batch; no DICOM header is read.

    A study is one patient with all that belongs together (MR before and after the agent, PET).

    * Folder tree: each folder at ``depth`` below the root is one study, with everything in it:
      ``ROOT/PATIENT/...`` by default, ``ROOT/SITE/PATIENT/...`` with depth 2. The root itself is
      the study with depth 0, and when it holds DICOM or NIfTI files and no folder.
    * BIDS (``dataset_description.json`` in the root): each ``sub-*`` is one study, with all its
      sessions, because series before and after the agent often are sessions; with
      ``per_session`` each session is one.
    * CSV: each row is one study (`eprimg.io.batch_manifest`); a root that is a ``.csv`` file is
      taken as one.

    A folder that is empty or cannot be read is listed too, so that the run refuses it with its
    code and nothing is lost in silence.

    Parameters
    ----------
    root : Path
        Folder, or CSV manifest.
    manifest : Path, optional
        CSV manifest.
    depth : int
        Levels of a folder tree; not used for a manifest or BIDS.
    per_session : bool
        One study per session of a BIDS dataset.

    Returns
    -------
    StageResult of tuple of StudyTask
        Sorted by key, all keys different, with what was noticed. Findings name folders: they are
        for the person at the screen and not for shared files.

    Raises
    ------
    EprimgError
        ``E_BATCH_EMPTY`` when there is no study, ``E_BATCH_MANIFEST`` with every fault of a
        manifest, ``E_ARGUMENT``.
    """
    root = Path(root)
    if manifest is None and root.is_file() and root.suffix.lower() in _TABLES:
        manifest = root
    if manifest is not None:
        found = read_manifest(Path(manifest))
    else:
        if not root.is_dir():
            raise InputError(
                "there is no such folder" if not root.exists() else "the root is not a folder",
                code="E_BATCH_EMPTY",
                where=root.name,
                action="give a folder of studies, a BIDS dataset or a CSV manifest",
            )
        found = (
            bids_tasks(root, per_session=per_session)
            if is_bids(root)
            else folder_tasks(root, depth=depth)
        )
    if not found.value:
        raise InputError(
            "no study was found",
            code="E_BATCH_EMPTY",
            where=root.name,
            action="each folder below the root is one study; see --depth and --manifest",
        )
    return StageResult(tuple(sorted(found.value, key=lambda task: task.key)), found.findings)


def write_sources(out: Path, tasks: Sequence[StudyTask]) -> None:
    """Write which key stands for which folder (``sources.csv``).

    Parameters
    ----------
    out : Path
        Output folder of the batch.
    tasks : sequence of StudyTask
        All studies of the batch.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["study", "private_path_below_root"])
    for task in tasks:
        # a spreadsheet would take such a name for a formula
        risky = task.source.startswith(("=", "+", "-", "@", "\t", "\r"))
        writer.writerow([task.key, f"'{task.source}" if risky else task.source])
    write_whole(BatchPaths(out).sources, sink.getvalue().encode("utf-8", "surrogateescape"))
