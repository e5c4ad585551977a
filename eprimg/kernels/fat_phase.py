"""Phase between fat and water at the echo times of a gradient echo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eprimg.errors import InputError

__all__ = ["FAT_SHIFT_PPM", "IN_PHASE_CYCLES", "fat_cycles", "in_phase_echoes"]

FAT_SHIFT_PPM = 3.4
"""Main fat peak (methylene, 1.3 ppm) against water (4.7 ppm)."""

IN_PHASE_CYCLES = 0.1
"""An echo counts as in phase within this part of a fat-water period (36 degrees)."""

_PROTON_HZ_PER_T = 42.577478518e6


def fat_cycles(
    echo_times_s: Sequence[float] | NDArray[np.floating], field_strength_t: float
) -> NDArray[np.float64]:
    r"""Count the turns that the main fat peak has lost against water at every echo.

    Parameters
    ----------
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times in seconds.
    field_strength_t : float
        Field strength in tesla.

    Returns
    -------
    ndarray of float64, shape (n_echoes,)
        Turns: whole numbers are in phase, halves are opposed.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for a field strength that is not finite and positive.

    Notes
    -----
    ``turns = TE B0 gamma / (2 pi) delta`` with ``delta`` = 3.4 ppm, the distance of the methylene
    peak (1.3 ppm, about 70 % of the fat signal) from water (4.7 ppm) in liver [1]_, and the
    gyromagnetic ratio of the proton, 42.577 MHz/T (CODATA 2018).  One period is 2.30 ms at 3 T and
    4.61 ms at 1.5 T.  Water shifts with temperature, by -0.01 ppm per kelvin, so that 3.4 to
    3.5 ppm are met in practice: 3 % of a turn in every turn.  The smaller peaks of fat are left
    out, which makes late echoes less in phase than stated.

    References
    ----------
    .. [1] Hamilton G, et al. In vivo characterization of the liver fat 1H MR spectrum. NMR in
       Biomedicine 2011;24:784. doi:10.1002/nbm.1622
    """
    if not (np.isfinite(field_strength_t) and field_strength_t > 0.0):
        raise InputError(
            "a field strength is finite and positive",
            code="E_ARGUMENT",
            where="field_strength_t",
            value=field_strength_t,
            action="give it in tesla",
        )
    shift_hz = _PROTON_HZ_PER_T * 1e-6 * FAT_SHIFT_PPM * field_strength_t
    return np.asarray(echo_times_s, dtype=np.float64) * shift_hz


def in_phase_echoes(
    echo_times_s: Sequence[float] | NDArray[np.floating], field_strength_t: float
) -> NDArray[np.bool_]:
    """Tell at which echoes fat and water are in phase.

    Parameters
    ----------
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times in seconds.
    field_strength_t : float
        Field strength in tesla.

    Returns
    -------
    ndarray of bool, shape (n_echoes,)
        True within `IN_PHASE_CYCLES` of a whole number of turns.

    Raises
    ------
    InputError
        See `fat_cycles`.

    Notes
    -----
    At the edge of the tolerance, 36 degrees, a voxel with 20 % fat shows 97 % of its signal;
    halfway between two in-phase echoes, 60 %.
    """
    turns = fat_cycles(echo_times_s, field_strength_t)
    near: NDArray[np.bool_] = np.abs(turns - np.round(turns)) <= IN_PHASE_CYCLES
    return near
