"""From the tiers of the lesions to the tier of the patient."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.config import StratifyConfig
from eprimg.model.lesions import Region
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, PatientTier, TierScheme
from eprimg.stages.lesion_union import counted_parts
from eprimg.stages.region_notes import INSIDE_CARRIER
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.tiers_lesion import at_most, notice_of

__all__ = ["NO_DOMINANT", "patient_tier"]

NO_DOMINANT = "no dominant tier"
"""Outcome when no tier holds more than half of the lesion volume."""

_LARGEST_ENUMERATION = 60_000
"""Up to this many combinations of lesion tiers are enumerated; beyond, as many are drawn."""

_SEED = 20240917
"""Fixed, so that the same lesions always give the same patient confidence."""

_DOMINANT_SHARE = 0.5

_NAMED = 3
"""So many lesions are named in a reason; of the others the number is given."""


@dataclass(frozen=True, slots=True)
class _Evaluable:
    """Lesions that take part."""

    volumes: npt.NDArray[np.float64]
    places: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    carriers: tuple[tuple[str, ...], ...]
    """Per lesion: what its notes say about lying inside a carrier organ."""
    shared_ml: float
    """What the sum of the lesions' own volumes holds more than their union."""


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """A lesion that takes no part."""

    name: str
    volume_ml: float
    reason: str


def patient_tier(
    lesions: Sequence[Region],
    scheme: TierScheme,
    config: StratifyConfig,
    *,
    voxels: RegionVoxels | None = None,
) -> PatientTier:
    """Combine the tiers of the lesions by the scheme's patient rule.

    Parameters
    ----------
    lesions : sequence of Region
        Lesions with their tiers by this scheme.
    scheme : TierScheme
        The scheme.
    config : StratifyConfig
        When a tier is indeterminate.
    voxels : RegionVoxels, optional
        The lesions on the reference grid, with what they share; without it no two overlap.

    Returns
    -------
    PatientTier
        Label, confidence and the reason in words.

    Notes
    -----
    ``dominant-volume``: the tier that holds more than half of the volume of the evaluable lesions.
    ``any``: the highest tier that at least one lesion reaches.  ``all``: the highest tier that
    every lesion reaches, which gets stricter with more lesions.  The confidence is the probability
    of the outcome when the lesions' tiers vary independently of each other, each by its own
    probabilities: errors that lesions share (dose, calibration) are not in it.

    Lesions without a tier take no part, but the answer is ``indeterminate`` when they could change
    it, whatever their tier: ``dominant-volume``, when the tier's volume is not more than half of
    the volume with them (or one has no known volume); ``any``, when the highest tier is not reached
    without them; ``all``, when a tier above the lowest is given without them.

    In every sum of volumes a voxel that several lesions hold counts once: it is divided evenly
    among them, so that the sum is the volume of their union.

    References
    ----------
    .. [1] Mileva M et al., npj Breast Cancer 2024. doi:10.1038/s41523-023-00610-6 (dominant part
       of the tumour load)
    """
    found, left_out = _evaluable(lesions, scheme, voxels)
    n = len(found.volumes)
    left = f"; left out: {_left_words(left_out)}" if left_out else ""
    if n == 0:
        return PatientTier(
            scheme.key,
            NOT_TIERED,
            float("nan"),
            "none: not tiered",
            f"no lesion could be tiered{left}",
            scheme.patient_rule,
            0,
            notice_of(scheme),
        )
    outcomes = (*scheme.labels, NO_DOMINANT)
    combine = _RULES[scheme.patient_rule]
    alone = int(combine(found.places[None, :], found.volumes, len(scheme.labels))[0])
    known = bool(np.isfinite(found.probabilities).all())
    if known:
        chances = _outcome_probabilities(found, combine, len(scheme.labels))
        best = int(np.argmax(chances))
        confidence = float(chances[best])
        note = (
            "at most: lesions vary independently, each by its own probabilities (an assumption); "
            "errors that lesions share are not included: a lower bound of the error"
        )
        probabilities = dict(zip(outcomes, (float(c) for c in chances), strict=True))
    else:
        best, confidence = alone, float("nan")
        note = "no confidence can be stated: at least one lesion has none"
        probabilities = {}
    words = f"{_words(found, scheme, best)} ({n} lesion{'' if n == 1 else 's'}{left})"
    if found.shared_ml > 1e-9 * float(found.volumes.sum()):
        words += f"; the {found.shared_ml:.3g} mL that lesions share count once"
    words += _carrier_words(found, scheme, best)
    label = outcomes[best]
    overturned = _could_overturn(found, left_out, scheme, best)
    if best == len(scheme.labels):
        label = INDETERMINATE
    elif overturned:
        label, confidence = INDETERMINATE, float("nan")
        note = "no confidence can be stated: lesions that were left out could change the answer"
        words += f"; {overturned}: indeterminate"
    elif known and confidence < config.indeterminate_high:
        label = INDETERMINATE
        words += (
            f"; most likely {outcomes[best]} with a probability of {confidence:.2f}, below "
            f"{config.indeterminate_high:g}: indeterminate"
        )
    return PatientTier(
        scheme=scheme.key,
        label=label,
        confidence=at_most(confidence),
        confidence_note=note,
        reason=words,
        rule=scheme.patient_rule,
        n_lesions=n,
        notice=notice_of(scheme),
        probabilities=probabilities,
    )


