"""Named fat spectra from the resources."""

from __future__ import annotations

from eprimg.errors import ConfigError
from eprimg.kernels.fat_water import FatSpectrum
from eprimg.resources import load_resource

__all__ = ["fat_spectrum", "fat_spectrum_citation"]

_FILE = "fat_spectra.toml"


def fat_spectrum(name: str) -> FatSpectrum:
    """Look a fat spectrum up by its name.

    Parameters
    ----------
    name : str
        E.g. ``"hamilton-2011-6"``.

    Returns
    -------
    FatSpectrum
        Shifts from water in ppm, and shares that add up to one.

    Raises
    ------
    ConfigError
        ``E_FAT_SPECTRUM`` when there is none of this name.
    """
    table = load_resource(_FILE)
    if name not in table:
        raise ConfigError(
            f"there is no fat spectrum {name!r}",
            code="E_FAT_SPECTRUM",
            where="fat_water.spectrum",
            value=name,
            action=f"use one of: {', '.join(table)}",
        )
    row = table[name]
    total = float(sum(row["area"]))
    return FatSpectrum(
        name,
        tuple(float(ppm) - float(row["water_ppm"]) for ppm in row["peak_ppm"]),
        tuple(float(area) / total for area in row["area"]),
    )


def fat_spectrum_citation(name: str) -> str:
    """Return where a fat spectrum comes from.

    Parameters
    ----------
    name : str
        Name of an existing spectrum.

    Returns
    -------
    str
        Title and citation.
    """
    row = load_resource(_FILE)[name]
    return f"{row['title']} ({row['citation']})"
