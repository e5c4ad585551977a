"""The adapters of itk-elastix: lattice and field of the deformable one, by hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.conformance import TRUE_MATRIX, conformance_pair
from eprimg.engines.registrars.itk_elastix import ItkElastix, ItkElastixDeformable, faded
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.errors import EngineError
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.resources import load_resource
from tests.engines.registrars.fake_backend import WRITE_JSON, fake

OWN = load_resource("registration_engines/itk-elastix.toml")
SETTINGS = {"settings": load_profile("rigid-mi"), "seed": 3, "threads": 2}

# The transform of the stand-in is the rigid one after a shift of 2 mm along z near the middle:
# elastix reports T(p) - p at the nodes of the lattice that it was asked for.
FIELD = """
size = asked["lattice"]["Size"]
spacing, origin = (np.array(asked["lattice"][k]) for k in ("Spacing", "Origin"))
turn = np.array(asked["lattice"]["Direction"]).reshape(3, 3).T
k, j, i = np.indices(size[::-1], dtype=float)
p = np.stack([i, j, k], axis=-1) * spacing @ turn.T + origin
u = np.zeros_like(p)
u[..., 2] = 2.0 * np.exp(-0.5 * (p ** 2).sum(axis=-1) / 20.0 ** 2)
np.save("field.npy", ((p + u) @ left[:3, :3].T + left[:3, 3] - p).astype(np.float32))
"""


def test_what_the_script_is_asked() -> None:
    _, oblique = conformance_pair()
    assert "lattice" not in ItkElastix().prepare(oblique, OWN, 5)
    asked = ItkElastixDeformable().prepare(oblique, OWN, 5)
    assert (asked["seed"], asked["deformable"]) == (5, True)
    lattice = asked["lattice"]
    assert lattice["Origin"] == pytest.approx(oblique.grid.index_to_lps_mm((0, 0, 0)))
    # from corner to corner, along the axes of the series, at most 6 mm apart
    turn = np.array(lattice["Direction"]).reshape(3, 3).T
    extent = np.array(lattice["Spacing"]) * (np.array(lattice["Size"]) - 1)
    far = np.array(lattice["Origin"]) + turn @ extent
    last = np.array(oblique.grid.shape) - 1
    assert far == pytest.approx(oblique.grid.index_to_lps_mm(last))
    assert max(lattice["Spacing"]) <= 6.0


@pytest.mark.skipif(os.name != "posix", reason="stand-ins are executable scripts")
def test_the_field_becomes_what_comes_before_the_matrix(tmp_path: Path) -> None:
    fixed, moving = conformance_pair()
    place = fake(tmp_path, after=WRITE_JSON + FIELD)
    engine = ItkElastixDeformable(RegisterConfig(python=place))
    result = engine.register(fixed, moving, **SETTINGS, start="centres")
    assert result.matrix == pytest.approx(TRUE_MATRIX, abs=1e-3)
    frames = (fixed.grid.frame_of_reference, moving.grid.frame_of_reference)
    found = Transform(result.matrix, *frames, result.displacement)
    points = np.random.default_rng(0).uniform(-50, 50, (50, 3))
    bent = np.array(points)
    bent[:, 2] += 2.0 * np.exp(-0.5 * (points**2).sum(axis=1) / 20.0**2)
    there = bent @ TRUE_MATRIX[:3, :3].T + TRUE_MATRIX[:3, 3]
    # linear between nodes 6 mm apart: at most 3 axes x h^2/8 x |u''| = 3 x 4.5 x 2/400 mm
    assert np.abs(found.apply(points) - there).max() < 0.07
    assert result.displacement is not None
    assert result.displacement.largest_at_border_mm == 0.0


@pytest.mark.skipif(os.name != "posix", reason="stand-ins are executable scripts")
@pytest.mark.parametrize("field", ["np.zeros((2, 2, 2, 3))", "np.full((3, 3), np.nan)", None])
def test_a_wrong_field_is_no_answer(tmp_path: Path, field: str | None) -> None:
    extra = "" if field is None else f"\nnp.save('field.npy', {field})"
    place = fake(tmp_path, after=WRITE_JSON + extra)
    with pytest.raises(EngineError) as caught:
        ItkElastixDeformable(RegisterConfig(python=place)).register(*conformance_pair(), **SETTINGS)
    assert caught.value.code == "E_ENGINE_ANSWER"


def test_a_field_fades_in_a_rim() -> None:
    grid = Grid((2, 3, 4), np.diag((2.0, 3.0, 5.0, 1.0)), "A")
    field = faded(np.ones((2, 3, 4, 3)), grid, 4)
    assert field.grid.shape == (10, 11, 12)
    assert field.at(grid.index_to_lps_mm((1, 2, 3))) == pytest.approx(1.0)
    # half the rim away along one axis: half; beyond: nothing
    assert field.at(grid.index_to_lps_mm((-2, 1, 1))) == pytest.approx(0.5)
    assert field.at(grid.index_to_lps_mm((-2, 4, 1))) == pytest.approx(0.25)
    assert field.largest_at_border_mm == 0.0
