"""The rigid engine on analytic blobs: the true transform is known, nothing is resampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.engines.registrars import simpleitk_rigid
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.engines.registrars.similarity import (
    body_points_mm,
    moved_rms_mm,
    overlap_fraction,
)
from eprimg.engines.registrars.simpleitk_rigid import SimpleITKRigid
from eprimg.errors import ConfigError, EngineError, InputError
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from eprimg.registry import load_engine

MARKS_MM = np.array([[30.0, 20, 10], [-40, 10, -20], [10, -45, 25], [-15, 35, 30], [0, 0, -40]])


def rigid(angles_deg: tuple[float, float, float], shift_mm: tuple[float, ...]) -> np.ndarray:
    matrix = np.eye(4)
    for axis, angle in enumerate(angles_deg):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        a, b = [n for n in range(3) if n != axis]
        turn = np.eye(4)
        turn[a, a] = turn[b, b] = c
        turn[a, b], turn[b, a] = -s, s
        matrix = turn @ matrix
    matrix[:3, 3] = shift_mm
    return matrix


def grid(spacing=(6.0, 3.0, 3.0), shape=(26, 56, 60), frame="1.2.3", centre=(0, 0, 0)) -> Grid:
    """Axes k, j, i along z, y, x, centred in the patient."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing)[::-1]
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine, frame)


def painted(where: Grid, to_fixed: np.ndarray, table: tuple[float, ...], key: str, seed: int):
    """A body with five organs, evaluated at the points where the fixed frame has them."""
    index = np.stack(np.meshgrid(*map(np.arange, where.shape), indexing="ij"), axis=-1)
    p = where.index_to_lps_mm(index) @ to_fixed[:3, :3].T + to_fixed[:3, 3]
    values = np.full(where.shape, table[0])
    body = (p[..., 0] / 80) ** 2 + (p[..., 1] / 70) ** 2 + (p[..., 2] / 95) ** 2
    values = np.where(body < 1, table[1], values)
    for centre, value, radius in zip(MARKS_MM, table[2:], (22, 18, 20, 14, 24), strict=True):
        shape = ((p - centre) / (radius, 0.8 * radius, 1.2 * radius)) ** 2
        edge = 1 / (1 + np.exp((np.sqrt(shape.sum(axis=-1)) - 1) * radius / 1.5))
        values = values + edge * (value - table[1])
    noise = np.random.default_rng(seed).standard_normal(where.shape)
    values = np.abs(values + 0.03 * max(table) * noise)
    return Volume(values.astype(np.float32), where, quantity(key))


PRE = (0.0, 500.0, 700.0, 300.0, 620.0, 420.0, 560.0)
POST = (0.0, 510.0, 150.0, 310.0, 200.0, 800.0, 560.0)
PET = (0.0, 800.0, 6000.0, 2500.0, 9000.0, 1500.0, 3500.0)
TRUTH = rigid((3.0, -4.0, 5.0), (6.0, -5.0, 7.0))


def error_mm(matrix: np.ndarray, truth: np.ndarray = TRUTH) -> float:
    difference = matrix - truth
    return float(np.linalg.norm(MARKS_MM @ difference[:3, :3].T + difference[:3, 3], axis=1).mean())


def run(fixed: Volume, moving: Volume, **options):
    options = {"settings": load_profile("rigid-mi"), "seed": 1, "threads": 2, **options}
    return SimpleITKRigid().register(fixed, moving, **options)


@pytest.fixture(scope="module")
def fixed() -> Volume:
    return painted(grid(), np.eye(4), PRE, "signal", 1)


@pytest.fixture(scope="module")
def moving() -> Volume:
    return painted(grid(frame="4.5.6"), np.linalg.inv(TRUTH), POST, "signal", 2)


def test_it_is_declared_and_tells_its_version() -> None:
    engine = load_engine("registrar", "simpleitk-rigid")
    assert engine is SimpleITKRigid
    assert engine.version()[0].isdigit()


def test_mr_pre_and_post_with_thick_slices(fixed: Volume, moving: Volume) -> None:
    assert error_mm(np.eye(4)) > 9.0  # not aligned before
    result = run(fixed, moving)
    assert error_mm(result.matrix) < 0.5
    assert result.start_name == "identity"
    assert set(result.iterations) == {"level 1", "level 2", "level 3", "second estimate"}
    # A lower bound of the error that is of its order, not a copy of the distance moved.
    assert 0.0 < result.consistency_mm < 1.0


def test_same_seed_gives_the_same_matrix_bit_by_bit(fixed: Volume, moving: Volume) -> None:
    first, again = run(fixed, moving), run(fixed, moving, threads=1)
    assert np.array_equal(first.matrix, again.matrix)
    assert first.metric == again.metric
    other = run(fixed, moving, seed=2)
    assert not np.array_equal(first.matrix, other.matrix)


