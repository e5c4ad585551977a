"""How alike two aligned volumes are, and how far a transform moves; independent of any engine.

These figures check a registration.  None of them is a measure of its error: mutual information can
be higher at a wrong place than at the right one, so they are used only to notice a failure.

References
----------
Studholme C et al., Pattern Recognit 1999;32:71, doi 10.1016/S0031-3203(98)00091-0 (normalised
mutual information).
Avants BB et al., Med Image Anal 2008;12:26, doi 10.1016/j.media.2007.06.004 (local correlation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.intensity import comparable_values
from eprimg.engines.registrars.rigid_settings import IntensitySettings
from eprimg.kernels.joint_histogram import joint_histogram
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume

__all__ = [
    "Similarity",
    "SimilarityCheck",
    "body_points_mm",
    "centroid_mm",
    "moved_rms_mm",
    "overlap_fraction",
    "rotation_deg",
]

FloatArray = npt.NDArray[np.float64]

_BINS = 32
_WINDOW = 7
_FEWEST_POINTS = 200
_BODY_STRIDE_MM = 12.0
_MOST_BODY_POINTS = 4000


@dataclass(frozen=True, slots=True)
class Similarity:
    """Figures at one transform; NaN where too few points overlap.

    Parameters
    ----------
    nmi : float
        Normalised mutual information (H(F) + H(M)) / H(F, M): 1 for unrelated volumes, 2 for
        volumes that tell everything about each other.
    local_ncc2 : float
        Mean over the body of the squared correlation in a window of 7 lattice points, 0 to 1.
    overlap_fraction : float
        Share of the smaller field of view that both cover.
    """

    nmi: float
    local_ncc2: float
    overlap_fraction: float


class SimilarityCheck:
    """Two volumes, prepared once, compared at any transform.

    Parameters
    ----------
    fixed, moving : Volume
        3-D volumes.
    intensity : IntensitySettings
        How values are made comparable.
    grid_mm : float
        Distance of the lattice points, taken in whole voxels of the fixed volume.

    Attributes
    ----------
    grids : tuple of Grid
        The fixed and the moving grid.
    centroids_mm : tuple of ndarray
        Centres of mass of the comparable values, each in LPS mm of its own frame.
    """

    def __init__(
        self, fixed: Volume, moving: Volume, intensity: IntensitySettings, *, grid_mm: float
    ) -> None:
        self.grids = (fixed.grid, moving.grid)
        values = comparable_values(fixed, intensity, what="the fixed series")
        steps = tuple(
            max(1, min(round(grid_mm / s), n // 8))
            for s, n in zip(fixed.grid.spacing_mm, fixed.grid.shape, strict=True)
        )
        thin = tuple(slice(step // 2, None, step) for step in steps)
        self._fixed = _smoothed(values, fixed.grid, grid_mm)[thin]
        self._body = self._fixed > self._fixed.mean()
        other = comparable_values(moving, intensity, what="the moving series")
        self._moving = _smoothed(other, moving.grid, grid_mm)
        self.centroids_mm = (centroid_mm(values, fixed.grid), centroid_mm(other, moving.grid))
        first = np.array([step // 2 for step in steps], dtype=float)
        self._index = fixed.grid.affine @ np.block(
            [[np.diag(np.array(steps, dtype=float)), first[:, None]], [np.zeros((1, 3)), 1.0]]
        )
        self._fixed_bin = _bins(self._fixed).astype(np.uint8)
        self._moving_top = float(self._moving.max())
        self._to_moving = np.linalg.inv(moving.grid.affine)
        self._bent: tuple[Displacement, FloatArray] | None = None

    def body_mm(self) -> FloatArray:
        """Return lattice points of the fixed volume that are brighter than its mean.

        Returns
        -------
        ndarray, shape (n, 3)
            LPS mm, at most some thousands.
        """
        index = np.argwhere(self._body).astype(np.float64)
        index = index[:: max(1, len(index) // _MOST_BODY_POINTS)]
        return np.asarray(index @ self._index[:3, :3].T + self._index[:3, 3])

    def cut_share(self) -> float:
        """Return which share of the sides of the fixed field of view cuts through tissue.

        Returns
        -------
        float
            0 to 1: mean over the four faces that are not across the long axis of the body (whose
            ends are always cut) of the share of lattice points with a tenth or more of the
            brightest values (99 % quantile).
        """
        tissue = self._fixed > 0.1 * np.quantile(self._fixed, 0.99)
        step = self._index[:3, :3]
        # Axis 0 of the array is the slowest, axis 0 of the matrix too: both count k, j, i.
        along = int(np.argmax(np.abs(step[2]) / np.linalg.norm(step, axis=0)))
        faces = [
            tissue.take(end, axis).mean() for axis in range(3) if axis != along for end in (0, -1)
        ]
        return float(np.mean(faces))

    def at(
        self,
        transform: npt.ArrayLike | Transform,
        *,
        local: bool = True,
        displacement: Displacement | None = None,
    ) -> Similarity:
        """Compare at a transform.

        Parameters
        ----------
        transform : array_like, shape (4, 4), or Transform
            From the fixed frame to the moving frame, LPS mm; a `Transform` may be bent.
        local : bool
            Compute the local correlation too.
        displacement : Displacement, optional
            Shift in the fixed frame that comes before a matrix.

        Returns
        -------
        Similarity
            The figures.
        """
        if displacement is not None:
            start, end = (g.frame_of_reference for g in self.grids)
            transform = Transform(np.asarray(transform), start, end, displacement)
        overlap = overlap_fraction(*self.grids, transform)
        bent = isinstance(transform, Transform) and transform.displacement is not None
        ncc2 = float("nan")
        if local or bent or self._moving_top <= 0:
            warped = self._warped(transform)
            inside = np.isfinite(warped)
            warped[~inside] = 0.0
            second = _bins(warped, self._moving_top)
            joint = np.bincount(
                self._fixed_bin[inside].astype(np.intp) * _BINS + second[inside],
                minlength=_BINS * _BINS,
            ).reshape(_BINS, _BINS)
        else:  # searches come here a thousand times
            matrix = transform.matrix if isinstance(transform, Transform) else transform
            joint = joint_histogram(
                self._fixed_bin,
                self._moving,
                output_to_input=self._to_index(np.asarray(matrix)),
                top=self._moving_top,
                bins=_BINS,
            )
        if joint.sum() < _FEWEST_POINTS:
            return Similarity(float("nan"), float("nan"), overlap)
        shared = _entropy(joint.ravel())
        alone = _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))
        nmi = alone / shared if shared > 0 else float("nan")
        if local:
            ncc2 = self._local_ncc2(warped, inside)
        return Similarity(float(nmi), ncc2, overlap)

    def _to_index(self, matrix: FloatArray) -> FloatArray:
        """Return the affine from the lattice to the voxels of the moving volume."""
        return np.asarray(self._to_moving @ matrix @ self._index)

    def _warped(self, transform: npt.ArrayLike | Transform) -> npt.NDArray[np.float32]:
        """Interpolate the moving volume at the lattice of the fixed one; NaN outside."""
        from scipy import ndimage

        bend = transform.displacement if isinstance(transform, Transform) else None
        matrix = transform.matrix if isinstance(transform, Transform) else np.asarray(transform)
        if bend is None:
            to_index = self._to_index(matrix)
            return np.asarray(
                ndimage.affine_transform(
                    self._moving,
                    to_index[:3, :3],
                    to_index[:3, 3],
                    output_shape=self._fixed.shape,
                    order=1,
                    mode="constant",
                    cval=np.nan,
                )
            )
        if self._bent is None or self._bent[0] is not bend:
            # One field is looked at with many matrices: its shifts are interpolated once.
            index = np.moveaxis(np.indices(self._fixed.shape, dtype=np.float64), 0, -1)
            points = index.reshape(-1, 3) @ self._index[:3, :3].T + self._index[:3, 3]
            self._bent = (bend, points + bend.at(points))
        whole = self._to_moving @ matrix
        there = self._bent[1] @ whole[:3, :3].T + whole[:3, 3]
        values = ndimage.map_coordinates(
            self._moving, there.T, order=1, mode="constant", cval=np.nan
        )
        return np.asarray(values).reshape(self._fixed.shape)

    def _local_ncc2(self, warped: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> float:
        from scipy import ndimage

        def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            window = ndimage.uniform_filter(values, _WINDOW, mode="constant")
            return np.asarray(window, dtype=np.float64)

        weight = inside.astype(np.float64)
        share = mean(weight)
        first = np.where(inside, self._fixed / self._fixed.std(), 0.0).astype(np.float64)
        second = np.where(inside, warped / max(float(warped[inside].std()), 1e-12), 0.0).astype(
            np.float64
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = mean(first) / share, mean(second) / share
            variance_a = mean(first * first) / share - a * a
            variance_b = mean(second * second) / share - b * b
            covariance = mean(first * second) / share - a * b
            ncc2 = covariance**2 / (variance_a * variance_b)
        # Flat windows have no correlation to speak of (variances are relative to the whole).
        use = self._body & inside & (share > 0.5) & (variance_a > 1e-5) & (variance_b > 1e-5)
        return float(ncc2[use].mean()) if np.count_nonzero(use) >= _FEWEST_POINTS else float("nan")


def body_points_mm(values: npt.NDArray[np.float32], grid: Grid) -> FloatArray:
    """Return points about 12 mm apart where a volume is above its mean.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        Comparable values.
    grid : Grid
        Their grid.

    Returns
    -------
    ndarray, shape (n, 3)
        LPS mm.
    """
    steps = [
        max(1, min(round(_BODY_STRIDE_MM / s), n // 4))
        for s, n in zip(grid.spacing_mm, grid.shape, strict=True)
    ]
    thin = values[:: steps[0], :: steps[1], :: steps[2]]
    index = np.argwhere(thin > values.mean(dtype=np.float64)) * np.array(steps)
    if not len(index):
        index = np.array([(np.array(grid.shape) - 1) / 2.0])
    return grid.index_to_lps_mm(index)


def centroid_mm(values: npt.NDArray[np.float32], grid: Grid) -> FloatArray:
    """Return the centre of mass of a volume.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        Comparable values, none below zero.
    grid : Grid
        Their grid.

    Returns
    -------
    ndarray, shape (3,)
        LPS mm.
    """
    total = values.sum(dtype=np.float64)
    index = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        profile = values.sum(axis=others, dtype=np.float64)
        index.append(float(profile @ np.arange(profile.size) / total))
    return grid.index_to_lps_mm(index)


def moved_rms_mm(
    points_mm: npt.ArrayLike,
    first: npt.ArrayLike | Transform,
    second: npt.ArrayLike | Transform,
) -> float:
    """Return the root-mean-square distance between where two transforms put points.

    Parameters
    ----------
    points_mm : array_like, shape (n, 3)
        LPS mm.
    first, second : array_like, shape (4, 4), or Transform
        Transforms.

    Returns
    -------
    float
        Distance in mm.
    """
    points = np.asarray(points_mm, dtype=float)
    vectors = _mapped(first, points) - _mapped(second, points)
    return float(np.sqrt((vectors**2).sum(axis=1).mean()))


def rotation_deg(matrix: npt.ArrayLike) -> float:
    """Return the angle of a rotation.

    Parameters
    ----------
    matrix : array_like, shape (4, 4) or (3, 3)
        Rigid transform.

    Returns
    -------
    float
        Angle in degrees, 0 to 180.
    """
    rotation = np.asarray(matrix, dtype=float)[:3, :3]
    # The skew part keeps small angles exact where the arc cosine of the trace loses them.
    skew = rotation - rotation.T
    sine = 0.5 * np.sqrt(skew[2, 1] ** 2 + skew[0, 2] ** 2 + skew[1, 0] ** 2)
    return float(np.degrees(np.arctan2(sine, (np.trace(rotation) - 1.0) / 2.0)))


def overlap_fraction(fixed: Grid, moving: Grid, matrix: npt.ArrayLike | Transform) -> float:
    """Return the share of the smaller field of view that both grids cover.

    Parameters
    ----------
    fixed, moving : Grid
        The grids.
    matrix : array_like, shape (4, 4), or Transform
        From the fixed frame to the moving frame, LPS mm.

    Returns
    -------
    float
        0 to 1, from 24 x 24 x 24 points of the smaller field of view.

    Notes
    -----
    A bent transform counts with its matrix: a field bends by some millimetres where fields of view
    overlap by hundreds, and fades to zero where it leaves them.
    """
    plain = matrix.matrix if isinstance(matrix, Transform) else matrix
    forward = np.asarray(plain, dtype=float)
    volumes = [g.voxel_volume_ml * np.prod(g.shape) for g in (fixed, moving)]
    small, large = (fixed, moving) if volumes[0] <= volumes[1] else (moving, fixed)
    if small is moving:
        forward = np.linalg.inv(forward)
    whole = np.linalg.inv(large.affine) @ forward @ small.affine
    k, j, i = ((np.arange(24) + 0.5) / 24 * n - 0.5 for n in small.shape)
    inside = np.ones((24, 24, 24), dtype=bool)
    for row, n in zip(whole[:3], large.shape, strict=True):
        there = (row[0] * k[:, None] + row[1] * j)[:, :, None] + (row[2] * i + row[3])
        inside &= (there >= -0.5) & (there <= n - 0.5)
    return float(inside.mean())


def _mapped(transform: npt.ArrayLike | Transform, points: FloatArray) -> FloatArray:
    if isinstance(transform, Transform):
        return transform.apply(points)
    matrix = np.asarray(transform, dtype=float)
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _smoothed(
    values: npt.NDArray[np.float32], grid: Grid, grid_mm: float
) -> npt.NDArray[np.float32]:
    from scipy import ndimage

    sigma = [0.5 * grid_mm / spacing for spacing in grid.spacing_mm]
    return np.asarray(ndimage.gaussian_filter(values, sigma, mode="nearest", truncate=2.5))


def _bins(values: npt.NDArray[np.float32], top: float | None = None) -> npt.NDArray[np.intp]:
    scale = _BINS / (float(values.max()) if top is None else top)
    return np.clip((values * scale).astype(np.intp), 0, _BINS - 1)


def _entropy(counts: npt.NDArray[np.intp]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
