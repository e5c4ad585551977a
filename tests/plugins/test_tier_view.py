"""Looks of tiers: told apart without colour, and by readers who do not see red or green."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from skimage.color import rgb2lab

from eprimg.model.lesions import Region, RegionRole
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, Tier, TierScheme
from eprimg.report.palette import tier_style
from napari_eprimg.lesions.tier_view import (
    ROLE_COLOURS,
    canvas_colour,
    label_colours,
    scheme_by_key,
    tier_counts,
    tier_entries,
    tier_view,
)
from tests.tiny_case import case as tiny_case

# Machado, Oliveira, Fernandes (2009), doi:10.1109/TVCG.2009.113: severity 1.0, linear RGB.
MACHADO = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}
# CIELAB distance that a pair must keep; about 2.3 is just noticeable (Mahy 1994,
# doi:10.1002/col.5080190207).
FAR = 20.0


def scheme(labels: tuple[str, ...] = ("low", "moderate", "high")) -> TierScheme:
    edges = tuple(float(n) for n in range(1, len(labels)))
    return TierScheme(
        "own", "1", "Own", "pid_per_kg", "peak", "fixed", edges, labels, "any", False, "none", "pet"
    )


def lesion(label: str, confidence: float = math.nan) -> Region:
    tier = Tier("own", label, confidence, "", "because of this", notice="example, not validated")
    return Region(1, "lesion-1", RegionRole.LESION, tiers=(tier,))


def seen(colour: str, kind: str | None) -> np.ndarray:
    """CIELAB of a colour as a reader of a kind sees it."""
    rgb = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    if kind is not None:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        linear = np.clip(np.array(MACHADO[kind]) @ linear, 0, 1)
        rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb.reshape(1, 1, 3)).reshape(3)


@pytest.mark.parametrize("kind", [None, "protanopia", "deuteranopia"])
def test_colours_of_tiers_stay_apart_for_colour_blind_readers(kind: str | None) -> None:
    words = tier_entries(scheme())
    colours = {w: canvas_colour(tier_view(lesion(w), scheme())) for w in words}
    for a, b in itertools.combinations(words, 2):
        apart = float(np.linalg.norm(seen(colours[a], kind) - seen(colours[b], kind)))
        assert apart >= FAR, (a, b, kind, apart)


@pytest.mark.parametrize("kind", [None, "protanopia", "deuteranopia"])
def test_reference_and_excluded_regions_are_not_taken_for_a_tier(kind: str | None) -> None:
    tiers = [canvas_colour(tier_view(lesion(w), scheme())) for w in tier_entries(scheme())]
    for colour, other in itertools.product(ROLE_COLOURS.values(), tiers):
        apart = float(np.linalg.norm(seen(colour, kind) - seen(other, kind)))
        assert apart >= 10.0, (colour, other, kind, apart)


def test_the_simulation_is_that_of_the_paper() -> None:
    # A grey stays the same grey, and red and green move towards each other.
    for kind in MACHADO:
        assert seen("#808080", kind) == pytest.approx(seen("#808080", None), abs=0.05)
        before = np.linalg.norm(seen("#cc3311", None) - seen("#117733", None))
        after = np.linalg.norm(seen("#cc3311", kind) - seen("#117733", kind))
        assert after < 0.6 * before


def test_every_tier_has_its_own_word_and_symbol() -> None:
    for labels in (("low", "high"), ("low", "moderate", "high"), ("a", "b", "c", "d", "e")):
        own = scheme(labels)
        views = [tier_view(lesion(w), own) for w in tier_entries(own)]
        assert len({v.word for v in views}) == len(views)
        assert len({v.symbol for v in views}) == len(views)
        assert all(v.word in v.text and v.symbol in v.text for v in views)


def test_the_look_is_that_of_the_report() -> None:
    for word in tier_entries(scheme()):
        view, style = tier_view(lesion(word), scheme()), tier_style(word, scheme())
        assert (view.fill, view.ink, view.symbol, view.hatched) == (
            style.fill,
            style.ink,
            style.symbol,
            style.hatched,
        )


def test_confidence_and_reason_are_words() -> None:
    sure = tier_view(lesion("high", 0.87), scheme())
    assert sure.text == "▲ high · 87 %"
    assert sure.why == "because of this"
    assert sure.notice == "example, not validated"
    none = tier_view(lesion(NOT_TIERED), scheme())
    assert none.text == "○ not tiered"
    assert none.why == "because of this"
    early = tier_view(Region(1, "lesion-1", RegionRole.LESION), scheme())
    assert (early.word, early.why) == (NOT_TIERED, "tiers were not made yet")


def test_regions_that_are_no_lesions_have_the_word_of_their_role() -> None:
    organ = Region(2, "liver", RegionRole.REFERENCE, anatomy="liver")
    out = Region(3, "bladder", RegionRole.EXCLUDE, notes=("excluded: urine",))
    assert tier_view(organ, scheme()).text == "● reference"
    assert tier_view(out, scheme()).text == "✕ excluded"
    assert tier_view(out, scheme()).why == "excluded: urine"


def test_counts_name_every_tier_also_empty_ones() -> None:
    case = tiny_case()
    own = scheme_by_key(case)
    assert own is not None
    counts = tier_counts(case, own)
    assert list(counts) == [*own.labels, INDETERMINATE, NOT_TIERED]
    assert sum(counts.values()) == len(case.lesions.lesions)
    assert set(tier_counts(None, None).values()) == {0}


def test_selected_region_is_opaque_and_the_others_step_back() -> None:
    case = tiny_case()
    ids = [r.id for r in case.lesions.regions]
    plain = label_colours(case)
    assert plain[0] == "#00000000"
    assert plain[None] == "#ffffffff"
    assert {plain[i][-2:] for i in ids} == {"ff"}
    marked = label_colours(case, selected=ids[0])
    assert marked[ids[0]] == plain[ids[0]]
    assert all(int(marked[i][-2:], 16) < 200 for i in ids[1:])
    assert all(marked[i][:7] == plain[i][:7] for i in ids)
    assert label_colours(case, selected=9999) == plain


def test_another_scheme_colours_otherwise() -> None:
    case = tiny_case()
    region = replace(lesion("high", 0.9), id=case.lesions.lesions[0].id)
    case = replace(case, lesions=case.lesions.with_regions((region,)), schemes=(scheme(),))
    assert label_colours(case)[region.id] == "#0072B2ff"
    assert scheme_by_key(case, "own") is case.schemes[0]
    assert scheme_by_key(case, "gone") is case.schemes[0]
