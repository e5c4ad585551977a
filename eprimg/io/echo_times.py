"""Echo times that R2* can be computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eprimg.errors import EprimgError, InputError, raise_faults

__all__ = ["check_echo_times_ms"]

_LONGEST_MS = 1000.0
_SHORTEST_MS = 0.2
"""No gradient-echo train on a whole-body scanner ends below this; such times are seconds."""


def check_echo_times_ms(times_ms: Sequence[float], *, where: str) -> None:
    """Refuse echo times that R2* cannot be computed from.

    Parameters
    ----------
    times_ms : sequence of float
        Distinct echo times in ms.
    where : str
        File or tag for messages.

    Raises
    ------
    InputError
        ``E_ECHO``: fewer than two, not positive, or apparently in seconds.
    """
    times = [float(t) for t in times_ms]
    faults: list[EprimgError] = []
    if len(times) < 2:
        faults.append(
            InputError(
                f"R2* needs at least two echo times, there {'is' if len(times) == 1 else 'are'} "
                f"{len(times)}",
                code="E_ECHO",
                where=where,
                value=times,
                action="give a multi-echo gradient-echo series",
            )
        )
    if any(not np.isfinite(t) or t <= 0 for t in times):
        faults.append(
            InputError(
                "echo times are positive",
                code="E_ECHO",
                where=where,
                value=times,
                action="correct the echo times",
            )
        )
    elif len(times) >= 2 and max(times) < _SHORTEST_MS:
        shown = ", ".join(f"{t:g}" for t in times)
        faults.append(
            InputError(
                f"echo times of {shown} ms look like seconds: an echo train that ends before "
                f"{_SHORTEST_MS} ms does not exist",
                code="E_ECHO",
                where=where,
                value=times,
                action="write them in milliseconds (DICOM) or seconds (BIDS side-car)",
            )
        )
    elif times and max(times) > _LONGEST_MS:
        faults.append(
            InputError(
                f"an echo time of {max(times):g} ms is not one of a gradient-echo train",
                code="E_ECHO",
                where=where,
                value=times,
                action="check the unit of the echo times",
            )
        )
    raise_faults(faults)
