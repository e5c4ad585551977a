"""What ``eprimg register`` leaves: a transform for other programs, the moved series, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.engines.transform_files import write_transform
from eprimg.io.output_folder import output_path, whole_folder
from eprimg.io.write_maps import write_json, write_nifti
from eprimg.model.case import Finding
from eprimg.model.grid import Grid
from eprimg.model.transform import Registration

__all__ = ["registration_figures", "write_registration"]


def registration_figures(
    registration: Registration, findings: tuple[Finding, ...] = ()
) -> dict[str, Any]:
    """Describe a registration for other programs.

    Parameters
    ----------
    registration : Registration
        The registration.
    findings : tuple of Finding
        What was noticed.

    Returns
    -------
    dict
        Content of ``qc.json``: verdict (pass, review, fail), reasons, figures with the unit in the
        name, matrix, engine, settings, findings.
    """
    bend = registration.transform.displacement
    return {
        "verdict": str(registration.verdict),
        "reasons": list(registration.reasons),
        "note": registration.note,
        "engine": registration.engine,
        "qc": dict(registration.qc),
        "matrix_fixed_to_moving_lps_mm": registration.transform.matrix,
        "largest_displacement_mm": 0.0 if bend is None else bend.largest_mm,
        "settings": dict(registration.settings),
        "findings": [
            {"code": f.code, "severity": str(f.severity), "where": f.where, "text": f.text}
            for f in findings
        ],
    }


def write_registration(
    out: Path,
    registration: Registration,
    moved: npt.NDArray[np.float32],
    grid: Grid,
    *,
    findings: tuple[Finding, ...] = (),
    facts: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the folder of one registration, whole or not at all.

    Parameters
    ----------
    out : Path
        Output folder.
    registration : Registration
        The registration, accepted or not.
    moved : ndarray of float32, shape (k, j, i)
        The moving series on the fixed grid; NaN where it does not reach.
    grid : Grid
        The fixed grid.
    findings : tuple of Finding
        What was noticed.
    facts : dict, optional
        What the manifest and ``qc.json`` say besides.
    overwrite : bool
        Replace an earlier output folder of eprimg.

    Returns
    -------
    Path
        Of the transform: ``transform.tfm``, or ``transform.h5`` when it is bent.

    Raises
    ------
    OutputError
        As `whole_folder`.
    """
    facts = facts or {}
    transform = registration.transform
    key = "pair_transform" if transform.is_affine else "bent_pair_transform"
    with whole_folder(out, facts, overwrite=overwrite) as root:
        write_transform(transform, output_path(root, key))
        write_nifti(moved, grid, output_path(root, "moved"), text="moving series, fixed grid")
        content = {**registration_figures(registration, findings), **facts}
        write_json({**content, "transform": output_path(Path(), key).name}, output_path(root, "qc"))
    return output_path(out, key)
