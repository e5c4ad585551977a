"""How the stage `register` tells what it does and learns that it shall stop."""

from __future__ import annotations

from collections.abc import Callable

from eprimg.errors import Cancelled

__all__ = ["Teller"]

Progress = Callable[[str, float], object]


class Teller:
    """Passes progress on, and remembers what stopped the work while the engine had the word."""

    def __init__(self, progress: Progress | None, number: int, count: int, key: str) -> None:
        self._progress = progress
        self._number, self._count, self._key = number, count, key
        self._last = ("", 0.0)
        self.low, self.high = 0.0, 1.0
        """Part of the work of this series that the present step is."""
        self.stopped_by: BaseException | None = None

    def __call__(self, words: str, share: float) -> None:
        self._last = (words, share)
        if self._progress is not None:
            done = self._number + self.low + (self.high - self.low) * share
            told = self._progress(f"{self._key}: {words}", done / self._count)
            if told is False:
                raise Cancelled(where=f"{self._key}: {words}")

    def second_half(self) -> None:
        """Let the shares that follow fill the rest of this series."""
        self.low, self.high = self.high, 1.0
        self._last = (self._last[0], 0.0)

    def again(self) -> None:
        """Ask without news."""
        self(*self._last)

    def should_stop(self) -> bool:
        """Ask from inside the engine, which would swallow an exception or lose its kind."""
        if self.stopped_by is None:
            try:
                self.again()
            except BaseException as error:  # kept, and raised again by the stage
                self.stopped_by = error
        return self.stopped_by is not None

    def engine_progress(self, words: str, share: float) -> None:
        """Pass on what the engine tells; a stop is found at its next question."""
        self._last = (words, share)
        self.should_stop()
