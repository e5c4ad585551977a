"""MONAI bundle: a model with its own recipe, run by the user's own installation.

The command is that of ``python -m monai.bundle run`` (MONAI, Apache-2.0); the bundle writes its
segmentation below the output folder, whatever name it gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eprimg.engines.segmenters.model_process import ModelSegmenter

__all__ = ["MonaiBundleSegmenter"]


class MonaiBundleSegmenter(ModelSegmenter):
    """Adapter of MONAI bundles.

    ``segment_model.weights`` is the bundle folder (``configs/`` and ``models/``), ``program`` the
    path of the Python that has MONAI.
    """

    name = "monai-bundle"

    def file_names(self, n_volumes: int) -> list[str]:
        """Put the volumes where the public bundles look for them.

        Parameters
        ----------
        n_volumes : int
            Number of channels.

        Returns
        -------
        list of str
            Relative paths.
        """
        return [f"imagesTs/case_{n:04d}.nii.gz" for n in range(n_volumes)]

    def command(self, weights: Path, folder: Path, files: Sequence[Path]) -> list[str]:
        """Return the command.

        Parameters
        ----------
        weights, folder, files
            As in `ModelSegmenter`.

        Returns
        -------
        list of str
            Program and arguments; overrides such as ``--device`` come from the settings.
        """
        config = next(
            (c for c in (weights / "configs").glob("inference.*") if c.suffix != ".py"),
            weights / "configs" / "inference.json",
        )
        return [
            *(self.config.program or ("python",)),
            *("-m", "monai.bundle", "run"),
            *("--config_file", str(config)),
            *("--bundle_root", str(weights)),
            *("--dataset_dir", str(folder)),
            *("--output_dir", str(folder / "out")),
            *self.config.options,
        ]

    def environment(self, weights: Path, folder: Path) -> dict[str, str]:
        """Let the bundle import its own scripts, and keep MONAI's data in the private folder.

        Parameters
        ----------
        weights, folder : Path
            As in `ModelSegmenter`.

        Returns
        -------
        dict
            Variables.
        """
        return {"PYTHONPATH": str(weights), "MONAI_DATA_DIRECTORY": str(folder)}
