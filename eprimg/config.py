"""Settings: frozen records, TOML in and out, strict, hashed; the only home of defaults.

Every key ends in its unit where it has one.  Unknown keys and wrong types are refused with their
path.  The command line, the plugin and the documentation are drawn from these records.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from eprimg._settings import setting, toml_lines, updated
from eprimg._settings_model import SegmentModelConfig
from eprimg._settings_numbers import (
    BloodVolumeConfig,
    FatWaterConfig,
    IronConfig,
    KineticsConfig,
    PartialVolumeConfig,
    PetConfig,
    R2StarConfig,
    TimePointsConfig,
    UptakeConfig,
)
from eprimg._settings_regions import (
    ClickConfig,
    EligibilityConfig,
    HeterogeneityConfig,
    MatchingConfig,
    ReferenceConfig,
)
from eprimg._settings_segment import SegmentConfig
from eprimg.errors import ConfigError, raise_faults

__all__ = [
    "BloodVolumeConfig",
    "ClickConfig",
    "Config",
    "EligibilityConfig",
    "FatWaterConfig",
    "HeterogeneityConfig",
    "IronConfig",
    "KineticsConfig",
    "MatchingConfig",
    "MeasureConfig",
    "PartialVolumeConfig",
    "PetConfig",
    "R2StarConfig",
    "ReadConfig",
    "ReferenceConfig",
    "RegisterConfig",
    "ReportConfig",
    "SegmentConfig",
    "SegmentModelConfig",
    "StratifyConfig",
    "TimePointsConfig",
    "UptakeConfig",
    "load_config",
]


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """How series are read."""

    position_tolerance_mm: float = setting(
        0.05, "largest deviation of a slice from an even, straight stack", low=0.0, high=1.0
    )
    allow_patient_mix: bool = setting(
        False, "read series of different patient identifiers as one study (recorded)"
    )
    fractional_threshold: float = setting(
        0.5,
        "a voxel of a fractional DICOM segmentation belongs to a region from this value on",
        low=0.01,
        high=1.0,
    )
    contour_gaps: str = setting(
        "empty",
        "slices without a contour between the contours of an RT structure set",
        choices=("empty", "interpolate"),
    )


@dataclass(frozen=True, slots=True)
class RegisterConfig:
    """How sessions are aligned (Mattes mutual information, multi-resolution, regular step)."""

    engine: str = setting("simpleitk-rigid", "entry point of the registrar")
    profile: str = setting(
        "rigid-mi", "settings file of resources/registration, or the path of one (.toml)"
    )
    model: str = setting(
        "rigid",
        "rigid; deformable: bend every accepted alignment between MR series and keep what passes; "
        "auto: only where lesions, organs or the local correlation show that rigid is not enough",
        choices=("rigid", "deformable", "auto"),
    )
    deformable_engine: str = setting(
        "simpleitk-deformable", "entry point of the registrar that bends"
    )
    deformable_profile: str = setting(
        "bspline-ncc", "the same for bending: a name, or the path of a file (.toml)"
    )
    moving_contrast: str = setting(
        "first-echo",
        "what is compared of a series with echoes: the shortest echo, the signal at echo time 0 "
        "(s0), or the root of the mean square of all echoes (rss)",
        choices=("first-echo", "s0", "rss"),
    )
    accept_identity: bool = setting(
        True,
        "accept identity without registration within one session and frame of reference, "
        "after a check",
    )
    seed: int = setting(20240917, "seed of the sampler", low=0)
    max_moved_mm: float = setting(
        60.0, "a larger movement of the field of view's centre is refused", low=1.0
    )
    max_rotated_deg: float = setting(20.0, "a larger rotation is refused", low=1.0, high=180.0)
    landmark_tolerance_mm: float = setting(
        5.0, "mean distance of given landmarks above which an alignment is doubtful", low=0.1
    )
    dicom: bool = setting(
        False, "write each transform as a DICOM spatial registration too (frames must be DICOM's)"
    )
    python: str = setting(
        "",
        "python in which itk-elastix, antspyx or picsl-greedy is installed (empty: environment "
        "variable of the engine, else this one)",
    )
    program: str = setting("", "program of the engine greedy (empty: the one on the PATH)")
    time_limit_s: float = setting(
        1800.0, "longest time of an engine that runs in a child process", low=1.0
    )
    memory_limit_mb: float = setting(
        8192.0, "most memory of an engine that runs in a child process", low=64.0
    )
    reject: tuple[str, ...] = setting(
        (),
        "series whose alignment a person looked at and rejected: nothing is measured through it",
        choices=(
            *("mr_post", "pet"),
            *(f"{role}_{n}" for role in ("mr_post", "pet") for n in range(2, 10)),
        ),
    )


@dataclass(frozen=True, slots=True)
class MeasureConfig:
    """How regions are measured."""

    tail_quantile: float = setting(
        0.90, "voxels above this quantile make the tail mean (rR2*,90)", low=0.5, high=0.99
    )
    tail_references: tuple[str, ...] = setting(
        ("spleen",),
        "reference regions whose mean R2* the tail mean is divided by",
        choices=("spleen", "blood", "muscle"),
    )
    blood_fraction: bool = setting(
        False,
        "divide the change of R2* by that of the blood region (a blood volume only while the "
        "agent is in the vessels)",
    )
    peak_diameter_mm: float = setting(
        12.4, "diameter of the SUVpeak sphere (12.4 mm is 1 mL)", low=1.0, high=50.0
    )
    map_order: int = setting(3, "spline order for resampling a map once", choices=(1, 3))
    small_lesion_mm: float = setting(
        10.0, "a smaller equivalent diameter is flagged: partial volume rules the number", low=0.0
    )
    minimum_coverage: float = setting(
        0.9,
        "a lesion with a smaller part of its mask inside the field of view of a series gets no "
        "tier by the numbers of that series",
        low=0.0,
        high=1.0,
    )
    failed_voxel_share: float = setting(
        0.05,
        "a lesion is flagged when more than this part of its voxels has no R2*",
        low=0.0,
        high=1.0,
    )
    noise_floor_share: float = setting(
        0.1,
        "a region is flagged when more than this part of its voxels lies above the measurable "
        "R2* (without a noise mode: r2star.noise_floor_product; with one: too few echoes above "
        "the noise, or saturated) or has no signal left",
        low=0.0,
        high=1.0,
    )
    carrier_rim_mm: float = setting(
        8.0,
        "width of the rim around a lesion in which carrier organs (liver, spleen, marrow) are "
        "looked for",
        low=1.0,
        high=50.0,
    )


@dataclass(frozen=True, slots=True)
class StratifyConfig:
    """How lesions and the patient are placed in tiers."""

    schemes: tuple[str, ...] = setting(
        ("example-pid-per-kg-peak", "example-dr2star-median"),
        "scheme keys of resources/tier_schemes, or paths of scheme files",
    )
    cohort_file: str = setting("", "stored cohort (JSON) for cohort-median and cohort-tertile")
    smallest_pet_lesion_mm: float = setting(
        12.4,
        "a lesion of a smaller equivalent diameter gets no PET tier (12.4 mm: the SUVpeak sphere)",
        low=0.0,
    )
    indeterminate_low: float = setting(
        0.1,
        "a tier is indeterminate when a cut-off is exceeded with a probability between these two",
        low=0.0,
        high=0.5,
    )
    indeterminate_high: float = setting(0.9, "see indeterminate_low", low=0.5, high=1.0)


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """What the report shows."""

    title: str = setting("Nanoparticle uptake report", "title of the page")
    suv_window_max: float = setting(
        0.0, "upper end of the SUVbw window; 0 chooses it from the lesions", low=0.0
    )


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a run."""

    read: ReadConfig = field(default_factory=ReadConfig)
    pet: PetConfig = field(default_factory=PetConfig)
    r2star: R2StarConfig = field(default_factory=R2StarConfig)
    fat_water: FatWaterConfig = field(default_factory=FatWaterConfig)
    register: RegisterConfig = field(default_factory=RegisterConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    segment_model: SegmentModelConfig = field(default_factory=SegmentModelConfig)
    clicks: ClickConfig = field(default_factory=ClickConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    references: ReferenceConfig = field(default_factory=ReferenceConfig)
    heterogeneity: HeterogeneityConfig = field(default_factory=HeterogeneityConfig)
    eligibility: EligibilityConfig = field(default_factory=EligibilityConfig)
    iron: IronConfig = field(default_factory=IronConfig)
    partial_volume: PartialVolumeConfig = field(default_factory=PartialVolumeConfig)
    blood_volume: BloodVolumeConfig = field(default_factory=BloodVolumeConfig)
    uptake: UptakeConfig = field(default_factory=UptakeConfig)
    time_points: TimePointsConfig = field(default_factory=TimePointsConfig)
    kinetics: KineticsConfig = field(default_factory=KineticsConfig)
    stratify: StratifyConfig = field(default_factory=StratifyConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    threads: int = setting(0, "threads of kernels and engines; 0 takes all cores", low=0)

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
            lines += toml_lines(f, getattr(self, f.name), comments)
        for f in fields(self):
            section = getattr(self, f.name)
            if is_dataclass(section):
                lines += ["", f"[{f.name}]"]
                if comments and section.__doc__:
                    lines.append(f"# {section.__doc__.splitlines()[0]}")
                for inner in fields(section):
                    lines += toml_lines(inner, getattr(section, inner.name), comments)
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
        changed = updated(self, settings, "", where, faults)
        raise_faults(faults)
        assert isinstance(changed, Config)
        return changed

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
