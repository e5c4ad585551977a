"""Blood samples as an input: one time, activity and deviation each."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.plasma import PlasmaInput


def test_arrays_fit_together() -> None:
    times = np.array([1.0, 2.0])
    assert PlasmaInput(times, times, None, True, "2 samples").is_plasma
    for activity, sd in ((times[:1], None), (times, times[:1])):
        with pytest.raises(InputError, match="standard deviation each") as caught:
            PlasmaInput(times, activity, sd, False, "")
        assert caught.value.code == "E_BLOOD_SAMPLES"
