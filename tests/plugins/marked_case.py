"""A case with marks at known places, built from formulas in patient millimetres.

A body (ellipsoid), a bright ball at the patient's right, one towards the head, one in front, and
two hot lesions.  Every number below is a place in LPS mm; nothing is computed by the code under
test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from psygnal import Signal

from eprimg.model.acquisition import MRAcquisition
from eprimg.model.case import Case
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.tiers import Tier, TierScheme
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from tests import tiny_case

FRAME = "1.2.826.0.1"
PET_FRAME = "1.2.826.0.2"

RIGHT = (-45.0, 0.0, 0.0)
"""L, P, S of the bright ball at the patient's right."""
HEAD = (0.0, 0.0, 42.0)
FRONT = (0.0, -32.0, 0.0)
LESION_1 = (24.0, 10.0, 8.0)
LESION_2 = (-20.0, 16.0, -16.0)
BALL_MM = 7.0
SUV = {0: 1.0, 1: 8.0, 2: 12.0}
"""SUV of the body and of the two lesions."""


def straight_grid(n: int = 64, size_mm: float = 128.0, frame: str = FRAME) -> Grid:
    """A cube around the origin: rows run to posterior, columns to left, slices to the head."""
    step = size_mm / n
    first = -size_mm / 2 + step / 2
    affine = [[0, 0, step, first], [0, step, 0, first], [step, 0, 0, first], [0, 0, 0, 1]]
    return Grid((n, n, n), np.array(affine, dtype=float), frame)


def thick_grid() -> Grid:
    """6 mm slices of 1 x 1 mm pixels, slices running to the feet."""
    affine = [[0, 0, 1, -63.5], [0, 1, 0, -63.5], [-6, 0, 0, 63], [0, 0, 0, 1]]
    return Grid((22, 128, 128), np.array(affine, dtype=float), FRAME)


