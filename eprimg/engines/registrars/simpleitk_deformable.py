"""Deformable registration: rigid with SimpleITK, then a B-spline on local correlation.

SimpleITK has B-splines too, but neither a price on bending nor Gauss-Newton steps; on three digital
anatomies its own methods were slower and less exact (decision 0017).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.contract import Progress, RegistrarResult, ShouldStop
from eprimg.engines.registrars.deformable_settings import BendLevel, DeformableSettings
from eprimg.engines.registrars.deformation import smallest_jacobian
from eprimg.engines.registrars.intensity import comparable_values
from eprimg.engines.registrars.local_fit import FittedLevel, LevelFit
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.engines.registrars.similarity import body_points_mm
from eprimg.engines.registrars.simpleitk_rigid import SimpleITKRigid
from eprimg.engines.registrars.sitk_steps import smooth
from eprimg.engines.sitk_bridge import to_sitk
from eprimg.errors import EngineError
from eprimg.kernels.spline_field import SplineField, transferred
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume

__all__ = ["SimpleITKDeformable"]

FloatArray = npt.NDArray[np.float64]

_RIGID_SHARE = 0.5
_STIFFER = 10.0
_STIFFER_TIMES = 3
_SECOND_SIGMA = 2.0
_SECOND_ITERATIONS = 3


class SimpleITKDeformable:
    """Rigid registration, then bending: the result maps p to matrix (p + u(p)).

    Notes
    -----
    Nothing is resampled: the result is a matrix and a field of displacements, sampled from the
    B-spline.  The same seed gives the same result on the same machine, whatever the number of
    threads: SimpleITK smooths point by point, and all sums run in one thread.
    """

    name = "simpleitk-deformable"

    @staticmethod
    def version() -> str:
        """Return the version of SimpleITK.

        Returns
        -------
        str
            E.g. ``2.5.7``.
        """
        return SimpleITKRigid.version()

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        *,
        settings: Mapping[str, Any],
        seed: int,
        threads: int,
        start: str | Transform = "identity",
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> RegistrarResult:
        """Estimate the transform from the fixed frame to the moving frame.

        Parameters
        ----------
        fixed, moving : Volume
            3-D volumes (of a multi-echo series: the first echo).
        settings : Mapping
            A profile, see `eprimg.engines.registrars.deformable_settings.DeformableSettings`.
        seed : int
            Seed of the sampler of the rigid step.
        threads : int
            Threads for smoothing.
        start : str or Transform
            As for the rigid engine.  A transform is taken for the rigid alignment: only the bending
            is estimated.
        progress : callable, optional
            Called with words and share.
        should_stop : callable, optional
            True ends the work.

        Returns
        -------
        RegistrarResult
            The rigid matrix and the displacement.

        Raises
        ------
        InputError
            ``E_CONSTANT``, ``E_REGISTRATION_VALUES`` or ``E_REGISTRATION_SMALL``.
        EngineError
            ``E_REGISTRATION`` when there is nothing to compare or the field folds,
            ``E_REGISTRATION_STOPPED``.
        ConfigError
            ``E_CONFIG`` when the profile is faulty.
        """
        began = time.perf_counter()
        rules = DeformableSettings.from_mapping(settings)
        profile = load_profile(rules.rigid, key="'rigid' of the deformable profile")
        if isinstance(start, Transform):
            matrix = np.array(start.matrix)
            rigid = RegistrarResult(matrix, matrix, "given", float("nan"))
            done = 0.0
        else:
            done = _RIGID_SHARE
            rigid = SimpleITKRigid().register(
                fixed,
                moving,
                settings=profile,
                seed=seed,
                threads=threads,
                start=start,
                progress=_part(progress, 0.0, done),
                should_stop=should_stop,
            )
        bending = _Bending(
            fixed,
            moving,
            rigid.matrix,
            rules,
            RigidSettings.from_mapping(profile),
            max(1, threads),
            _part(progress, done, 1.0),
            should_stop,
        )
        bent = bending.run()
        return replace(
            bent,
            start=rigid.start,
            start_name=rigid.start_name,
            metric={**rigid.metric, **bent.metric},
            iterations={**rigid.iterations, **bent.iterations},
            polish_moved_mm=rigid.polish_moved_mm,
            polish_kept=rigid.polish_kept,
            seconds=time.perf_counter() - began,
        )


class _Bending:
    """Working state of the bending after the rigid step."""

    def __init__(
        self,
        fixed: Volume,
        moving: Volume,
        matrix: FloatArray,
        rules: DeformableSettings,
        rigid: RigidSettings,
        threads: int,
        progress: Progress | None,
        should_stop: ShouldStop | None,
    ) -> None:
        values = comparable_values(fixed, rigid.intensity, what="the fixed series")
        other = comparable_values(moving, rigid.intensity, what="the moving series")
        self.grids = (fixed.grid, moving.grid)
        self.matrix, self.rules, self.threads = matrix, rules, threads
        self.progress, self.should_stop = progress, should_stop
        self.volumes = (to_sitk(values, fixed.grid), to_sitk(other, moving.grid))
        self.body_mm = body_points_mm(values, fixed.grid)
        self.metric: dict[str, float] = {}
        self.iterations: dict[str, int] = {}

    def run(self) -> RegistrarResult:
        fit = self.rules.fit
        field, found = self.levels(fit.stiffness, self.rules.levels)
        stiffness = fit.stiffness
        bend = self.sampled(field, found)
        for _ in range(_STIFFER_TIMES):
            if smallest_jacobian(bend) >= self.rules.field.smallest_jacobian:
                break
            stiffness *= _STIFFER
            field, found = self.levels(stiffness, self.rules.levels)
            bend = self.sampled(field, found)
        if smallest_jacobian(bend) < self.rules.field.smallest_jacobian:
            raise EngineError(
                "the two series can only be brought together by folding space",
                code="E_REGISTRATION",
                where=SimpleITKDeformable.name,
                value=round(smallest_jacobian(bend), 3),
                action="use the rigid registration; look at both series",
            )
        self.metric["stiffness"] = stiffness
        self.tell("bending, second estimate", 0.85)
        last = self.rules.levels[-1]
        smoother = replace(last, sigma_mm=_SECOND_SIGMA * last.sigma_mm)
        second = self.level(field, found, smoother, stiffness, _SECOND_ITERATIONS)
        apart = bend.at(self.body_mm) - self.sampled(field, second.coefficients).at(self.body_mm)
        self.tell("aligned", 1.0)
        return RegistrarResult(
            self.matrix,
            self.matrix,
            "given",
            float(np.sqrt((apart**2).sum(axis=1).mean())),
            metric=self.metric,
            iterations=self.iterations,
            displacement=bend,
        )

    def levels(
        self, stiffness: float, levels: tuple[BendLevel, ...]
    ) -> tuple[SplineField, FloatArray]:
        grid = self.grids[0]
        box = [(n - 1) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
        field = SplineField(box, levels[0].spacing_mm)
        found = field.zeros()
        for number, level in enumerate(levels):
            name = f"bending, level {number + 1}"
            self.tell(name, 0.8 * number / len(levels))
            finer = SplineField(box, level.spacing_mm)
            found = transferred(found, field, finer)
            field = finer
            fitted = self.level(field, found, level, stiffness, self.rules.fit.iterations)
            found = fitted.coefficients
            self.metric[name] = fitted.objective
            self.iterations[name] = fitted.iterations
        return field, found

    def level(
        self,
        field: SplineField,
        start: FloatArray,
        level: BendLevel,
        stiffness: float,
        iterations: int,
    ) -> FittedLevel:
        import SimpleITK as sitk

        smoothed = []
        for volume in self.volumes:
            self.ask()
            smoothed.append(sitk.GetArrayFromImage(smooth(volume, level.sigma_mm, self.threads)))
        fit = LevelFit(
            smoothed[0], smoothed[1], self.grids, self.matrix, field, level, self.rules.fit
        )
        found = fit.run(start, stiffness=stiffness, iterations=iterations, ask=self.ask)
        if not np.isfinite(found.objective):
            raise EngineError(
                "too little of the body lies in both series to bend one to the other",
                code="E_REGISTRATION",
                where=SimpleITKDeformable.name,
                action="look at both series; they may show different parts of the body",
            )
        return found

    def sampled(self, field: SplineField, coefficients: FloatArray) -> Displacement:
        """Sample the spline at nodes, fading to zero outside what both series show."""
        from scipy import ndimage

        fixed, moving = self.grids
        rules = self.rules.field
        box = np.array(field.lengths_mm)
        margin = int(np.ceil(rules.fade_mm / rules.grid_mm)) + 1
        counts = np.maximum(np.ceil(box / rules.grid_mm).astype(int) + 1, 2)
        first = (box - (counts - 1) * rules.grid_mm) / 2.0 - margin * rules.grid_mm
        counts = counts + 2 * margin
        at = [first[a] + np.arange(counts[a]) * rules.grid_mm for a in range(3)]
        shift = field.values(coefficients, [field.matrix(a, at[a]) for a in range(3)])
        affine = np.eye(4)
        affine[:3, :3] = fixed.axes_lps * rules.grid_mm
        affine[:3, 3] = fixed.affine[:3, 3] + fixed.axes_lps @ first
        k, j, i = (int(n) for n in counts)
        grid = Grid((k, j, i), affine, fixed.frame_of_reference)
        vectors = np.einsum("ab,bkji->kjia", fixed.axes_lps, shift)
        points = grid.index_to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) + vectors
        there = moving.lps_mm_to_index(points @ self.matrix[:3, :3].T + self.matrix[:3, 3])
        shown: npt.NDArray[np.bool_] = np.all(
            (there >= -0.5) & (there <= np.array(moving.shape) - 0.5), axis=-1
        )
        for axis, places in enumerate(at):
            inside = (places >= 0.0) & (places <= box[axis])
            shown = shown & inside.reshape([-1 if a == axis else 1 for a in range(3)])
        away = ndimage.distance_transform_edt(~shown, sampling=rules.grid_mm)
        weight = 0.5 * (1.0 + np.cos(np.pi * np.minimum(away / rules.fade_mm, 1.0)))
        return Displacement((vectors * weight[..., None]).astype(np.float32), grid)

    def tell(self, words: str, share: float) -> None:
        self.ask()
        if self.progress is not None:
            self.progress(words, share)

    def ask(self) -> None:
        if self.should_stop is not None and self.should_stop():
            raise EngineError(
                "the registration was stopped",
                code="E_REGISTRATION_STOPPED",
                where=SimpleITKDeformable.name,
                action="run again",
            )


def _part(progress: Progress | None, low: float, high: float) -> Progress | None:
    if progress is None:
        return None
    return lambda words, share: progress(words, low + (high - low) * share)
