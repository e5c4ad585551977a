"""Settings of how candidate regions are found and outlined; see `eprimg.config`."""

from __future__ import annotations

from dataclasses import dataclass

from eprimg._settings import setting

__all__ = ["SegmentConfig"]


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """How candidate regions are found when no mask was given, and how they are outlined."""

    engine: str = setting(
        "pet", "entry point of the segmenter: threshold takes the voxels above the rule as they are"
    )
    rule: str = setting(
        "percent-of-max",
        "threshold by which candidates are found",
        choices=("percent-of-max", "fixed"),
    )
    percent: float = setting(41.0, "percent of the maximum SUVbw", low=1.0, high=99.0)
    suvbw: float = setting(4.0, "fixed SUVbw threshold", low=0.0)
    minimum_volume_ml: float = setting(0.5, "smaller components are dropped", low=0.0)
    maximum_candidates: int = setting(50, "more components than this are refused", low=1)
    accept_candidates: bool = setting(
        False, "treat automatic regions as confirmed, so that they get tiers"
    )
    method: str = setting(
        "adaptive-bg",
        "how the engine pet outlines a candidate",
        choices=(
            "adaptive-bg",
            "fixed",
            "percent-of-max",
            "a50",
            "percist",
            "schaefer",
            "nestle",
            "gradient-watershed",
            "flab",
            "gmm",
            "majority",
        ),
    )
    adaptive_fraction: float = setting(
        0.41, "adaptive-bg: part of the height above the background", low=0.05, high=0.95
    )
    a50_fraction: float = setting(
        0.5, "a50: part of the height of SUVpeak above the background", low=0.05, high=0.95
    )
    reference: str = setting(
        "liver",
        "percist: reference region (liver: 1.5 means and 2 SD; for blood PERCIST asks for 2 means)",
        choices=("liver", "blood", "muscle"),
    )
    percist_factor: float = setting(1.5, "percist: factor on the reference's mean", low=0.1)
    percist_sds: float = setting(2.0, "percist: standard deviations added to it", low=0.0)
    force_liver_threshold: bool = setting(
        False, "percist on the liver also with a tracer that the liver takes up on purpose"
    )
    schaefer_mean: float = setting(0.5, "schaefer: factor on the mean above 70 %", low=0.0)
    schaefer_background: float = setting(0.5, "schaefer: factor on the background", low=0.0)
    nestle_beta: float = setting(0.15, "nestle: factor on the mean above 70 %", low=0.0)
    vote_suvbw: float = setting(2.5, "majority: second fixed SUVbw, besides suvbw", low=0.0)
    vote_least: int = setting(2, "majority: how many of the four rules must agree", low=1, high=4)
    psf_fwhm_mm: float = setting(
        6.0, "blur of the scanner (full width at half maximum)", low=0.5, high=20.0
    )
    fill_holes: bool = setting(True, "a cold core that is closed in belongs to the lesion")
    split_depth: float = setting(
        0.25,
        "touching lesions are split where a valley lies this part below the lower top; 1 never",
        low=0.05,
        high=1.0,
    )
    organ_share: float = setting(
        0.5,
        "a candidate of which more than this part lies in reference organs (widened by the blur) "
        "is left out",
        low=0.0,
        high=1.0,
    )
    remove: str = setting(
        "", "candidates that a person removed, by name with commas between; the others keep names"
    )
