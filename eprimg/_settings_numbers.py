"""Settings of how numbers are made: R2*, fat and water, iron, PET, partial volume, blood."""

from __future__ import annotations

from dataclasses import dataclass

from eprimg._settings import setting
from eprimg.errors import ConfigError

__all__ = [
    "BloodVolumeConfig",
    "FatWaterConfig",
    "IronConfig",
    "KineticsConfig",
    "PartialVolumeConfig",
    "PetConfig",
    "R2StarConfig",
    "TimePointsConfig",
    "UptakeConfig",
]


@dataclass(frozen=True, slots=True)
class PetConfig:
    """How PET headers are judged."""

    mode: str = setting(
        "lenient",
        "strict follows the IBSI SUV manual: an absent half-life is refused, and so is an "
        "injection two half-lives or more before the scan",
        choices=("lenient", "strict"),
    )


@dataclass(frozen=True, slots=True)
class R2StarConfig:
    """How R2* is fitted."""

    method: str = setting(
        "nlls",
        "estimator: non-linear least squares, weighted closed form; loglin and arlo are for "
        "comparison",
        choices=("nlls", "irls", "loglin", "arlo"),
    )
    noise: str = setting(
        "truncate",
        "noise floor: ignore it, leave out the echoes below it, or fit the mean magnitude "
        "(rician; with nlls only)",
        choices=("none", "truncate", "rician"),
    )
    sigma: float = setting(
        0.0,
        "standard deviation of the noise per channel, in the unit of the signal of both series; "
        "0 estimates it for each series",
        low=0.0,
    )
    n_coils: int = setting(
        1,
        "receive channels that were added as a sum of squares; 1 for a complex combination "
        "(SENSE, adaptive)",
        low=1,
        high=32,
    )
    echoes: str = setting(
        "all",
        "echoes to fit: all, or those where fat and water are in phase (needs the field strength)",
        choices=("all", "in-phase"),
    )
    least_echoes_above_noise: int = setting(
        3,
        "with a noise mode: a voxel whose fitted decay stays above the noise in fewer echoes lies "
        "above the measurable range",
        low=2,
    )
    noise_floor_product: float = setting(
        5.0,
        "without a noise mode: R2* times the longest echo time above which late echoes sit in "
        "the noise floor and the value is flagged",
        low=0.1,
    )
    field_gradient: str = setting(
        "off",
        "take out the loss from the macroscopic field gradient through the slice, for this slice "
        "profile (2-D acquisitions; needs a field map: study.toml maps, or fat_water.fit)",
        choices=("off", "rectangular", "gaussian", "table"),
    )
    slice_thickness_mm: float = setting(
        0.0,
        "width of the slice profile: of the box, of the Gaussian at half maximum, or from the "
        "first to the last sample of the table; needed with field_gradient",
        low=0.0,
        high=50.0,
    )
    slice_profile: tuple[float, ...] = setting(
        (), "field_gradient = table: amplitudes of the slice profile at even steps", low=0.0
    )

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        self._check_field_gradient()
        if self.noise == "rician" and self.method != "nlls":
            raise ConfigError(
                "the mean magnitude (rician) is fitted by non-linear least squares only",
                code="E_CONFIG",
                where="r2star.noise",
                value=f"noise {self.noise}, method {self.method}",
                action="set r2star.method to nlls, or r2star.noise to truncate",
            )

    def _check_field_gradient(self) -> None:
        """Refuse a correction without a profile, or one that the fit cannot go with."""
        if self.field_gradient == "off":
            return
        where, value, action = "r2star.field_gradient", self.field_gradient, ""
        if not self.slice_thickness_mm > 0.0:
            action = "set r2star.slice_thickness_mm"
        elif self.field_gradient == "table" and (
            len(self.slice_profile) < 3 or not sum(self.slice_profile) > 0.0
        ):
            action = "set r2star.slice_profile to three or more amplitudes"
        elif self.noise == "rician" or self.method == "arlo":
            value = f"{value} with noise {self.noise}, method {self.method}"
            action = "use noise truncate or none, and method nlls, irls or loglin"
        if action:
            raise ConfigError(
                "the correction for the field gradient cannot be made with these settings",
                code="E_CONFIG",
                where=where,
                value=value,
                action=action,
            )


@dataclass(frozen=True, slots=True)
class FatWaterConfig:
    """How a complex multi-echo series is fitted for fat, R2* and field offset."""

    fit: bool = setting(
        False,
        "also fit fat and water where a series has phase, or real and imaginary parts (minutes for "
        "a large series)",
    )
    spectrum: str = setting(
        "hamilton-2011-6",
        "resonances of fat (resources/fat_spectra.toml)",
        choices=("hamilton-2011-6", "hamilton-2011-9", "ren-2008-7"),
    )
    phase_sign: str = setting(
        "detect",
        "which way the stored phase turns: 1 where fat falls behind water, -1 the other way",
        choices=("detect", "1", "-1"),
    )
    neighbourhood_mm: float = setting(
        5.0,
        "standard deviation of the neighbourhood whose field helps to tell water from fat; "
        "0 treats every voxel alone",
        low=0.0,
        high=50.0,
    )


