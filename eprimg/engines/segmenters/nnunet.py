"""nnU-Net v2: a trained model folder, run by the user's own installation.

The command is that of ``nnUNetv2_predict_from_modelfolder`` (Isensee F et al., nnU-Net: a
self-configuring method for deep learning-based biomedical image segmentation. Nat Methods
2021;18:203-211, DOI 10.1038/s41592-020-01008-z; code Apache-2.0).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from eprimg.engines.segmenters.model_process import ModelSegmenter

__all__ = ["NNUNetSegmenter"]


class NNUNetSegmenter(ModelSegmenter):
    """Adapter of nnU-Net v2.

    ``segment_model.weights`` is the trained model folder (with ``dataset.json``, ``plans.json`` and
    ``fold_*``), ``program`` the path of ``nnUNetv2_predict_from_modelfolder``.
    """

    name = "nnunet-v2"

    def command(self, weights: Path, folder: Path, files: Sequence[Path]) -> list[str]:
        """Return the command.

        Parameters
        ----------
        weights, folder, files
            As in `ModelSegmenter`.

        Returns
        -------
        list of str
            Program and arguments; further ones (folds, checkpoint) come from the settings.
        """
        program = list(self.config.program) or ["nnUNetv2_predict_from_modelfolder"]
        arguments = ["-i", str(folder / "in"), "-o", str(folder / "out"), "-m", str(weights)]
        return [*program, *arguments, "-device", self.config.device, *self.config.options]

    def label_names(self, weights: Path) -> dict[int, str]:
        """Read the names of labels in ``dataset.json``.

        Parameters
        ----------
        weights : Path
            Model folder.

        Returns
        -------
        dict
            Label -> name; empty when the file does not say (or the model has nested regions).
        """
        try:
            said = json.loads((weights / "dataset.json").read_text(encoding="utf-8"))["labels"]
            return {n: str(name) for name, n in said.items() if isinstance(n, int) and n > 0}
        except (OSError, ValueError, KeyError, AttributeError):
            return {}
