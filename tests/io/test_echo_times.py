"""Echo times that cannot be used are refused in words."""

from __future__ import annotations

import pytest

from eprimg.errors import InputError
from eprimg.io.echo_times import check_echo_times_ms


@pytest.mark.parametrize(
    "times", [[], [2.0], [-1.0, 2.0], [0.001, 0.002], [4000.0, 8000.0], [float("nan"), 2.0]]
)
def test_echo_times_that_are_refused(times):
    with pytest.raises(InputError, match="E_ECHO"):
        check_echo_times_ms(times, where="test")
