"""Place one lesion by one scheme, with the probability of every tier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eprimg.config import StratifyConfig
from eprimg.kernels.confidence import (
    is_indeterminate,
    tier_probabilities_lognormal,
    tier_probabilities_normal,
    wcv_from_repeatability_coefficient,
)
from eprimg.kernels.cutoffs import assign_tier
from eprimg.model.lesions import Measurement, Region, RegionSource
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, Tier, TierScheme
from eprimg.quantities import quantity
from eprimg.resources import load_resource

__all__ = ["NOT_VALIDATED", "ErrorModel", "error_model", "lesion_tier", "not_tiered", "notice_of"]

NOT_VALIDATED = "example, not validated"

_SOURCES = {"dr2star": "mr_post-mr_pre", "r2star": "mr_post", "rr2star90": "mr_post"}
"""Which of several measurements of a quantity is judged: native grids, after ferumoxytol."""


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """How far the true value may lie from the measured one.

    Parameters
    ----------
    kind : str
        ``log-normal``, ``normal`` or ``none``.
    spread : float
        wCV as a fraction (log-normal), standard deviation in the quantity's unit (normal), or NaN.
    note : str
        What it covers and leaves out, or why there is none.
    """

    kind: str
    spread: float
    note: str

    def probabilities(self, value: float, edges: Sequence[float]) -> tuple[float, ...]:
        """Probability of every tier.

        Parameters
        ----------
        value : float
            Measured value.
        edges : sequence of float
            Strictly rising cut-offs.

        Returns
        -------
        tuple of float
            One more than edges, from low to high; NaN when there is no error model.
        """
        if self.kind == "none":
            return (float("nan"),) * (len(edges) + 1)
        if self.kind == "log-normal":
            found = tier_probabilities_lognormal(value, list(edges), wcv=self.spread)
        else:
            found = tier_probabilities_normal(value, list(edges), sd=self.spread)
        return tuple(float(p) for p in found)


def notice_of(scheme: TierScheme) -> str:
    """Return what has to stand beside every tier of a scheme.

    Parameters
    ----------
    scheme : TierScheme
        The scheme.

    Returns
    -------
    str
        Empty for a validated scheme.
    """
    return "" if scheme.validated else NOT_VALIDATED


def error_model(region: Region, measurement: Measurement, nuclide: str | None) -> ErrorModel:
    """Choose the error of a measurement: published repeatability, else what the voxels tell.

    Parameters
    ----------
    region : Region
        The lesion.
    measurement : Measurement
        The number that is judged.
    nuclide : str or None
        Nuclide of the PET series.

    Returns
    -------
    ErrorModel
        Log-normal for PET with a published coefficient, normal otherwise, ``none`` when no error
        can be stated.
    """
    if measurement.quantity in load_resource("repeatability.toml")["quantities"]:
        published = _published(nuclide, measurement.statistic)
        if published is not None:
            return published
        return _from_voxels(
            measurement,
            f"no repeatability of the {measurement.statistic} is published for "
            f"{nuclide or 'this nuclide'}; voxel spread only, ",
        )
    if measurement.quantity == "dr2star":
        return _change_of_r2star(region, measurement)
    return _from_voxels(measurement, "no repeatability of tumour R2* is published; ")


def _published(nuclide: str | None, statistic: str) -> ErrorModel | None:
    for entry in load_resource("repeatability.toml")["entries"]:
        if entry["nuclide"] != nuclide or entry["statistic"] != statistic:
            continue
        wcv, said = _wcv(entry)
        note = (
            f"{entry['covers']}: a lower bound of the error; {entry['leaves_out']} not "
            f"included ({said}, {entry['citation']})"
        )
        return ErrorModel("log-normal", wcv, note)
    return None


def _wcv(entry: Mapping[str, Any]) -> tuple[float, str]:
    if "wcv_percent" in entry:
        return entry["wcv_percent"] / 100.0, f"wCV {entry['wcv_percent']:g} %"
    coefficient = entry["rc_percent"] / 100.0
    return (
        wcv_from_repeatability_coefficient(coefficient),
        f"repeatability coefficient {entry['rc_percent']:g} %",
    )


def _from_voxels(measurement: Measurement, before: str) -> ErrorModel:
    error = measurement.uncertainty
    if math.isfinite(error) and error > 0:
        return ErrorModel(
            "normal", error, f"lower bound of the error: {before}{measurement.uncertainty_note}"
        )
    return ErrorModel(
        "none", float("nan"), f"no confidence can be stated: {before}{measurement.uncertainty_note}"
    )


def _change_of_r2star(region: Region, measurement: Measurement) -> ErrorModel:
    before = "no tumour R2* repeatability is published; "
    term = region.measurement("dr2star", "registration_error_term", "mr_post-mr_pre")
    if term is None or not math.isfinite(term.value):
        return _from_voxels(measurement, before + "registration error not included; ")
    error = math.hypot(measurement.uncertainty, term.value)
    if not (math.isfinite(error) and error > 0):
        return _from_voxels(measurement, before)
    return ErrorModel(
        "normal",
        error,
        f"lower bound of the error: {before}fit error of both sessions "
        f"({measurement.uncertainty:.2g} 1/s) and registration ({term.value:.2g} 1/s, "
        f"{term.note}) in quadrature",
    )


def not_tiered(scheme: TierScheme, reason: str) -> Tier:
    """Tier of a lesion that a scheme cannot judge.

    Parameters
    ----------
    scheme : TierScheme
        The scheme.
    reason : str
        Why.

    Returns
    -------
    Tier
        With label ``not tiered``.
    """
    return Tier(
        scheme.key, NOT_TIERED, float("nan"), "none: not tiered", reason, notice=notice_of(scheme)
    )


def _too_small_for_pet(region: Region, scheme: TierScheme, config: StratifyConfig) -> str:
    """Say why partial volume forbids a tier: the number would be wrong with high confidence."""
    volume = region.measurement("volume", "volume")
    if scheme.applies_to != "pet" or volume is None or not volume.value > 0:
        return ""
    diameter_mm = 10.0 * (6.0 * volume.value / math.pi) ** (1.0 / 3.0)
    if diameter_mm >= config.smallest_pet_lesion_mm:
        return ""
    return (
        f"the equivalent diameter of {diameter_mm:.1f} mm is below "
        f"{config.smallest_pet_lesion_mm:g} mm: partial volume, not uptake, rules the number"
    )


def lesion_tier(
    region: Region,
    scheme: TierScheme,
    edges: Sequence[float],
    trace: str,
    nuclide: str | None,
    config: StratifyConfig,
    *,
    refused: str = "",
) -> Tier:
    """Place a lesion in a tier.

    Parameters
    ----------
    region : Region
        A measured lesion.
    scheme : TierScheme
        The scheme.
    edges : sequence of float
        Its cut-offs for this patient.
    trace : str
        Where the cut-offs come from.
    nuclide : str or None
        Nuclide of the PET series.
    config : StratifyConfig
        When a tier is indeterminate.
    refused : str
        Why no lesion of this study can be judged; empty when they can.

    Returns
    -------
    Tier
        Label, confidence, probabilities and the reason in words.
    """
    if region.source == RegionSource.CANDIDATE:
        return not_tiered(
            scheme,
            "a candidate that was found automatically and not reviewed: "
            "confirm it (--accept-candidates, or a mask) to get a tier",
        )
    if refused:
        return not_tiered(scheme, refused)
    too_small = _too_small_for_pet(region, scheme, config)
    if too_small:
        return not_tiered(scheme, too_small)
    measurement = region.measurement(
        scheme.quantity, scheme.statistic, _SOURCES.get(scheme.quantity)
    )
    name = quantity(scheme.quantity).name
    if measurement is None:
        return not_tiered(
            scheme,
            f"{name} ({scheme.statistic}) was not measured: the study has "
            "no such map, or the series is not aligned",
        )
    if not math.isfinite(measurement.value):
        return not_tiered(
            scheme,
            f"{name} ({scheme.statistic}) has no value: {measurement.note or 'not measured'}",
        )
    value = measurement.value
    model = error_model(region, measurement, nuclide)
    found = model.probabilities(value, edges)
    place = int(assign_tier(value, list(edges)))
    most_likely = scheme.labels[place]
    label = most_likely
    reason = f"{_value_words(value, scheme)} {_place_words(place, edges)}; {trace}"
    if model.kind != "none" and bool(
        is_indeterminate(found, lower=config.indeterminate_low, upper=config.indeterminate_high)
    ):
        label = INDETERMINATE
        reason = f"{reason}; {_doubt_words(found, edges, config)}"
    return Tier(
        scheme=scheme.key,
        label=label,
        confidence=found[place],
        confidence_note=model.note,
        reason=reason,
        most_likely=most_likely,
        probabilities=dict(zip(scheme.labels, found, strict=True)),
        notice=notice_of(scheme),
    )


def _value_words(value: float, scheme: TierScheme) -> str:
    record = quantity(scheme.quantity)
    return f"{record.name} {scheme.statistic} {value:.3g} {record.unit.text}"


def _place_words(place: int, edges: Sequence[float]) -> str:
    if place == 0:
        return f"below the edge {edges[0]:g}"
    if place == len(edges):
        return f"at or above the edge {edges[-1]:g}"
    return f"between the edges {edges[place - 1]:g} and {edges[place]:g}"


def _doubt_words(found: Sequence[float], edges: Sequence[float], config: StratifyConfig) -> str:
    above = np.cumsum(np.asarray(found)[:0:-1])[::-1]
    said = [
        f"the edge {edge:g} is exceeded with a probability of {p:.2f}"
        for edge, p in zip(edges, above, strict=True)
        if config.indeterminate_low <= p <= config.indeterminate_high
    ]
    return " and ".join(said) + (
        f", between {config.indeterminate_low:g} and {config.indeterminate_high:g}: indeterminate"
    )
