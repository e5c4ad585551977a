from __future__ import annotations

import math

import pytest

from eprimg.model.relaxivity import RelaxivityModel


def test_words_name_curve_medium_field_range_and_source():
    line = RelaxivityModel(
        "x-3t", 3.0, "plasma", (55.7, 0.0), ((1.0, 0.0), (0.0, 0.0)), (0.26, 4.2), citation="A 2018"
    )
    assert line.words() == (
        "x-3t: r2* 55.7 L/(mmol s) in plasma at 3 T, 0.26 to 4.2 mmol/L (A 2018)"
    )
    assert math.isinf(line.degrees_of_freedom)
    bent = RelaxivityModel(
        "calibration", 1.5, "agar", (60.0, -2.5), ((1.0, 0.0), (0.0, 0.0)), (0.0, 4.0), 5.0, "f.csv"
    )
    assert "60 c -2.5 c²" in bent.words()
    with pytest.raises(AttributeError):
        bent.key = "other"
