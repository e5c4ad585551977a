"""The profiles that the settings name: checked before any work, hashed, and recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.deformable_settings import DeformableSettings
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile, profile_place
from eprimg.errors import ConfigError, raise_faults

__all__ = ["checked_profiles", "profile_record"]


def checked_profiles(config: RegisterConfig) -> str:
    """Check every profile that the settings name, and return what stands in them.

    Parameters
    ----------
    config : RegisterConfig
        Settings; `profile`, `deformable_profile` and the rigid one that the latter names.

    Returns
    -------
    str
        The content of all of them, the same however it was written down; it goes into the hash of
        the settings.

    Raises
    ------
    ConfigError
        ``E_CONFIG``, listing what is wrong with any of them.
    """
    faults: list[ConfigError] = []
    contents: list[dict[str, Any]] = []

    def rigid(name: str, key: str) -> None:
        content = load_profile(name, key=key)
        RigidSettings.from_mapping(content, where=profile_place(name))
        contents.append(content)

    try:
        rigid(config.profile, "register.profile")
    except ConfigError as error:
        faults.append(error)
    try:
        name = config.deformable_profile
        content = load_profile(name, key="register.deformable_profile")
        rules = DeformableSettings.from_mapping(content, where=profile_place(name))
        contents.append(content)
        rigid(rules.rigid, f"'rigid' of {profile_place(name)}")
    except ConfigError as error:
        faults.append(error)
    raise_faults(faults)
    return _written(contents)


def profile_record(key: str, name: str, content: Mapping[str, Any]) -> dict[str, str]:
    """Name a profile as it is kept beside a transform.

    Parameters
    ----------
    key : str
        Key of the record, e.g. ``profile``.
    name : str
        As the settings name it.
    content : Mapping
        What stands in it.

    Returns
    -------
    dict of str to str
        The name; of a file of one's own, its name without folders and the SHA-256 of its content.
    """
    if not name.endswith(".toml"):
        return {key: name}
    digest = hashlib.sha256(_written(content).encode()).hexdigest()
    return {key: Path(name).name, f"{key}_sha256": digest}


def _written(content: Any) -> str:
    return json.dumps(content, sort_keys=True, default=str)
