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
from eprimg.model.lesions import BELOW_RESOLUTION, Measurement, Region, RegionSource
from eprimg.model.tiers import (
    INDETERMINATE,
    JUDGED_SOURCES,
    NOT_TIERED,
    RESTS_ON,
    Objection,
    Tier,
    TierScheme,
)
from eprimg.quantities import quantity
from eprimg.resources import load_resource

__all__ = [
    "EDITED_SCHEME",
    "NOT_VALIDATED",
    "ErrorModel",
    "at_most",
    "error_model",
    "lesion_tier",
    "not_tiered",
    "notice_of",
]

NOT_VALIDATED = "example, not validated"
EDITED_SCHEME = "edited scheme, not validated"

_HIGHEST_CONFIDENCE = 0.99
"""Nothing higher is stated where the known error is only a part of the error."""


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
    lower_bound : bool
        True when the true error is larger: then a confidence is an upper bound.
    """

    kind: str
    spread: float
    note: str
    lower_bound: bool = True

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


def at_most(confidence: float) -> float:
    """Round a confidence that is an upper bound: no more than 0.99 leaves the house.

    Parameters
    ----------
    confidence : float
        As the error model gives it; NaN when there is none.

    Returns
    -------
    float
        The same, at most 0.99.
    """
    # min() would turn a NaN into a number, depending on the order of its arguments.
    return _HIGHEST_CONFIDENCE if confidence > _HIGHEST_CONFIDENCE else confidence


def notice_of(scheme: TierScheme) -> str:
    """Return what has to stand beside every tier of a scheme.

    Parameters
    ----------
    scheme : TierScheme
        The scheme.

    Returns
    -------
    str
        Empty for a validated scheme that nobody edited.
    """
    if scheme.edited:
        return EDITED_SCHEME
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
    if measurement.quantity in ("dr2star", "iron_concentration", "iron_content"):
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
        return ErrorModel("log-normal", wcv, note, lower_bound=bool(entry["lower_bound"]))
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
    unit = quantity(measurement.quantity).unit.text
    term = region.measurement(
        measurement.quantity, "registration_error_term", JUDGED_SOURCES["dr2star"]
    )
    if term is None or not math.isfinite(term.value):
        return _from_voxels(measurement, before + "registration error not included; ")
    error = math.hypot(measurement.uncertainty, term.value)
    if not (math.isfinite(error) and error > 0):
        return _from_voxels(measurement, before)
    return ErrorModel(
        "normal",
        error,
        f"lower bound of the error: {before}fit error of both sessions "
        f"({measurement.uncertainty:.2g} {unit}) and registration ({term.value:.2g} {unit}, "
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
    if scheme.applies_to != "pet" or volume is None:
        return ""
    if any(note.startswith(BELOW_RESOLUTION) for note in region.notes):
        return f"{BELOW_RESOLUTION}: partial volume, not uptake, rules the number"
    if not volume.value > 0:
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
    objections: Sequence[Objection] = (),
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
    objections : sequence of Objection
        What speaks against tiers in the whole study; those of the region itself are added.

    Returns
    -------
    Tier
        Label, confidence, probabilities and the reason in words.

    Notes
    -----
    An objection of unknown direction forbids the tier.  Where a number is known to be too low, the
    highest tier stands (the true value lies further up) and every other one is withheld, because
    the true value may lie in a higher tier; the other way round where it is too high.
    """
    if region.source == RegionSource.CANDIDATE:
        return not_tiered(
            scheme,
            "a candidate that was found automatically and not reviewed: "
            "confirm it (--accept-candidates, or a mask) to get a tier",
        )
    measurement = region.measurement(
        scheme.quantity, scheme.statistic, JUDGED_SOURCES.get(scheme.quantity)
    )
    name = quantity(scheme.quantity).name
    if measurement is None:
        return not_tiered(
            scheme,
            f"{name} ({scheme.statistic}) was not measured: the study has "
            "no such map, or the series is not aligned",
        )
    rests_on = {scheme.quantity, *RESTS_ON.get(scheme.quantity, ())}
    against = [o for o in (*objections, *region.objections) if rests_on & set(o.quantities)]
    refused = [o.reason for o in against if o.bias == "unknown"]
    too_small = _too_small_for_pet(region, scheme, config)
    refused += [too_small] if too_small else []
    if refused:
        return not_tiered(scheme, "; ".join(dict.fromkeys(refused)))
    if not math.isfinite(measurement.value):
        return not_tiered(
            scheme,
            f"{name} ({scheme.statistic}) has no value: {measurement.note or 'not measured'}",
        )
    value = measurement.value
    place = int(assign_tier(value, list(edges)))
    biased = [o for o in against if o.bias != "unknown"]
    withheld = _withheld(biased, place, scheme)
    if withheld:
        return not_tiered(
            scheme, f"{_value_words(value, scheme)} {_place_words(place, edges)}, but {withheld}"
        )
    model = error_model(region, measurement, nuclide)
    found = model.probabilities(value, edges)
    most_likely = scheme.labels[place]
    label = most_likely
    reason = f"{_value_words(value, scheme)} {_place_words(place, edges)}; {trace}"
    if biased:
        side = "higher" if biased[0].bias == "low" else "lower"
        said = "; ".join(dict.fromkeys(o.reason for o in biased))
        reason = f"{reason}; {said}: the true value is {side}, so the tier stands"
    if model.kind != "none" and bool(
        is_indeterminate(found, lower=config.indeterminate_low, upper=config.indeterminate_high)
    ):
        label = INDETERMINATE
        reason = f"{reason}; {_doubt_words(found, edges, config)}"
    return Tier(
        scheme=scheme.key,
        label=label,
        confidence=at_most(found[place]) if model.lower_bound else found[place],
        confidence_note=(
            f"at most: the true error is larger, so the true confidence is lower; {model.note}"
            if model.lower_bound and model.kind != "none"
            else model.note
        ),
        reason=reason,
        most_likely=most_likely,
        probabilities=dict(zip(scheme.labels, found, strict=True)),
        notice=notice_of(scheme),
    )


def _withheld(biased: Sequence[Objection], place: int, scheme: TierScheme) -> str:
    """Say why a number with a known bias does not give this tier; empty when it does."""
    sides = {o.bias for o in biased}
    if not sides:
        return ""
    said = "; ".join(dict.fromkeys(o.reason for o in biased))
    label = scheme.labels[place]
    if len(sides) > 1:
        return f"{said}: the direction of the error is not known"
    if sides == {"low"} and place < len(scheme.labels) - 1:
        return f"{said}: the tier is {label} or higher"
    if sides == {"high"} and place > 0:
        return f"{said}: the tier is {label} or lower"
    return ""


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
