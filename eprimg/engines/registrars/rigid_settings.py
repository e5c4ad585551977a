"""Settings of rigid registration: a profile of the package or of one's own, checked key by key."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from eprimg.errors import ConfigError, raise_faults
from eprimg.resources import load_resource, resource_names

__all__ = [
    "CheckSettings",
    "IntensitySettings",
    "LevelSettings",
    "PolishSettings",
    "RestartSettings",
    "RigidSettings",
    "StartSettings",
    "checked_record",
    "load_profile",
    "profile_place",
    "tables_of",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IntensitySettings:
    """How values are made comparable before they are binned."""

    low_quantile: float
    high_quantile: float
    root_of_activity: bool
    ct_window_low_hu: float
    ct_window_high_hu: float


@dataclass(frozen=True, slots=True)
class LevelSettings:
    """One level of the pyramid."""

    grid_mm: float
    sigma_mm: float
    sampled_fraction: float
    step_mm: float


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """Regular-step gradient descent."""

    smallest_step_mm: float
    iterations: int
    relaxation: float
    fewest_samples: int
    most_samples: int
    average_below_mm: float


@dataclass(frozen=True, slots=True)
class StartSettings:
    """Search for a start when the frames of reference differ."""

    minimum_overlap_fraction: float
    header_overlap_fraction: float
    near_header_mm: float
    far_share: float
    displaced_mm: tuple[float, ...]
    sampled_fraction: float
    iterations: int


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """Searching a level again from displaced places."""

    quantities: tuple[str, ...]
    levels: int
    number: int
    shift_mm: float
    rotation_deg: float
    smallest_step_mm: float


@dataclass(frozen=True, slots=True)
class PolishSettings:
    """Second pass with local correlation."""

    use: bool
    from_voxel_mm: float
    above_consistency_mm: float
    quantities: tuple[str, ...]
    grid_mm: float
    sigma_mm: float
    radius_voxels: int
    step_mm: float
    smallest_step_mm: float
    iterations: int
    maximum_moved_mm: float
    maximum_rotated_deg: float


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """The stage's check of a result."""

    grid_mm: float
    minimum_overlap_fraction: float
    smallest_share_of_start: float
    displaced_mm: float
    identity_tolerance_mr_mm: float
    identity_tolerance_pet_mm: float
    doubtful_consistency_mm: float
    orientation_grid_mm: float
    doubtful_share_of_other_orientation: float
    doubtful_peak_ratio: float
    doubtful_local_ncc2_mr: float
    symmetric_body_ncc2: float
    doubtful_nearby_mm: float
    refused_nearby_mm: float
    doubtful_cut_share: float
    doubtful_mask_dice: float


@dataclass(frozen=True, slots=True)
class RigidSettings:
    """All settings of a rigid registration.

    Parameters
    ----------
    title : str
        Name for people.
    histogram_bins : int
        Bins per axis of the joint histogram.
    intensity, levels, optimizer, start, restarts, polish, check
        Records of the tables of the profile.
    """

    title: str
    histogram_bins: int
    intensity: IntensitySettings
    levels: tuple[LevelSettings, ...]
    optimizer: OptimizerSettings
    start: StartSettings
    restarts: RestartSettings
    polish: PolishSettings
    check: CheckSettings

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], *, where: str = "profile") -> RigidSettings:
        """Check a profile.

        Parameters
        ----------
        settings : Mapping
            Content of a profile file.
        where : str
            Its name, for messages.

        Returns
        -------
        RigidSettings
            Checked settings.

        Raises
        ------
        ConfigError
            ``E_CONFIG``, listing every unknown or missing key and every wrong value.
        """
        faults: list[ConfigError] = []
        records = {
            "intensity": IntensitySettings,
            "optimizer": OptimizerSettings,
            "start": StartSettings,
            "restarts": RestartSettings,
            "polish": PolishSettings,
            "check": CheckSettings,
        }
        tables = {*records, "metric", "levels", "title"}
        for key in sorted(set(settings) ^ tables):
            what = "is unknown" if key in settings else "is missing"
            faults.append(ConfigError(f"{key!r} {what}", code="E_CONFIG", where=where))
        raise_faults(faults)
        metric = settings["metric"]
        bins = metric.get("histogram_bins") if isinstance(metric, Mapping) else None
        if type(bins) is not int or bins < 8 or set(metric) != {"histogram_bins"}:
            faults.append(
                ConfigError(
                    "'metric' holds histogram_bins, at least 8 (a cubic window needs four)",
                    code="E_CONFIG",
                    where=where,
                    value=metric,
                )
            )
        levels = [
            checked_record(LevelSettings, table, f"levels[{number}]", where, faults)
            for number, table in enumerate(tables_of(settings, "levels", where, faults))
        ]
        made = {
            name: checked_record(kind, settings[name], name, where, faults)
            for name, kind in records.items()
        }
        raise_faults(faults)
        rules = cls(
            title=str(settings["title"]),
            histogram_bins=int(bins or 0),
            levels=tuple(level for level in levels if level is not None),
            **made,  # type: ignore[arg-type]  # each is a record once no fault was raised
        )
        raise_faults(_out_of_order(rules, where))
        return rules


