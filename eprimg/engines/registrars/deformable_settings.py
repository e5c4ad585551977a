"""Settings of deformable registration: a profile, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eprimg.engines.registrars.rigid_settings import checked_record, tables_of
from eprimg.errors import ConfigError, raise_faults

__all__ = [
    "AcceptSettings",
    "AutoSettings",
    "BendLevel",
    "DeformableSettings",
    "FieldSettings",
    "FitSettings",
]


@dataclass(frozen=True, slots=True)
class BendLevel:
    """One level: points of comparison, smoothing, control points."""

    grid_mm: float
    sigma_mm: float
    spacing_mm: float


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Gauss-Newton steps on local correlation."""

    iterations: int
    smallest_step_mm: float
    window_points: int
    variance_floor: float
    stiffness: float
    body_share_of_mean: float


@dataclass(frozen=True, slots=True)
class FieldSettings:
    """The field that is handed out."""

    grid_mm: float
    fade_mm: float
    smallest_jacobian: float


@dataclass(frozen=True, slots=True)
class AcceptSettings:
    """The stage's check of a bent result."""

    largest_sd_log_jacobian: float
    least_gain_of_local_ncc2: float
    centroid_tolerance_mm: float
    dice_tolerance: float
    doubtful_inverse_mm: float


@dataclass(frozen=True, slots=True)
class AutoSettings:
    """When the stage tries to bend by itself."""

    mean_centroid_mm: float
    largest_centroid_mm: float
    organ_dice: float
    local_ncc2: float


@dataclass(frozen=True, slots=True)
class DeformableSettings:
    """All settings of a deformable registration.

    Parameters
    ----------
    title : str
        Name for people.
    rigid : str
        Profile of the rigid registration that comes first.
    quantities : tuple of str
        Quantities of moving series that are bent.
    levels, fit, field, accept, auto
        Records of the tables of the profile.
    """

    title: str
    rigid: str
    quantities: tuple[str, ...]
    levels: tuple[BendLevel, ...]
    fit: FitSettings
    field: FieldSettings
    accept: AcceptSettings
    auto: AutoSettings

    @classmethod
    def from_mapping(
        cls, settings: Mapping[str, Any], *, where: str = "profile"
    ) -> DeformableSettings:
        """Check a profile.

        Parameters
        ----------
        settings : Mapping
            Content of a profile file.
        where : str
            Its name, for messages.

        Returns
        -------
        DeformableSettings
            Checked settings.

        Raises
        ------
        ConfigError
            ``E_CONFIG``, listing every unknown or missing key and every wrong value.
        """
        faults: list[ConfigError] = []
        tables = {"title", "rigid", "quantities", "levels", "fit", "field", "accept", "auto"}
        for key in sorted(set(settings) ^ tables):
            what = "is unknown" if key in settings else "is missing"
            faults.append(ConfigError(f"{key!r} {what}", code="E_CONFIG", where=where))
        raise_faults(faults)
        levels = [
            checked_record(BendLevel, table, f"levels[{number}]", where, faults)
            for number, table in enumerate(tables_of(settings, "levels", where, faults))
        ]
        quantities = settings["quantities"]
        if not isinstance(quantities, list | tuple) or not all(
            isinstance(key, str) for key in quantities
        ):
            text = "'quantities' is a list of keys of quantities"
            faults.append(ConfigError(text, code="E_CONFIG", where=where, value=quantities))
        fit = checked_record(FitSettings, settings["fit"], "fit", where, faults)
        field = checked_record(FieldSettings, settings["field"], "field", where, faults)
        accept = checked_record(AcceptSettings, settings["accept"], "accept", where, faults)
        auto = checked_record(AutoSettings, settings["auto"], "auto", where, faults)
        if fit is not None and (
            fit.window_points < 3
            or fit.window_points % 2 == 0
            or min(fit.stiffness, fit.variance_floor) <= 0
            or fit.iterations < 1
        ):
            faults.append(
                ConfigError(
                    "'fit' needs an odd window of at least 3 points, at least one iteration, and "
                    "a stiffness and a floor above 0",
                    code="E_CONFIG",
                    where=where,
                    value=dict(settings["fit"]),
                )
            )
        raise_faults(faults)
        return cls(
            title=str(settings["title"]),
            rigid=str(settings["rigid"]),
            quantities=tuple(quantities),
            levels=tuple(level for level in levels if level is not None),
            fit=fit,  # type: ignore[arg-type]  # each is a record once no fault was raised
            field=field,  # type: ignore[arg-type]
            accept=accept,  # type: ignore[arg-type]
            auto=auto,  # type: ignore[arg-type]
        )
