from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from eprimg.report.drawing import new_figure, style
from eprimg.report.picture import Picture, to_png, to_svg


def draw(write: object) -> Picture:
    with style():
        figure = new_figure(2, 1)
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        axes.plot([0, 1], [0, 1], label="$x <b>")
        axes.legend()
        assert callable(write)
        picture = write(figure, "a line")
    assert isinstance(picture, Picture)
    return picture


def test_a_png_has_the_size_of_its_figure_and_no_transparency() -> None:
    picture = draw(to_png)
    head, _, content = picture.uri.partition(",")
    assert head == "data:image/png;base64"
    pixels = Image.open(io.BytesIO(base64.b64decode(content)))
    assert pixels.mode == "RGB"
    assert pixels.size == (300, 150)
    assert np.asarray(pixels)[0, 0].tolist() == [255, 255, 255]
    assert picture.alt == "a line"


def test_an_svg_carries_no_date_and_no_script() -> None:
    head, _, content = draw(to_svg).uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    text = base64.b64decode(content).decode()
    assert "<svg" in text
    assert "<script" not in text
    assert "dc:date" not in text


def test_pictures_are_the_same_every_time() -> None:
    assert draw(to_png) == draw(to_png)
    assert draw(to_svg) == draw(to_svg)
