"""Words and lengths at the edge of a canvas."""

from __future__ import annotations

import pytest

from napari_eprimg.view.canvas_marks import bar_length_mm, position_words


def test_a_slice_is_named_with_its_direction() -> None:
    assert position_words(0, 12.34) == "axial  S 12.3 mm"
    assert position_words(0, -5.0) == "axial  I 5.0 mm"
    assert position_words(1, -5.0) == "coronal  A 5.0 mm"
    assert position_words(2, -7.0) == "sagittal  R 7.0 mm"


@pytest.mark.parametrize(
    ("mm_per_px", "width", "length"), [(1.0, 400, 100), (0.5, 300, 20), (0.1, 160, 2), (1, 250, 50)]
)
def test_the_scale_bar_has_a_round_length_of_at_most_a_quarter(
    mm_per_px: float, width: float, length: float
) -> None:
    assert bar_length_mm(mm_per_px, width) == length
