"""From the tiers of the lesions to the tier of the patient."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.config import StratifyConfig
from eprimg.model.lesions import Region
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, PatientTier, Tier, TierScheme
from eprimg.stages.tiers_lesion import notice_of

__all__ = ["NO_DOMINANT", "patient_tier"]

NO_DOMINANT = "no dominant tier"
"""Outcome when no tier holds more than half of the lesion volume."""

_LARGEST_ENUMERATION = 60_000
"""Up to this many combinations of lesion tiers are enumerated; beyond, as many are drawn."""

_SEED = 20240917
"""Fixed, so that the same lesions always give the same patient confidence."""

_DOMINANT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class _Evaluable:
    """Lesions that take part."""

    volumes: npt.NDArray[np.float64]
    places: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    left_out: tuple[str, ...]


def patient_tier(
    lesions: Sequence[Region], scheme: TierScheme, config: StratifyConfig
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

    References
    ----------
    .. [1] Mileva M et al., npj Breast Cancer 2024. doi:10.1038/s41523-023-00610-6 (dominant part
       of the tumour load)
    """
    found = _evaluable(lesions, scheme)
    n = len(found.volumes)
    left = f"; left out: {', '.join(found.left_out)}" if found.left_out else ""
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
            "lesions vary independently, each by its own probabilities (an assumption); "
            "errors that lesions share are not included: a lower bound of the error"
        )
        probabilities = dict(zip(outcomes, (float(c) for c in chances), strict=True))
    else:
        best, confidence = alone, float("nan")
        note = "no confidence can be stated: at least one lesion has none"
        probabilities = {}
    words = (
        f"{_words(found, scheme, best)} ({n} lesions{left})"
        if n > 1
        else (f"{_words(found, scheme, best)} (1 lesion{left})")
    )
    label = outcomes[best]
    if best == len(scheme.labels):
        label = INDETERMINATE
    elif known and confidence < config.indeterminate_high:
        label = INDETERMINATE
        words += (
            f"; most likely {outcomes[best]} with a probability of {confidence:.2f}, below "
            f"{config.indeterminate_high:g}: indeterminate"
        )
    return PatientTier(
        scheme=scheme.key,
        label=label,
        confidence=confidence,
        confidence_note=note,
        reason=words,
        rule=scheme.patient_rule,
        n_lesions=n,
        notice=notice_of(scheme),
        probabilities=probabilities,
    )


def _evaluable(lesions: Sequence[Region], scheme: TierScheme) -> _Evaluable:
    volumes: list[float] = []
    places: list[int] = []
    chances: list[list[float]] = []
    left: Counter[str] = Counter()
    for region in lesions:
        tier = next((t for t in region.tiers if t.scheme == scheme.key), None)
        if tier is None or tier.label == NOT_TIERED:
            left["not tiered" if tier is None else _short(tier)] += 1
            continue
        volume = region.measurement("volume", "volume")
        if volume is None or not math.isfinite(volume.value):
            left["without a volume"] += 1
            continue
        volumes.append(volume.value)
        places.append(scheme.labels.index(tier.most_likely))
        chances.append([tier.probabilities.get(label, float("nan")) for label in scheme.labels])
    return _Evaluable(
        np.asarray(volumes),
        np.asarray(places, dtype=np.int64),
        np.asarray(chances).reshape(len(volumes), len(scheme.labels)),
        tuple(f"{count} {reason}" for reason, count in sorted(left.items())),
    )


def _short(tier: Tier) -> str:
    return "unreviewed candidate(s)" if tier.reason.startswith("a candidate") else "not tiered"


def _dominant(
    places: npt.NDArray[np.int64], volumes: npt.NDArray[np.float64], n_tiers: int
) -> npt.NDArray[np.int64]:
    share = (
        np.stack([np.where(places == t, volumes, 0.0).sum(axis=1) for t in range(n_tiers)], axis=1)
        / volumes.sum()
    )
    best = share.argmax(axis=1)
    # A tolerance: two halves must not become a majority by rounding.
    return np.where(share.max(axis=1) > _DOMINANT_SHARE + 1e-12, best, n_tiers).astype(np.int64)


def _highest(
    places: npt.NDArray[np.int64], volumes: npt.NDArray[np.float64], n_tiers: int
) -> npt.NDArray[np.int64]:
    return np.asarray(places.max(axis=1), dtype=np.int64)


def _lowest(
    places: npt.NDArray[np.int64], volumes: npt.NDArray[np.float64], n_tiers: int
) -> npt.NDArray[np.int64]:
    return np.asarray(places.min(axis=1), dtype=np.int64)


_Combine = Callable[[npt.NDArray[np.int64], npt.NDArray[np.float64], int], npt.NDArray[np.int64]]

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
        uniform = random.random((_LARGEST_ENUMERATION, n, 1))
        draws = (uniform > np.cumsum(found.probabilities, axis=1)[None, :, :-1]).sum(axis=2)
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