def _evaluable(
    lesions: Sequence[Region], scheme: TierScheme, voxels: RegionVoxels | None
) -> tuple[_Evaluable, tuple[_LeftOut, ...]]:
    volumes: list[float] = []
    places: list[int] = []
    chances: list[list[float]] = []
    carriers: list[tuple[str, ...]] = []
    left: list[_LeftOut] = []
    tiers = {r.id: next((t for t in r.tiers if t.scheme == scheme.key), None) for r in lesions}
    sizes = {r.id: _volume_ml(r) for r in lesions}
    without = {n for n, t in tiers.items() if t is None or t.label == NOT_TIERED}
    without |= {n for n, volume in sizes.items() if not math.isfinite(volume)}
    parts = counted_parts(voxels, without) | counted_parts(voxels, set(tiers) - without)
    for region in lesions:
        tier, volume = tiers[region.id], sizes[region.id] * parts[region.id]
        if tier is None or tier.label == NOT_TIERED:
            left.append(
                _LeftOut(region.name, volume, "not tiered" if tier is None else tier.reason)
            )
            continue
        if not math.isfinite(volume):
            left.append(_LeftOut(region.name, volume, "without a volume"))
            continue
        volumes.append(volume)
        places.append(scheme.labels.index(tier.most_likely))
        chances.append([tier.probabilities.get(label, float("nan")) for label in scheme.labels])
        carriers.append(tuple(n for n in region.notes if n.startswith(INSIDE_CARRIER)))
    return (
        _Evaluable(
            np.asarray(volumes),
            np.asarray(places, dtype=np.int64),
            np.asarray(chances).reshape(len(volumes), len(scheme.labels)),
            tuple(carriers),
            sum(sizes[n] for n in set(tiers) - without) - sum(volumes),
        ),
        tuple(left),
    )


def _volume_ml(region: Region) -> float:
    found = region.measurement("volume", "volume")
    return found.value if found is not None else math.nan


def _left_words(left_out: Sequence[_LeftOut]) -> str:
    """Name number, volume and reason of the lesions that take no part, alike ones together."""
    groups: dict[str, list[_LeftOut]] = {}
    for each in left_out:
        groups.setdefault(each.reason, []).append(each)
    said = []
    for reason, group in groups.items():
        names = ", ".join(each.name for each in group[:_NAMED])
        if len(group) > _NAMED:
            names += f" and {len(group) - _NAMED} more"
        known = [each.volume_ml for each in group if math.isfinite(each.volume_ml)]
        volume = f"{sum(known):.3g} mL" if known else "volume not known"
        if known and len(known) < len(group):
            volume += f" and {len(group) - len(known)} of unknown volume"
        said.append(f"{names} ({volume}): {reason}")
    count = f"{len(left_out)} lesion{'' if len(left_out) == 1 else 's'}"
    total = sum(each.volume_ml for each in left_out if math.isfinite(each.volume_ml))
    return f"{count} of {total:.3g} mL, {'; '.join(said)}"