def test_pet_on_another_grid_and_a_lost_header(fixed: Volume) -> None:
    where = grid((4.0, 4.0, 4.0), (60, 60, 60), "7.8.9")
    pet = painted(where, np.linalg.inv(TRUTH), PET, "activity", 3)
    assert error_mm(run(fixed, pet).matrix) < 2.0
    # The same volume with an origin that means nothing: only a search finds it.
    lost = Volume(
        pet.data, grid((4.0, 4.0, 4.0), (60, 60, 60), "7.8.9", (150, -90, 400)), pet.quantity
    )
    truth = rigid((0, 0, 0), (150.0, -90.0, 400.0)) @ TRUTH
    result = run(fixed, lost, start="best")
    assert result.start_name != "identity"
    assert error_mm(result.matrix, truth) < 2.0


def test_polish_runs_where_asked_and_is_kept_only_when_near(fixed: Volume) -> None:
    pet = painted(
        grid((4.0, 4.0, 4.0), (48, 48, 48), "7.8.9"), np.linalg.inv(TRUTH), PET, "activity", 3
    )
    profile = load_profile("rigid-mi")
    # A first pass that hardly moves, 4 mm from the truth, leaves the work to the second one.
    profile["optimizer"] = {**profile["optimizer"], "iterations": 2, "smallest_step_mm": 1e-6}
    profile["levels"] = [{**profile["levels"][-1], "step_mm": 1e-3}]
    profile["polish"] = {
        **profile["polish"], "use": True, "above_consistency_mm": 1e-9, "from_voxel_mm": 3.9
    }  # fmt: skip
    near = Transform(rigid((0, 0, 0), (0.0, 4.0, 0.0)) @ TRUTH, "1.2.3", "7.8.9")
    kept = run(fixed, pet, settings=profile, start=near)
    assert kept.polish_kept
    assert kept.polish_moved_mm > 0.0
    assert error_mm(kept.matrix) < 2.0
    profile["polish"] = {**profile["polish"], "maximum_moved_mm": 1e-6}
    dropped = run(fixed, pet, settings=profile, start=near)
    assert not dropped.polish_kept
    assert not np.array_equal(dropped.matrix, kept.matrix)
    # Voxels of 4 mm are smaller than asked.
    profile["polish"] = {**profile["polish"], "from_voxel_mm": 4.1}
    assert np.isnan(run(fixed, pet, settings=profile, start=near).polish_moved_mm)


def test_a_given_start_is_used(fixed: Volume, moving: Volume) -> None:
    given = Transform(TRUTH, "1.2.3", "4.5.6")
    result = run(fixed, moving, start=given)
    assert result.start_name == "given"
    assert error_mm(result.matrix) < 0.5
    assert error_mm(run(fixed, moving, start="moments").matrix) < 0.5


def test_few_voxels(fixed: Volume) -> None:
    small = painted(grid((12.0, 8.0, 8.0), (5, 8, 9)), np.eye(4), PRE, "signal", 4)
    assert error_mm(run(small, small).matrix, np.eye(4)) < 0.5


def test_unusable_volumes(fixed: Volume) -> None:
    flat = Volume(np.full(fixed.grid.shape, 4.0, np.float32), fixed.grid, fixed.quantity)
    broken = np.array(fixed.data)
    broken[0, 0, 0] = np.nan
    for bad, code in (
        (flat, "E_CONSTANT"),
        (Volume(broken, fixed.grid, fixed.quantity), "E_REGISTRATION_VALUES"),
    ):
        with pytest.raises(InputError) as caught:
            run(fixed, bad)
        assert caught.value.code == code


def test_no_overlap_is_an_engine_error(fixed: Volume) -> None:
    away = Volume(fixed.data, grid(centre=(5000, 0, 0)), fixed.quantity)
    with pytest.raises(EngineError) as caught:
        run(fixed, away)
    assert caught.value.code == "E_REGISTRATION"
    assert "0x" not in str(caught.value)
    assert "do not overlap where the search began" in caught.value.message
    assert "buffer" not in str(caught.value)


def test_unknown_start_and_faulty_profile(fixed: Volume) -> None:
    with pytest.raises(EngineError) as caught:
        run(fixed, fixed, start="somewhere")
    assert caught.value.code == "E_ARGUMENT"
    with pytest.raises(ConfigError):
        run(fixed, fixed, settings={"title": "nothing else"})


