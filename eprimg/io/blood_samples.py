"""Blood samples from a CSV file: activity over time, decay-corrected to the injection."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from eprimg.config import KineticsConfig
from eprimg.errors import EprimgError, InputError, raise_faults
from eprimg.io.csv_line import csv_cells
from eprimg.kernels.kinetic_input import decay_corrected_to_injection
from eprimg.model.acquisition import PETAcquisition, seconds_between
from eprimg.model.plasma import PlasmaInput
from eprimg.model.study import Role, Study

__all__ = ["BloodSamples", "load_plasma", "read_blood_samples", "samples_hash"]

Specimen = Literal["whole_blood", "plasma"]

_TIMES: Final = {
    "seconds_since_injection": 1.0,
    "minutes_since_injection": 60.0,
    "hours_since_injection": 3600.0,
}
_INSTANT: Final = "instant"
_ACTIVITIES: Final = {
    "bq_per_ml": (1.0, False),
    "kbq_per_ml": (1e3, False),
    "bq_per_g": (1.0, True),
    "kbq_per_g": (1e3, True),
}
"""Unit -> factor to Bq, and whether it is per gram."""

_CORRECTIONS: Final = ("injection", "sample")
_SPECIMENS: Final = ("whole_blood", "plasma")
_DENSITY: Final = "density_g_per_ml"
_DENSITY_RANGE: Final = (0.9, 1.2)
_FACTOR_RANGE: Final = (0.5, 2.0)
"""House rules: a density or a ratio of two calibrated instruments outside of these is a mistake."""

_MOST_HALF_LIVES, _LONGEST_S = 20.0, 30.0 * 86400.0
"""House rules: after 20 half-lives a millionth of the activity is left, which no well counter finds
in blood; a sample later than that, or than 30 days, has its time in another unit or date."""

_KNOWN: Final = (
    *_TIMES,
    _INSTANT,
    *(f"activity_{unit}" for unit in _ACTIVITIES),
    *(f"sd_{unit}" for unit in _ACTIVITIES),
    _DENSITY,
    "decay_corrected_to",
    "specimen",
)


@dataclass(frozen=True, eq=False, slots=True)
class BloodSamples:
    """Samples ready for `eprimg.kernels.kinetic_input.fit_input_function`.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n,)
        Seconds since injection, strictly rising.
    activity_bq_per_ml : ndarray of float64, shape (n,)
        Activity concentration, decay-corrected to the injection, as the scanner would read it.
    sd_bq_per_ml : ndarray of float64, shape (n,), or None
        Standard deviation of each sample in the same unit; None when the file has none.
    specimen : {"whole_blood", "plasma"}
        What was counted.
    facts : Mapping
        How the numbers were made: file, unit, density, decay correction, half-life,
        cross-calibration, each with its origin.
    """

    times_s: NDArray[np.float64]
    activity_bq_per_ml: NDArray[np.float64]
    sd_bq_per_ml: NDArray[np.float64] | None
    specimen: Specimen
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Table:
    """Cells of the file, with the faults found so far."""

    name: str
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]
    faults: list[EprimgError]

    def fault(self, message: str, *, line: int | None = None, value: object = None) -> None:
        where = self.name if line is None else f"{self.name}, line {line}"
        self.faults.append(_fault(message, where, value))

    def cells(self, line: int, text: str) -> list[str]:
        """Split a line; note the fault and return nothing when that cannot be done."""
        try:
            return [cell.strip() for cell in csv_cells(text)]
        except ValueError as error:
            self.fault(str(error), line=line, value=text)
            return []

    def number(self, line: int, cells: Mapping[str, str], column: str) -> float:
        """Read a finite number, or note the fault."""
        text = cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.fault(f"{column} is not a finite number", line=line, value=text)
        return value


def read_blood_samples(
    path: Path | str,
    *,
    half_life_s: float,
    injection_instant: datetime | None = None,
    decay_corrected_to: Literal["injection", "sample"] | None = None,
    specimen: Specimen | None = None,
    density_g_per_ml: float | None = None,
    pet_over_well_counter: float | None = None,
) -> BloodSamples:
    """Read blood samples from a CSV file with a header line.

    Parameters
    ----------
    path : Path
        UTF-8, comma separated; lines that begin with ``#`` are left out.  One column of time
        (``seconds_since_injection``, ``minutes_since_injection``, ``hours_since_injection``, or
        ``instant`` with date and time), one of activity (``activity_bq_per_ml``,
        ``activity_kbq_per_ml``, ``activity_bq_per_g``, ``activity_kbq_per_g``), optionally one of
        its standard deviation (``sd_`` and the same unit), ``density_g_per_ml``,
        ``decay_corrected_to`` and ``specimen``.
    half_life_s : float
        Half-life of the nuclide in s.
    injection_instant : datetime, optional
        Needed for a column ``instant``.
    decay_corrected_to : {"injection", "sample"}, optional
        To what the numbers are decay-corrected: to the injection, or each to its own sampling
        (what was in the blood when it was drawn).  The column of that name says the same; one of
        the two is needed.
    specimen : {"whole_blood", "plasma"}, optional
        What was counted; the column says the same, one of the two is needed.
    density_g_per_ml : float, optional
        Density of the specimen in g/mL for activities per gram; or the column of that name.
    pet_over_well_counter : float, optional
        Cross-calibration: what the scanner reads over what the well counter reads, for one sample.
        Activities and their standard deviations are multiplied by it.

    Returns
    -------
    BloodSamples
        In order of time.

    Raises
    ------
    InputError
        ``E_BLOOD_SAMPLES``, all faults of the file at once: a column that is unknown or there
        twice, a statement that is missing or contradicts an argument, a number that cannot be used,
        samples of the same time, a sample later than 20 half-lives or 30 days.

    Notes
    -----
    Nothing is assumed: without a word on decay correction a late 89Zr sample could mean two numbers
    that differ by a factor of four, and plasma holds up to twice the activity of whole blood.
    ``C = a f rho k exp(lambda t)``, with the unit's factor f, density rho (per gram only),
    cross-calibration k, and the last factor only for ``sample``.
    """
    path = Path(path)
    table = _table(path)
    faults = table.faults
    unit = _one_of(table, {f"activity_{u}": u for u in _ACTIVITIES}, "activity")
    time_column = _one_of(table, {c: c for c in (*_TIMES, _INSTANT)}, "time")
    corrected = _statement(table, "decay_corrected_to", decay_corrected_to, _CORRECTIONS)
    counted = _statement(table, "specimen", specimen, _SPECIMENS)
    for column in (c for c in table.columns if c.startswith("sd_")):
        if unit and column != f"sd_{unit}":
            table.fault(f"{column} has another unit than activity_{unit}")
    factor = 1.0 if pet_over_well_counter is None else float(pet_over_well_counter)
    if not _FACTOR_RANGE[0] <= factor <= _FACTOR_RANGE[1]:
        table.fault(
            f"pet_over_well_counter is not between {_FACTOR_RANGE[0]:g} and {_FACTOR_RANGE[1]:g}",
            value=pet_over_well_counter,
        )
    if time_column == _INSTANT and injection_instant is None:
        table.fault("a column of instants needs the instant of the injection")
    densities = _densities(table, unit, density_g_per_ml)
    raise_faults(faults)
    assert unit
    assert time_column
    times = _times(table, time_column, injection_instant)
    scale = _ACTIVITIES[unit][0] * factor * densities
    activity = np.array([table.number(n, c, f"activity_{unit}") for n, c in table.rows])
    sd = None
    if f"sd_{unit}" in table.columns:
        sd = np.array([table.number(n, c, f"sd_{unit}") for n, c in table.rows])
    _check_numbers(table, times, activity, sd, min(_MOST_HALF_LIVES * half_life_s, _LONGEST_S))
    raise_faults(faults)
    order = np.argsort(times)
    times, activity, scale = times[order], activity[order] * scale[order], scale[order]
    if sd is not None:
        sd = sd[order] * scale
    if corrected == "sample":
        activity = decay_corrected_to_injection(activity, times, half_life_s=half_life_s)
        sd = (
            None if sd is None else decay_corrected_to_injection(sd, times, half_life_s=half_life_s)
        )
    facts = {
        "file": path.name,
        "unit": unit,
        "decay_corrected_to": corrected,
        "half_life_s": half_life_s,
        "density_g_per_ml": densities[order].tolist() if _ACTIVITIES[unit][1] else None,
        "pet_over_well_counter": pet_over_well_counter,
        "pet_over_well_counter_origin": "missing" if pet_over_well_counter is None else "entered",
    }
    return BloodSamples(
        times, activity, sd, "plasma" if counted == "plasma" else "whole_blood", facts
    )


def _table(path: Path) -> _Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _fault(f"the file cannot be read: {error}", path.name, None) from error
    lines = text.splitlines()
    kept = [(n, t) for n, t in enumerate(lines, start=1) if t.strip() and t.lstrip()[0] != "#"]
    faults: list[EprimgError] = []
    if not kept:
        raise _fault("the file has no header line", path.name, None)
    table = _Table(path.name, [], [], faults)
    columns = table.columns = table.cells(*kept[0])
    raise_faults(faults)
    for column in dict.fromkeys(columns):
        if column not in _KNOWN:
            table.fault(f"there is no column {column!r}; known are {', '.join(_KNOWN)}")
        elif columns.count(column) > 1:
            table.fault(f"the column {column!r} is there twice")
    for number, line in kept[1:]:
        cells = table.cells(number, line)
        if not cells:
            continue
        if len(cells) != len(columns):
            table.fault(f"{len(cells)} cells, but {len(columns)} columns", line=number)
            continue
        table.rows.append((number, dict(zip(columns, cells, strict=True))))
    if len(kept) == 1:
        table.fault("there is no sample")
    raise_faults(faults)
    return table


def load_plasma(config: KineticsConfig, study: Study) -> PlasmaInput | None:
    """Read blood samples with what the PET series of a study says of nuclide and injection.

    Parameters
    ----------
    config : KineticsConfig
        ``blood_samples``, a CSV file that states specimen and decay correction itself (empty: there
        are no samples), and ``pet_over_well_counter`` (1: not stated).
    study : Study
        What was read.

    Returns
    -------
    PlasmaInput or None
        In order of time; None without a file.

    Raises
    ------
    InputError
        ``E_BLOOD_SAMPLES``, also when the study has no PET or its half-life is not known.
    """
    if not (path := config.blood_samples):
        return None
    pet = study.find(Role.PET)
    facts = pet.acquisition if pet is not None else None
    half_life = facts.injection.half_life_s.value if isinstance(facts, PETAcquisition) else None
    if half_life is None or not isinstance(facts, PETAcquisition):
        raise _fault("the study has no PET series of a known half-life", Path(path).name, None)
    instant = facts.injection.instant.value
    factor = config.pet_over_well_counter if config.pet_over_well_counter != 1.0 else None
    read = read_blood_samples(
        path, half_life_s=half_life, injection_instant=instant, pet_over_well_counter=factor
    )
    words = f"{read.times_s.size} samples of {read.facts['file']}"
    words += "" if factor is None else f", scanner over well counter {factor:g} (entered)"
    values = (read.times_s, read.activity_bq_per_ml, read.sd_bq_per_ml)
    return PlasmaInput(*values, read.specimen == "plasma", words, factor)


def samples_hash(path: Path | str) -> str:
    """Hash a file of blood samples, so that a run knows when it has changed.

    Parameters
    ----------
    path : Path
        CSV file.

    Returns
    -------
    str
        SHA-256 of its content.

    Raises
    ------
    InputError
        ``E_BLOOD_SAMPLES`` when it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise _fault(f"the file cannot be read: {error}", Path(path).name, None) from error


