"""One test for registration engines; third parties can run it on their own.

In a test of your package::

    from eprimg.engines.registrars.conformance import check_registrar

    def test_conformance():
        check_registrar(MyRegistrar())
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.contract import Registrar, RegistrarResult
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.errors import Cancelled, EngineError, EprimgError
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

__all__ = ["MARKS_MM", "TRUE_MATRIX", "check_registrar", "conformance_pair"]

FloatArray = npt.NDArray[np.float64]

MARKS_MM: FloatArray = np.array(
    [[30.0, 20, 10], [-40, 10, -20], [10, -45, 25], [-15, 35, 30], [0, 0, -40]]
)
"""Centres of five organs in the fixed frame, LPS mm; errors are measured there."""

_ANGLE = np.radians(5.0)
TRUE_MATRIX: FloatArray = np.array(
    [
        [np.cos(_ANGLE), -np.sin(_ANGLE), 0.0, 6.0],
        [np.sin(_ANGLE), np.cos(_ANGLE), 0.0, -5.0],
        [0.0, 0.0, 1.0, 7.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""Maps fixed points to moving points, LPS mm."""

_FIXED = (500.0, 700.0, 300.0, 620.0, 420.0, 800.0)
_MOVING = (510.0, 150.0, 310.0, 200.0, 800.0, 560.0)
_RADII_MM = (22.0, 18.0, 20.0, 14.0, 24.0)


def conformance_pair() -> tuple[Volume, Volume]:
    """Make two volumes of one body in two contrasts, of which one is moved by `TRUE_MATRIX`.

    Returns
    -------
    fixed, moving : Volume
        26 x 56 x 60 voxels of 6 x 3 x 3 mm, and a grid of other spacing, shape and axes.  The
        moving one is evaluated at the points that the inverse transform gives; nothing is
        resampled.
    """
    first = np.eye(4)
    first[:3, :3] = np.diag((6.0, 3.0, 3.0))[::-1]
    first[:3, 3] = (-88.5, -82.5, -75.0)
    tilt = np.radians(10.0)
    turn = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    second = np.eye(4)
    second[:3, :3] = (turn @ np.diag((3.5, 3.0, 5.0)))[:, ::-1]
    second[:3, 3] = np.array((3.0, -4.0, 2.0)) - second[:3, :3] @ (np.array((32, 58, 52)) - 1) / 2
    fixed = Grid((26, 56, 60), first, "1.2.826.0.1.1")
    moving = Grid((32, 58, 52), second, "1.2.826.0.1.2")
    back = np.asarray(np.linalg.inv(TRUE_MATRIX), dtype=np.float64)
    return _painted(fixed, np.eye(4), _FIXED, 1), _painted(moving, back, _MOVING, 2)


def _painted(grid: Grid, to_fixed: FloatArray, table: tuple[float, ...], seed: int) -> Volume:
    index = np.moveaxis(np.indices(grid.shape, dtype=np.float64), 0, -1)
    p = grid.index_to_lps_mm(index) @ to_fixed[:3, :3].T + to_fixed[:3, 3]
    body = np.sqrt(((p / (82.0, 62.0, 95.0)) ** 2).sum(axis=-1))
    values = table[0] / (1.0 + np.exp((body - 1.0) * 50.0))
    for centre, value, radius in zip(MARKS_MM, table[1:], _RADII_MM, strict=True):
        distance = np.linalg.norm((p - centre) / (1.0, 0.8, 1.2), axis=-1)
        values += (value - table[0]) / (1.0 + np.exp((distance - radius) / 1.5))
    noise = np.random.default_rng(seed).standard_normal(grid.shape)
    return Volume(np.abs(values + 20.0 * noise).astype(np.float32), grid, quantity("signal"))