def tilted_grid(degrees: float = 30.0, n: int = 72, step: float = 2.0) -> Grid:
    """A cube whose slices are tilted about the left-right axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    axes = np.array([[0, 0, 1], [-s, c, 0], [c, s, 0]]) * step  # columns: k, j, i
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = -axes @ (np.full(3, (n - 1) / 2))
    return Grid((n, n, n), affine, FRAME)


def ball(grid: Grid, centre: Sequence[float], radius_mm: float = BALL_MM) -> np.ndarray:
    """Voxels whose centre lies in a ball."""
    return _square_distance(grid, centre, (1, 1, 1)) <= radius_mm**2


def body(grid: Grid) -> np.ndarray:
    """Voxels inside the ellipsoid with half axes 56, 42, 58 mm along L, P, S."""
    return _square_distance(grid, (0, 0, 0), (56, 42, 58)) <= 1


def _square_distance(grid: Grid, centre: Sequence[float], half: Sequence[float]) -> np.ndarray:
    total = np.zeros(grid.shape)
    for row in range(3):
        total += ((_place(grid, row) - centre[row]) / half[row]) ** 2
    return total


def _place(grid: Grid, row: int) -> np.ndarray:
    """L, P or S (row 0, 1, 2) of every voxel centre."""
    k, j, i = (
        grid.affine[row, a] * np.arange(n).reshape([-1 if b == a else 1 for b in range(3)])
        for a, n in enumerate(grid.shape)
    )
    return k + j + i + grid.affine[row, 3]


def signal(grid: Grid) -> np.ndarray:
    """MR signal: a textured body with three bright balls."""
    noise = np.random.default_rng(3).uniform(0.75, 1.25, grid.shape)
    values = np.where(body(grid), 400 * noise, 0).astype(np.float32)
    for centre in (RIGHT, HEAD, FRONT):
        values[ball(grid, centre)] = 1000
    return values


def labels(grid: Grid) -> np.ndarray:
    """Lesions 1 and 2."""
    found = np.zeros(grid.shape, dtype=np.int32)
    found[ball(grid, LESION_1)] = 1
    found[ball(grid, LESION_2)] = 2
    return found


def suv(grid: Grid) -> QuantityMap:
    """PET: the body and two hot lesions; nothing was measured below S = -54 mm."""
    values = np.where(body(grid), SUV[0], 0).astype(np.float32)
    for label in (1, 2):
        values[labels(grid) == label] = SUV[label]
    valid = _place(grid, 2) >= -54
    values[~valid] = np.nan
    reason = np.where(valid, 0, 5).astype(np.uint8)
    return QuantityMap(
        values, grid, quantity("suvbw"), valid, "made", ("pet",),
        reason=reason, reason_words={5: "outside the scan"},
    )  # fmt: skip


def study(grid: Grid, pet_grid: Grid) -> Study:
    """MR before ferumoxytol and PET."""
    echoes = np.stack([signal(grid), 0.5 * signal(grid)], axis=-1).astype(np.float32)
    mr = Series(
        "mr_pre",
        Role.MR_PRE,
        EchoStack(Volume(echoes, grid, quantity("signal")), (0.0012, 0.0024)),
        MRAcquisition((0.0012, 0.0024)),
    )
    activity = np.zeros(pet_grid.shape, np.float32)
    volume = Volume(activity, pet_grid, quantity("activity"))
    pet = Series("pet", Role.PET, volume, tiny_case.pet_acquisition())
    sessions = (Timepoint("pre ferumoxytol", None, (mr,)), Timepoint("89Zr", None, (pet,)))
    return Study("P-1", sessions)


SCHEME = TierScheme(
    "demo", "1", "Demo", "suvbw", "peak", "fixed", (10.0,), ("low", "high"), "any", False, "none",
    "pet",
)  # fmt: skip


def case(grid: Grid | None = None, *, aligned: bool = True) -> Case:
    """The measured case; with `aligned` False the PET was not registered."""
    grid = straight_grid() if grid is None else grid
    pet_grid = Grid(grid.shape, grid.affine, PET_FRAME)
    native = suv(pet_grid)
    on_reference = suv(grid)
    registration = Registration(
        "mr_pre", "pet", Transform(np.eye(4), FRAME, PET_FRAME), "identity", accepted=aligned
    )
    tiers = [Tier("demo", word, 0.97, "noise", "above 10", word) for word in ("low", "high")]
    regions = tuple(
        Region(n, f"lesion-{n}", RegionRole.LESION, tiers=(tier,))
        for n, tier in enumerate(tiers, start=1)
    )
    return Case(
        study(grid, pet_grid),
        registrations=(registration,),
        maps={"suvbw": native},
        registered={"suvbw": on_reference} if aligned else {},
        lesions=LesionSet(labels(grid), grid, regions),
        schemes=(SCHEME,),
    )


class PlainReading:
    """The part of a Reading that what is drawn looks at."""

    case_changed = Signal()
    regions_changed = Signal(object)
    tiers_changed = Signal()
    cursor_changed = Signal(object)
    selection_changed = Signal(int)

    def __init__(self, shown: Case | None = None) -> None:
        self.case = shown
        self.study = None if shown is None else shown.study
        self.cursor_mm: tuple[float, float, float] | None = None
        self.view: dict[str, object] = {}
        self.selected = 0

    def move_cursor(self, point_mm: Sequence[float]) -> None:
        s, p, ell = (float(x) for x in point_mm)
        self.cursor_mm = (s, p, ell)
        self.cursor_changed.emit(self.cursor_mm)

    def show(self, shown: Case | None) -> None:
        self.case = shown
        self.study = None if shown is None else shown.study
        self.case_changed.emit()


def spl(lps: Sequence[float]) -> tuple[float, float, float]:
    """Turn (L, P, S) into (S, P, L)."""
    return float(lps[2]), float(lps[1]), float(lps[0])
