"""Errors for people: what is wrong, where, what to do next, and a stable code.

Every error of the house derives from `EprimgError` and from the matching built-in, so that code
which knows nothing of eprimg can still catch it.  The texts behind the codes live in
``resources/codes.toml`` and are shown by ``eprimg explain CODE``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = [
    "Cancelled",
    "ClockError",
    "ConfigError",
    "EngineError",
    "EngineUnavailable",
    "EprimgError",
    "GeometryError",
    "InputError",
    "MissingTagError",
    "OutputError",
    "UnitsError",
    "cancellable",
    "raise_faults",
]


class EprimgError(Exception):
    """Base of every error that eprimg raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, in one sentence for a person.
    code : str
        Stable code, e.g. ``"E_GEOM_GAP"``.
    where : str, optional
        The place: file, tag with its number, or configuration key.
    value : object, optional
        The offending value.
    action : str, optional
        What to do next.
    faults : sequence of EprimgError, optional
        All faults of one input, when more than one was found.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        where: str | None = None,
        value: object = None,
        action: str | None = None,
        faults: Sequence[EprimgError] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.where = where
        self.value = value
        self.action = action
        self.faults: tuple[EprimgError, ...] = tuple(faults)

    def __str__(self) -> str:
        """One readable line: code, message, place, offending value, next action."""
        text = f"{self.code}: {self.message}"
        if self.where:
            text += f" [{self.where}]"
        if self.value is not None:
            text += f" (found: {self.value!r})"
        if self.action:
            text += f" -> {self.action}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        """Keep every field when the error crosses a process boundary."""
        return (
            _rebuild,
            (type(self), self.message, self.code, self.where, self.value, self.action, self.faults),
        )


def _rebuild(
    kind: type[EprimgError],
    message: str,
    code: str,
    where: str | None,
    value: object,
    action: str | None,
    faults: tuple[EprimgError, ...],
) -> EprimgError:
    return kind(message, code=code, where=where, value=value, action=action, faults=faults)


class InputError(EprimgError, ValueError):
    """A file, header or argument that cannot be used as it is."""


class ClockError(InputError):
    """An instant that is missing, contradictory or impossible."""


class MissingTagError(InputError, LookupError):
    """A header element that a number depends on is absent."""


class GeometryError(EprimgError, ValueError):
    """Grids, positions or frames of reference that do not fit together."""


class UnitsError(EprimgError, ValueError):
    """A unit that is unknown, or not the one that the calculation needs."""


class ConfigError(EprimgError, ValueError):
    """A setting that is unknown or out of range."""


class EngineError(EprimgError, RuntimeError):
    """A third-party engine failed."""


class EngineUnavailable(EngineError, ImportError):  # noqa: N818 (the name of the design)
    """A third-party engine is not installed."""


class OutputError(EprimgError, OSError):
    """Results could not be written; nothing half-written is left behind."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        where: str | None = None,
        value: object = None,
        action: str | None = None,
        faults: Sequence[EprimgError] = (),
    ) -> None:
        EprimgError.__init__(
            self, message, code=code, where=where, value=value, action=action, faults=faults
        )


class Cancelled(EprimgError, InterruptedError):  # noqa: N818 (a decision, not a fault)
    """The caller stopped a step; nothing was written or changed.

    Parameters
    ----------
    message : str
        What was stopped.
    code, where, value, action, faults
        As in `EprimgError`.
    """

    def __init__(
        self,
        message: str = "the work was stopped; nothing was written or changed",
        *,
        code: str = "E_CANCELLED",
        where: str | None = None,
        value: object = None,
        action: str | None = None,
        faults: Sequence[EprimgError] = (),
    ) -> None:
        EprimgError.__init__(
            self, message, code=code, where=where, value=value, action=action, faults=faults
        )


def cancellable(
    progress: Callable[[str, float], object] | None,
) -> Callable[[str, float], None]:
    """Make a progress callback that stops the work when the caller's returns False.

    Parameters
    ----------
    progress : callable or None
        Called with words and the finished share; it may raise `Cancelled`, or return False.

    Returns
    -------
    callable
        Passes the call on and raises `Cancelled` when False came back; does nothing for None.
    """

    def tell(words: str, share: float) -> None:
        if progress is not None and progress(words, share) is False:
            raise Cancelled(where=words)

    return tell


def raise_faults(faults: Sequence[EprimgError]) -> None:
    """Raise all collected faults of one input as one error; do nothing when there are none.

    Parameters
    ----------
    faults : sequence of EprimgError
        Faults in the order in which they were found.

    Raises
    ------
    EprimgError
        The fault itself when there is one; otherwise an error of the first fault's kind and code
        whose message lists all of them.
    """
    if not faults:
        return
    first = faults[0]
    if len(faults) == 1:
        raise first
    lines = "\n".join(f"  {number}. {fault}" for number, fault in enumerate(faults, start=1))
    raise type(first)(
        f"{len(faults)} faults were found:\n{lines}",
        code=first.code,
        where=first.where,
        action="mend them all, then run again; `eprimg explain CODE` tells more about each",
        faults=faults,
    )


def option_unused(option: str, here: str, purpose: str) -> ConfigError:
    """Make the refusal of an option that would do nothing for the input that was given.

    Parameters
    ----------
    option : str
        As it is typed, e.g. ``--unit``.
    here : str
        The input, in words.
    purpose : str
        What the option is for.

    Returns
    -------
    ConfigError
        ``E_OPTION``.
    """
    return ConfigError(
        f"{option} does nothing for {here}",
        code="E_OPTION",
        where=option,
        action=f"leave it out; it is for {purpose}",
    )
