"""Settings of the plugin: declared in the manifest, changed in napari's preferences."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["PluginSettings", "declared_settings", "plugin_settings"]

_PLUGIN = "eprimg"
_SECTION = "reading"


class PluginSettings(NamedTuple):
    """What a reader can set once for all studies.

    Attributes
    ----------
    pet_window_max_suv : float
        Upper end of the PET window in SUVbw (g/mL); 0 chooses it from the lesions.
    mr_colormap : str
        napari's name of the colour map of MR series.
    radiological : bool
        True: the patient's right is on the left of the screen.
    default_scheme : str
        Key of the tier scheme of a new reading, or path of a scheme file; empty: those of eprimg.
    debounce_ms : int
        Wait after a brush stroke before edited regions are measured again.
    mip_angles : int
        Number of pictures of the rotating projection.
    """

    pet_window_max_suv: float
    mr_colormap: str
    radiological: bool
    default_scheme: str
    debounce_ms: int
    mip_angles: int


@cache
def declared_settings() -> PluginSettings:
    """Return the defaults, as the manifest declares them.

    Returns
    -------
    PluginSettings
        Defaults.
    """
    import yaml

    text = Path(__file__).with_name("napari.yaml").read_text(encoding="utf-8")
    section = yaml.safe_load(text)["contributions"]["configurations"][_SECTION]
    found = {name: entry["default"] for name, entry in section["properties"].items()}
    return PluginSettings(**found)


def plugin_settings() -> PluginSettings:
    """Return the settings as they are now.

    Returns
    -------
    PluginSettings
        From napari's preferences where napari runs and knows the plugin, else the defaults.
    """
    declared = declared_settings()
    section = _from_napari() if "napari" in sys.modules else None
    if section is None:
        return declared
    return PluginSettings(*(getattr(section, name) for name in PluginSettings._fields))


def _from_napari() -> Any | None:
    try:
        from napari.settings import get_plugin_settings

        return getattr(get_plugin_settings(_PLUGIN), _SECTION)
    except (ImportError, KeyError, AttributeError):  # an older napari, or not installed as a plugin
        return None
