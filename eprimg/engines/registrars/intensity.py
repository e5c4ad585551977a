"""Values of different kinds made comparable before they are compared.

Only the comparison sees these values: no number that leaves the house is made from them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.rigid_settings import IntensitySettings
from eprimg.errors import InputError
from eprimg.model.volume import Volume

__all__ = ["comparable_values"]

_QUANTILE_SAMPLE = 200_000
_ACTIVITY = frozenset({"activity", "suvbw", "pid_per_kg", "pid_per_ml"})


def comparable_values(
    volume: Volume, settings: IntensitySettings, *, what: str = "the series"
) -> npt.NDArray[np.float32]:
    """Clip, take the root of activity, and shift to start at 0.

    Parameters
    ----------
    volume : Volume
        A 3-D volume; its quantity decides what is done.
    settings : IntensitySettings
        Quantiles and windows.
    what : str
        Name for messages.

    Returns
    -------
    ndarray, shape (k, j, i), float32
        Values from 0 upwards, in no unit.

    Raises
    ------
    InputError
        ``E_REGISTRATION_SMALL``, ``E_REGISTRATION_VALUES`` or ``E_CONSTANT``.

    Notes
    -----
    The root of activity evens out count noise (the variance of a count is its mean), so that one
    bin width suits both the warm and the hot tissue.
    """
    if volume.data.ndim != 3 or min(volume.data.shape) < 4:
        raise InputError(
            f"{what} cannot be aligned: registration needs one value per voxel and at least four "
            "voxels along each axis",
            code="E_REGISTRATION_SMALL",
            where=what,
            value=volume.data.shape,
            action="give a volume, not a few slices",
        )
    values = volume.data.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(
            f"{what} has voxels that are not finite numbers",
            code="E_REGISTRATION_VALUES",
            where=what,
            value=int(np.count_nonzero(~np.isfinite(values))),
            action="look at the series; it must be whole to be aligned",
        )
    key = volume.quantity.key
    if key == "hounsfield":
        low, high = settings.ct_window_low_hu, settings.ct_window_high_hu
    else:
        # An even stride keeps the quantiles reproducible without sorting the whole volume.
        sample = values.ravel()[:: max(1, values.size // _QUANTILE_SAMPLE)]
        low, high = (
            float(q) for q in np.quantile(sample, (settings.low_quantile, settings.high_quantile))
        )
        if key in _ACTIVITY:
            low = 0.0
        if high <= low:
            low, high = float(values.min()), float(values.max())
    np.clip(values, low, high, out=values)
    values -= np.float32(low)
    if float(np.ptp(values)) <= 0.0:
        raise InputError(
            f"{what} has the same value everywhere",
            code="E_CONSTANT",
            where=what,
            value=float(volume.data.flat[0]),
            action="look at the series: it may be empty",
        )
    if key in _ACTIVITY and settings.root_of_activity:
        np.sqrt(values, out=values)
    return values
