"""The study file (``study.toml``): what a user says about a study beyond its headers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from eprimg.errors import ConfigError, raise_faults
from eprimg.io._study_file_points import read_time_points, with_instants
from eprimg.io.study_clicks import click_content, parse_clicks
from eprimg.io.study_file_help import HelpEntries, parse_help
from eprimg.io.study_file_maps import MapEntry, parse_map_entries
from eprimg.io.study_file_masks import MaskEntry, parse_masks
from eprimg.model.study import Click, Role

__all__ = ["MaskEntry", "StudyFile", "merge_study_files", "parse_study_file", "read_study_file"]

_SECTIONS = {
    "pseudonym": None,
    "roles": None,
    "primary": None,
    "instants": None,
    "injection": {
        "instant": datetime,
        "reference_instant": datetime,
        "dose_mbq": float,
        "dose_bq": float,
        "dose_instant": datetime,
        "residual_mbq": float,
        "residual_instant": datetime,
        "nuclide": str,
        "half_life_s": float,
        "pet_over_dose_calibrator": float,
    },
    "patient": {"weight_kg": float, "height_m": float, "sex": str},
    "spect": {"bq_per_ml_per_count": float, "decay_correction": str},
    "agent": {"instant": datetime, "dose_mg_fe": float, "earlier_instant": datetime},
    "masks": None,
    "maps": None,
    "clicks": None,
    "transforms": None,
    "landmarks": None,
    "metric_masks": None,
}


_INSTANT = "injection_instant"
"""Name of ``injection.instant`` among the entered facts."""

_MOST_IRON_MG = 2000.0
"""More iron in one dose is taken for a wrong unit (a vial of ferumoxytol holds 510 mg).  House
rule."""


@dataclass(frozen=True, slots=True)
class StudyFile:
    """Content of a study file.

    Parameters
    ----------
    pseudonym : str
        Stands for the patient in every output.
    roles : Mapping of str to Role
        Series key or series UID -> role.
    entered : Mapping
        Facts about injection and patient; keys as the PET reader takes them.
    masks : tuple of MaskEntry
        Masks to read instead of those found in the folder.
    source : str
        File name, for messages.
    agent : Mapping
        Facts about the iron-oxide agent: ``instant``, ``dose_mg_fe``, ``earlier_instant``.
    maps : tuple of MapEntry
        Maps made elsewhere that are measured as covariates.
    primary : Mapping of str to str
        Role (``mr_post``, ``pet``) -> key or UID of the series that is the primary time point.
    instants : Mapping of str to datetime
        Key or UID of an MR series without a date -> start of its acquisition.
    clicks : tuple of Click
        Points from which regions are made.
    help : HelpEntries
        Transforms, landmarks and masks that help the alignment.
    """

    pseudonym: str = ""
    roles: Mapping[str, Role] = field(default_factory=dict)
    entered: Mapping[str, Any] = field(default_factory=dict)
    masks: tuple[MaskEntry, ...] = ()
    source: str = ""
    agent: Mapping[str, Any] = field(default_factory=dict)
    maps: tuple[MapEntry, ...] = ()
    primary: Mapping[str, str] = field(default_factory=dict)
    instants: Mapping[str, datetime] = field(default_factory=dict)
    clicks: tuple[Click, ...] = ()
    help: HelpEntries = field(default_factory=HelpEntries)

    def overrides(self) -> dict[str, Any]:
        """List everything that a user entered, for the record.

        Returns
        -------
        dict
            Flat key -> value.
        """
        record: dict[str, Any] = {f"roles.{k}": str(v) for k, v in self.roles.items()}
        record |= dict(self.entered)
        record |= {f"agent.{k}": v for k, v in self.agent.items()}
        record |= {f"primary.{k}": v for k, v in self.primary.items()}
        record |= {f"instants.{k}": v for k, v in self.instants.items()}
        record |= {f"masks.{n}": m.words() for n, m in enumerate(self.masks, start=1)}
        record |= {f"maps.{m.key}": m.path.name for m in self.maps}
        record |= {f"clicks.{n}": click_content(c) for n, c in enumerate(self.clicks, start=1)}
        return record | self.help.overrides()

    def to_content(self) -> dict[str, Any]:
        """Return what a file of the same content would hold.

        Returns
        -------
        dict
            Sections as `parse_study_file` takes them; empty ones are left out.
        """
        facts = {("instant" if k == _INSTANT else k): v for k, v in self.entered.items()}
        patient, spect = _SECTIONS["patient"] or {}, _SECTIONS["spect"] or {}
        content: dict[str, Any] = {
            "pseudonym": self.pseudonym,
            "roles": {k: str(v) for k, v in self.roles.items()},
            "injection": {k: v for k, v in facts.items() if k not in {*patient, *spect}},
            "patient": {k: v for k, v in facts.items() if k in patient},
            "spect": {k: v for k, v in facts.items() if k in spect},
            "agent": dict(self.agent),
            "primary": dict(self.primary),
            "instants": dict(self.instants),
            "masks": [m.to_content() for m in self.masks],
            "maps": [m.to_content() for m in self.maps],
            "clicks": [click_content(c) for c in self.clicks],
            **self.help.to_content(),
        }
        return {k: v for k, v in content.items() if v}


def _check_section(name: str, content: Any, where: str, faults: list[ConfigError]) -> None:
    kinds = _SECTIONS[name]
    assert kinds is not None
    if not isinstance(content, Mapping):
        faults.append(ConfigError(f"{name!r} is a section", code="E_STUDY_FILE", where=where))
        return
    for key, value in content.items():
        path = f"{name}.{key}"
        if key not in kinds:
            faults.append(
                ConfigError(
                    f"there is no key {path!r}",
                    code="E_STUDY_FILE",
                    where=where,
                    action=f"use one of {', '.join(kinds)}",
                )
            )
            continue
        kind = kinds[key]
        if kind is datetime and isinstance(value, date) and not isinstance(value, datetime):
            faults.append(
                ConfigError(
                    f"{path!r} needs a date and a time",
                    code="E_SUV_TIME",
                    where=where,
                    value=value,
                    action="write e.g. 2026-03-01T10:30:00",
                )
            )
        elif kind is float and (isinstance(value, bool) or not isinstance(value, int | float)):
            faults.append(
                ConfigError(f"{path!r} is a number", code="E_STUDY_FILE", where=where, value=value)
            )
        elif kind is not float and not isinstance(value, kind):
            faults.append(
                ConfigError(
                    f"{path!r} must be of type {kind.__name__}",
                    code="E_STUDY_FILE",
                    where=where,
                    value=value,
                )
            )


def _roles(content: Any, where: str, faults: list[ConfigError]) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    if not isinstance(content, Mapping):
        faults.append(
            ConfigError("'roles' is a section", code="E_STUDY_FILE", where=where, value=content)
        )
        return roles
    for key, value in content.items():
        try:
            roles[str(key)] = Role(str(value))
        except ValueError:
            faults.append(
                ConfigError(
                    f"roles.{key} is not a role",
                    code="E_STUDY_FILE",
                    where=where,
                    value=value,
                    action=f"use one of {', '.join(Role)}",
                )
            )
    return roles


def read_study_file(path: Path | str) -> StudyFile:
    """Read and check a study file.

    Parameters
    ----------
    path : Path
        TOML file with the sections ``pseudonym``, ``[roles]``, ``[primary]``, ``[instants]``,
        ``[injection]``, ``[patient]``, ``[spect]``, ``[agent]``, ``[[masks]]``, ``[[maps]]``,
        ``[[clicks]]``, ``[[transforms]]``, ``[[landmarks]]`` and ``[[metric_masks]]``; all are
        optional.

    Returns
    -------
    StudyFile
        Checked content.

    Raises
    ------
    ConfigError
        ``E_STUDY_FILE`` (or ``E_SUV_TIME`` for a bare date), listing every fault.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"the study file cannot be read: {error}", code="E_STUDY_FILE", where=path.name
        ) from error
    return parse_study_file(content, folder=path.parent, source=path.name)


