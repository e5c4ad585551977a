"""Windows and the blending of two layers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_eprimg.view.windows import (
    AUTO,
    auto_window,
    dragged,
    fusion_opacities,
    next_preset,
    presets,
    see_through,
)


def test_every_quantity_ends_with_the_automatic_window() -> None:
    assert [p.limits for p in presets("suvbw")][:2] == [(0, 5), (0, 10)]
    for key in ("suvbw", "pid_per_kg", "r2star", "dr2star", "signal", "unheard of"):
        assert presets(key)[-1] == (AUTO, None)
    assert len(presets("signal")) == 1


def test_presets_go_round() -> None:
    assert next_preset("suvbw", (0.0, 5.0)).limits == (0, 10)
    assert next_preset("suvbw", (0.0, 20.0)).words == AUTO
    assert next_preset("suvbw", (1.0, 3.3)).limits == (0, 5)  # none of them: the first one


def test_the_automatic_window_is_for_the_lesions() -> None:
    values = np.full((10, 10, 10), 1.0, np.float32)
    inside = np.zeros(values.shape, bool)
    inside[4:6] = True
    values[inside] = 10.0
    assert auto_window(values, "suvbw", inside) == (0.0, 6.0)  # 0.6 of the lesions
    assert auto_window(np.full((4, 4, 4), np.nan), "suvbw") == (0.0, 1.0)
    low, high = auto_window(values, "r2star", inside)
    assert (low, high) == (0.0, 40.0)  # never narrower than 40 1/s


def test_a_drag_changes_width_and_level() -> None:
    assert dragged((0, 10), 0, 0, (400, 200)) == pytest.approx((0, 10))
    assert dragged((0, 10), 0, 100, (400, 200)) == pytest.approx((5, 15))  # half a canvas up
    assert dragged((0, 10), 200, 0, (400, 200)) == pytest.approx((-5, 15))  # twice as wide
    assert dragged((0, 10), -200, 0, (400, 200)) == pytest.approx((2.5, 7.5))
    low, high = dragged((2, 2), 0, 0, (400, 200))
    assert low < high


def test_the_ends_of_the_fusion_are_pure() -> None:
    assert fusion_opacities(0.0) == (1.0, 0.0)
    assert fusion_opacities(1.0) == (0.0, 1.0)
    below, above = fusion_opacities(0.5)
    assert below == 1.0
    assert 0.5 < above < 1.0
    shares = [fusion_opacities(s)[1] for s in np.linspace(0, 1, 11)]
    assert shares == sorted(shares)


def test_no_uptake_lets_the_series_below_through() -> None:
    table = np.ones((256, 4))
    faded = see_through(table)
    assert faded[0, 3] == 0.0
    assert faded[-1, 3] == 1.0
    assert faded[128, 3] == 1.0
    assert 0.4 < faded[45, 3] < 0.6  # 45/255 is half of the lower 35 %
    assert (np.diff(faded[:, 3]) >= 0).all()
    assert (table == 1).all()
