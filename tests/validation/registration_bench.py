"""Registration cases of known truth on three anatomies, and how well an engine solves them.

The volumes come from `eprimg_phantoms.anatomy`: nothing in them was resampled, and the truth is a
formula.  Errors are distances at the centres of the lesions (target registration error).
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import psutil

from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from eprimg.registry import load_engine
from eprimg_phantoms.anatomy import COUNTS, LOW_COUNTS, load_anatomy, paint_mr, paint_pet
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.motion import Breathing, Motion, Rigid

ANATOMIES = ("abdomen", "thorax", "head-and-neck")
FAILED_MM = 4.0
"""Mean error at the lesions above which a registration counts as failed."""
LOST_MM = (25.0, 60.0)
"""Shift of the origin across (x or y) and along z when the header frame is lost."""
PROFILE = "rigid-mi"
SEED = 1


class Kind(NamedTuple):
    """What is aligned with the MR before ferumoxytol."""

    words: str
    pet: bool = False
    echo_time_ms: float = 1.2
    counts: float = COUNTS
    lost: bool = False
    breathing: bool = False
    bounds_mm: tuple[float, float] = (0.7, 3.0)
    """Largest mean error over all cases, and largest error of one lesion."""


_PET = (1.5, 3.0)
KINDS = {
    "mr": Kind("MR pre/post, TE 1.2 ms"),
    "mr-late": Kind("MR pre/post, TE 4.6 ms", echo_time_ms=4.6),
    "mr-lost": Kind("MR pre/post, header frame lost", lost=True),
    "pet": Kind("PET-MR", pet=True, bounds_mm=_PET),
    "pet-low": Kind("PET-MR, low count", pet=True, counts=LOW_COUNTS, bounds_mm=_PET),
    "pet-lost": Kind("PET-MR, header frame lost", pet=True, lost=True, bounds_mm=_PET),
    "mr-breathing": Kind(
        "MR pre/post, 10 mm breathing, TE 1.2 ms", breathing=True, bounds_mm=(2.0, np.inf)
    ),
    "mr-breathing-late": Kind(
        "MR pre/post, 10 mm breathing, TE 4.6 ms",
        echo_time_ms=4.6,
        breathing=True,
        bounds_mm=(2.0, np.inf),
    ),
}


@dataclass(frozen=True)
class BenchCase:
    """Two volumes and where the lesions of the first lie in the second.

    Attributes
    ----------
    anatomy, kind : str
        Names.
    seed : int
        Draws the movement and the noise.
    fixed, moving : Volume
        MR before ferumoxytol, and the other series.
    lesions_mm, truth_mm : ndarray, shape (n, 3)
        Centres of the lesions in the fixed and in the moving frame.
    matrix : ndarray, shape (4, 4), or None
        The true transform when it is rigid.
    """

    anatomy: str
    kind: str
    seed: int
    fixed: Volume
    moving: Volume
    lesions_mm: np.ndarray
    truth_mm: np.ndarray
    matrix: np.ndarray | None

    def errors_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Distance of mapped lesion centres from the truth."""
        return np.linalg.norm(points_mm - self.truth_mm, axis=-1)

    def errors_of(self, matrix: np.ndarray) -> np.ndarray:
        """Distance at each lesion when a matrix maps the centres."""
        return self.errors_mm(self.lesions_mm @ matrix[:3, :3].T + matrix[:3, 3])


class Row(NamedTuple):
    """How one case was solved."""

    anatomy: str
    kind: str
    seed: int
    engine: str
    before_mm: float
    mean_mm: float
    worst_mm: float
    cpu_s: float
    peak_mb: float
    start: str
    consistency_mm: float
    polish_moved_mm: float
    polish_kept: bool


def coarser(grid: SampleGrid, factor: float) -> SampleGrid:
    """Cover the same box with larger voxels."""
    first, second, third = (max(8, round(n / factor)) for n in grid.shape)
    return reshaped(grid, (first, second, third))


def reshaped(grid: SampleGrid, shape: tuple[int, int, int]) -> SampleGrid:
    """Cover the same box with another number of voxels (k, j, i)."""
    dk, dj, di = (
        float(s * n / m) for s, n, m in zip(grid.spacing_mm, grid.shape, shape, strict=True)
    )
    middle = grid.affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2) + grid.affine[:3, 3]
    return SampleGrid.centred(shape, (dk, dj, di), middle)


