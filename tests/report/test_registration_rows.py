from __future__ import annotations

from eprimg.report.registration_rows import HEADLINE, apart, headline


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
