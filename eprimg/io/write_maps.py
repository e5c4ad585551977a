"""Maps and labels as NIfTI with JSON side-cars."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import OutputError
from eprimg.io.bridge import nifti_affine
from eprimg.io.shared_voxels import SHARED_NOTE, shared_side_car
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap

__all__ = ["json_text", "map_sidecar", "write_json", "write_labels", "write_map", "write_nifti"]

_ASCII = str.maketrans({"\u0394": "d", "\u00b2": "2", "\u00b7": "."})
"""The description of a NIfTI file is ASCII."""


def _plain(value: Any) -> Any:
    """Turn records, arrays and NaN into what JSON can hold (NaN becomes null)."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | int | float | bool) or value is None:
        return str(value) if isinstance(value, str) else value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def json_text(content: Mapping[str, Any]) -> str:
    """Write a mapping as readable JSON.

    Parameters
    ----------
    content : Mapping
        May hold arrays, dates and NaN (written as null).

    Returns
    -------
    str
        JSON text with a final line end.
    """
    return json.dumps(_plain(content), indent=2, ensure_ascii=False) + "\n"


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file.

    Parameters
    ----------
    content : Mapping
        See `json_text`.
    path : Path
        Target.
    """
    path.write_text(json_text(content), encoding="utf-8")


def write_nifti(array: npt.NDArray[Any], grid: Grid, path: Path, *, text: str = "") -> None:
    """Write an array of the house as gzip-compressed NIfTI and check the file.

    The bytes depend on the values alone (no file name, no time stamp in the gzip header), so that
    equal maps have equal hashes.

    Parameters
    ----------
    array : ndarray, shape (k, j, i)
        Values.
    grid : Grid
        Where the voxels lie.
    path : Path
        Target, ending in ``.nii.gz``.
    text : str
        Description (at most 79 characters are kept).

    Raises
    ------
    OutputError
        ``E_DISK`` when the file that arrived is not the one that was written.
    """
    import nibabel as nib

    nifti = nib.Nifti1Image(np.transpose(array), nifti_affine(grid))
    nifti.header.set_xyzt_units("mm")
    nifti.header["descrip"] = text.encode("ascii", "replace")[:79]
    nifti.set_qform(nifti.affine, code=1)
    nifti.set_sform(nifti.affine, code=1)
    with path.open("wb") as raw:
        with gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
            nifti.to_stream(packed)
        written = raw.tell()
    header = nib.load(path).header
    if header.get_data_shape() != tuple(reversed(array.shape)) or path.stat().st_size != written:
        raise OutputError(
            "the map on disk is not the one that was written",
            code="E_DISK",
            where=path.name,
            action="check the disk, then run again",
        )


def map_sidecar(map_: QuantityMap, *, key: str) -> dict[str, Any]:
    """Describe a map: unit, method, sources, share of valid voxels, reasons, facts.

    Parameters
    ----------
    map_ : QuantityMap
        The map.
    key : str
        Its key.

    Returns
    -------
    dict
        Content of the side-car.
    """
    sidecar: dict[str, Any] = {
        "Key": key,
        "Quantity": map_.quantity.name,
        "Units": map_.quantity.unit.text,
        "UnitsUCUM": map_.quantity.unit.ucum,
        "QuantityCode": {
            "value": map_.quantity.code.value,
            "scheme": map_.quantity.code.scheme,
            "meaning": map_.quantity.code.meaning,
        },
        "EstimationAlgorithm": map_.method,
        "Sources": list(map_.sources),
        "FrameOfReferenceUID": map_.grid.frame_of_reference,
        "ValidVoxels": int(np.count_nonzero(map_.valid)),
        "Voxels": int(map_.valid.size),
        "NotMeasured": "NaN",
        **dict(map_.facts),
    }
    if map_.reason is not None and map_.reason_words:
        counts = np.bincount(map_.reason.ravel())
        sidecar["Reasons"] = {
            map_.reason_words.get(i, str(i)): int(n) for i, n in enumerate(counts) if n
        }
    return sidecar


def write_map(map_: QuantityMap, path: Path, *, key: str) -> None:
    """Write a map and its side-car.

    Parameters
    ----------
    map_ : QuantityMap
        The map; written as float32.
    path : Path
        Target, ending in ``.nii.gz``; the side-car gets the same stem.
    key : str
        Key of the map.
    """
    values = np.where(map_.valid, map_.values, np.nan).astype(np.float32)
    text = f"{map_.quantity.name} [{map_.quantity.unit.text}]".translate(_ASCII)
    write_nifti(values, map_.grid, path, text=text)
    write_json(map_sidecar(map_, key=key), sidecar_path(path))


def sidecar_path(path: Path) -> Path:
    """Return the side-car's path of a NIfTI file.

    Parameters
    ----------
    path : Path
        ``x.nii.gz`` or ``x.nii``.

    Returns
    -------
    Path
        ``x.json``.
    """
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def write_labels(lesions: LesionSet, path: Path, names_path: Path) -> None:
    """Write the label volume and its names.

    Parameters
    ----------
    lesions : LesionSet
        Regions on the reference grid.
    path, names_path : Path
        Targets.
    """
    dtype = np.uint8 if lesions.labels.max(initial=0) < 256 else np.int32
    # how they were made: threshold, weights and licence of a model, rule for contours
    made_with = {k: v for k, v in lesions.settings.items() if k != "outlines"}
    shared = shared_side_car(lesions)
    write_nifti(lesions.labels.astype(dtype), lesions.grid, path, text="eprimg regions")
    write_json(
        {
            "FrameOfReferenceUID": lesions.grid.frame_of_reference,
            "Origin": lesions.origin,
            "labels": {
                str(r.id): {
                    "name": r.name,
                    "role": r.role,
                    "anatomy": r.anatomy,
                    "source": r.source,
                    "tracking_uid": r.tracking_uid,
                }
                for r in lesions.regions
            },
            **({"Settings": made_with} if made_with else {}),
            **({"SharedNote": SHARED_NOTE, "Shared": shared} if shared else {}),
        },
        names_path,
    )
