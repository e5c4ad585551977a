"""The command line that gives the numbers of a reading again, and the files that it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from eprimg.config import Config
from eprimg.io.study_file import StudyFile
from eprimg.io.study_file_help import HELP_SECTIONS

__all__ = ["command_line", "study_file_text", "write_inputs"]

_STUDY, _SETTINGS = "study.toml", "settings.toml"


def command_line(
    *,
    study_file: StudyFile,
    said_more: bool,
    config: Config,
    edited: bool,
    saved_as: Path | None,
) -> str:
    """Say how the command line gives the numbers of a reading; without any path.

    Parameters
    ----------
    study_file : StudyFile
        What was said about the study.
    said_more : bool
        True when it is more than what lies in the study's own folder.
    config : Config
        Settings.
    edited : bool
        True when regions or cut-offs were edited.
    saved_as : Path or None
        Saved case that holds just this state.

    Returns
    -------
    str
        The command in the first line, what its words stand for in the next ones.
    """
    if saved_as is not None:
        return (
            f"eprimg run STUDY --case {_word(saved_as.name)} --out OUT\n"
            f"STUDY is the study folder, {saved_as.name} the saved case, OUT a new folder."
        )
    if edited:
        return (
            "Save the case first: it holds the edits.\nThen: eprimg run STUDY --case CASE --out OUT"
        )
    words, needed = ["eprimg run STUDY"], []
    if said_more:
        words.append(f"--study {_STUDY}")
        said = ", ".join(study_file.overrides())
        needed.append(f"{_STUDY} holds what you entered ({said})")
    if config != Config():
        words.append(f"--config {_SETTINGS}")
        needed.append(f"{_SETTINGS} holds the settings")
    words.append("--out OUT")
    line = " ".join(words) + "\nSTUDY is the study folder, OUT a new folder."
    return line + (f" {'; '.join(needed)}." if needed else "")


def write_inputs(
    folder: Path, study_file: StudyFile | None, config: Config
) -> tuple[tuple[str, Path], ...]:
    """Write the files that the command line needs beside the study.

    Parameters
    ----------
    folder : Path
        Where to; it is made when it is not there.
    study_file : StudyFile or None
        What was said about the study; None: nothing that its folder does not hold.
    config : Config
        Settings; the defaults need no file.

    Returns
    -------
    tuple of (str, Path)
        Option of ``eprimg run`` and file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    if study_file is not None:
        path = folder / _STUDY
        path.write_text(study_file_text(study_file), encoding="utf-8")
        written.append(("--study", path))
    if config != Config():
        path = folder / _SETTINGS
        path.write_text(config.to_toml(), encoding="utf-8")
        written.append(("--config", path))
    return tuple(written)


def study_file_text(study_file: StudyFile) -> str:
    """Write a study file as TOML.

    Parameters
    ----------
    study_file : StudyFile
        Its content; paths of masks and maps become absolute.

    Returns
    -------
    str
        Text that `eprimg.io.study_file.read_study_file` reads back.
    """
    content = study_file.to_content()
    lines = []
    if "pseudonym" in content:
        lines.append(f"pseudonym = {_value(content['pseudonym'])}")
    for name in ("roles", "primary", "instants", "injection", "patient", "spect", "agent"):
        if name in content:
            lines += ["", f"[{name}]", *_pairs(content[name])]
    for mask in content.get("masks", []):
        path = str(Path(mask["path"]).resolve())
        plain = {k: v for k, v in mask.items() if k != "names"} | {"path": path}
        lines += ["", "[[masks]]", *_pairs(plain)]
        if "names" in mask:
            lines += ["[masks.names]", *_pairs(mask["names"])]
    for section in ("maps", *HELP_SECTIONS):
        for item in content.get(section, []):
            placed = {"path": str(Path(item["path"]).resolve())} if "path" in item else {}
            lines += ["", f"[[{section}]]", *_pairs({**item, **placed})]
    return "\n".join(lines).strip() + "\n"


def _pairs(content: Mapping[str, Any]) -> list[str]:
    return [f"{json.dumps(str(k), ensure_ascii=False)} = {_value(v)}" for k, v in content.items()]


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(_value(v) for v in value)}]"
    return repr(value)


def _word(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if " " in text else text
