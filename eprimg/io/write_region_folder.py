"""What ``eprimg segment`` leaves on disk: a label volume, its names, one row per region."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eprimg.io.output_folder import check_target, output_path, whole_folder
from eprimg.io.write_maps import write_labels
from eprimg.model.lesions import LesionSet

__all__ = ["REGION_COLUMNS", "region_rows_csv", "write_region_folder"]

REGION_COLUMNS = (
    "id",
    "name",
    "status",
    "method",
    "centre_x_lps_mm",
    "centre_y_lps_mm",
    "centre_z_lps_mm",
    "n_voxels",
    "volume_ml",
    "equivalent_diameter_mm",
    "unit",
    "max",
    "peak",
    "mean",
    "threshold",
    "background",
    "below_resolution",
    "clipped",
    "note",
)
"""Columns of ``regions.csv``; an empty cell is a number that is not known, and the note says why.

``status`` is ``candidate``, ``left out`` or ``failed``.  ``volume_ml`` is that of the finer grid
that the outline was drawn on, ``n_voxels`` that of the label volume.
"""


def region_rows_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as CSV.

    Parameters
    ----------
    rows : sequence of Mapping
        Values by column; a missing or NaN one stays empty.

    Returns
    -------
    str
        Text with a head line.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(REGION_COLUMNS)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in REGION_COLUMNS])
    return text.getvalue()


def write_region_folder(
    lesions: LesionSet,
    rows: Sequence[Mapping[str, Any]],
    out: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write ``labels.nii.gz``, ``labels.json`` and ``regions.csv``, whole or not at all.

    Parameters
    ----------
    lesions : LesionSet
        Regions.
    rows : sequence of Mapping
        See `REGION_COLUMNS`.
    out : Path
        Output folder.
    facts : Mapping, optional
        What the manifest says besides the hashes.
    overwrite : bool
        Replace an earlier output folder of eprimg.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        See `check_target` and `whole_folder`.
    """
    check_target(out, overwrite=overwrite)
    with whole_folder(out, dict(facts or {}), overwrite=overwrite) as root:
        write_labels(
            lesions, output_path(root, "single_labels"), output_path(root, "single_label_names")
        )
        table = output_path(root, "single_regions")
        table.write_text(region_rows_csv(rows), encoding="utf-8", newline="")
    return out


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
