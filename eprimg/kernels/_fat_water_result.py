"""What the fat-water fit gives back: values, doubts, and the reason where there is no value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAT_WATER_REASON_TEXT", "FatSpectrum", "FatWaterFit", "FatWaterReason", "PhaseSign"]


class FatSpectrum(NamedTuple):
    """Where the resonances of fat lie, and how strong each is.

    Attributes
    ----------
    name : str
        Name, for messages and method texts.
    shift_ppm : tuple of float
        Chemical shift of each peak minus that of water, in ppm (most are negative).
    amplitude : tuple of float
        Share of each peak in the fat signal; they add up to one.
    """

    name: str
    shift_ppm: tuple[float, ...]
    amplitude: tuple[float, ...]


class FatWaterReason(IntEnum):
    """Why a voxel has no value; `FAT_WATER_REASON_TEXT` says it in words."""

    OK = 0
    MASKED = 1
    NON_FINITE = 2
    NO_SIGNAL = 3
    LOW_SIGNAL = 4
    AMBIGUOUS = 5
    AT_BOUND = 6
    NOT_CONVERGED = 7


FAT_WATER_REASON_TEXT: Mapping[FatWaterReason, str] = MappingProxyType(
    {
        FatWaterReason.OK: "fitted",
        FatWaterReason.MASKED: "outside the mask, not fitted",
        FatWaterReason.NON_FINITE: "a sample is NaN or infinite",
        FatWaterReason.NO_SIGNAL: "every sample is zero",
        FatWaterReason.LOW_SIGNAL: (
            "the samples hardly rise above the noise, or water plus fat is not two standard errors "
            "above zero"
        ),
        FatWaterReason.AMBIGUOUS: (
            "two answers (as a rule with water and fat exchanged) explain the samples and the "
            "neighbours about equally well"
        ),
        FatWaterReason.AT_BOUND: "the best R2* lies at an end of the range that was searched",
        FatWaterReason.NOT_CONVERGED: "the fit did not settle",
    }
)
"""One plain sentence per reason code."""


class FatWaterFit(NamedTuple):
    """Result of `fit_fat_water`; every array has the leading shape of the signal.

    Attributes
    ----------
    r2star_per_s : ndarray of float32 or float64
        R2*, common to water and fat, in 1/s; NaN where `reason` is not OK.
    pdff_percent : ndarray, same type
        Fat fraction ``100 F / (W + F)``; noise may carry it a little below 0 or above 100.
    field_map_hz : ndarray, same type
        Offset of the water resonance in Hz.  With evenly spaced echoes it is only known up to
        multiples of one over the spacing.
    s0 : ndarray, same type
        ``W + F``: signal at echo time zero, in the unit of the input.
    r2star_se_per_s, pdff_se_percent, field_map_se_hz, s0_se : ndarray, same type
        Standard errors in the units of the values.
    phase_rad : ndarray, same type
        Phase common to water and fat at echo time zero.
    rmse : ndarray, same type
        Root mean square of the complex residual, in the unit of the input.
    reason : ndarray of uint8
        `FatWaterReason` of each voxel.
    """

    r2star_per_s: NDArray[np.floating]
    pdff_percent: NDArray[np.floating]
    field_map_hz: NDArray[np.floating]
    s0: NDArray[np.floating]
    r2star_se_per_s: NDArray[np.floating]
    pdff_se_percent: NDArray[np.floating]
    field_map_se_hz: NDArray[np.floating]
    s0_se: NDArray[np.floating]
    phase_rad: NDArray[np.floating]
    rmse: NDArray[np.floating]
    reason: NDArray[np.uint8]


class PhaseSign(NamedTuple):
    """Which way the phase turns, as the samples tell it.

    Attributes
    ----------
    sign : int
        +1 where fat falls behind water as the phase is stored, -1 where the phase is stored with
        the other sign; the better of the two even when undecided.
    decided : bool
        Whether the samples tell the two apart.
    gain : float
        By how much the residual sum of squares is smaller with `sign`, in variances of the noise.
    n_voxels : int
        Voxels that were asked.
    """

    sign: int
    decided: bool
    gain: float
    n_voxels: int
