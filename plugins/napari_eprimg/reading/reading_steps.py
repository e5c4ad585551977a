"""The steps of a reading, their lights, and the work that a step hands to a worker thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["STAGES_OF", "Light", "Progress", "Step", "StepState", "Task"]

Progress = Callable[[str, float], None]
"""Called with words and the finished share; it may raise `eprimg.errors.Cancelled`."""


class Step(StrEnum):
    """Steps of a reading, in order."""

    OPEN = "open"
    CHECK = "check"
    REGISTER = "register"
    MAPS = "maps"
    LESIONS = "lesions"
    TIERS = "tiers"
    REPORT = "report"


STAGES_OF: dict[Step, tuple[str, str]] = {
    Step.REGISTER: ("register", "register"),
    Step.MAPS: ("quantify", "quantify"),
    Step.LESIONS: ("segment", "measure"),
    Step.TIERS: ("stratify", "stratify"),
}
"""First and last pipeline stage of the steps that run some."""


class Light(StrEnum):
    """State of a step, shown as colour, symbol and word."""

    IDLE = "idle"
    """Grey: not run yet."""
    DONE = "done"
    """Green: run, nothing to say against it."""
    DOUBT = "doubt"
    """Amber: run, with warnings."""
    REFUSED = "refused"
    """Red: it failed, or a part of the input was refused."""
    STALE = "stale"
    """Grey-striped: something that it rests on was changed; it must be run again."""


@dataclass(frozen=True, slots=True)
class StepState:
    """What the workflow shows for a step.

    Parameters
    ----------
    step : Step
        Which one.
    light : Light
        Its state.
    sentence : str
        One or two plain sentences: what came out, or what is wrong and what to do next.
    blocked_by : str
        What must be done before it can run, in words; empty when it may run.
    """

    step: Step
    light: Light
    sentence: str
    blocked_by: str = ""


def _ignore(words: str, share: float) -> None:
    """Progress that nobody watches."""


def _forget(error: BaseException) -> None:
    """Failure that leaves no trace in the reading."""


@dataclass(frozen=True, slots=True)
class Task:
    """Work for a worker thread; the work touches nothing of the reading.

    Parameters
    ----------
    title : str
        What is done, for the progress bar.
    work : callable
        Called in any thread with a `Progress`; returns the result.
    done : callable
        Called in the GUI thread with the result: applies it and emits the signals.
    step : Step or None
        The step whose light it changes.
    failed : callable
        Called in the GUI thread with the exception that the work raised (`Cancelled` too): sets
        the light and sentence of the step.  It shows nothing; telling the user is the caller's.
    """

    title: str
    work: Callable[[Progress], Any]
    done: Callable[[Any], None]
    step: Step | None = None
    failed: Callable[[BaseException], None] = _forget

    def run_now(self, progress: Progress = _ignore) -> None:
        """Do the work and apply it, in this thread; for tests and scripts.

        Parameters
        ----------
        progress : callable
            Called with words and the finished share.

        Raises
        ------
        Exception
            Whatever the work raised; the light of the step is set before.
        """
        try:
            result = self.work(progress)
        except Exception as error:
            self.failed(error)
            raise
        self.done(result)
