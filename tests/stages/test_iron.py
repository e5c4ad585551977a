"""Expected concentrations are ΔR2* divided by the relaxivity, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import IronConfig
from eprimg.io.relaxivity import load_relaxivity
from eprimg.model.relaxivity import RelaxivityModel
from eprimg.model.study import Role
from eprimg.stages.iron import iron_balance, refused_model
from eprimg.stages.measure import measure
from eprimg.stages.objections import study_objections
from eprimg.stages.quantify import quantify
from eprimg.stages.tiers_lesion import error_model

PLASMA_3T = load_relaxivity(IronConfig(model="knobloch2018-plasma-3t"))
PLASMA_1T5 = load_relaxivity(IronConfig(model="knobloch2018-plasma-1t5"))


def run(scene, study=None, model=PLASMA_3T, **options):
    study = study or scene.study(
        scene.mr_series(Role.MR_PRE, "pre"), scene.mr_series(Role.MR_POST, "post", column=1)
    )
    moved = (scene.registration("mr_post"),)
    made = quantify(study, moved, scene.config).value
    return measure(
        study,
        moved,
        made.maps,
        made.registered,
        scene.region_set(),
        scene.config,
        relaxivity=model,
        **options,
    )


def number(result, name, quantity, statistic):
    region = next(r for r in result.value.lesions.regions if r.name == name)
    return region.measurement(quantity, statistic, "mr_post-mr_pre")


def with_dose(study, dose):
    return replace(study, overrides={"agent.dose_mg_fe": dose})


def test_no_model_no_iron(scene):
    result = run(scene, model=None)
    assert number(result, "lesion", "iron_concentration", "median") is None
    assert not [f for f in result.findings if "IRON" in f.code]


def test_iron_of_a_lesion_by_a_named_model(scene):
    result = run(scene)
    for statistic in ("median", "mean"):
        found = number(result, "lesion", "iron_concentration", statistic)
        assert found.value == pytest.approx(100.0 / 55.7, rel=1e-3)  # R2* rises by 100 1/s
        # without noise the error is that of the relaxivity
        assert found.uncertainty == pytest.approx(found.value * 4.4 / 55.7, rel=1e-2)
        assert "knobloch2018-plasma-3t" in found.note
        assert "not in the error" in found.uncertainty_note
    mass = number(result, "lesion", "iron_content", "median")
    assert mass.value == pytest.approx(100.0 / 55.7 * 55.845, rel=1e-3)
    assert mass.note.startswith("1 mL of tissue taken as 1 g")
    (finding,) = [f for f in result.findings if f.code == "I_IRON_MODEL"]
    assert "55.7" in finding.text


def test_outside_of_the_range_it_is_missing_with_a_reason(scene):
    result = run(scene)
    # liver: 260 / 55.7 = 4.67 mmol/L; muscle: 6 / 55.7 = 0.11 mmol/L
    liver = number(result, "liver", "iron_concentration", "median")
    assert math.isnan(liver.value)
    assert liver.note.startswith("not computed: more than the highest")
    muscle = number(result, "muscle", "iron_concentration", "median")
    assert math.isnan(muscle.value)
    assert "less than the lowest" in muscle.note
    assert "0.26 to 4.2 mmol/L" in muscle.note


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        (PLASMA_1T5, {}, "measured at 1.5 T, and mr_pre was acquired at 3 T"),
        (PLASMA_3T, {"field_t": None}, "field strength of mr_pre is not known"),
    ],
)
def test_a_model_of_another_field_strength_is_refused_in_words(scene, model, changes, words):
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre", **changes),
        scene.mr_series(Role.MR_POST, "post", column=1, **changes),
    )
    result = run(scene, study, model)
    found = number(result, "lesion", "iron_concentration", "median")
    assert math.isnan(found.value)
    assert math.isnan(found.uncertainty)
    assert words in found.note
    (finding,) = [f for f in result.findings if f.code == "E_IRON_FIELD"]
    assert words in finding.text
    assert number(result, "liver", "iron_mass", "implied") is None


def test_2_89_t_counts_as_3_t(scene):
    study = scene.study(scene.mr_series(Role.MR_PRE, "pre", field_t=2.89362))
    assert refused_model(study, PLASMA_3T) == ""


def test_balance_against_the_dose(scene):
    """Volumes: liver and spleen 8 x 8 x 8 voxels of 0.036 mL, blood 12 x 3 x 3.

    18.432 mL x 260/55.7 and 18.432 mL x 440/55.7 and 3.888 mL x 30/55.7, times 55.845e-3 mg.
    """
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre"), scene.mr_series(Role.MR_POST, "post", column=1)
    )
    lesions = run(scene, study).value.lesions
    total = (18.432 * (260.0 + 440.0) + 3.888 * 30.0) / 55.7 * 55.845e-3
    against, noticed = iron_balance(with_dose(study, 0.9 * total), lesions)
    assert [f.code for f in noticed] == ["W_IRON_BALANCE"]
    assert "111 % of the" in noticed[0].text
    assert set(against[0].quantities) == {"iron_concentration", "iron_content"}
    assert iron_balance(with_dose(study, 1.1 * total), lesions) == ((), ())
    (unknown,) = iron_balance(study, lesions)[1]
    assert unknown.code == "I_IRON_DOSE"
    assert iron_balance(study, run(scene, study, None).value.lesions) == ((), ())
    objections, findings = study_objections(with_dose(study, 0.9 * total), lesions)
    assert "W_IRON_BALANCE" in {o.code for o in objections}
    assert "W_IRON_BALANCE" in {f.code for f in findings}


def test_registration_goes_through_the_slope_and_into_the_confidence(scene):
    region = next(r for r in run(scene).value.lesions.regions if r.name == "lesion")
    change, iron = (
        region.measurement(q, "registration_error_term", "mr_post-mr_pre")
        for q in ("dr2star", "iron_concentration")
    )
    assert change.value > 0
    assert iron.value == pytest.approx(change.value / 55.7)
    content = region.measurement("iron_content", "median", "mr_post-mr_pre")
    model = error_model(region, content, nuclide=None)
    assert model.spread == pytest.approx(
        math.hypot(content.uncertainty, change.value / 55.7 * 55.845), rel=1e-6
    )
    assert "µg/g" in model.note


def test_a_line_is_prolonged_and_a_bent_curve_is_a_lower_bound(scene):
    liver = number(run(scene), "liver", "iron_mass", "implied")
    assert liver.value == pytest.approx(18.432 * 260.0 / 55.7 * 55.845e-3, rel=1e-3)
    assert "the line is prolonged" in liver.note
    bent = RelaxivityModel(
        "calibration", 3.0, "agar", (60.0, -5.0), ((4.0, 0.0), (0.0, 0.1)), (0.0, 3.0), 5.0, "v.csv"
    )
    held = number(run(scene, model=bent), "liver", "iron_mass", "implied")
    assert held.value == pytest.approx(18.432 * 3.0 * 55.845e-3)  # no more than the last vial
    assert "a lower bound" in held.note
    lesion = number(run(scene, model=bent), "lesion", "iron_concentration", "median")
    # 60 c - 5 c^2 = 100 has c = (60 - sqrt(3600 - 2000)) / 10 = 2
    assert lesion.value == pytest.approx(2.0, rel=1e-3)


def test_a_part_run_gives_the_same_numbers(scene):
    whole = run(scene)
    before = whole.value
    study = scene.study(
        scene.mr_series(Role.MR_PRE, "pre"), scene.mr_series(Role.MR_POST, "post", column=1)
    )
    moved = (scene.registration("mr_post"),)
    made = quantify(study, moved, scene.config).value
    again = measure(
        study,
        moved,
        made.maps,
        made.registered,
        before.lesions,
        scene.config,
        before=before.native_lesions,
        ids={scene.ids["lesion"]},
        relaxivity=PLASMA_3T,
    ).value
    for old, new in zip(before.lesions.regions, again.lesions.regions, strict=True):
        assert [m.quantity for m in old.measurements] == [m.quantity for m in new.measurements]
        np.testing.assert_array_equal(
            [m.value for m in old.measurements], [m.value for m in new.measurements]
        )
