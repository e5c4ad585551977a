"""JSON side-cars of NIfTI files (BIDS keys)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eprimg.errors import GeometryError, InputError

__all__ = [
    "nifti_stem",
    "read_side_car",
    "require_own_frame",
    "seconds_from_ms",
    "side_car_echo_times_ms",
]

_MS_DIGITS, _S_DIGITS = 6, 9
"""Decimals of times in ms and in s: both a nanosecond."""


def nifti_stem(path: Path) -> str:
    """Return the file name without ``.nii`` or ``.nii.gz``.

    Parameters
    ----------
    path : Path
        NIfTI file.

    Returns
    -------
    str
        Stem.
    """
    name = path.name
    for ending in (".nii.gz", ".nii"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem


def read_side_car(path: Path) -> dict[str, Any]:
    """Read the side-car of a NIfTI file.

    Parameters
    ----------
    path : Path
        NIfTI file.

    Returns
    -------
    dict
        Content of ``<stem>.json``; empty when there is none.

    Raises
    ------
    InputError
        ``E_SIDECAR`` when the file is there but is not a JSON object, or gives a key two values.
    """
    file = path.with_name(nifti_stem(path) + ".json")
    if not file.is_file():
        return {}

    def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Refuse a key with two values: JSON would keep the last one in silence."""
        made = dict(pairs)
        twice = [k for k, v in pairs if made[k] != v]
        if twice:
            raise InputError(
                f"the side-car gives two values to {twice[0]!r}",
                code="E_SIDECAR",
                where=file.name,
                action="keep the right one",
            )
        return made

    try:
        content = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            "the side-car is not valid JSON",
            code="E_SIDECAR",
            where=file.name,
            action="mend or remove it",
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            "a side-car is a JSON object",
            code="E_SIDECAR",
            where=file.name,
            action="mend or remove it",
        )
    return content


def require_own_frame(path: Path, frame_of_reference: str | None) -> None:
    """Refuse a mask whose side-car names another frame than the series that it is given for.

    Parameters
    ----------
    path : Path
        NIfTI file.
    frame_of_reference : str or None
        Frame of reference of the series; nothing is compared when it is not known, or when the
        side-car names none.

    Raises
    ------
    GeometryError
        ``E_FOR``.
    InputError
        ``E_SIDECAR``, as `read_side_car`.
    """
    own = read_side_car(path).get("FrameOfReferenceUID")
    if not frame_of_reference or not own or str(own) == frame_of_reference:
        return
    raise GeometryError(
        "the mask's side-car names another frame of reference than the series that it is said to "
        "lie on",
        code="E_FOR",
        where=f"FrameOfReferenceUID of {nifti_stem(path)}.json",
        value=(str(own), frame_of_reference),
        action="give the mask with the series that it was drawn on (study.toml: masks.on), or "
        "correct the side-car",
    )


def side_car_echo_times_ms(paths: Sequence[Path]) -> tuple[float, ...]:
    """Read echo times from side-cars: BIDS ``EchoTime``, in seconds, one number or a list.

    Parameters
    ----------
    paths : sequence of Path
        NIfTI files, one per echo, or one with all echoes.

    Returns
    -------
    tuple of float
        Echo times in ms of those files that name one; shorter than wanted when some are missing.
    """
    times: list[float] = []
    for path in paths:
        try:
            value = read_side_car(path).get("EchoTime")
        except InputError:
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each):
                times.append(round(1000.0 * each, _MS_DIGITS))
    return tuple(times)


def seconds_from_ms(time_ms: float) -> float:
    """Turn ms into s, without the noise of binary division.

    Parameters
    ----------
    time_ms : float
        Time in ms.

    Returns
    -------
    float
        Time in s, rounded to a nanosecond: 8.514 ms is 0.008514 s, not 0.008513999999999999 s.
    """
    return round(time_ms / 1000.0, _S_DIGITS)