def check_registrar(
    engine: Registrar, *, tolerance_mm: float = 1.5, settings: dict[str, Any] | None = None
) -> RegistrarResult:
    """Check that an engine keeps the contract, on a small synthetic pair.

    Parameters
    ----------
    engine : Registrar
        Ready to run.
    tolerance_mm : float
        Largest mean error at `MARKS_MM`; a third of what a series that is not moved at all has.
    settings : dict, optional
        The profile; ``rigid-mi`` when left out.

    Returns
    -------
    RegistrarResult
        What it found, for further checks of your own.

    Raises
    ------
    AssertionError
        With the broken rule in words.

    Notes
    -----
    Checked are: the known shift and turn is found, in the right direction (fixed points to moving
    points, LPS mm); it is found again from a start that is given; the volumes that are handed in
    stay as they are; the same input gives the same matrix, bit by bit; progress is told in shares
    from 0 to 1; constant volumes, voxels that are no numbers and fields of view that do not overlap
    are refused with coded errors; a stop is obeyed.
    """
    assert str(engine.version()), "an engine tells its version"
    told: list[tuple[str, float]] = []
    options: dict[str, Any] = {
        "settings": settings or load_profile("rigid-mi"),
        "seed": 20240917,
        "threads": 1,
    }
    fixed, moving = conformance_pair()
    before = np.array(fixed.data), np.array(moving.data)
    result = engine.register(
        fixed, moving, **options, progress=lambda words, share: told.append((words, share))
    )
    assert np.array_equal(before[0], fixed.data), "the fixed volume is not changed"
    assert np.array_equal(before[1], moving.data), "the moving volume is not changed"
    _check_matrix(result, tolerance_mm)
    assert all(words and 0.0 <= share <= 1.0 for words, share in told), (
        "progress is told in words and a share from 0 to 1"
    )
    again = engine.register(fixed, moving, **options)
    assert np.array_equal(result.matrix, again.matrix), "the same input gives the same matrix"
    bends = [r.displacement for r in (result, again)]
    one, other = (b"" if b is None else b.vectors_mm.tobytes() for b in bends)
    assert one == other, "the same input gives the same displacement"
    frames = (fixed.grid.frame_of_reference, moving.grid.frame_of_reference)
    near = Transform(TRUE_MATRIX, *frames)
    _check_matrix(engine.register(fixed, moving, **options, start=near), tolerance_mm)
    _check_refusals(engine, fixed, moving, options)
    _check_stop(engine, fixed, moving, options)
    return result


def _check_matrix(result: RegistrarResult, tolerance_mm: float) -> None:
    matrix = np.asarray(result.matrix)
    assert matrix.shape == (4, 4), "a 4 x 4 matrix"
    assert np.isfinite(matrix).all(), "a finite matrix"
    assert np.array_equal(matrix[3], (0, 0, 0, 1)), "the last row is 0 0 0 1"
    bend = result.displacement
    if bend is not None:
        assert bend.grid.frame_of_reference == "1.2.826.0.1.1", "the field is in the fixed frame"
    transform = Transform(matrix, "1.2.826.0.1.1", "1.2.826.0.1.2", bend)
    there = MARKS_MM @ TRUE_MATRIX[:3, :3].T + TRUE_MATRIX[:3, 3]
    error = float(np.linalg.norm(transform.apply(MARKS_MM) - there, axis=1).mean())
    back = float(np.linalg.norm(transform.apply(there) - MARKS_MM, axis=1).mean())
    assert back > tolerance_mm or error <= tolerance_mm, (
        "the transform goes the wrong way: it maps moving points to fixed points"
    )
    assert error <= tolerance_mm, (
        f"the known movement is not found: {error:.2f} mm at the marks (at most {tolerance_mm:g})"
    )


def _check_refusals(
    engine: Registrar, fixed: Volume, moving: Volume, options: dict[str, Any]
) -> None:
    flat = Volume(np.full_like(moving.data, 7.0), moving.grid, moving.quantity)
    holed = np.array(moving.data)
    holed[5, 6, 7] = np.nan
    far = np.array(moving.grid.affine)
    far[:3, 3] += 5000.0
    away = Grid(moving.grid.shape, far, moving.grid.frame_of_reference)
    cases = {
        "a constant volume": flat,
        "a volume with a voxel that is no number": Volume(holed, moving.grid, moving.quantity),
        "a field of view without overlap": Volume(moving.data, away, moving.quantity),
    }
    for name, volume in cases.items():
        code = ""
        try:
            engine.register(fixed, volume, **options)
        except EprimgError as error:
            code = error.code
        except Exception as error:
            raise AssertionError(
                f"{name} is refused with an EprimgError, not {type(error).__name__}"
            ) from error
        assert code, f"{name} is refused with a coded error"


def _check_stop(engine: Registrar, fixed: Volume, moving: Volume, options: dict[str, Any]) -> None:
    code = ""
    try:
        engine.register(fixed, moving, **options, should_stop=lambda: True)
    except (Cancelled, EngineError) as error:
        code = error.code
    assert code, "a stop is obeyed"
    assert code in ("E_CANCELLED", "E_REGISTRATION_STOPPED"), (
        f"a stop is E_CANCELLED or E_REGISTRATION_STOPPED, not {code}"
    )
