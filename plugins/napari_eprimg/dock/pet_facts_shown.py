"""The facts that SUV depends on, as the check step shows them: value, unit and where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from eprimg.errors import EprimgError
from eprimg.model.acquisition import Known, Origin, PETAcquisition
from eprimg.model.study import Role

if TYPE_CHECKING:
    from eprimg.io.entries import SeriesEntry
    from napari_eprimg.reading.reading import Reading

__all__ = ["FACTS", "Fact", "header_facts", "read_value", "write_value"]


@dataclass(frozen=True)
class Fact:
    """One fact that a reader may enter.

    Parameters
    ----------
    key : str
        As in `eprimg.io.pet_entered.ENTERED_KEYS`.
    label : str
        For a person, with the unit.
    kind : str
        ``number``, ``instant``, ``sex`` or ``nuclide``.
    needed : bool
        True when SUVbw cannot be computed without it.
    """

    key: str
    label: str
    kind: str
    needed: bool = False


FACTS: Final = (
    Fact("weight_kg", "Body weight (kg)", "number", needed=True),
    Fact("dose_mbq", "Injected activity (MBq)", "number", needed=True),
    Fact("injection_instant", "Injection, date and time", "instant", needed=True),
    Fact("reference_instant", "Decay reference, date and time", "instant"),
    Fact("nuclide", "Nuclide", "nuclide", needed=True),
    Fact("half_life_s", "Half-life (s)", "number", needed=True),
    Fact("residual_mbq", "Residual activity (MBq)", "number"),
    Fact("residual_instant", "Residual, date and time", "instant"),
    Fact("height_m", "Height (m)", "number"),
    Fact("sex", "Sex", "sex"),
)
"""In the order of the form."""


def read_value(fact: Fact, text: str) -> Any:
    """Turn what was typed into a value.

    Parameters
    ----------
    fact : Fact
        Which fact.
    text : str
        What was typed.

    Returns
    -------
    float, datetime or str
        Ready for `Reading.enter`.

    Raises
    ------
    ValueError
        In words, when it is no number, or no date with a time.
    """
    text = text.strip()
    if fact.kind == "number":
        try:
            return float(text.replace(",", "."))
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
    if fact.kind == "instant":
        try:
            if len(text) > len("2024-05-17"):
                return datetime.fromisoformat(text)
        except ValueError:
            pass
        raise ValueError(f"{text!r} is not a date with a time, e.g. 2024-05-17 10:00:00")
    return text


def write_value(value: Any) -> str:
    """Write a value as a reader would type it.

    Parameters
    ----------
    value : object
        Number, instant or word.

    Returns
    -------
    str
        Text that `read_value` reads back.
    """
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def header_facts(reading: Reading) -> Mapping[str, Known[Any]]:
    """Collect what is known about the PET series without what the reader entered.

    Parameters
    ----------
    reading : Reading
        With a plan; the study when it was read.

    Returns
    -------
    Mapping of str to Known
        By key of `FACTS`; facts that headers never hold are not in it.  Empty without a PET
        series.
    """
    plan = reading.plan
    if plan is None:
        return {}
    entries = [e for e in plan.index.series if reading.roles.get(e.key) == Role.PET]
    if not entries or not entries[0].instances:
        return {}
    facts = _from_header(entries[0])
    read = reading.study.find(Role.PET) if reading.study is not None else None
    if read is not None and isinstance(read.acquisition, PETAcquisition):
        settled = read.acquisition
        for key, known in (
            ("injection_instant", settled.injection.instant),
            ("reference_instant", Known(settled.reference_instant, Origin.HEADER)),
        ):
            stated = known.value is not None and known.origin == Origin.HEADER
            if stated and key not in reading.entered:
                facts[key] = known
    return facts


def _from_header(entry: SeriesEntry) -> dict[str, Known[Any]]:
    """Read the facts from the first slice; a header that cannot be read gives none."""
    import pydicom

    from eprimg.io import pet_facts
    from eprimg.io.pet_entered import EnteredFacts
    from eprimg.io.pet_header import header_from_datasets, tag

    first = entry.instances[0].path
    try:
        dataset = pydicom.dcmread(first, stop_before_pixels=True, force=True)
        header, _ = header_from_datasets([dataset], [first.name])
    except (OSError, EprimgError):
        return {}
    nothing = EnteredFacts()
    findings: list[Any] = []
    faults: list[EprimgError] = []
    dose = pet_facts.dose(header, nothing, findings, faults)
    decay = pet_facts.half_life(header, nothing, findings, faults, needed=False)
    if dose.value is not None:
        dose = Known(dose.value / 1e6, dose.origin, dose.where)
    start = "RadiopharmaceuticalStartDateTime"
    instant: Known[Any] = Known(None, Origin.MISSING, tag(start))
    if header.start_datetime:
        instant = Known(_instant(header.start_datetime), Origin.HEADER, tag(start))
    elif header.start_time:
        clock = f"{header.start_time[:2]}:{header.start_time[2:4]}, without a date"
        instant = Known(clock, Origin.HEADER, tag("RadiopharmaceuticalStartTime"))
    return {
        "weight_kg": _only_header(pet_facts.weight(header, nothing, findings, faults)),
        "dose_mbq": _only_header(dose),
        "injection_instant": instant,
        "nuclide": _only_header(decay.nuclide),
        "half_life_s": _only_header(decay.half_life_s),
        "height_m": _only_header(pet_facts.height(header, nothing, findings)),
        "sex": _only_header(pet_facts.sex(header, nothing)),
    }


def _only_header(known: Known[Any]) -> Known[Any]:
    return known if known.value is not None else Known(None, Origin.MISSING, known.where)


def _instant(text: str) -> Any:
    from eprimg.io.clocks import parse_datetime

    try:
        return parse_datetime(text, where="")
    except EprimgError:
        return text
