"""Open an output folder of ``eprimg run`` as layers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.io.bridge import grid_from_nifti, nifti_array
from eprimg.io.output_folder import output_path, verify_folder
from eprimg.model.grid import Grid
from napari_eprimg.display import AXIS_LABELS, DisplayGrid, display_grid, show_on

__all__ = ["LayerTuple", "get_reader", "read_layers"]

LayerTuple = tuple[npt.NDArray[Any], dict[str, Any], str]

_FORMAT = "eprimg output folder"
_MANIFEST = "manifest.json"
_NOTE = (
    "For looking only: carried once to an axis-aligned grid, nearest voxel. "
    "Take numbers from lesions.csv, measurements.csv or the maps on disk."
)
_PET = ("suvbw", "pid_per_kg")
_COLOUR_MAPS = {"dr2star": "viridis", "suvbw": "inferno", "pid_per_kg": "inferno"}
_SHOWN_FIRST = ("pid_per_kg", "suvbw", "dr2star", "r2star_post", "r2star_pre")


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerTuple]] | None:
    """Offer a reader when the path is an output folder of eprimg.

    Parameters
    ----------
    path : str or sequence of str
        The folder, or its ``manifest.json``.

    Returns
    -------
    callable or None
        `read_layers`, or None when the path is something else.
    """
    try:
        folder = _folder(path)
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(manifest, dict) and manifest.get("format") == _FORMAT
    return read_layers if ours else None


def _folder(path: str | Sequence[str]) -> Path:
    """Return the folder that a path means."""
    if not isinstance(path, str | Path):
        if len(path) != 1:
            raise ValueError("one output folder at a time")
        path = path[0]
    folder = Path(path)
    return folder.parent if folder.name == _MANIFEST else folder


def read_layers(path: str | Sequence[str]) -> list[LayerTuple]:
    """Read the registered maps and the regions of an output folder.

    Parameters
    ----------
    path : str or sequence of str
        The folder, or its ``manifest.json``.

    Returns
    -------
    list of tuple
        Layer data, layer settings and layer type: one image layer for each map, then the regions.

    Raises
    ------
    OutputError
        ``E_OUTPUT_DAMAGED`` when a file of the folder is missing or was changed.
    """
    folder = _folder(path)
    verify_folder(folder)
    maps = sorted((folder / "maps").glob("*.nii.gz"), key=_rank, reverse=True)
    layers = [_map_layer(file) for file in maps]
    if layers:  # the last one lies on top; the others wait behind it
        layers[-1][1]["visible"] = True
    labels = output_path(folder, "labels")
    if labels.is_file():
        layers.append(_regions_layer(labels, output_path(folder, "label_names")))
    return layers


def _rank(file: Path) -> tuple[int, str]:
    key = file.name.removesuffix(".nii.gz")
    return (_SHOWN_FIRST.index(key) if key in _SHOWN_FIRST else len(_SHOWN_FIRST), key)


def _load(file: Path, sidecar: dict[str, Any]) -> tuple[npt.NDArray[Any], Grid]:
    import nibabel as nib

    nifti = nib.load(file)
    frame = sidecar.get("FrameOfReferenceUID")
    grid = grid_from_nifti(nifti, frame_of_reference=frame, where=file.name)
    return nifti_array(np.asanyarray(nifti.dataobj)), grid


def _placed(
    name: str, grid: Grid, target: DisplayGrid, file: Path, sidecar: dict[str, Any]
) -> dict[str, Any]:
    """Return the settings that every layer has."""
    return {
        "name": name,
        "scale": target.spacing_mm,
        "translate": target.origin_mm,
        "units": ("mm", "mm", "mm"),
        "axis_labels": AXIS_LABELS,
        "metadata": {
            "eprimg": {
                "display_only": True,
                "note": _NOTE,
                "file": file.name,
                "source_affine_kji_to_lps_mm": grid.affine.tolist(),
                "source_shape_kji": grid.shape,
                "frame_of_reference": grid.frame_of_reference,
                "sidecar": sidecar,
            }
        },
    }


def _map_layer(file: Path) -> LayerTuple:
    key = file.name.removesuffix(".nii.gz")
    sidecar = json.loads(file.with_name(f"{key}.json").read_text(encoding="utf-8"))
    values, grid = _load(file, sidecar)
    target = display_grid(grid)
    quantity, unit = sidecar["Quantity"], sidecar["Units"]
    name = f"{quantity} {_which(key)}" + (f"({unit})" if unit != quantity else "")
    settings = _placed(name.strip(), grid, target, file, sidecar)
    settings |= {
        "colormap": _COLOUR_MAPS.get(key, "magma"),
        # PET: small hot lesions decide; R2*: noise in air has a long tail.
        "contrast_limits": _limits(values, 100.0 if key in _PET else 99.5),
        "interpolation2d": "nearest",
        "visible": False,
    }
    return show_on(values, grid, target, outside=np.nan), settings, "image"


def _which(key: str) -> str:
    """Tell pre from post ferumoxytol in a layer name."""
    stem, _, last = key.rpartition("_")
    return f"{last} ferumoxytol " if stem and last in ("pre", "post") else ""


def _limits(values: npt.NDArray[Any], percentile: float) -> tuple[float, float]:
    """Choose a window from 0 to a percentile."""
    finite = values[np.isfinite(values)]
    high = float(np.percentile(finite, percentile)) if finite.size else 1.0
    return 0.0, high if high > 0 else 1.0


def _regions_layer(file: Path, names: Path) -> LayerTuple:
    sidecar = json.loads(names.read_text(encoding="utf-8"))
    labels, grid = _load(file, sidecar)
    target = display_grid(grid)
    settings = _placed("regions", grid, target, file, sidecar)
    ids = sorted(int(number) for number in sidecar["labels"])
    rows = [sidecar["labels"][str(number)] for number in ids]
    settings["features"] = {
        "index": [0, *ids],
        "name": ["background", *(row["name"] for row in rows)],
        "role": ["", *(row["role"] for row in rows)],
        "anatomy": ["", *(row["anatomy"] or "" for row in rows)],
        "source": ["", *(row["source"] for row in rows)],
    }
    settings["opacity"] = 0.4
    return show_on(labels, grid, target, outside=0), settings, "labels"
