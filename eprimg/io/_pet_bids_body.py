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
_WEIGHT_KEYS = ("BodyWeight", "PatientWeight")
_SAYS_NOTHING = ("", "n/a", "none", "null")
"""BIDS writes "n/a" where a value is not known; converters write the others."""


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
    if known.weight_kg is not None:
        weight = Known(known.weight_kg, Origin.ENTERED, "study.toml [patient] weight_kg")
    else:
        weight = _stated_weight(car, path)
        value = weight.value
        if value is None or not 0 < value <= _HEAVIEST_KG:
            faults.append(
                MissingTagError(
                    "the body weight (kg) is missing or impossible; participants.tsv counts when "
                    'participants.json states its "Units" as "kg" and the rows of the subject '
                    "agree",
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


def _stated_weight(car: Mapping[str, Any], path: Path) -> Known[float]:
    """Take the weight (kg) from the first source that states one; its value may be impossible."""
    for key in _WEIGHT_KEYS:
        stated = car.get(key)
        if isinstance(stated, list) and len(stated) == 1:
            stated = stated[0]
        if not _says_nothing(stated):
            return Known(side_car_number(car, key), Origin.HEADER, f"side-car {key}")
    stated_kg = _participant_weights(path)
    if len(stated_kg) > 1:
        rows = " and ".join(f"{kg:g}" for kg in stated_kg)
        return Known(None, Origin.MISSING, f"participants.tsv weight (its rows state {rows} kg)")
    if stated_kg:
        return Known(stated_kg[0], Origin.HEADER, "participants.tsv weight")
    return Known(None, Origin.MISSING, "side-car BodyWeight, participants.tsv")


def _says_nothing(stated: object) -> bool:
    if stated is None:
        return True
    return isinstance(stated, str) and stated.strip().lower() in _SAYS_NOTHING


def _participant_weights(path: Path) -> list[float]:
    """Different weights in kg of the subject, from the nearest ``participants.tsv``.

    Empty when it does not state the unit, or when a cell of the subject is no number.
    """
    subjects = _SUBJECT.findall(path.as_posix())
    if not subjects:
        return []
    for folder in list(path.resolve().parents)[:_LEVELS]:
        table = folder / "participants.tsv"
        if not table.is_file():
            continue
        try:
            about = json.loads((folder / "participants.json").read_text(encoding="utf-8-sig"))
            rows = csv.DictReader(table.read_text("utf-8-sig").splitlines(), delimiter="\t")
            unit = str(about["weight"]["Units"]).strip().lower()
            cells = [r.get("weight") for r in rows if r.get("participant_id") == subjects[-1]]
            stated = [float(cell) for cell in cells if cell and not _says_nothing(cell)]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return sorted(set(stated)) if unit in ("kg", "kilogram", "kilograms") else []
    return []
