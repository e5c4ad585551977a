"""Colours that a colour-blind reader can tell apart, always with a word and a symbol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eprimg.model.case import Severity
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, TierScheme

__all__ = ["NOT_MEASURED", "SEVERITIES", "SeverityStyle", "TierStyle", "tier_style"]

NOT_MEASURED: Final = "#8d949c"
"""Colour of voxels without a value."""


@dataclass(frozen=True, slots=True)
class TierStyle:
    """How a tier looks.

    Parameters
    ----------
    fill, ink : str
        Background and text colour.
    symbol : str
        Tells the tier without colour.
    hatched : bool
        True for a tier that could not be called.
    """

    fill: str
    ink: str
    symbol: str
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class SeverityStyle:
    """How a finding looks.

    Parameters
    ----------
    colour : str
        Edge colour.
    symbol, word : str
        Icon and plain word.
    rank : int
        0 comes first.
    """

    colour: str
    symbol: str
    word: str
    rank: int


# Okabe and Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/
_LOW = TierStyle("#E69F00", "#1b1b1b", "▼")
_MIDDLE = TierStyle("#56B4E9", "#1b1b1b", "◆")
_HIGH = TierStyle("#0072B2", "#ffffff", "▲")
_INDETERMINATE = TierStyle("#e3e6ea", "#1b1b1b", "?", hatched=True)
_NOT_TIERED = TierStyle("#ffffff", "#4a4f55", "○")

# More than three tiers: samples of cividis (Nuñez 2018, doi:10.1371/journal.pone.0199239).
_MANY = ("#FEE838", "#C4B46C", "#8A8779", "#575D6D", "#123570", "#00224E")
_MANY_INK = ("#1b1b1b", "#1b1b1b", "#1b1b1b", "#ffffff", "#ffffff", "#ffffff")

SEVERITIES: Final[dict[Severity, SeverityStyle]] = {
    Severity.ERROR: SeverityStyle("#B3261E", "✖", "Error", 0),
    Severity.WARNING: SeverityStyle("#B26A00", "▲", "Warning", 1),
    Severity.INFO: SeverityStyle("#0072B2", "i", "Note", 2),
}


def tier_style(label: str, scheme: TierScheme | None) -> TierStyle:
    """Return the look of a tier.

    Parameters
    ----------
    label : str
        A label of the scheme, ``indeterminate`` or ``not tiered``.
    scheme : TierScheme or None
        The scheme, whose labels run from low to high.

    Returns
    -------
    TierStyle
        Grey and hatched for ``indeterminate``; white for anything that is not a tier.
    """
    if label == INDETERMINATE:
        return _INDETERMINATE
    labels = scheme.labels if scheme is not None else ()
    if label == NOT_TIERED or label not in labels:
        return _NOT_TIERED
    position, last = labels.index(label), len(labels) - 1
    if last <= 2:
        if position == last:
            return _HIGH
        return _LOW if position == 0 else _MIDDLE
    place = round(position * (len(_MANY) - 1) / last)
    return TierStyle(_MANY[place], _MANY_INK[place], str(position + 1))
