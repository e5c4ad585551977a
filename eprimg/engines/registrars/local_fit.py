"""Bend a moving series until it correlates locally with the fixed one: Gauss-Newton steps.

In a window around every point the moving series is taken for a straight line of the fixed one plus
noise.  The B-spline that makes the noise smallest, with a price on bending, is found by linearising
and solving again and again.

References
----------
Avants BB et al., Med Image Anal 2008;12:26, doi 10.1016/j.media.2007.06.004 (local correlation).
Baker S, Matthews I, Int J Comput Vis 2004;56:221, doi 10.1023/B:VISI.0000011205.11775.fd (steps
with the gradient of the fixed side).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.deformable_settings import BendLevel, FitSettings
from eprimg.kernels.spline_field import SplineField, conjugate_gradients
from eprimg.model.grid import Grid

__all__ = ["FittedLevel", "LevelFit"]

FloatArray = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_FEWEST_ALONG_AXIS = 8
_CELLS_PER_INTERVAL = 4
_HALVINGS = 3
_LONGEST_STEP = 2.0
_FEWEST_POINTS = 200


class FittedLevel(NamedTuple):
    """What a level found.

    Attributes
    ----------
    coefficients : ndarray, shape (3, k, j, i)
        Control points; components along the axes of the fixed grid, mm.
    objective : float
        Mean log of the share of variance that the fixed series leaves unexplained; NaN when too few
        points lie in both series.
    iterations : int
        Steps that were taken.
    """

    coefficients: FloatArray
    objective: float
    iterations: int


class _Compared(NamedTuple):
    residual: Float32
    slope: Float32
    weight: Float32
    objective: float


class LevelFit:
    """Two smooth volumes on the points of one level.

    Parameters
    ----------
    fixed, moving : ndarray of float32, shape (k, j, i)
        Comparable values, smoothed for the level.
    grids : tuple of Grid
        The grids of both.
    matrix : ndarray, shape (4, 4)
        The rigid transform that follows the bending.
    field : SplineField
        Control points over the fixed grid.
    level : BendLevel
        Distance of the points.
    rules : FitSettings
        Windows and weights.
    """

    def __init__(
        self,
        fixed: Float32,
        moving: Float32,
        grids: tuple[Grid, Grid],
        matrix: FloatArray,
        field: SplineField,
        level: BendLevel,
        rules: FitSettings,
    ) -> None:
        grid = grids[0]
        steps = [
            max(1, min(round(level.grid_mm / s), n // _FEWEST_ALONG_AXIS))
            for s, n in zip(grid.spacing_mm, grid.shape, strict=True)
        ]
        first = np.array([step // 2 for step in steps])
        self._fixed = np.ascontiguousarray(
            fixed[tuple(slice(f, None, s) for f, s in zip(first, steps, strict=True))]
        )
        self._moving = moving
        self._field, self._level, self._rules = field, level, rules
        self._spacing = np.array(steps) * np.array(grid.spacing_mm)
        at = [
            (f + np.arange(n) * s) * spacing
            for f, n, s, spacing in zip(
                first, self._fixed.shape, steps, grid.spacing_mm, strict=True
            )
        ]
        self._weights = [field.matrix(axis, at[axis]) for axis in range(3)]
        self._body = self._fixed > rules.body_share_of_mean * float(self._fixed.mean())
        # Sums over cells: the control points are too far apart to feel single points.
        blocks = [
            max(1, int(level.spacing_mm / _CELLS_PER_INTERVAL / spacing))
            for spacing in self._spacing
        ]
        self._starts = [np.arange(0, n, b) for n, b in zip(self._fixed.shape, blocks, strict=True)]
        middles = [
            np.add.reduceat(a, s) / np.diff([*s, len(a)])
            for a, s in zip(at, self._starts, strict=True)
        ]
        self._cells = [field.matrix(axis, middles[axis]) for axis in range(3)]
        self._cells_back = [np.ascontiguousarray(w.T) for w in self._cells]
        self._gradient = np.stack(
            [np.gradient(self._fixed, s, axis=a) for a, s in enumerate(self._spacing)]
        ).astype(np.float32)
        # Index in the moving series of every point, and what a shift along the fixed axes adds.
        to_index = np.linalg.inv(grids[1].affine) @ matrix
        start = np.block(
            [[np.diag(np.array(steps, dtype=float)), first[:, None]], [np.zeros((1, 3)), 1.0]]
        )
        whole = to_index @ grid.affine @ start
        index = np.indices(self._fixed.shape, dtype=np.float64)
        self._index = (
            np.einsum("ab,bkji->akji", whole[:3, :3], index) + whole[:3, 3][:, None, None, None]
        )
        self._per_mm = to_index[:3, :3] @ grid.axes_lps

    def run(
        self,
        coefficients: FloatArray,
        *,
        stiffness: float,
        iterations: int,
        ask: Callable[[], object],
    ) -> FittedLevel:
        """Take steps until they are short.

        Parameters
        ----------
        coefficients : ndarray, shape (3, k, j, i)
            Where to start.
        stiffness : float
            Weight of the bending energy.
        iterations : int
            Most steps.
        ask : callable
            Called before every step; it may raise to end the work.

        Returns
        -------
        FittedLevel
            The control points.
        """
        found = np.array(coefficients)
        compared = self._compare(found)
        taken = 0
        while compared is not None and taken < iterations:
            ask()
            step = self._step(found, compared, stiffness)
            longest = float(np.abs(self._field.values(step, self._cells)).max())
            step *= min(1.0, _LONGEST_STEP * self._level.grid_mm / max(longest, 1e-12))
            before = compared.objective + self._price(found, stiffness)
            for _ in range(_HALVINGS):
                tried = self._compare(found + step)
                if tried is not None and (
                    tried.objective + self._price(found + step, stiffness) < before
                ):
                    break
                step *= 0.5
            else:
                break
            found, compared, taken = found + step, tried, taken + 1
            if longest < self._rules.smallest_step_mm:
                break
        return FittedLevel(
            found, compared.objective if compared is not None else float("nan"), taken
        )

    def _price(self, coefficients: FloatArray, stiffness: float) -> float:
        return stiffness * float(np.sum(coefficients * self._field.stiffness(coefficients)))

    def _step(self, found: FloatArray, at: _Compared, stiffness: float) -> FloatArray:
        slopes = at.slope * self._gradient
        pull = np.stack([self._sums(at.weight * s * at.residual) for s in slopes])
        pairs = {
            (a, b): self._sums(at.weight * slopes[a] * slopes[b])
            for a in range(3)
            for b in range(a, 3)
        }
        field = self._field

        def operator(x: FloatArray) -> FloatArray:
            shift = field.values(x, self._cells)
            pushed = np.stack(
                [sum(pairs[min(a, b), max(a, b)] * shift[b] for b in range(3)) for a in range(3)]
            )
            return field.values(pushed, self._cells_back) + stiffness * field.stiffness(x)

        right = -field.values(pull, self._cells_back) - stiffness * field.stiffness(found)
        return conjugate_gradients(operator, right)

    def _sums(self, values: Float32) -> FloatArray:
        out = values.astype(np.float64)
        for axis, starts in enumerate(self._starts):
            out = np.add.reduceat(out, starts, axis=axis)
        return out

    def _compare(self, coefficients: FloatArray) -> _Compared | None:
        """Regress the moving series on the fixed one in every window."""
        from scipy import ndimage

        shift = self._field.values(coefficients, self._weights)
        index = self._index + np.einsum("ab,bkji->akji", self._per_mm, shift)
        warped = ndimage.map_coordinates(
            self._moving, index, order=1, mode="constant", cval=np.nan, output=np.float32
        )
        inside = np.isfinite(warped)
        if np.count_nonzero(inside & self._body) < _FEWEST_POINTS:
            return None
        warped[~inside] = 0.0
        fixed = np.where(inside, self._fixed, np.float32(0.0))
        size = self._rules.window_points
        share = np.maximum(
            ndimage.uniform_filter(inside.astype(np.float64), size, mode="constant"), 1e-6
        )

        def mean(values: npt.NDArray[np.floating]) -> FloatArray:
            window = ndimage.uniform_filter(values, size, mode="constant", output=np.float64)
            return np.asarray(window / share)

        floor = self._rules.variance_floor
        level_f, level_m = mean(fixed), mean(warped)
        # In double precision: variances are small differences of large squares.
        wide_f, wide_m = fixed.astype(np.float64), warped.astype(np.float64)
        spread_f = np.maximum(mean(wide_f * wide_f) - level_f**2, 0.0)
        spread_m = np.maximum(mean(wide_m * wide_m) - level_m**2, 0.0)
        both = mean(wide_f * wide_m) - level_f * level_m
        slope = both / (spread_f + floor * float(fixed[inside].var()))
        noise = floor * float(warped[inside].var())
        left = np.maximum(spread_m - slope * both, 0.0) + noise
        use = inside & self._body & (share > 0.5)
        count = int(np.count_nonzero(use))
        if count < _FEWEST_POINTS:
            return None
        objective = float(np.log(left / (spread_m + noise))[use].mean())
        residual = (warped - level_m) - slope * (fixed - level_f)
        # A point beside the edge of the moving series would pull by the edge.
        use &= ndimage.binary_erosion(inside)
        weight = np.where(use, 1.0 / (left * count), 0.0)
        return _Compared(
            residual.astype(np.float32),
            slope.astype(np.float32),
            weight.astype(np.float32),
            objective,
        )
