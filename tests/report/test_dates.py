from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eprimg.report.dates import hours_between, without_dates

INJECTED = datetime(2024, 3, 5, 11, 15)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("corrected to 2024-03-08 11:15:00, known", "corrected to 72.00 h after injection, known"),
        ("at 2024-03-05T10:00:00.", "at minus 1.25 h after injection."),
        ("on 2024-03-08", "on (date not shown)"),
        ("DA 19600101 and DT 20240305111500.25", "DA (date not shown) and DT (date not shown)"),
        ("at 2024-03-08T11:15:00+00:00", "at (date not shown)"),  # zones that cannot be compared
        (
            "74000000 Bq in 484416 voxels, seed 20241799",
            "74000000 Bq in 484416 voxels, seed 20241799",
        ),
    ],
)
def test_dates_become_hours_and_numbers_stay(text: str, shown: str) -> None:
    assert without_dates(text, INJECTED) == shown


def test_without_an_injection_no_date_is_shown() -> None:
    assert without_dates("at 2024-03-08 11:15:00") == "at (date not shown)"


def test_hours() -> None:
    assert hours_between(datetime(2024, 3, 8, 11, 15), INJECTED) == "72.0 h"
    assert hours_between(None, INJECTED) == ""
    assert hours_between(datetime(2024, 3, 8, tzinfo=UTC), INJECTED) == ""
