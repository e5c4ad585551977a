"""Reads what was given to help the alignment, and the registrations that lie in the folder."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eprimg.engines.transform_files import read_transform
from eprimg.errors import ConfigError, EprimgError, GeometryError, InputError
from eprimg.io.read_nifti import read_nifti_labels
from eprimg.io.read_spatial import is_spatial_registration, read_spatial
from eprimg.io.study_file_help import HelpEntry
from eprimg.io.study_plan import StudyPlan
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.manual_help import (
    GivenTransform,
    HelpUse,
    LandmarkPairs,
    ManualHelp,
    MetricMask,
)
from eprimg.model.study import Placed
from eprimg.model.transform import Transform

__all__ = ["read_landmarks_csv", "read_manual_help"]

_COLUMNS = tuple(f"{end}_{axis}_mm" for end in ("fixed", "moving") for axis in "xyz")


def read_manual_help(plan: StudyPlan, series: Sequence[Placed]) -> StageResult[ManualHelp]:
    """Read transforms, landmarks and masks of a study.

    Parameters
    ----------
    plan : StudyPlan
        The scan and the study file.
    series : sequence of Placed
        What was read; an entry may name a series by its key.

    Returns
    -------
    StageResult of ManualHelp
        What the study file names, and DICOM registrations of the folder that join two frames of the
        study for which the study file gives nothing; with a finding for each that is not used.

    Raises
    ------
    EprimgError
        When something that the study file names cannot be used; an unusable registration that only
        lies in the folder is a finding.
    """
    spoken = plan.study_file
    images = {
        each.sop_uid: each.frame_of_reference for e in plan.index.series for each in e.instances
    }
    where = spoken.source
    transforms = [_given(e, series, images, where) for e in spoken.help.of("transforms")]
    landmarks = [_landmarks(e, series, where) for e in spoken.help.of("landmarks")]
    masks = [_mask(e, series, where) for e in spoken.help.of("metric_masks")]
    found, findings = _in_folder(plan, series, images)
    help_ = ManualHelp((*transforms, *found), tuple(landmarks), tuple(masks))
    return StageResult(help_, tuple(findings))


def _one(key: str, series: Sequence[Placed], where: str) -> Placed:
    found = next((s for s in series if s.key == key), None)
    if found is None:
        raise ConfigError(
            f"{key!r} is not among the series that are read",
            code="E_STUDY_FILE",
            where=where,
            action=f"use one of {', '.join(s.key for s in series)}",
        )
    return found


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _given(
    entry: HelpEntry, series: Sequence[Placed], images: dict[str, str], where: str
) -> GivenTransform:
    path = entry.path
    assert path is not None
    fixed, moving = (_one(key, series, where).grid for key in (entry.fixed, entry.moving))
    frames = fixed.frame_of_reference, moving.frame_of_reference
    if _is_dicom(path):
        transform = _joining(read_spatial(path, frames=images), *frames)
        if transform is None:
            raise GeometryError(
                f"the registration does not join the frames of {entry.fixed} and {entry.moving}",
                code="E_FOR",
                where=path.name,
                action="name the two series that it was made for",
            )
    else:
        transform = read_transform(path, *frames)
    return GivenTransform(
        transform, path.name, _sha256(path), entry.fixed, entry.moving, HelpUse(entry.use)
    )


def _joining(transforms: Sequence[Transform], fixed: str, moving: str) -> Transform | None:
    """Find the transform between two frames: direct, backwards, or through the registered frame."""
    for each in transforms:
        if (each.from_frame, each.to_frame) == (fixed, moving):
            return each
        if (each.to_frame, each.from_frame) == (fixed, moving):
            return each.inverse()
    first = [t for t in transforms if t.to_frame == fixed]
    second = [t for t in transforms if t.to_frame == moving]
    if len(first) == len(second) == 1 and first[0].from_frame == second[0].from_frame:
        return first[0].inverse().then(second[0])
    return None


def _in_folder(
    plan: StudyPlan, series: Sequence[Placed], images: dict[str, str]
) -> tuple[list[GivenTransform], list[Finding]]:
    frames = {s.grid.frame_of_reference for s in series}
    found: list[GivenTransform] = []
    findings: list[Finding] = []
    paths = sorted(
        {
            instance.path: None
            for entry in plan.index.series
            for instance in entry.instances
            if is_spatial_registration(instance.sop_class)
        }
    )
    for path in map(Path, paths):
        try:
            transforms = read_spatial(path, frames=images)
        except EprimgError as error:
            text = f"A registration in the folder was not used: {error.message}."
            findings.append(Finding("W_TRANSFORM_UNUSED", Severity.WARNING, path.name, text))
            continue
        known = [f for f in frames if any(f in (t.from_frame, t.to_frame) for t in transforms)]
        joined = [t for t in _all_pairs(transforms, sorted(known)) if t is not None]
        if not joined:
            text = "A registration in the folder joins no two series that are read; not used."
            findings.append(Finding("I_TRANSFORM_OTHER", Severity.INFO, path.name, text))
        found += [GivenTransform(t, path.name, _sha256(path)) for t in joined]
    pairs = [frozenset((t.transform.from_frame, t.transform.to_frame)) for t in found]
    for pair in dict.fromkeys(p for p in pairs if pairs.count(p) > 1):
        names = ", ".join(t.source for t, p in zip(found, pairs, strict=True) if p == pair)
        text = (
            "Several registrations in the folder join the same two frames; none of them is used. "
            "Name one of them in study.toml under transforms."
        )
        findings.append(Finding("W_TRANSFORM_UNUSED", Severity.WARNING, names, text))
    kept = [t for t, p in zip(found, pairs, strict=True) if pairs.count(p) == 1]
    return kept, findings


def _all_pairs(transforms: Sequence[Transform], frames: Sequence[str]) -> list[Transform | None]:
    return [
        _joining(transforms, one, other)
        for number, one in enumerate(frames)
        for other in frames[number + 1 :]
    ]


def _landmarks(entry: HelpEntry, series: Sequence[Placed], where: str) -> LandmarkPairs:
    for key in (entry.fixed, entry.moving):
        _one(key, series, where)
    if entry.path is None:
        points = np.array(entry.fixed_mm), np.array(entry.moving_mm)
        return LandmarkPairs(
            entry.fixed, entry.moving, *points, HelpUse(entry.use), entry.names, where
        )
    first, second, names = read_landmarks_csv(entry.path)
    return LandmarkPairs(
        entry.fixed, entry.moving, first, second, HelpUse(entry.use), names, entry.path.name
    )


def read_landmarks_csv(
    path: Path | str,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], tuple[str, ...]]:
    """Read pairs of landmarks from a table.

    Parameters
    ----------
    path : Path
        CSV with the columns ``fixed_x_mm``, ``fixed_y_mm``, ``fixed_z_mm``, ``moving_x_mm``,
        ``moving_y_mm``, ``moving_z_mm`` (LPS) and, if wanted, ``name``.

    Returns
    -------
    fixed_mm, moving_mm : ndarray, shape (n, 3)
        Points.
    names : tuple of str
        Names; empty when the table has none.

    Raises
    ------
    InputError
        ``E_LANDMARKS`` when the table cannot be read, lacks a column, or has a cell that is no
        finite number.
    """
    file = Path(path)
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            columns = [str(name).strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _fault(f"the table cannot be read ({error})", file.name) from error
    missing = [c for c in _COLUMNS if c not in columns]
    strange = sorted(set(columns) - set(_COLUMNS) - {"name"})
    if missing or strange:
        words = (
            f"lacks the columns {', '.join(missing)}" if missing else f"has a column {strange[0]!r}"
        )
        raise _fault(f"the table {words}", file.name)
    if not rows:
        raise _fault("the table holds no pair", file.name)
    try:
        values = np.array([[float(row[c]) for c in _COLUMNS] for row in rows])
    except (TypeError, ValueError) as error:
        raise _fault(f"a cell of the table is no number ({error})", file.name) from error
    if not np.isfinite(values).all():
        raise _fault("a cell of the table is not finite", file.name)
    names = tuple(str(row["name"] or "") for row in rows) if "name" in columns else ()
    return values[:, :3], values[:, 3:], names


def _fault(message: str, where: str) -> InputError:
    return InputError(
        message,
        code="E_LANDMARKS",
        where=where,
        action=f"give a table with the columns {', '.join(_COLUMNS)}",
    )


def _mask(entry: HelpEntry, series: Sequence[Placed], where: str) -> MetricMask:
    assert entry.path is not None
    frame = _one(entry.fixed, series, where).grid.frame_of_reference
    labels, grid = read_nifti_labels(entry.path, frame_of_reference=frame)
    return MetricMask(entry.fixed, labels > 0, grid, entry.path.name)
