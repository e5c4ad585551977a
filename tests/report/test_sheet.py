from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from eprimg.report.drawing import style
from eprimg.report.planes import make_plane
from eprimg.report.sheet import Box, Sheet, pixels_of, rims_mm

BOX = Box(20, 10, 160, 120)
PLANE = make_plane(
    "axial", (0, 0, 0), frame_of_reference="1.2", width_mm=80, height_mm=60, pixel_mm=1.0
)


def blank(ground: tuple[int, int, int] = (0, 0, 0)) -> Sheet:
    sheet = Sheet(200, 150)
    sheet.show(np.full((*PLANE.shape, 3), ground, np.uint8), BOX)
    return sheet


def drawn(sheet: Sheet) -> np.ndarray:
    uri = sheet.picture("words").uri
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))).astype(int)


def middle(pixels: np.ndarray) -> tuple[float, float]:
    """Row and column of the middle of what is white."""
    rows, columns = np.nonzero((pixels > 200).all(axis=-1))
    return (rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2


def test_a_panel_fills_its_box_and_nothing_else() -> None:
    sheet = Sheet(200, 150)
    colours = np.zeros((2, 4, 3))
    colours[0, 0] = (1.0, 0.5, 0.0)
    sheet.show(colours, BOX)
    assert sheet.pixels[10, 20].tolist() == [255, 128, 0]
    # A pixel of the panel becomes 160 / 4 = 40 wide and 120 / 2 = 60 high.
    assert (sheet.pixels[10:70, 20:60] == (255, 128, 0)).all()
    assert (sheet.pixels == (255, 128, 0)).all(axis=-1).sum() == 40 * 60
    assert (sheet.pixels == 0).all(axis=-1).sum() == 160 * 120 - 40 * 60


@pytest.mark.parametrize("width", [100, 293, 1095, 1201])
def test_no_pixel_is_lost_to_rounding(width: int) -> None:
    assert drawn(Sheet(width, width + 7)).shape == (width + 7, width, 3)


def test_letters_stand_at_the_edges_that_they_name() -> None:
    with style():
        sheet = blank()
        sheet.dress(BOX, PLANE, scale_mm=20.0)
        words = {t.get_text(): t.get_position() for t in sheet.figure.texts}
        pixels = drawn(sheet)
    assert set(words) == {"R", "L", "A", "P", "2 cm"}
    across, up = BOX.left + BOX.width / 2, sheet.height - BOX.top - BOX.height / 2
    assert words["R"][0] < across < words["L"][0]
    assert words["P"][1] < up < words["A"][1]
    # The scale bar lies right of the letter below: 20 mm of 80 mm are a quarter of 160 pixels.
    bar = pixels[BOX.top + round(0.93 * BOX.height) - 1, BOX.left + 90 : BOX.left + BOX.width]
    assert (bar > 200).all(axis=-1).sum() == pytest.approx(40, abs=1)
    # Nothing is written outside the panel.
    outside = np.ones(pixels.shape[:2], bool)
    outside[10:130, 20:180] = False
    assert (pixels[outside] == 255).all()


def test_an_outline_lies_on_the_region_and_stays_on_its_panel() -> None:
    cut = np.zeros(PLANE.shape)
    cut[10:20, 50:] = 1  # to the right edge
    rims = rims_mm(cut, PLANE.pixel_mm)
    sheet = blank()
    sheet.outline(BOX, PLANE, rims, width=0.5)
    pixels = drawn(sheet)
    lit = np.argwhere(pixels[..., 0] > 100)
    lit = lit[(lit[:, 1] >= 20) & (lit[:, 1] < 180) & (lit[:, 0] >= 10) & (lit[:, 0] < 130)]
    # Rows 10 to 19 and columns from 50 of 2 x 2 pixels each, the panel beginning at (10, 20).
    np.testing.assert_allclose(lit.min(axis=0), (10 + 20, 20 + 100), atol=1)
    np.testing.assert_allclose(lit[:, 0].max(), 10 + 40, atol=1)
    beside = pixels[:, 180:]
    assert (beside == 255).all()


def test_the_outline_of_a_disc_has_its_radius() -> None:
    y, x = np.indices((60, 80)) - np.array([[[29.5]], [[39.5]]])
    soft = np.clip(12.5 - np.hypot(x, y), 0, 1)  # 0.5 at a radius of 12 pixels
    (rim,) = rims_mm(soft, 0.5)
    np.testing.assert_allclose(np.hypot(*rim.T), 6.0, atol=0.05)
    shifted = np.roll(soft, (5, -7), axis=(0, 1))
    # 7 pixels to the left and 5 down, of 0.5 mm.
    np.testing.assert_allclose(rims_mm(shifted, 0.5)[0][:-1].mean(axis=0), (-3.5, 2.5), atol=0.05)


def test_nothing_and_everything_have_no_outline() -> None:
    assert rims_mm(np.zeros((5, 5)), 1.0) == []
    assert rims_mm(np.ones((5, 5)), 1.0) == []
    assert rims_mm(np.full((5, 5), np.nan), 1.0) == []
    sheet = blank()
    sheet.outline(BOX, PLANE, [])
    assert len(sheet.lettering().rows) == 0


def test_a_number_stands_beside_its_place_and_not_where_nothing_is_shown() -> None:
    with style():
        sheet = blank()
        sheet.mark(BOX, PLANE, (10.0, -5.0), "7", offset_points=(7, 6), colour="#000000")
        row, column = middle(drawn(sheet)[10:130, 20:180])
        # 10 mm right of and 5 mm above the middle, 2 pixels a mm; 7 and 6 points at 150 dpi.
        assert row == pytest.approx(60 - 10 - 6 * 150 / 72, abs=2)
        assert column == pytest.approx(80 + 20 + 7 * 150 / 72, abs=2)
        away = blank()
        away.mark(BOX, PLANE, (41.0, 0.0), "7", offset_points=(7, 6), colour="#000000")
        assert len(away.lettering().rows) == 0


def test_titles_stand_above_and_rows_are_read_upwards() -> None:
    with style():
        sheet = Sheet(200, 150)
        sheet.entitle(Box(20, 40, 160, 100), "axial")
        sheet.write_upwards(10, 90, "row")
        title, row = sheet.figure.texts
    assert title.get_position() == (100.0, pytest.approx(150 - 40 + 4 * 150 / 72))
    assert row.get_rotation() == 90
    assert row.get_position() == (10, 60)
    assert sheet.fraction(Box(20, 30, 100, 75)) == pytest.approx((0.1, 0.3, 0.5, 0.5))


def test_colours_are_rounded_and_not_cut() -> None:
    assert pixels_of(np.array([[[141 / 255, 0.999, 0.0]]])).tolist() == [[[141, 255, 0]]]
    whole = np.array([[[1, 2, 3]]], np.uint8)
    assert pixels_of(whole) is whole
