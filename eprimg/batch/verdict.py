"""How a child ended, in words: status, code, sentence and next action."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eprimg.model.study_record import Status

__all__ = ["Verdict", "verdict_of"]

_RETRY = "run again with --retry-failed"
_ALLOCATION = (
    b"bad_alloc",
    b"MemoryError",
    b"Cannot allocate memory",
    b"LLVM ERROR: out of memory",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a child ended.

    Parameters
    ----------
    status : Status
        Status of the study.
    code, message, action : str
        In the words of the record; they may still hold the patient's words.
    exit : str
        ``0``, an exit code, ``signal 9``, ``time limit`` ...
    recorded : bool
        The child has written the record itself.
    disk : bool
        Nothing could be written: the study gets no record, so that the next run does it again.
    again : bool
        Somebody killed it from outside, so another try may go well.
    """

    status: Status
    code: str = ""
    message: str = ""
    action: str = ""
    exit: str = "0"
    recorded: bool = False
    disk: bool = False
    again: bool = False


def verdict_of(
    said: Mapping[str, Mapping[str, Any]],
    exit_code: int,
    *,
    timed_out: bool,
    time_limit_s: float,
    printed: bytes = b"",
) -> Verdict:
    """Judge the end of a child.

    Parameters
    ----------
    said : Mapping
        Last message of each kind.
    exit_code : int
        Negative for a signal.
    timed_out : bool
        It was ended because its time was over.
    time_limit_s : float
        That time.
    printed : bytes
        End of what it printed.

    Returns
    -------
    Verdict
        Status and words.
    """
    end = said.get("end")
    if end is not None:
        return _by_its_own_words(end)
    if timed_out:
        return Verdict(
            Status.FAILED,
            "E_BATCH_TIME",
            f"the study took longer than its time limit of {time_limit_s / 60:g} min and was ended",
            f"give more with --time-limit, then {_RETRY}",
            "time limit",
        )
    exit_words = f"signal {-exit_code}" if exit_code < 0 else str(exit_code)
    if any(word in printed for word in _ALLOCATION):
        return _memory(exit_words)
    if exit_code in (-signal.SIGKILL, -signal.SIGTERM):
        return Verdict(
            Status.FAILED,
            "E_BATCH_CRASH",
            "the process of the study was killed from outside (by the system when memory runs "
            f"out, or by a person): {exit_words}",
            f"look at the memory of the machine, then {_RETRY}",
            exit_words,
            again=True,
        )
    return Verdict(
        Status.FAILED,
        "E_BATCH_CRASH",
        f"the process of the study crashed: {exit_words}",
        f"see its log; {_RETRY}, and report it when it happens again",
        exit_words,
    )


def _memory(exit_words: str) -> Verdict:
    return Verdict(
        Status.FAILED,
        "E_BATCH_MEMORY",
        "the study needed more memory than was planned for it and was stopped at its cap",
        "see its log: a damaged file can ask for any amount",
        exit_words,
    )


def _by_its_own_words(end: Mapping[str, Any]) -> Verdict:
    how = end["how"]
    if how == "ok":
        return Verdict(Status.OK, recorded=True)
    if how == "memory":
        return _memory("memory cap")
    if how == "fault":
        return Verdict(
            Status.FAILED,
            "E_BATCH_FAULT",
            f"an unexpected fault of eprimg itself ({end['error']})",
            "see its log, and please report it",
            "fault",
        )
    words = (str(end["code"]), str(end["message"]), str(end["action"]))
    if how == "refused":
        return Verdict(Status.REFUSED, *words)
    return Verdict(Status.FAILED, *words, disk=how == "disk")
