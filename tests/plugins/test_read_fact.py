"""Facts that a user types one by one, although some belong together."""

from __future__ import annotations

from datetime import datetime

import pytest

from eprimg.errors import EprimgError
from napari_eprimg.reading.reading_state import read_fact


def test_the_instant_of_an_assay_is_checked_by_itself() -> None:
    assert read_fact("dose_instant", "2026-03-02T09:40:00") == datetime(2026, 3, 2, 9, 40)
    with pytest.raises(EprimgError, match="date with a time"):
        read_fact("dose_instant", "09:40")


def test_a_cross_calibration_is_a_ratio() -> None:
    assert read_fact("pet_over_dose_calibrator", "1,04") == 1.04
    with pytest.raises(EprimgError, match="ratio between"):
        read_fact("pet_over_dose_calibrator", "104")
