"""Settings of segmentation models that run in a program of the user's; see `eprimg.config`."""

from __future__ import annotations

from dataclasses import dataclass

from eprimg._settings import setting

__all__ = ["SegmentModelConfig"]


@dataclass(frozen=True, slots=True)
class SegmentModelConfig:
    """A segmentation model in the user's own installation, run in a child process."""

    engine: str = setting(
        "", "entry point: nnunet-v2, monai-bundle, totalsegmentator, model-command; empty: none"
    )
    program: tuple[str, ...] = setting(
        (), "the user's program, first word a path (see the how-to for each engine)"
    )
    weights: str = setting("", "file or folder with the weights; nothing is ever downloaded")
    weights_sha256: str = setting("", "expected SHA-256 of the weights; empty: only recorded")
    licence: str = setting("", "licence of the weights, recorded with the regions")
    inputs: tuple[str, ...] = setting(
        ("suvbw",), "maps that the model takes, in its order of channels; all on one grid"
    )
    labels: tuple[str, ...] = setting(
        (), 'meaning of the model\'s labels, as "1=lesion" or "5=spleen"; see the how-to'
    )
    options: tuple[str, ...] = setting((), "further words for the program, as they are")
    device: str = setting("cpu", "where the model runs, in the words of the program")
    time_limit_s: float = setting(1800.0, "the program is ended after this time", low=1.0)
    memory_limit_mb: float = setting(
        16384.0, "the program is ended when it and its children hold more memory", low=64.0
    )
