"""Pieces of a SimpleITK registration: threads, smoothing, sample lattice, messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.engines.sitk_bridge import to_sitk
from eprimg.errors import EngineError, InputError
from eprimg.model.manual_help import MetricMask

__all__ = [
    "halfway",
    "last_line",
    "lattice",
    "mask_to_sitk",
    "not_aligned",
    "one_metric_thread",
    "require_extent",
    "shift_matrix",
    "smooth",
    "stopped",
    "unrounded",
]

_ROUNDED = 1e-3
"""Matrices in text files have four decimals or more; a true scale is far above this."""

_FEWEST_ALONG_AXIS = 8
"""Sample points that thinning leaves along an axis, where the volume has as many."""

_FEWEST_IN_MASK = 8
"""Coarsest sample points in a mask, two along each axis: a rigid move has six unknowns."""

_ITK_SAYS_APART = "map outside moving"
"""Part of what ITK says when no sample point of the fixed series meets the moving one."""


@contextmanager
def one_metric_thread() -> Iterator[None]:
    """Let ITK's metric use one thread inside the block.

    Yields
    ------
    None
        Nothing.

    Notes
    -----
    With more threads ITK adds partial sums in the order in which threads finish: reruns then
    differ in the last digits, and now and then in the path of the search.  The thread count of the
    registration method does not reach the metric (seen with SimpleITK 2.5.7); the process-wide
    default does.  It is put back afterwards.
    """
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def smooth(volume: Any, sigma_mm: float, threads: int, *, least_voxels: float = 0.5) -> Any:
    """Smooth with a Gaussian of at least a share of a voxel along each axis.

    Parameters
    ----------
    volume : SimpleITK.Image
        A float volume with at least four voxels along each axis.
    sigma_mm : float
        Standard deviation in mm.
    threads : int
        Threads; the result does not depend on them.
    least_voxels : float
        Smallest standard deviation, in voxels.

    Returns
    -------
    SimpleITK.Image
        Smooth volume on the same grid.
    """
    import SimpleITK as sitk

    smoother = sitk.SmoothingRecursiveGaussianImageFilter()
    smoother.SetNumberOfThreads(threads)
    # Linear interpolation smooths too, but only between the planes, and a metric follows that
    # pattern: so never less than this.
    smoother.SetSigma([max(sigma_mm, least_voxels * edge) for edge in volume.GetSpacing()])
    return smoother.Execute(volume)


def lattice(volume: Any, grid_mm: float, *, fewest: int = 0) -> tuple[Any, Any, Any, Any]:
    """Lay out sample points about ``grid_mm`` apart along each axis, centred on a volume.

    Parameters
    ----------
    volume : SimpleITK.Image
        Where the points lie.
    grid_mm : float
        Wanted distance; whole voxels are taken, so thick slices are not thinned further.
    fewest : int
        Points to have at least, where the volume has as many voxels: a small field of view is
        thinned less, for a histogram of few points says little.

    Returns
    -------
    tuple
        Sizes, origin, spacing and direction, as SimpleITK's virtual domain wants them.
    """
    factors = [
        max(1, min(round(grid_mm / spacing), size // _FEWEST_ALONG_AXIS))
        for spacing, size in zip(volume.GetSpacing(), volume.GetSize(), strict=True)
    ]
    sizes = [size // factor for size, factor in zip(volume.GetSize(), factors, strict=True)]
    while prod(sizes) < fewest and max(factors) > 1:
        # The widest gap first.
        gaps = [
            factor * spacing if factor > 1 else 0.0
            for factor, spacing in zip(factors, volume.GetSpacing(), strict=True)
        ]
        factors[gaps.index(max(gaps))] -= 1
        sizes = [size // factor for size, factor in zip(volume.GetSize(), factors, strict=True)]
    first = [
        (size - 1 - (number - 1) * factor) / 2.0
        for size, number, factor in zip(volume.GetSize(), sizes, factors, strict=True)
    ]
    spacing = [s * f for s, f in zip(volume.GetSpacing(), factors, strict=True)]
    origin = volume.TransformContinuousIndexToPhysicalPoint(first)
    return sizes, origin, spacing, volume.GetDirection()


def mask_to_sitk(mask: MetricMask | None) -> Any:
    """Turn a mask into what SimpleITK's metric takes.

    Parameters
    ----------
    mask : MetricMask or None
        On any grid of the frame of its series.

    Returns
    -------
    SimpleITK.Image or None
        1 inside, 0 outside.
    """
    return None if mask is None else to_sitk(mask.inside.astype(np.uint8), mask.grid)


def require_extent(lattice_mm: Sequence[float], *masks: MetricMask | None) -> None:
    """Refuse a mask that holds next to none of the sample points.

    Parameters
    ----------
    lattice_mm : sequence of 3 float
        Distances of the sample points of the coarsest level.
    *masks : MetricMask or None
        Where voxels count.

    Raises
    ------
    InputError
        ``E_REGISTRATION_MASK`` when the volume of one holds fewer than eight of them.
    """
    least_ml = _FEWEST_IN_MASK * prod(lattice_mm) / 1000.0
    for mask in masks:
        volume_ml = 0.0 if mask is None else float(mask.inside.sum()) * mask.grid.voxel_volume_ml
        if mask is not None and volume_ml < least_ml:
            raise InputError(
                f"the mask {_extent(mask)} is too small to compare two series in: it holds "
                f"{volume_ml:.2g} mL, and at least {least_ml:.2g} mL are needed for these series",
                code="E_REGISTRATION_MASK",
                where=mask.source,
                action="give a mask that covers the anatomy that both series show, or leave it out",
            )


def _extent(mask: MetricMask) -> str:
    """Name a mask, its voxels and the box around them."""
    there = np.argwhere(mask.inside)
    edges = (np.ptp(there, axis=0) + 1) * np.array(mask.grid.spacing_mm)
    box = " x ".join(f"{edge:.3g}" for edge in edges)
    return f"{mask.source} ({len(there)} voxels in {box} mm)"


def not_aligned(error: Exception, engine: str, *masks: MetricMask | None) -> EngineError:
    """Put a failure of SimpleITK into words that a user can act on.

    Parameters
    ----------
    error : Exception
        Raised by SimpleITK.
    engine : str
        Name of the engine.
    *masks : MetricMask or None
        Inside of which it looked.

    Returns
    -------
    EngineError
        ``E_REGISTRATION_MASK`` when there was a mask, else ``E_REGISTRATION``.
    """
    given = [mask for mask in masks if mask is not None]
    if given:
        return EngineError(
            "the two series could not be compared inside the mask "
            + " and the mask ".join(_extent(mask) for mask in given),
            code="E_REGISTRATION_MASK",
            where=", ".join(mask.source for mask in given),
            action="check that it covers anatomy that both series show there, or leave it out",
        )
    said = last_line(error)
    if _ITK_SAYS_APART in said:
        return EngineError(
            "the two series do not overlap where the search began, or it left the overlap: their "
            "headers put them in different places, or one of them is far too small",
            code="E_REGISTRATION",
            where=engine,
            action="check position and voxel size of both series, begin elsewhere (--start best, "
            "or a transform), or give landmarks in study.toml",
        )
    return EngineError(
        f"SimpleITK could not align the two series: {said}",
        code="E_REGISTRATION",
        where=engine,
        action="look at both series; they may show different parts of the body",
    )


def last_line(error: Exception) -> str:
    """Return what an ITK error says, without source lines and addresses of objects.

    Parameters
    ----------
    error : Exception
        Raised by SimpleITK.

    Returns
    -------
    str
        Its last line.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # ITK puts addresses of objects before the words.
    return lines[-1].rsplit("): ", 1)[-1] if lines else type(error).__name__


