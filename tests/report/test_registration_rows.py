from __future__ import annotations

import numpy as np

from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Registration, Transform
from eprimg.report.registration_rows import BENDING, HEADLINE, apart, bending_row, headline

FIGURES = {
    "bent_largest_mm": 9.83,
    "jacobian_min": 0.7123,
    "jacobian_p01": 0.8,
    "folding_percent": 0.0,
    "jacobian_sd_log": 0.0712,
    "inverse_mean_mm": 0.834,
    "inverse_p95_mm": 2.207,
}


def registration(qc: dict[str, float], *, bent: bool) -> Registration:
    grid = Grid((2, 2, 2), np.eye(4), "a")
    field = Displacement(np.zeros((2, 2, 2, 3), np.float32), grid) if bent else None
    return Registration("mr_pre", "mr_post", Transform(np.eye(4), "a", "b", field), "test", {}, qc)


def test_headline_by_hand() -> None:
    told = headline(
        {
            "moved_center_mm": 7.33,
            "rotated_deg": 2.96,
            "nmi_before": 1.2571,
            "nmi_after": 1.5442,
            "ncc_before": 0.407,
            "ncc_after": float("nan"),
            "overlap_fraction": 0.959,
            "nearby_mm": 0.08,
        }
    )
    assert told == ("7.3", "3.0", "1.257 → 1.544", "0.41 → –", "96", "0.1", "–", "–")
    assert len(told) == len(HEADLINE)


def test_distance_of_a_lesion() -> None:
    assert apart({3: 2.46}, 3) == "uptake 2.5 mm from the outline's centre"
    assert apart({3: 2.46}, 4) == ""
    assert apart({3: float("nan")}, 3) == ""
    assert apart({3: 2.46}, 3, "mr_post") == ""


def test_figures_of_a_bending_by_hand() -> None:
    row = bending_row(registration(FIGURES, bent=True))
    assert row == ("9.8", "0.712", "0", "0.071", "0.83", "2.21")
    assert len(row) == len(BENDING)
    # A little folding is not none, and infinity, as of a field that folds, is not unknown.
    folds = {**FIGURES, "folding_percent": 0.0004, "jacobian_sd_log": float("inf")}
    assert bending_row(registration(folds, bent=True))[2:4] == ("< 0.001", "∞")


def test_a_rigid_transform_has_no_such_row() -> None:
    # The figures are those of a bending that was refused.
    assert bending_row(registration({**FIGURES, "bent": 0.0}, bent=False)) == ()
    assert bending_row(registration({}, bent=True)) == ("–",) * len(BENDING)
