import pytest

from eprimg.errors import InputError
from eprimg.kernels.body_factors import (
    ideal_body_weight_kg,
    lean_body_mass_james128_kg,
    lean_body_mass_morgan_kg,
)

# 80 kg, 1.60 m: (W/H)^2 = 0.25 exactly, so by hand
# 120: M 88 - 30 = 58; F 85.6 - 37 = 48.6; 128: M 88 - 32 = 56; F as before; O: the mean
CASES = [
    (lean_body_mass_morgan_kg, "M", 58.0),
    (lean_body_mass_morgan_kg, "F", 48.6),
    (lean_body_mass_morgan_kg, "O", 53.3),
    (lean_body_mass_james128_kg, "M", 56.0),
    (lean_body_mass_james128_kg, "F", 48.6),
    (lean_body_mass_james128_kg, "O", 52.3),
]


@pytest.mark.parametrize(("formula", "sex", "expected"), CASES)
def test_lean_mass_by_hand(formula, sex, expected):
    assert formula(80.0, 1.6, sex) == pytest.approx(expected, rel=1e-12)


# 1.72 m is 20 cm above 152: M 48 + 21.2, F 45.5 + 18.2
@pytest.mark.parametrize(("sex", "expected"), [("M", 69.2), ("F", 63.7), ("O", 66.45)])
def test_ideal_weight_by_hand(sex, expected):
    assert ideal_body_weight_kg(1.72, sex) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("formula", [lean_body_mass_morgan_kg, lean_body_mass_james128_kg])
@pytest.mark.parametrize(
    ("weight", "height", "sex"),
    # the parabola is below 0 for 300 kg at 1.4 m; the others are no arguments
    [(300.0, 1.4, "F"), (0.0, 1.7, "M"), (70.0, 170.0, "M"), (70.0, 1.7, ""), (70.0, -1.0, "F")],
)
def test_lean_mass_is_refused_where_it_means_nothing(formula, weight, height, sex):
    with pytest.raises(InputError):
        formula(weight, height, sex)


@pytest.mark.parametrize(("height", "sex"), [(0.9, "M"), (172.0, "M"), (1.7, "X"), (0.0, "F")])
def test_ideal_weight_is_refused_where_it_means_nothing(height, sex):
    # at 90 cm the line is below zero: 62 cm below 152 cost 65.7 kg
    with pytest.raises(InputError):
        ideal_body_weight_kg(height, sex)
