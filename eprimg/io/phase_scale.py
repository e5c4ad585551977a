"""Which radians a stored phase value means, as far as the header states it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from eprimg.errors import InputError
from eprimg.io.instance import Instance
from eprimg.io.makers import is_philips, is_siemens

__all__ = ["phase_rescale", "sign_words"]

_UNITS_RAD = {"MRAD": 1e-3, "RAD": 1.0}
"""RescaleType (0028,1054) -> radians per unit."""
_MRAD_FULL_SCALE = (3141.0, 3143.0)
"""Full scale that Philips rounds pi in milliradians to (seen: 3142)."""
_OVER = 2e-3
"""Relative excess of a full scale above pi that rounding explains (3142 mrad: 1.3e-4)."""
_FLOATING_TOLERANCE = 0.01
_TAGS = "RescaleSlope, RescaleIntercept, RescaleType (0028,1053), (0028,1052), (0028,1054)"


def phase_rescale(frame: Instance, *, what: str) -> tuple[float, float]:
    """Return slope and intercept that turn stored values of a phase frame into radians.

    Parameters
    ----------
    frame : Instance
        A phase frame.
    what : str
        Name of the series in messages.

    Returns
    -------
    tuple of float
        Slope (rad per stored unit) and intercept (rad).

    Raises
    ------
    InputError
        ``E_PHASE`` when the header does not state what range stands for one turn.

    Notes
    -----
    The value after the rescale is v = RescaleSlope x stored + RescaleIntercept.  Accepted are,
    in this order:

    * RescaleType ``mrad`` or ``rad``: v is in that unit (Philips; the Real World Value Mapping of
      such files names the UCUM unit mrad too).
    * Philips without that word: the full scale of v is -3142 to 3142, which is milliradian.  Where
      the private scale slope SS (2005,xx0E) is there, the floating-point value of Chenevert 2014
      (doi:10.1593/tlo.13811), v / (RescaleSlope SS), has to be the same angle within 1 %.
    * Siemens: v runs from -R to R - RescaleSlope with R = -RescaleIntercept, and R stands for pi
      (-4096 to 4094 with slope 2 and 12 stored bits;
      https://github.com/CMRR-C2P/MB/issues/238, https://github.com/MRtrix3/mrtrix3/issues/3009).

    Anything else is refused, also a full scale of more than one turn: GE and files without a
    rescale do not state their range, and the largest value that happens to occur is no statement.
    """
    low, high = _full_scale(frame)
    unit_rad = _UNITS_RAD.get(frame.rescale_type.strip().upper())
    if unit_rad is None and is_philips(frame.manufacturer):
        if all(_MRAD_FULL_SCALE[0] <= abs(x) <= _MRAD_FULL_SCALE[1] for x in (low, high)):
            unit_rad = 1e-3
    elif unit_rad is None and is_siemens(frame.manufacturer) and frame.intercept < 0:
        step = abs(frame.slope)
        if math.isclose(low, frame.intercept) and math.isclose(high, -frame.intercept - step):
            unit_rad = math.pi / -frame.intercept
    if unit_rad is None:
        raise _refusal(
            what,
            frame,
            f"its header does not state which values stand for one turn (rescaled values can run "
            f"from {low:g} to {high:g}, RescaleType {frame.rescale_type or 'absent'!s})",
        )
    limit = math.pi * (1.0 + _OVER)
    if max(abs(low), abs(high)) * unit_rad > limit or (high - low) * unit_rad > 2.0 * limit:
        raise _refusal(
            what,
            frame,
            f"values can run from {low * unit_rad:.4g} to {high * unit_rad:.4g} rad, which is more "
            "than one turn around zero",
        )
    scale_slope = frame.philips_scale_slope
    if is_philips(frame.manufacturer) and scale_slope:
        floating_rad = 1.0 / (frame.slope * scale_slope)
        if abs(floating_rad / unit_rad - 1.0) > _FLOATING_TOLERANCE:
            raise _refusal(
                what,
                frame,
                f"the Philips scale slope (2005,xx0E) makes one rescaled unit {floating_rad:.4g} "
                f"rad, the rescale {unit_rad:.4g} rad",
            )
    return frame.slope * unit_rad, frame.intercept * unit_rad


def sign_words(frames: Sequence[Instance]) -> str:
    """Say what is known about the sense in which phase grows.

    Parameters
    ----------
    frames : sequence of Instance
        Phase, real or imaginary frames.

    Returns
    -------
    str
        In words; no DICOM element states the sense of rotation.
    """
    maker = frames[0].manufacturer or "the manufacturer"
    return (
        f"as stored by {maker}; no element states the sense of rotation, so the sign of "
        "frequencies (and with it fat against water) has to be given or found by the fit"
    )


def _full_scale(frame: Instance) -> tuple[float, float]:
    """Return the lowest and highest rescaled value that the stored bits can hold."""
    if frame.pixel_representation:
        first, last = -(1 << (frame.bits_stored - 1)), (1 << (frame.bits_stored - 1)) - 1
    else:
        first, last = 0, (1 << frame.bits_stored) - 1
    ends = [frame.slope * x + frame.intercept for x in (first, last)]
    return min(ends), max(ends)


def _refusal(what: str, frame: Instance, why: str) -> InputError:
    return InputError(
        f"{what}: the phase cannot be turned into radians: {why}",
        code="E_PHASE",
        where=f"{_TAGS} in {frame.name}",
        value=(frame.slope, frame.intercept, frame.rescale_type),
        action="export phase with its rescale, or give real and imaginary series; R2* from "
        "magnitude is not affected",
    )
