"""Frames in, one volume out: order by position, verify the geometry, read the pixels once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, GeometryError, InputError, raise_faults
from eprimg.io import bridge
from eprimg.io.instance import Instance
from eprimg.io.pixels import read_pixels, require_readable
from eprimg.io.stack_checks import check_identity, check_planes, without_copies
from eprimg.model.case import Finding, Severity
from eprimg.model.grid import Grid

__all__ = ["StackGeometry", "Stacked", "stack_geometry", "stack_instances"]

_MAX_SHEAR_RAD = 1e-3
"""Largest angle between slice direction and normal that counts as rounding in the header."""
_JITTER_MM = 0.01
"""Deviations above this are mentioned, even when they are tolerated."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class StackGeometry:
    """Frames in slice order and the grid they make.

    Parameters
    ----------
    grid : Grid
        Shape (k, j, i); k rises along the slice normal (row direction x column direction).
    instances : tuple of Instance
        One per slice, in the order of k.
    findings : tuple of Finding
        What was noticed.
    """

    grid: Grid
    instances: tuple[Instance, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Stacked:
    """A volume read from frames.

    Parameters
    ----------
    grid : Grid
        As in `StackGeometry`.
    instances : tuple of Instance
        One per slice, in the order of k.
    pixels : ndarray of float32, shape (k, j, i)
        Stored values times the slice's own slope plus its own intercept.
    sha256 : str
        Over instance UIDs, rescale and stored values.
    findings : tuple of Finding
        What was noticed.
    """

    grid: Grid
    instances: tuple[Instance, ...]
    pixels: npt.NDArray[np.float32]
    sha256: str
    findings: tuple[Finding, ...] = ()


def stack_instances(
    instances: Sequence[Instance],
    *,
    position_tolerance_mm: float = 0.05,
    what: str = "series",
    out: npt.NDArray[np.float32] | None = None,
) -> Stacked:
    """Order frames by position and read their pixels into one array.

    Parameters
    ----------
    instances : sequence of Instance
        Frames of one volume, in any order.
    position_tolerance_mm : float
        Largest deviation of a slice from an even, straight stack.
    what : str
        Name of the series in messages.
    out : ndarray of float32, shape (k, j, i), optional
        Array to read into (may be a strided view); a new one by default.

    Returns
    -------
    Stacked
        Grid, ordered frames and rescaled float32 values.

    Raises
    ------
    EprimgError
        As `stack_geometry`, and E_SYNTAX, E_DECODE, E_PIXEL_SHORT, E_PIXEL_TYPE, E_TOO_LARGE.
    """
    geometry = stack_geometry(instances, position_tolerance_mm=position_tolerance_mm, what=what)
    require_readable(geometry.instances, what=what)
    if out is None:
        out = np.empty(geometry.grid.shape, dtype=np.float32)
    elif out.shape != geometry.grid.shape:
        raise GeometryError(
            f"{what}: the echoes or frames do not have the same grid",
            code="E_GRID_MISMATCH",
            value=(out.shape, geometry.grid.shape),
        )
    digest = read_pixels(geometry.instances, out, what=what)
    return Stacked(geometry.grid, geometry.instances, out, digest, geometry.findings)


def stack_geometry(
    instances: Sequence[Instance],
    *,
    position_tolerance_mm: float = 0.05,
    what: str = "series",
) -> StackGeometry:
    """Order frames by position and verify that they make one even, straight stack.

    Parameters
    ----------
    instances : sequence of Instance
        Frames of one volume, in any order.
    position_tolerance_mm : float
        Largest deviation of a slice from an even, straight stack.
    what : str
        Name of the series in messages.

    Returns
    -------
    StackGeometry
        Grid and ordered frames; no pixel is read (except to compare frames that were sent twice).

    Raises
    ------
    EprimgError
        E_EMPTY, E_PATIENT_MIX, E_NUMERIC, E_GEOM_MISSING, E_GEOM_IOP, E_GEOM_ORIENT,
        E_GEOM_MIXED, E_FOR, E_TOO_LARGE, E_SINGLE, E_DUP_CONFLICT, E_GEOM_DUP, E_GEOM_GAP,
        E_GEOM_SPACING or E_GEOM_SHEAR; all faults that were found, in one error.
    """
    if not instances:
        raise InputError(f"{what}: no frames to stack", code="E_EMPTY")
    findings: list[Finding] = []
    frames = without_copies(instances, what, findings)
    faults: list[EprimgError] = []
    check_identity(frames, what, faults)
    check_planes(frames, what, faults)
    raise_faults(faults)
    ordered, affine = _ordered(frames, position_tolerance_mm, what, findings)
    first = ordered[0]
    frame = first.frame_of_reference
    if not frame:
        frame = f"none:{first.series_uid}"
        findings.append(
            Finding(
                "W_NO_FOR",
                Severity.WARNING,
                what,
                "the series has no FrameOfReferenceUID (0020,0052); nothing else is taken to share "
                "its coordinates",
            )
        )
    grid = Grid((len(ordered), first.rows, first.columns), affine, frame)
    return StackGeometry(grid, tuple(ordered), tuple(findings))


def _ordered(
    frames: list[Instance], tolerance_mm: float, what: str, findings: list[Finding]
) -> tuple[list[Instance], FloatArray]:
    """Sort by position along the normal and check the steps; return frames and affine."""
    cosines = np.mean(np.array([f.orientation for f in frames], dtype=np.float64), axis=0)
    normal = np.cross(cosines[:3], cosines[3:])
    normal /= np.linalg.norm(normal)
    positions = np.array([f.position for f in frames], dtype=np.float64)
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    frames = [frames[n] for n in order]
    positions, along = positions[order], along[order]
    if len(frames) == 1:
        raise GeometryError(
            f"{what}: a single slice is not a volume",
            code="E_SINGLE",
            where=frames[0].name,
            action="give the whole series",
        )
    steps = np.diff(along)
    same = np.flatnonzero(steps <= tolerance_mm)
    if same.size:
        n = int(same[0])
        raise GeometryError(
            f"{what}: {same.size} of {len(frames)} frames lie at the position of another one "
            f"(first at {along[n]:.2f} mm); several time points, gates or "
            "repetitions in one series?",
            code="E_GEOM_DUP",
            where=f"{frames[n].name} and {frames[n + 1].name}",
            action="give one time point or repetition only",
        )
    usual = median(steps.tolist())  # np.median would import masked arrays
    gaps = np.flatnonzero(steps > 1.5 * usual)
    if gaps.size:
        n = int(gaps[0])
        absent = max(round(float(steps[n]) / usual) - 1, 1)
        more = f"; {gaps.size - 1} more gaps" if gaps.size > 1 else ""
        raise GeometryError(
            f"{what}: about {absent} slice{'s are' if absent > 1 else ' is'} missing after "
            f"{along[n]:.2f} mm (gap of {steps[n]:.3f} mm, slices are {usual:.3f} mm apart{more})",
            code="E_GEOM_GAP",
            where=f"between {frames[n].name} and {frames[n + 1].name}",
            value=round(float(steps[n]), 4),
            action="transfer the series again, completely",
        )
    step = (positions[-1] - positions[0]) / (len(frames) - 1)
    deviation = positions - (positions[0] + np.arange(len(frames))[:, None] * step)
    uneven = np.abs(deviation @ normal)
    if uneven.max() > tolerance_mm:
        n = int(uneven.argmax())
        raise GeometryError(
            f"{what}: the slices are not evenly spaced (up to {uneven.max():.3f} mm off, "
            f"{tolerance_mm:g} mm are tolerated)",
            code="E_GEOM_SPACING",
            where=frames[n].name,
            value=round(float(uneven.max()), 4),
            action="give an evenly spaced series, or resample it on purpose",
        )
    sideways = step - (step @ normal) * normal
    angle = math.atan2(float(np.linalg.norm(sideways)), float(step @ normal))
    drift = float(np.linalg.norm(deviation - np.outer(deviation @ normal, normal), axis=1).max())
    if angle > _MAX_SHEAR_RAD or drift > tolerance_mm:
        raise GeometryError(
            f"{what}: the slices are shifted against each other (gantry tilt or shear of "
            f"{math.degrees(angle):.2f} degrees, single slices up to {drift:.3f} mm)",
            code="E_GEOM_SHEAR",
            value=round(math.degrees(angle), 3),
            action="resample the series to an orthogonal grid on purpose",
        )
    worst = max(float(uneven.max()), drift)
    if worst > _JITTER_MM:
        findings.append(
            Finding(
                "I_GEOM_JITTER",
                Severity.INFO,
                what,
                f"slice positions deviate by up to {worst:.3f} mm from an even "
                f"stack ({tolerance_mm:g} mm are tolerated)",
            )
        )
    spacing = frames[0].pixel_spacing
    assert spacing is not None
    affine = bridge.affine_from_planes(positions[0], step, cosines, spacing)
    return frames, affine
