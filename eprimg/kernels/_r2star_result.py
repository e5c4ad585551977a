"""What the R2* fit gives back: values, doubts, and the reason where there is no value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CODES", "R2STAR_REASON_TEXT", "R2StarFit", "R2StarReason"]


class R2StarReason(IntEnum):
    """Why a voxel has no R2*; `R2STAR_REASON_TEXT` says it in words."""

    OK = 0
    MASKED = 1
    NON_FINITE = 2
    NON_POSITIVE = 3
    TOO_FEW_ECHOES = 4
    NOT_CONVERGED = 5
    LOW_SIGNAL = 6
    AT_BOUND = 7
    NO_SIGMA = 8


R2STAR_REASON_TEXT: Mapping[R2StarReason, str] = MappingProxyType(
    {
        R2StarReason.OK: "fitted",
        R2StarReason.MASKED: "outside the mask, not fitted",
        R2StarReason.NON_FINITE: "a sample is NaN or infinite",
        R2StarReason.NON_POSITIVE: "a sample is zero or negative, so it is not a magnitude signal",
        R2StarReason.TOO_FEW_ECHOES: "fewer than two echoes: a decay rate cannot be formed",
        R2StarReason.NOT_CONVERGED: "the fit did not settle on a finite rate and amplitude",
        R2StarReason.LOW_SIGNAL: "the first echo does not rise above the noise",
        R2StarReason.AT_BOUND: (
            "after the first echo there is only noise: the rate is too high to be measured"
        ),
        R2StarReason.NO_SIGMA: "the noise level of this voxel is not known",
    }
)
"""One plain sentence per reason code."""

CODES = (
    int(R2StarReason.OK),
    int(R2StarReason.MASKED),
    int(R2StarReason.NON_FINITE),
    int(R2StarReason.NON_POSITIVE),
    int(R2StarReason.NOT_CONVERGED),
)
"""The codes that the plain fits write, in the order in which they take them."""


class R2StarFit(NamedTuple):
    """Result of `fit_r2star`; every array has the leading shape of the signal.

    Attributes
    ----------
    r2star_per_s : ndarray of float32 or float64
        Effective transverse relaxation rate in 1/s; NaN where `reason` is not OK.
    s0 : ndarray, same type
        Signal at echo time zero, in the unit of the signal.
    r2star_se_per_s : ndarray, same type
        Standard error of R2* in 1/s from the residuals; NaN with two echoes.
    r2 : ndarray, same type
        Coefficient of determination in signal space, ``1 - RSS / TSS``; NaN with two echoes and
        where the signal is constant over the echoes.
    n_echoes : ndarray of int16
        Echoes used in the fit; 0 where there is none.
    reason : ndarray of uint8
        `R2StarReason` of each voxel.
    s0_se : ndarray, same type as the first
        Standard error of S0, in the unit of the signal; NaN with two echoes.
    r2star_s0_cov_per_s : ndarray, same type
        Covariance of R2* and S0, in the unit of the signal per second; NaN with two echoes.
    rmse : ndarray, same type
        Root mean square residual ``sqrt(RSS / n_echoes)`` in the unit of the signal, against the
        fitted decay (``noise="rician"``: against the mean magnitude it predicts); NaN with two
        echoes, which leave no residual.
    saturated : ndarray of bool
        R2* lies above ``2 / TE_first``: less than 14 % of the signal is left at the first echo, and
        the value, which is kept, rests on very little.

    Notes
    -----
    A 95 % interval is ``value +- t * standard error``, with ``t`` of Student's distribution with
    ``n_echoes - 2`` degrees of freedom.
    """

    r2star_per_s: NDArray[np.floating]
    s0: NDArray[np.floating]
    r2star_se_per_s: NDArray[np.floating]
    r2: NDArray[np.floating]
    n_echoes: NDArray[np.int16]
    reason: NDArray[np.uint8]
    s0_se: NDArray[np.floating]
    r2star_s0_cov_per_s: NDArray[np.floating]
    rmse: NDArray[np.floating]
    saturated: NDArray[np.bool_]
