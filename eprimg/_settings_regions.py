"""Settings of regions: clicks, reference organs, eligibility, heterogeneity."""

from __future__ import annotations

from dataclasses import dataclass

from eprimg._settings import setting

__all__ = [
    "ClickConfig",
    "EligibilityConfig",
    "HeterogeneityConfig",
    "MatchingConfig",
    "ReferenceConfig",
]


@dataclass(frozen=True, slots=True)
class ClickConfig:
    """How a click of study.toml becomes a region."""

    method: str = setting(
        "random-walker",
        "how a lesion grows from a click",
        choices=("random-walker", "grow-cut", "gradient-watershed"),
    )
    echo_time_ms: float = setting(
        4.6, "the echo nearest to this echo time is looked at, on an echo train", low=0.0
    )
    search_mm: float = setting(
        15.0, "the sphere of a reference organ lies at most this far from its click", low=0.5
    )
    margin_mm: float = setting(
        3.0, "this much around the sphere has to be the same tissue", low=0.0, high=30.0
    )
    tolerance: float = setting(
        0.25,
        "a voxel is other tissue when it differs from the click by more than this part of it",
        low=0.01,
        high=0.99,
    )


@dataclass(frozen=True, slots=True)
class ReferenceConfig:
    """How reference organs are judged."""

    uneven_spread: float = setting(
        0.3,
        "a reference organ is called uneven when 1.4826 times its median absolute deviation is "
        "more than this part of its median",
        low=0.01,
    )


@dataclass(frozen=True, slots=True)
class EligibilityConfig:
    """Which lesions may be placed in a tier."""

    rules: str = setting(
        "default",
        "rules of resources/eligibility (default, or strict: none in liver, spleen or marrow), or "
        "the path of a rule file",
    )


@dataclass(frozen=True, slots=True)
class HeterogeneityConfig:
    """How the unevenness of lesions is measured."""

    measure: bool = setting(
        True, "measure histogram statistics, hot and cold parts and profiles of lesions"
    )
    least_voxels: int = setting(
        20, "a lesion with fewer voxels of a map has no such numbers of it", low=2
    )
    suv_bin: float = setting(0.5, "width of a histogram bin of SUVbw, in g/mL", low=0.001)
    pid_bin_per_kg: float = setting(
        0.5, "width of a histogram bin of %ID/kg, when there is no SUVbw", low=0.001
    )
    r2star_bin_per_s: float = setting(
        10.0, "width of a histogram bin of R2* and its change, in 1/s", low=0.001
    )
    hot_cold_part: float = setting(
        0.5,
        "hot is above one plus this part times the median of the lesion, cold below one minus it",
        low=0.01,
        high=0.99,
    )
    profile_bin_mm: float = setting(
        2.0,
        "width of a bin of distance from the rim; at least the finest voxel spacing is taken",
        low=0.1,
        high=20.0,
    )


@dataclass(frozen=True, slots=True)
class MatchingConfig:
    """How lesions that were drawn on two series are matched."""

    least_overlap: float = setting(
        0.1,
        "two lesions belong together when they share at least this part of the smaller one",
        low=0.01,
        high=1.0,
    )
    most_distance_mm: float = setting(
        20.0,
        "lesions left over are matched by the distance of their centres up to this one; 0: not",
        low=0.0,
        high=200.0,
    )
