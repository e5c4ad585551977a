"""Scanner makers by Manufacturer (0008,0070), in any of their spellings."""

from __future__ import annotations

__all__ = ["is_ge", "is_philips", "is_siemens"]


def is_ge(manufacturer: str) -> bool:
    """Tell General Electric.

    Parameters
    ----------
    manufacturer : str
        As in the header.

    Returns
    -------
    bool
        True for ``GE MEDICAL SYSTEMS``, ``GE HEALTHCARE``, ``GE`` and the name in full.
    """
    name = manufacturer.lower().strip()
    return name == "ge" or name.startswith("ge ") or "general electric" in name


def is_philips(manufacturer: str) -> bool:
    """Tell Philips.

    Parameters
    ----------
    manufacturer : str
        As in the header.

    Returns
    -------
    bool
        True when the name occurs.
    """
    return "philips" in manufacturer.lower()


def is_siemens(manufacturer: str) -> bool:
    """Tell Siemens.

    Parameters
    ----------
    manufacturer : str
        As in the header.

    Returns
    -------
    bool
        True when the name occurs (also ``Siemens Healthineers``).
    """
    return "siemens" in manufacturer.lower()