def test_progress_rises_and_stopping_works(fixed: Volume, moving: Volume) -> None:
    shares: list[float] = []
    run(fixed, moving, progress=lambda words, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 5

    with pytest.raises(EngineError) as caught:
        run(fixed, moving, should_stop=stop)
    assert caught.value.code == "E_REGISTRATION_STOPPED"


def test_masks_keep_the_metric_away_from_what_moved_on_its_own(fixed: Volume) -> None:
    from eprimg.model.manual_help import MetricMask

    # A bright slab above z = 40 mm that did not move with the body (an arm, a coil) pulls the
    # search; below it both series show the same body.
    moved = painted(grid(frame="4.5.6"), np.linalg.inv(TRUTH), POST, "signal", 2)
    index = np.stack(np.meshgrid(*map(np.arange, moved.grid.shape), indexing="ij"), axis=-1)
    above = moved.grid.index_to_lps_mm(index)[..., 2] > 40.0
    stripes = 900.0 * (1 + np.sin(index[..., 1] / 2.0) * np.sin(index[..., 2] / 2.0))
    spoiled = [
        Volume(np.where(above, stripes, v.data).astype(np.float32), v.grid, v.quantity)
        for v in (fixed, moved)
    ]
    inside = index[..., 0] <= 15  # z up to 15 mm
    mask = MetricMask("mr_pre", inside, spoiled[0].grid)
    other = MetricMask("mr_post", ~above, spoiled[1].grid)
    without = error_mm(run(*spoiled).matrix)
    with_masks = error_mm(run(*spoiled, fixed_mask=mask, moving_mask=other).matrix)
    assert without > 2.0
    assert with_masks < 1.0


def test_a_mask_beside_the_moving_series_is_refused(fixed: Volume, moving: Volume) -> None:
    from eprimg.model.manual_help import MetricMask

    affine = np.array(fixed.grid.affine)
    affine[:3, 3] += 900.0
    there = Grid((9, 9, 9), affine, "1.2.3")
    beside = MetricMask("mr_pre", np.ones((9, 9, 9)), there, "beside.nii")
    with pytest.raises(EngineError) as caught:
        run(fixed, moving, fixed_mask=beside)
    assert caught.value.code == "E_REGISTRATION_MASK"
    # 729 voxels; nine slices of 6 mm, nine rows and columns of 3 mm
    assert "beside.nii (729 voxels in 54 x 27 x 27 mm)" in caught.value.message


@pytest.mark.parametrize("which", ["fixed_mask", "moving_mask"])
def test_a_mask_of_eight_voxels_is_named(fixed: Volume, moving: Volume, which: str) -> None:
    from eprimg.model.manual_help import MetricMask

    series = fixed if which == "fixed_mask" else moving
    inside = np.zeros(series.grid.shape, dtype=bool)
    inside[12:14, 28:30, 30:32] = True
    mask = MetricMask("one", inside, series.grid, "tiny.nii")
    with pytest.raises(InputError) as caught:
        run(fixed, moving, start="best", **{which: mask})
    assert caught.value.code == "E_REGISTRATION_MASK"
    # 8 voxels of 54 mm3; sample points every 6 x 9 x 9 mm, eight of them: 3.9 mL
    assert "tiny.nii (8 voxels in 12 x 6 x 6 mm)" in caught.value.message
    assert "0.43 mL, and at least 3.9 mL" in caught.value.message


def test_estimates_that_agree_are_averaged(fixed: Volume, moving: Volume) -> None:
    profile = load_profile("rigid-mi")
    averaged = run(fixed, moving, settings=profile)
    profile["optimizer"] = {**profile["optimizer"], "average_below_mm": 1e-9}
    first = run(fixed, moving, settings=profile)
    assert averaged.consistency_mm == first.consistency_mm > 0.0
    apart = moved_rms_mm(body_points_mm(fixed.data, fixed.grid), averaged.matrix, first.matrix)
    assert apart == pytest.approx(0.5 * first.consistency_mm, rel=0.05)


def test_a_header_that_overlaps_by_more_than_half_may_have_lost_65_mm(fixed: Volume) -> None:
    """165 mm along x of which 100 overlap: the start nearby does not find it, the moments do."""
    shift = np.array([65.0, 0.0, 0.0])
    there = grid(frame="4.5.6")
    other = painted(there, np.eye(4), POST, "signal", 2)
    affine = np.array(there.affine)
    affine[:3, 3] += shift
    lost = replace(other, grid=replace(there, affine=affine))
    assert 0.5 < overlap_fraction(fixed.grid, lost.grid, np.eye(4)) < 0.7
    result = run(fixed, lost, start="best")
    assert result.start_name in ("centres", "moments")
    truth = np.eye(4)
    truth[:3, 3] = shift
    assert error_mm(result.matrix, truth) < 0.5


def test_places_that_leave_the_field_of_view_are_not_searched(
    fixed: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a metre away nothing overlaps: as if there were no restarts, and no error."""
    pet = painted(
        grid((4.0, 4.0, 4.0), (48, 48, 48), "7.8.9"), np.linalg.inv(TRUTH), PET, "activity", 3
    )
    profile = load_profile("rigid-mi")
    profile["restarts"] = {**profile["restarts"], "number": 0}
    without = run(fixed, pet, settings=profile)
    away = rigid((0, 0, 0), (500.0, 0.0, 0.0))
    monkeypatch.setattr(simpleitk_rigid, "displacements", lambda *_: [away])
    assert np.array_equal(run(fixed, pet).matrix, without.matrix)
