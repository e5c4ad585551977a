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


def test_engines_that_take_settings_get_them() -> None:
    from eprimg.config import RegisterConfig
    from eprimg.engines.registrars.contract import make_registrar

    class Plain:
        pass

    class Asking:
        takes_config = True

        def __init__(self, config: RegisterConfig) -> None:
            self.config = config

    config = RegisterConfig(engine="mine")
    assert isinstance(make_registrar(config, lambda kind, name: Plain), Plain)
    asked = []
    made = make_registrar(config, lambda kind, name: asked.append((kind, name)) or Asking)
    assert asked == [("registrar", "mine")]
    assert made.config is config
