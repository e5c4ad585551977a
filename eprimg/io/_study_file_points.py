"""The parts of a study file that are about several time points."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from eprimg.errors import ConfigError
from eprimg.model.study import Role

__all__ = ["read_time_points", "with_instants"]

_PRIMARY = (Role.MR_POST, Role.PET)
"""Roles that several time points can play."""


def read_time_points(
    content: Mapping[str, Any], where: str, faults: list[ConfigError]
) -> tuple[dict[str, str], dict[str, datetime]]:
    """Read which time point is the primary one, and when undated series were acquired."""
    read: dict[str, dict[str, Any]] = {"primary": {}, "instants": {}}
    for name, found in read.items():
        section = content.get(name, {})
        if not isinstance(section, Mapping):
            faults.append(ConfigError(f"{name!r} is a section", code="E_STUDY_FILE", where=where))
            continue
        found.update({str(k): v for k, v in section.items()})
    for role, key in read["primary"].items():
        if role not in _PRIMARY or not isinstance(key, str):
            faults.append(
                ConfigError(
                    f"primary.{role} is not the key of a series in a role of several time points",
                    code="E_STUDY_FILE",
                    where=where,
                    value=key,
                    action='write e.g. mr_post = "mr-12" or pet = "pt-3"',
                )
            )
    for key, instant in read["instants"].items():
        if not isinstance(instant, datetime):
            faults.append(
                ConfigError(
                    f"'instants.{key}' needs a date and a time",
                    code="E_SUV_TIME",
                    where=where,
                    value=instant,
                    action="write e.g. 2026-03-01T10:30:00",
                )
            )
    return read["primary"], read["instants"]


def with_instants(section: Mapping[str, Any]) -> dict[str, Any]:
    """Read instants from text; what is none is left for the check to name."""
    read = dict(section)
    for key, value in section.items():
        if isinstance(value, str) and len(value) > len("2026-03-01"):
            with suppress(ValueError):
                read[key] = datetime.fromisoformat(value)
    return read
