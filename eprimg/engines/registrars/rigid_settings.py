"""Settings of rigid registration: a profile of resources/registration, checked key by key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

from eprimg.errors import ConfigError, raise_faults
from eprimg.resources import load_resource, resource_names

__all__ = [
    "CheckSettings",
    "IntensitySettings",
    "LevelSettings",
    "PolishSettings",
    "RigidSettings",
    "StartSettings",
    "checked_record",
    "load_profile",
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
    intensity, levels, optimizer, start, polish, check
        Records of the tables of the profile.
    """

    title: str
    histogram_bins: int
    intensity: IntensitySettings
    levels: tuple[LevelSettings, ...]
    optimizer: OptimizerSettings
    start: StartSettings
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
        tables = {"metric", "intensity", "levels", "optimizer", "start", "polish", "check", "title"}
        for key in sorted(set(settings) ^ tables):
            what = "is unknown" if key in settings else "is missing"
            faults.append(ConfigError(f"{key!r} {what}", code="E_CONFIG", where=where))
        raise_faults(faults)
        metric = settings["metric"]
        bins = metric.get("histogram_bins")
        if set(metric) != {"histogram_bins"} or not isinstance(bins, int) or bins < 8:
            faults.append(
                ConfigError(
                    "'metric' holds histogram_bins, at least 8 (a cubic window needs four)",
                    code="E_CONFIG",
                    where=where,
                    value=dict(metric),
                )
            )
        levels = [
            checked_record(LevelSettings, table, f"levels[{number}]", where, faults)
            for number, table in enumerate(settings["levels"])
        ]
        if not levels:
            faults.append(ConfigError("'levels' is empty", code="E_CONFIG", where=where))
        made = {
            name: checked_record(kind, settings[name], name, where, faults)
            for name, kind in (
                ("intensity", IntensitySettings),
                ("optimizer", OptimizerSettings),
                ("start", StartSettings),
                ("polish", PolishSettings),
                ("check", CheckSettings),
            )
        }
        raise_faults(faults)
        return cls(
            title=str(settings["title"]),
            histogram_bins=int(bins),
            levels=tuple(level for level in levels if level is not None),
            **made,  # type: ignore[arg-type]  # each is a record once no fault was raised
        )


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
        elif key.endswith("_mm") and isinstance(value, float) and value <= 0:
            faults.append(
                ConfigError(
                    f"'{name}.{key}' must be positive", code="E_CONFIG", where=where, value=value
                )
            )
        else:
            values[key] = value
    return kind(**values) if len(faults) == before else None


def load_profile(name: str) -> dict[str, Any]:
    """Read a profile of ``resources/registration``.

    Parameters
    ----------
    name : str
        File name without ``.toml``.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    ConfigError
        ``E_CONFIG`` when there is no such profile.
    """
    names = resource_names("registration")
    if name not in names:
        raise ConfigError(
            f"no registration profile is called {name!r}",
            code="E_CONFIG",
            where="register.profile",
            value=name,
            action=f"use one of: {', '.join(names)}",
        )
    return dict(load_resource(f"registration/{name}.toml"))
