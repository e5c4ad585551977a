"""What `eprimg run` wrote, read back from disk by name: table, maps, transforms."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import Array

# Two grids are equal if no corner differs by more than this: headers hold single precision.
GRID_TOLERANCE_MM = 0.05


class UnreadableError(Exception):
    """A result is missing or cannot be compared; the text says why."""


@dataclass(frozen=True)
class Raster:
    """A map or mask on a regular grid, axes ordered to the nearest of RAS."""

    data: npt.NDArray[Any]
    affine: Array

    @property
    def spacing_mm(self) -> Array:
        """Voxel size (mm), shape (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=float)

    def same_grid(self, other: Raster) -> bool:
        """Tell whether voxel n of one is voxel n of the other."""
        if self.data.shape[:3] != other.data.shape[:3]:
            return False
        corners = np.array(
            [[a, b, c, 1] for a in (0, 1) for b in (0, 1) for c in (0, 1)], dtype=float
        )
        corners[:, :3] *= np.array(self.data.shape[:3]) - 1
        gap = corners @ (self.affine - other.affine).T
        return bool(np.abs(gap).max() <= GRID_TOLERANCE_MM)


def read_raster(path: Path) -> Raster:
    """Read a NIfTI file with its axes turned to the nearest of RAS.

    Raises
    ------
    UnreadableError
        If it is missing or broken.
    """
    if not path.is_file():
        raise UnreadableError(f"{path.parent.name}/{path.name} is missing")
    try:
        image = nib.as_closest_canonical(nib.load(path))
        data = np.asanyarray(image.dataobj)
    except Exception as problem:
        raise UnreadableError(
            f"{path.parent.name}/{path.name} cannot be read: {problem}"
        ) from problem
    return Raster(data, np.asarray(image.affine, dtype=float))


class Results:
    """The output folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rasters: dict[str, Raster] = {}
        self._table: dict[str, dict[str, str]] | None = None

    def map(self, name: str) -> Raster:
        """Return ``maps/NAME.nii.gz`` or, for a name with a slash, ``NAME.nii.gz``."""
        if name not in self._rasters:
            path = self.folder / (f"{name}.nii.gz" if "/" in name else f"maps/{name}.nii.gz")
            self._rasters[name] = read_raster(path)
        return self._rasters[name]

    def row(self, region: str) -> dict[str, str]:
        """Return the row of a region of ``lesions.csv``."""
        if self._table is None:
            path = self.folder / "lesions.csv"
            if not path.is_file():
                raise UnreadableError("lesions.csv is missing")
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
            self._table = {r.get("name") or r.get("region_id") or "": r for r in rows}
        if region not in self._table:
            raise UnreadableError(f"lesions.csv has no region {region!r}")
        return self._table[region]

    def number(self, region: str, column: str) -> float:
        """Return one number of ``lesions.csv``."""
        text = self.text(region, column)
        try:
            return float(text)
        except ValueError:
            raise UnreadableError(
                f"lesions.csv: {region}, {column}: {text!r} is not a number"
            ) from None

    def text(self, region: str, column: str) -> str:
        """Return one cell of ``lesions.csv``."""
        row = self.row(region)
        if column not in row:
            raise UnreadableError(f"lesions.csv has no column {column!r}")
        return (row[column] or "").strip()

    def transform(self, name: str, points_lps_mm: npt.ArrayLike) -> Array:
        """Map points (n, 3) of the frame ``pre`` through ``transforms/NAME.tfm`` (ITK, LPS mm)."""
        path = self.folder / "transforms" / f"{name}.tfm"
        if not path.is_file():
            raise UnreadableError(f"transforms/{name}.tfm is missing")
        import SimpleITK

        try:
            transform = SimpleITK.ReadTransform(str(path))
        except RuntimeError as problem:
            raise UnreadableError(f"transforms/{name}.tfm cannot be read: {problem}") from problem
        return np.array(
            [transform.TransformPoint([float(x) for x in p]) for p in np.atleast_2d(points_lps_mm)]
        )


class Masks:
    """The true masks of the phantom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "masks"
        self._rasters: dict[str, Raster] = {}

    def region(self, stem: str, region: str) -> Raster:
        """Return one region of ``masks/STEM.nii.gz`` as booleans."""
        if stem not in self._rasters:
            self._rasters[stem] = read_raster(self.folder / f"{stem}.nii.gz")
        names = json.loads((self.folder / f"{stem}.json").read_text(encoding="utf-8"))["labels"]
        number = next(int(n) for n, name in names.items() if name == region)
        labels = self._rasters[stem]
        return Raster(np.asarray(labels.data == number), labels.affine)
