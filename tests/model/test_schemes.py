from __future__ import annotations

import pytest

from eprimg.errors import ConfigError
from eprimg.model.schemes import parse_cohort, parse_scheme

SCHEME = {
    "key": "s",
    "version": "1",
    "title": "t",
    "quantity": "pid_per_kg",
    "statistic": "peak",
    "rule": "fixed",
    "edges": [5, 20.0],
    "labels": ["low", "moderate", "high"],
    "patient_rule": "dominant-volume",
    "validated": False,
    "citation": "c",
    "applies_to": "pet",
    "unit": "%ID/kg",
    "notes": "anything",
}
COHORT = {
    "key": "c",
    "quantity": "pid_per_kg",
    "statistic": "peak",
    "values": [1, 2.5, 4.0],
    "n_patients": 2,
    "citation": "x",
}


def test_a_good_scheme():
    scheme = parse_scheme(SCHEME, "own.toml")
    assert scheme.edges == (5.0, 20.0)
    assert scheme.source_file == "own.toml"


def test_a_scheme_lists_all_its_faults_at_once():
    faulty = {
        "key": "s",
        "version": 2,
        "quantity": "pidkg",
        "rule": "fixed",
        "edges": [20, 5],
        "labels": ["low", "low"],
        "patient_rule": "most",
        "validated": "no",
        "citation": "c",
        "applies_to": "ct",
        "statistic": "peak",
        "colour": "red",
    }
    with pytest.raises(ConfigError) as caught:
        parse_scheme(faulty, "own.toml")
    messages = [f.message for f in caught.value.faults]
    for words in (
        "no key 'colour'",
        "'version'",
        "'title'",
        "'patient_rule'",
        "'applies_to'",
        "'quantity'",
        "'validated'",
        "two labels",
        "rise strictly",
        "needs 3 labels",
    ):
        assert any(words in m for m in messages), words
    assert {f.code for f in caught.value.faults} == {"E_SCHEME"}
    assert {f.where for f in caught.value.faults} == {"own.toml"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "g/mL"}, "are in %ID/kg"),
        ({"labels": ["low", "indeterminate", "high"]}, "reserved"),
        ({"labels": "low"}, "not a list of texts"),
        ({"edges": [5, float("nan")]}, "finite numbers"),
        ({"edges": []}, "needs 'edges'"),
        ({"rule": "cohort-tertile"}, "not from 'edges'"),
        ({"rule": "cohort-median", "edges": []}, "needs 2 labels"),
    ],
)
def test_single_faults_of_a_scheme(changes, words):
    with pytest.raises(ConfigError, match="E_SCHEME") as caught:
        parse_scheme(SCHEME | changes, "own.toml")
    assert words in str(caught.value)


def test_a_good_cohort():
    cohort = parse_cohort(COHORT, "cohort.json")
    assert cohort.values == (1.0, 2.5, 4.0)
    assert cohort.n_patients == 2


def test_a_cohort_lists_all_its_faults_at_once():
    faulty = {
        "key": "",
        "quantity": "uptake",
        "statistic": "peak",
        "values": [1, None],
        "n_patients": 0,
        "unit": 3,
        "citation": 4,
        "extra": 1,
    }
    with pytest.raises(ConfigError) as caught:
        parse_cohort(faulty, "cohort.json")
    messages = [f.message for f in caught.value.faults]
    for words in (
        "no key 'extra'",
        "'key'",
        "'quantity'",
        "'values'",
        "'n_patients'",
        "'citation'",
    ):
        assert any(words in m for m in messages), words
    with pytest.raises(ConfigError, match="more patients than values"):
        parse_cohort(COHORT | {"n_patients": 9}, "cohort.json")
    with pytest.raises(ConfigError, match="are in %ID/kg"):
        parse_cohort(COHORT | {"unit": "g/mL"}, "cohort.json")


@pytest.mark.parametrize("key", ["ktrans", "fdg_suvbw", "vessel_size_q"])
def test_a_covariate_places_nothing_in_a_tier(key):
    with pytest.raises(ConfigError) as caught:
        parse_scheme({**SCHEME, "quantity": key, "unit": "1/min"}, "own.toml")
    assert any("quantity" in f.message for f in caught.value.faults or (caught.value,))
    with pytest.raises(ConfigError):
        parse_cohort({**COHORT, "quantity": key}, "cohort.json")