@dataclass(frozen=True, slots=True)
class IronConfig:
    """How the change of R2* becomes an iron concentration; without a named model it does not."""

    model: str = setting(
        "",
        "relaxivity model of resources/relaxivity.toml, or calibration; empty: no concentration",
    )
    calibration_file: str = setting(
        "", "table of calibration vials (CSV) for the model named calibration"
    )
    calibration_curve: str = setting(
        "linear", "curve through the vials", choices=("linear", "quadratic")
    )


@dataclass(frozen=True, slots=True)
class PartialVolumeConfig:
    """How lesion means of PET are corrected for partial volume; the raw ones stay beside them."""

    method: str = setting(
        "",
        "correction; empty for none",
        choices=("", "rc-table", "gtm", "iterative-yang", "single-target"),
    )
    fwhm_mm: tuple[float, ...] = setting(
        (),
        "full width at half maximum of the scanner's blur for this nuclide and reconstruction: one "
        "value, or three along slices, rows and columns; needed by all methods but rc-table",
        low=1.0,
        high=30.0,
    )
    fwhm_error_mm: float = setting(
        0.5, "standard uncertainty of that width, carried into the result", low=0.0, high=5.0
    )
    boundary_error_mm: float = setting(
        1.0,
        "standard uncertainty of the outline of a lesion, carried into the result",
        low=0.0,
        high=10.0,
    )
    minimum_diameter_fwhm: float = setting(
        1.5,
        "a lesion of a smaller equivalent diameter, in widths of the blur, gets no corrected value",
        low=0.5,
    )
    iterations: int = setting(10, "iterations of iterative-yang and single-target", low=1, high=100)
    recovery_table: str = setting(
        "", "CSV file with recovery coefficients of spheres, for rc-table"
    )
    scanner: str = setting("", "name of scanner and reconstruction in that table")
    background_gap_mm: float = setting(
        10.0,
        "rc-table: the background of a lesion begins this far outside of its outline",
        low=0.0,
        high=50.0,
    )
    background_width_mm: float = setting(
        10.0, "rc-table: and is a shell of this width", low=1.0, high=50.0
    )


@dataclass(frozen=True, slots=True)
class UptakeConfig:
    """How PET uptake is scaled and its volume is found."""

    sul_formula: str = setting(
        "janmahasatian",
        "formula of the lean body mass behind SUL (james120 is also known as Morgan)",
        choices=("janmahasatian", "james128", "james120"),
    )
    mtv_percent: float = setting(
        41.0,
        "metabolic volume: voxels of the region at or above this percent of its maximum SUVbw",
        low=1.0,
        high=100.0,
    )
    mtv_suvbw: float = setting(
        4.0, "metabolic volume: voxels of the region at or above this SUVbw", low=0.0
    )


@dataclass(frozen=True, slots=True)
class BloodVolumeConfig:
    """How the activity of the blood in a lesion's vessels is taken off its uptake."""

    fraction: float = setting(
        0.0,
        "blood volume fraction of lesions (0.05 for 5 %); 0 for no correction",
        low=0.0,
        high=0.9,
    )
    fraction_se: float = setting(
        0.0, "standard uncertainty of that fraction; 0 takes it as exact", low=0.0, high=0.5
    )
    blood_bq_per_ml: float = setting(
        0.0,
        "activity of whole blood at the reference instant of the scan, e.g. of a sample; 0 takes "
        "the mean of the blood-pool region",
        low=0.0,
    )
    blood_se_bq_per_ml: float = setting(0.0, "standard uncertainty of that activity", low=0.0)


@dataclass(frozen=True, slots=True)
class TimePointsConfig:
    """Which of several sessions is the primary one, on which tiers and report rest."""

    mr_post_primary_h: float = setting(
        24.0,
        "of several MR sessions after the agent the one nearest to this many hours after it is "
        "the primary one (`[primary]` of the study file wins)",
        low=0.0,
        high=1000.0,
    )
    pet_primary: str = setting(
        "last",
        "of several PET sessions this one is the primary one (`[primary]` of the study file wins)",
        choices=("first", "last"),
    )
    late_h: float = setting(
        16.0,
        "a session after the agent counts as late, for retention, from this many hours after the "
        "agent (after the first session when the agent's instant is not known)",
        low=1.0,
        high=1000.0,
    )


@dataclass(frozen=True, slots=True)
class KineticsConfig:
    """How several PET sessions become areas, net influx and permeability index."""

    blood_samples: str = setting(
        "", "CSV file of blood samples; without one the blood-pool region gives the input"
    )
    pet_over_well_counter: float = setting(
        1.0,
        "cross-calibration of the blood samples: what the scanner reads over what the well counter "
        "reads, for one sample; 1: not stated",
        low=0.5,
        high=2.0,
    )
    input_model: str = setting(
        "monoexponential",
        "curve through the blood values",
        choices=("monoexponential", "biexponential", "trapezoid"),
    )
    plasma_over_blood: float = setting(
        1.0, "activity of plasma over that of whole blood", low=0.1, high=10.0
    )
    plasma_over_blood_se: float = setting(
        0.0, "standard uncertainty of that ratio", low=0.0, high=5.0
    )
    patlak_start_h: float = setting(
        24.0, "Patlak: scans from this many hours after the injection on", low=0.0, high=1000.0
    )
    early_curve: str = setting(
        "zero",
        "area under the curve before the first scan: rising from zero, or as at the first scan",
        choices=("zero", "constant"),
    )
