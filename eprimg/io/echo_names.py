"""Echo numbers and parts in BIDS file names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from eprimg.io.sidecar import nifti_stem
from eprimg.model.case import Finding, Severity

__all__ = ["companion_paths", "echo_name_findings", "echo_number"]

_ECHO = re.compile(r"_echo-(\d+)(?=_|$)", re.IGNORECASE)
_PART = re.compile(r"_part-(mag|phase|real|imag)(?=_|$)", re.IGNORECASE)


def echo_number(path: Path) -> int | None:
    """Return the number of the BIDS entity ``echo``.

    Parameters
    ----------
    path : Path
        NIfTI file.

    Returns
    -------
    int or None
        None when the name has none.
    """
    found = _ECHO.search(nifti_stem(path))
    return int(found.group(1)) if found else None


def _part(path: Path) -> str:
    found = _PART.search(nifti_stem(path))
    return found.group(1).lower() if found else ""


def _train(path: Path) -> tuple[Path, str]:
    """Return what files of one train share: folder and name without echo and part."""
    return path.parent, _PART.sub("", _ECHO.sub("", nifti_stem(path)))


def companion_paths(magnitude: Sequence[Path], everything: Sequence[Path]) -> tuple[Path, ...]:
    """Find the phase, or real and imaginary, files of a BIDS echo train.

    Parameters
    ----------
    magnitude : sequence of Path
        One file per echo.
    everything : sequence of Path
        All NIfTI files.

    Returns
    -------
    tuple of Path
        ``part-phase`` of every echo, else ``part-real`` and then ``part-imag`` of every echo;
        empty when one is missing.
    """
    numbers = [echo_number(p) for p in magnitude]
    if None in numbers or len(set(numbers)) < len(numbers):
        return ()
    home = _train(magnitude[0])
    parts: dict[str, dict[int | None, Path]] = {}
    for path in everything:
        if _part(path) in ("phase", "real", "imag") and _train(path) == home:
            parts.setdefault(_part(path), {})[echo_number(path)] = path
    for names in (("phase",), ("real", "imag")):
        if all(set(numbers) <= set(parts.get(name, ())) for name in names):
            return tuple(parts[name][n] for name in names for n in numbers)
    return ()


def echo_name_findings(times_ms: Mapping[Path, float], key: str) -> tuple[Finding, ...]:
    """Say where echo numbers in names and echo times disagree.

    Parameters
    ----------
    times_ms : Mapping
        File of one echo -> its echo time in ms.
    key : str
        Key of the series.

    Returns
    -------
    tuple of Finding
        ``W_ECHO_NAMES``; nothing where a name has no echo number.
    """
    numbers = {p: echo_number(p) for p in times_ms}
    if len(numbers) < 2 or None in numbers.values():
        return ()
    words = []
    missing = sorted(set(range(1, len(numbers) + 1)) - {n or 0 for n in numbers.values()})
    if missing:
        words.append(
            f"echo {', '.join(map(str, missing))} of {len(numbers)} is missing among the names"
        )
    ordered = sorted(times_ms, key=lambda p: numbers[p] or 0)
    times = [times_ms[p] for p in ordered]
    if times != sorted(times):
        listed = ", ".join(f"echo-{numbers[p]} {times_ms[p]:g} ms" for p in ordered)
        words.append(f"echo times do not rise with the echo numbers ({listed})")
    if not words:
        return ()
    text = "; ".join(words) + "; the echo times of the side-cars were used"
    return (Finding("W_ECHO_NAMES", Severity.WARNING, key, text),)
