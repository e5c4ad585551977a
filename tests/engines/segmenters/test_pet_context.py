from __future__ import annotations

import pytest

from eprimg.engines.segmenters.pet_context import PetContext, liver_seeking


@pytest.mark.parametrize(
    ("nuclide", "tracer"),
    [
        ("89Zr", ""),
        ("64Cu", "DOTATATE"),
        ("", "64Cu-ferumoxytol PET"),
        ("18F", "labelled antibody"),
        ("124I", "girentuximab"),
        ("", "Zr-89 x"),
        ("18F", "[89Zr]x, which the coded nuclide contradicts"),
        ("", "x_64-Cu"),
    ],
)
def test_tracers_of_the_liver_are_named(nuclide: str, tracer: str) -> None:
    assert "liver" in liver_seeking(nuclide, tracer)


@pytest.mark.parametrize(
    ("nuclide", "tracer"), [("18F", "FDG WB"), ("", ""), ("18F", ""), ("", "189Zrx 64 cuts")]
)
def test_fdg_and_the_unknown_are_not(nuclide: str, tracer: str) -> None:
    assert liver_seeking(nuclide, tracer) == ""


def test_a_context_is_empty_unless_told() -> None:
    context = PetContext()
    assert (context.organs, context.nuclide, context.tracer, context.seeds) == (None, "", "", ())
