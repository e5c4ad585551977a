"""Lights differ by symbol and word, and by colour for colour-blind readers too."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qtpy")
from qtpy.QtGui import QColor

from napari_eprimg.dock.state_light import LIGHTS, StateLight
from napari_eprimg.reading.reading_steps import Light

# Viénot, Brettel and Mollon (1999), doi:10.1002/(SICI)1520-6378(199908)24:4<243: deuteranopia,
# linear RGB.
_DEUTERANOPIA = np.array(
    [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]
)


def _seen(colour: str) -> Any:
    values = np.array(QColor(colour).getRgbF()[:3])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.clip(_DEUTERANOPIA @ linear, 0, 1) ** (1 / 2.4)


def test_every_state_has_its_own_symbol_and_word() -> None:
    assert set(LIGHTS) == set(Light)
    assert len({style.symbol for style in LIGHTS.values()}) == len(Light)
    assert len({style.word for style in LIGHTS.values()}) == len(Light)


@pytest.mark.parametrize(
    ("one", "other"), list(itertools.combinations([Light.DONE, Light.DOUBT, Light.REFUSED], 2))
)
def test_colours_differ_under_deuteranopia(one: Light, other: Light) -> None:
    distance = np.linalg.norm(_seen(LIGHTS[one].fill) - _seen(LIGHTS[other].fill))
    assert distance > 0.1


@pytest.mark.parametrize("light", list(Light))
def test_the_light_is_drawn_in_its_colour(qtbot: Any, light: Light) -> None:
    widget = StateLight()
    qtbot.addWidget(widget)
    widget.resize(widget.sizeHint())
    widget.set_light(light)
    picture = widget.grab().toImage()
    wanted = QColor(LIGHTS[light].fill).getRgb()[:3]
    colours = [
        picture.pixelColor(x, y).getRgb()[:3] for x in range(0, 18) for y in range(picture.height())
    ]
    assert colours.count(wanted) > 20
    assert widget.accessibleName() == LIGHTS[light].word
