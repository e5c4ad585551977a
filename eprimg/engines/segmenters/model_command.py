"""Any other program: a command with places for the files; the one that also takes prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eprimg.engines.segmenters.model_process import ModelSegmenter
from eprimg.errors import ConfigError

__all__ = ["ModelCommandSegmenter"]


class ModelCommandSegmenter(ModelSegmenter):
    """Adapter for a program of the user's.

    ``segment_model.program`` holds the words of the command.  In them ``{input}`` stands for the
    folder with ``case_0000.nii.gz`` (``case_0001`` ...), ``{output}`` for the folder that takes one
    label volume, ``{weights}`` for the weights, ``{prompts}`` for a JSON file with points and boxes
    (LPS mm and voxel indices), ``{scribble}`` for a NIfTI file with 1 (inside) and -1 (outside)
    when there is one, ``{device}`` for the device.
    """

    name = "model-command"
    takes_prompts = True

    def command(self, weights: Path, folder: Path, files: Sequence[Path]) -> list[str]:
        """Return the command.

        Parameters
        ----------
        weights, folder, files
            As in `ModelSegmenter`.

        Returns
        -------
        list of str
            Program and arguments.

        Raises
        ------
        ConfigError
            ``E_CONFIG`` when the command is missing or says not where the files go.
        """
        places = {
            "input": folder / "in",
            "output": folder / "out",
            "weights": weights,
            "prompts": folder / "prompts.json",
            "scribble": folder / "scribble.nii.gz",
            "device": self.config.device,
        }
        words = [*self.config.program, *self.config.options]
        joined = " ".join(words)
        missing = [f"{{{key}}}" for key in ("input", "output") if f"{{{key}}}" not in joined]
        if missing:
            raise ConfigError(
                f"the command has no place for {' and '.join(missing)}",
                code="E_CONFIG",
                where="segment_model.program",
                value=words or None,
            )
        for key, value in places.items():
            words = [word.replace(f"{{{key}}}", str(value)) for word in words]
        return words
