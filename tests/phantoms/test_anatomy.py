"""Three anatomies: what is painted lies where the files say, moved as the movement says."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg_phantoms.anatomy import (
    COUNTS,
    LOW_COUNTS,
    Matter,
    available_anatomies,
    load_anatomy,
    paint,
    paint_mr,
    paint_pet,
)
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.motion import Rigid

STILL = Rigid(np.eye(4))
NAMES = ("abdomen", "head-and-neck", "thorax")


def test_there_are_three_anatomies_and_others_are_refused() -> None:
    assert tuple(available_anatomies()) == NAMES
    with pytest.raises(ValueError, match="no anatomy 'knee'"):
        load_anatomy("knee")


@pytest.mark.parametrize("name", NAMES)
def test_lesions_are_of_the_asked_number_and_size_and_lie_in_both_fields_of_view(name) -> None:
    anatomy = load_anatomy(name)
    assert 8 <= len(anatomy.lesion_names) <= 12
    assert anatomy.lesion_diameters_mm.min() >= 13
    assert anatomy.lesion_diameters_mm.max() <= 24
    for grid in (anatomy.mr_grid, anatomy.pet_grid):
        back = np.linalg.inv(grid.affine)
        index = anatomy.lesion_centres_mm @ back[:3, :3].T + back[:3, 3]
        # 14 mm of room for movement.
        assert (index * grid.spacing_mm > 14).all()
        assert ((np.array(grid.shape) - 1 - index) * grid.spacing_mm > 14).all()


def test_a_painted_sphere_has_its_volume_and_its_centre_moves_along() -> None:
    """Closed forms: 4/3 pi r^3, and the moved centre; edges add less than 3 %."""
    anatomy = load_anatomy("thorax")
    values = [0.0] * len(anatomy.solids)
    number = anatomy.lesion_names.index("right lower lobe")
    values[len(anatomy.solids) - len(anatomy.lesion_names) + number] = 1.0
    moved = Rigid.drawn(np.random.default_rng(5))
    centre = moved.to_session(anatomy.lesion_centres_mm[number])
    grid = SampleGrid.centred((14, 20, 20), (3.0, 2.0, 2.0), centre + np.array([0.7, -0.4, 0.9]))
    painted = paint(anatomy, values, grid, moved)
    volume_ml = painted.sum() * grid.voxel_ml
    assert volume_ml == pytest.approx(4.0 / 3.0 * np.pi * 1.2**3, rel=0.03)
    index = (np.argwhere(painted > 0) * painted[painted > 0, None]).sum(axis=0) / painted.sum()
    found = grid.affine[:3, :3] @ index + grid.affine[:3, 3]
    np.testing.assert_allclose(found, centre, atol=0.05)


def test_windows_leave_nothing_out() -> None:
    """Painting by windows equals painting every solid at every point."""
    anatomy = load_anatomy("head-and-neck")
    grid = SampleGrid.centred((2, 22, 23), (40.0, 9.0, 9.0), (0.0, 0.0, 0.0))
    moved = Rigid.drawn(np.random.default_rng(2))
    values = [float(n + 1) for n in range(len(anatomy.solids))]
    bare = [(solid, Matter(1, 1, 1, 1, 1, 0.0)) for solid, _ in anatomy.solids]
    plain = type(anatomy)(**{**anatomy.__dict__, "solids": tuple(bare)})
    painted = paint(plain, values, grid, moved)
    for k in range(2):
        points = np.moveaxis(moved.to_base(grid.slice_points(k)), -1, 0).astype(np.float32)
        expected = np.zeros(grid.shape[1:])
        for (solid, _), value in zip(bare, values, strict=True):
            t = np.clip(0.5 - solid.distance(points) / 3.0, 0, 1)
            share = t * t * (3 - 2 * t)
            expected += share * (value - expected)
        np.testing.assert_allclose(painted[k], expected, atol=1e-2)


def test_liver_is_dark_after_the_agent_at_a_late_echo() -> None:
    """Signal of the liver at 4.6 ms: S0 1.1 exp(-0.0046 (45 + 276)) = 196 against 634 before."""
    liver = next(m for _, m in load_anatomy("abdomen").solids if m.dr2star == 276.0)
    assert liver.signal(0.0046, after=False) == pytest.approx(780 * np.exp(-0.0046 * 45))
    assert liver.signal(0.0046, after=True) == pytest.approx(858 * np.exp(-0.0046 * 321))


def test_noise_of_mr_and_pet() -> None:
    """Outside the body Rician noise has the mean sigma sqrt(pi / 2); few counts scatter more."""
    anatomy = load_anatomy("abdomen")
    air = SampleGrid.centred((8, 16, 16), (3.0, 2.0, 2.0), (0.0, -400.0, 0.0))
    rng = np.random.default_rng(1)
    noise = paint_mr(anatomy, air, STILL, echo_time_s=0.0012, after=False, rng=rng, sigma=10.0)
    assert noise.mean() == pytest.approx(10.0 * np.sqrt(np.pi / 2.0), rel=0.03)
    liver = SampleGrid.centred((9, 9, 9), (4.0, 4.0, 4.0), (-58.0, -30.0, 40.0))
    clean = paint_pet(anatomy, liver, STILL, counts=np.inf, rng=rng)
    spread = {}
    for counts in (COUNTS, LOW_COUNTS):
        noisy = paint_pet(anatomy, liver, STILL, counts=counts, rng=rng)
        inner = (slice(3, -3),) * 3
        spread[counts] = (noisy - clean)[2:-2, 2:-2, 2:-2].std() / clean[inner].mean()
    # Poisson: the relative SD goes with one over the root of the counts; sqrt(40 / 6) = 2.58.
    assert spread[LOW_COUNTS] / spread[COUNTS] == pytest.approx(2.58, rel=0.25)
    assert 0.04 < spread[COUNTS] < 0.14
