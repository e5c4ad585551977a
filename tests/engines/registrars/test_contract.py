"""The contract of a registration engine."""

from __future__ import annotations

import inspect

import numpy as np

from eprimg.engines.registrars.contract import Registrar, RegistrarResult
from eprimg.engines.registrars.simpleitk_rigid import SimpleITKRigid


def test_the_engine_that_comes_with_eprimg_keeps_the_contract() -> None:
    wanted = inspect.signature(Registrar.register).parameters
    assert list(inspect.signature(SimpleITKRigid.register).parameters) == list(wanted)
    assert isinstance(SimpleITKRigid.version(), str)


def test_what_was_not_done_is_not_a_number() -> None:
    result = RegistrarResult(np.eye(4), np.eye(4), "identity", 0.1)
    assert np.isnan(result.polish_moved_mm)
    assert np.isnan(result.seconds)
    assert not result.polish_kept
