"""Expected activities follow from half-lives and units by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from eprimg.config import Config, KineticsConfig
from eprimg.errors import ConfigError, EprimgError
from eprimg.io.blood_samples import load_plasma, read_blood_samples, samples_hash
from eprimg.kernels.kinetic_input import evaluate_input_function, fit_input_function
from eprimg.model.study import Study
from eprimg.provenance import settings_hash
from tests import tiny_case

ZR_S = 282276.0
PLAIN = "hours_since_injection,activity_kbq_per_ml,decay_corrected_to,specimen\n"


def write(tmp_path, text):
    path = tmp_path / "blood.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_corrected_samples_are_taken_as_they_are(tmp_path):
    path = write(
        tmp_path, f"# syringe 2\n{PLAIN}24,6,injection,whole_blood\n1,10,injection,whole_blood\n"
    )
    found = read_blood_samples(path, half_life_s=ZR_S)
    np.testing.assert_allclose(found.times_s, [3600.0, 86400.0])
    np.testing.assert_allclose(found.activity_bq_per_ml, [10e3, 6e3])
    assert (found.specimen, found.sd_bq_per_ml) == ("whole_blood", None)
    assert found.facts["pet_over_well_counter_origin"] == "missing"


def test_every_factor_is_applied_once(tmp_path):
    """1.05 g/mL, scanner 0.9 of the well counter, one half-life (100 s) after the injection: 2."""
    path = write(
        tmp_path,
        "seconds_since_injection,activity_bq_per_g,sd_bq_per_g,density_g_per_ml\n"
        "100,1000,10,1.05\n200,1000,20,1.06\n",
    )
    found = read_blood_samples(
        path,
        half_life_s=100.0,
        decay_corrected_to="sample",
        specimen="plasma",
        pet_over_well_counter=0.9,
    )
    np.testing.assert_allclose(
        found.activity_bq_per_ml, [1000 * 1.05 * 0.9 * 2, 1000 * 1.06 * 0.9 * 4], rtol=1e-12
    )
    np.testing.assert_allclose(
        found.sd_bq_per_ml, [10 * 1.05 * 0.9 * 2, 20 * 1.06 * 0.9 * 4], rtol=1e-12
    )
    assert found.facts["density_g_per_ml"] == [1.05, 1.06]
    assert found.specimen == "plasma"


def test_instants_are_counted_from_the_injection(tmp_path):
    path = write(
        tmp_path,
        "instant,activity_bq_per_ml\n2024-01-01T12:00:00+01:00,5\n2024-01-03T11:00:00+00:00,4\n",
    )
    options = {"half_life_s": ZR_S, "decay_corrected_to": "injection", "specimen": "whole_blood"}
    found = read_blood_samples(
        path, injection_instant=datetime(2024, 1, 1, 10, tzinfo=UTC), **options
    )
    np.testing.assert_allclose(found.times_s, [3600.0, 49 * 3600.0])
    for injected in (None, datetime(2024, 1, 1, 10)):
        with pytest.raises(EprimgError) as caught:
            read_blood_samples(path, injection_instant=injected, **options)
        assert caught.value.code == "E_BLOOD_SAMPLES"


def test_it_feeds_the_input_function(tmp_path):
    """A exp(-k t) with a half-life in blood of 20 h, written as physical activity."""
    hours = np.array([1.0, 12.0, 24.0, 48.0, 72.0])
    physical = 20e3 * 2.0 ** (-hours / 20.0) * 2.0 ** (-hours * 3600.0 / ZR_S)
    rows = "".join(f"{h},{a:.12g}\n" for h, a in zip(hours, physical, strict=True))
    path = write(tmp_path, "hours_since_injection,activity_bq_per_ml\n" + rows)
    found = read_blood_samples(
        path, half_life_s=ZR_S, decay_corrected_to="sample", specimen="whole_blood"
    )
    function = fit_input_function(found.times_s, found.activity_bq_per_ml)
    rate = np.log(2.0) / (20.0 * 3600.0)
    np.testing.assert_allclose(function.parameters, [20e3, rate], rtol=1e-6)
    value = evaluate_input_function(function, [36000.0])
    np.testing.assert_allclose(value.activity, 20e3 * 2.0**-0.5, rtol=1e-6)


GOOD = {"decay_corrected_to": "injection", "specimen": "whole_blood"}


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (PLAIN + "1,10,,whole_blood\n", {}, "decay_corrected_to is one of"),
        ("hours_since_injection,activity_bq_per_ml\n1,5\n", {"specimen": "plasma"}, "not stated"),
        (
            "hours_since_injection,activity_bq_per_ml\n1,5\n",
            {"decay_corrected_to": "sample"},
            "specimen",
        ),
        (PLAIN + "1,10,sample,whole_blood\n", GOOD, "more than one way"),
        (PLAIN + "1,10,sample,plasma\n2,9,injection,plasma\n", {}, "more than one way"),
        (PLAIN + "1,10,scan,plasma\n", {}, "decay_corrected_to is one of"),
        ("hours_since_injection,activity_bq_per_g\n1,5\n", GOOD, "needs a density"),
        (
            "hours_since_injection,activity_bq_per_g\n1,5\n",
            {**GOOD, "density_g_per_ml": 1050.0},
            "density",
        ),
        ("hours_since_injection,activity\n1,5\n", GOOD, "no column 'activity'"),
        ("hours_since_injection,hours_since_injection\n1,5\n", GOOD, "twice"),
        ("activity_bq_per_ml\n5\n", GOOD, "one column of time"),
        (
            "hours_since_injection,activity_bq_per_ml,activity_bq_per_g\n1,5,5\n",
            GOOD,
            "one column of activity",
        ),
        ("hours_since_injection,activity_bq_per_ml\n1,5,6\n", GOOD, "3 cells"),
        ("hours_since_injection,activity_bq_per_ml\n1,x\n", GOOD, "not a finite number"),
        ("hours_since_injection,activity_bq_per_ml\n1,nan\n", GOOD, "not a finite number"),
        ("hours_since_injection,activity_bq_per_ml\n-1,5\n", GOOD, "earlier than the injection"),
        ("hours_since_injection,activity_bq_per_ml\n1,0\n", GOOD, "not positive"),
        ("hours_since_injection,activity_bq_per_ml\n1,5\n1,6\n", GOOD, "same time"),
        ("hours_since_injection,activity_bq_per_ml,sd_kbq_per_ml\n1,5,1\n", GOOD, "another unit"),
        (
            "hours_since_injection,activity_bq_per_ml,sd_bq_per_ml\n1,5,0\n",
            GOOD,
            "standard deviation",
        ),
        (
            "hours_since_injection,activity_bq_per_ml\n1,5\n",
            {**GOOD, "pet_over_well_counter": 110},
            "well",
        ),
        ("hours_since_injection,activity_bq_per_ml\n", GOOD, "no sample"),
        (PLAIN + '1,10,injection,"plasma\n', {}, "quotation mark is not closed"),
        ('"' + PLAIN + "1,10,injection,plasma\n", {}, "quotation mark is not closed"),
        # 24 h in minutes, read as hours: 60 d
        ("hours_since_injection,activity_bq_per_ml\n1440,5\n", GOOD, "1440 h after the injection"),
        ("hours_since_injection,activity_bq_per_ml\n2.4e7,5\n", GOOD, "check unit and date"),
        ("# nothing\n", GOOD, "no header"),
    ],
)
def test_what_is_not_stated_is_refused(tmp_path, text, options, words):
    with pytest.raises(EprimgError, match=words) as caught:
        read_blood_samples(write(tmp_path, text), half_life_s=ZR_S, **options)
    assert caught.value.code == "E_BLOOD_SAMPLES"


def test_all_faults_of_a_file_come_at_once(tmp_path):
    path = write(tmp_path, "hours_since_injection,activity_bq_per_ml\n-1,0\n2,x\n")
    with pytest.raises(EprimgError) as caught:
        read_blood_samples(path, half_life_s=ZR_S, **GOOD)
    assert len(caught.value.faults) == 3
    assert {f.where for f in caught.value.faults} == {"blood.csv, line 2", "blood.csv, line 3"}
    with pytest.raises(EprimgError, match="cannot be read"):
        read_blood_samples(tmp_path / "none.csv", half_life_s=ZR_S, **GOOD)


def test_samples_of_a_study_take_its_nuclide(tmp_path):
    """One half-life after the injection a sample that was not corrected counts twice."""
    study = tiny_case.study()
    path = write(
        tmp_path,
        "seconds_since_injection,activity_bq_per_ml,decay_corrected_to,specimen\n"
        f"{ZR_S},1000,sample,plasma\n",
    )
    found = load_plasma(KineticsConfig(blood_samples=str(path)), study)
    np.testing.assert_allclose(found.activity_bq_per_ml, [2000.0])
    assert (found.is_plasma, found.words) == (True, "1 samples of blood.csv")
    assert found.pet_over_well_counter is None
    assert load_plasma(KineticsConfig(), study) is None
    with pytest.raises(EprimgError, match="no PET series of a known half-life") as caught:
        load_plasma(KineticsConfig(blood_samples=str(path)), Study("P", study.timepoints[:1]))
    assert caught.value.code == "E_BLOOD_SAMPLES"


def test_the_setting_of_the_well_counter_reaches_the_samples(tmp_path):
    """The scanner reads 1.1 of the well counter: 1000 +- 10 become 1100 +- 11 Bq/mL."""
    path = write(
        tmp_path,
        "hours_since_injection,activity_bq_per_ml,sd_bq_per_ml,decay_corrected_to,specimen\n"
        "1,1000,10,injection,plasma\n",
    )
    settings = [f"kinetics.blood_samples={path}", "kinetics.pet_over_well_counter=1.1"]
    config = Config().with_assignments(settings).kinetics
    found = load_plasma(config, tiny_case.study())
    np.testing.assert_allclose(found.activity_bq_per_ml, [1100.0], rtol=1e-12)
    np.testing.assert_allclose(found.sd_bq_per_ml, [11.0], rtol=1e-12)
    assert found.pet_over_well_counter == 1.1
    assert found.words == "1 samples of blood.csv, scanner over well counter 1.1 (entered)"
    for wrong in (0.49, 2.01):
        with pytest.raises(ConfigError, match="pet_over_well_counter"):
            Config().with_assignments([f"kinetics.pet_over_well_counter={wrong}"])


@pytest.mark.parametrize("half_life_s", [76.4, 6586.2, ZR_S])  # 82Rb, 18F, 89Zr
def test_samples_are_read_until_no_counter_finds_them(tmp_path, half_life_s):
    """20 half-lives leave 2^-20, a millionth; 30 days are the house's limit for long ones."""
    latest = min(20.0 * half_life_s, 30.0 * 86400.0)
    head = "seconds_since_injection,activity_bq_per_ml\n"
    options = {"half_life_s": half_life_s, "decay_corrected_to": "sample", "specimen": "plasma"}
    found = read_blood_samples(write(tmp_path, f"{head}{latest * 0.999},5\n"), **options)
    assert found.activity_bq_per_ml[0] == pytest.approx(5.0 * 2.0 ** (0.999 * latest / half_life_s))
    with pytest.raises(EprimgError, match="after the injection, beyond") as caught:
        read_blood_samples(write(tmp_path, f"{head}{latest * 1.001},5\n"), **options)
    assert caught.value.code == "E_BLOOD_SAMPLES"


def test_a_file_that_changes_has_another_hash(tmp_path):
    path = write(tmp_path, f"{PLAIN}1,10,injection,plasma\n")
    before = samples_hash(path)
    assert settings_hash(Config().with_assignments([f"kinetics.blood_samples={path}"]))
    write(tmp_path, f"{PLAIN}1,11,injection,plasma\n")
    assert samples_hash(path) != before
    with pytest.raises(EprimgError, match="cannot be read") as caught:
        settings_hash(Config().with_assignments(["kinetics.blood_samples=gone.csv"]))
    assert caught.value.code == "E_BLOOD_SAMPLES"
