"""Relaxivity models: from the package, or from a user's table of phantom vials (CSV)."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, NamedTuple

from eprimg.config import IronConfig
from eprimg.errors import ConfigError, EprimgError, InputError, raise_faults
from eprimg.io.csv_line import csv_cells
from eprimg.kernels.iron import IRON_G_PER_MOL, linear_curve
from eprimg.kernels.iron_calibration import CalibrationFit, fit_calibration
from eprimg.model.relaxivity import RelaxivityModel
from eprimg.resources import load_resource

__all__ = ["Vials", "fit_vials", "load_relaxivity", "read_vials", "relaxivity_keys"]

CALIBRATION = "calibration"
"""Name of the model that is made from the user's vials."""

_IRON = ("iron_mmol_per_l", "iron_ug_per_ml")
_RATE = "r2star_per_s"
_ERROR = "r2star_se_per_s"
_FIELD = "field_strength_t"
_MEDIUM = "medium"
_COLUMNS = (*_IRON, _RATE, _ERROR, _FIELD, _MEDIUM)
_CODE = "E_IRON_CALIBRATION"


class Vials(NamedTuple):
    """A table of phantom vials.

    Attributes
    ----------
    iron_mmol_per_l, r2star_per_s : tuple of float
        One entry per vial.
    r2star_se_per_s : tuple of float or None
        Standard errors, when the table has the column.
    field_strength_t : float
        Field strength of all vials, in T.
    medium : str
        What the iron was in.
    source : str
        Name of the file and the head of its SHA-256.
    """

    iron_mmol_per_l: tuple[float, ...]
    r2star_per_s: tuple[float, ...]
    r2star_se_per_s: tuple[float, ...] | None
    field_strength_t: float
    medium: str
    source: str


def relaxivity_keys() -> tuple[str, ...]:
    """List the models that can be named.

    Returns
    -------
    tuple of str
        Keys of ``resources/relaxivity.toml``, then ``calibration``.
    """
    return (*load_resource("relaxivity.toml"), CALIBRATION)


def load_relaxivity(config: IronConfig) -> RelaxivityModel | None:
    """Read the model that the settings name.

    Parameters
    ----------
    config : IronConfig
        Settings.

    Returns
    -------
    RelaxivityModel or None
        None when none is named: there is no iron concentration then.

    Raises
    ------
    ConfigError
        ``E_IRON_MODEL`` for a name that does not exist, a calibration without a file, or a file
        without its model.
    InputError
        ``E_IRON_CALIBRATION`` when the vials give no curve.
    """
    if config.model != CALIBRATION:
        if config.calibration_file:
            raise ConfigError(
                "a table of vials is given, but the model is not the calibration",
                code="E_IRON_MODEL",
                where="iron.calibration_file",
                value=config.model,
                action='set iron.model = "calibration", or leave iron.calibration_file empty',
            )
        return _published(config.model) if config.model else None
    if not config.calibration_file:
        raise ConfigError(
            "the model is the calibration, but no table of vials is given",
            code="E_IRON_MODEL",
            where="iron.calibration_file",
            action="give the path of a CSV file (see docs, how-to/iron-calibration)",
        )
    vials = read_vials(config.calibration_file)
    fit = fit_vials(vials, config.calibration_curve)
    curve = fit.curve
    (var_b, both), (_, var_d) = curve.covariance
    return RelaxivityModel(
        CALIBRATION,
        vials.field_strength_t,
        vials.medium,
        (curve.linear, curve.quadratic),
        ((float(var_b), float(both)), (float(both), float(var_d))),
        (curve.low_mmol_per_l, curve.high_mmol_per_l),
        curve.degrees_of_freedom,
        vials.source,
        f"{config.calibration_curve} curve through {len(vials.r2star_per_s)} vials, residual "
        f"standard deviation {fit.residual_sd_per_s:.3g} 1/s",
    )


def fit_vials(vials: Vials, curve: str) -> CalibrationFit:
    """Fit the curve through the vials.

    Parameters
    ----------
    vials : Vials
        The table.
    curve : str
        ``linear`` or ``quadratic``.

    Returns
    -------
    CalibrationFit
        With covariance, for `eprimg.kernels.iron_calibration.calibration_band`.

    Raises
    ------
    InputError
        ``E_IRON_CALIBRATION``.
    """
    try:
        return fit_calibration(
            vials.iron_mmol_per_l,
            vials.r2star_per_s,
            r2star_se_per_s=vials.r2star_se_per_s,
            degree=2 if curve == "quadratic" else 1,
        )
    except InputError as error:
        raise InputError(
            error.message,
            code=error.code,
            where=vials.source,
            value=error.value,
            action=error.action,
            faults=error.faults,
        ) from error


