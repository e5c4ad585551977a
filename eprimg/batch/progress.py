"""How a batch shows itself: one live line on a terminal, one plain line per study elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from eprimg.batch.orders import StudyOutcome

__all__ = ["BatchProgress", "Tally", "shown_progress"]

_STYLES = {"ok": "green", "refused": "yellow", "failed": "bold red"}


class Tally:
    """Counts studies and foretells the end.

    Parameters
    ----------
    clock : callable
        Gives seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self.total = 0
        self.run: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()

    @property
    def done(self) -> int:
        """Studies that are run or stand already."""
        return self.run.total() + self.kept.total()

    @property
    def per_hour(self) -> float:
        """Studies run per hour."""
        return 3600.0 * self.run.total() / max(self._clock() - self._begin, 1e-9)

    @property
    def left_s(self) -> float | None:
        """Seconds to the end at the present rate; None before the first study."""
        if not self.run.total():
            return None
        return (self.total - self.done) / (self.per_hour / 3600.0)

    def words(self) -> str:
        """Say where the batch is.

        Returns
        -------
        str
            Numbers per status, rate and time to go.
        """
        both = self.run + self.kept
        parts = [f"{self.done}/{self.total}", *(f"{both[s]} {s}" for s in _STYLES if both[s])]
        if self.kept:
            parts.append(f"{self.kept.total()} of them kept")
        if self.run:
            parts.append(f"{self.per_hour:.0f}/h")
        left = self.left_s
        if left is not None and self.done < self.total:
            parts.append(f"{duration(left)} to go")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Write a duration for a person.

    Parameters
    ----------
    seconds : float
        Duration.

    Returns
    -------
    str
        E.g. ``2 h 05 min``.
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes / 1440:.1f} days"


class BatchProgress:
    """Tells a person how a batch goes on; see `eprimg.batch.engine.Reporter`.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    redraw : callable, optional
        Called after every change, with the tally; None prints a line per study.
    """

    def __init__(self, console: Any, redraw: Callable[[Tally], None] | None = None) -> None:
        self._console = console
        self._redraw = redraw
        self.tally = Tally()

    def begin(self, total: int) -> None:
        """Remember how many studies there are.

        Parameters
        ----------
        total : int
            Studies of this run, done or not.
        """
        self.tally.total = total
        self._changed()

    def passed(self, status: str) -> None:
        """Count a study whose record stands.

        Parameters
        ----------
        status : str
            Status of the record.
        """
        self.tally.kept[status] += 1
        self._changed()

    def outcome(self, outcome: StudyOutcome) -> None:
        """Count a study that has ended; print it when it is not ok, or where nothing is drawn.

        Parameters
        ----------
        outcome : StudyOutcome
            How it ended.
        """
        self.tally.run[outcome.status] += 1
        if self._redraw is None or outcome.status != "ok":
            code = f" {outcome.code}" if outcome.code else ""
            line = f"{outcome.key} {outcome.status}{code} {outcome.seconds:.1f} s"
            if self._redraw is None:
                line += f" ({self.tally.words()})"
            style = _STYLES.get(outcome.status) if self._redraw is not None else None
            self._console.print(line, markup=False, soft_wrap=True, style=style)
        self._changed()

    def say(self, words: str) -> None:
        """Print a line.

        Parameters
        ----------
        words : str
            For a person.
        """
        self._console.print(f"eprimg: {words}", markup=False, soft_wrap=True)

    def _changed(self) -> None:
        if self._redraw is not None:
            self._redraw(self.tally)


@contextmanager
def shown_progress(console: Any) -> Iterator[BatchProgress]:
    """Show the progress of a batch.

    Parameters
    ----------
    console : rich.console.Console
        Terminal or not.

    Yields
    ------
    BatchProgress
        The reporter.
    """
    if not console.is_terminal:
        yield BatchProgress(console)
        return
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(
        BarColumn(bar_width=24), TextColumn("{task.description}"), console=console
    ) as bar:
        task = bar.add_task("", total=None)

        def redraw(tally: Tally) -> None:
            bar.update(task, description=tally.words(), total=tally.total, completed=tally.done)

        yield BatchProgress(console, redraw)
