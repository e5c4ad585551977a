"""Compiled part of the noise-floor modes: voxels without signal, and echoes that are left out.

The same steps as the numpy path of `eprimg.kernels._r2star_noise`; the tests compare the two.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

from eprimg.kernels._r2star_block_numba import BLOCK, OPTIONS, PHI, RATE, STEP, exp_block, log_block
from eprimg.kernels._r2star_numba import fit_block, scratch_of

__all__ = ["refuse_low", "truncate_chunk"]

# Room for the rounding of the exponential where voxels are picked.
NEARLY = 1.0 + 1e-9


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
def _below(rate, s0, sigma, lowest, last, w, bits):
    """List the voxels whose fitted decay may lie below the limit at the last echo."""
    n_voxels = rate.size
    found = np.empty(n_voxels, np.int64)
    count = 0
    for first in range(0, n_voxels, BLOCK):
        filled = min(BLOCK, n_voxels - first)
        rates = rate[first : first + filled]
        signals = s0[first : first + filled]
        levels = sigma[first : first + filled]
        for v in range(filled):
            # A failed fit is NaN; a rising one is sorted out when it is looked at.
            w[RATE * BLOCK + v] = max(rates[v], 0.0) if rates[v] == rates[v] else 0.0
        exp_block(w, bits, STEP, last)
        for v in range(filled):
            # A little more than the limit: whoever passes is looked at again.
            limit = lowest * levels[v] * NEARLY
            w[STEP * BLOCK + v] = 1.0 if signals[v] * w[STEP * BLOCK + v] < limit else 0.0
        for v in range(filled):
            found[count] = first + v
            count += 1 if w[STEP * BLOCK + v] > 0.0 else 0
    return found[:count]


@njit(**OPTIONS)  # pragma: no cover
def truncate_chunk(
    signal,
    times,
    even,
    nlls,
    sigma,
    lowest,
    kept,
    min_echoes,
    passes,
    values,
    n_echoes,
    reason,
    codes,
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
    sigma : ndarray of float64, shape (n_voxels,)
        Noise.
    lowest : float
        Multiple of the noise below which an echo is lost.
    kept : ndarray of int16, shape (n_voxels,)
        Echoes that each fit used; updated.
    min_echoes : int
        Echoes that are always kept.
    passes : int
        How often to look again.
    """
    n = signal.shape[1]
    scratch = scratch_of(n)
    outputs = (values, n_echoes, reason, codes)
    rate, s0 = values[0], values[1]
    w, ratios = scratch[0], np.ones(BLOCK)
    looked_at = _below(rate, s0, sigma, lowest, times[n - 1], w, scratch[2])
    ordered = np.empty_like(looked_at)
    for _ in range(passes):
        shorter = 0
        places = np.zeros(n + 1, np.int64)
        for start in range(0, looked_at.size, BLOCK):
            some = looked_at[start : start + BLOCK]
            for v in range(some.size):
                level = lowest * sigma[some[v]]
                # A rising fit leaves nothing out, nor does a failed one, which is NaN.
                ratios[v] = s0[some[v]] / level if rate[some[v]] > 0.0 else 1.0
            # The echo time at which the decay meets the limit is fall / rate.
            log_block(ratios, 0, w, scratch[2], PHI)
            for v in range(some.size):
                voxel = some[v]
                r = np.float64(rate[voxel])
                fall = w[PHI * BLOCK + v]
                if not (r > 0.0 and fall < r * times[n - 1]):
                    continue
                meets = fall / r
                fewer = n
                while fewer > min_echoes and times[fewer - 1] > meets:
                    fewer -= 1
                if fewer < kept[voxel]:
                    kept[voxel] = fewer
                    places[fewer + 1] += 1
                    looked_at[shorter] = voxel
                    shorter += 1
        looked_at = looked_at[:shorter]
        # In the order of the echoes they keep: each number of echoes is one run of voxels.
        for m in range(n):
            places[m + 1] += places[m]
        for k in range(shorter):
            m = kept[looked_at[k]]
            ordered[places[m]] = looked_at[k]
            places[m] += 1
        end = 0
        for m in range(min_echoes, n):
            first, end = end, places[m]
            span = times[m - 1] - times[0]
            tau = (times[:m] - times[0]) / span
            for k in range(first, end, BLOCK):
                filled = min(BLOCK, end - k)
                fit_block(
                    signal,
                    tau,
                    even or m == 2,
                    times[0],
                    span,
                    nlls,
                    ordered[k : k + filled],
                    0,
                    filled,
                    scratch,
                    outputs,
                )
