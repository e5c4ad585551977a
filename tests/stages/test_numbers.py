from __future__ import annotations

import math

from eprimg.model.lesions import Measurement
from eprimg.stages.numbers import find_number


def number(value, source="pet"):
    return Measurement("suvbw", "mean", source, value, math.nan, "none", 9, "g")


def test_new_numbers_win_over_kept_ones():
    kept = {1: (number(1.0),), 2: (number(2.0),)}
    new = {1: [number(3.0)]}
    assert find_number(new, kept, 1, "suvbw", "mean", "pet").value == 3.0
    assert find_number(new, kept, 2, "suvbw", "mean", "pet").value == 2.0


def test_nothing_is_found_for_another_source_statistic_or_region():
    new = {1: [number(3.0)]}
    assert find_number(new, {}, 1, "suvbw", "mean", "mr_post") is None
    assert find_number(new, {}, 1, "suvbw", "max", "pet") is None
    assert find_number(new, {}, 4, "suvbw", "mean", "pet") is None
    # A region that is being measured again has no old numbers.
    assert find_number({1: []}, {1: (number(1.0),)}, 1, "suvbw", "mean", "pet") is None
