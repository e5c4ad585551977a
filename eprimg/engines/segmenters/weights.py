"""Weights of a model: there, whole, and named by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from eprimg.errors import EngineUnavailable

__all__ = ["OFFLINE", "require_weights", "weights_sha256"]

_BLOCK = 1 << 20

_NOWHERE = "http://127.0.0.1:9"
OFFLINE: dict[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "offline",
    **dict.fromkeys(
        ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
        _NOWHERE,
    ),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
}
"""Environment of a child: hubs are told to stay offline, and web requests lead to a closed port."""


def weights_sha256(path: Path) -> str:
    """Hash a file, or all files of a folder together with their names.

    Parameters
    ----------
    path : Path
        File or folder.

    Returns
    -------
    str
        SHA-256.  For a folder: over one line ``hash  name`` per file, sorted by name with forward
        slashes, as ``sha256sum`` prints them.
    """
    if path.is_file():
        return _file_sha256(path)
    lines = sorted(
        (each.relative_to(path).as_posix(), _file_sha256(each))
        for each in path.rglob("*")
        if each.is_file()
    )
    text = "".join(f"{digest}  {name}\n" for name, digest in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def require_weights(weights: str, expected_sha256: str, *, where: str) -> tuple[Path, str]:
    """Check that the weights are there and are the expected ones.

    Parameters
    ----------
    weights : str
        File or folder, as in the settings.
    expected_sha256 : str
        Hash that they must have; empty to accept any.
    where : str
        Name of the engine, for messages.

    Returns
    -------
    Path
        Absolute path.
    str
        SHA-256.

    Raises
    ------
    EngineUnavailable
        ``E_MODEL_WEIGHTS`` when they are missing, empty or others.
    """
    path = Path(weights).expanduser()
    if not weights or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        raise EngineUnavailable(
            "the weights of the model are not there; they are never downloaded",
            code="E_MODEL_WEIGHTS",
            where=where,
            value=path.name or None,
            action="get them yourself and name the file or folder in segment_model.weights",
        )
    found = weights_sha256(path)
    if expected_sha256 and found != expected_sha256.strip().lower():
        raise EngineUnavailable(
            "the weights are not the expected ones: their SHA-256 differs",
            code="E_MODEL_WEIGHTS",
            where=where,
            value=found,
            action="correct segment_model.weights or segment_model.weights_sha256",
        )
    return path.resolve(), found