def halfway(
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    centre_mm: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return the rigid transform in the middle of two that hardly differ.

    Parameters
    ----------
    first, second : ndarray, shape (4, 4)
        Rigid, from the same frame to the same frame.
    centre_mm : ndarray, shape (3,)
        The point whose two images are averaged.

    Returns
    -------
    ndarray, shape (4, 4)
        Rigid: half the rotation about this point, half the shift.
    """
    from scipy.spatial.transform import Rotation

    between = Rotation.from_matrix(second[:3, :3] @ first[:3, :3].T)
    turn = Rotation.from_rotvec(0.5 * between.as_rotvec()).as_matrix() @ first[:3, :3]
    ends = [m[:3, :3] @ centre_mm + m[:3, 3] for m in (first, second)]
    middle = np.eye(4)
    middle[:3, :3] = turn
    middle[:3, 3] = 0.5 * (ends[0] + ends[1]) - turn @ centre_mm
    return middle


def unrounded(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Take the rounding of a file out of a rigid matrix.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        Rigid within 1e-3: text files have four decimals or more.

    Returns
    -------
    ndarray, shape (4, 4)
        With the nearest rotation.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` when it scales, shears or mirrors.
    """
    left, sizes, right = np.linalg.svd(matrix[:3, :3])
    turned = left @ right
    if np.abs(sizes - 1.0).max() > _ROUNDED or np.linalg.det(turned) < 0.0:
        raise InputError(
            "a rigid search begins with a rigid transform, and this one scales, shears or mirrors",
            code="E_TRANSFORM_FILE",
            where="start",
            value=[round(float(s), 4) for s in sizes],
            action="give a rigid transform as the start, or begin with identity or best",
        )
    rigid = matrix.copy()
    rigid[:3, :3] = turned
    return rigid


def stopped() -> EngineError:
    """Return the error of a registration that the caller stopped.

    Returns
    -------
    EngineError
        ``E_REGISTRATION_STOPPED``.
    """
    return EngineError(
        "the registration was stopped", code="E_REGISTRATION_STOPPED", action="run again"
    )


def shift_matrix(vector_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the matrix of a shift.

    Parameters
    ----------
    vector_mm : array-like, shape (3,)
        Shift (LPS mm).

    Returns
    -------
    ndarray, shape (4, 4)
        Without a rotation.
    """
    matrix = np.eye(4)
    matrix[:3, 3] = vector_mm
    return matrix
