"""A model in a program of the user's: NIfTI in, NIfTI out, in a private folder and a child process.

What differs between programs (command, names of files, labels) is in the files beside this one.
"""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.config import SegmentConfig, SegmentModelConfig
from eprimg.engines.child_process import run_child
from eprimg.engines.segmenters.contract import Prompts, SegmenterResult, ShouldStop
from eprimg.engines.segmenters.weights import OFFLINE, require_weights
from eprimg.engines.sitk_bridge import grid_from_sitk, to_sitk
from eprimg.errors import ConfigError, EngineError, InputError
from eprimg.kernels.thresholds import connected_regions
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from eprimg.model.maps import QuantityMap

__all__ = ["ModelSegmenter"]

_SAME_MM = 0.05
"""NIfTI keeps places as 32-bit numbers."""
_MOST_LABELS = 4096
_ANATOMY = ("liver", "spleen", "blood", "muscle", "kidney", "marrow")


class ModelSegmenter(ABC):
    """Common part of the adapters; see `eprimg.engines.segmenters.contract.Segmenter`.

    Parameters
    ----------
    config : SegmentModelConfig
        Program, weights, limits.
    segment : SegmentConfig
        Minimum volume and largest number of candidates.
    """

    name = ""
    takes_volumes = True
    finds_lesions = True
    takes_prompts = False

    def __init__(self, config: SegmentModelConfig, segment: SegmentConfig | None = None) -> None:
        if not isinstance(config, SegmentModelConfig):
            raise ConfigError(
                f"{self.name} is a model: name it in segment_model.engine",
                code="E_CONFIG",
                where="segment.engine",
                value=self.name,
            )
        self.config = config
        self._segment = segment or SegmentConfig()

    @abstractmethod
    def command(self, weights: Path, folder: Path, files: Sequence[Path]) -> list[str]:
        """Return the command; relative paths start in the private folder."""

    def file_names(self, n_volumes: int) -> list[str]:
        """Names of the input files, relative to the private folder."""
        return [f"in/case_{n:04d}.nii.gz" for n in range(n_volumes)]

    def environment(self, weights: Path, folder: Path) -> dict[str, str]:
        """Variables on top of `OFFLINE`."""
        return {}

    def label_names(self, weights: Path) -> dict[int, str]:
        """Names of labels that the model itself knows."""
        return {}

    def read_output(self, folder: Path, grid: Grid) -> tuple[npt.NDArray[np.int32], dict[int, str]]:
        """Read what the program wrote: labels, and names where the files give them."""
        found = sorted((folder / "out").rglob("*.nii.gz"))
        if len(found) != 1:
            raise self.no_output(f"{len(found)} label volumes instead of one")
        return self.read_labels(found[0], grid), {}

    def no_output(self, text: str) -> EngineError:
        """Make the error for an output that cannot be used."""
        return EngineError(
            f"the program ended well, but what it wrote cannot be used: {text}",
            code="E_MODEL_OUTPUT",
            where=self.name,
            action="run the program by hand on one volume and look at what it writes",
        )

    def segment(
        self,
        volumes: Sequence[QuantityMap],
        prompts: Prompts | None = None,
        *,
        should_stop: ShouldStop | None = None,
    ) -> SegmenterResult:
        """Run the model.

        Parameters
        ----------
        volumes : sequence of QuantityMap
            On one grid, in the order of the model's channels.  Voxels that failed are given to the
            program as 0, and no region may hold one.
        prompts : Prompts, optional
            For a model that takes them.
        should_stop : callable, optional
            True ends the program.

        Returns
        -------
        SegmenterResult
            Candidates and organs on the grid of the volumes.

        Raises
        ------
        EprimgError
            ``E_MODEL_WEIGHTS``, ``E_MODEL_INPUT``, ``E_MODEL_OUTPUT``, ``E_CONFIG``, the codes of
            `run_child`, ``E_SEG_MANY``.
        """
        grid, usable = self._checked(volumes, prompts)
        weights, digest = require_weights(
            self.config.weights, self.config.weights_sha256, where=self.name
        )
        with tempfile.TemporaryDirectory(prefix="eprimg-model-") as private:
            folder = Path(private).resolve()
            files = self._written(volumes, folder, usable)
            (folder / "out").mkdir()
            shown = (prompts or Prompts()).for_grid(grid)
            (folder / "prompts.json").write_text(json.dumps(shown), encoding="utf-8")
            if prompts is not None and prompts.scribble is not None:
                self._write(np.asarray(prompts.scribble), grid, folder / "scribble.nii.gz")
            result = run_child(
                self.command(weights, folder, files),
                folder=folder,
                time_limit_s=self.config.time_limit_s,
                memory_limit_mb=self.config.memory_limit_mb,
                should_stop=should_stop,
                environment={**OFFLINE, **self.environment(weights, folder)},
                where=self.name,
            )
            labels, given = self.read_output(folder, grid)
        if np.any(labels[~usable]):
            labels = np.where(usable, labels, 0)
        names = {**self.label_names(weights), **given, **self._own_names()}
        settings: dict[str, object] = {
            "model": {
                "engine": self.name,
                "program": Path(self.config.program[0]).name if self.config.program else "",
                "weights": weights.name,
                "weights_sha256": digest,
                "licence": self.config.licence or "not stated",
                "device": self.config.device,
                "inputs": [v.quantity.key for v in volumes],
                "options": list(self.config.options),
                "prompted": bool(prompts),
            }
        }
        regions = self._regions(labels, names, grid, settings)
        meta = {
            "seconds": result.seconds,
            "peak_memory_mb": result.peak_memory_mb,
            "last_lines": result.last_lines,
        }
        return SegmenterResult(regions, meta)

    def _checked(
        self, volumes: Sequence[QuantityMap], prompts: Prompts | None
    ) -> tuple[Grid, npt.NDArray[np.bool_]]:
        if not volumes:
            raise InputError("a model needs a volume", code="E_MODEL_INPUT", where=self.name)
        grid = volumes[0].grid
        for volume in volumes[1:]:
            volume.grid.require_match(grid, what="the channels of a model")
        if prompts and not self.takes_prompts:
            raise InputError(
                "this model takes no points, boxes or scribbles",
                code="E_MODEL_INPUT",
                where=self.name,
                action="use model-command with a program that takes them",
            )
        usable = np.logical_and.reduce([v.valid & np.isfinite(v.values) for v in volumes])
        if min(grid.shape) < 2:
            raise InputError(
                "a model of volumes needs at least two slices, rows and columns",
                code="E_MODEL_INPUT",
                where=self.name,
                value=grid.shape,
            )
        for volume in volumes:
            values = np.asarray(volume.values)[usable]
            if values.size == 0 or float(np.ptp(values)) == 0.0:
                raise InputError(
                    f"{volume.quantity.key} holds one value only, or none",
                    code="E_MODEL_INPUT",
                    where=self.name,
                    action="look at the series it was made from",
                )
        return grid, np.asarray(usable)

    def _written(
        self, volumes: Sequence[QuantityMap], folder: Path, usable: npt.NDArray[np.bool_]
    ) -> list[Path]:
        files = []
        for volume, name in zip(volumes, self.file_names(len(volumes)), strict=True):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            values = np.where(usable, volume.values, 0.0).astype(np.float32)
            self._write(values, volume.grid, path)
            files.append(path)
        return files

    def _write(self, array: npt.NDArray[Any], grid: Grid, path: Path) -> None:
        import SimpleITK as sitk

        sitk.WriteImage(to_sitk(array, grid), str(path))
        if not path.is_file() or path.stat().st_size == 0:  # ITK is silent on a full disk
            raise EngineError(
                "the volume for the model could not be written",
                code="E_DISK",
                where=self.name,
                action="make room in the folder for temporary files",
            )

    def read_labels(self, path: Path, grid: Grid) -> npt.NDArray[np.int32]:
        """Read a label volume of the program, which must lie on the grid that it was given.

        Parameters
        ----------
        path : Path
            NIfTI file.
        grid : Grid
            Grid of the volumes.

        Returns
        -------
        ndarray of int32, shape (k, j, i)
            Labels.

        Raises
        ------
        EngineError
            ``E_MODEL_OUTPUT``.
        """
        import SimpleITK as sitk

        try:
            read = sitk.ReadImage(str(path))
            values = sitk.GetArrayFromImage(read)
            own = grid_from_sitk(read, grid.frame_of_reference)
        except Exception as error:
            raise self.no_output(f"{path.name} is no volume ({type(error).__name__})") from error
        if not own.matches(grid, tolerance_mm=_SAME_MM):
            raise self.no_output(f"{path.name} lies on another grid than the volume it was given")
        with np.errstate(invalid="ignore"):
            labels = values.astype(np.int32)
        if not np.array_equal(labels, values) or labels.min() < 0 or labels.max() > _MOST_LABELS:
            raise self.no_output(f"{path.name} holds values that are no labels")
        return np.asarray(labels)

    def _own_names(self) -> dict[int, str]:
        names: dict[int, str] = {}
        for item in self.config.labels:
            number, sign, name = item.partition("=")
            if not sign or not number.strip().isdecimal() or not name.strip():
                raise ConfigError(
                    'labels have the form "1=lesion"',
                    code="E_CONFIG",
                    where="segment_model.labels",
                    value=item,
                )
            names[int(number)] = name.strip()
        return names

    def anatomy(self, name: str) -> str | None:
        """Return the organ that a label name stands for, empty for another organ, None for lesion.

        Parameters
        ----------
        name : str
            As the model or the settings give it.

        Returns
        -------
        str or None
            See above.
        """
        return name.lower() if name.lower() in _ANATOMY else None

    def _regions(
        self,
        labels: npt.NDArray[np.int32],
        names: Mapping[int, str],
        grid: Grid,
        settings: dict[str, object],
    ) -> LesionSet:
        """Split lesions into connected parts, keep organs whole; ids from 1 on, organs first."""
        out = np.zeros(grid.shape, dtype=np.int32)
        regions: list[Region] = []
        lesion = np.zeros(grid.shape, dtype=bool)
        for label in (int(n) for n in np.unique(labels) if n):
            name = names.get(label, "lesion" if self.finds_lesions else f"label-{label}")
            organ = self.anatomy(name)
            if organ is None and name.lower() != "ignore":
                lesion |= labels == label
            elif organ is not None:
                number = len(regions) + 1
                out[labels == label] = number
                regions.append(
                    Region(
                        number, name, RegionRole.REFERENCE, RegionSource.CANDIDATE, anatomy=organ
                    )
                )
        parts = connected_regions(
            lesion,
            voxel_volume_ml=grid.voxel_volume_ml,
            minimum_volume_ml=self._segment.minimum_volume_ml,
        )
        count = int(parts.max(initial=0))
        if count > self._segment.maximum_candidates:
            raise EngineError(
                f"the model gives {count} separate regions, more than the "
                f"{self._segment.maximum_candidates} that are allowed",
                code="E_SEG_MANY",
                where="segment.maximum_candidates",
                value=count,
                action="raise segment.minimum_volume_ml, or look at what the model marks",
            )
        base = len(regions)
        out[parts > 0] = parts[parts > 0] + base
        regions += [
            Region(base + n, f"candidate-{n}", RegionRole.LESION, RegionSource.CANDIDATE)
            for n in range(1, count + 1)
        ]
        return LesionSet(out, grid, tuple(regions), origin=self.name, settings=settings)