def read_vials(path: Path | str) -> Vials:
    """Read a table of phantom vials.

    Parameters
    ----------
    path : Path
        CSV with a head line: ``iron_mmol_per_l`` (or ``iron_ug_per_ml``), ``r2star_per_s``,
        ``field_strength_t``, ``medium`` and, if known, ``r2star_se_per_s``; one line per vial,
        decimal points.  Lines that begin with ``#`` are remarks.

    Returns
    -------
    Vials
        Concentrations in mmol/L.

    Raises
    ------
    InputError
        ``E_IRON_CALIBRATION``, listing every fault with its line.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the table of vials cannot be read: {error}", code=_CODE, where=path.name
        ) from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    faults: list[EprimgError] = []
    first = _cells(lines[0], path.name, faults) if lines else []
    head = [name.strip() for name in first]
    raise_faults(faults)
    faults += _head_faults(head, path.name)
    raise_faults(faults)
    rows = []
    for line in lines[1:]:
        if cells := _cells(line, path.name, faults):
            rows.append(_row(head, cells, f"{path.name}, line {line[0]}", faults))
    raise_faults(faults)
    media = {str(row[_MEDIUM]) for row in rows}
    fields = {float(row[_FIELD]) for row in rows}
    if not rows:
        faults.append(_fault("the table holds no vial", path.name, None))
    if len(media) > 1:
        faults.append(_fault("the vials have several media", path.name, sorted(media)))
    if any(not field > 0.0 for field in fields) or len(fields) > 1:
        said = "all vials need one field strength above 0"
        faults.append(_fault(said, path.name, sorted(fields)))
    raise_faults(faults)
    iron = next(name for name in _IRON if name in head)
    to_mmol = 1.0 if iron == _IRON[0] else 1.0 / IRON_G_PER_MOL
    errors = tuple(float(row[_ERROR]) for row in rows) if _ERROR in head else None
    return Vials(
        tuple(float(row[iron]) * to_mmol for row in rows),
        tuple(float(row[_RATE]) for row in rows),
        errors,
        fields.pop(),
        media.pop(),
        f"{path.name}, SHA-256 {hashlib.sha256(raw).hexdigest()[:16]}",
    )


def _published(key: str) -> RelaxivityModel:
    models = load_resource("relaxivity.toml")
    if key not in models:
        raise ConfigError(
            f"there is no relaxivity model {key!r}",
            code="E_IRON_MODEL",
            where="iron.model",
            value=key,
            action=f"use one of {', '.join(relaxivity_keys())}",
        )
    row: dict[str, Any] = models[key]
    low, high = row["range_mmol_per_l"]
    curve = linear_curve(
        row["r2star_l_per_mmol_s"],
        standard_error=row["standard_error"],
        low_mmol_per_l=low,
        high_mmol_per_l=high,
    )
    return RelaxivityModel(
        key,
        float(row["field_strength_t"]),
        row["medium"],
        (curve.linear, 0.0),
        ((float(curve.covariance[0, 0]), 0.0), (0.0, 0.0)),
        (low, high),
        citation=row["citation"],
        note=row["note"],
    )


def _cells(line: tuple[int, str], name: str, faults: list[EprimgError]) -> list[str]:
    """Split a numbered line; empty, and a fault more, when it cannot be split."""
    number, text = line
    try:
        return csv_cells(text)
    except ValueError as error:
        faults.append(_fault(str(error), f"{name}, line {number}", text))
        return []


def _head_faults(head: list[str], where: str) -> list[InputError]:
    found = []
    unknown = [name for name in head if name not in _COLUMNS]
    if unknown or len(set(head)) != len(head):
        said = "the head line has columns that are not known, or one twice"
        found.append(_fault(said, where, unknown or head))
    if sum(name in head for name in _IRON) != 1:
        found.append(
            _fault(f"the table needs one of the columns {' and '.join(_IRON)}", where, head)
        )
    missing = [name for name in (_RATE, _FIELD, _MEDIUM) if name not in head]
    if missing:
        found.append(_fault("columns are missing", where, missing))
    return found


def _row(
    head: list[str], cells: list[str], where: str, faults: list[EprimgError]
) -> dict[str, float | str]:
    row: dict[str, float | str] = dict.fromkeys(head, math.nan)
    row[_MEDIUM] = ""
    if len(cells) != len(head):
        faults.append(_fault(f"the line has {len(cells)} cells, not {len(head)}", where, None))
        return row
    for name, cell in zip(head, cells, strict=True):
        if name == _MEDIUM:
            row[name] = cell.strip()
            if not cell.strip():
                faults.append(_fault("the medium is empty", where, None))
            continue
        try:
            row[name] = float(cell)
        except ValueError:
            faults.append(_fault(f"{name} is not a number", where, cell))
            continue
        if not math.isfinite(float(row[name])):
            faults.append(_fault(f"{name} is not finite", where, cell))
    return row


def _fault(message: str, where: str, value: object) -> InputError:
    return InputError(
        message,
        code=_CODE,
        where=where,
        value=value,
        action="mend the table (see docs, how-to/iron-calibration)",
    )
