"""Sides and letters, written out by hand from the radiological convention."""

from __future__ import annotations

import pytest

from napari_eprimg.view.orientation import camera_orientation, edge_letters, turned_letters

AXIAL, CORONAL, SAGITTAL = (1, 2), (0, 2), (0, 1)


@pytest.mark.parametrize(
    ("displayed", "radiological", "letters"),
    [
        (AXIAL, True, ("R", "L", "A", "P")),
        (CORONAL, True, ("R", "L", "S", "I")),
        (SAGITTAL, True, ("A", "P", "S", "I")),
        (AXIAL, False, ("L", "R", "A", "P")),
        (CORONAL, False, ("L", "R", "S", "I")),
        (SAGITTAL, False, ("A", "P", "S", "I")),
        ((2, 1), True, ("A", "P", "R", "L")),  # rolled and transposed views are named too
        ((2, 0), True, ("I", "S", "R", "L")),
    ],
)
def test_the_letters_follow_the_convention(
    displayed: tuple[int, int], radiological: bool, letters: tuple[str, ...]
) -> None:
    turned = camera_orientation(displayed, radiological=radiological)
    assert tuple(edge_letters(displayed, turned)) == letters


def test_the_letters_follow_a_camera_that_was_turned_by_hand() -> None:
    assert tuple(edge_letters(AXIAL, ("up", "left"))) == ("L", "R", "P", "A")


def test_a_projection_names_the_nearer_direction_first() -> None:
    assert tuple(turned_letters(0)) == ("R", "L", "S", "I")
    assert tuple(turned_letters(90)) == ("A", "P", "S", "I")
    assert tuple(turned_letters(180)) == ("L", "R", "S", "I")
    assert tuple(turned_letters(270)) == ("P", "A", "S", "I")
    assert tuple(turned_letters(30)) == ("RA", "LP", "S", "I")
    assert tuple(turned_letters(60)) == ("AR", "PL", "S", "I")
    assert tuple(turned_letters(0, radiological=False)) == ("L", "R", "S", "I")
