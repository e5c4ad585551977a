"""The deformable engine on a small body that was painted bent: the true places are known."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path

import numpy as np
import pytest

from eprimg.engines.registrars.deformation import body_nodes, jacobian_figures
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.engines.registrars.simpleitk_deformable import SimpleITKDeformable
from eprimg.errors import ConfigError, EngineError, InputError
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from tests.engines.registrars.bent_scene import (
    MARKS_MM,
    PEAK_MM,
    POST,
    PRE,
    bent_place,
    grid,
    painted,
)

SHIFT_MM = (5.0, -4.0, 3.0)
RIGID = np.eye(4)
RIGID[:3, 3] = SHIFT_MM
START = Transform(RIGID, "1.2.3", "4.5.6")


def error_mm(result) -> np.ndarray:
    found = Transform(result.matrix, "1.2.3", "4.5.6", result.displacement).apply(MARKS_MM)
    return np.linalg.norm(found - (bent_place(MARKS_MM) + SHIFT_MM), axis=1)


def run(fixed: Volume, moving: Volume, **options):
    options = {
        "settings": load_profile("bspline-ncc"),
        "seed": 1,
        "threads": 1,
        "start": START,
        **options,
    }
    return SimpleITKDeformable().register(fixed, moving, **options)


@pytest.fixture(scope="module")
def fixed() -> Volume:
    return painted(PRE, frame="1.2.3", seed=1)


@pytest.fixture(scope="module")
def moving() -> Volume:
    return painted(POST, frame="4.5.6", peak_mm=PEAK_MM, shift_mm=SHIFT_MM, seed=2)


@pytest.fixture(scope="module")
def result(fixed: Volume, moving: Volume):
    return run(fixed, moving)


def test_it_is_declared() -> None:
    text = Path(__file__).parents[3].joinpath("pyproject.toml").read_text(encoding="utf-8")
    points = tomllib.loads(text)["project"]["entry-points"]["eprimg.registrars"]
    assert points["simpleitk-deformable"].endswith(":SimpleITKDeformable")
    assert SimpleITKDeformable.version()[0].isdigit()


def test_it_bends_back_what_was_bent_across_a_change_of_contrast(fixed, result) -> None:
    rigid = np.linalg.norm(MARKS_MM - bent_place(MARKS_MM), axis=1)
    # Voxels of 6 mm, organs that turn from bright to dark: a quarter of a voxel, half at most.
    assert rigid.max() > 6.0
    assert rigid.mean() > 4.0
    assert error_mm(result).mean() < 1.5
    assert error_mm(result).max() < 3.0
    assert np.array_equal(result.matrix, RIGID)
    assert result.start_name == "given"
    body = body_nodes(fixed.data, fixed.grid, result.displacement.grid)
    found = jacobian_figures(Transform(RIGID, "1.2.3", "4.5.6", result.displacement), body)
    assert found.folding_percent == 0.0
    assert found.smallest_anywhere > 0.0
    assert found.sd_log < 0.15
    assert set(result.iterations) == {"bending, level 1", "bending, level 2"}
    assert 0.0 < result.consistency_mm < 3.0


def test_the_field_fades_to_zero_at_its_border(result) -> None:
    vectors = result.displacement.vectors_mm
    assert result.displacement.grid.spacing_mm == (6.0, 6.0, 6.0)
    for axis in range(3):
        for end in (0, -1):
            assert np.all(np.take(vectors, end, axis=axis) == 0.0)


def test_same_input_gives_the_same_field_whatever_the_threads(fixed, moving, result) -> None:
    again = run(fixed, moving, threads=2)
    assert np.array_equal(again.displacement.vectors_mm, result.displacement.vectors_mm)
    assert again.metric == result.metric


def test_rigid_comes_first_and_progress_rises(fixed, moving) -> None:
    shares: list[float] = []
    found = run(fixed, moving, start="identity", progress=lambda words, share: shares.append(share))
    assert error_mm(found).mean() < 1.5
    assert found.start_name == "identity"
    assert not np.array_equal(found.matrix, np.eye(4))
    assert {"level 3", "bending, level 2"} <= set(found.iterations)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_stopping_works(fixed, moving) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 6

    with pytest.raises(EngineError) as caught:
        run(fixed, moving, should_stop=stop)
    assert caught.value.code == "E_REGISTRATION_STOPPED"
    assert len(asked) == 7


def test_a_field_that_would_fold_is_made_stiffer_and_then_refused(fixed, moving, result) -> None:
    profile = copy.deepcopy(load_profile("bspline-ncc"))
    profile["levels"] = profile["levels"][:1]
    # No real field has determinants above 1 everywhere: it can only be refused, after three tries.
    profile["field"]["smallest_jacobian"] = 1.5
    told: list[str] = []
    with pytest.raises(EngineError) as caught:
        run(fixed, moving, settings=profile, progress=lambda words, share: told.append(words))
    assert caught.value.code == "E_REGISTRATION"
    assert "folding" in str(caught.value)
    assert told.count("bending, level 1") == 4
    # A stiffer net moves less.
    profile["field"]["smallest_jacobian"] = 0.2
    profile["fit"]["stiffness"] = 1e6
    stiff = run(fixed, moving, settings=profile)
    assert stiff.metric["stiffness"] == 1e6
    assert stiff.displacement.largest_mm < 0.8 * result.displacement.largest_mm


def test_unusable_volumes(fixed, moving) -> None:
    flat = Volume(np.full(fixed.grid.shape, 4.0, np.float32), moving.grid, fixed.quantity)
    broken = np.array(moving.data)
    broken[3, 4, 5] = np.nan
    single = Volume(moving.data[:1], grid("4.5.6", (1, 32, 32)), moving.quantity)
    for bad, code in (
        (flat, "E_CONSTANT"),
        (Volume(broken, moving.grid, moving.quantity), "E_REGISTRATION_VALUES"),
        (single, "E_REGISTRATION_SMALL"),
    ):
        for start in (START, "identity"):
            with pytest.raises(InputError) as caught:
                run(fixed, bad, start=start)
            assert caught.value.code == code


def test_no_overlap_is_an_engine_error(fixed, moving) -> None:
    away = np.array(moving.grid.affine)
    away[0, 3] += 5000.0
    lost = Volume(moving.data, Grid(moving.grid.shape, away, "4.5.6"), moving.quantity)
    with pytest.raises(EngineError) as caught:
        run(fixed, lost)
    assert caught.value.code == "E_REGISTRATION"


def test_half_a_field_of_view_and_too_few_voxels(fixed, moving) -> None:
    half = Volume(np.ascontiguousarray(moving.data[12:]), _cut(moving.grid, 12), moving.quantity)
    found = run(fixed, half)
    inside = bent_place(MARKS_MM)[:, 2] > -10.0
    assert error_mm(found)[inside].max() < 3.0
    # Nothing is invented below the part that both show: 40 mm further the field is zero.
    deep = np.array([[0.0, 0.0, -90.0]])
    np.testing.assert_array_equal(found.displacement.at(deep), 0.0)
    tiny = Volume(fixed.data[:5, :8, :9], grid(shape=(5, 8, 9)), fixed.quantity)
    with pytest.raises(EngineError, match="too little of the body"):
        run(tiny, tiny, start=Transform.identity("1.2.3"))


def test_faulty_profile(fixed, moving) -> None:
    with pytest.raises(ConfigError):
        run(fixed, moving, settings=load_profile("rigid-mi"))


def _cut(where: Grid, first: int) -> Grid:
    affine = np.array(where.affine)
    affine[:3, 3] = where.index_to_lps_mm(np.array([first, 0, 0]))
    return Grid((where.shape[0] - first, *where.shape[1:]), affine, where.frame_of_reference)
