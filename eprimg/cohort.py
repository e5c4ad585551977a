"""Many measured cases -> a stored reference distribution for cohort-relative tiers."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

from eprimg.errors import InputError, raise_faults
from eprimg.io.output_folder import output_path, verify_folder
from eprimg.model.tiers import Cohort
from eprimg.quantities import quantity as look_up

__all__ = ["collect_cohort", "write_cohort"]


def _values(folder: Path, quantity: str, statistic: str) -> list[float]:
    """Read one number per confirmed lesion from a folder's measurements."""
    verify_folder(folder)
    patient = json.loads(output_path(folder, "patient").read_text(encoding="utf-8"))
    reviewed = {r["id"] for r in patient["regions"] if r["source"] != "candidate"}
    values = []
    with output_path(folder, "measurements").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (
                row["role"] == "lesion"
                and int(row["region_id"]) in reviewed
                and (row["quantity"], row["statistic"]) == (quantity, statistic)
                and row["source"] != "registered"
                and row["value"]
            ):
                values.append(float(row["value"]))
    return values


def collect_cohort(
    folders: Sequence[Path | str],
    *,
    key: str,
    quantity: str,
    statistic: str,
    citation: str = "",
) -> Cohort:
    """Collect one number per reviewed lesion from output folders of ``eprimg run``.

    Lesions of one patient are not independent; the cohort therefore also says how many patients
    its values come from. Automatic candidates that nobody confirmed are left out.

    Parameters
    ----------
    folders : sequence of Path
        Output folders, one per patient; each is checked against its manifest.
    key : str
        Name and version of the cohort.
    quantity, statistic : str
        Which measurement, e.g. ``pid_per_kg`` and ``peak``.
    citation : str
        Where the patients come from.

    Returns
    -------
    Cohort
        The reference distribution.

    Raises
    ------
    EprimgError
        ``E_OUTPUT_DAMAGED`` for a folder that is not what its manifest says; ``E_COHORT`` when
        folders repeat or hold no such number.
    """
    look_up(quantity)
    paths = [Path(f).resolve() for f in folders]
    faults = [
        InputError("the folder is named twice", code="E_COHORT", where=p.name)
        for p in sorted({p for p in paths if paths.count(p) > 1})
    ]
    raise_faults(faults)
    found = {p: _values(p, quantity, statistic) for p in paths}
    values = [v for each in found.values() for v in each if math.isfinite(v)]
    if not values:
        raise InputError(
            f"no reviewed lesion of these folders has a {statistic} of {quantity}",
            code="E_COHORT",
            action="check quantity and statistic against measurements.csv",
        )
    patients = sum(bool(each) for each in found.values())
    return Cohort(key, quantity, statistic, tuple(sorted(values)), patients, citation)


def write_cohort(cohorts: Sequence[Cohort], path: Path | str) -> Path:
    """Store cohorts as JSON, as ``stratify.cohort_file`` reads them.

    Parameters
    ----------
    cohorts : sequence of Cohort
        Cohorts of different keys.
    path : Path
        New file.

    Returns
    -------
    Path
        The file.
    """
    from dataclasses import asdict

    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps({"cohorts": [asdict(c) for c in cohorts]}, indent=2)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
    return path
