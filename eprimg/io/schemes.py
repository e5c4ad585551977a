"""Tier schemes and stored cohorts, from the package or from a user's file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from eprimg.config import StratifyConfig
from eprimg.errors import ConfigError, EprimgError
from eprimg.model.schemes import parse_cohort, parse_scheme
from eprimg.model.tiers import Cohort, TierScheme
from eprimg.resources import load_resource, resource_names

__all__ = ["load_cohort", "load_scheme", "load_schemes"]


def load_scheme(name: str) -> TierScheme:
    """Read a scheme by its key, or from a TOML file.

    Parameters
    ----------
    name : str
        Key of a scheme of ``resources/tier_schemes``, or a path ending in ``.toml``.

    Returns
    -------
    TierScheme
        Checked scheme.

    Raises
    ------
    ConfigError
        ``E_SCHEME`` listing every fault of the file.
    """
    if not name.endswith(".toml"):
        known = resource_names("tier_schemes")
        if name not in known:
            raise ConfigError(
                f"there is no tier scheme {name!r}",
                code="E_SCHEME",
                where="stratify.schemes",
                value=name,
                action=f"use one of {', '.join(known)}, or a path ending in .toml",
            )
        return parse_scheme(dict(load_resource(f"tier_schemes/{name}.toml")), f"{name}.toml")
    try:
        content = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the scheme file cannot be read: {error}", code="E_SCHEME", where=name
        ) from error
    return parse_scheme(content, name)


def load_schemes(config: StratifyConfig) -> tuple[TierScheme, ...]:
    """Read every scheme that the settings name.

    Parameters
    ----------
    config : StratifyConfig
        Settings.

    Returns
    -------
    tuple of TierScheme
        In the order of the settings.

    Raises
    ------
    ConfigError
        ``E_SCHEME``, also when two schemes share a key.
    """
    schemes = tuple(load_scheme(name) for name in config.schemes)
    keys = [s.key for s in schemes]
    if len(set(keys)) != len(keys):
        raise ConfigError(
            "two tier schemes share a key", code="E_SCHEME", where="stratify.schemes", value=keys
        )
    return schemes


def load_cohort(path: Path | str) -> tuple[Cohort, ...]:
    """Read stored cohorts from a JSON file.

    Parameters
    ----------
    path : Path
        File: ``{"cohorts": [{"key", "quantity", "statistic", "values", "n_patients",
        "citation"}]}``.

    Returns
    -------
    tuple of Cohort
        The cohorts.

    Raises
    ------
    ConfigError
        ``E_COHORT``.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return tuple(parse_cohort(c, str(path)) for c in content["cohorts"])
    except EprimgError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the cohort file cannot be used: {error!r}",
            code="E_COHORT",
            where=str(path),
            action="see docs, reference/cohort-file",
        ) from error