def parse_study_file(
    content: Mapping[str, Any],
    *,
    folder: Path = Path(),
    source: str = "facts",
    instants_as_text: bool = False,
) -> StudyFile:
    """Check the content of a study file, or facts that were entered elsewhere.

    Parameters
    ----------
    content : Mapping
        ``pseudonym`` and the sections ``roles``, ``primary``, ``instants``, ``injection``,
        ``patient``, ``agent``, ``spect``, ``masks``, ``maps`` and ``clicks``, as in the file.
        The facts of ``injection``, ``patient`` and ``spect`` may also stand alone by the names
        under which they are recorded, e.g. ``weight_kg``, ``dose_mbq``, ``injection_instant``.
    folder : Path
        Where relative paths of masks and maps start.
    source : str
        File name or origin, for messages.
    instants_as_text : bool
        Instants are ISO 8601 text, as in a table or in JSON.

    Returns
    -------
    StudyFile
        Checked content.

    Raises
    ------
    ConfigError
        ``E_STUDY_FILE`` (or ``E_SUV_TIME`` for a bare date), listing every fault.
    """
    content = _in_sections(content)
    if instants_as_text:
        content = _with_instants(content)
    faults: list[ConfigError] = []
    for key in content:
        if key not in _SECTIONS:
            faults.append(
                ConfigError(
                    f"there is no section {key!r}",
                    code="E_STUDY_FILE",
                    where=source,
                    action=f"use one of {', '.join(_SECTIONS)}",
                )
            )
    for name in ("injection", "patient", "spect", "agent"):
        if name in content:
            _check_section(name, content[name], source, faults)
    _check_iron(content.get("agent"), source, faults)
    roles = _roles(content.get("roles", {}), source, faults)
    primary, instants = read_time_points(content, source, faults)
    masks = parse_masks(content.get("masks", []), folder, source, faults)
    maps = parse_map_entries(content.get("maps", []), folder, source, faults)
    clicks = parse_clicks(content.get("clicks", []), source, faults)
    help_ = parse_help(content, folder, source, faults)
    raise_faults(faults)
    injection = dict(content.get("injection", {}))
    entered: dict[str, Any] = {**content.get("patient", {}), **content.get("spect", {})}
    if "instant" in injection:
        entered[_INSTANT] = injection.pop("instant")
    entered |= injection
    agent = dict(content.get("agent", {}))
    name = str(content.get("pseudonym", ""))
    points = (primary, instants, clicks)
    return StudyFile(name, roles, entered, masks, source, agent, maps, *points, help=help_)


