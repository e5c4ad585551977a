"""The words behind the codes (``eprimg explain CODE`` and the documentation)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from eprimg.errors import ConfigError

__all__ = ["CodeEntry", "all_codes", "explain_code"]


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """What a code means.

    Parameters
    ----------
    code, title, text, action, room : str
        The code, one line, the explanation, the next action and the part of the house it
        comes from.
    """

    code: str
    title: str
    text: str
    action: str
    room: str


@cache
def all_codes() -> dict[str, CodeEntry]:
    """Read every code.

    Returns
    -------
    dict
        Code -> entry, sorted by code.
    """
    entries = {}
    for file in files(__name__).iterdir():
        if file.name.endswith(".toml"):
            room = file.name.removesuffix(".toml")
            for code, item in tomllib.loads(file.read_text(encoding="utf-8")).items():
                entries[code] = CodeEntry(code, item["title"], item["text"], item["action"], room)
    return dict(sorted(entries.items()))


def explain_code(code: str) -> CodeEntry:
    """Look a code up.

    Parameters
    ----------
    code : str
        E.g. ``"E_SUV_TIME"``; case does not matter.

    Returns
    -------
    CodeEntry
        The entry.

    Raises
    ------
    ConfigError
        ``E_CODE`` when there is no such code.
    """
    known = all_codes()
    wanted = code.strip().upper()
    if wanted not in known:
        from difflib import get_close_matches

        near = get_close_matches(wanted, known, n=3)
        raise ConfigError(
            f"there is no code {code!r}",
            code="E_CODE",
            value=code,
            action=f"did you mean {', '.join(near)}?"
            if near
            else "the documentation lists all codes",
        )
    return known[wanted]
