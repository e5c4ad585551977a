"""Cases that were measured in this process, by the folder of their study.

The sample data is made and measured at once; a reading that opens its folder takes it from here
instead of measuring it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from eprimg.io.study_plan import StudyPlan
from eprimg.model.case import Case

__all__ = ["KnownCase", "known_case", "remember_case"]


class KnownCase(NamedTuple):
    """A case that was measured with the default settings.

    Attributes
    ----------
    plan : StudyPlan
        Plan that its study was read by.
    case : Case
        All stages run.
    """

    plan: StudyPlan
    case: Case


_KNOWN: dict[Path, KnownCase] = {}


def remember_case(folder: Path, known: KnownCase) -> None:
    """Keep a case for as long as this process lives.

    Parameters
    ----------
    folder : Path
        Folder of the study.
    known : KnownCase
        Plan and case.
    """
    _KNOWN[folder.resolve()] = known


def known_case(folder: Path) -> KnownCase | None:
    """Return the case of a folder.

    Parameters
    ----------
    folder : Path
        Folder of a study.

    Returns
    -------
    KnownCase or None
        None for every folder but that of a sample.
    """
    return _KNOWN.get(folder.resolve())
