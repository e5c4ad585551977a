from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from eprimg.errors import ConfigError
from eprimg.model.study import Role
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, Cohort, TierScheme
from eprimg.resources import load_resource, resource_names
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify
from eprimg.stages.segment import segment
from eprimg.stages.stratify import builtin_schemes, marked_schemes, stratify


def run(scene, study=None, registrations=None, config=None, *, masks=True, **options):
    config = config or scene.config
    study = study or scene.study(regions=[scene.region_set()] if masks else [])
    registrations = scene.registrations() if registrations is None else registrations
    made = quantify(study, registrations, config).value
    found = segment(study, made.maps, config, registrations=registrations).value
    measured = measure(
        study, registrations, made.maps, made.registered, found.lesions, config, native=found.native
    ).value
    return stratify(study, measured.lesions, config, **options)


def tiers(result, name="lesion"):
    region = next(r for r in result.value.lesions.lesions if r.name == name)
    return {t.scheme: t for t in region.tiers}


def test_whole_way_from_signal_to_tier(scene):
    # The lesion has dR2* 100 1/s (edges 20, 80) and 30.6 %ID/kg (edges 5, 20): high by both.
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", noise=2.0),
        scene.mr_series(Role.MR_POST, "post", column=1, noise=2.0),
        scene.pet_series("pet"),
        regions=[scene.region_set()],
    )
    registrations = (scene.registration("mr_post", error_mm=0.2), scene.registration("pet"))
    result = run(scene, study, registrations)
    found = tiers(result)
    assert found["example-pid-per-kg-peak"].label == "high"
    assert found["example-dr2star-median"].most_likely == "high"
    assert {t.notice for t in found.values()} == {"example, not validated"}
    patient = {p.scheme: p for p in result.value.patient_tiers}
    assert patient["example-pid-per-kg-peak"].label == "high"
    assert patient["example-pid-per-kg-peak"].n_lesions == 1
    assert [s.key for s in result.value.schemes] == list(scene.config.stratify.schemes)
    assert [f.code for f in result.findings].count("I_SCHEME_EXAMPLE") == 2
    assert all(not r.tiers for r in result.value.lesions.references)


def test_an_edited_scheme_cannot_pass_for_the_one_of_its_file():
    own = tuple(replace(s, validated=True) for s in builtin_schemes(("example-pid-per-kg-peak",)))
    (cut,) = marked_schemes([replace(own[0], edges=(1.0, 2.0))], own)
    assert not cut.validated
    assert cut.version == f"{own[0].version}, edited by the reader"
    assert marked_schemes([cut], own) == (cut,)
    # Only what the file says is that scheme; where it was read from says nothing.
    assert marked_schemes([replace(own[0], source_file="elsewhere")], own) == own
    assert marked_schemes([replace(cut, edges=own[0].edges)], own) == own
    (named,) = marked_schemes([replace(own[0], labels=("a", "b", "c"))], own)
    assert named.edited
    # A scheme of a key of its own is not an edit of another one.
    other = replace(own[0], key="mine", edges=(1.0, 2.0))
    assert marked_schemes([other], own) == (other,)


def test_tiers_of_an_edited_scheme_say_so(scene):
    own = builtin_schemes(("example-pid-per-kg-peak",))
    (cut,) = marked_schemes([replace(own[0], edges=(1.0, 2.0))], own)
    result = run(scene, schemes=[cut])
    notice = "edited scheme, not validated"
    assert tiers(result)[cut.key].notice == notice
    assert [p.notice for p in result.value.patient_tiers] == [notice]
    said = [f for f in result.findings if f.code == "W_SCHEME_EDITED"]
    assert len(said) == 1
    assert "cut-offs now: 1, 2" in said[0].text


def test_candidates_are_measured_but_not_tiered(scene):
    result = run(scene, masks=False)
    for region in result.value.lesions.lesions:
        assert region.measurement("pid_per_kg", "peak", "pet").value > 5.0
        assert {t.label for t in region.tiers} == {NOT_TIERED}
    assert {p.label for p in result.value.patient_tiers} == {NOT_TIERED}
    accepted = scene.config.with_settings({"segment": {"accept_candidates": True}})
    result = run(scene, config=accepted, masks=False)
    labels = {
        t.label
        for r in result.value.lesions.lesions
        for t in r.tiers
        if t.scheme == "example-pid-per-kg-peak"
    }
    assert NOT_TIERED not in labels


def test_different_protocols_are_not_tiered(scene):
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", field_t=1.5),
        scene.mr_series(Role.MR_POST, "post", column=1),
        scene.pet_series("pet"),
        regions=[scene.region_set()],
    )
    found = tiers(run(scene, study))
    assert found["example-dr2star-median"].label == NOT_TIERED
    assert "field strength 1.5 T before and 3 T after" in found["example-dr2star-median"].reason
    assert found["example-pid-per-kg-peak"].label == "high"


