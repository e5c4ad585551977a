"""How settings records are drawn up, written as TOML, updated and checked; see `eprimg.config`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

from eprimg.errors import ConfigError

__all__ = ["setting", "toml_lines", "updated"]


def setting(
    default: Any,
    text: str,
    *,
    choices: tuple[Any, ...] = (),
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Describe one setting of a record.

    Parameters
    ----------
    default : object
        Its value when nothing is said.
    text : str
        What it means; shown by the command line, the plugin and the documentation.
    choices : tuple
        The values that are allowed; empty for any of the type.
    low, high : float, optional
        Limits of a number.

    Returns
    -------
    dataclasses.Field
        Field of the record.
    """
    return field(
        default=default, metadata={"text": text, "choices": choices, "low": low, "high": high}
    )


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return repr(value)


def toml_lines(f: Any, value: Any, comments: bool) -> list[str]:
    """Write one setting as TOML.

    Parameters
    ----------
    f : dataclasses.Field
        The setting, as described by `setting`.
    value : object
        Its value.
    comments : bool
        Put its meaning above it.

    Returns
    -------
    list of str
        Lines.
    """
    lines = []
    if comments and f.metadata.get("text"):
        choices = f.metadata.get("choices")
        extra = f" (one of: {', '.join(map(str, choices))})" if choices else ""
        lines.append(f"# {f.metadata['text']}{extra}")
    lines.append(f"{f.name} = {_toml_value(value)}")
    return lines


def updated(
    record: Any, settings: Mapping[str, Any], path: str, where: str, faults: list[ConfigError]
) -> Any:
    """Return a copy of a record with other values, checked.

    Parameters
    ----------
    record : dataclass
        A record of settings.
    settings : Mapping
        New values, nested as in the TOML file.
    path : str
        Sections that lead to the record, for messages.
    where : str
        Origin of the values, for messages.
    faults : list of ConfigError
        What is wrong is added here.

    Returns
    -------
    dataclass
        The new record.
    """
    known = {f.name: f for f in fields(record)}
    hints = get_type_hints(type(record))
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        full = f"{path}{key}"
        if key not in known:
            faults.append(
                ConfigError(
                    f"there is no setting {full!r}",
                    code="E_CONFIG",
                    where=where,
                    value=key,
                    action=f"use one of: {', '.join(path + k for k in known)}",
                )
            )
            continue
        current = getattr(record, key)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                faults.append(
                    ConfigError(
                        f"{full!r} is a section",
                        code="E_CONFIG",
                        where=where,
                        value=value,
                        action=f"write [{full}]",
                    )
                )
                continue
            changes[key] = updated(current, value, f"{full}.", where, faults)
            continue
        problem, value = _checked(value, hints[key], known[key].metadata)
        if problem:
            faults.append(
                ConfigError(f"{full!r} {problem}", code="E_CONFIG", where=where, value=value)
            )
        else:
            changes[key] = value
    try:
        return replace(record, **changes)
    except ConfigError as error:  # settings that contradict each other
        faults.append(error)
        return record


def _checked(value: Any, kind: Any, rules: Mapping[str, Any]) -> tuple[str, Any]:
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        items = value if isinstance(value, list | tuple) else [value]
        if inner is float:
            items = [float(v) if type(v) is int else v for v in items]
        if not all(isinstance(v, inner) for v in items):
            return f"is a list of {inner.__name__}", value
        if rules.get("choices") and not set(items) <= set(rules["choices"]):
            return f"must be among {', '.join(map(str, rules['choices']))}", value
        for item in items if inner is float else ():
            problem = _out_of_range(item, rules)
            if problem:
                return problem, value
        return "", tuple(items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        return f"must be of type {kind.__name__}", value
    if rules.get("choices") and value not in rules["choices"]:
        return f"must be one of {', '.join(map(str, rules['choices']))}", value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_range(value, rules), value
    return "", value


def _out_of_range(value: float, rules: Mapping[str, Any]) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "must be finite"
    if rules.get("low") is not None and value < rules["low"]:
        return f"must be at least {rules['low']}"
    if rules.get("high") is not None and value > rules["high"]:
        return f"must be at most {rules['high']}"
    return ""
