"""Whether a reference region can stand below the line of a ratio."""

from __future__ import annotations

import math

from eprimg.config import MeasureConfig
from eprimg.model.lesions import Measurement, Region
from eprimg.stages.coverage import coverage_of
from eprimg.stages.numbers import Kept, Numbers, find_number

__all__ = ["judge_denominator"]

_LEAST_INSIDE = 0.5
_LEAST_VOXELS = 20
_LEAST_VOLUME_ML = 0.5
"""Less of a reference region than this gives no ratio: its mean is then ruled by noise, by partial
volume, or by whichever end of the organ happens to be in view.  House rule, not published."""

_PERCIST_VOLUME_ML = math.pi / 4.0 * 1.0**2 * 2.0
"""Blood pool region of PERCIST: a cylinder of 1 cm diameter and 2 cm length (Wahl et al., J Nucl
Med 2009;50 Suppl 1:122S, doi:10.2967/jnumed.108.057307).  A smaller region gets a note."""


def judge_denominator(
    numbers: Numbers,
    kept: Kept,
    region: Region,
    below: Measurement | None,
    source: str,
    config: MeasureConfig,
    *,
    voxel_ml: float = math.nan,
) -> tuple[str, str]:
    """Say whether the mean of a reference region can be divided by.

    Parameters
    ----------
    numbers, kept
        As in `find_number`.
    region : Region
        The reference region.
    below : Measurement or None
        Its mean.
    source : str
        ``mr_post`` or ``pet``.
    config : MeasureConfig
        ``minimum_coverage``.
    voxel_ml : float
        Volume of a voxel of the native grid; when left out, the volume of the region on the
        reference grid and its coverage tell how much was seen.

    Returns
    -------
    refusal : str
        Why no ratio can be formed; empty when it can.
    note : str
        What the reader of the ratio has to know; empty when nothing.
    """
    if below is None or not below.value > 0:
        return f"{region.name} was not measured", ""
    share = coverage_of(numbers, kept, region.id, source)
    if share < _LEAST_INSIDE:
        return (
            f"only {100 * share:.0f} % of the {region.name} lies in the field of view of {source}, "
            f"less than {100 * _LEAST_INSIDE:.0f} %"
        ), ""
    volume = find_number(numbers, kept, region.id, "volume", "volume", "reference")
    seen = below.n_voxels * voxel_ml
    if not math.isfinite(seen) and volume is not None:
        seen = volume.value * share
    if below.n_voxels < _LEAST_VOXELS or seen < _LEAST_VOLUME_ML:
        return (
            f"the {region.name} has {below.n_voxels} voxels"
            + (f" ({seen:.2g} mL)" if math.isfinite(seen) else "")
            + f", fewer than {_LEAST_VOXELS} or less than {_LEAST_VOLUME_ML:g} mL"
        ), ""
    notes = []
    if share < config.minimum_coverage:
        notes.append(
            f"only {100 * share:.0f} % of the {region.name} lies in the field of view of {source}"
        )
    if seen < _PERCIST_VOLUME_ML:
        notes.append(f"the {region.name} is small ({seen:.2g} mL)")
    return "", "; ".join(notes)
