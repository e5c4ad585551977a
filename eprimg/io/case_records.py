"""A case as plain records for ``patient.json`` and ``provenance.json``."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eprimg.config import Config
from eprimg.io.output_folder import output_path
from eprimg.model.case import Case, Severity
from eprimg.model.displacement import Displacement
from eprimg.model.transform import Registration

__all__ = ["patient_record", "provenance_record", "registration_record", "transform_path"]


def patient_record(case: Case) -> dict[str, Any]:
    """Describe the patient's outcome for ``patient.json``.

    Parameters
    ----------
    case : Case
        A finished case.

    Returns
    -------
    dict
        Timepoints, tiers, regions, registrations, findings, entered facts; a pseudonym and no
        other identity.
    """
    lesions = case.lesions.regions if case.lesions else ()
    return {
        "pseudonym": case.study.pseudonym,
        "timepoints": [
            {"label": t.label, "instant": t.instant, "series": [s.key for s in t.series]}
            for t in case.study.timepoints
        ],
        "tiers": [asdict(t) for t in case.patient_tiers],
        "schemes": [asdict(s) for s in case.schemes],
        "regions": [
            {
                "id": r.id,
                "name": r.name,
                "role": r.role,
                "source": r.source,
                "anatomy": r.anatomy,
                "tracking_uid": r.tracking_uid,
                "notes": r.notes,
                # uptake in PET against the outline on MR; null where it does not stand out
                "uptake_apart_mm": case.uptake_apart_mm.get(r.id),
                "tiers": [asdict(t) for t in r.tiers],
            }
            for r in lesions
        ],
        "registrations": [registration_record(r) for r in case.registrations],
        "findings": [asdict(f) for f in case.findings],
        "worst_finding": next(
            (
                s.value
                for s in (Severity.ERROR, Severity.WARNING, Severity.INFO)
                if any(f.severity == s for f in case.findings)
            ),
            None,
        ),
        "entered": dict(case.study.overrides),
        "notice": "Research use only; not a medical device.",
    }


def registration_record(registration: Registration) -> dict[str, Any]:
    """Describe a registration for JSON.

    Parameters
    ----------
    registration : Registration
        The record.

    Returns
    -------
    dict
        Keys, engine, file, matrix, bending, figures, outcome.
    """
    bend = registration.transform.displacement
    return {
        "fixed": registration.fixed,
        "moving": registration.moving,
        "engine": registration.engine,
        "accepted": registration.accepted,
        "rejected_by_reader": registration.rejected,
        "note": registration.note,
        "file": transform_path(registration, Path()).as_posix(),
        "matrix_fixed_to_moving_lps_mm": registration.transform.matrix,
        # what the matrix alone does not say: a point p goes to matrix (p + u(p))
        "displacement": None if bend is None else _displacement_record(bend),
        "qc": dict(registration.qc),
        "settings": dict(registration.settings),
    }


def transform_path(registration: Registration, root: Path) -> Path:
    """Return where the transform of a registration is written.

    Parameters
    ----------
    registration : Registration
        The record.
    root : Path
        Output folder.

    Returns
    -------
    Path
        ``.tfm`` for an affine transform, ``.h5`` for a bent one.
    """
    return output_path(
        root,
        "transform" if registration.transform.is_affine else "bent_transform",
        moving=registration.moving.removeprefix("mr_"),
        fixed=registration.fixed.removeprefix("mr_"),
    )


def _displacement_record(bend: Displacement) -> dict[str, Any]:
    return {
        "grid": repr(bend.grid),
        "largest_mm": bend.largest_mm,
        "largest_at_border_mm": bend.largest_at_border_mm,
        "vectors_sha256": hashlib.sha256(bend.vectors_mm.tobytes()).hexdigest(),
    }


def provenance_record(case: Case, config: Config) -> dict[str, Any]:
    """Describe what made the numbers for ``provenance.json``.

    Parameters
    ----------
    case : Case
        A finished case.
    config : Config
        Settings of the run.

    Returns
    -------
    dict
        Versions, hashes, times, settings, sources.
    """
    return {
        **asdict(case.provenance),
        "settings": config.to_dict(),
        "sources": [
            {
                "series": s.key,
                "role": s.role,
                "series_uid": s.source_uid,
                "sha256": s.source_hash,
                "files": s.n_files,
                "grid": repr(s.grid),
            }
            for s in case.study.series
        ],
    }
