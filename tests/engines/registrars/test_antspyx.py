"""The adapter of antspyx: the arithmetic of its script on a stand-in for the library."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk

from eprimg.engines.registrars import antspyx
from eprimg.engines.registrars.antspyx import Antspyx
from eprimg.engines.registrars.conformance import conformance_pair
from eprimg.resources import load_resource


def test_centre_and_translation_become_one_matrix(tmp_path: Path, monkeypatch) -> None:
    euler = sitk.Euler3DTransform()
    euler.SetCenter((10.0, -20.0, 30.0))
    euler.SetRotation(0.1, -0.2, 0.3)
    euler.SetTranslation((1.0, 2.0, 3.0))
    asked: dict = {}

    def registration(fixed, moving, **options):  # type: ignore[no-untyped-def]
        asked.update(options)
        return {"fwdtransforms": ["found.mat"]}

    seeds = []
    config = SimpleNamespace(
        set_ants_deterministic=lambda on, seed_value: seeds.append((on, seed_value))
    )
    stand_in = SimpleNamespace(
        config=config,
        image_read=lambda name: name,
        registration=registration,
        read_transform=lambda path: SimpleNamespace(
            parameters=[*euler.GetMatrix(), *euler.GetTranslation()],
            fixed_parameters=euler.GetCenter(),
        ),
    )
    monkeypatch.setitem(sys.modules, "ants", stand_in)
    monkeypatch.chdir(tmp_path)
    fixed, _ = conformance_pair()
    own = load_resource("registration_engines/antspyx.toml")
    (tmp_path / "in.json").write_text(json.dumps(Antspyx().prepare(fixed, own, 7)))
    script = Path(antspyx.__file__).with_name(Antspyx.script)
    runpy.run_path(str(script), run_name="__main__")
    matrix, bend = Antspyx().answer(tmp_path, fixed)
    assert bend is None
    point = np.array((40.0, 50.0, -60.0))
    there = matrix[:3, :3] @ point + matrix[:3, 3]
    np.testing.assert_allclose(there, euler.TransformPoint(point.tolist()), atol=1e-9)
    assert seeds == [(True, 7)]
    assert asked["random_seed"] == 7
    assert asked["initial_transform"] == "Identity"
    assert asked["type_of_transform"] == "Rigid"
