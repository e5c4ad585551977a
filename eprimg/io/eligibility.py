"""Eligibility rules, from the package or from a user's file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from eprimg.config import EligibilityConfig
from eprimg.errors import ConfigError
from eprimg.model.eligibility import EligibilityRules, parse_eligibility
from eprimg.resources import load_resource, resource_names

__all__ = ["load_eligibility"]


def load_eligibility(config: EligibilityConfig) -> EligibilityRules:
    """Read the rules that the settings name.

    Parameters
    ----------
    config : EligibilityConfig
        ``rules``: a name of ``resources/eligibility``, or a path ending in ``.toml``.

    Returns
    -------
    EligibilityRules
        Checked rules.

    Raises
    ------
    ConfigError
        ``E_ELIGIBILITY``.
    """
    name = config.rules
    if not name.endswith(".toml"):
        known = resource_names("eligibility")
        if name not in known:
            raise ConfigError(
                f"there are no eligibility rules {name!r}",
                code="E_ELIGIBILITY",
                where="eligibility.rules",
                value=name,
                action=f"use one of {', '.join(known)}, or a path ending in .toml",
            )
        return parse_eligibility(load_resource(f"eligibility/{name}.toml"), f"{name}.toml")
    try:
        content = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the file of eligibility rules cannot be read: {error}",
            code="E_ELIGIBILITY",
            where=name,
        ) from error
    return parse_eligibility(content, name)
