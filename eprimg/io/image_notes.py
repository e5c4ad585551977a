"""What headers say about read-out polarity, filters, normalisation and gains of an echo train."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eprimg.io.header_values import HeaderValues
from eprimg.io.instance import Instance
from eprimg.io.makers import is_ge, is_siemens
from eprimg.model.acquisition import ImageNote

__all__ = ["image_notes", "notes_from_words", "side_car_notes", "word_notes"]

_IMAGE_TYPE, _SCAN_OPTIONS = "ImageType (0008,0008)", "ScanOptions (0018,0022)"
_WORDS: dict[str, tuple[str, str]] = {
    "NORM": ("normalised", "divided by a map of the coils' sensitivity"),
    "FILTERED": ("filtered", "filtered"),
    "FILTERED_GEMS": ("filtered", "filtered"),
    "DIS2D": ("resampled", "resampled in the plane to correct distortion"),
    "DIS3D": ("resampled", "resampled in three dimensions to correct distortion"),
}
"""Word of ImageType or ScanOptions -> kind of note, and what was done."""
_BIPOLAR = re.compile(r"(^|[^a-z])bi-?polar", re.IGNORECASE)
_MONOPOLAR = re.compile(r"(^|[^a-z])(mono|uni)-?polar", re.IGNORECASE)
_READ_OUT_MODE = re.compile(rb"ucReadOutMode\s*=\s*(0x[0-9A-Fa-f]+|\d+)")
_CONTRASTS = re.compile(rb"lContrasts\s*=\s*(0x[0-9A-Fa-f]+|\d+)")
_SIEMENS_MODES = {1: "monopolar", 2: "bipolar"}
_MOST_BYTES = 1 << 24
_GE_GAINS = ((0x8A, "analogue"), (0x8B, "digital"))
_GE_GROUP, _GE_CREATOR = 0x0019, "GEMS_ACQU_01"
_BLOCKS = range(0x10, 0x20)


def image_notes(trains: Sequence[Sequence[Instance]]) -> tuple[ImageNote, ...]:
    """Collect what headers say about how the echoes of a train were made.

    Parameters
    ----------
    trains : sequence of sequence of Instance
        Frames of each echo, echo times rising.

    Returns
    -------
    tuple of ImageNote
        Each kind and source once; empty where headers say nothing.

    Notes
    -----
    * ImageType ``NORM``, ``DIS2D``, ``DIS3D`` (Siemens) and ``FILTERED``; ScanOptions
      ``FILTERED_GEMS`` (GE).
    * Siemens keeps its protocol as text in a private element (in another one from software to
      software); ``ucReadOutMode`` is 1 for monopolar and 2 for bipolar trains and has a meaning
      with ``lContrasts`` > 1 only.
    * GE receiver gains (0019,xx8A) and (0019,xx8B) of ``GEMS_ACQU_01``, where they differ
      between echoes.
    * The words bipolar, monopolar and unipolar in series description or sequence name.
    * RescaleSlope or Philips scale slope that differ between echoes (the reader undoes them).

    One file per echo is opened, at its header.
    """
    firsts = [t[0] for t in trains]
    notes = list(_from_types(firsts))
    notes += notes_from_words(
        {
            "SeriesDescription (0008,103E)": firsts[0].series_description,
            "SequenceName (0018,0024)": firsts[0].sequence_name,
        }
    )
    slopes = {(f.slope, f.philips_scale_slope) for t in trains for f in t}
    if len(slopes) > 1:
        notes.append(
            ImageNote(
                "scale_varies",
                "the stored values of echoes or slices are on different scales; the rescale was "
                "undone",
                "RescaleSlope (0028,1053)",
            )
        )
    notes += _from_files(firsts)
    return _once(notes)


def side_car_notes(cars: Sequence[Mapping[str, Any]]) -> tuple[ImageNote, ...]:
    """Collect what BIDS side-cars say about how the echoes of a train were made.

    Parameters
    ----------
    cars : sequence of Mapping
        Side-car of each echo.

    Returns
    -------
    tuple of ImageNote
        From ImageType, ScanOptions, NonlinearGradientCorrection and the name of the series.
    """
    notes: list[ImageNote] = []
    for car in cars:
        types = car.get("ImageType")
        if isinstance(types, list):
            notes += word_notes(types, "side-car ImageType")
        options = car.get("ScanOptions")
        if isinstance(options, str):
            notes += word_notes(re.split(r"[\\ ,]+", options), "side-car ScanOptions")
        if car.get("NonlinearGradientCorrection") is True:
            notes.append(
                ImageNote(
                    "resampled",
                    "the echoes were resampled to correct distortion",
                    "side-car NonlinearGradientCorrection",
                )
            )
        names = {
            f"side-car {name}": str(car.get(name, ""))
            for name in ("SeriesDescription", "ProtocolName", "SequenceName")
        }
        notes += notes_from_words(names)
    return _once(notes)


def notes_from_words(texts: Mapping[str, str]) -> tuple[ImageNote, ...]:
    """Find the words for read-out polarity in names that a person gave.

    Parameters
    ----------
    texts : Mapping
        Element -> its text.

    Returns
    -------
    tuple of ImageNote
        ``bipolar`` or ``monopolar``; nothing where a text says both.
    """
    notes = []
    for where, text in texts.items():
        bipolar, monopolar = bool(_BIPOLAR.search(text)), bool(_MONOPOLAR.search(text))
        if bipolar != monopolar:
            kind = "bipolar" if bipolar else "monopolar"
            notes.append(ImageNote(kind, f"the name of the series says {kind}", where))
    return tuple(notes)


def word_notes(words: Iterable[str], where: str) -> list[ImageNote]:
    """Translate words of ImageType or ScanOptions.

    Parameters
    ----------
    words : iterable of str
        Values of the element.
    where : str
        The element.

    Returns
    -------
    list of ImageNote
        One per word that is known.
    """
    found = [_WORDS[w] for each in words if (w := str(each).strip().upper()) in _WORDS]
    return [ImageNote(kind, f"the echoes were {text}", where) for kind, text in found]


def _from_types(firsts: Sequence[Instance]) -> Iterable[ImageNote]:
    yield from word_notes((w for f in firsts for w in f.image_type), _IMAGE_TYPE)
    treated = [{w.upper() for w in f.image_type} & set(_WORDS) for f in firsts]
    uneven = treated[0].union(*treated) - treated[0].intersection(*treated)
    if uneven:
        yield ImageNote(
            "gain_varies",
            f"only some echoes are marked {', '.join(sorted(uneven))}; the echoes were not "
            "processed alike",
            _IMAGE_TYPE,
        )


def _from_files(firsts: Sequence[Instance]) -> list[ImageNote]:
    maker = firsts[0].manufacturer
    if is_siemens(maker):
        return _siemens_polarity(firsts[0])
    if is_ge(maker):
        return _ge_notes(firsts)
    return []


def _siemens_polarity(frame: Instance) -> list[ImageNote]:
    size = frame.pixel_offset if frame.frame in (None, 0) and frame.pixel_offset else _MOST_BYTES
    try:
        with frame.path.open("rb") as file:
            header = file.read(min(size, _MOST_BYTES))
    except OSError:  # the pixel reader will say so in words
        return []
    modes = {int(m.group(1), 0) for m in _READ_OUT_MODE.finditer(header)}
    contrasts = max((int(m.group(1), 0) for m in _CONTRASTS.finditer(header)), default=0)
    if len(modes) != 1 or contrasts < 2:
        return []
    kind = _SIEMENS_MODES.get(modes.pop())
    if kind is None:
        return []
    return [
        ImageNote(
            kind,
            f"the protocol says that the read-out is {kind}",
            "MrPhoenixProtocol ucReadOutMode",
        )
    ]


def _ge_notes(firsts: Sequence[Instance]) -> list[ImageNote]:
    notes: list[ImageNote] = []
    gains: dict[str, list[int]] = {}
    for frame in firsts:
        values = _ge_values(frame)
        if values is None:
            continue
        notes += word_notes(values.words(0x00180022), _SCAN_OPTIONS)
        for element, name in _GE_GAINS:
            tag = values.private_tag(_GE_GROUP, _GE_CREATOR, element)
            gain = values.unsigned(tag, "receive gain") if tag is not None else None
            if gain is not None:
                gains.setdefault(name, []).append(gain)
    for name, found in gains.items():
        if len(set(found)) > 1:
            listed = ", ".join(map(str, found))
            notes.append(
                ImageNote(
                    "gain_varies",
                    f"the {name} receiver gain differs between echoes (stored values {listed})",
                    "(0019,xx8A), (0019,xx8B)",
                )
            )
    return notes


def _ge_values(frame: Instance) -> HeaderValues | None:
    from pydicom import dcmread

    tags: list[Any] = [0x00180022]
    tags += [_GE_GROUP << 16 | block for block in _BLOCKS]
    tags += [_GE_GROUP << 16 | block << 8 | e for block in _BLOCKS for e, _ in _GE_GAINS]
    try:
        dataset = dcmread(frame.path, stop_before_pixels=True, specific_tags=tags)
    except OSError:  # the pixel reader will say so in words
        return None
    return HeaderValues(dataset, little_endian=dataset.file_meta.TransferSyntaxUID.is_little_endian)


def _once(notes: Iterable[ImageNote]) -> tuple[ImageNote, ...]:
    return tuple(dict.fromkeys(notes))
