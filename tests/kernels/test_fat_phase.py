"""Fat-water phase against the published period and hand-made sums."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.fat_phase import fat_cycles, in_phase_echoes


@pytest.mark.parametrize(
    ("field_t", "in_phase_ms"),
    # Textbook in-phase echo times: about 4.6 ms at 1.5 T and 2.3 ms at 3 T.
    [(1.5, 4.6), (3.0, 2.3)],
)
def test_the_known_in_phase_times(field_t, in_phase_ms):
    turns = fat_cycles([in_phase_ms * 1e-3, in_phase_ms * 2e-3], field_t)
    assert turns == pytest.approx([1.0, 2.0], abs=0.01)
    assert fat_cycles([in_phase_ms * 5e-4], field_t) == pytest.approx(0.5, abs=0.01)


def test_in_phase_within_a_tenth_of_a_period():
    # Period by hand: 1 / (42.577 MHz/T * 3 T * 3.4e-6) = 2.3026 ms; a tenth is 0.230 ms.
    period_s = 1.0 / (42.577478518e6 * 3.0 * 3.4e-6)
    offsets = np.array([-0.11, -0.09, 0.0, 0.09, 0.11, 0.5])
    assert in_phase_echoes((1.0 + offsets) * period_s, 3.0).tolist() == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_signal_at_the_edge_of_the_tolerance():
    # |0.8 + 0.2 exp(i 36 deg)| from the definition of the sum of two vectors.
    assert abs(0.8 + 0.2 * np.exp(1j * np.deg2rad(36.0))) == pytest.approx(0.97, abs=0.005)
    assert abs(0.8 - 0.2) == pytest.approx(0.60)


@pytest.mark.parametrize("field_t", [0.0, -3.0, float("nan"), float("inf")])
def test_a_field_without_meaning_is_refused(field_t):
    with pytest.raises(InputError) as caught:
        fat_cycles([0.002], field_t)
    assert caught.value.code == "E_ARGUMENT"
