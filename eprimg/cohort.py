"""Many measured cases -> a stored reference distribution for cohort-relative tiers."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eprimg.errors import EprimgError, InputError, raise_faults
from eprimg.io.output_folder import output_path, verify_folder
from eprimg.model.lesions import RegionRole, RegionSource
from eprimg.model.tiers import JUDGED_SOURCES, NOT_TIERED, Cohort
from eprimg.quantities import quantity as look_up

__all__ = ["collect_cohort", "write_cohort"]


@dataclass(frozen=True, slots=True)
class _Folder:
    """What one output folder holds for a cohort."""

    path: Path
    pseudonym: str
    input_hash: str
    values: tuple[float, ...]
    not_tiered: int


def _refused_regions(patient: dict[str, Any], quantity: str, statistic: str) -> set[int]:
    """Lesions that a scheme of this measurement could not judge for a reason of their own."""
    # a scheme whose cut-offs failed (no cohort yet) says nothing about the lesions
    failed = {f["where"] for f in patient["findings"] if f["severity"] == "error"}
    judging = {
        s["key"]
        for s in patient["schemes"]
        if (s["quantity"], s["statistic"]) == (quantity, statistic) and s["key"] not in failed
    }
    return {
        r["id"]
        for r in patient["regions"]
        for t in r["tiers"]
        if t["scheme"] in judging and t["label"] == NOT_TIERED
    }


def _read(path: Path, quantity: str, statistic: str) -> _Folder:
    """Read one number per reviewed lesion from a folder's measurements."""
    manifest = verify_folder(path)
    patient = json.loads(output_path(path, "patient").read_text(encoding="utf-8"))
    reviewed = {r["id"] for r in patient["regions"] if r["source"] != RegionSource.CANDIDATE}
    refused = _refused_regions(patient, quantity, statistic)
    source = JUDGED_SOURCES.get(quantity)
    found: dict[int, float] = {}
    with output_path(path, "measurements").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["region_id"])
            if (
                row["role"] != RegionRole.LESION
                or number not in reviewed
                or (row["quantity"], row["statistic"]) != (quantity, statistic)
                or (source is not None and row["source"] != source)
            ):
                continue
            if number in found:
                raise InputError(
                    f"region {number} has several values of {quantity} ({statistic}), and no rule "
                    "says which one counts",
                    code="E_COHORT",
                    where=path.name,
                    action="choose another quantity or statistic",
                )
            found[number] = float(row["value"] or "nan")
    measured = {n: v for n, v in found.items() if math.isfinite(v)}
    return _Folder(
        path,
        str(patient["pseudonym"]),
        str(manifest.get("input_hash", "")),
        tuple(v for n, v in measured.items() if n not in refused),
        len(measured.keys() & refused),
    )


def _repetitions(folders: Sequence[_Folder]) -> list[EprimgError]:
    """Folders of one patient: their lesions would count twice."""
    faults: list[EprimgError] = []
    for what, action in (
        ("pseudonym", "give one folder per patient; set `pseudonym` in study.toml where it is not"),
        ("input_hash", "give one folder per patient"),
    ):
        seen: dict[str, str] = {}
        for folder in folders:
            value = getattr(folder, what)
            if value and value in seen:
                faults.append(
                    InputError(
                        f"{seen[value]} and {folder.path.name} are of one patient (the same "
                        f"{what.replace('_', ' ')})",
                        code="E_COHORT",
                        where=folder.path.name,
                        value=value,
                        action=action,
                    )
                )
            seen.setdefault(value, folder.path.name)
    return faults


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
    its values come from.  Of several measurements of a quantity the one counts that tiers judge
    (`eprimg.model.tiers.JUDGED_SOURCES`).  Left out are automatic candidates that nobody confirmed,
    and lesions that a scheme of the same quantity and statistic refused to tier; ``notes`` says how
    many.

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
        folders repeat, are of one patient, or hold no such number.
    """
    look_up(quantity)
    paths = [Path(f).resolve() for f in folders]
    faults = [
        InputError("the folder is named twice", code="E_COHORT", where=p.name)
        for p in sorted({p for p in paths if paths.count(p) > 1})
    ]
    raise_faults(faults)
    read = [_read(p, quantity, statistic) for p in paths]
    raise_faults(_repetitions(read))
    values = [v for folder in read for v in folder.values]
    left_out = sum(folder.not_tiered for folder in read)
    notes = (
        f"{left_out} measured lesion{'' if left_out == 1 else 's'} left out, because a "
        "scheme of this measurement refused to tier them"
        if left_out
        else ""
    )
    if not values:
        raise InputError(
            f"no reviewed lesion of these folders has a {statistic} of {quantity}"
            + (f" that may be used ({notes})" if notes else ""),
            code="E_COHORT",
            action="check quantity and statistic against measurements.csv",
        )
    patients = sum(bool(folder.values) for folder in read)
    return Cohort(key, quantity, statistic, tuple(sorted(values)), patients, citation, notes)


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
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps({"cohorts": [asdict(c) for c in cohorts]}, indent=2)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
    return path
