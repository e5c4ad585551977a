"""First way of the compiled first-moment fit: Newton steps in float32 that run over voxels.

A coarse polynomial of the mean magnitude is enough there: `_r2star_rician_block_numba` finishes
every voxel in float64.  A voxel that does not go straight down to its minimum is given up.
"""

# numba ships no type information; under mypy its decorators are untyped and so are the signatures.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import numpy as np
from numba import njit

from eprimg.kernels import _r2star_block_numba as block
from eprimg.kernels._r2star_block_numba import BLOCK, OPTIONS

__all__ = [
    "AMPLITUDE",
    "GOOD",
    "I00",
    "I01",
    "I11",
    "RATE",
    "RATE_LOW",
    "ROWS32",
    "descend",
    "horner4",
]

ITERATIONS32 = 10
# A step below it is the last one of float32; the next would be a few times its square.
TOLERANCE32 = np.float32(3e-4)
# Newton's steps beyond these are not trusted.
LONGEST = np.float32(1.0)
RATE_LOW = np.float32(-14.9)
# From here on (squared signal over noise) the bend of the mean is nothing beside its slope.
STRAIGHT = np.float32(1000.0)

_F = np.float32
_ZERO, _HALF, _ONE, _TWO = _F(0.0), _F(0.5), _F(1.0), _F(2.0)
_E3, _E4, _E5, _E6 = _F(1.0 / 6.0), _F(1.0 / 24.0), _F(1.0 / 120.0), _F(1.0 / 720.0)
_LOG2E, _LN2_HIGH, _LN2_LOW = _F(1.44269504), _F(0.693359375), _F(-2.12194440e-4)
_ROUND = _F(12582912.0)  # 1.5 * 2**23: adding and subtracting it rounds to the nearest integer
_EXP_LIMIT = _F(80.0)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)

# Rows of the float32 scratch array.
_AMP, _RATE, _STEP, _U, _EXP, _BITS = 0, 1, 2, 3, 4, 5
_G0, _G1, _H00, _H01, _H11 = 6, 7, 8, 9, 10
_ACTIVE, _GOOD = 11, 12
ROWS32 = 13
# Rows of the float64 one: the first belongs to `exp_block`, the last three are the inverse of the
# curvature, as float32 leaves it.
RATE, AMPLITUDE, GOOD = block.RATE, 7, 15
I00, I01, I11 = 22, 23, 24


@njit(**OPTIONS)  # pragma: no cover
def horner4(p, d, x, c3, c2, c1, c0):
    """Take four steps of Horner's scheme for a polynomial and its derivative."""
    d = d * x + p
    p = p * x + c3
    d = d * x + p
    p = p * x + c2
    d = d * x + p
    p = p * x + c1
    d = d * x + p
    p = p * x + c0
    return p, d


@njit(**OPTIONS)  # pragma: no cover
def _exp32(w, factor):
    """Write ``exp(-rate factor)`` into row STEP."""
    bits = w.view(np.int32)
    for v in range(BLOCK):
        a = min(max(-w[_RATE * BLOCK + v] * factor, -_EXP_LIMIT), _EXP_LIMIT)
        k = (a * _LOG2E + _ROUND) - _ROUND
        r = (a - k * _LN2_HIGH) - k * _LN2_LOW
        p = ((((_E6 * r + _E5) * r + _E4) * r + _E3) * r + _HALF) * r + _ONE
        w[_EXP * BLOCK + v] = p * r + _ONE
        bits[_BITS * BLOCK + v] = np.int32((np.int32(k) + _BIAS) << _MANTISSA)
    for v in range(BLOCK):
        w[_STEP * BLOCK + v] = w[_EXP * BLOCK + v] * w[_BITS * BLOCK + v]


@njit(**OPTIONS)  # pragma: no cover
def _newton_sums(y, tau, even, w, coefficients, centre, n_coils):
    """Sum the gradient and the curvature of half the squared residuals, in float32.

    With ``a = u**2`` and ``x = (a - c) / (a + c)`` the mean is ``m = sqrt(a + p(x))``; its bend
    follows from Kummer's equation, ``m'' = m + (m' / u) (1 - 2 N - a)``.
    """
    c = coefficients
    twice = _TWO * centre
    edge = _ONE - _TWO * n_coils
    for v in range(BLOCK):
        w[_U * BLOCK + v] = w[_AMP * BLOCK + v]
        w[_G0 * BLOCK + v] = _ZERO
        w[_G1 * BLOCK + v] = _ZERO
        w[_H00 * BLOCK + v] = _ZERO
        w[_H01 * BLOCK + v] = _ZERO
        w[_H11 * BLOCK + v] = _ZERO
    if even:
        _exp32(w, tau[1])
    for i in range(tau.size):
        t = tau[i]
        if not even:
            _exp32(w, t)
            for v in range(BLOCK):
                w[_U * BLOCK + v] = w[_AMP * BLOCK + v] * w[_STEP * BLOCK + v]
        part = y[i * BLOCK : (i + 1) * BLOCK]
        for v in range(BLOCK):
            u = w[_U * BLOCK + v]
            a = u * u
            inverse = _ONE / (a + centre)
            x = (a - centre) * inverse
            p, d = horner4(c[8], _ZERO, x, c[7], c[6], c[5], c[4])
            p, d = horner4(p, d, x, c[3], c[2], c[1], c[0])
            mean = np.sqrt(a + p)
            pull = a * (_ONE + d * twice * inverse * inverse) / mean
            residual = part[v] - mean
            bend = a * mean + pull * (edge - a)
            bend = bend if a < STRAIGHT else _ZERO
            drive = pull * residual
            newton = pull * pull - residual * (bend + pull)
            w[_G0 * BLOCK + v] += drive
            w[_G1 * BLOCK + v] -= drive * t
            w[_H00 * BLOCK + v] += newton
            w[_H01 * BLOCK + v] -= newton * t
            w[_H11 * BLOCK + v] += newton * t * t
            w[_U * BLOCK + v] = u * w[_STEP * BLOCK + v]


