"""Maps and regions of an output folder of ``eprimg run`` as layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.io.bridge import grid_from_nifti, nifti_array
from eprimg.io.output_folder import output_path, verify_folder
from eprimg.io.sidecar import read_side_car
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from napari_eprimg.view.display import AXIS_LABELS, DisplayGrid, display_grid, show_on
from napari_eprimg.view.layer_specs import LESIONS, LayerTuple, region_features, shown_labels

__all__ = ["labels_layer", "map_layer", "output_layers"]

_NOTE = (
    "For looking only: carried once to an axis-aligned grid, nearest voxel. "
    "Take numbers from lesions.csv, measurements.csv or the maps on disk."
)
_PET = ("suvbw", "pid_per_kg")
_COLOUR_MAPS = {"dr2star": "viridis", "suvbw": "inferno", "pid_per_kg": "inferno"}
_SHOWN_FIRST = ("pid_per_kg", "suvbw", "dr2star", "r2star_post", "r2star_pre")


def output_layers(folder: Path) -> list[LayerTuple]:
    """Read the registered maps and the regions of an output folder.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    list of tuple
        Layer data, layer settings and layer type: one image layer for each map, then the regions.

    Raises
    ------
    OutputError
        ``E_OUTPUT_DAMAGED`` when a file of the folder is missing or was changed.
    """
    verify_folder(folder)
    maps = sorted((folder / "maps").glob("*.nii.gz"), key=_rank, reverse=True)
    layers = [map_layer(file) for file in maps]
    if layers:  # the last one lies on top; the others wait behind it
        layers[-1][1]["visible"] = True
    labels = output_path(folder, "labels")
    if labels.is_file():
        sidecar = json.loads(output_path(folder, "label_names").read_text(encoding="utf-8"))
        values, grid = _load(labels, sidecar)
        layers.append(labels_layer(_regions(values, grid, sidecar), labels, sidecar))
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


def _regions(values: npt.NDArray[Any], grid: Grid, sidecar: dict[str, Any]) -> LesionSet:
    regions = tuple(
        Region(
            int(number),
            row["name"],
            RegionRole(row["role"]),
            RegionSource(row["source"]),
            row["anatomy"] or "",
        )
        for number, row in sorted(sidecar["labels"].items(), key=lambda item: int(item[0]))
    )
    return LesionSet(values.astype(np.int32), grid, regions)


def _placed(
    name: str,
    role: str,
    key: str,
    grid: Grid,
    target: DisplayGrid,
    file: Path,
    sidecar: dict[str, Any],
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
                "schema": 1,
                "role": role,
                "key": key,
                "quantity": "",
                "unit": "",
                "timepoint": "",
                "aligned": True,
                "display_only": True,
                "note": _NOTE,
                "file": file.name,
                "source_affine": grid.affine.tolist(),
                "source_shape": list(grid.shape),
                "frame_of_reference_uid": grid.frame_of_reference,
                "sidecar": sidecar,
            }
        },
    }


def map_layer(file: Path) -> LayerTuple:
    """Read a map of eprimg.

    Parameters
    ----------
    file : Path
        NIfTI file; its side-car says what it holds.

    Returns
    -------
    tuple
        Image layer on the display grid.
    """
    sidecar = read_side_car(file)
    key = str(sidecar["Key"])
    values, grid = _load(file, sidecar)
    target = display_grid(grid)
    quantity, unit = sidecar["Quantity"], sidecar["Units"]
    name = f"{quantity} [{unit}] {_which(key)}"
    settings = _placed(name.strip(), "map", key, grid, target, file, sidecar)
    # PET: small hot lesions decide; R2*: noise in air has a long tail.
    window = _limits(values, 100.0 if key in _PET else 99.5)
    settings["metadata"]["eprimg"] |= {
        "quantity": key.removesuffix("_pre").removesuffix("_post"),
        "unit": unit,
        "timepoint": _which(key),
        "auto_window": window,
    }
    settings |= {
        "colormap": _COLOUR_MAPS.get(key, "magma"),
        "contrast_limits": window,
        "interpolation2d": "nearest",
        "visible": False,
    }
    return show_on(values, grid, target, outside=np.nan), settings, "image"


def _which(key: str) -> str:
    """Tell pre from post ferumoxytol in a layer name."""
    stem, _, last = key.rpartition("_")
    return f"{last} ferumoxytol" if stem and last in ("pre", "post") else ""


def _limits(values: npt.NDArray[Any], percentile: float) -> tuple[float, float]:
    """Choose a window from 0 to a percentile."""
    finite = values[np.isfinite(values)]
    high = float(np.percentile(finite, percentile)) if finite.size else 1.0
    return 0.0, high if high > 0 else 1.0


def labels_layer(regions: LesionSet, file: Path, sidecar: dict[str, Any]) -> LayerTuple:
    """Show regions on their display grid.

    Parameters
    ----------
    regions : LesionSet
        Labels with names and roles.
    file : Path
        Where they come from.
    sidecar : dict
        Content of its side-car.

    Returns
    -------
    tuple
        Label layer.
    """
    target = display_grid(regions.grid)
    settings = _placed("regions", LESIONS, LESIONS, regions.grid, target, file, sidecar)
    settings |= {"features": region_features(regions), "opacity": 0.4}
    return shown_labels(regions, target), settings, "labels"
