"""What a person sees while a batch runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from eprimg.batch.orders import StudyOutcome
from eprimg.batch.progress import Tally, duration, shown_progress

BAD = StudyOutcome("S-2", "refused", "E_ECHO", "m", 3.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.4, "4 s"), (90, "2 min"), (3600, "1 h 00 min"), (7500, "2 h 05 min"), (4e5, "4.6 days")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_rate_and_time_to_go_count_only_what_was_run() -> None:
    now = [100.0]
    tally = Tally(lambda: now[0])
    tally.total = 20
    assert tally.left_s is None
    tally.kept["ok"] += 8
    now[0] = 160.0
    for status in ("ok", "ok", "failed"):
        tally.run[status] += 1
    # 3 studies in 60 s are 180 per hour; 9 are left: 180 s
    assert tally.per_hour == pytest.approx(180)
    assert tally.left_s == pytest.approx(180)
    assert tally.words() == "11/20, 10 ok, 1 failed, 8 of them kept, 180/h, 3 min to go"


def test_plain_lines_hold_key_status_code_and_seconds() -> None:
    sink = io.StringIO()
    with shown_progress(Console(file=sink, width=200)) as reporter:
        reporter.begin(3)
        reporter.passed("ok")
        reporter.outcome(StudyOutcome("S-1", "ok", seconds=12.34))
        reporter.outcome(BAD)
        reporter.say("words [not markup]")
    lines = sink.getvalue().splitlines()
    assert lines[0].startswith("S-1 ok 12.3 s (2/3, 2 ok, 1 of them kept,")
    assert lines[1].startswith("S-2 refused E_ECHO 3.0 s (3/3,")
    assert lines[2] == "eprimg: words [not markup]"


def test_a_terminal_shows_one_line_and_what_is_not_ok() -> None:
    sink = io.StringIO()
    console = Console(file=sink, width=120, force_terminal=True, color_system=None)
    with shown_progress(console) as reporter:
        reporter.begin(2)
        reporter.outcome(StudyOutcome("S-1", "ok", seconds=1.0))
        reporter.outcome(BAD)
    shown = sink.getvalue()
    assert "2/2, 1 ok, 1 refused" in shown
    assert "S-2 refused E_ECHO" in shown
    assert "S-1 ok" not in shown