def make_case(
    anatomy: str,
    seed: int,
    kind: str = "mr",
    *,
    factor: float = 1.0,
    mr_shape: tuple[int, int, int] | None = None,
) -> BenchCase:
    """Draw a movement and paint both volumes.

    Parameters
    ----------
    anatomy : str
        One of `ANATOMIES`.
    seed : int
        Draws the movement and the noise.
    kind : str
        One of `KINDS`.
    factor : float
        Makes all voxels larger by this (for quick tests).
    mr_shape : tuple of int, optional
        Voxels of MR (k, j, i), over the same box.
    """
    rules, scene = KINDS[kind], load_anatomy(anatomy)
    # The same movement for every kind of a seed, so that kinds can be compared.
    rng = np.random.default_rng([seed, ANATOMIES.index(anatomy)])
    rigid = Rigid.drawn(rng)
    signs = rng.choice([-1.0, 1.0], 3)
    motion: Motion = Breathing.drawn(rng) if rules.breathing else rigid
    noise = np.random.default_rng([seed, ANATOMIES.index(anatomy), list(KINDS).index(kind)])
    mr_grid = coarser(scene.mr_grid, factor)
    if mr_shape is not None:
        mr_grid = reshaped(mr_grid, mr_shape)
    before = paint_mr(scene, mr_grid, Rigid(np.eye(4)), echo_time_s=rules.echo_time_ms / 1000.0,
                      after=False, rng=noise)  # fmt: skip
    if rules.pet:
        grid, key = coarser(scene.pet_grid, factor), "activity"
        after = paint_pet(scene, grid, motion, counts=rules.counts, rng=noise)
    else:
        grid, key = mr_grid, "signal"
        after = paint_mr(scene, grid, motion, echo_time_s=rules.echo_time_ms / 1000.0,
                         after=True, rng=noise)  # fmt: skip
    shift = np.zeros(3)
    if rules.lost:
        shift[0 if signs[2] > 0 else 1] = signs[0] * LOST_MM[0]
        shift[2] = signs[1] * LOST_MM[1]
    affine = grid.affine.copy()
    affine[:3, 3] += shift
    matrix = None
    if not rules.breathing:
        matrix = rigid.matrix.copy()
        matrix[:3, 3] += shift
    return BenchCase(
        anatomy,
        kind,
        seed,
        Volume(before, Grid(mr_grid.shape, mr_grid.affine, "2.25.1"), quantity("signal")),
        Volume(after, Grid(grid.shape, affine, "2.25.2"), quantity(key)),
        scene.lesion_centres_mm,
        motion.to_session(scene.lesion_centres_mm) + shift,
        matrix,
    )


class _Meter:
    """CPU seconds and memory of this process and its children while something runs."""

    def __init__(self) -> None:
        self.cpu_s = float("nan")
        self.peak_mb = float("nan")

    @staticmethod
    def _memory() -> int:
        me = psutil.Process()
        total = me.memory_info().rss
        for child in me.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    @staticmethod
    def _cpu() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measure what happens inside the block."""
        before, top, done = self._memory(), [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.02):
                top[0] = max(top[0], self._memory())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        began = self._cpu()
        try:
            yield
        finally:
            self.cpu_s = self._cpu() - began
            done.set()
            watcher.join()
            self.peak_mb = max(top[0] - before, 0) / 2**20


def mapped(case: BenchCase, result: RegistrarResult, points_mm: np.ndarray) -> np.ndarray:
    """Bring points of the fixed frame to the moving frame, as a result says."""
    frames = (case.fixed.grid.frame_of_reference, case.moving.grid.frame_of_reference)
    return Transform(result.matrix, *frames, result.displacement).apply(points_mm)


def run(
    engine: str,
    case: BenchCase,
    *,
    profile: str = PROFILE,
    settings: dict[str, Any] | None = None,
) -> tuple[Row, RegistrarResult]:
    """Align a case with an engine, as the stage does between sessions.

    Parameters
    ----------
    engine : str
        Name of the entry point.
    case : BenchCase
        The case.
    profile : str
        Profile of the engine, when it is not its own.
    settings : dict, optional
        Settings in the place of the profile's.
    """
    solver = load_engine("registrar", engine)()
    meter = _Meter()
    with meter.measure():
        result = solver.register(
            case.fixed,
            case.moving,
            settings=load_profile(profile) if settings is None else settings,
            seed=SEED,
            threads=1,
            start="best",
        )
    errors = case.errors_mm(mapped(case, result, case.lesions_mm))
    row = Row(
        case.anatomy,
        case.kind,
        case.seed,
        engine,
        float(case.errors_of(np.eye(4)).mean()),
        float(errors.mean()),
        float(errors.max()),
        meter.cpu_s,
        meter.peak_mb,
        result.start_name,
        result.consistency_mm,
        result.polish_moved_mm,
        result.polish_kept,
    )
    return row, result
