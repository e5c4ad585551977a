"""Eligibility rules: which lesions may be placed in a tier, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eprimg.errors import ConfigError, raise_faults

__all__ = ["EligibilityRule", "EligibilityRules", "parse_eligibility"]

_KINDS: Mapping[str, tuple[str, ...]] = {
    "min-diameter": ("limit_mm", "limit_from"),
    "not-in-organ": ("organs",),
    "min-fwhm": ("factor",),
}
_ORGANS = ("liver", "spleen", "marrow", "kidney", "blood", "muscle")
_SESSIONS = ("mr_pre", "mr_post", "pet")
_ACTIONS = ("exclude", "flag")
_LIMITS = ("measure.small_lesion_mm", "stratify.smallest_pet_lesion_mm")
"""Settings that a limit can be taken from."""

_TEXTS = ("key", "version", "title", "citation")


@dataclass(frozen=True, slots=True)
class EligibilityRule:
    """One rule.

    Parameters
    ----------
    key : str
        Name of the rule.
    kind : str
        ``min-diameter``, ``not-in-organ`` or ``min-fwhm``.
    rests_on : tuple of str
        Sessions whose quantities are meant.
    excludes : bool
        True for no tier by these quantities, False for a remark.
    limit : float
        Equivalent diameter in mm (min-diameter) or in widths of the blur (min-fwhm); NaN when
        ``limit_from`` names the setting that holds it.
    limit_from : str
        Path of that setting.
    organs : tuple of str
        Organs that count (not-in-organ).
    """

    key: str
    kind: str
    rests_on: tuple[str, ...]
    excludes: bool
    limit: float = math.nan
    limit_from: str = ""
    organs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EligibilityRules:
    """A versioned set of rules.

    Parameters
    ----------
    key, version, title, citation : str
        Identity, and where the rules come from.
    rules : tuple of EligibilityRule
        In the order of the file.
    """

    key: str
    version: str
    title: str
    citation: str
    rules: tuple[EligibilityRule, ...]


def parse_eligibility(content: Mapping[str, Any], source: str) -> EligibilityRules:
    """Check the content of a rule file.

    Parameters
    ----------
    content : Mapping
        As read from TOML.
    source : str
        File name, for messages.

    Returns
    -------
    EligibilityRules
        Checked rules.

    Raises
    ------
    ConfigError
        ``E_ELIGIBILITY``, listing every fault.
    """
    faults: list[ConfigError] = []

    def fault(message: str, value: object = None, action: str | None = None) -> None:
        faults.append(
            ConfigError(message, code="E_ELIGIBILITY", where=source, value=value, action=action)
        )

    for key in sorted(set(content) - {*_TEXTS, "rules"}):
        fault(f"there is no key {key!r}", action=f"use one of: {', '.join((*_TEXTS, 'rules'))}")
    for key in _TEXTS:
        if not isinstance(content.get(key), str) or not content[key]:
            fault(f"{key!r} is missing or not a text", content.get(key))
    listed = content.get("rules", [])
    if not isinstance(listed, list):
        fault("'rules' is a list of sections", listed)
        listed = []
    rules = []
    for number, item in enumerate(listed, start=1):
        before = len(faults)
        found = _rule(f"rules[{number}]", item, fault)
        if len(faults) == before and found is not None:
            rules.append(found)
    keys = [r.key for r in rules]
    if len(set(keys)) != len(keys):
        fault("two rules share a key", keys)
    raise_faults(faults)
    key, version, title, citation = (content[k] for k in _TEXTS)
    return EligibilityRules(key, version, title, citation, tuple(rules))


def _rule(name: str, item: Any, fault: Any) -> EligibilityRule | None:
    if not isinstance(item, Mapping):
        fault(f"{name} is a section", item)
        return None
    kind = str(item.get("kind"))
    if kind not in _KINDS:
        fault(f"{name}.kind is not known", kind, f"use one of: {', '.join(_KINDS)}")
        return None
    own = _KINDS[kind]
    for key in sorted(set(item) - {"key", "kind", "rests_on", "action", *own}):
        fault(f"{name} has no key {key!r}", item[key], f"a {kind} takes {', '.join(own)}")
    if not isinstance(item.get("key"), str) or not item["key"]:
        fault(f"{name}.key is missing or not a text", item.get("key"))
    if item.get("action") not in _ACTIONS:
        fault(f"{name}.action is exclude or flag", item.get("action"))
    rests_on = _chosen(f"{name}.rests_on", item.get("rests_on"), _SESSIONS, fault)
    limit, limit_from = math.nan, ""
    organs: tuple[str, ...] = ()
    if kind == "not-in-organ":
        organs = _chosen(f"{name}.organs", item.get("organs"), _ORGANS, fault)
    else:
        limit_from = item.get("limit_from", "")
        given = item.get("factor" if kind == "min-fwhm" else "limit_mm")
        if limit_from and (limit_from not in _LIMITS or given is not None):
            fault(
                f"{name}.limit_from names a setting and stands alone",
                limit_from,
                f"use one of: {', '.join(_LIMITS)}",
            )
        elif not limit_from:
            number = isinstance(given, int | float) and not isinstance(given, bool)
            limit = float(given) if number and given is not None else math.nan
            if not (math.isfinite(limit) and limit > 0):
                fault(f"{name} needs a limit above 0", given)
    return EligibilityRule(
        str(item.get("key")),
        kind,
        rests_on,
        item.get("action") == "exclude",
        limit,
        str(limit_from),
        organs,
    )


def _chosen(name: str, value: Any, choices: tuple[str, ...], fault: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(v not in choices for v in value):
        fault(f"{name} is a list of some of: {', '.join(choices)}", value)
        return ()
    return tuple(value)