def _check_iron(agent: Any, where: str, faults: list[ConfigError]) -> None:
    """Refuse a dose of iron that nobody can have been given."""
    dose = agent.get("dose_mg_fe") if isinstance(agent, Mapping) else None
    if isinstance(dose, bool) or not isinstance(dose, int | float):
        return
    if not 0.0 < dose <= _MOST_IRON_MG:
        faults.append(
            ConfigError(
                f"'agent.dose_mg_fe' must be above 0 and at most {_MOST_IRON_MG:g} mg",
                code="E_STUDY_FILE",
                where=where,
                value=dose,
                action="give the iron of the dose in mg, e.g. 510 for one vial of ferumoxytol",
            )
        )


def _in_sections(content: Mapping[str, Any]) -> dict[str, Any]:
    """Put facts that stand alone into their sections."""
    sorted_in: dict[str, Any] = {k: v for k, v in content.items() if k in _SECTIONS}
    for key, value in content.items():
        if key in _SECTIONS:
            continue
        own = "instant" if key == _INSTANT else key
        section = next((n for n, kinds in _SECTIONS.items() if kinds and own in kinds), None)
        if section is None or own == key == "instant":
            sorted_in[key] = value  # refused with its name
        else:
            sorted_in[section] = {**sorted_in.get(section, {}), own: value}
    return sorted_in


def _with_instants(content: dict[str, Any]) -> dict[str, Any]:
    """Read instants from text; what is none is left for the check to name."""
    content = dict(content)
    for name in ("injection", "agent"):
        section = content.get(name)
        if not isinstance(section, Mapping):
            continue
        read = dict(section)
        for key, kind in (_SECTIONS[name] or {}).items():
            value = read.get(key)
            if kind is datetime and isinstance(value, str) and len(value) > len("2026-03-01"):
                with suppress(ValueError):
                    read[key] = datetime.fromisoformat(value)
        content[name] = read
    if isinstance(content.get("instants"), Mapping):
        content["instants"] = with_instants(content["instants"])
    return content


def merge_study_files(below: StudyFile, above: StudyFile) -> StudyFile:
    """Lay what was said later over what was said before.

    Parameters
    ----------
    below, above : StudyFile
        E.g. the file of the study, and facts entered for this run, which win.

    Returns
    -------
    StudyFile
        Roles and facts of both; the masks (maps, clicks, help for the alignment) of ``above``
        replace those of ``below`` when it has any.
    """
    return StudyFile(
        above.pseudonym or below.pseudonym,
        {**below.roles, **above.roles},
        {**below.entered, **above.entered},
        above.masks or below.masks,
        " and ".join(dict.fromkeys(s for s in (below.source, above.source) if s)),
        {**below.agent, **above.agent},
        above.maps or below.maps,
        {**below.primary, **above.primary},
        {**below.instants, **above.instants},
        above.clicks or below.clicks,
        help=above.help if above.help.items else below.help,
    )
