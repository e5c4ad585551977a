"""Expected masses: `bc -l` and an independent program, named where they stand."""

from __future__ import annotations

import math

import pytest

from eprimg.errors import InputError
from eprimg.kernels.body_size import (
    body_mass_index_kg_per_m2,
    ideal_body_weight_kg,
    lean_body_mass_james_kg,
    lean_body_mass_kg,
)

# GNU bc 1.07 `bc -l`, scale=30, 2026-11-21: 1.10 W - m (W/H)^2 and 1.07 W - 148 (W/H)^2, H in cm.
JAMES = [
    (70.0, 1.75, "M", 128, 56.52),
    (70.0, 1.75, "M", 120, 57.80),
    (70.0, 1.75, "F", 128, 51.22),
    (70.0, 1.75, "F", 120, 51.22),
    (95.0, 1.80, "M", 128, 68.84567901234568),
    (60.0, 1.60, "F", 128, 43.3875),
]
# Printed example of leanBodyMass() of the R package oro.pet 0.2.3 (James, 128), its manual page.
ORO_PET = [
    (80.0, 2.00, 67.52000, 61.92000),
    (84.0, 1.95, 68.64805, 62.41680),
    (92.0, 1.85, 69.54501, 61.83892),
    (100.0, 1.75, 68.20408, 58.67347),
    (104.0, 1.70, 66.49522, 55.89010),
]


@pytest.mark.parametrize(("weight", "height", "sex", "multiplier", "expected"), JAMES)
def test_james(weight, height, sex, multiplier, expected):
    found = lean_body_mass_james_kg(weight, height, sex, multiplier=multiplier)
    assert found == pytest.approx(expected, rel=1e-13)
    assert lean_body_mass_kg(f"james{multiplier}", weight, height, sex) == found


@pytest.mark.parametrize(("weight", "height", "male", "female"), ORO_PET)
def test_james_equals_another_program(weight, height, male, female):
    assert lean_body_mass_james_kg(weight, height, "M") == pytest.approx(male, abs=5e-6)
    assert lean_body_mass_james_kg(weight, height, "F") == pytest.approx(female, abs=5e-6)


def test_other_sex_is_the_mean_of_both():
    assert lean_body_mass_james_kg(70.0, 1.75, "O") == pytest.approx((56.52 + 51.22) / 2)
    assert ideal_body_weight_kg(1.75, "O") == pytest.approx((72.38 + 66.43) / 2)


def test_janmahasatian_by_name():
    # GNU bc, as in tests/truth/uptake.json
    assert lean_body_mass_kg("janmahasatian", 70.0, 1.75, "F") == pytest.approx(45.19701492537313)


@pytest.mark.parametrize(
    ("sex", "multiplier", "turn"), [("M", 128, 42.96875), ("M", 120, 45.8333), ("F", 128, 36.1486)]
)
def test_james_is_refused_where_it_turns_down(sex, multiplier, turn):
    """d/dW = 0 at BMI = 1e4 a / (2 b): 1e4 1.10/256, 1e4 1.10/240, 1e4 1.07/296."""
    height = 1.70
    below, above = (turn * 0.999) * height**2, (turn * 1.001) * height**2
    lean_body_mass_james_kg(below, height, sex, multiplier=multiplier)
    with pytest.raises(InputError, match="less lean mass"):
        lean_body_mass_james_kg(above, height, sex, multiplier=multiplier)
    # Janmahasatian rises on
    assert lean_body_mass_kg("janmahasatian", above, height, sex) > lean_body_mass_kg(
        "janmahasatian", below, height, sex
    )


@pytest.mark.parametrize(
    ("height", "sex", "expected"),
    [(1.75, "M", 72.38), (1.75, "F", 66.43), (1.90, "M", 88.28), (1.52, "M", 48.0)],
)
def test_ideal_body_weight(height, sex, expected):
    """GNU bc: 48 + 1.06 (H - 152), 45.5 + 0.91 (H - 152)."""
    assert ideal_body_weight_kg(height, sex) == pytest.approx(expected, rel=1e-13)


def test_body_mass_index():
    assert body_mass_index_kg_per_m2(81.0, 1.80) == pytest.approx(25.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_bad_numbers_are_refused(bad):
    for call in (
        lambda: lean_body_mass_james_kg(bad, 1.75, "M"),
        lambda: lean_body_mass_james_kg(70.0, bad, "M"),
        lambda: ideal_body_weight_kg(bad, "M"),
        lambda: body_mass_index_kg_per_m2(bad, 1.75),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"


def test_other_bad_arguments_are_refused():
    with pytest.raises(InputError, match="in cm"):
        lean_body_mass_james_kg(70.0, 175.0, "M")
    with pytest.raises(InputError, match="M, F or O"):
        lean_body_mass_james_kg(70.0, 1.75, "")
    with pytest.raises(InputError, match="M, F or O"):
        ideal_body_weight_kg(1.75, "X")
    with pytest.raises(InputError, match="120 or 128"):
        lean_body_mass_james_kg(70.0, 1.75, "M", multiplier=124)
    with pytest.raises(InputError, match=r"1\.52 m"):
        ideal_body_weight_kg(1.50, "F")
    with pytest.raises(InputError, match="no such formula"):
        lean_body_mass_kg("boer", 70.0, 1.75, "M")


# Taken out of a scanner's number (`undo`), the formulas count where they should not have been used.
@pytest.mark.parametrize(
    ("multiplier", "sex", "expected"),
    # 120 kg, 1.60 m (BMI 46.9, beyond every maximum): (W/H)^2 = 0.5625, so by hand
    # M 132 - 67.5 and 132 - 72; F 128.4 - 83.25
    [(120, "M", 64.5), (128, "M", 60.0), (120, "F", 45.15), (128, "O", 52.575)],
)
def test_what_a_scanner_did_is_undone_beyond_the_maximum(multiplier, sex, expected):
    facts = {"weight_kg": 120.0, "height_m": 1.6, "sex": sex, "multiplier": multiplier}
    assert lean_body_mass_james_kg(**facts, undo=True) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(InputError):
        lean_body_mass_james_kg(**facts)


def test_what_no_body_can_have_is_refused_also_then():
    # 300 kg at 1.4 m: the parabola is below 0; at 90 cm the line of the ideal weight is
    with pytest.raises(InputError):
        lean_body_mass_james_kg(300.0, 1.4, "F", undo=True)
    with pytest.raises(InputError):
        ideal_body_weight_kg(0.9, "M", undo=True)
    # 1.50 m: 48.0 - 2 x 1.06
    assert ideal_body_weight_kg(1.5, "M", undo=True) == pytest.approx(45.88, rel=1e-12)
