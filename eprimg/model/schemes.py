"""From the content of a scheme or cohort file to a record, with every fault of it at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from eprimg.errors import ConfigError, raise_faults
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, Cohort, TierScheme
from eprimg.quantities import EXTERNAL_MAPS, QUANTITIES

__all__ = ["PATIENT_RULES", "parse_cohort", "parse_scheme"]

PATIENT_RULES = ("dominant-volume", "any", "all")
"""How the tiers of lesions become the tier of a patient."""

_TEXTS = (
    "key",
    "version",
    "title",
    "quantity",
    "statistic",
    "rule",
    "patient_rule",
    "citation",
    "applies_to",
)
_OPTIONAL = ("edges", "unit", "notes")
_TIERED = tuple(sorted(set(QUANTITIES) - {*EXTERNAL_MAPS, "vessel_size_q"}))
"""What a scheme may place in tiers; a covariate from a map made elsewhere never is."""


class _Faults:
    """Faults of one file."""

    def __init__(self, code: str, source: str) -> None:
        self.code, self.source = code, source
        self.found: list[ConfigError] = []

    def add(self, message: str, value: object = None, action: str | None = None) -> None:
        self.found.append(
            ConfigError(message, code=self.code, where=self.source, value=value, action=action)
        )

    def text(self, content: Mapping[str, Any], key: str, *, empty: bool = False) -> str:
        value = content.get(key)
        if not isinstance(value, str) or (not value and not empty):
            self.add(f"{key!r} is missing or not a text", value)
            return ""
        return value

    def choice(self, key: str, value: str, choices: tuple[str, ...]) -> None:
        if value and value not in choices:
            self.add(f"{key!r} is not known", value, f"use one of: {', '.join(choices)}")

    def unknown(self, content: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in sorted(set(content) - set(known)):
            self.add(f"there is no key {key!r}", None, f"use one of: {', '.join(known)}")


def parse_scheme(content: Mapping[str, Any], source: str) -> TierScheme:
    """Check the content of a scheme file.

    Parameters
    ----------
    content : Mapping
        As read from TOML: ``key``, ``version``, ``title``, ``quantity``, ``statistic``, ``rule``,
        ``edges`` (fixed rule only), ``labels``, ``patient_rule``, ``validated``, ``citation``,
        ``applies_to``; optional ``unit`` (of the edges; checked) and ``notes``.
    source : str
        File, for messages.

    Returns
    -------
    TierScheme
        The scheme.

    Raises
    ------
    ConfigError
        ``E_SCHEME`` with every fault of the file.
    """
    faults = _Faults("E_SCHEME", source)
    faults.unknown(content, (*_TEXTS, "labels", "validated", *_OPTIONAL))
    texts = {key: faults.text(content, key) for key in _TEXTS}
    faults.choice("patient_rule", texts["patient_rule"], PATIENT_RULES)
    faults.choice("applies_to", texts["applies_to"], ("pet", "mr"))
    faults.choice("quantity", texts["quantity"], _TIERED)
    if not isinstance(content.get("validated"), bool):
        faults.add("'validated' is missing or not true or false", content.get("validated"))
    labels = _labels(content, faults)
    edges = _edges(content, texts["rule"], faults)
    expected = {"fixed": len(edges) + 1, "cohort-median": 2, "cohort-tertile": 3}
    wanted = expected.get(texts["rule"])
    if (
        labels
        and wanted is not None
        and (edges or texts["rule"] != "fixed")
        and (len(labels) != wanted)
    ):
        faults.add(f"this scheme needs {wanted} labels, one more than cut-offs", list(labels))
    unit = content.get("unit")
    if unit is not None and texts["quantity"] in QUANTITIES:
        own = QUANTITIES[texts["quantity"]].unit
        if unit not in (own.text, own.ucum):
            faults.add(
                f"the edges of {texts['quantity']} are in {own.text}",
                unit,
                "convert the edges; nothing is converted silently",
            )
    raise_faults(faults.found)
    return TierScheme(
        **texts,
        edges=edges,
        labels=labels,
        validated=bool(content["validated"]),
        source_file=source,
    )


def _labels(content: Mapping[str, Any], faults: _Faults) -> tuple[str, ...]:
    labels = content.get("labels")
    if not isinstance(labels, list | tuple) or not all(isinstance(x, str) and x for x in labels):
        faults.add("'labels' is missing or not a list of texts", labels)
        return ()
    if len(set(labels)) != len(labels):
        faults.add("two labels are the same", list(labels))
    for reserved in (INDETERMINATE, NOT_TIERED):
        if reserved in labels:
            faults.add(f"the label {reserved!r} is reserved", list(labels))
    return tuple(labels)


def _edges(content: Mapping[str, Any], rule: str, faults: _Faults) -> tuple[float, ...]:
    edges = content.get("edges", [])
    if not isinstance(edges, list | tuple) or any(
        isinstance(e, bool) or not isinstance(e, int | float) or not math.isfinite(e) for e in edges
    ):
        faults.add("'edges' is a list of finite numbers", edges)
        return ()
    if rule == "fixed" and not edges:
        faults.add("a fixed scheme needs 'edges'")
    if rule.startswith("cohort-") and edges:
        faults.add(
            "a cohort rule takes its cut-offs from the cohort, not from 'edges'", list(edges)
        )
    if any(b <= a for a, b in itertools.pairwise(edges)):
        faults.add("'edges' rise strictly", list(edges))
    return tuple(float(e) for e in edges)


def parse_cohort(content: Mapping[str, Any], source: str) -> Cohort:
    """Check the content of one stored cohort.

    Parameters
    ----------
    content : Mapping
        As read from JSON: ``key``, ``quantity``, ``statistic``, ``values`` (one per lesion),
        ``n_patients``; optional ``citation``, ``unit`` (checked) and ``notes``.
    source : str
        File, for messages.

    Returns
    -------
    Cohort
        The cohort.

    Raises
    ------
    ConfigError
        ``E_COHORT`` with every fault of the content.
    """
    faults = _Faults("E_COHORT", source)
    faults.unknown(
        content,
        ("key", "quantity", "statistic", "values", "n_patients", "citation", "unit", "notes"),
    )
    key, statistic = faults.text(content, "key"), faults.text(content, "statistic")
    name = faults.text(content, "quantity")
    faults.choice("quantity", name, _TIERED)
    values = content.get("values")
    if (
        not isinstance(values, list | tuple)
        or not values
        or any(
            isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v)
            for v in values
        )
    ):
        faults.add(
            "'values' is a list of finite numbers, one per lesion",
            None if isinstance(values, list | tuple) else values,
        )
        values = []
    n_patients = content.get("n_patients")
    if isinstance(n_patients, bool) or not isinstance(n_patients, int) or n_patients < 1:
        faults.add("'n_patients' is a whole number above 0", n_patients)
    elif values and n_patients > len(values):
        faults.add(
            "there are more patients than values",
            n_patients,
            "give one value per lesion, at least one per patient",
        )
    unit = content.get("unit")
    if unit is not None and name in QUANTITIES:
        own = QUANTITIES[name].unit
        if unit not in (own.text, own.ucum):
            faults.add(f"the values of {name} are in {own.text}", unit, "convert the values")
    citation = content.get("citation", "")
    if not isinstance(citation, str):
        faults.add("'citation' is a text", citation)
    notes = content.get("notes", "")
    if not isinstance(notes, str):
        faults.add("'notes' is a text", notes)
    raise_faults(faults.found)
    assert isinstance(n_patients, int)
    return Cohort(
        key=key,
        quantity=name,
        statistic=statistic,
        values=tuple(float(v) for v in values),
        n_patients=n_patients,
        citation=citation,
        notes=notes,
    )