def _could_overturn(
    found: _Evaluable, left_out: Sequence[_LeftOut], scheme: TierScheme, best: int
) -> str:
    """Say that the lesions that were left out could change the answer; empty when not."""
    if not left_out or best == len(scheme.labels):
        return ""
    if scheme.patient_rule == "any":
        top = len(scheme.labels) - 1
        return "a lesion that was left out may reach a higher tier" if best < top else ""
    if scheme.patient_rule == "all":
        return "a lesion that was left out may not reach this tier" if best > 0 else ""
    if any(not math.isfinite(each.volume_ml) for each in left_out):
        return "a lesion that was left out has no known volume, so it could hold the majority"
    missing = sum(each.volume_ml for each in left_out)
    held = float(found.volumes[found.places == best].sum())
    whole = float(found.volumes.sum()) + missing
    if held > _DOMINANT_SHARE * whole * (1.0 + 1e-12):
        return ""
    return (
        f"the {missing:.3g} mL that were left out could overturn the majority "
        f"({held:.3g} of {whole:.3g} mL are {scheme.labels[best]})"
    )


def _carrier_words(found: _Evaluable, scheme: TierScheme, best: int) -> str:
    """Carry the carrier background of the lesions that decide the answer."""
    decide = [
        row for row, place in enumerate(found.places) if place == best or best == len(scheme.labels)
    ]
    inside = [row for row in decide if found.carriers[row]]
    if not inside:
        return ""
    notes = ", ".join(dict.fromkeys(note for row in inside for note in found.carriers[row]))
    held, whole = found.volumes[inside].sum(), found.volumes[decide].sum()
    return (
        f"; of {len(inside)} of the {len(decide)} lesions that decide "
        f"({held:.3g} of {whole:.3g} mL) "
        f'the notes say "{notes}"'
    )


def _dominant(
    places: npt.NDArray[Any], volumes: npt.NDArray[np.float64], n_tiers: int
) -> npt.NDArray[np.int64]:
    held = [(places == t).astype(np.float64) @ volumes for t in range(n_tiers)]
    share = np.stack(held, axis=1) / volumes.sum()
    best = share.argmax(axis=1)
    # A tolerance: two halves must not become a majority by rounding.
    return np.where(share.max(axis=1) > _DOMINANT_SHARE + 1e-12, best, n_tiers).astype(np.int64)


def _highest(
    places: npt.NDArray[Any], volumes: npt.NDArray[np.float64], n_tiers: int
) -> npt.NDArray[np.int64]:
    return np.asarray(places.max(axis=1), dtype=np.int64)


def _lowest(
    places: npt.NDArray[Any], volumes: npt.NDArray[np.float64], n_tiers: int
) -> npt.NDArray[np.int64]:
    return np.asarray(places.min(axis=1), dtype=np.int64)


_Combine = Callable[[npt.NDArray[Any], npt.NDArray[np.float64], int], npt.NDArray[np.int64]]

_RULES: dict[str, _Combine] = {"dominant-volume": _dominant, "any": _highest, "all": _lowest}


def _outcome_probabilities(
    found: _Evaluable, combine: _Combine, n_tiers: int
) -> npt.NDArray[np.float64]:
    n = len(found.volumes)
    if n_tiers**n <= _LARGEST_ENUMERATION:
        draws = np.asarray(list(itertools.product(range(n_tiers), repeat=n)), dtype=np.int64)
        weights = np.prod(found.probabilities[np.arange(n), draws], axis=1)
    else:
        random = np.random.default_rng(_SEED)
        uniform = random.random((_LARGEST_ENUMERATION, n))
        edges = np.cumsum(found.probabilities, axis=1)[:, :-1]
        draws = np.zeros(uniform.shape, dtype=np.int8)
        for tier in range(edges.shape[1]):  # a table is drawn in no time, a cube is not
            draws += uniform > edges[None, :, tier]
        weights = np.full(_LARGEST_ENUMERATION, 1.0 / _LARGEST_ENUMERATION)
    outcome = combine(draws, found.volumes, n_tiers)
    total = np.bincount(outcome, weights=weights, minlength=n_tiers + 1)
    return np.asarray(total / total.sum())


def _words(found: _Evaluable, scheme: TierScheme, best: int) -> str:
    if scheme.patient_rule == "any":
        return f"highest tier that a lesion reaches: {scheme.labels[best]}"
    if scheme.patient_rule == "all":
        return f"highest tier that every lesion reaches: {scheme.labels[best]}"
    total = float(found.volumes.sum())
    shares = [
        100.0 * float(found.volumes[found.places == t].sum()) / total
        for t in range(len(scheme.labels))
    ]
    said = ", ".join(
        f"{share:.0f} % {label}"
        for share, label in zip(shares, scheme.labels, strict=True)
        if share > 0
    )
    if best == len(scheme.labels):
        return f"no tier holds more than half of the lesion volume: {said} of {total:.3g} mL"
    return f"of {total:.3g} mL lesion volume: {said}"
