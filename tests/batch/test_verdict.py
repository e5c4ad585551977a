"""How a child ended, in words."""

from __future__ import annotations

import pytest

from eprimg.batch.verdict import Verdict, verdict_of
from eprimg.model.study_record import Status
from eprimg.resources.codes import all_codes


def _judge(
    exit_code: int = 0, *, timed_out: bool = False, printed: bytes = b"", **end: object
) -> Verdict:
    said = {"end": end} if end else {}
    return verdict_of(said, exit_code, timed_out=timed_out, time_limit_s=90.0, printed=printed)


@pytest.mark.parametrize(
    ("verdict", "status", "code", "end"),
    [
        (_judge(how="ok"), "ok", "", "0"),
        (_judge(how="memory"), "failed", "E_BATCH_MEMORY", "memory cap"),
        (_judge(how="fault", error="KeyError"), "failed", "E_BATCH_FAULT", "fault"),
        (_judge(-9, timed_out=True), "failed", "E_BATCH_TIME", "time limit"),
        (_judge(-11), "failed", "E_BATCH_CRASH", "signal 11"),
        (_judge(-6, printed=b"what(): std::bad_alloc"), "failed", "E_BATCH_MEMORY", "signal 6"),
        (_judge(1, printed=b"x\nMemoryError\n"), "failed", "E_BATCH_MEMORY", "1"),
        (_judge(3), "failed", "E_BATCH_CRASH", "3"),
    ],
)
def test_every_end_has_status_code_and_words(
    verdict: Verdict, status: str, code: str, end: str
) -> None:
    assert (str(verdict.status), verdict.code, verdict.exit) == (status, code, end)
    assert not code or (code in all_codes() and verdict.message and verdict.action)


def test_only_a_kill_from_outside_is_tried_again() -> None:
    assert _judge(-9).again
    assert _judge(-15).again
    assert not _judge(-11).again
    assert not _judge(-9, timed_out=True).again
    assert "1.5 min" in _judge(-9, timed_out=True).message


def test_a_refusal_keeps_its_own_words_and_a_full_disk_leaves_no_record() -> None:
    words = {"code": "E_ECHO", "message": "m", "action": "a"}
    assert _judge(how="refused", **words) == Verdict(Status.REFUSED, "E_ECHO", "m", "a")
    assert _judge(how="disk", **words).disk
    assert _judge(how="output", **words).status == Status.FAILED
    assert not _judge(how="output", **words).disk
