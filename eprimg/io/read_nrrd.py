"""NRRD label volumes, also those of 3D Slicer with segment names and several layers.

The format: http://teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError
from eprimg.io.bridge import grid_from_nrrd, volume_array
from eprimg.io.read_seg import absent_labels, doubtful_names
from eprimg.io.region_choice import RegionChoice
from eprimg.io.region_layers import RegionMask, in_layers
from eprimg.io.region_names import region_from_name
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.lesions import LesionSet, Region

__all__ = ["read_nrrd_regions"]

_HEADER_BYTES = 1 << 20
_MOST_BYTES = 1 << 32
_MOST_LABELS = 65535
_TYPES = {
    name: code
    for code, words in {
        "i1": "signed char|int8|int8_t",
        "u1": "uchar|unsigned char|uint8|uint8_t",
        "i2": "short|short int|signed short|signed short int|int16|int16_t",
        "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
        "i4": "int|signed int|int32|int32_t",
        "u4": "uint|unsigned int|uint32|uint32_t",
        "i8": "longlong|long long|long long int|signed long long|int64|int64_t",
        "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in words.split("|")
}
_SEGMENT = re.compile(r"^Segment(\d+)_(Name|LabelValue|Layer|Tags)$")


@dataclass(frozen=True, slots=True)
class _Segment:
    """One segment of 3D Slicer: its layer, label value, name and coded meaning."""

    layer: int
    label: int
    name: str
    meaning: str


def read_nrrd_regions(
    path: Path | str,
    *,
    names: Mapping[int, str] | None = None,
    frame_of_reference: str | None = None,
    choice: RegionChoice | None = None,
) -> StageResult[tuple[LesionSet, ...]]:
    """Read the regions of an NRRD label volume.

    Parameters
    ----------
    path : Path
        ``.nrrd``, ``.seg.nrrd`` or ``.nhdr`` with its data file in the same folder.
    names : Mapping of int to str, optional
        Label -> name, instead of that of the file.
    frame_of_reference : str, optional
        Frame of reference in which it lies; minted from the geometry when left out.
    choice : RegionChoice, optional
        Segments that are wanted, by name or label value, and their role.

    Returns
    -------
    StageResult of tuple of LesionSet
        One set; more when segments of several layers share voxels.  Ids are the label values; where
        two layers use the same value, the numbers of the segments (from 1 on), which is told.

    Raises
    ------
    EprimgError
        ``E_NRRD`` for what is not such a file, ``E_SEG_LABELS`` for values that are not whole
        numbers from 0 to 65535, ``E_SEG_EMPTY``, ``E_GEOM_SHEAR``, ``E_MASK_ROI``.
    """
    path = Path(path)
    fields, keys, place = _header(path)
    layers, grid_facts = _layers(path, fields, place)
    grid = grid_from_nrrd(**grid_facts, frame_of_reference=frame_of_reference, where=path.name)
    segments = _segments(keys)
    findings: list[Finding] = []
    by_place: dict[tuple[int, int], Region] = {}
    values = [s.label for s in segments]
    renumbered = len(set(values)) < len(values)
    if renumbered:
        text = "two layers use the same label value: regions are numbered from 1 on instead"
        findings.append(Finding("I_IDS_SHIFTED", Severity.INFO, path.name, text))
    named = dict(names or {})
    for number, segment in enumerate(segments, start=1):
        label = number if renumbered else segment.label
        by_place[segment.layer, segment.label] = region_from_name(
            label,
            named.get(label, segment.name),
            property_meaning="" if label in named else segment.meaning,
        )
    present = [
        (n, int(value)) for n, layer in enumerate(layers) for value in np.unique(layer) if value
    ]
    if not present:
        raise InputError(
            "the mask is empty: no voxel carries a label",
            code="E_SEG_EMPTY",
            where=path.name,
            action="give a mask with at least one region",
        )
    taken = {r.id for r in by_place.values()}
    unnamed = []
    for key in present:
        if key in by_place:
            continue
        label = key[1] if key[1] not in taken else max(taken) + 1
        taken.add(label)
        name = named.get(label, "")
        if not name and len(present) == 1:
            stem = path.name.lower().removesuffix(path.suffix.lower()).removesuffix(".seg")
            name = stem if not region_from_name(label, stem).notes else ""
        if not name:
            unnamed.append(label)
        by_place[key] = region_from_name(label, name or f"lesion-{label}")
    choice = choice or RegionChoice()
    wanted = choice.numbers({by_place[key].id: by_place[key].name for key in present}, path.name)
    if wanted is not None:
        present = [key for key in present if by_place[key].id in wanted]
        by_place = {key: by_place[key] for key in present}
        named = {n: name for n, name in named.items() if n in wanted}
        unnamed = []
    by_place = {key: choice.apply(region) for key, region in by_place.items()}
    if unnamed:
        text = (
            f"labels {', '.join(map(str, unnamed[:12]))} have no name; they are taken as lesions. "
            "Give names in study.toml"
        )
        findings.append(Finding("W_LABEL_NAMES", Severity.WARNING, path.name, text))
    masks = [RegionMask(by_place[key], layers[key[0]] == key[1]) for key in present]
    sets, shared = in_layers(masks, grid, origin=path.name)
    known = {r.id: r.name for r in by_place.values()} | named
    findings += shared
    findings += absent_labels(known, [m.region.id for m in masks], path.name)
    findings += doubtful_names([m.region for m in masks], path.name)
    return StageResult(sets, tuple(findings))


def _fault(text: str, path: Path, value: object = None) -> InputError:
    return InputError(
        text,
        code="E_NRRD",
        where=path.name,
        value=value,
        action="export it again as one NRRD or NIfTI label volume",
    )


def _header(path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """Return fields, key/value pairs, and where the data begin."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except OSError as error:
        raise _fault(f"the file cannot be read ({error.strerror})", path) from error
    if not head.startswith(b"NRRD000"):
        raise _fault("this is not an NRRD file", path)
    end = re.search(rb"\r?\n\r?\n", head)
    if end is None and len(head) == _HEADER_BYTES:
        raise _fault("the header has no end", path)
    text = (head[: end.start()] if end else head).decode("utf-8", errors="replace")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        key, sign, value = line.partition(":")
        if line.startswith("#") or not sign:
            continue
        if value.startswith("="):
            keys[key] = value[1:].strip()
        else:
            fields[key.strip().lower()] = value.strip()
    return fields, keys, end.end() if end else len(head)


