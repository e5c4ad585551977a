"""The conformance test passes our engine and names what is wrong with engines that break a rule."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.conformance import (
    MARKS_MM,
    TRUE_MATRIX,
    check_registrar,
    conformance_pair,
)
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.intensity import comparable_values
from eprimg.engines.registrars.rigid_settings import RigidSettings
from eprimg.engines.registrars.similarity import overlap_fraction
from eprimg.engines.registrars.simpleitk_rigid import SimpleITKRigid
from eprimg.errors import EngineError


def test_the_default_engine_conforms() -> None:
    result = check_registrar(SimpleITKRigid(), tolerance_mm=0.7)
    assert result.start_name == "identity"


REAL = {
    "itk-elastix": ("EPRIMG_ELASTIX_PYTHON", "itk_elastix:ItkElastix"),
    "itk-elastix-deformable": ("EPRIMG_ELASTIX_PYTHON", "itk_elastix:ItkElastixDeformable"),
    "antspyx": ("EPRIMG_ANTSPYX_PYTHON", "antspyx:Antspyx"),
    "greedy": ("EPRIMG_GREEDY_PYTHON", "greedy:Greedy"),
}


@pytest.mark.parametrize("name", REAL)
def test_engines_of_the_user_conform(name: str) -> None:
    from importlib import import_module

    variable, place = REAL[name]
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no python with {name}")
    module, kind = place.split(":")
    engine = getattr(import_module(f"eprimg.engines.registrars.{module}"), kind)
    check_registrar(engine(RegisterConfig(python=os.environ[variable])))


class Perfect:
    """Knows the answer; each test breaks one rule."""

    matrix = TRUE_MATRIX
    refuses = True
    stops = True
    spoils = False
    share = 0.5
    n = 0

    @staticmethod
    def version() -> str:
        return "1"

    def register(self, fixed, moving, *, settings, should_stop=None, progress=None, **_: Any):  # type: ignore[no-untyped-def]
        if self.refuses:
            rules = RigidSettings.from_mapping(settings)
            for volume in (fixed, moving):
                comparable_values(volume, rules.intensity)
            if overlap_fraction(fixed.grid, moving.grid, np.eye(4)) <= 0:
                raise EngineError("no overlap", code="E_REGISTRATION")
        if should_stop is not None and self.stops and should_stop():
            raise EngineError("stopped", code="E_REGISTRATION_STOPPED")
        if progress is not None:
            progress("half", self.share)
        if self.spoils:
            fixed.data.flags.writeable = True
            fixed.data[0, 0, 0] += 1
        return RegistrarResult(np.array(self.matrix), np.eye(4), "identity", 0.0)


def test_an_engine_that_keeps_all_rules_passes() -> None:
    assert np.array_equal(check_registrar(Perfect(), tolerance_mm=1e-6).matrix, TRUE_MATRIX)


def tilted() -> np.ndarray:
    matrix = np.array(TRUE_MATRIX)
    matrix[3, 0] = 1e-3
    return matrix


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"matrix": np.linalg.inv(TRUE_MATRIX)}, "wrong way"),
        ({"matrix": np.eye(4)}, "not found"),
        ({"matrix": tilted()}, "last row"),
        ({"matrix": np.full((4, 4), np.nan)}, "finite"),
        ({"refuses": False}, "constant volume is refused"),
        ({"stops": False}, "stop is obeyed"),
        ({"share": 1.5}, "share from 0 to 1"),
        ({"version": staticmethod(lambda: "")}, "version"),
    ],
)
def test_a_broken_rule_is_named(broken: dict, words: str) -> None:
    engine = type("Broken", (Perfect,), broken)()
    with pytest.raises(AssertionError, match=words):
        check_registrar(engine)


def test_an_engine_that_wanders_or_raises_anything_is_named() -> None:
    class Wanders(Perfect):
        def register(self, *args: Any, **options: Any):  # type: ignore[no-untyped-def]
            result = super().register(*args, **options)
            Wanders.n += 1
            result.matrix[0, 3] += 1e-9 * Wanders.n
            return result

    class Raises(Perfect):
        def register(self, fixed, moving, **options: Any):  # type: ignore[no-untyped-def]
            if float(np.ptp(moving.data)) == 0:
                raise ZeroDivisionError
            return super().register(fixed, moving, **options)

    with pytest.raises(AssertionError, match="same input"):
        check_registrar(Wanders())
    with pytest.raises(AssertionError, match="not ZeroDivisionError"):
        check_registrar(Raises())


def test_the_pair_is_what_it_says() -> None:
    # An organ's centre in the fixed volume and, moved, in the moving one show the organ's value.
    fixed, moving = conformance_pair()
    there = MARKS_MM @ TRUE_MATRIX[:3, :3].T + TRUE_MATRIX[:3, 3]
    for volume, points, values in (
        (fixed, MARKS_MM, (700, 300, 620, 420, 800)),
        (moving, there, (150, 310, 200, 800, 560)),
    ):
        k, j, i = np.rint(volume.grid.lps_mm_to_index(points)).astype(int).T
        assert volume.data[k, j, i] == pytest.approx(np.array(values), abs=80)
