"""How much memory a study will need, told from its headers, and how much there is.

The plan is a straight line in the bytes that will be held, fitted from above to measured peaks
(one thread, 2026-11, MB resident):

=====================  ======  =====  =======  =======
study                  MR      PET    planned  peak
=====================  ======  =====  =======  =======
small, PET                  0      2      666      169
small, one MR              16      0      689      486
small, two MR              31      0      728      645
small, two MR and PET      31      2      744      716
full, PET                   0     40      970      451
full, one MR              126      0      965      723
full, two MR              252      0     1280     1154
full, two MR and PET      252     40     1600     1419
=====================  ======  =====  =======  =======
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from eprimg.model.study import Role

if TYPE_CHECKING:
    from eprimg.io.entries import SeriesEntry, StudyIndex

__all__ = ["PLANNING_MB", "cap_mb", "default_budget_mb", "planned_memory_mb"]

_MB = 1024.0 * 1024.0
_RESTING_MB = 650.0
"""Libraries, compiled kernels, registration samples and the figures of the report."""

_TIMES = {Role.MR_PRE: 2.5, Role.MR_POST: 2.5, Role.PET: 8.0, Role.CT: 3.0, Role.REGIONS: 2.0}
"""Peak memory per byte of the series, held as 4 bytes per voxel (regions: 1 byte)."""

_SAFETY = 1.5
"""The child is stopped at this multiple of its plan: a plan may be wrong, a machine may not."""

_SHARE = 0.85
"""Part of the machine's memory that a batch takes when nothing is said."""

PLANNING_MB = 768.0
"""Cap while headers are read."""


def planned_memory_mb(index: StudyIndex) -> float:
    """Plan the peak memory of a study from its headers.

    Parameters
    ----------
    index : StudyIndex
        The scan, with the roles of the series.

    Returns
    -------
    float
        MB (2^20 bytes).
    """
    total = _RESTING_MB
    for entry in index.series:
        if entry.role in _TIMES:
            size = 1 if entry.role == Role.REGIONS else 4
            total += _TIMES[entry.role] * size * _n_voxels(entry) / _MB
    return total


def _n_voxels(entry: SeriesEntry) -> int:
    if entry.source == "nifti":
        return sum(_nifti_voxels(path) for path in entry.paths)
    return sum(frame.rows * frame.columns for frame in entry.instances)


def _nifti_voxels(path: Path) -> int:
    import nibabel

    try:
        return math.prod(int(n) for n in nibabel.load(path).shape)
    except Exception:  # the reader says later, in words, what is wrong with it
        return 0


def cap_mb(planned_mb: float) -> float:
    """Return the memory at which a child is stopped.

    Parameters
    ----------
    planned_mb : float
        Planned peak.

    Returns
    -------
    float
        MB.
    """
    return _SAFETY * planned_mb


def default_budget_mb() -> float:
    """Return the memory that all studies on this machine may use together.

    Returns
    -------
    float
        MB: most of what the machine, container or job has.
    """
    from distributed.system import memory_limit

    return _SHARE * memory_limit() / _MB