def test_a_missing_series_is_a_reason(scene):
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"), regions=[scene.region_set()])
    for tier in tiers(run(scene, study, ())).values():
        assert tier.label == NOT_TIERED
        assert "was not measured" in tier.reason


def cohort_config(scene, *schemes):
    return scene.config.with_settings({"stratify": {"schemes": list(schemes)}})


def test_cohort_rules(scene):
    config = cohort_config(
        scene, "example-pid-per-kg-cohort-median", "example-pid-per-kg-cohort-tertile"
    )
    cohort = Cohort("demo", "pid_per_kg", "peak", (1.0, 2.0, 4.0, 8.0, 16.0), 5)
    found = tiers(run(scene, config=config, cohorts=[cohort]))
    assert found["example-pid-per-kg-cohort-median"].label == "above median"
    assert "the edge 4;" in found["example-pid-per-kg-cohort-median"].reason
    assert "cohort demo (5 lesions of 5 patients)" in (
        found["example-pid-per-kg-cohort-median"].reason
    )
    assert found["example-pid-per-kg-cohort-tertile"].label == "high"


def test_a_cohort_rule_without_a_cohort(scene):
    config = cohort_config(scene, "example-pid-per-kg-cohort-median")
    result = run(scene, config=config)
    assert "E_COHORT" in [f.code for f in result.findings]
    tier = tiers(result)["example-pid-per-kg-cohort-median"]
    assert tier.label == NOT_TIERED
    assert "needs a stored cohort" in tier.reason


def test_schemes_that_were_read_elsewhere(scene):
    # 30.6 %ID/kg against an edge of 30: too close to call.
    own = TierScheme(
        "own",
        "3",
        "own",
        "pid_per_kg",
        "peak",
        "fixed",
        (30.0,),
        ("no", "yes"),
        "any",
        True,
        "internal",
        "pet",
    )
    result = run(scene, schemes=[own])
    assert tiers(result)["own"].label == INDETERMINATE
    assert tiers(result)["own"].notice == ""
    assert "I_SCHEME_EXAMPLE" not in [f.code for f in result.findings]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rule": "cohort-median", "edges": (), "labels": ("a", "b", "c")}, "E_SCHEME"),
        ({"edges": (-1.0,), "labels": ("a", "b")}, "E_SCHEME"),
        ({"rule": "no-such-rule"}, "E_ENGINE"),
    ],
)
def test_a_scheme_that_cannot_be_applied_stops_only_itself(scene, changes, code):
    fields = {
        "key": "own",
        "version": "1",
        "title": "t",
        "quantity": "pid_per_kg",
        "statistic": "peak",
        "rule": "fixed",
        "edges": (5.0,),
        "labels": ("a", "b"),
        "patient_rule": "any",
        "validated": True,
        "citation": "c",
        "applies_to": "pet",
    }
    cohort = Cohort("demo", "pid_per_kg", "peak", (1.0, 2.0, 4.0), 3)
    result = run(scene, schemes=[TierScheme(**(fields | changes))], cohorts=[cohort])
    assert code in [f.code for f in result.findings]
    assert tiers(result)["own"].label == NOT_TIERED


def test_without_lesions(scene):
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre"))
    result = run(scene, study, ())
    assert result.value.lesions is None
    assert {p.label for p in result.value.patient_tiers} == {NOT_TIERED}


def test_builtin_schemes_say_that_they_are_examples():
    schemes = builtin_schemes(resource_names("tier_schemes"))
    assert {s.key for s in schemes} >= {"example-pid-per-kg-peak", "example-dr2star-median"}
    for scheme in schemes:
        assert not scheme.validated
        assert scheme.citation.startswith("Example, not validated.")
    with pytest.raises(ConfigError, match="no such tier scheme"):
        builtin_schemes(["no-such-scheme"])


def test_repeatability_entries_are_published_numbers():
    """Jauw 2018: RC mean 27, peak 35, max 42 %; Lodge 2017: wCV 10 %; none for 64Cu."""
    table = {
        (e["nuclide"], e["statistic"]): e.get("rc_percent", e.get("wcv_percent"))
        for e in load_resource("repeatability.toml")["entries"]
    }
    assert table == {
        ("89Zr", "mean"): 27.0,
        ("89Zr", "peak"): 35.0,
        ("89Zr", "max"): 42.0,
        ("18F", "mean"): 10.0,
        ("18F", "peak"): 10.0,
        ("18F", "max"): 10.0,
    }
    for entry in load_resource("repeatability.toml")["entries"]:
        assert entry["citation"]
        assert entry["covers"]
        assert math.isfinite(entry.get("rc_percent", entry.get("wcv_percent")))
    assert np.isfinite(list(table.values())).all()
