from __future__ import annotations

import base64
import xml.etree.ElementTree as ET

from eprimg.report.svg import label, short, svg_picture


def test_lengths_have_one_decimal_at_most() -> None:
    assert [short(v) for v in (12.0, 12.04, 12.06, -0.5)] == ["12", "12", "12.1", "-0.5"]


def test_words_are_escaped() -> None:
    element = ET.fromstring(label(1, 2.25, "a < b & <c>", "end", 'font-size="9"'))
    assert element.text == "a < b & <c>"
    assert element.attrib == {"x": "1", "y": "2.2", "text-anchor": "end", "font-size": "9"}


def test_a_picture_is_one_svg_of_its_size() -> None:
    picture = svg_picture(["<g/>", "<g/>"], width=300, height=120.5, size=11, alt="two")
    head, _, coded = picture.uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    root = ET.fromstring(base64.b64decode(coded))
    assert (root.get("width"), root.get("height")) == ("300", "120.5")
    assert root.get("viewBox") == "0 0 300 120.5"
    assert len(root) == 2
    assert picture.alt == "two"
