"""The head of a series: every check that needs no voxel, and where its voxels will lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eprimg.config import Config
from eprimg.errors import InputError
from eprimg.io.entries import SeriesEntry, refuse_damaged
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, StageResult
from eprimg.model.grid import Grid
from eprimg.model.study import Role

__all__ = ["SeriesHead", "read_series_head"]


@dataclass(frozen=True, eq=False, slots=True)
class SeriesHead:
    """A series whose headers were checked and whose voxels were not read.

    Parameters
    ----------
    key : str
        Key in the study, as it would have it after reading.
    role : Role
        What it would be used for.
    grid : Grid
        Where its voxels lie.
    source_uid : str
        Series instance UID, or empty for NIfTI.
    acquisition : PETAcquisition or None
        Facts of a PET.
    """

    key: str
    role: Role
    grid: Grid
    source_uid: str = ""
    acquisition: PETAcquisition | None = None


def read_series_head(
    entry: SeriesEntry,
    *,
    key: str,
    config: Config,
    entered: Mapping[str, Any] | None = None,
) -> StageResult[SeriesHead]:
    """Check the headers of a series with the code that reads it, and stop before its voxels.

    Parameters
    ----------
    entry : SeriesEntry
        From the index; its role says what it is checked as.
    key : str
        Key in the study.
    config : Config
        Settings.
    entered : Mapping, optional
        Facts that a user entered (PET only).

    Returns
    -------
    StageResult of SeriesHead
        The head, and what the header of a PET noticed.

    Raises
    ------
    EprimgError
        As `eprimg.io.study.read_series`, for what needs no voxel.
    """
    refuse_damaged(entry)
    uid = next(iter(entry.series_uids), "")
    if entry.role in (Role.MR_PRE, Role.MR_POST):
        return StageResult(SeriesHead(key, entry.role, _echo_grid(entry, config), uid))
    if entry.role == Role.PET:
        facts, grid, noticed = _pet(entry, config, entered or {})
        return StageResult(SeriesHead(key, entry.role, grid, uid, facts), noticed)
    if entry.source == "nifti":
        raise ct_in_nifti(entry)
    from eprimg.io.pixels import require_readable
    from eprimg.io.stack import stack_geometry

    stack = stack_geometry(
        entry.instances,
        position_tolerance_mm=config.read.position_tolerance_mm,
        what="CT series",
    )
    require_readable(stack.instances, what="CT series")
    return StageResult(SeriesHead(key, entry.role, stack.grid, uid))


def ct_in_nifti(entry: SeriesEntry) -> InputError:
    """Make the refusal of a CT in NIfTI.

    Parameters
    ----------
    entry : SeriesEntry
        The series.

    Returns
    -------
    InputError
        ``E_SIDECAR``.
    """
    return InputError(
        "CT in NIfTI is not read by this version",
        code="E_SIDECAR",
        where=entry.paths[0].name if entry.paths else entry.key,
        action="give the DICOM series",
    )


def _echo_grid(entry: SeriesEntry, config: Config) -> Grid:
    if entry.source == "nifti":
        from eprimg.io.read_nifti import nifti_echo_train

        return nifti_echo_train(entry.paths).grid
    from eprimg.io.read_mr import echo_geometry

    return echo_geometry(entry, config.read)[1][0].grid


def _pet(
    entry: SeriesEntry, config: Config, entered: Mapping[str, Any]
) -> tuple[PETAcquisition, Grid, tuple[Finding, ...]]:
    mode = config.pet.mode
    if entry.source == "nifti":
        from eprimg.io.read_nifti import nifti_grid
        from eprimg.io.read_pet_nifti import nifti_pet_facts

        path = entry.paths[0]
        told = nifti_pet_facts(path, entered=entered, mode=mode)
        return told.value, nifti_grid(path), told.findings
    from eprimg.io.pixels import require_readable
    from eprimg.io.read_pet import pet_header

    checked = pet_header(entry, config=config.read, entered=entered, mode=mode)
    require_readable(checked.geometry.instances, what="PET series")
    noticed = (*checked.told, *checked.judged.findings, *checked.geometry.findings)
    return checked.judged.value, checked.geometry.grid, noticed
