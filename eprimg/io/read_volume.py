"""Any one series as a single volume, for ``eprimg register``: nothing is measured in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eprimg.config import Config
from eprimg.errors import ConfigError, InputError, option_unused
from eprimg.io.entries import SeriesEntry
from eprimg.io.frame_types import by_echo
from eprimg.io.index import scan
from eprimg.io.index_nifti import is_nifti
from eprimg.io.read_nifti import read_nifti_volume
from eprimg.io.stack import stack_instances
from eprimg.io.study_plan import counting
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.study import Role, Series
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

__all__ = ["KINDS", "first_volume", "read_volume", "stacked_series"]

KINDS = {"mr": "signal", "pet": "activity", "ct": "hounsfield"}
"""Kind of a series and the quantity that its voxels are compared as."""

_MODALITIES = {"MR": "mr", "PT": "pet", "CT": "ct"}
_ROLES = {"mr": Role.MR_PRE, "pet": Role.PET, "ct": Role.CT}


def read_volume(
    path: Path | str,
    *,
    key: str,
    kind: str = "",
    series: str = "",
    config: Config | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> StageResult[Series]:
    """Read one series as one value per voxel.

    Parameters
    ----------
    path : Path
        NIfTI file, or folder or file of DICOM.
    key : str
        Key of the series.
    kind : str
        ``mr``, ``pet`` or ``ct``; for DICOM from the modality when left out, for NIfTI ``mr``.
    series : str
        Key of the series when a DICOM folder holds several (see ``eprimg scan``).
    config : Config, optional
        Settings.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    StageResult of Series
        Of several echoes the one with the shortest echo time; of a 4-D NIfTI file of MR or CT the
        first volume, which is said (``W_FIRST_VOLUME``).  The values of PET are in the unit that
        they were stored in.

    Raises
    ------
    EprimgError
        ``E_NO_SERIES``, ``E_ROLE`` or ``E_ARGUMENT``; ``E_OPTION`` for the key of a series and a
        NIfTI file; ``E_PET_FRAMES`` for a PET file of several
        frames; the codes of the readers.
    """
    path = Path(path)
    if kind and kind not in KINDS:
        raise InputError(
            "the kind of a series is mr, pet or ct", code="E_ARGUMENT", where=key, value=kind
        )
    if is_nifti(path) and series:
        purpose = "a DICOM folder with several series"
        raise option_unused(f"--{key}-series", "a NIfTI file", purpose)
    if is_nifti(path):
        return _from_nifti(path, key, kind or "mr")
    if not path.exists():
        raise InputError("there is no such folder or file", code="E_EMPTY", where=path.name)
    config = config or Config()
    index = scan(path, progress=counting(progress))
    entry = _one(
        [e for e in index.series if e.source == "dicom" and e.modality in _MODALITIES],
        series,
        kind,
        path,
    )
    made, noticed = stacked_series(entry, key, kind or _MODALITIES[entry.modality], config)
    return StageResult(made, (*index.findings, *entry.findings, *noticed))


def _one(entries: list[SeriesEntry], series: str, kind: str, path: Path) -> SeriesEntry:
    if series:
        named = [e for e in entries if series in (e.key, *e.series_uids)]
        if not named:
            raise ConfigError(
                f"no MR, PET or CT series has the key {series!r}",
                code="E_ROLE",
                where=path.name,
                action="`eprimg scan` lists the keys",
            )
        if kind and _MODALITIES[named[0].modality] != kind:
            raise ConfigError(
                f"the series {series!r} is {named[0].modality}, and was said to be {kind}",
                code="E_ROLE",
                where=path.name,
                action="leave the kind out: DICOM says it",
            )
        return named[0]
    fitting = [e for e in entries if not kind or _MODALITIES[e.modality] == kind]
    if not fitting:
        raise InputError(
            "there is no MR, PET or CT series that could be aligned",
            code="E_NO_SERIES",
            where=path.name,
            action="give a NIfTI file, or a folder with one DICOM series",
        )
    if len(fitting) > 1:
        raise ConfigError(
            f"there are {len(fitting)} series: " + ", ".join(e.key for e in fitting),
            code="E_ROLE",
            where=path.name,
            action="give a folder with one of them, or name it (--fixed-series, --moving-series)",
        )
    return fitting[0]


def _from_nifti(path: Path, key: str, kind: str) -> StageResult[Series]:
    volume, noticed = first_volume(read_nifti_volume(path, KINDS[kind]), kind, path.name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    made = Series(key, _ROLES[kind], volume, None, path.name, source_hash=digest, n_files=1)
    return StageResult(made, noticed)


def first_volume(volume: Volume, kind: str, where: str) -> tuple[Volume, tuple[Finding, ...]]:
    """Take one value per voxel from a file that may hold several, and say so.

    Parameters
    ----------
    volume : Volume
        As stored: (k, j, i), or (k, j, i, m).
    kind : str
        ``mr``, ``ct`` or ``pet``.
    where : str
        Name of the file.

    Returns
    -------
    Volume
        The only volume, or of several of MR or CT the first one.
    tuple of Finding
        ``W_FIRST_VOLUME`` when there are several.

    Raises
    ------
    InputError
        ``E_PET_FRAMES``: the frames of a PET file differ in time, and are never merged.
    """
    data = volume.data
    if data.ndim == 3:
        return volume, ()
    count = data.shape[-1]
    if kind == "pet" and count > 1:
        raise InputError(
            f"the file holds {count} frames (dynamic or gated); they are never merged",
            code="E_PET_FRAMES",
            where=where,
            value=data.shape,
            action="give one static frame",
        )
    made = Volume(np.ascontiguousarray(data[..., 0]), volume.grid, volume.quantity)
    if count == 1:
        return made, ()
    text = (
        f"{where} holds {count} volumes (echoes, or times); the first one was used, the others "
        "were not looked at."
    )
    return made, (Finding("W_FIRST_VOLUME", Severity.WARNING, where, text),)


def stacked_series(
    entry: SeriesEntry, key: str, kind: str, config: Config
) -> tuple[Series, tuple[Finding, ...]]:
    """Read the frames that the index kept of a DICOM series as one volume.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.
    key : str
        Key of the series.
    kind : str
        ``mr``, ``pet`` or ``ct``.
    config : Config
        Settings.

    Returns
    -------
    Series
        Of several echoes the one with the shortest echo time.
    tuple of Finding
        What was noticed.
    """
    instances = list(entry.instances)
    if entry.modality == "MR":
        groups = by_echo(instances)
        times = [t for t in groups if t is not None]
        # The shortest echo shows ferumoxytol least.
        instances = groups[min(times)] if times else instances
    stacked = stack_instances(
        instances,
        position_tolerance_mm=config.read.position_tolerance_mm,
        what=f"series {entry.key}",
    )
    made = Series(
        key=key,
        role=_ROLES[kind],
        pixels=Volume(stacked.pixels, stacked.grid, quantity(KINDS[kind])),
        acquisition=None,
        description=entry.description,
        source_uid=next(iter(entry.series_uids), ""),
        source_hash=stacked.sha256,
        study_uid=entry.study_uid,
        n_files=len(instances),
    )
    return made, tuple(stacked.findings)
