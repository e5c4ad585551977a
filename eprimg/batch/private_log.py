"""Logs and records without the patient: what headers and folder names say is taken out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["Blackout", "identity_words"]

_TAGS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "OtherPatientNames",
    "OtherPatientIDs",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "MedicalRecordLocator",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)
_SAMPLE = 24
_HEAD = 4096
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_NO_NAMES = """
anat anon anonymous bids data derivatives dicom dicoms dose exam image images mri none null nifti
patient pet phantom post pre scan scans series ses session study studies sub subject test unknown
"""
_ORDINARY = frozenset(_NO_NAMES.split())
"""Words of folders and of the headers of test objects that name nobody."""


def identity_words(path: Path) -> list[str]:
    """Collect what would name the patient: values of the headers of some files of a study.

    Parameters
    ----------
    path : Path
        Folder or file of the study.

    Returns
    -------
    list of str
        Names, numbers and dates in the forms in which they may be printed; sorted.
    """
    words: set[str] = set()
    for file in _sample(path):
        if file.is_file():  # opening a named pipe would never end
            words |= _words_of(file)
    return sorted(words)


def _sample(path: Path) -> list[Path]:
    """Choose files of every folder of the study: the first, the last and some between."""
    if path.is_file():
        return [path]
    by_folder = []
    for folder, folders, names in os.walk(path):
        folders.sort()
        files = sorted(n for n in names if not n.startswith("."))
        if files:
            by_folder.append([Path(folder) / n for n in files])
    share = max(2, _SAMPLE // max(len(by_folder), 1))
    chosen = []
    for paths in by_folder:
        step = max(1, (len(paths) - 1) // (share - 1))
        chosen += [*paths[::step][:share], paths[-1]]
    return list(dict.fromkeys(chosen))


def _words_of(file: Path) -> set[str]:
    import warnings

    import pydicom

    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
            if head[128:132] != b"DICM" or _DEFLATED in head:
                return set()
            opened.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the warning would hold the value
                header = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=_TAGS)
                values = [str(header.get(tag, "")) for tag in _TAGS]
    except Exception:  # a damaged header can raise anything; the reader will say so
        return set()
    words: set[str] = set()
    for tag, value in zip(_TAGS, values, strict=True):
        words.add(value.strip())
        if "Name" in tag:
            words.update(re.split(r"[\^=\s,.'\[\]]+", value))
        if re.fullmatch(r"\d{8}", value):
            year, month, day = value[:4], value[4:6], value[6:]
            words |= {f"{year}-{month}-{day}", f"{day}.{month}.{year}", f"{month}/{day}/{year}"}
    return {w for w in words if len(w) >= 2 and w.lower() not in _ORDINARY}


class Blackout:
    """Takes places and identity out of a text.

    Parameters
    ----------
    key : str
        Key of the study; stands in the place of its folder.
    path : Path
        Folder or file of the study.
    source : str
        Its place below the root of the batch.
    places : sequence of (Path, str)
        Other folders and what to write in their place.
    words : iterable of str
        From `identity_words`.
    """

    def __init__(
        self,
        key: str,
        path: Path,
        source: str = "",
        places: Sequence[tuple[Path, str]] = (),
        words: Iterable[str] = (),
    ) -> None:
        named = [(path, "<study>"), *places, (Path.home(), "~")]
        if path.is_file():
            named.insert(1, (path.parent, "<study>"))
        swaps = {str(form): word for p, word in named for form in (p.resolve(), p.absolute())}
        # a longer path first, or its beginning would be replaced
        self._places = sorted(
            ((a, b) for a, b in swaps.items() if len(a) > 1), key=lambda s: -len(s[0])
        )
        folders = {p for p in (*Path(source).parts, path.name) if len(p) >= 3}
        folders = {p for p in folders if p.lower() not in _ORDINARY and p != key}
        long = sorted({w for w in words if len(w) >= 3}, key=len, reverse=True)
        short = sorted(w for w in words if len(w) == 2)
        self._patterns = [
            (_pattern(sorted(folders, key=len, reverse=True), re.IGNORECASE), key),
            (_pattern(long, re.IGNORECASE), "<patient>"),
            (_pattern(short, 0), "<patient>"),
        ]

    def __call__(self, text: str) -> str:
        """Return the text without them.

        Parameters
        ----------
        text : str
            Any text.

        Returns
        -------
        str
            The same, with words in angle brackets in their place.
        """
        for place, word in self._places:
            text = text.replace(place, word)
        for pattern, word in self._patterns:
            if pattern is not None:
                text = pattern.sub(word, text)
        return text


def _pattern(words: Sequence[str], flags: int) -> re.Pattern[str] | None:
    if not words:
        return None
    # an underscore joins words in file names, so it ends a word here
    inner = "|".join(re.escape(w) for w in words)
    return re.compile(rf"(?<![^\W_])(?:{inner})(?![^\W_])", flags)
