"""Rigid registration with SimpleITK: mutual information, coarse to fine, one thread in the metric.

References
----------
Mattes D et al., IEEE Trans Med Imaging 2003;22:120, doi 10.1109/TMI.2003.809072 (metric).
Avants BB et al., Med Image Anal 2008;12:26, doi 10.1016/j.media.2007.06.004 (local correlation).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.contract import Progress, RegistrarResult, ShouldStop
from eprimg.engines.registrars.intensity import comparable_values
from eprimg.engines.registrars.restarts import displacements
from eprimg.engines.registrars.rigid_settings import LevelSettings, RigidSettings
from eprimg.engines.registrars.similarity import (
    body_points_mm,
    centroid_mm,
    moved_rms_mm,
    overlap_fraction,
    rotation_deg,
)
from eprimg.engines.registrars.sitk_descent import descend
from eprimg.engines.registrars.sitk_steps import (
    halfway,
    lattice,
    mask_to_sitk,
    not_aligned,
    one_metric_thread,
    require_extent,
    shift_matrix,
    smooth,
    stopped,
    unrounded,
)
from eprimg.engines.sitk_bridge import (
    euler_transform,
    matrix_of,
    to_sitk,
    to_sitk_transform,
)
from eprimg.errors import EngineError
from eprimg.model.manual_help import MetricMask
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume

__all__ = ["SimpleITKRigid"]

FloatArray = npt.NDArray[np.float64]

_SECOND_SIGMA = 2.0
"""The second estimate sees the last level twice as smooth, at other sample points."""

_LEAST_VOXELS = 0.25
"""Smallest smoothing in voxels; half a voxel is worse, also for slices of 8 mm (decision 0022)."""


class SimpleITKRigid:
    """Rigid registration (three angles, three shifts) about the centre of the fixed series.

    Notes
    -----
    Nothing is resampled: the result is a matrix.  The same seed gives the same matrix, bit by bit,
    on the same machine, whatever the number of threads.
    """

    name = "simpleitk-rigid"

    @staticmethod
    def version() -> str:
        """Return the version of SimpleITK.

        Returns
        -------
        str
            E.g. ``2.5.7``.
        """
        import SimpleITK as sitk

        return str(sitk.Version.VersionString())

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
        fixed_mask: MetricMask | None = None,
        moving_mask: MetricMask | None = None,
    ) -> RegistrarResult:
        """Estimate the transform from the fixed frame to the moving frame.

        Parameters
        ----------
        fixed, moving : Volume
            3-D volumes (of a multi-echo series: the first echo).
        settings : Mapping
            A profile, see `eprimg.engines.registrars.rigid_settings.load_profile`.
        seed : int
            Seed of the sampler.
        threads : int
            Threads for smoothing; the metric always uses one.
        start : str or Transform
            ``identity``, ``centres``, ``moments``, ``best`` (the best of several), or a transform.
        progress : callable, optional
            Called with words and share.
        should_stop : callable, optional
            True ends the work.
        fixed_mask, moving_mask : MetricMask, optional
            The metric looks only where they are True.

        Returns
        -------
        RegistrarResult
            The matrix and how it was found.

        Raises
        ------
        InputError
            ``E_CONSTANT``, ``E_REGISTRATION_VALUES``, ``..._SMALL`` or ``..._MASK`` (too small).
        EngineError
            ``E_REGISTRATION`` or ``E_REGISTRATION_MASK`` when SimpleITK fails, without or with a
            mask; ``E_REGISTRATION_STOPPED``.
        ConfigError
            ``E_CONFIG`` when the profile is faulty.
        """
        began = time.perf_counter()
        rules = RigidSettings.from_mapping(settings)
        search = _Search.prepare(fixed, moving, rules, seed, threads, progress, should_stop)
        search.mask(fixed_mask, moving_mask)
        try:
            with one_metric_thread():
                matrix = search.run(start)
        except RuntimeError as error:
            if isinstance(error, EngineError):
                raise
            raise not_aligned(error, self.name, fixed_mask, moving_mask) from error
        return replace(search.result, matrix=matrix, seconds=time.perf_counter() - began)


@dataclass(slots=True)
class _Search:
    """Working state of one registration."""

    fixed: Volume
    moving: Volume
    rules: RigidSettings
    seed: int
    threads: int
    progress: Progress | None
    should_stop: ShouldStop | None
    fixed_sitk: Any
    moving_sitk: Any
    body_mm: FloatArray
    centroids_mm: tuple[FloatArray, FloatArray]
    result: RegistrarResult
    smoothed: dict[float, tuple[Any, Any]] = field(default_factory=dict)
    masks: tuple[Any, Any] = (None, None)
    masked_share: float = 1.0

    @classmethod
    def prepare(
        cls,
        fixed: Volume,
        moving: Volume,
        rules: RigidSettings,
        seed: int,
        threads: int,
        progress: Progress | None,
        should_stop: ShouldStop | None,
    ) -> _Search:
        values = comparable_values(fixed, rules.intensity, what="the fixed series")
        other = comparable_values(moving, rules.intensity, what="the moving series")
        return cls(
            fixed,
            moving,
            rules,
            # SimpleITK takes a seed of 0 for the time of day.
            max(1, seed % 2**31),
            max(1, threads),
            progress,
            should_stop,
            to_sitk(values, fixed.grid),
            to_sitk(other, moving.grid),
            body_points_mm(values, fixed.grid),
            (centroid_mm(values, fixed.grid), centroid_mm(other, moving.grid)),
            RegistrarResult(np.eye(4), np.eye(4), "identity", float("nan")),
        )

    def mask(self, fixed: MetricMask | None, moving: MetricMask | None) -> None:
        fewest = self.rules.optimizer.fewest_samples
        coarsest = lattice(self.fixed_sitk, self.rules.levels[0].grid_mm, fewest=fewest)
        require_extent(coarsest[2], fixed, moving)
        self.masks = (mask_to_sitk(fixed), mask_to_sitk(moving))
        if fixed is not None:
            own, whole = fixed.grid.voxel_volume_ml, self.fixed.grid.voxel_volume_ml
            volume = float(np.count_nonzero(fixed.inside)) * own
            self.masked_share = min(1.0, volume / (whole * float(np.prod(self.fixed.grid.shape))))

    def run(self, start: str | Transform) -> FloatArray:
        begun, name, matrix = self.begin(start)
        self.result = replace(self.result, start=begun, start_name=name)
        parts = len(self.rules.levels) + 2
        for number, level in enumerate(self.rules.levels):
            self.tell(f"aligning, level {number + 1}", (number + 1) / parts)
            step = f"level {number + 1}"
            matrix = self.level(matrix, level, step=step)
            if number < self.rules.restarts.levels:
                matrix = self.restarted(matrix, level, step)
        self.tell("aligning, second estimate", (parts - 1) / parts)
        last = self.rules.levels[-1]
        smoother = replace(last, sigma_mm=_SECOND_SIGMA * last.sigma_mm)
        second = self.level(matrix, smoother, step="second estimate", reseed=1)
        consistency = moved_rms_mm(self.body_mm, matrix, second)
        self.result = replace(self.result, consistency_mm=consistency)
        polish = self.rules.polish
        flat = consistency > polish.above_consistency_mm
        # Mutual information errs by a share of a voxel, local correlation by about 1.5 mm.
        coarse = max(self.moving.grid.spacing_mm) >= polish.from_voxel_mm
        asked = polish.use and self.moving.quantity.key in polish.quantities
        if asked and flat and coarse:
            matrix = self.polish(matrix)
        elif consistency <= self.rules.optimizer.average_below_mm:
            matrix = halfway(matrix, second, self.fixed.grid.center_lps_mm)
        self.tell("aligned", 1.0)
        return matrix

    def tell(self, words: str, share: float) -> None:
        self.ask()
        if self.progress is not None:
            self.progress(words, share)

    def ask(self) -> None:
        """Stop between two pieces of work when the caller wants to."""
        if self.should_stop is not None and self.should_stop():
            raise stopped()

    # ---- starts

    def begin(self, start: str | Transform) -> tuple[FloatArray, str, FloatArray]:
        """Return a start, its name, and the place from which the search goes on."""
        if isinstance(start, Transform):
            matrix = unrounded(np.array(start.matrix))
            return matrix, "given", matrix
        if start == "best":
            return self.best_start()
        candidates = self.candidates()
        if start not in candidates:
            raise EngineError(
                f"there is no start called {start!r}",
                code="E_ARGUMENT",
                value=start,
                action=f"use one of: best, {', '.join(candidates)}",
            )
        return candidates[start], start, candidates[start]

    def candidates(self, *, displaced: bool = False) -> dict[str, FloatArray]:
        starts = {"identity": np.eye(4)}
        apart = self.moving.grid.center_lps_mm - self.fixed.grid.center_lps_mm
        starts["centres"] = shift_matrix(apart)
        moments = self.centroids_mm[1] - self.centroids_mm[0]
        starts["moments"] = shift_matrix(moments)
        for along in self.rules.start.displaced_mm if displaced else ():
            starts[f"moments {along:+g} mm"] = shift_matrix(moments + np.array([0.0, 0.0, along]))
        return starts

    def best_start(self) -> tuple[FloatArray, str, FloatArray]:
        self.tell("aligning, looking for a start", 0.0)
        rules = self.rules.start
        level = replace(self.rules.levels[0], sampled_fraction=rules.sampled_fraction)
        header = overlap_fraction(self.fixed.grid, self.moving.grid, np.eye(4))
        believed = header >= rules.header_overlap_fraction
        scored: list[tuple[float, str, FloatArray]] = []
        for name, matrix in self.candidates(displaced=not believed).items():
            if any(np.allclose(matrix, other, rtol=0, atol=1.0) for _, _, other in scored):
                continue
            if self.overlaps(matrix):
                scored.append((self.weighed(matrix, matrix, level, believed), name, matrix))
        if not scored:
            raise EngineError(
                "the two series cannot be brought to overlap",
                code="E_REGISTRATION",
                where="start",
                action="they may show different parts of the body",
            )
        scored.sort(key=lambda entry: entry[0])
        tried: list[tuple[float, str, FloatArray, FloatArray]] = []
        for _, name, matrix in scored[:3]:
            moved = self.level(matrix, level, rules.iterations)
            if self.overlaps(moved):
                tried.append((self.weighed(moved, matrix, level, believed), name, matrix, moved))
        if not tried:
            tried = [(value, name, matrix, matrix) for value, name, matrix in scored]
        # The search goes on where the short one ended: far starts used up its iterations before.
        _, name, matrix, moved = min(tried, key=lambda entry: entry[0])
        return matrix, name, moved

    def overlaps(self, matrix: FloatArray) -> bool:
        share = overlap_fraction(self.fixed.grid, self.moving.grid, matrix)
        return share >= self.rules.start.minimum_overlap_fraction

    def weighed(
        self, matrix: FloatArray, start: FloatArray, level: LevelSettings, believed: bool
    ) -> float:
        """Return the metric, which counts for less where the start left a believed header far."""
        far = believed and np.linalg.norm(start[:3, 3]) > self.rules.start.near_header_mm
        value = self.score(matrix, level)
        return value * self.rules.start.far_share if far and value < 0 else value

    def score(self, matrix: FloatArray, level: LevelSettings, *, correlate: bool = False) -> float:
        """Return the metric at a transform; the engine minimises, so lower is more alike."""
        self.ask()
        method = self.method(level, correlate=correlate)
        method.SetInitialTransform(to_sitk_transform(matrix))
        self.pair(level.sigma_mm)
        try:
            return float(method.MetricEvaluate(*self.pair(level.sigma_mm)))
        except RuntimeError:
            return float("inf")  # no sample point inside the moving volume

    # ---- steps

    def pair(self, sigma_mm: float) -> tuple[Any, Any]:
        if sigma_mm not in self.smoothed:
            self.smoothed = {}  # one level at a time: these are the largest arrays here
            first = smooth(self.fixed_sitk, sigma_mm, self.threads, least_voxels=_LEAST_VOXELS)
            self.ask()
            second = smooth(self.moving_sitk, sigma_mm, self.threads, least_voxels=_LEAST_VOXELS)
            self.ask()
            self.smoothed = {sigma_mm: (first, second)}
        return self.smoothed[sigma_mm]

    def method(self, level: LevelSettings, *, reseed: int = 0, correlate: bool = False) -> Any:
        import SimpleITK as sitk

        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        domain = lattice(self.fixed_sitk, level.grid_mm, fewest=self.rules.optimizer.fewest_samples)
        method.SetVirtualDomain(*domain)
        if correlate:
            method.SetMetricAsANTSNeighborhoodCorrelation(self.rules.polish.radius_voxels)
        else:
            method.SetMetricAsMattesMutualInformation(self.rules.histogram_bins)
            # Points outside the mask are drawn too, and dropped.
            points = float(np.prod(domain[0])) * self.masked_share
            optimizer = self.rules.optimizer
            fewest, most = optimizer.fewest_samples, optimizer.most_samples
            share = min(max(level.sampled_fraction, fewest / points), most / points, 1.0)
            method.SetMetricSamplingStrategy(method.RANDOM)
            method.SetMetricSamplingPercentage(share, self.seed + reseed)
        if self.masks[0] is not None:
            method.SetMetricFixedMask(self.masks[0])
        if self.masks[1] is not None:
            method.SetMetricMovingMask(self.masks[1])
        # Gradients at the sample points only: the volumes are smooth already, and gradients of all
        # voxels cost more than the search.
        method.MetricUseFixedImageGradientFilterOff()
        method.MetricUseMovingImageGradientFilterOff()
        method.SetInterpolator(sitk.sitkLinear)
        # Volumes are smoothed and thinned here: ITK's own pyramid is one level and does nothing.
        method.SetShrinkFactorsPerLevel([1])
        method.SetSmoothingSigmasPerLevel([0])
        return method

    def level(
        self,
        matrix: FloatArray,
        level: LevelSettings,
        iterations: int = 0,
        *,
        step: str = "",
        reseed: int = 0,
        correlate: bool = False,
        smallest_step_mm: float = 0.0,
    ) -> FloatArray:
        method = self.method(level, reseed=reseed, correlate=correlate)
        optimizer = self.rules.optimizer
        transform = euler_transform(matrix, self.fixed.grid.center_lps_mm)
        volumes = self.pair(level.sigma_mm)
        self.ask()
        found = descend(
            method,
            volumes,
            transform,
            step_mm=level.step_mm,
            smallest_step_mm=smallest_step_mm or optimizer.smallest_step_mm,
            iterations=iterations or optimizer.iterations,
            relaxation=optimizer.relaxation,
            should_stop=self.should_stop,
        )
        if found.halted:
            raise stopped()
        if step:
            self.result = replace(
                self.result,
                metric={**self.result.metric, step: found.value},
                iterations={**self.result.iterations, step: found.iterations},
            )
        return matrix_of(transform)

    def restarted(self, matrix: FloatArray, level: LevelSettings, step: str) -> FloatArray:
        """Search a level again from displaced places, and return the best place of all."""
        rules, again = self.rules.restarts, f"{step}, again"
        least = rules.smallest_step_mm
        if self.moving.quantity.key not in rules.quantities:
            return matrix
        for move in displacements(rules, self.fixed.grid.center_lps_mm, self.seed):
            if not self.overlaps(matrix @ move):
                continue
            found = self.level(matrix @ move, level, step=again, smallest_step_mm=least)
            # Few common voxels can look more alike than many.
            if self.result.metric[again] < self.result.metric[step] and self.overlaps(found):
                matrix = found
                values = {**self.result.metric, step: self.result.metric[again]}
                self.result = replace(self.result, metric=values)
        return matrix

    def polish(self, matrix: FloatArray) -> FloatArray:
        self.tell("aligning, local correlation", 0.9)
        rules = self.rules.polish
        level = LevelSettings(rules.grid_mm, rules.sigma_mm, 1.0, rules.step_mm)
        polished = self.level(
            matrix,
            level,
            rules.iterations,
            step="local correlation",
            correlate=True,
            smallest_step_mm=rules.smallest_step_mm,
        )
        moved = moved_rms_mm(self.fixed.grid.center_lps_mm[None, :], matrix, polished)
        turned = rotation_deg(polished @ np.linalg.inv(matrix))
        kept = (
            self.score(polished, level, correlate=True) < self.score(matrix, level, correlate=True)
            and moved < rules.maximum_moved_mm
            and turned < rules.maximum_rotated_deg
        )
        self.result = replace(self.result, polish_moved_mm=moved, polish_kept=kept)
        return polished if kept else matrix
