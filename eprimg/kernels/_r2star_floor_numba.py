"""Compiled part of the noise-floor modes: voxels without signal, and echoes that are left out.

The same steps as the numpy path of `eprimg.kernels._r2star_noise`; the tests compare the two.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

from eprimg.kernels._r2star_block_numba import BLOCK, OPTIONS
from eprimg.kernels._r2star_numba import fit_block, scratch_of

__all__ = ["refuse_low", "truncate_chunk"]

# Places at which the exponential is tabulated, a step of 1 apart.
CHORDS = 32


@njit(**OPTIONS)  # pragma: no cover
def refuse_low(signal, sigma, lowest, values, n_echoes, reason, fitted, no_sigma, low_signal):
    """Take the value from voxels of unknown noise, or whose first echo lies in it.

    Parameters
    ----------
    signal, values, n_echoes, reason
        As in `fit_chunk`.
    sigma : ndarray of float64, shape (n_voxels,)
        Noise.
    lowest : float
        Multiple of the noise that the first echo has to exceed.
    fitted : tuple of int
        Reasons of voxels that are looked at.
    no_sigma, low_signal : int
        Reasons that are given.
    """
    for voxel in range(signal.shape[0]):
        if reason[voxel] != fitted[0] and reason[voxel] != fitted[1]:
            continue
        level = sigma[voxel]
        known = level > 0.0 and level < np.inf
        if known and signal[voxel, 0] > lowest * level:
            continue
        reason[voxel] = low_signal if known else no_sigma
        n_echoes[voxel] = 0
        for output in values:
            output[voxel] = np.nan


@njit(**OPTIONS)  # pragma: no cover
def truncate_chunk(
    signal, times, even, nlls, limit, kept, min_echoes, passes, values, n_echoes, reason, codes
):
    """Leave out the echoes at which the fitted decay lies below the limit, and fit again.

    Parameters
    ----------
    signal, nlls, values, n_echoes, reason, codes
        As in `fit_chunk`; the results of the fit to all echoes stand there.
    times : ndarray of float64, shape (n_echoes,)
        Echo times in seconds.
    even : bool
        As in `fit_chunk`.
    limit : ndarray of float64, shape (n_voxels,)
        Signal below which an echo is lost.
    kept : ndarray of int64, shape (n_voxels,)
        Echoes that each fit used; updated.
    min_echoes : int
        Echoes that are always kept.
    passes : int
        How often to look again.
    """
    n_voxels, n = signal.shape
    scratch = scratch_of(n)
    outputs = (values, n_echoes, reason, codes)
    rate, s0 = values[0], values[1]
    members = np.zeros(BLOCK, np.int64)
    looked_at = np.arange(n_voxels)
    chords = np.exp(np.arange(CHORDS))
    for _ in range(passes):
        shorter = 0
        counts = np.zeros(n + 1, np.int64)
        for k in range(looked_at.size):
            voxel = looked_at[k]
            # A rising fit leaves nothing out, nor does a failed one, which is NaN.
            if not rate[voxel] > 0.0:
                continue
            r = np.float64(rate[voxel])
            above = np.float64(s0[voxel]) / limit[voxel]
            # A chord lies above the exponential: most voxels need no logarithm.
            turns = r * times[n - 1]
            whole = int(min(turns, CHORDS - 2.0))
            chord = chords[whole] + (turns - whole) * (chords[whole + 1] - chords[whole])
            if above >= chord and turns < CHORDS - 2.0:
                continue
            # The echo time at which the decay meets the limit is fall / rate.
            fall = np.log(above)
            if not fall < r * times[n - 1]:
                continue
            fewer = n
            while fewer > min_echoes and times[fewer - 1] > fall / r:
                fewer -= 1
            if fewer < kept[voxel]:
                kept[voxel] = fewer
                counts[fewer] += 1
                looked_at[shorter] = voxel
                shorter += 1
        looked_at = looked_at[:shorter]
        for m in range(min_echoes, n):
            if counts[m] == 0:
                continue
            span = times[m - 1] - times[0]
            tau = (times[:m] - times[0]) / span
            filled = 0
            for k in range(shorter):
                if kept[looked_at[k]] == m:
                    members[filled] = looked_at[k]
                    filled += 1
                    counts[m] -= 1
                    if filled == BLOCK or counts[m] == 0:
                        fit_block(
                            signal,
                            tau,
                            even or m == 2,
                            times[0],
                            span,
                            nlls,
                            members,
                            0,
                            filled,
                            scratch,
                            outputs,
                        )
                        filled = 0
