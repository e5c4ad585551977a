"""TotalSegmentator: organs of CT or MR, run by the user's own installation.

Wasserthal J et al., TotalSegmentator: robust segmentation of 104 anatomic structures in CT images.
Radiol Artif Intell 2023;5:e230024, DOI 10.1148/ryai.230024. Code Apache-2.0; some tasks need a
licence for their weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eprimg.engines.segmenters.model_process import ModelSegmenter
from eprimg.model.grid import Grid

__all__ = ["TotalSegmentatorSegmenter"]

_ANATOMY = (
    (re.compile(r"^liver$"), "liver"),
    (re.compile(r"^spleen$"), "spleen"),
    (re.compile(r"^aorta$"), "blood"),
    (re.compile(r"^kidney_(left|right)$"), "kidney"),
    (re.compile(r"^(autochthon|gluteus_\w+|iliopsoas)_(left|right)$"), "muscle"),
    (re.compile(r"^vertebrae(_\w+)?$"), "marrow"),
)


class TotalSegmentatorSegmenter(ModelSegmenter):
    """Adapter of TotalSegmentator: reference regions and other organs, no lesions.

    ``segment_model.weights`` is its folder of weights (``TOTALSEG_WEIGHTS_PATH``), ``program``
    the path of ``TotalSegmentator``; task and organs come from ``options``, e.g. ``["--task",
    "total_mr", "--roi_subset", "liver", "spleen", "aorta"]``.
    """

    name = "totalsegmentator"
    finds_lesions = False

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
        """
        program = list(self.config.program) or ["TotalSegmentator"]
        # further words first: --roi_subset takes all that follow
        return [
            *program,
            "-i",
            str(files[0]),
            "-o",
            str(folder / "out"),
            "--device",
            self.config.device,
            *self.config.options,
        ]

    def environment(self, weights: Path, folder: Path) -> dict[str, str]:
        """Name the weights, and keep its settings file in the private folder.

        Parameters
        ----------
        weights, folder : Path
            As in `ModelSegmenter`.

        Returns
        -------
        dict
            Variables.
        """
        return {"TOTALSEG_WEIGHTS_PATH": str(weights), "TOTALSEG_HOME_DIR": str(folder)}

    def read_output(self, folder: Path, grid: Grid) -> tuple[npt.NDArray[np.int32], dict[int, str]]:
        """Read one mask per organ; their names are those of the files.

        Parameters
        ----------
        folder : Path
            Private folder.
        grid : Grid
            Grid of the volume.

        Returns
        -------
        labels : ndarray of int32
            Organs, in the order of their names; where two claim a voxel, the first one keeps it.
        dict
            Label -> name.
        """
        labels = np.zeros(grid.shape, dtype=np.int32)
        names: dict[int, str] = {}
        found = sorted((folder / "out").glob("*.nii.gz"))
        if not found:
            raise self.no_output("no mask")
        for path in found:
            mask = self.read_labels(path, grid) > 0
            if mask.any():
                number = len(names) + 1
                names[number] = path.name.removesuffix(".nii.gz")
                labels[mask & (labels == 0)] = number
        return labels, names

    def anatomy(self, name: str) -> str | None:
        """Return the organ that a name stands for; other structures are organs, too.

        Parameters
        ----------
        name : str
            Name of a structure.

        Returns
        -------
        str
            One of our organs, or empty.
        """
        return next((organ for pattern, organ in _ANATOMY if pattern.match(name)), "")
