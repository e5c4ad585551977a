"""One level: local correlation follows a known field, and says nothing where nothing is shown."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.registrars.deformable_settings import BendLevel, DeformableSettings
from eprimg.engines.registrars.local_fit import LevelFit
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.kernels.spline_field import SplineField
from eprimg.model.grid import Grid

RULES = DeformableSettings.from_mapping(load_profile("bspline-ncc")).fit
SHAPE, SPACING = (24, 24, 24), 4.0
LEVEL = BendLevel(SPACING, 2.0, 40.0)
SLOPE = 0.03


def grid() -> Grid:
    affine = np.diag([SPACING] * 3 + [1.0])[[2, 1, 0, 3]]
    return Grid(SHAPE, affine, "1.2.3")


def pattern(place: np.ndarray) -> np.ndarray:
    """Blobs by a formula, at places in mm (components k, j, i)."""
    k, j, i = np.moveaxis(place, -1, 0)
    waves = np.sin(k / 7) * np.cos(j / 8 + 0.5) + np.cos(i / 6) * np.sin((k + j) / 9 + 1)
    return 10.0 + 2.0 * waves


def fit(moving: np.ndarray, matrix: np.ndarray | None = None) -> tuple[LevelFit, SplineField]:
    box = [(n - 1) * SPACING for n in SHAPE]
    field = SplineField(box, LEVEL.spacing_mm)
    place = np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1) * SPACING
    return LevelFit(
        pattern(place).astype(np.float32),
        moving.astype(np.float32),
        (grid(), grid()),
        np.eye(4) if matrix is None else matrix,
        field,
        LEVEL,
        RULES,
    ), field


@pytest.mark.parametrize("contrast", [1.0, -3.0])
def test_it_finds_a_stretch_whatever_the_contrast(contrast: float) -> None:
    place = np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1) * SPACING
    middle = (np.array(SHAPE) - 1) / 2 * SPACING
    # The moving series shows at q what the fixed one shows at p: q = p + SLOPE (p - middle) in j.
    base = np.array(place)
    base[..., 1] = middle[1] + (place[..., 1] - middle[1]) / (1 + SLOPE)
    level, field = fit(40.0 + contrast * (pattern(base) - 10.0))
    start = field.zeros()
    found = level.run(start, stiffness=10.0, iterations=12, ask=lambda: None)
    at = np.linspace(15, 75, 7)
    weights = [field.matrix(axis, at) for axis in range(3)]
    shift = field.values(found.coefficients, weights)
    expected = np.zeros_like(shift)
    expected[1] = (SLOPE * (at - middle[1]))[None, :, None]
    # 1.4 mm at the ends of this part; linear interpolation on 4 mm leaves a tenth of it.
    assert np.abs(expected).max() > 0.8
    assert np.sqrt(((shift - expected) ** 2).mean()) < 0.1
    assert found.objective < level.run(start, stiffness=10.0, iterations=0, ask=lambda: None)[1]


def test_it_stays_where_it_fits() -> None:
    place = np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1) * SPACING
    level, field = fit(pattern(place))
    found = level.run(field.zeros(), stiffness=10.0, iterations=5, ask=lambda: None)
    assert np.abs(found.coefficients).max() < 0.02


def test_no_common_place_has_no_objective() -> None:
    away = np.eye(4)
    away[0, 3] = 1e4
    level, field = fit(np.ones(SHAPE), away)
    found = level.run(field.zeros(), stiffness=10.0, iterations=5, ask=lambda: None)
    assert np.isnan(found.objective)
    assert found.iterations == 0


def test_it_asks_before_every_step() -> None:
    place = np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1) * SPACING
    level, field = fit(pattern(place * 1.02))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        level.run(field.zeros(), stiffness=10.0, iterations=5, ask=stop)