def _one_of(table: _Table, choices: Mapping[str, str], what: str) -> str:
    found = [choices[c] for c in table.columns if c in choices]
    if len(found) != 1:
        table.fault(
            f"one column of {what} is needed: {', '.join(choices)}", value=", ".join(found) or None
        )
        return ""
    return found[0]


def _statement(table: _Table, name: str, given: str | None, choices: tuple[str, ...]) -> str:
    """Return what column and argument say; they must agree, and one of them must speak."""
    said = {given} if given is not None else set()
    if name in table.columns:
        said |= {cells[name] for _, cells in table.rows}
    if not said:
        table.fault(f"{name} is not stated; say one of {', '.join(choices)}")
    elif len(said) > 1:
        table.fault(f"{name} is stated in more than one way", value=sorted(map(str, said)))
    elif not said <= set(choices):
        table.fault(f"{name} is one of {', '.join(choices)}", value=next(iter(said)))
    return str(next(iter(said), ""))


def _densities(table: _Table, unit: str, given: float | None) -> NDArray[np.float64]:
    n = len(table.rows)
    ones = np.ones(n)
    if not unit or not _ACTIVITIES[unit][1]:
        return ones
    if _DENSITY in table.columns:
        values = np.array([table.number(line, cells, _DENSITY) for line, cells in table.rows])
        if given is not None and not np.allclose(values, given, rtol=1e-9):
            table.fault("the density of the file is not the one that was given", value=given)
    elif given is None:
        table.fault("activity per gram needs a density (column or argument density_g_per_ml)")
        return ones
    else:
        values = np.full(n, float(given))
    low, high = _DENSITY_RANGE
    if not np.all((values >= low) & (values <= high)):
        table.fault(f"a density is not between {low:g} and {high:g} g/mL", value=values.tolist())
    return values


