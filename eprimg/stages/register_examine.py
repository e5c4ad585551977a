"""All figures of one alignment, whoever made it: an engine, a file, or a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.rigid_settings import RigidSettings
from eprimg.engines.registrars.second_look import fit_nearby, inverse_distance_mm
from eprimg.engines.registrars.similarity import (
    SimilarityCheck,
    moved_rms_mm,
    rotation_deg,
)
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.stages.register_check import Estimate, orientation_of

__all__ = ["examine"]

FloatArray = npt.NDArray[np.float64]


def examine(
    result: RegistrarResult,
    fixed: Volume,
    moving: Volume,
    rules: RigidSettings,
    *,
    key: str,
    both_mr: bool,
    rider: tuple[str, Volume] | None = None,
    ask: Callable[[], object] | None = None,
) -> Estimate:
    """Compare the two series at an alignment, around it, and turned and mirrored.

    Parameters
    ----------
    result : RegistrarResult
        The alignment; of an alignment without a search, only the matrix and the displacement.
    fixed, moving : Volume
        One value per voxel.
    rules : RigidSettings
        The profile.
    key : str
        The moving series.
    both_mr : bool
        Whether both are MR.
    rider : tuple of str and Volume, optional
        A series that shares the frame of the moving one and is aligned through it.
    ask : callable, optional
        Called between pieces of work; it may raise to end it.

    Returns
    -------
    Estimate
        The figures; nothing is judged yet.
    """
    ask = ask or (lambda: None)
    limits = rules.check
    matrix = np.asarray(result.matrix, dtype=np.float64)
    frames = (fixed.grid.frame_of_reference, moving.grid.frame_of_reference)
    transform = Transform(matrix, *frames, result.displacement)
    check = SimilarityCheck(fixed, moving, rules.intensity, grid_mm=limits.grid_mm)
    ask()
    after = check.at(transform)
    around = _around(check, transform, limits.displaced_mm, ask)
    header = check.at(np.eye(4))
    ask()
    same_start = np.array_equal(result.start, np.eye(4))
    # Turned and mirrored positions lie far from the bending, which is small beside them.
    orientations = [orientation_of(key, fixed, moving, check, matrix, rules, ask=ask)]
    if rider is not None:
        # The CT may be right and the PET that rides on it turned.
        name, volume = rider
        own = SimilarityCheck(fixed, volume, rules.intensity, grid_mm=limits.grid_mm)
        orientations.append(orientation_of(name, fixed, volume, own, matrix, rules, ask=ask))
    estimate = Estimate(
        result=result,
        header=header,
        start=header if same_start else check.at(result.start),
        after=after,
        orientation=max(orientations, key=lambda found: found.share),
        both_mr=both_mr,
        peak=(after.nmi - 1.0) / around if around > 0 else float("nan"),
        moved_center_mm=moved_rms_mm(fixed.grid.center_lps_mm[None, :], transform, np.eye(4)),
        rotated_deg=rotation_deg(matrix),
        moved_rms_mm=moved_rms_mm(_box_points(fixed.grid), transform, np.eye(4)),
        cut_share=check.cut_share(),
    )
    if not np.isfinite(after.nmi):
        return estimate
    return _second_look(estimate, transform, fixed, moving, rules, ask)


def _around(
    check: SimilarityCheck, transform: Transform, step_mm: float, ask: Callable[[], object]
) -> float:
    """Mutual information (minus 1) of the best of six displaced positions."""
    beside = []
    for axis in range(3):
        for sign in (-step_mm, step_mm):
            displaced = np.array(transform.matrix)
            displaced[axis, 3] += sign
            ask()
            there = replace(transform, matrix=displaced)
            beside.append(check.at(there, local=False).nmi - 1.0)
    return float(np.nanmax(beside)) if np.isfinite(beside).any() else float("nan")


def _second_look(
    estimate: Estimate,
    transform: Transform,
    fixed: Volume,
    moving: Volume,
    rules: RigidSettings,
    ask: Callable[[], object],
) -> Estimate:
    coarse_mm = rules.check.orientation_grid_mm
    forth = SimilarityCheck(fixed, moving, rules.intensity, grid_mm=coarse_mm)
    found = fit_nearby(forth, transform, ask=ask)
    inverse = float("nan")
    if transform.is_affine:
        back = SimilarityCheck(moving, fixed, rules.intensity, grid_mm=coarse_mm)
        inverse = inverse_distance_mm(back, transform.matrix, forth.body_mm(), ask=ask)
    return replace(estimate, nearby_mm=found.moved_mm, nearby_gain=found.gain, inverse_mm=inverse)


def _box_points(grid: Grid) -> FloatArray:
    """Return points of the inner half of the field of view, where the patient is."""
    axes = [np.linspace(0.25, 0.75, 5) * (n - 1) for n in grid.shape]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid.index_to_lps_mm(index)
