"""Hashes that say whether a study, or its numbers, are the same as before."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eprimg.io.output_folder import output_path
from eprimg.io.study_file_help import HELP_SECTIONS

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["input_hash", "input_stamp", "result_hash"]

_CHUNK: Final = 1 << 20
_FRESH_NS: Final = 2_000_000_000
"""A file that changed this recently may change again without a new time stamp."""

_VOLATILE: Final = frozenset(
    {
        "finished",
        "host",
        "peak_memory_mb",
        "pid",
        "seconds",
        "source_file",
        "started",
        "threads",
        "versions",
        "where",
    }
)
"""Keys of records that say when, where and with what a number was made."""


_PROFILES: Final = frozenset({"profile", "deformable_profile"})
"""Settings of `register` that may be the path of a file."""


def _files(path: Path, study_file: Path | None) -> list[tuple[str, Path]]:
    """List the files that a run of the study would look at, with names that do not move."""
    found = list(_below(path)) if path.is_dir() else [("", path)]
    spoken = study_file or (path / "study.toml" if (path / "study.toml").is_file() else None)
    if spoken is not None:
        named = [("study file", spoken)] if study_file is not None else []
        for number, mask in enumerate(_masks(spoken), start=1):
            if mask.is_dir():
                named += [(f"mask {number}/{name}", file) for name, file in _below(mask)]
            else:
                named.append((f"mask {number}", mask))
        found += named
    return sorted(found, key=lambda item: os.fsencode(item[0]))


def _below(root: Path) -> Iterator[tuple[str, Path]]:
    """Walk as the scan does: no hidden files, no results of earlier runs, no links to folders."""
    pending = [(str(root), "")]
    while pending:
        folder, prefix = pending.pop()
        if prefix and _is_own_output(folder):
            continue
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError:
            yield f"{prefix} unreadable", Path(folder)
            continue
        for entry in found:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{name}/"))
            else:
                yield name, Path(entry.path)


def _is_own_output(folder: str) -> bool:
    try:
        with (Path(folder) / "manifest.json").open("rb") as file:
            return b"eprimg output folder" in file.read(200)
    except OSError:
        return False


def _masks(study_file: Path) -> list[Path]:
    """Read which files a study file names; a faulty one is refused later, by the run."""
    try:
        content = tomllib.loads(study_file.read_text(encoding="utf-8"))
        items = [i for name in ("masks", "maps", *HELP_SECTIONS) for i in content.get(name, [])]
        return [study_file.parent / str(m["path"]) for m in items if "path" in m]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def _plain_facts(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(facts), sort_keys=True, default=str).encode()


def _add(digest: _Hash, *parts: str | int | bytes) -> None:
    """Add parts with their lengths, so that no two lists of parts give the same bytes."""
    for part in parts:
        content = part if isinstance(part, bytes) else os.fsencode(str(part))
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)


def input_stamp(path: Path, study_file: Path | None, facts: Mapping[str, Any]) -> str:
    """Hash names, sizes and times of the files of a study, without reading them.

    Parameters
    ----------
    path : Path
        Folder or file of the study.
    study_file : Path or None
        A study file outside the folder.
    facts : Mapping
        What the manifest says.

    Returns
    -------
    str
        SHA-256; empty when a file changed less than two seconds ago, because it could change
        again within one tick of the clock.
    """
    digest = hashlib.sha256()
    _add(digest, "stamp 1", _plain_facts(facts))
    newest = 0
    for name, file in _files(Path(path), study_file):
        try:
            state = file.stat()
        except OSError:
            _add(digest, name, "not there")
            continue
        newest = max(newest, state.st_ctime_ns)
        _add(digest, name, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return "" if time.time_ns() - newest < _FRESH_NS else digest.hexdigest()


def input_hash(path: Path, study_file: Path | None, facts: Mapping[str, Any]) -> str:
    """Hash everything that a run of the study reads.

    Parameters
    ----------
    path : Path
        Folder or file of the study.
    study_file : Path or None
        A study file outside the folder; the masks that a study file names are hashed too.
    facts : Mapping
        What the manifest says.

    Returns
    -------
    str
        SHA-256 of relative names and contents; a folder gives the same hash in another place. A
        file that cannot be read counts as such.
    """
    digest = hashlib.sha256()
    _add(digest, "input 1", _plain_facts(facts))
    for name, file in _files(Path(path), study_file):
        _add(digest, name)
        if not file.is_file():  # a lost link; a pipe, which would never end
            _add(digest, "not a file")
            continue
        try:
            with file.open("rb") as content:
                _add(digest, hashlib.file_digest(content, "sha256").digest())
        except OSError as error:
            _add(digest, f"cannot be read: {error.errno}")
    return digest.hexdigest()


def result_hash(folder: Path) -> str:
    """Hash the numbers of an output folder.

    Equal numbers give equal hashes wherever, whenever and with how many threads they were made:
    times, hosts, paths, memory and versions are left out, and so are the report, the provenance
    and the manifest.  Maps count with their voxels and their affine, not with their compression.

    Parameters
    ----------
    folder : Path
        Output folder of a run.

    Returns
    -------
    str
        SHA-256.

    Raises
    ------
    OSError
        When a file cannot be read.
    """
    root = Path(folder)
    left_out = {output_path(root, key) for key in ("provenance", "manifest", "report")}
    digest = hashlib.sha256()
    _add(digest, "result 1")
    files = sorted(p for p in root.rglob("*") if p.is_file() and p not in left_out)
    for file in files:
        name = file.relative_to(root).as_posix()
        if name.endswith(".nii.gz"):
            _add(digest, name, _unpacked_digest(file))
        elif file.suffix == ".json":
            content = _steady(json.loads(file.read_text(encoding="utf-8")))
            _add(digest, name, json.dumps(content, sort_keys=True))
        elif file.suffix == ".toml":
            content = _steady(_placeless(tomllib.loads(file.read_text(encoding="utf-8"))))
            _add(digest, name, json.dumps(content, sort_keys=True, default=str))
        elif file.suffix in (".csv", ".tfm"):
            _add(digest, name, file.read_bytes())
    return digest.hexdigest()


def _unpacked_digest(file: Path) -> bytes:
    digest = hashlib.sha256()
    with gzip.open(file, "rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def _steady(value: Any) -> Any:
    """Leave out what changes between two runs with the same numbers."""
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [_steady(v) for v in value]
    return value


def _placeless(settings: dict[str, Any]) -> dict[str, Any]:
    """Keep the names of the files that settings name and drop their folders."""
    register = settings.get("register")
    if isinstance(register, dict):
        own = {k: Path(str(register[k])).name for k in _PROFILES & register.keys()}
        settings = {**settings, "register": {**register, **own}}
    iron = settings.get("iron")
    if isinstance(iron, dict) and iron.get("calibration_file"):
        table = Path(str(iron["calibration_file"])).name
        settings = {**settings, "iron": {**iron, "calibration_file": table}}
    volume = settings.get("partial_volume")
    if isinstance(volume, dict) and volume.get("recovery_table"):
        table = Path(str(volume["recovery_table"])).name
        settings = {**settings, "partial_volume": {**volume, "recovery_table": table}}
    model = settings.get("segment_model")
    if isinstance(model, dict) and model.get("engine"):
        program = [Path(str(w)).name if n == 0 else w for n, w in enumerate(model["program"])]
        weights = Path(str(model["weights"])).name
        settings = {**settings, "segment_model": {**model, "program": program, "weights": weights}}
    kinetics = settings.get("kinetics")
    if isinstance(kinetics, dict) and kinetics.get("blood_samples"):
        samples = Path(str(kinetics["blood_samples"])).name
        settings = {**settings, "kinetics": {**kinetics, "blood_samples": samples}}
    section = settings.get("stratify")
    if not isinstance(section, dict):
        return settings
    named = dict(section)
    if "schemes" in named:
        named["schemes"] = [Path(str(s)).name for s in named["schemes"]]
    if "cohort_file" in named:
        named["cohort_file"] = Path(str(named["cohort_file"])).name
    return {**settings, "stratify": named}
