"""One series for people who want just one map (``eprimg map``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from eprimg.config import Config
from eprimg.errors import ConfigError, InputError, option_unused
from eprimg.io.index import SeriesEntry, scan
from eprimg.io.index_nifti import is_magnitude, is_nifti
from eprimg.io.study import read_series
from eprimg.io.study_file import StudyFile, read_study_file
from eprimg.io.study_plan import counting
from eprimg.model.case import Finding, StageResult
from eprimg.model.study import Role, Series, Study, Timepoint

__all__ = ["read_activity", "read_echoes"]

Progress = Callable[[str, float], None]

_MR_KEY = "mr"
"""Key of a single MR series: nobody said whether it was measured before or after the agent."""


def _study_of(series: Series, findings: Sequence[Finding], spoken: StudyFile) -> StageResult[Study]:
    study = Study(
        pseudonym=spoken.pseudonym or "P-unnamed",
        timepoints=(Timepoint(str(series.role), None, (series,)),),
        overrides=spoken.overrides(),
        input_hash=series.source_hash,
    )
    return StageResult(study, tuple(findings))


def _choose(
    entries: Sequence[SeriesEntry],
    key: str,
    what: str,
    code: str,
    root: Path,
    everything: Sequence[SeriesEntry],
) -> SeriesEntry:
    if key:
        entry = next((e for e in everything if key in (e.key, *e.series_uids)), None)
        if entry is None:
            raise ConfigError(
                f"no series has the key {key!r}",
                code="E_ROLE",
                where="--series",
                action="`eprimg scan` lists the keys",
            )
        return entry
    if not entries:
        reasons = "; ".join(f"{e.key}: {e.reason}" for e in everything[:5])
        raise InputError(
            f"no {what} was found" + (f" ({reasons})" if reasons else ""),
            code=code,
            where=root.name,
            action="`eprimg scan` shows what is there; choose with --series KEY",
        )
    if len(entries) > 1:
        raise ConfigError(
            f"there are {len(entries)} series that are a {what}: "
            + ", ".join(e.key for e in entries),
            code="E_ROLE",
            where=root.name,
            action="choose one with --series KEY",
        )
    return entries[0]


def _nifti_files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,) if is_nifti(path) else ()
    if not path.is_dir():
        return ()
    return tuple(sorted(p for p in path.iterdir() if is_nifti(p) and is_magnitude(p)))


def read_echoes(
    path: Path | str,
    *,
    series: str = "",
    echo_times_ms: tuple[float, ...] | None = None,
    config: Config | None = None,
    progress: Progress | None = None,
) -> StageResult[Study]:
    """Read one multi-echo series as a study of its own.

    Parameters
    ----------
    path : Path
        DICOM folder, one multi-frame file, or NIfTI (one 4-D file, or a folder with one file per
        echo; phase parts and masks in the folder are left out).
    series : str
        Key of the series when there are several.
    echo_times_ms : tuple of float, optional
        For NIfTI without side-cars; in file order.
    config : Config, optional
        Settings.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    StageResult of Study
        With one series in the role ``mr_pre``; whether an agent was there is not known.

    Raises
    ------
    EprimgError
        ``E_ECHO``, ``E_IMAGETYPE``, ``E_SIDECAR`` ... when it is not an R2* stack.
    """
    path, config = Path(path), config or Config()
    spoken = StudyFile()
    if echo_times_ms is not None:
        from eprimg.io.read_nifti import read_nifti_echoes

        if series:
            purpose = "a folder with several series, which say their echo times"
            raise option_unused("--series", "NIfTI files with given echo times", purpose)
        files = _nifti_files(path)
        if not files:
            raise InputError(
                "echo times were given, but there is no NIfTI file",
                code="E_EMPTY",
                where=path.name,
                action="DICOM holds its own echo times: leave the option out",
            )
        result = read_nifti_echoes(
            files,
            echo_times_ms=echo_times_ms,
            key=_MR_KEY,
            role=Role.MR_PRE,
            agent_phase="unknown",
        )
        return _study_of(result.value, result.findings, spoken)
    index = scan(path, progress=counting(progress))
    stacks = [
        e
        for e in index.series
        if e.role in (Role.MR_PRE, Role.MR_POST)
        or (e.role == Role.UNUSED and len(e.echo_times_ms) > 1)
    ]
    code = "E_IMAGETYPE" if any(e.modality == "MR" for e in index.series) else "E_NO_SERIES"
    entry = _choose(stacks, series, "multi-echo MR magnitude series", code, path, index.series)
    result = read_series(entry, role=Role.MR_PRE, config=config, agent_phase="unknown")
    one = replace(result.value, key=_MR_KEY)
    return _study_of(one, (*index.findings, *entry.findings, *result.findings), spoken)


def read_activity(
    path: Path | str,
    *,
    series: str = "",
    study_file: Path | str | None = None,
    config: Config | None = None,
    progress: Progress | None = None,
) -> StageResult[Study]:
    """Read one PET series as a study of its own.

    Parameters
    ----------
    path : Path
        DICOM folder.
    series : str
        Key of the series when there are several.
    study_file : Path, optional
        ``study.toml`` with injection and patient facts.
    config : Config, optional
        Settings.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    StageResult of Study
        With one series in the role ``pet``.

    Raises
    ------
    EprimgError
        ``E_PET_UNITS``, ``E_SUV_TIME``, ``E_SUV_DOSE`` ... when SUV cannot be computed.
    """
    path, config = Path(path), config or Config()
    spoken = read_study_file(study_file) if study_file else StudyFile()
    index = scan(path, progress=counting(progress))
    pets = [e for e in index.series if e.role == Role.PET]
    entry = _choose(pets, series, "PET series", "E_NO_SERIES", path, index.series)
    result = read_series(entry, role=Role.PET, config=config, entered=spoken.entered)
    return _study_of(result.value, (*index.findings, *entry.findings, *result.findings), spoken)
