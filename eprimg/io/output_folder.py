"""A folder that is written whole or not at all, with a manifest of hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from eprimg.errors import OutputError
from eprimg.io.batch_processes import machine_mark, process_start
from eprimg.io.write_maps import write_json
from eprimg.resources import load_resource

__all__ = [
    "check_apart",
    "check_target",
    "is_done",
    "output_path",
    "sweep_folders",
    "verify_folder",
    "whole_folder",
]

_FORMAT = "eprimg output folder"
_LEFT: Final = re.compile(
    r"\.(?P<name>.+)\.(?P<kind>old|partial)"
    r"-(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>\d*)-[0-9a-f]{8}"
)
"""Name of a folder that is not in its place; it tells which process of which machine made it."""

_FOREIGN_AGE_S: Final = 24 * 3600.0
"""What another computer left is swept when nobody can be writing it any more."""


def output_path(root: Path, file: str, /, **names: str) -> Path:
    """Return the path of an output by its key (``resources/outputs.toml``).

    Parameters
    ----------
    root : Path
        Output folder.
    file : str
        Key of the file, e.g. ``"lesions"``.
    **names : str
        Fill the braces of the path.

    Returns
    -------
    Path
        Path below ``root``.
    """
    pattern: str = load_resource("outputs.toml")["files"][file]["path"]
    return root / pattern.format(**names)


def check_target(
    out: Path, *, overwrite: bool = False, resume: bool | None = None, source: Path | None = None
) -> None:
    """Refuse an output folder that exists, or that cannot be written, before any work is done.

    Parameters
    ----------
    out : Path
        Output folder.
    overwrite : bool
        Whether the user allowed to replace it.
    resume : bool, optional
        Whether the user allowed to find the same run there; None for a step that knows no resuming.
    source : Path, optional
        The input; it must not lie in the output folder, which may be replaced.

    Raises
    ------
    OutputError
        ``E_OUTPUT_EXISTS``, ``E_OUTPUT_FOREIGN``, ``E_OUTPUT_INPUT`` or ``E_OUTPUT_UNWRITABLE``.
    """
    if source is not None:
        check_apart(out, source)
    if out.exists() and not out.is_dir():
        raise OutputError(
            "the output is a file, not a folder",
            code="E_OUTPUT_EXISTS",
            where=str(out),
            action="give another folder",
        )
    if out.is_dir() and any(out.iterdir()):
        if not (overwrite or resume):
            raise _exists(out, resume is not None)
        _require_own(out)
    parent = out.parent if str(out.parent) else Path()
    probe = next(p for p in (parent, *parent.parents) if p.exists())
    if not probe.is_dir() or not os.access(probe, os.W_OK | os.X_OK):
        raise OutputError(
            "nothing can be written there",
            code="E_OUTPUT_UNWRITABLE",
            where=str(out),
            action="give a folder that you may write to",
        )


def check_apart(out: Path, source: Path) -> None:
    """Refuse an input that lies in the output folder.

    Parameters
    ----------
    out : Path
        Output folder.
    source : Path
        The input.

    Raises
    ------
    OutputError
        ``E_OUTPUT_INPUT``.
    """
    if Path(source).resolve().is_relative_to(out.resolve()):
        raise OutputError(
            "the input lies in the output folder",
            code="E_OUTPUT_INPUT",
            where=str(out),
            action="give an output folder beside the input",
        )


def _exists(out: Path, can_resume: bool = False) -> OutputError:
    return OutputError(
        "the output folder already holds something",
        code="E_OUTPUT_EXISTS",
        where=str(out),
        action=f"give another folder, {'or --resume, ' if can_resume else ''}or --overwrite",
    )


def _require_own(out: Path) -> None:
    """Refuse to replace a folder that holds anything that eprimg did not write there."""
    manifest = output_path(out, "manifest")
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        own = set(content["files"]) if content["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        own = None
    if own is None:
        raise OutputError(
            "the folder was not written by eprimg, so it is not replaced",
            code="E_OUTPUT_FOREIGN",
            where=str(out),
            action="give another folder",
        )
    files = (p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir())
    foreign = sorted(f for f in files if f not in own and f != manifest.name)
    if foreign:
        raise OutputError(
            f"the folder holds {len(foreign)} files that eprimg did not write, so it is not "
            "replaced",
            code="E_OUTPUT_FOREIGN",
            where=str(out),
            value=foreign[:5],
            action="move them away, or give another folder",
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_manifest(root: Path, facts: dict[str, Any]) -> None:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    content = {
        "format": _FORMAT,
        "version": load_resource("outputs.toml")["version"],
        **facts,
        "files": {
            p.relative_to(root).as_posix(): {"sha256": _digest(p), "bytes": p.stat().st_size}
            for p in files
        },
    }
    write_json(content, output_path(root, "manifest"))


def _put_in_place(partial: Path, out: Path, overwrite: bool) -> None:
    if not overwrite or not out.exists():
        try:
            partial.rename(out)  # fails on a folder that somebody filled in the meantime
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _exists(out) from error
            raise
    else:
        _require_own(out)
        old = _aside(out, "old")
        out.rename(old)
        try:
            partial.rename(out)
        except OSError:
            old.rename(out)
            raise
        shutil.rmtree(old)
    _sync(out.parent)


def _aside(out: Path, kind: str) -> Path:
    """Name a folder beside the final one after the process that makes it."""
    owner = f"{machine_mark()}-{os.getpid()}-{process_start(os.getpid())}"
    return out.with_name(f".{out.name}.{kind}-{owner}-{uuid4().hex[:8]}")


def sweep_folders(parent: Path, name: str = "") -> int:
    """Clear what killed runs left; a result that one had set aside comes back.

    Parameters
    ----------
    parent : Path
        Folder that output folders lie in; other computers may see it too.
    name : str
        Only what belongs to this output folder; everything when left out.

    Returns
    -------
    int
        How many folders were cleared; those of living processes and recent ones of other
        computers stay.
    """
    try:
        with os.scandir(parent) as entries:
            found = [e.name for e in entries if e.name.startswith(f".{name}")]
    except OSError:  # not there yet
        return 0
    cleared = 0
    for left in found:
        match = _LEFT.fullmatch(left)
        if match is None or (name and match["name"] != name):
            continue
        with contextlib.suppress(OSError):  # another process clears it at the same time
            path = parent / left
            if not _is_dead(path, match):
                continue
            if match["kind"] == "old" and not (parent / match["name"]).exists():
                path.rename(parent / match["name"])
            else:
                shutil.rmtree(path, ignore_errors=True)
            cleared += 1
    return cleared


def _is_dead(path: Path, owner: re.Match[str]) -> bool:
    if owner["machine"] != machine_mark():
        return time.time() - path.stat().st_mtime > _FOREIGN_AGE_S
    # a number alone is given to another process later
    return process_start(int(owner["pid"])) != owner["start"]


@contextmanager
def whole_folder(
    out: Path, facts: dict[str, Any] | None = None, *, overwrite: bool = False
) -> Iterator[Path]:
    """Write a folder that appears whole, with its manifest, or not at all.

    Parameters
    ----------
    out : Path
        Final folder; see `check_target` for what may be there already.
    facts : dict, optional
        What the manifest says besides the hashes.
    overwrite : bool
        Replace an earlier output folder of eprimg; otherwise a folder that appeared in the
        meantime is left as it is.

    Yields
    ------
    Path
        Temporary folder beside the final one; everything in it is moved at once.

    Raises
    ------
    OutputError
        ``E_DISK``, ``E_OUTPUT_EXISTS``, ``E_OUTPUT_FOREIGN`` or ``E_OUTPUT_UNWRITABLE``; the
        temporary folder is removed.
    """
    out = Path(out).resolve()
    partial = _aside(out, "partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sweep_folders(out.parent, out.name)
        partial.mkdir()
        yield partial
        _write_manifest(partial, facts or {})
        for path in partial.rglob("*"):
            if path.is_file():
                _sync(path)
        _put_in_place(partial, out, overwrite)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise OutputError(
            "the disk is full" if full else f"the results cannot be written: {error.strerror}",
            code="E_DISK" if full else "E_OUTPUT_UNWRITABLE",
            where=str(out),
            action="make room, then run again" if full else "give a folder you may write to",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def verify_folder(out: Path) -> dict[str, Any]:
    """Read the manifest of an output folder and check every file against it.

    Parameters
    ----------
    out : Path
        Output folder.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    OutputError
        ``E_OUTPUT_DAMAGED`` when a file is missing or differs.
    """
    try:
        manifest = json.loads(output_path(out, "manifest").read_text(encoding="utf-8"))
        wrong = [
            name
            for name, entry in manifest["files"].items()
            if not (out / name).is_file() or _digest(out / name) != entry["sha256"]
        ]
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(
            "the manifest of the output folder cannot be read",
            code="E_OUTPUT_DAMAGED",
            where=str(out),
            action="run again with --overwrite",
        ) from error
    if wrong:
        raise OutputError(
            f"{len(wrong)} files of the output folder are missing or changed",
            code="E_OUTPUT_DAMAGED",
            where=str(out),
            value=wrong[:5],
            action="run again with --overwrite",
        )
    return dict(manifest)


def is_done(out: Path, input_hash: str, config_hash: str) -> bool:
    """Tell whether a folder already holds this very run, whole and unchanged.

    Parameters
    ----------
    out : Path
        Output folder.
    input_hash, config_hash : str
        Hashes of the run that is asked for.

    Returns
    -------
    bool
        True when input, settings and version agree and every file has its hash.

    Raises
    ------
    OutputError
        ``E_OUTPUT_EXISTS`` when the folder holds another run.
    """
    if not out.is_dir() or not any(out.iterdir()):
        return False
    try:
        manifest = verify_folder(out)
    except OutputError:
        return False
    same = (manifest.get("input_hash"), manifest.get("config_hash"), manifest.get("eprimg")) == (
        input_hash,
        config_hash,
        version("eprimg"),
    )
    if not same:
        raise OutputError(
            "the folder holds a run with another input, other settings or another version",
            code="E_OUTPUT_EXISTS",
            where=str(out),
            action="give another folder, or --overwrite",
        )
    return True
