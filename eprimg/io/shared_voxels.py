"""Voxels that lesions share, beside a label volume that shows one region per voxel."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError
from eprimg.io.region_layers import RegionMask, in_layers
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet, SharedVoxels

__all__ = [
    "SHARED_NOTE",
    "shared_from_record",
    "shared_from_side_car",
    "shared_record",
    "shared_side_car",
    "whole_lesions",
]

SHARED_NOTE = (
    "Where lesions overlap, the label volume shows the voxels as one of them. 'Shared' holds what "
    "the others have there, as bits (numpy packbits, base64) in a box of voxels (slice, row, "
    "column) that begins at 'corner'. eprimg reads them with the volume; other programs lose them."
)


def shared_record(regions: LesionSet) -> list[dict[str, Any]]:
    """Describe the voxels that lesions share.

    Parameters
    ----------
    regions : LesionSet
        Any set.

    Returns
    -------
    list of dict
        One for each pair: ids, place, and the voxels as bits in base64 (numpy's ``packbits``).
    """
    return [_described(each) for each in regions.shared]


def _described(each: SharedVoxels) -> dict[str, Any]:
    return {
        "id": each.id,
        "owner": each.owner,
        "corner": list(each.corner),
        "shape": list(each.voxels.shape),
        "bits": b64encode(np.packbits(each.voxels).tobytes()).decode(),
    }


def shared_from_record(record: Mapping[str, Any]) -> SharedVoxels:
    """Read what `shared_record` described.

    Parameters
    ----------
    record : Mapping
        One of its items.

    Returns
    -------
    SharedVoxels
        As it was.

    Raises
    ------
    KeyError, TypeError, ValueError
        When it is not such a record.
    """
    k, j, i = (int(n) for n in record["shape"])
    bits = np.frombuffer(b64decode(record["bits"]), dtype=np.uint8)
    voxels = np.unpackbits(bits, count=k * j * i).astype(np.bool_).reshape(k, j, i)
    a, b, c = (int(n) for n in record["corner"])
    return SharedVoxels(int(record["id"]), int(record["owner"]), (a, b, c), voxels)


def shared_side_car(lesions: LesionSet) -> list[dict[str, Any]]:
    """Describe for a side-car what a label volume does not show.

    Parameters
    ----------
    lesions : LesionSet
        Regions with the voxels that they share.

    Returns
    -------
    list of dict
        ``region`` and ``shown_as`` (label numbers), ``voxels``, ``volume_ml``, the voxels
        themselves, and ``outlines``, a hash of both lesions; only what is shared still.
    """
    ml = lesions.grid.voxel_volume_ml
    records = []
    for each in lesions.shared:
        left = replace(each, voxels=each.now(lesions.labels))
        n = int(np.count_nonzero(left.voxels))
        if not n:
            continue
        said = {"region": each.id, "shown_as": each.owner, "voxels": n}
        place = {k: v for k, v in _described(left).items() if k not in ("id", "owner")}
        mark = _mark(lesions.labels, each)
        records.append({**said, "volume_ml": round(n * ml, 4), **place, "outlines": mark})
    return records


def _mark(labels: npt.NDArray[Any], shared: SharedVoxels) -> str:
    """Hash the voxels of both lesions: edited or turned, they no longer fit."""
    digest = hashlib.sha256()
    for number in (shared.id, shared.owner):
        digest.update(np.packbits(np.asarray(labels) == number).tobytes())
    return digest.hexdigest()[:16]


def shared_from_side_car(
    content: Any, labels: npt.NDArray[Any], names: Mapping[int, str], where: str
) -> tuple[tuple[SharedVoxels, ...], tuple[Finding, ...]]:
    """Read ``Shared`` of a side-car, and check it against the label volume.

    Parameters
    ----------
    content : Any
        ``Shared`` of the side-car; None when there is none.
    labels : ndarray of integer, shape (k, j, i)
        The label volume beside it.
    names : Mapping of int to str
        Label -> name.
    where : str
        File, for messages.

    Returns
    -------
    tuple of SharedVoxels
        What lesions hold under the label of another one.
    tuple of Finding
        ``W_SEG_SHARED_LOST`` for what cannot be restored: an older version wrote only the number of
        voxels, or the label volume was changed since (edited, or turned by another program).

    Raises
    ------
    InputError
        ``E_SIDECAR`` when it is not what `shared_side_car` writes.
    """
    found: list[SharedVoxels] = []
    lost: list[str] = []
    try:
        for record in content or ():
            number, owner = int(record["region"]), int(record["shown_as"])
            if number not in names or owner not in names:
                continue  # the region was taken out of the file
            if "bits" in record:
                each = shared_from_record({**record, "id": number, "owner": owner})
                if record["outlines"] == _mark(labels, each):
                    found.append(each)
                    continue
            ml = float(record["volume_ml"])
            lost.append(f"{names[number]} lacks {ml:.3g} mL that are shown as {names[owner]}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "'Shared' of the side-car is not as eprimg writes it",
            code="E_SIDECAR",
            where=where,
            action="give the side-car that was written with the label volume",
        ) from error
    if not lost:
        return tuple(found), ()
    text = (
        f"Lesions overlapped when the label volume was written, and it cannot be told which voxels "
        f"they shared: {'; '.join(lost[:12])}. Give one mask for each of these lesions."
    )
    return tuple(found), (Finding("W_SEG_SHARED_LOST", Severity.WARNING, where, text),)


def whole_lesions(regions: LesionSet) -> tuple[tuple[LesionSet, ...], tuple[Finding, ...]]:
    """Put lesions that share voxels into as many label volumes as hold all of them whole.

    Parameters
    ----------
    regions : LesionSet
        Any set.

    Returns
    -------
    tuple of LesionSet
        The set itself when no lesion shares a voxel.
    tuple of Finding
        As `eprimg.io.region_layers.in_layers`.
    """
    if not regions.shared:
        return (regions,), ()
    masks = []
    for region in regions.regions:
        inside = np.asarray(regions.labels == region.id)
        for each in regions.shared_by(region.id):
            inside[each.place] |= each.now(regions.labels)
        masks.append(RegionMask(region, inside))
    found: Sequence[RegionMask] = [m for m in masks if m.voxels.any()]
    return in_layers(found, regions.grid, origin=regions.origin, settings=regions.settings)
