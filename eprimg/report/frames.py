"""Which frame the planes are cut in, and the way from there to each series."""

from __future__ import annotations

from eprimg.model.case import Case
from eprimg.model.grid import Grid
from eprimg.model.study import Role
from eprimg.model.transform import Transform

__all__ = ["reach", "reference_grid"]


def reference_grid(case: Case) -> Grid | None:
    """Return the grid whose frame every plane is cut in.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    Grid or None
        Grid of the regions; without regions that of the fixed series, of the first MR series, or
        of the PET series.
    """
    if case.lesions is not None:
        return case.lesions.grid
    fixed = {r.fixed for r in case.registrations}
    for series in case.study.series:
        if series.key in fixed:
            return series.grid
    for role in (Role.MR_PRE, Role.MR_POST, Role.PET, Role.CT):
        found = case.study.find(role)
        if found is not None:
            return found.grid
    return next((m.grid for m in case.maps.values()), None)


def reach(case: Case, key: str, grid: Grid, frame: str) -> Transform | None:
    """Find the way from the reference frame to a series.

    Parameters
    ----------
    case : Case
        The case.
    key : str
        Key of the series.
    grid : Grid
        Its grid.
    frame : str
        The reference frame.

    Returns
    -------
    Transform or None
        None when no accepted registration leads there.
    """
    own = case.registration(key)
    if own is not None and own.transform.from_frame == frame:
        same = own.transform.to_frame == grid.frame_of_reference
        return own.transform if own.accepted and same else None
    if grid.frame_of_reference == frame:
        return Transform.identity(frame)
    for other in case.registrations:
        ends = (other.transform.from_frame, other.transform.to_frame)
        if other.accepted and ends == (frame, grid.frame_of_reference):
            return other.transform
    return None
