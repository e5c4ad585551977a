"""Settings: frozen records, TOML in and out, strict, hashed; the only home of defaults.

Every key ends in its unit where it has one.  Unknown keys and wrong types are refused with their
path.  The command line, the plugin and the documentation are drawn from these records.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from eprimg.errors import ConfigError, raise_faults

__all__ = [
    "Config",
    "MeasureConfig",
    "R2StarConfig",
    "ReadConfig",
    "RegisterConfig",
    "ReportConfig",
    "SegmentConfig",
    "StratifyConfig",
    "load_config",
]


def _setting(
    default: Any,
    text: str,
    *,
    choices: tuple[Any, ...] = (),
    low: float | None = None,
    high: float | None = None,
) -> Any:
    return field(
        default=default, metadata={"text": text, "choices": choices, "low": low, "high": high}
    )


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """How series are read."""

    position_tolerance_mm: float = _setting(
        0.05, "largest deviation of a slice from an even, straight stack", low=0.0, high=1.0
    )
    allow_patient_mix: bool = _setting(
        False, "read series of different patient identifiers as one study (recorded)"
    )


@dataclass(frozen=True, slots=True)
class R2StarConfig:
    """How R2* is fitted."""

    method: str = _setting("nlls", "estimator", choices=("nlls", "loglin"))
    noise_floor_product: float = _setting(
        5.0,
        "R2* times the longest echo time above which late echoes sit in the noise floor and "
        "the value is flagged",
        low=0.1,
    )


@dataclass(frozen=True, slots=True)
class RegisterConfig:
    """How sessions are aligned (Mattes mutual information, multi-resolution, regular step)."""

    engine: str = _setting("simpleitk-rigid", "entry point of the registrar")
    profile: str = _setting("rigid-mi", "settings file of resources/registration")
    accept_identity: bool = _setting(
        True,
        "accept identity without registration within one session and frame of reference, "
        "after a check",
    )
    seed: int = _setting(20240917, "seed of the sampler", low=0)
    max_moved_mm: float = _setting(
        60.0, "a larger movement of the field of view's centre is refused", low=1.0
    )
    max_rotated_deg: float = _setting(20.0, "a larger rotation is refused", low=1.0, high=180.0)
    reject: tuple[str, ...] = _setting(
        (),
        "series whose alignment a person looked at and rejected: nothing is measured through it",
        choices=("mr_post", "pet"),
    )


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """How candidate regions are found when no mask was given."""

    engine: str = _setting("threshold", "entry point of the segmenter")
    rule: str = _setting("percent-of-max", "threshold rule", choices=("percent-of-max", "fixed"))
    percent: float = _setting(41.0, "percent of the maximum SUVbw", low=1.0, high=99.0)
    suvbw: float = _setting(4.0, "fixed SUVbw threshold", low=0.0)
    minimum_volume_ml: float = _setting(0.5, "smaller components are dropped", low=0.0)
    maximum_candidates: int = _setting(50, "more components than this are refused", low=1)
    accept_candidates: bool = _setting(
        False, "treat automatic regions as confirmed, so that they get tiers"
    )


@dataclass(frozen=True, slots=True)
class MeasureConfig:
    """How regions are measured."""

    tail_quantile: float = _setting(
        0.90, "voxels above this quantile make the tail mean (rR2*,90)", low=0.5, high=0.99
    )
    peak_diameter_mm: float = _setting(
        12.4, "diameter of the SUVpeak sphere (12.4 mm is 1 mL)", low=1.0, high=50.0
    )
    map_order: int = _setting(3, "spline order for resampling a map once", choices=(1, 3))
    small_lesion_mm: float = _setting(
        10.0, "a smaller equivalent diameter is flagged: partial volume rules the number", low=0.0
    )
    minimum_coverage: float = _setting(
        0.9,
        "a lesion with a smaller part of its mask inside the field of view of a series gets no "
        "tier by the numbers of that series",
        low=0.0,
        high=1.0,
    )
    failed_voxel_share: float = _setting(
        0.05,
        "a lesion is flagged when more than this part of its voxels has no R2*",
        low=0.0,
        high=1.0,
    )
    noise_floor_share: float = _setting(
        0.1,
        "a region is flagged when more than this part of its voxels lies above the measurable "
        "R2* (r2star.noise_floor_product) or has no signal left in a late echo",
        low=0.0,
        high=1.0,
    )
    carrier_rim_mm: float = _setting(
        8.0,
        "width of the rim around a lesion in which carrier organs (liver, spleen, marrow) are "
        "looked for",
        low=1.0,
        high=50.0,
    )


@dataclass(frozen=True, slots=True)
class StratifyConfig:
    """How lesions and the patient are placed in tiers."""

    schemes: tuple[str, ...] = _setting(
        ("example-pid-per-kg-peak", "example-dr2star-median"),
        "scheme keys of resources/tier_schemes, or paths of scheme files",
    )
    cohort_file: str = _setting("", "stored cohort (JSON) for cohort-median and cohort-tertile")
    smallest_pet_lesion_mm: float = _setting(
        12.4,
        "a lesion of a smaller equivalent diameter gets no PET tier (12.4 mm: the SUVpeak sphere)",
        low=0.0,
    )
    indeterminate_low: float = _setting(
        0.1,
        "a tier is indeterminate when a cut-off is exceeded with a probability between these two",
        low=0.0,
        high=0.5,
    )
    indeterminate_high: float = _setting(0.9, "see indeterminate_low", low=0.5, high=1.0)


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """What the report shows."""

    title: str = _setting("Nanoparticle uptake report", "title of the page")
    suv_window_max: float = _setting(
        0.0, "upper end of the SUVbw window; 0 chooses it from the lesions", low=0.0
    )


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a run."""

    read: ReadConfig = field(default_factory=ReadConfig)
    r2star: R2StarConfig = field(default_factory=R2StarConfig)
    register: RegisterConfig = field(default_factory=RegisterConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    stratify: StratifyConfig = field(default_factory=StratifyConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    threads: int = _setting(0, "threads of kernels and engines; 0 takes all cores", low=0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested dictionaries.

        Returns
        -------
        dict
            Section -> key -> value.
        """
        return asdict(self)

    def to_toml(self, *, comments: bool = True) -> str:
        """Write the settings as TOML.

        Parameters
        ----------
        comments : bool
            Put the meaning of each key above it.

        Returns
        -------
        str
            TOML text that `load_config` reads back to an equal record.
        """
        lines: list[str] = []
        tops = [f for f in fields(self) if not is_dataclass(getattr(self, f.name))]
        for f in tops:
            lines += _toml_lines(f, getattr(self, f.name), comments)
        for f in fields(self):
            section = getattr(self, f.name)
            if is_dataclass(section):
                lines += ["", f"[{f.name}]"]
                if comments and section.__doc__:
                    lines.append(f"# {section.__doc__.splitlines()[0]}")
                for inner in fields(section):
                    lines += _toml_lines(inner, getattr(section, inner.name), comments)
        return "\n".join(lines).strip() + "\n"

    @property
    def hash(self) -> str:
        """SHA-256 of the settings, independent of how they were written down."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_settings(self, settings: Mapping[str, Any], *, where: str = "settings") -> Config:
        """Return a copy with other values.

        Parameters
        ----------
        settings : Mapping
            Nested as in the TOML file.
        where : str
            Origin, for messages.

        Returns
        -------
        Config
            The new record.

        Raises
        ------
        ConfigError
            ``E_CONFIG``, listing every unknown key and wrong value.
        """
        faults: list[ConfigError] = []
        updated = _update(self, settings, "", where, faults)
        raise_faults(faults)
        assert isinstance(updated, Config)
        return updated

    def with_assignments(self, assignments: Iterable[str]) -> Config:
        """Apply ``section.key=value`` assignments, as given by ``--set``.

        Parameters
        ----------
        assignments : iterable of str
            Values are TOML; a bare word is taken as a string.

        Returns
        -------
        Config
            The new record.

        Raises
        ------
        ConfigError
            ``E_CONFIG``.
        """
        settings: dict[str, Any] = {}
        for assignment in assignments:
            path, sign, text = assignment.partition("=")
            if not sign:
                raise ConfigError(
                    "an assignment has the form section.key=value",
                    code="E_CONFIG",
                    where="--set",
                    value=assignment,
                )
            try:
                value = tomllib.loads(f"v = {text.strip()}")["v"]
            except tomllib.TOMLDecodeError:
                value = text.strip()
            place = settings
            *parents, last = path.strip().split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
                if not isinstance(place, dict):
                    break
            # an earlier assignment to the same section would be lost
            if not isinstance(place, dict) or isinstance(place.get(last), dict):
                raise ConfigError(
                    f"{path.strip()!r} and an earlier assignment contradict each other: one is a "
                    "section, the other a value",
                    code="E_CONFIG",
                    where="--set",
                    value=assignment,
                    action="give every setting once, as section.key=value",
                )
            place[last] = value
        return self.with_settings(settings, where="--set")


def load_config(path: Path | str | None = None, assignments: Iterable[str] = ()) -> Config:
    """Read settings from a TOML file and apply assignments on top.

    Parameters
    ----------
    path : Path, optional
        File; the defaults when left out.
    assignments : iterable of str
        ``section.key=value``.

    Returns
    -------
    Config
        Checked settings.

    Raises
    ------
    ConfigError
        ``E_CONFIG`` with file and key path.
    """
    config = Config()
    if path is not None:
        try:
            settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"the settings file cannot be read: {error.strerror}",
                code="E_CONFIG",
                where=str(path),
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the settings file is not valid TOML: {error}", code="E_CONFIG", where=str(path)
            ) from error
        config = config.with_settings(settings, where=str(path))
    return config.with_assignments(assignments)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return repr(value)


def _toml_lines(f: Any, value: Any, comments: bool) -> list[str]:
    lines = []
    if comments and f.metadata.get("text"):
        choices = f.metadata.get("choices")
        extra = f" (one of: {', '.join(map(str, choices))})" if choices else ""
        lines.append(f"# {f.metadata['text']}{extra}")
    lines.append(f"{f.name} = {_toml_value(value)}")
    return lines


def _update(
    record: Any, settings: Mapping[str, Any], path: str, where: str, faults: list[ConfigError]
) -> Any:
    known = {f.name: f for f in fields(record)}
    hints = get_type_hints(type(record))
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        full = f"{path}{key}"
        if key not in known:
            faults.append(
                ConfigError(
                    f"there is no setting {full!r}",
                    code="E_CONFIG",
                    where=where,
                    value=key,
                    action=f"use one of: {', '.join(path + k for k in known)}",
                )
            )
            continue
        current = getattr(record, key)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                faults.append(
                    ConfigError(
                        f"{full!r} is a section",
                        code="E_CONFIG",
                        where=where,
                        value=value,
                        action=f"write [{full}]",
                    )
                )
                continue
            changes[key] = _update(current, value, f"{full}.", where, faults)
            continue
        problem, value = _checked(value, hints[key], known[key].metadata)
        if problem:
            faults.append(
                ConfigError(f"{full!r} {problem}", code="E_CONFIG", where=where, value=value)
            )
        else:
            changes[key] = value
    return replace(record, **changes)


def _checked(value: Any, kind: Any, rules: Mapping[str, Any]) -> tuple[str, Any]:
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        items = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(v, inner) for v in items):
            return f"is a list of {inner.__name__}", value
        if rules.get("choices") and not set(items) <= set(rules["choices"]):
            return f"must be among {', '.join(map(str, rules['choices']))}", value
        return "", tuple(items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        return f"must be of type {kind.__name__}", value
    if rules.get("choices") and value not in rules["choices"]:
        return f"must be one of {', '.join(map(str, rules['choices']))}", value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value != value or value in (float("inf"), float("-inf")):
            return "must be finite", value
        if rules.get("low") is not None and value < rules["low"]:
            return f"must be at least {rules['low']}", value
        if rules.get("high") is not None and value > rules["high"]:
            return f"must be at most {rules['high']}", value
    return "", value
