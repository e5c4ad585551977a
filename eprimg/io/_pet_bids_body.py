"""Body size of a PET-BIDS volume: the user, the side-car, ``participants.tsv``, else a refusal."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eprimg.errors import EprimgError, MissingTagError
from eprimg.io.pet_entered import EnteredFacts
from eprimg.model.acquisition import Known, Origin

__all__ = ["side_car_body", "side_car_number"]

_SUBJECT = re.compile(r"sub-[0-9A-Za-z]+")
_HEAVIEST_KG = 1000.0
_LEVELS = 6


def side_car_number(car: Mapping[str, Any], key: str) -> float | None:
    """Read a finite number, also from a list of one.

    Parameters
    ----------
    car : Mapping
        Content of the side-car.
    key : str
        Its key.

    Returns
    -------
    float or None
        None for anything else; text is no number.
    """
    value = car.get(key)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def side_car_body(
    car: Mapping[str, Any], path: Path, known: EnteredFacts, faults: list[EprimgError]
) -> tuple[Known[float], Known[float], Known[str]]:
    """Find weight, height and sex.

    Parameters
    ----------
    car : Mapping
        Content of the side-car.
    path : Path
        NIfTI file; ``participants.tsv`` is looked for above it.
    known : EnteredFacts
        Facts that the user entered; they win.
    faults : list of EprimgError
        ``E_SUV_WEIGHT`` is appended here.

    Returns
    -------
    weight_kg, height_m, sex : Known
        Weight: entered, side-car, ``participants.tsv`` with its unit stated as kg, else missing.
    """
    table = _participant(path)
    weight: Known[float] = Known(None, Origin.MISSING, "side-car BodyWeight, participants.tsv")
    if known.weight_kg is not None:
        weight = Known(known.weight_kg, Origin.ENTERED, "study.toml [patient] weight_kg")
    else:
        for key in ("BodyWeight", "PatientWeight"):
            if key in car:
                weight = Known(side_car_number(car, key), Origin.HEADER, f"side-car {key}")
                break
        else:
            if table.get("weight") is not None:
                weight = Known(table["weight"], Origin.HEADER, "participants.tsv weight")
        value = weight.value
        if value is None or not 0 < value <= _HEAVIEST_KG:
            faults.append(
                MissingTagError(
                    "the body weight (kg) is missing or impossible; participants.tsv counts when "
                    'participants.json states its "Units" as "kg"',
                    code="E_SUV_WEIGHT",
                    where=weight.where,
                    value=value,
                    action="enter [patient] weight_kg in study.toml",
                )
            )
    height: Known[float] = Known(None, Origin.MISSING, "side-car PatientSize")
    size = side_car_number(car, "PatientSize")
    if known.height_m is not None:
        height = Known(known.height_m, Origin.ENTERED, "study.toml [patient] height_m")
    elif size is not None and 0 < size <= 3:
        height = Known(size, Origin.HEADER, "side-car PatientSize")
    sex: Known[str] = Known(None, Origin.MISSING, "side-car PatientSex")
    stated = str(car.get("PatientSex", "")).strip().upper()
    if known.sex is not None:
        sex = Known(known.sex, Origin.ENTERED, "study.toml [patient] sex")
    elif stated in ("M", "F", "O"):
        sex = Known(stated, Origin.HEADER, "side-car PatientSex")
    return weight, height, sex


def _participant(path: Path) -> dict[str, float]:
    """Weight in kg of the subject, from the nearest ``participants.tsv`` that states the unit."""
    subjects = _SUBJECT.findall(path.as_posix())
    if not subjects:
        return {}
    for folder in list(path.resolve().parents)[:_LEVELS]:
        table = folder / "participants.tsv"
        if not table.is_file():
            continue
        try:
            about = json.loads((folder / "participants.json").read_text(encoding="utf-8-sig"))
            rows = csv.DictReader(table.read_text("utf-8-sig").splitlines(), delimiter="\t")
            row = next((r for r in rows if r.get("participant_id") == subjects[-1]), {})
            unit = str(about["weight"]["Units"]).strip().lower()
            weight = float(str(row.get("weight")))
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {"weight": weight} if unit in ("kg", "kilogram", "kilograms") else {}
    return {}
