"""Engines: listed with their state; a missing one explains itself."""

from __future__ import annotations

import pytest

from eprimg import registry
from eprimg.errors import EngineUnavailable


def test_own_engines_are_declared_and_available() -> None:
    found = {(e.kind, e.name): e for e in registry.engines()}
    for own in (
        ("registrar", "simpleitk-rigid"),
        ("segmenter", "pet"),
        ("segmenter", "threshold"),
        ("tier rule", "fixed"),
        ("tier rule", "cohort-median"),
    ):
        assert found[own].available, found[own].detail
    assert {e.kind for e in registry.engines("segmenter")} == {"segmenter"}


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(EngineUnavailable, match="simpleitk-rigid") as caught:
        registry.load_engine("registrar", "magic")
    assert caught.value.code == "E_ENGINE"
    assert registry.load_engine("registrar", "simpleitk-rigid").__name__ == "SimpleITKRigid"


def test_a_broken_engine_is_listed_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name = "broken"

        def load(self) -> object:
            raise ImportError("no module named magic")

    monkeypatch.setattr(registry, "entry_points", lambda group: [Broken()])
    (info,) = registry.engines("registrar")
    assert not info.available
    assert "magic" in info.detail
    with pytest.raises(EngineUnavailable, match="no module named magic"):
        registry.load_engine("registrar", "broken")
