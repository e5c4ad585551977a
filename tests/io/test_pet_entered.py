from datetime import date, datetime

import pytest

from eprimg.io.pet_entered import ENTERED_KEYS, read_entered


def test_nothing_entered():
    facts, findings, faults = read_entered({})
    assert facts.dose_bq is None
    assert (findings, faults) == ([], [])


def test_each_entered_fact_is_told():
    facts, findings, faults = read_entered(
        {
            "injection_instant": "2024-01-01T10:00:00",
            "dose_mbq": 37,
            "weight_kg": 71,
            "sex": "f",
            "nuclide": "Zr-89",
            "residual_mbq": 0.5,
            "residual_instant": datetime(2024, 1, 1, 10, 5),
        }
    )
    assert faults == []
    assert facts.injection_instant == datetime(2024, 1, 1, 10)
    assert (facts.dose_bq, facts.residual_bq, facts.weight_kg) == (37e6, 0.5e6, 71.0)
    assert (facts.sex, facts.nuclide) == ("F", "89Zr")
    assert [f.code for f in findings] == ["I_ENTERED"] * 7


@pytest.mark.parametrize(
    "entered",
    [
        {"injection_instant": "2024-01-01"},
        {"injection_instant": date(2024, 1, 1)},
        {"injection_instant": "10:00:00"},
        {"reference_instant": "not an instant at all"},
        {"weight_kg": 0},
        {"weight_kg": 70000.0},
        {"weight_kg": True},
        {"weight_kg": "70"},
        {"height_m": 170.0},
        {"half_life_s": float("nan")},
        {"dose_bq": 37.0},
        {"dose_bq": -1.0},
        {"dose_bq": 37e6, "dose_mbq": 37.0},
        {"sex": "X"},
        {"nuclide": "Xx-1"},
        {"residual_mbq": 1.0},
        {"residual_instant": datetime(2024, 1, 1)},
        {"weight": 70.0},
        {"dose_instant": datetime(2024, 1, 1, 9)},
        {"dose_mbq": 37.0, "dose_instant": "2024-01-01"},
        {"pet_over_dose_calibrator": 0.4},
        {"pet_over_dose_calibrator": 102.0},
    ],
)
def test_what_cannot_be_used_is_refused(entered):
    _, _, faults = read_entered(entered)
    assert [f.code for f in faults] == ["E_ENTERED"]
    assert faults[0].where.startswith("study.toml ")


def test_the_keys_of_the_study_file_are_known():
    from eprimg.io import study_file

    for section in ("injection", "patient"):
        for key in study_file._SECTIONS[section]:
            assert ("injection_instant" if key == "instant" else key) in ENTERED_KEYS
