"""One PET or MR volume for people who want just its regions (``eprimg segment``)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from eprimg.config import Config
from eprimg.errors import ConfigError, EprimgError, InputError, option_unused
from eprimg.io.index import scan
from eprimg.io.index_nifti import is_nifti
from eprimg.io.nuclides import nuclide_by_code, nuclide_by_name
from eprimg.io.pet_bids import ACTIVITY_UNITS
from eprimg.io.pet_checks import ENHANCED_PET
from eprimg.io.pet_header import header_from_datasets
from eprimg.io.read_nifti import read_nifti_volume
from eprimg.io.read_volume import first_volume, stacked_series
from eprimg.io.sidecar import nifti_stem, read_side_car
from eprimg.io.single import read_activity, read_echoes
from eprimg.io.stack import stack_instances
from eprimg.io.study_file import read_study_file
from eprimg.io.study_plan import counting
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

__all__ = ["read_pet_or_mr"]

Progress = Callable[[str, float], None]

_PET_KEYS = ("TracerName", "TracerRadionuclide", "InjectedRadioactivity")
_PET_TAGS = ["Units", "RadiopharmaceuticalInformationSequence"]
_MR_KEYS = ("EchoTime", "EchoTimes", "MagneticFieldStrength", "RepetitionTime")

_UNIT_IS_FOR = "a PET NIfTI file without a side-car that names its unit"
_STUDY_IS_FOR = "the injection and the patient of a PET whose header or side-car has its facts"


def read_pet_or_mr(
    path: Path | str,
    *,
    modality: str = "auto",
    unit: str = "",
    series: str = "",
    study_file: Path | str | None = None,
    config: Config | None = None,
    prefer: str = "pet",
    progress: Progress | None = None,
) -> StageResult[Study]:
    """Read one PET or MR volume as a study of its own.

    Parameters
    ----------
    path : Path
        DICOM folder, or NIfTI file or folder.
    modality : {"auto", "pet", "mr"}
        What to read; auto asks the headers and side-cars.
    unit : {"", "suvbw", "activity"}
        Unit of a PET NIfTI without a side-car; empty when nobody knows.
    series : str
        Key of the series when there are several.
    study_file : Path, optional
        ``study.toml`` with injection and patient facts.
    config : Config, optional
        Settings.
    prefer : {"pet", "mr"}
        What a NIfTI without a side-car is taken for, with a finding, when `modality` is auto.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    StageResult of Study
        With one series: role ``pet``, or ``mr_pre`` (whether an agent was there is not known).
        An MR series need not be an echo train; of several echoes the shortest is read then.
        The quantity of a PET is SUVbw or activity where the header, the side-car or `unit` says
        so; of a NIfTI for which nobody does it is ``pet_value``, whose unit is not known.  A PET
        of which SUV is not known has no acquisition; its nuclide and tracer are still there.

    Raises
    ------
    EprimgError
        ``E_OPTION`` for an argument that means nothing for this kind of input; ``E_EMPTY``,
        ``E_NO_SERIES``, ``E_NII_...`` and the codes of `read_activity` and
        `read_echoes`.
    """
    path, config = Path(path), config or Config()
    if not path.exists():
        raise InputError(
            "there is no such folder or file", code="E_EMPTY", where=path.name, value=str(path)
        )
    findings: list[Finding] = []
    whole = path.is_file() and is_nifti(path)
    if whole and series:
        raise option_unused("--series", "one NIfTI file", "a folder with several series")
    if unit and not whole:
        if path.is_file():
            scan(path)  # refuses a kind of file that is not read at all
            raise option_unused("--unit", "DICOM, whose header names the unit", _UNIT_IS_FOR)
        raise option_unused("--unit", "a folder, whose headers name the unit", _UNIT_IS_FOR)
    if whole:
        if unit and "Units" in read_side_car(path):
            raise option_unused("--unit", "a file whose side-car names its unit", _UNIT_IS_FOR)
        if unit and _kind_of(path, modality)[0] == "mr":
            raise option_unused("--unit", "MR, whose values have no unit", _UNIT_IS_FOR)
        kind, known = _kind_of(path, "pet" if unit and modality == "auto" else modality)
        if not kind:
            kind = prefer
            findings.append(
                Finding(
                    "W_SEG_MODALITY",
                    Severity.WARNING,
                    path.name,
                    f"There is no side-car that says whether this is PET or MR: it is taken as "
                    f"{kind.upper()}, and its values have no unit.",
                )
            )
        if kind == "pet" and known and not unit:
            try:
                key = scan(path).series[0].key  # PET by its side-car, whatever its name says
                return read_activity(
                    path, series=key, study_file=study_file, config=config, progress=progress
                )
            except EprimgError as error:  # the side-car is not enough for SUV: activity will do
                faults = error.faults or (error,)
                findings += [Finding.from_error(f, path.name) for f in faults]
        elif study_file is not None:
            what = "MR" if kind == "mr" else "a PET without facts in a side-car, or with --unit"
            raise option_unused("--study", what, _STUDY_IS_FOR)
        plain = _plain_study(path, kind, unit, _entered_nuclide(study_file))
        return StageResult(plain.value, (*findings, *plain.findings))
    if modality == "auto":
        index = scan(path, progress=counting(progress))
        has_pet = any(e.role == Role.PET for e in index.series)
        kind = "pet" if has_pet or not any(e.modality == "MR" for e in index.series) else "mr"
        chosen = next((e for e in index.series if series in (e.key, *e.series_uids)), None)
        if series and chosen is not None:
            kind = "pet" if chosen.role == Role.PET or chosen.modality == "PT" else "mr"
    else:
        kind = modality
    if kind == "pet":
        try:
            return read_activity(
                path, series=series, study_file=study_file, config=config, progress=progress
            )
        except EprimgError as error:
            if error.code == "E_NO_SERIES":
                raise _nothing(path, "PET") from error
            return _without_suv(path, series, config, error, _entered_nuclide(study_file))
    if study_file is not None:
        raise option_unused("--study", "MR", _STUDY_IS_FOR)
    return _mr(path, series, config, progress)


def _mr(path: Path, series: str, config: Config, progress: Progress | None) -> StageResult[Study]:
    """Read one MR series: an echo train as one, any other as a volume of its shortest echo."""
    index = scan(path, progress=counting(progress))
    asked = [e for e in index.series if not series or series in (e.key, *e.series_uids)]
    if any(
        e.role in (Role.MR_PRE, Role.MR_POST) or (e.source == "nifti" and len(e.echo_times_ms) > 1)
        for e in asked
    ):
        return read_echoes(path, series=series, config=config, progress=progress)
    there = [e for e in asked if e.modality == "MR" and e.instances]
    several = [e for e in there if len(e.echo_times_ms) > 1]
    there = several if len(several) == 1 else there
    if len(there) > 1:
        raise ConfigError(
            f"there are {len(there)} MR series: {', '.join(e.key for e in there)}",
            code="E_ROLE",
            where=path.name,
            action="choose one with --series KEY (see `eprimg scan`)",
        )
    if not there:
        reasons = [f"{e.key}: {e.reason}" for e in asked if e.modality == "MR" and e.reason]
        raise _nothing(path, "MR", "; ".join(reasons[:5]))
    (entry,) = there
    made, noticed = stacked_series(entry, "mr", "mr", config)
    return StageResult(_study_of(made), (*index.findings, *entry.findings, *noticed))


def _nothing(path: Path, what: str, reasons: str = "") -> InputError:
    """Say that a folder holds no series to outline, and what to give in its place."""
    files = sorted(p.name for p in path.iterdir() if is_nifti(p)) if path.is_dir() else []
    action = "`eprimg scan` shows what is there; choose with --series KEY"
    if files:
        more = " ..." if len(files) > 4 else ""
        action = f"give one of the NIfTI files themselves: {', '.join(files[:4])}{more}"
    return InputError(
        f"no {what} series that could be outlined was found" + (f" ({reasons})" if reasons else ""),
        code="E_NO_SERIES",
        where=path.name,
        action=action,
    )


def _entered_nuclide(study_file: Path | str | None) -> str:
    """Return the nuclide that a person entered; it wins over the header."""
    entered = read_study_file(study_file).entered.get("nuclide") if study_file else None
    return entered if isinstance(entered, str) else ""


def _without_suv(
    path: Path, series: str, config: Config, error: EprimgError, entered_nuclide: str
) -> StageResult[Study]:
    """Read a PET stack in Bq/mL when nothing is wrong with it but what SUV needs; else refuse."""
    faults = error.faults or (error,)
    entries = [
        e
        for e in scan(path).series
        if e.role == Role.PET and e.instances and (not series or series in (e.key, *e.series_uids))
    ]
    if not all(f.code.split("_")[1] == "SUV" for f in faults) or len(entries) != 1:
        raise error
    (entry,) = entries
    first = entry.instances[0]
    if any(i.sop_class in ENHANCED_PET or i.frame is not None for i in entry.instances):
        raise error
    head = dcmread(first.path, stop_before_pixels=True, specific_tags=_PET_TAGS)
    if head.get("Units") != "BQML":  # counts, or SUV of a kind that the faults leave open
        raise error
    stacked = stack_instances(
        entry.instances, position_tolerance_mm=config.read.position_tolerance_mm, what="PET"
    )
    nuclide, tracer = _injected(head, entered_nuclide)
    made = Series(
        key="pet",
        role=Role.PET,
        pixels=Volume(stacked.pixels, stacked.grid, quantity("activity")),
        acquisition=None,
        description=entry.description,
        source_uid=next(iter(entry.series_uids), ""),
        source_hash=stacked.sha256,
        study_uid=entry.study_uid,
        n_files=entry.n_files,
        nuclide=nuclide,
        tracer=tracer,
    )
    said = tuple(Finding.from_error(f, entry.key) for f in faults)
    return StageResult(_study_of(made), (*stacked.findings, *said))


def _injected(head: Dataset, entered_nuclide: str) -> tuple[str, str]:
    """Nuclide and tracer of a header that is not enough for SUV: the liver rules ask for them."""
    facts, _ = header_from_datasets([head], [""])
    code, words = facts.nuclide, facts.radiopharmaceutical
    found = (
        nuclide_by_name(entered_nuclide)
        or nuclide_by_code(code.value)
        or nuclide_by_name(code.meaning)
        or nuclide_by_name(words)
    )
    return found.key if found else "", words


def _kind_of(path: Path, modality: str) -> tuple[str, bool]:
    """Tell PET from MR by what was said or by the side-car; whether PET facts are there."""
    car = read_side_car(path)
    said = str(car.get("Modality", "")).upper()
    pet = said in ("PT", "PET") or any(k in car for k in _PET_KEYS)
    if modality != "auto":
        return modality, pet
    if pet:
        return "pet", True
    return ("mr" if said in ("MR", "MRI") or any(k in car for k in _MR_KEYS) else ""), False


def _plain_study(path: Path, kind: str, unit: str, entered_nuclide: str = "") -> StageResult[Study]:
    """Read a NIfTI file as it is; a PET in the unit that was said or that its side-car names."""
    key, factor, nuclide, tracer = "signal", 1.0, "", ""
    if kind == "pet":
        car = read_side_car(path)
        stated = str(car.get("Units", "")).strip()
        key = unit or ("activity" if stated in ACTIVITY_UNITS else "pet_value")
        factor = 1.0 if unit else ACTIVITY_UNITS.get(stated, 1.0)
        tracer = str(car.get("TracerName") or "")
        names = (entered_nuclide, str(car.get("TracerRadionuclide") or ""), tracer)
        nuclide = next((n.key for n in map(nuclide_by_name, names) if n is not None), "")
    volume = read_nifti_volume(path, key)
    volume, noticed = first_volume(volume, kind, path.name)
    if factor != 1.0:
        volume = replace(volume, data=volume.data * np.float32(factor))
    role = Role.MR_PRE if kind == "mr" else Role.PET
    made = Series(
        key=kind,
        role=role,
        pixels=volume,
        acquisition=None,
        description=nifti_stem(path),
        source_hash=hashlib.sha256(np.ascontiguousarray(volume.data).data).hexdigest(),
        n_files=1,
        nuclide=nuclide,
        tracer=tracer,
    )
    return StageResult(_study_of(made), noticed)


def _study_of(made: Series) -> Study:
    point = Timepoint(made.key, None, (made,))
    return Study("P-unnamed", (point,), input_hash=made.source_hash)
