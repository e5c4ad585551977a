"""Which series stand for one another when time points are aligned; see `eprimg.stages.register`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np

from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration

__all__ = ["chained", "own_ct"]


def own_ct(study: Study, series: Series) -> Series | None:
    """Return the CT in the frame of reference of a PET series, else the only CT.

    Parameters
    ----------
    study : Study
        What was read.
    series : Series
        Any series.

    Returns
    -------
    Series or None
        None for a series that is no PET.
    """
    if series.role != Role.PET:
        return None
    scans = study.find_all(Role.CT)
    frame = series.grid.frame_of_reference
    own = next((s for s in scans if s.grid.frame_of_reference == frame), None)
    return own or (scans[0] if len(scans) == 1 and len(study.find_all(Role.PET)) == 1 else None)


def chained(
    pair: Callable[[Series, Series], Registration | None],
    study: Study,
    series: Series,
    registrations: Sequence[Registration],
    direct: tuple[Registration | None, list[Finding]],
) -> tuple[Registration | None, list[Finding]]:
    """Align a time point through another one of its role that is aligned with the reference.

    Parameters
    ----------
    pair : callable
        Aligns two series.
    study : Study
        What was read.
    series : Series
        The time point.
    registrations : sequence of Registration
        Those that a reader did not reject.
    direct : tuple of Registration or None, and list of Finding
        What came of aligning it with the reference.

    Returns
    -------
    tuple of Registration or None, and list of Finding
        One composed transform, else ``direct``.
    """
    made, noticed = direct
    instant = study.instant_of(series.key)
    others = [
        (s, r)
        for s in study.find_all(series.role)
        for r in registrations
        if r.moving == s.key and r.accepted
    ]
    if instant is not None:
        # The nearest in time looks most alike.
        others.sort(key=lambda each: _apart_s(study.instant_of(each[0].key), instant))
    for via, first in others:
        second = pair(via, series)
        if second is None or not second.accepted:
            continue
        why = made.note if made is not None else noticed[0].text
        text = f"{first.fixed} could not be aligned with {series.key} ({why.rstrip('.')}), so it "
        text += f"is aligned through {via.key}: both transforms are composed"
        one, two = (r.qc.get("registration_error_mm", np.nan) for r in (first, second))
        qc = {**second.qc, "registration_error_mm": float(np.hypot(one, two))}
        joined = Registration(
            first.fixed,
            series.key,
            first.transform.then(second.transform),
            second.engine,
            {**second.settings, "through": [via.key], "first_part": dict(first.settings)},
            qc,
            True,
            f"{text}; {second.note}",
            (*first.doubts, *second.doubts),
        )
        return joined, [Finding("W_REGISTRATION_CHAIN", Severity.WARNING, series.key, f"{text}.")]
    return made, noticed


def _apart_s(one: datetime | None, other: datetime) -> float:
    if one is None or (one.tzinfo is None) != (other.tzinfo is None):
        return float("inf")
    return abs((one - other).total_seconds())
