"""Blood samples of a patient, as an input of kinetic quantities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError

__all__ = ["PlasmaInput"]


@dataclass(frozen=True, eq=False, slots=True)
class PlasmaInput:
    """Blood samples, as the scanner would read them.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds since the injection.
    activity_bq_per_ml : ndarray, shape (n,)
        Decay-corrected to the injection.
    sd_bq_per_ml : ndarray, shape (n,), or None
        Standard deviations.
    is_plasma : bool
        Plasma was counted, not whole blood.
    words : str
        Where the samples come from.
    pet_over_well_counter : float or None
        Cross-calibration that was entered, and is in the activities; None when none was stated.
    """

    times_s: npt.NDArray[np.float64]
    activity_bq_per_ml: npt.NDArray[np.float64]
    sd_bq_per_ml: npt.NDArray[np.float64] | None
    is_plasma: bool
    words: str
    pet_over_well_counter: float | None = None

    def __post_init__(self) -> None:
        """Check that every sample has a time, an activity and, if any has, a deviation."""
        arrays = [self.times_s, self.activity_bq_per_ml]
        arrays += [] if self.sd_bq_per_ml is None else [self.sd_bq_per_ml]
        if self.times_s.ndim != 1 or any(a.shape != self.times_s.shape for a in arrays):
            raise InputError(
                "blood samples need one time, activity and standard deviation each",
                code="E_BLOOD_SAMPLES",
                value=[a.shape for a in arrays],
            )
