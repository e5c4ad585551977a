"""Rule files: every fault is named at once."""

from __future__ import annotations

import math

import pytest

from eprimg.errors import ConfigError
from eprimg.model.eligibility import parse_eligibility

HEAD = {"key": "k", "version": "1", "title": "t", "citation": "c"}
RULE = {
    "key": "a",
    "kind": "min-diameter",
    "limit_mm": 10,
    "rests_on": ["pet"],
    "action": "exclude",
}


def test_a_rule_is_read() -> None:
    organ = {
        "key": "b",
        "kind": "not-in-organ",
        "organs": ["liver"],
        "rests_on": ["mr_post"],
        "action": "flag",
    }
    width = {**RULE, "key": "c", "kind": "min-fwhm", "factor": 2.5}
    del width["limit_mm"]
    found = parse_eligibility({**HEAD, "rules": [RULE, organ, width]}, "x.toml").rules
    assert [(r.key, r.kind, r.excludes, r.organs) for r in found] == [
        ("a", "min-diameter", True, ()),
        ("b", "not-in-organ", False, ("liver",)),
        ("c", "min-fwhm", True, ()),
    ]
    assert found[0].limit == 10.0
    assert math.isnan(found[1].limit)
    assert found[2].limit == 2.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "magic"}, "kind is not known"),
        ({"limit_mm": 0}, "limit above 0"),
        ({"limit_mm": True}, "limit above 0"),
        ({"limit_from": "measure.small_lesion_mm"}, "stands alone"),
        ({"limit_from": "a.b", "limit_mm": None}, "names a setting"),
        ({"factor": 2}, "no key 'factor'"),
        ({"rests_on": []}, "rests_on"),
        ({"rests_on": ["ct"]}, "rests_on"),
        ({"action": "drop"}, "exclude or flag"),
        ({"key": ""}, "key is missing"),
    ],
)
def test_every_fault_is_named(change, said) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_eligibility({**HEAD, "rules": [{**RULE, **change}]}, "x.toml")
    assert caught.value.code == "E_ELIGIBILITY"
    assert any(said in f.message for f in caught.value.faults or (caught.value,))


def test_the_head_and_the_keys() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_eligibility({"key": "k", "colour": 1, "rules": [RULE, RULE, 3]}, "x.toml")
    said = " ".join(f.message for f in caught.value.faults)
    for words in ("'colour'", "'version'", "'title'", "'citation'", "share a key", "is a section"):
        assert words in said
