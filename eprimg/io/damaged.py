"""Files that could not be read, and the series that may miss a slice because of them.

A file whose header was cut off does not say what it belonged to.  When it lay at the end of a
stack, no gap shows: the volume would only be shorter.  So every series that it may have belonged
to is marked, and reading a marked series is refused (`eprimg.io.entries.refuse_damaged`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eprimg.io.entries import DAMAGED, SeriesEntry
from eprimg.io.frame_types import VOLUME_CLASSES
from eprimg.model.case import Finding, Severity

__all__ = ["LostFile", "lost_files", "with_lost_files"]

_DAMAGED_CODES = frozenset({"E_TRUNCATED", "E_PARSE", "E_FILE", "E_SYNTAX"})
_PARSED_CODES = frozenset({"E_TRUNCATED", "E_PARSE"})
"""Of these the rest of the header is worth a look."""
_LOOKALIKE_CODES = frozenset({"W_SKIP_NONDICOM", "W_LINK_OUTSIDE", "W_LINK_BROKEN"})
"""Not DICOM, or not followed: lost only when the name is that of a slice."""
_ENDINGS = (".dcm", ".ima", ".dicom")
_SOP_CLASS, _SERIES_UID = 0x00080016, 0x0020000E
_NAMED = 8


@dataclass(frozen=True, slots=True)
class LostFile:
    """A file that gave no frame.

    Parameters
    ----------
    path : Path
        The file.
    code : str
        Code of the finding that says why.
    name : str
        Name to show.
    """

    path: Path
    code: str
    name: str


def lost_files(path: Path, findings: Sequence[Finding]) -> list[LostFile]:
    """Tell from what was noticed about one file whether a series may miss it.

    Parameters
    ----------
    path : Path
        The file.
    findings : sequence of Finding
        What was noticed about it.

    Returns
    -------
    list of LostFile
        One, or none.
    """
    codes = _DAMAGED_CODES | _LOOKALIKE_CODES
    return [LostFile(path, f.code, f.where) for f in findings if f.code in codes][:1]


def with_lost_files(entries: Sequence[SeriesEntry], lost: Sequence[LostFile]) -> list[SeriesEntry]:
    """Mark the series that may miss a slice.

    Parameters
    ----------
    entries : sequence of SeriesEntry
        Series of the folder.
    lost : sequence of LostFile
        Files that gave no frame.

    Returns
    -------
    list of SeriesEntry
        The same, some with an ``E_TRUNCATED`` finding.

    Notes
    -----
    A damaged file belongs to the series whose UID it still carries.  When it was cut before that
    UID, it may belong to every series with files in the same folder (and of the same modality,
    where that could be read).  A file that is not DICOM at all, or a link that was not followed,
    counts when its name is like those of the series' files.
    """
    belongs: dict[int, list[str]] = {}
    for file in lost:
        sop_class, series_uid = _identity(file) if file.code in _PARSED_CODES else ("", "")
        for number, entry in enumerate(entries):
            if entry.source == "dicom" and _may_belong(file, sop_class, series_uid, entry):
                belongs.setdefault(number, []).append(file.name)
    return [
        replace(e, findings=(*e.findings, _finding(e, belongs[n]))) if n in belongs else e
        for n, e in enumerate(entries)
    ]


def _finding(entry: SeriesEntry, names: list[str]) -> Finding:
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    return Finding(
        DAMAGED,
        Severity.ERROR,
        entry.key,
        f"{files} that may belong to this series cannot be read ({shown}{more}); slices may be "
        "missing, at an end of the volume without a visible gap",
    )


def _may_belong(file: LostFile, sop_class: str, series_uid: str, entry: SeriesEntry) -> bool:
    if sop_class and sop_class not in VOLUME_CLASSES:
        return False
    if series_uid:
        return series_uid in entry.series_uids
    if sop_class and VOLUME_CLASSES[sop_class] != entry.modality:
        return False
    neighbours = [p.name for p in entry.paths if p.parent == file.path.parent]
    if file.code in _LOOKALIKE_CODES:
        return _is_like(file.path.name, neighbours)
    return bool(neighbours)


def _is_like(name: str, names: Sequence[str]) -> bool:
    """Tell whether a name differs from one of the others in its digits alone, or by its ending."""
    if not names:
        return False
    if name.lower().endswith(_ENDINGS):
        return True
    pattern = re.sub(r"\d+", "#", name)
    return "#" in pattern and any(re.sub(r"\d+", "#", n) == pattern for n in names)


def _identity(file: LostFile) -> tuple[str, str]:
    """Return SOP class and series UID as far as the file holds them whole."""
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote header values
            dataset = dcmread(file.path, stop_before_pixels=True)
            last = max(dataset.keys(), default=0)
            # the element at which a file was cut may hold half a value
            values = [
                str(dataset[tag].value or "") if tag in dataset and tag < last else ""
                for tag in (_SOP_CLASS, _SERIES_UID)
            ]
    except Exception:  # a damaged header can raise anything
        return "", ""
    sop_class, series_uid = (v if re.fullmatch(r"[0-9.]+", v) else "" for v in values)
    return sop_class, series_uid
