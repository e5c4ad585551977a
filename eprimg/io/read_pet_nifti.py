"""Read a PET volume in NIfTI: voxels in Bq/mL, facts from its PET-BIDS side-car."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from eprimg.errors import InputError, MissingTagError, raise_faults
from eprimg.io.pet_bids import ACTIVITY_UNITS, bids_acquisition
from eprimg.io.read_nifti import read_nifti_volume
from eprimg.io.sidecar import nifti_stem, read_side_car
from eprimg.io.spect_facts import spect_facts_refused
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.study import Role, Series
from eprimg.model.volume import Volume

__all__ = ["nifti_pet_facts", "read_pet_nifti"]


def read_pet_nifti(
    path: Path | str,
    *,
    key: str = "pet",
    entered: Mapping[str, object] | None = None,
    mode: str = "lenient",
) -> StageResult[Series]:
    """Read a static PET volume and judge everything that its SUV depends on.

    Parameters
    ----------
    path : Path or str
        File ``.nii`` or ``.nii.gz`` with a side-car of the same name.
    key : str
        Key of the series inside the study.
    entered : Mapping, optional
        Facts that the user entered.
    mode : {"lenient", "strict"}
        See `eprimg.config.PetConfig`.

    Returns
    -------
    StageResult of Series
        Activity in Bq/mL with a `PETAcquisition`; findings of the side-car and of the volume.

    Raises
    ------
    EprimgError
        ``E_SIDECAR`` without a side-car, ``E_PET_FRAMES`` for several frames, the codes of
        `bids_acquisition` and of `read_nifti_volume`.
    """
    path = Path(path)
    judged = nifti_pet_facts(path, entered=entered, mode=mode)
    volume = read_nifti_volume(path, "activity")
    if volume.data.ndim != 3:
        raise InputError(
            "the volume holds several frames (dynamic); they are never merged",
            code="E_PET_FRAMES",
            where=path.name,
            value=volume.data.shape,
            action="give one static frame",
        )
    factor = ACTIVITY_UNITS[judged.value.unit]
    data = volume.data if factor == 1.0 else volume.data * np.float32(factor)
    digest = hashlib.sha256(np.ascontiguousarray(data).data).hexdigest()
    series = Series(
        key=key,
        role=Role.PET,
        pixels=Volume(data, volume.grid, volume.quantity),
        # All slices are of the one frame; values without decay correction are corrected by slice.
        acquisition=replace(judged.value, frame_times=judged.value.frame_times * len(data)),
        description=nifti_stem(path),
        source_hash=digest,
        study_uid=f"nifti:{digest[:16]}",
        n_files=1,
        tracer=str(read_side_car(path).get("TracerName") or ""),
    )
    findings = list(judged.findings)
    bad = int(np.count_nonzero(~np.isfinite(data)))
    if bad:
        text = f"{bad} values are not finite numbers; those voxels are not used"
        findings.append(Finding("W_NAN", Severity.WARNING, key, text))
    return StageResult(series, tuple(findings))


def nifti_pet_facts(
    path: Path, *, entered: Mapping[str, object] | None = None, mode: str = "lenient"
) -> StageResult[PETAcquisition]:
    """Judge what the side-car of a PET volume says; no voxel is read.

    Parameters
    ----------
    path, entered, mode
        As in `read_pet_nifti`.

    Returns
    -------
    StageResult of PETAcquisition
        Facts that SUV depends on, with what was noticed.

    Raises
    ------
    EprimgError
        As `read_pet_nifti`, for what needs no voxel.
    """
    car = read_side_car(path)
    if not car:
        raise MissingTagError(
            "a PET volume in NIfTI has no side-car, so neither dose nor clock is known",
            code="E_SIDECAR",
            where=nifti_stem(path) + ".json",
            action="give the DICOM series, or a PET-BIDS side-car",
        )
    raise_faults(spect_facts_refused(entered or {}))
    return bids_acquisition(car, path, entered=entered, mode=mode)
