"""Are several series sessions of one examination over days?  Told from headers, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from eprimg.errors import EprimgError
from eprimg.io.clocks import parse_datetime
from eprimg.io.entries import SeriesEntry

__all__ = ["in_sessions", "one_injection"]

_AGENT: Final = 0x00540016
"""RadiopharmaceuticalInformationSequence."""

_SAME_DOSE: Final = 0.01
"""Headers of one dose may round it differently; another dose differs more."""

_SAME_INSTANT: Final = timedelta(minutes=1)


def in_sessions(entries: Sequence[SeriesEntry], gap: timedelta) -> bool:
    """Tell whether several series were acquired in sessions that dates tell apart.

    Parameters
    ----------
    entries : sequence of SeriesEntry
        Series that could play one role.
    gap : timedelta
        Sessions that are closer together are not told apart.

    Returns
    -------
    bool
        True when there are two or more of one patient, each has an instant that can be compared
        with the others, no two of them are closer than the gap, and no two lie in one DICOM study.
    """
    instants = [e.instant for e in entries if e.instant is not None]
    if len(entries) < 2 or len(instants) < len(entries):
        return False
    if len({i.tzinfo is None for i in instants}) > 1 or len({e.patient_key for e in entries}) > 1:
        return False
    studies = [e.study_uid for e in entries]
    in_order = sorted(instants)
    apart = all(b - a >= gap for a, b in pairwise(in_order))
    return apart and len(set(studies)) == len(studies)


def one_injection(entries: Sequence[SeriesEntry]) -> bool:
    """Tell whether PET series show one injection, by nuclide, dated instant and dose.

    Parameters
    ----------
    entries : sequence of SeriesEntry
        PET series.

    Returns
    -------
    bool
        True only when every header states all three and they agree.
    """
    said = [_injection(e) for e in entries]
    known = [s for s in said if s is not None]
    if len(known) < len(entries):
        return False
    nuclide, start, dose = known[0]
    for other, instant, given in known[1:]:
        if other != nuclide or (instant.tzinfo is None) != (start.tzinfo is None):
            return False
        if abs(instant - start) > _SAME_INSTANT or abs(given - dose) > _SAME_DOSE * dose:
            return False
    return True


def _injection(entry: SeriesEntry) -> Any:
    """Nuclide code, dated instant and dose of a series; None when one of them is not stated."""
    import pydicom

    if entry.source != "dicom" or not entry.paths:
        return None
    try:
        header = pydicom.dcmread(entry.paths[0], stop_before_pixels=True, specific_tags=[_AGENT])
        agents = header.RadiopharmaceuticalInformationSequence
        if len(agents) != 1:
            return None
        text = str(agents[0].RadiopharmaceuticalStartDateTime)
        code = agents[0].RadionuclideCodeSequence[0]
        dose = float(agents[0].RadionuclideTotalDose)
        where = "RadiopharmaceuticalStartDateTime (0018,1078)"
        if not dose > 0.0:
            return None
        nuclide = (str(code.CodeValue), str(code.CodingSchemeDesignator))
        return nuclide, parse_datetime(text, where=where), dose
    except (OSError, AttributeError, IndexError, TypeError, ValueError, EprimgError):
        return None  # nothing is refused here: the series then stays open, and the user is asked