def _times(table: _Table, column: str, injected: datetime | None) -> NDArray[np.float64]:
    if column != _INSTANT:
        return np.array([_TIMES[column] * table.number(n, c, column) for n, c in table.rows])
    assert injected is not None
    times = []
    for line, cells in table.rows:
        text = cells[column]
        try:
            if len(text) <= len("2024-01-01"):
                raise ValueError(text)
            instant = datetime.fromisoformat(text)
            times.append(seconds_between(injected, instant, where=f"{table.name}, line {line}"))
        except (ValueError, EprimgError):
            table.fault(
                "instant is not a date with a time on the clock of the injection",
                line=line,
                value=text,
            )
            times.append(math.nan)
    return np.array(times)


def _check_numbers(
    table: _Table,
    times: NDArray[np.float64],
    activity: NDArray[np.float64],
    sd: NDArray[np.float64] | None,
    latest_s: float,
) -> None:
    for (line, _), t, a in zip(table.rows, times, activity, strict=True):
        if t < 0:
            table.fault("the sample is earlier than the injection", line=line, value=float(t))
        if t > latest_s:
            said = f"the sample is {t / 3600:.4g} h after the injection, beyond {latest_s / 3600:g}"
            table.fault(f"{said} h: check unit and date", line=line, value=float(t))
        if a <= 0:
            table.fault("the activity is not positive", line=line, value=float(a))
    if sd is not None:
        for (line, _), s in zip(table.rows, sd, strict=True):
            if s <= 0:
                table.fault("the standard deviation is not positive", line=line, value=float(s))
    if len(set(times.tolist())) != times.size:
        table.fault("two samples have the same time; average them or leave one out")


def _fault(message: str, where: str, value: object) -> InputError:
    return InputError(
        message,
        code="E_BLOOD_SAMPLES",
        where=where,
        value=value,
        action="mend the file, or say what is missing in the call",
    )
