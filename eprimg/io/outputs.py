"""What a run leaves on disk: tables, maps, transforms, records and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from eprimg.config import Config
from eprimg.io.case_records import (
    patient_record,
    provenance_record,
    registration_record,
    transform_path,
)
from eprimg.io.output_folder import check_target, output_path, whole_folder
from eprimg.io.write_maps import write_json, write_labels, write_map
from eprimg.io.write_spatial import is_uid, write_spatial
from eprimg.io.write_tables import (
    lesion_matches_csv,
    lesions_csv,
    measurements_csv,
    profiles_csv,
)
from eprimg.model.case import Case
from eprimg.model.maps import QuantityMap
from eprimg.model.transform import Registration

__all__ = ["write_case", "write_map_folder"]

_FITTED_THERE = ("patlak_ki",)
"""Maps that are fitted on the reference grid: no native map has their standard error."""


def write_case(
    case: Case,
    config: Config,
    out: Path,
    *,
    report_html: str | None = None,
    overwrite: bool = False,
    progress: Callable[[str, float], object] | None = None,
) -> Path:
    """Write everything that a run gives, atomically.

    Parameters
    ----------
    case : Case
        The finished case.
    config : Config
        Settings of the run.
    out : Path
        Output folder.
    report_html : str, optional
        The rendered report.
    overwrite : bool
        Replace an earlier output folder of eprimg.
    progress : callable, optional
        Called before every file with words and the finished share; what it raises ends the work,
        and nothing is left behind.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        See `check_target` and `whole_folder`.
    """
    from eprimg.engines.transform_files import write_transform

    out = Path(out)
    check_target(out, overwrite=overwrite)
    facts = {
        "input_hash": case.provenance.input_hash,
        "config_hash": case.provenance.config_hash,
        "eprimg": case.provenance.versions.get("eprimg", ""),
    }
    with whole_folder(out, facts, overwrite=overwrite) as root:
        for folder in ("maps", "native", "transforms", "regions"):
            (root / folder).mkdir()
        tell = progress or (lambda words, share: None)
        for key, map_ in case.registered.items():
            tell(f"write {key}", 0.1)
            write_map(map_, output_path(root, "registered_map", key=key), key=key)
            if key in _FITTED_THERE:
                path = output_path(root, "registered_map", key=f"{key}_se")
                write_map(_standard_error(map_), path, key=f"{key}_se")
        for key, map_ in case.maps.items():
            path = output_path(root, "native_map", key=key)
            tell(f"write {key}", 0.5)
            write_map(map_, path, key=key)
            tell(f"write {key}", 0.5)
            if map_.standard_error is not None:
                path = output_path(root, "native_map", key=f"{key}_se")
                write_map(_standard_error(map_), path, key=f"{key}_se")
        for registration in case.registrations:
            path = transform_path(registration, root)
            write_transform(registration.transform, path)
            write_json(registration_record(registration), path.with_suffix(".json"))
            if config.register.dicom:
                _write_dicom(case, registration, path.with_suffix(".dcm"))
        tell("write tables", 0.9)
        if case.lesions is not None:
            write_labels(
                case.lesions, output_path(root, "labels"), output_path(root, "label_names")
            )
        _write_text(output_path(root, "lesions"), lesions_csv(case))
        _write_text(output_path(root, "measurements"), measurements_csv(case))
        _write_text(output_path(root, "profiles"), profiles_csv(case))
        if case.lesion_matches:
            _write_text(output_path(root, "lesion_matches"), lesion_matches_csv(case))
        _write_text(output_path(root, "settings"), config.to_toml())
        write_json(patient_record(case), output_path(root, "patient"))
        write_json(provenance_record(case, config), output_path(root, "provenance"))
        if report_html is not None:
            _write_text(output_path(root, "report"), report_html)
        tell("write", 0.95)
    return out


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _write_dicom(case: Case, registration: Registration, path: Path) -> None:
    """Write a registration as DICOM where its frames are DICOM's; NIfTI series have none."""
    fixed = next((s for s in case.study.series if s.key == registration.fixed), None)
    frames = (registration.transform.from_frame, registration.transform.to_frame)
    if fixed is None or not all(map(is_uid, (*frames, fixed.study_uid))):
        return
    finished = case.provenance.finished
    write_spatial(
        registration.transform,
        path,
        pseudonym=case.study.pseudonym,
        study_uid=fixed.study_uid,
        instant=datetime.fromisoformat(finished) if finished else datetime.now(UTC),
        description=f"{registration.moving} to {registration.fixed}: {registration.engine}",
    )


def _standard_error(map_: QuantityMap) -> QuantityMap:
    """Turn the standard errors of a map into a map of their own."""
    error = map_.standard_error
    if error is None:  # two echoes leave no degree of freedom: nothing was estimated
        error = np.full(map_.grid.shape, np.nan, dtype=np.float32)
    return replace(
        map_,
        values=error,
        standard_error=None,
        valid=map_.valid & np.isfinite(error),
        method=f"standard error of: {map_.method}",
    )


def write_map_folder(
    case: Case, config: Config, out: Path, files: dict[str, str], *, overwrite: bool = False
) -> Path:
    """Write single maps (``eprimg map``), atomically.

    Parameters
    ----------
    case : Case
        A case whose quantify stage has run.
    config : Config
        Settings, for the manifest.
    out : Path
        Output folder.
    files : dict
        File stem -> key of the map; a stem ending in ``_se`` takes its standard error.
    overwrite : bool
        Replace an earlier output folder of eprimg.

    Returns
    -------
    Path
        The folder.
    """
    facts = {
        "input_hash": case.study.input_hash,
        "config_hash": config.hash,
        "eprimg": case.provenance.versions.get("eprimg", ""),
    }
    findings = [asdict(f) for f in case.findings]
    sources = [
        {"series_uid": s.source_uid, "sha256": s.source_hash, "files": s.n_files}
        for s in case.study.series
    ]
    with whole_folder(out, facts, overwrite=overwrite) as root:
        for stem, key in files.items():
            map_ = case.maps[key]
            extra = {"Findings": findings, "SourceSeries": sources}
            map_ = replace(map_, facts={**map_.facts, **extra})
            if stem.endswith("_se"):
                map_ = _standard_error(map_)
            write_map(map_, root / f"{stem}.nii.gz", key=stem)
    return out