@njit(**OPTIONS)  # pragma: no cover
def _newton_step(w, stride, top):
    """Make one Newton step; a voxel that would need more care is given up."""
    moving = 0
    for v in range(BLOCK):
        h00 = w[_H00 * BLOCK + v]
        h01 = w[_H01 * BLOCK + v]
        h11 = w[_H11 * BLOCK + v]
        g0 = w[_G0 * BLOCK + v]
        g1 = w[_G1 * BLOCK + v]
        determinant = h00 * h11 - h01 * h01
        inverse = _ONE / determinant
        move_a = (h11 * g0 - h01 * g1) * inverse
        move_r = (h00 * g1 - h01 * g0) * inverse
        rate = w[_RATE * BLOCK + v]
        proposed = rate + move_r
        good = (
            (h00 > _ZERO)
            & (determinant > _ZERO)
            & (abs(move_a) < LONGEST)
            & (abs(move_r) < stride)
            & (proposed > RATE_LOW)
            & (proposed < top)
        )
        active = w[_ACTIVE * BLOCK + v]
        held = w[_GOOD * BLOCK + v]
        w[_GOOD * BLOCK + v] = held if good else held * (_ONE - active)
        move_a = move_a * active if good else _ZERO
        move_r = move_r * active if good else _ZERO
        # The exponential of a step of at most 1; its first terms make a step as good.
        w[_AMP * BLOCK + v] *= _ONE + move_a * (_ONE + move_a * (_HALF + move_a * _E3))
        w[_RATE * BLOCK + v] = rate + move_r
        wide = (abs(move_a) > TOLERANCE32) | (abs(move_r) > TOLERANCE32 * (_ONE + abs(rate)))
        still = (active > _ZERO) & good & wide
        w[_ACTIVE * BLOCK + v] = _ONE if still else _ZERO
        moving += 1 if still else 0
    return moving


@njit(**OPTIONS)  # pragma: no cover
def descend(y, y32, tau32, even, w, w32, coefficients, centre, n_coils, stride, top):
    """Go to the minimum as far as float32 leads.

    Parameters
    ----------
    y : ndarray of float64, shape (n_echoes * BLOCK,)
        Samples over the noise, echoes as rows.
    y32 : ndarray of float32, shape (n_echoes * BLOCK,)
        Scratch.
    tau32 : ndarray of float32, shape (n_echoes,)
        Echo times shifted and scaled to 0..1.
    even : bool
        The echoes are evenly spaced.
    w : ndarray of float64, shape (ROWS * BLOCK,)
        Rows AMPLITUDE and RATE hold the start, and then the result; row GOOD is 0 where it failed;
        the rows from I00 on hold the inverse of the curvature.
    w32 : ndarray of float32, shape (ROWS32 * BLOCK,)
        Scratch.
    coefficients : tuple of float32, length 9
        Coarse polynomial of the mean magnitude.
    centre, n_coils : float32
        What else belongs to it.
    stride, top : float32
        Longest step of the rate, and its upper bound.
    """
    for k in range(y.size):
        y32[k] = np.float32(y[k])
    for v in range(BLOCK):
        w32[_AMP * BLOCK + v] = np.float32(w[AMPLITUDE * BLOCK + v])
        w32[_RATE * BLOCK + v] = np.float32(w[RATE * BLOCK + v])
        w32[_ACTIVE * BLOCK + v] = _ONE
        w32[_GOOD * BLOCK + v] = _ONE
    for _ in range(ITERATIONS32):
        _newton_sums(y32, tau32, even, w32, coefficients, centre, n_coils)
        if _newton_step(w32, stride, top) == 0:
            break
    for v in range(BLOCK):
        h00 = np.float64(w32[_H00 * BLOCK + v])
        h01 = np.float64(w32[_H01 * BLOCK + v])
        h11 = np.float64(w32[_H11 * BLOCK + v])
        inverse = 1.0 / (h00 * h11 - h01 * h01)
        w[I00 * BLOCK + v] = h11 * inverse
        w[I01 * BLOCK + v] = -h01 * inverse
        w[I11 * BLOCK + v] = h00 * inverse
        w[AMPLITUDE * BLOCK + v] = np.float64(w32[_AMP * BLOCK + v])
        w[RATE * BLOCK + v] = np.float64(w32[_RATE * BLOCK + v])
        good = (w32[_GOOD * BLOCK + v] == _ONE) & (w32[_ACTIVE * BLOCK + v] == _ZERO)
        w[GOOD * BLOCK + v] = 1.0 if good else 0.0