def _out_of_order(rules: RigidSettings, where: str) -> list[ConfigError]:
    """List the pairs of limits whose lower one is not the lower one."""
    samples, values = rules.optimizer, rules.intensity
    pairs = {
        "optimizer.fewest_samples' must not exceed 'optimizer.most_samples": (
            samples.fewest_samples <= samples.most_samples
        ),
        "intensity.low_quantile' must lie below 'intensity.high_quantile": (
            values.low_quantile < values.high_quantile
        ),
        "intensity.ct_window_low_hu' must lie below 'intensity.ct_window_high_hu": (
            values.ct_window_low_hu < values.ct_window_high_hu
        ),
    }
    return [
        ConfigError(f"'{words}'", code="E_CONFIG", where=where)
        for words, fits in pairs.items()
        if not fits
    ]


def checked_record(
    kind: type[T], table: Any, name: str, where: str, faults: list[ConfigError]
) -> T | None:
    """Make a record of a table of a profile.

    Parameters
    ----------
    kind : type
        A dataclass; every field is a key.
    table : Mapping
        The table.
    name, where : str
        Name of the table and of the profile, for messages.
    faults : list of ConfigError
        Gets every unknown or missing key and every wrong value.

    Returns
    -------
    dataclass or None
        None when there was a fault.
    """
    if not isinstance(table, Mapping):
        faults.append(ConfigError(f"{name!r} is a table", code="E_CONFIG", where=where))
        return None
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    before = len(faults)
    for key in table:
        if key not in known:
            faults.append(
                ConfigError(
                    f"there is no setting '{name}.{key}'",
                    code="E_CONFIG",
                    where=where,
                    action=f"use one of: {', '.join(known)}",
                )
            )
    values: dict[str, Any] = {}
    for key in known:
        if key not in table:
            faults.append(ConfigError(f"'{name}.{key}' is missing", code="E_CONFIG", where=where))
            continue
        value = table[key]
        wanted = hints[key]
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if wanted in (tuple[float, ...], tuple[str, ...]):
            inner = float if wanted == tuple[float, ...] else str
            fits = isinstance(value, list | tuple) and all(isinstance(v, inner) for v in value)
            value = tuple(value) if fits else value
        else:
            fits = type(value) is wanted
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            faults.append(
                ConfigError(
                    f"'{name}.{key}' has the wrong type", code="E_CONFIG", where=where, value=value
                )
            )
        elif wrong := _out_of_range(key, value):
            faults.append(
                ConfigError(f"'{name}.{key}' {wrong}", code="E_CONFIG", where=where, value=value)
            )
        else:
            values[key] = value
    return kind(**values) if len(faults) == before else None


def _out_of_range(key: str, value: Any) -> str:
    """Say what is wrong with a value of the right type; empty when nothing is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if key.endswith("_mm") and value <= 0:
        return "must be positive"
    if key in ("sampled_fraction", "relaxation") and not 0.0 < value <= 1.0:
        return "lies above 0 and is at most 1"
    if key.endswith(("_fraction", "_quantile")) and not 0.0 <= value <= 1.0:
        return "lies between 0 and 1"
    if key in ("iterations", "fewest_samples", "radius_voxels") and value < 1:
        return "is at least 1"
    return "is not negative" if isinstance(value, int) and value < 0 else ""


def tables_of(
    settings: Mapping[str, Any], key: str, where: str, faults: list[ConfigError]
) -> list[Any]:
    """Take a list of tables from a profile.

    Parameters
    ----------
    settings : Mapping
        The profile.
    key : str
        Name of the list, e.g. ``levels``.
    where : str
        Name of the profile, for messages.
    faults : list of ConfigError
        Gets a fault when it is no list or empty.

    Returns
    -------
    list
        Its entries; what they are is not looked at.
    """
    found = settings[key]
    if isinstance(found, list | tuple) and found:
        return list(found)
    text = f"{key!r} is empty" if found == [] else f"{key!r} is a list of tables, [[{key}]]"
    faults.append(ConfigError(text, code="E_CONFIG", where=where))
    return []


def profile_place(name: str) -> str:
    """Say where a profile lies, for messages.

    Parameters
    ----------
    name : str
        As in `load_profile`.

    Returns
    -------
    str
        The path itself, or the place below the package's resources.
    """
    return name if name.endswith(".toml") else f"registration/{name}.toml"


def load_profile(name: str, *, key: str = "register.profile") -> dict[str, Any]:
    """Read a profile of ``resources/registration``, or of one's own.

    Parameters
    ----------
    name : str
        File name without ``.toml``, or a path ending in ``.toml``.
    key : str
        Setting that names it, for messages.

    Returns
    -------
    dict
        Its content, not checked yet: `RigidSettings.from_mapping` does that.

    Raises
    ------
    ConfigError
        ``E_CONFIG`` when there is no such profile, or the file cannot be read.
    """
    if name.endswith(".toml"):
        try:
            return tomllib.loads(Path(name).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the registration profile cannot be read: {error}",
                code="E_CONFIG",
                where=name,
                action=f"name a readable TOML file in {key}",
            ) from error
    names = resource_names("registration")
    if name not in names:
        raise ConfigError(
            f"no registration profile is called {name!r}",
            code="E_CONFIG",
            where=key,
            value=name,
            action=f"use one of: {', '.join(names)}, or a path ending in .toml",
        )
    return dict(load_resource(f"registration/{name}.toml"))