def _layers(
    path: Path, fields: Mapping[str, str], place: int
) -> tuple[list[npt.NDArray[np.int32]], dict[str, Any]]:
    """Return the label volumes (k, j, i), one per layer, and the facts of their grid."""
    try:
        sizes = [int(n) for n in fields["sizes"].split()]
        dtype = np.dtype(_TYPES[fields["type"].lower()])
        dimension = int(fields["dimension"])
        axes = re.findall(r"none|\(([^)]*)\)", fields["space directions"])
        steps = [tuple(float(v) for v in a.split(",")) if a else None for a in axes]
        origin = [float(v) for v in fields["space origin"].strip(" ()").split(",")]
    except (KeyError, ValueError) as error:
        raise _fault(f"a field is missing or not readable ({error})", path) from error
    space = [n for n, step in enumerate(steps) if step is not None]
    if not (len(sizes) == len(steps) == dimension and len(space) == 3 and dimension <= 4):
        raise _fault(
            "a label volume has three axes in space, and at most one for layers", path, sizes
        )
    if min(sizes) < 1 or math.prod(sizes) * dtype.itemsize > _MOST_BYTES:
        raise _fault("the sizes are impossible", path, sizes)
    raw = _data(path, fields, place, math.prod(sizes) * dtype.itemsize, dtype, math.prod(sizes))
    array = raw.reshape(sizes, order="F")
    list_axis = next((n for n in range(dimension) if n not in space), None)
    stacked = array[None] if list_axis is None else np.moveaxis(array, list_axis, 0)
    layers = []
    for layer in stacked:
        with np.errstate(invalid="ignore"):
            whole = layer.astype(np.int32)
        if not np.array_equal(whole, layer) or whole.min() < 0 or whole.max() > _MOST_LABELS:
            raise InputError(
                f"labels are whole numbers from 0 to {_MOST_LABELS}; this file holds other values",
                code="E_SEG_LABELS",
                where=path.name,
                action="give a label volume, not a probability or a signal",
            )
        layers.append(np.ascontiguousarray(volume_array(whole)))
    facts = {
        "sizes": [sizes[n] for n in space],
        "space": fields.get("space", ""),
        "directions_mm": [steps[n] for n in space],
        "origin_mm": origin,
    }
    return layers, facts


