from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg.model.case import Case
from eprimg.model.transform import Transform
from eprimg.report.registration_figure import checkerboard, edge_mask, registration_picture


def test_tiles_alternate() -> None:
    mixed = checkerboard(np.zeros((4, 4)), np.ones((4, 4)), 2)
    assert mixed.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_edges_lie_on_the_rim_of_a_disc() -> None:
    rows, columns = np.indices((81, 81)) - 40
    radius = np.hypot(rows, columns)
    edges = edge_mask((radius < 20).astype(float))
    assert edges.any()
    assert np.abs(radius[edges] - 20).max() < 2.0
    # The whole circle is found, not one side of it.
    angles = np.degrees(np.arctan2(rows[edges], columns[edges]))
    assert np.diff(np.sort(angles)).max() < 15


def test_the_rim_of_the_field_of_view_is_no_edge() -> None:
    cut = np.full((60, 60), np.nan)
    cut[10:50, 10:50] = 5.0
    assert not edge_mask(cut).any()
    assert not edge_mask(np.full((5, 5), np.nan)).any()


def test_accepted_or_not_the_check_is_drawn(case: Case) -> None:
    for registration in case.registrations:
        shown = registration_picture(case, replace(registration, accepted=False), None)
        assert shown is not None
        assert registration.moving in shown.alt


def test_series_that_do_not_fit_are_not_drawn(case: Case) -> None:
    first = case.registrations[0]
    assert registration_picture(case, replace(first, moving="ct"), None) is None
    astray = replace(first, transform=Transform.identity("7.7", "8.8"))
    assert registration_picture(case, astray, None) is None
