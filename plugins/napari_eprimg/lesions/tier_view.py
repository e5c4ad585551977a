"""How a region looks: colour, symbol and word of its tier, the same as in the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eprimg.model.case import Case
from eprimg.model.lesions import Region, RegionRole
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, TierScheme
from eprimg.report.numbers import NOTHING, format_percent
from eprimg.report.palette import NOT_MEASURED, tier_style

__all__ = [
    "ROLE_COLOURS",
    "TierView",
    "canvas_colour",
    "label_colours",
    "scheme_by_key",
    "tier_counts",
    "tier_entries",
    "tier_view",
]

# Okabe and Ito, Color Universal Design (2008): two colours that no tier has.
ROLE_COLOURS: Final[Mapping[RegionRole, str]] = {
    RegionRole.REFERENCE: "#009E73",
    RegionRole.EXCLUDE: "#D55E00",
}
"""Colour on the canvas of regions that are no lesions."""

_ROLE_LOOKS: Final = {
    RegionRole.REFERENCE: ("●", "reference"),
    RegionRole.EXCLUDE: ("✕", "excluded"),
}

_OPAQUE, _BEHIND = "ff", "9e"
"""Opacity (two hexadecimal digits) of the selected region, and of the others beside it."""


@dataclass(frozen=True, slots=True)
class TierView:
    """What is shown of one tier of one region.

    Parameters
    ----------
    scheme : str
        Key of the scheme; empty for a region that is no lesion.
    word : str
        A label of the scheme, ``indeterminate``, ``not tiered``, ``reference`` or ``excluded``.
    symbol : str
        Tells the tier without colour.
    fill, ink : str
        Background and text colour, ``#rrggbb``.
    hatched : bool
        True for a tier that could not be called.
    confidence : str
        ``99 %``; an en dash when it cannot be stated.
    why : str
        The reason of the tier, or the reason why there is none.
    notice : str
        ``example, not validated``, or empty.
    """

    scheme: str
    word: str
    symbol: str
    fill: str
    ink: str
    hatched: bool
    confidence: str
    why: str
    notice: str

    @property
    def text(self) -> str:
        """Symbol, word and confidence in one line."""
        said = f"{self.symbol} {self.word}"
        return said if self.confidence == NOTHING else f"{said} · {self.confidence}"


def scheme_by_key(case: Case | None, key: str = "") -> TierScheme | None:
    """Find a scheme that was applied.

    Parameters
    ----------
    case : Case or None
        The case.
    key : str
        Key of the scheme; the first one when left out or not applied.

    Returns
    -------
    TierScheme or None
        None when no scheme was applied.
    """
    if case is None or not case.schemes:
        return None
    return next((s for s in case.schemes if s.key == key), case.schemes[0])


def tier_view(region: Region, scheme: TierScheme | None) -> TierView:
    """Say how a region looks by one scheme.

    Parameters
    ----------
    region : Region
        Any region.
    scheme : TierScheme or None
        The scheme.

    Returns
    -------
    TierView
        A region that is no lesion has the word of its role.
    """
    if region.role != RegionRole.LESION:
        symbol, word = _ROLE_LOOKS[region.role]
        why = "; ".join(region.notes) if region.role == RegionRole.EXCLUDE else ""
        return TierView(
            "", word, symbol, ROLE_COLOURS[region.role], "#1b1b1b", False, NOTHING, why, ""
        )
    tier = next((t for t in region.tiers if scheme is not None and t.scheme == scheme.key), None)
    label = tier.label if tier is not None else NOT_TIERED
    style = tier_style(label, scheme)
    why = tier.reason if tier is not None else "tiers were not made yet"
    return TierView(
        scheme.key if scheme is not None else "",
        label,
        style.symbol,
        style.fill,
        style.ink,
        style.hatched,
        format_percent(tier.confidence) if tier is not None else NOTHING,
        why,
        tier.notice if tier is not None else "",
    )


def tier_entries(scheme: TierScheme | None) -> tuple[str, ...]:
    """List what a lesion can be called by a scheme, from low to high.

    Parameters
    ----------
    scheme : TierScheme or None
        The scheme.

    Returns
    -------
    tuple of str
        The labels, then ``indeterminate`` and ``not tiered``.
    """
    labels = scheme.labels if scheme is not None else ()
    return (*labels, INDETERMINATE, NOT_TIERED)


def tier_counts(case: Case | None, scheme: TierScheme | None) -> dict[str, int]:
    """Count the lesions of every tier.

    Parameters
    ----------
    case : Case or None
        The case.
    scheme : TierScheme or None
        The scheme.

    Returns
    -------
    dict of str to int
        Every entry of `tier_entries`, in that order, zeros included.
    """
    counts = dict.fromkeys(tier_entries(scheme), 0)
    if case is not None and case.lesions is not None:
        for region in case.lesions.lesions:
            word = tier_view(region, scheme).word
            counts[word] = counts.get(word, 0) + 1
    return counts


def canvas_colour(view: TierView) -> str:
    """Choose the colour of a region on the canvas.

    Parameters
    ----------
    view : TierView
        Its look.

    Returns
    -------
    str
        ``#rrggbb``.  The palette's fill; a hatched fill, which a label layer cannot draw, becomes
        the palette's darker grey, so that it is not taken for the white of ``not tiered``.
    """
    return NOT_MEASURED if view.hatched else view.fill


def label_colours(
    case: Case | None, scheme: TierScheme | None = None, *, selected: int = 0
) -> dict[int | None, str]:
    """Give every region the colour of its tier.

    Parameters
    ----------
    case : Case or None
        The case.
    scheme : TierScheme, optional
        The scheme that colours; the first one that was applied when left out.
    selected : int
        Id of the region that is marked: it is opaque while the others step back; 0 for none.

    Returns
    -------
    dict of int to str
        ``#rrggbbaa`` by label value, for a direct label colour map: 0 is transparent, None (a value
        that is painted and not yet a region) is white.
    """
    colours: dict[int | None, str] = {0: "#00000000", None: "#ffffffff"}
    regions = case.lesions.regions if case is not None and case.lesions is not None else ()
    scheme = scheme or scheme_by_key(case)
    known = {r.id for r in regions}
    for region in regions:
        behind = selected in known and region.id != selected
        colour = canvas_colour(tier_view(region, scheme))
        colours[region.id] = f"{colour}{_BEHIND if behind else _OPAQUE}"
    return colours