def _data(
    path: Path,
    fields: Mapping[str, str],
    place: int,
    n_bytes: int,
    dtype: np.dtype[Any],
    n_values: int,
) -> npt.NDArray[Any]:
    """Read the values, no more than the header promises."""
    source, skip = path, place
    detached = fields.get("data file", fields.get("datafile", ""))
    if detached:
        if detached != Path(detached).name or detached.split()[0] == "LIST" or "%" in detached:
            raise _fault("the data must be one file beside the header", path, detached)
        source, skip = path.with_name(detached), 0
    if any(fields.get(k, "0") != "0" for k in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise _fault("skipped lines or bytes are not read", path)
    encoding = fields.get("encoding", "").lower()
    try:
        with source.open("rb") as file:
            file.seek(skip)
            values = _decoded(file, encoding, n_bytes, dtype, fields.get("endian", "").lower())
    except (OSError, EOFError, ValueError) as error:
        raise _fault(f"the data cannot be read ({type(error).__name__})", path) from error
    if values.size != n_values:
        raise _fault(
            "the header promises another number of voxels than there is data", path, n_values
        )
    return values


def _decoded(
    file: BinaryIO, encoding: str, n_bytes: int, dtype: np.dtype[Any], endian: str
) -> npt.NDArray[Any]:
    if encoding in ("txt", "text", "ascii"):
        return np.array(file.read(32 * n_bytes).split(), dtype=np.float64)
    if encoding in ("gzip", "gz"):
        opened: Any = gzip.GzipFile(fileobj=file)
    elif encoding in ("bzip2", "bz2"):
        opened = bz2.BZ2File(file)
    elif encoding == "raw":
        opened = file
    else:
        raise ValueError(encoding)
    if dtype.itemsize > 1:
        if endian not in ("little", "big"):
            raise ValueError("endian")
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    found = io.BytesIO()
    while found.tell() <= n_bytes and (piece := opened.read(n_bytes + 1 - found.tell())):
        found.write(piece)
    usable = found.tell() - found.tell() % dtype.itemsize
    return np.frombuffer(found.getvalue()[:usable], dtype=dtype)


def _segments(keys: Mapping[str, str]) -> list[_Segment]:
    """Segments as 3D Slicer describes them; a description without a label value is no segment."""
    about: dict[int, dict[str, str]] = {}
    for key, value in keys.items():
        found = _SEGMENT.match(key)
        if found:
            about.setdefault(int(found[1]), {})[found[2]] = value
    segments = []
    for number, facts in sorted(about.items()):
        label, layer = facts.get("LabelValue", ""), facts.get("Layer", "0")
        if label.isdecimal() and layer.isdecimal() and 1 <= int(label) <= _MOST_LABELS:
            name = facts.get("Name", "").strip() or f"segment-{number + 1}"
            segments.append(_Segment(int(layer), int(label), name, _meaning(facts.get("Tags", ""))))
    return segments


def _meaning(tags: str) -> str:
    """Meaning of the coded type: ``...~category^..^..~code^scheme^meaning~...`` of Slicer."""
    parts = tags.partition("TerminologyEntry:")[2].partition("|")[0].split("~")
    if len(parts) < 3 or parts[2].count("^") < 2:
        return ""
    return parts[2].split("^")[2].strip()
