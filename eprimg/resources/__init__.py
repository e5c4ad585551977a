"""Constants and rules as files, and the one way to read them."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["load_resource", "resource_names"]


@cache
def load_resource(name: str) -> dict[str, Any]:
    """Read a TOML resource.

    Parameters
    ----------
    name : str
        Path below ``eprimg/resources``, e.g. ``"nuclides.toml"``.

    Returns
    -------
    dict
        Its content; treat it as read-only.
    """
    text = files("eprimg.resources").joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


def resource_names(folder: str) -> tuple[str, ...]:
    """List the TOML resources of a folder.

    Parameters
    ----------
    folder : str
        E.g. ``"tier_schemes"``.

    Returns
    -------
    tuple of str
        File names without ``.toml``, sorted.
    """
    entries = files("eprimg.resources").joinpath(folder).iterdir()
    return tuple(sorted(e.name[:-5] for e in entries if e.name.endswith(".toml")))
