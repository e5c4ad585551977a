"""Save regions as NIfTI on the grid of their series, and save the case of a viewer."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError, InputError
from eprimg.io.sidecar import nifti_stem
from eprimg.io.write_maps import write_labels
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from napari_eprimg.reading.shown_labels import painted_voxels
from napari_eprimg.view.display import DisplayGrid

__all__ = ["write_case", "write_labels_nifti"]


def write_labels_nifti(
    path: str, data: npt.NDArray[Any], attributes: Mapping[str, Any]
) -> list[str]:
    """Write a label layer as NIfTI on the grid that it was drawn for, with its names.

    Parameters
    ----------
    path : str
        File, ending in ``.nii.gz``; the names go to the side-car beside it.
    data : ndarray of integer, shape (S, P, L)
        Labels on the display grid.
    attributes : dict
        Layer attributes; ``metadata['eprimg']`` says which grid it is.

    Returns
    -------
    list of str
        Files that were written.

    Raises
    ------
    GeometryError
        ``E_GRID_MISMATCH`` for a layer that was not made by eprimg: its grid is not known.
    """
    target = Path(path)
    facts = attributes.get("metadata", {}).get("eprimg", {})
    if not {"source_affine", "source_shape", "frame_of_reference_uid"} <= set(facts):
        raise GeometryError(
            "this label layer does not say on which series it was drawn",
            code="E_GRID_MISMATCH",
            where=str(attributes.get("name", "")) or None,
            action="save the layer of regions that eprimg made",
        )
    k, j, i = facts["source_shape"]
    grid = Grid((k, j, i), np.array(facts["source_affine"]), facts["frame_of_reference_uid"])
    known = _known_regions(grid)
    before = np.zeros(grid.shape, dtype=np.int32)
    if known is not None:
        before = np.array(known.labels, dtype=np.int32)
    spacing = [float(x) for x in attributes["scale"]]
    origin = [float(x) for x in attributes["translate"]]
    s, p, ell = data.shape
    shown_on = DisplayGrid(
        (s, p, ell), (spacing[0], spacing[1], spacing[2]), (origin[0], origin[1], origin[2])
    )
    places, values = painted_voxels(before, grid, data, shown_on)
    before.ravel()[places] = values
    regions = known.regions if known is not None else _from_features(before, attributes)
    names = target.with_name(nifti_stem(target) + ".json")
    write_labels(LesionSet(before, grid, regions, "napari"), target, names)
    return [str(target), str(names)]


def write_case(path: str, layer_data: Sequence[Any]) -> list[str]:
    """Save the case that is read in the current viewer.

    Parameters
    ----------
    path : str
        Folder to write.
    layer_data : sequence of tuple
        Layers of the viewer; the case is not made from them but from the reading behind them.

    Returns
    -------
    list of str
        The folder.

    Raises
    ------
    InputError
        ``E_STAGE`` when the viewer has no reading, or nothing has been read.
    """
    reading = _reading()
    if reading is None or reading.case is None:
        raise InputError(
            "there is no case in this viewer",
            code="E_STAGE",
            action="open a study in the reading workflow first; single layers are saved as NIfTI",
        )
    reading.save_task(path).run_now()
    return [str(path)]


def _reading() -> Any | None:
    """Return the reading of the current viewer; None without napari or viewer."""
    napari = sys.modules.get("napari")
    viewer = napari.current_viewer() if napari is not None else None
    if viewer is None:
        return None
    from napari_eprimg.reading.reading import reading_of

    return reading_of(viewer)


def _known_regions(grid: Grid) -> LesionSet | None:
    """Regions of the current reading, when they lie on just this grid."""
    reading = _reading()
    case = reading.case if reading is not None else None
    lesions = case.lesions if case is not None else None
    return lesions if lesions is not None and lesions.grid.matches(grid) else None


def _from_features(
    labels: npt.NDArray[np.int32], attributes: Mapping[str, Any]
) -> tuple[Region, ...]:
    """Region records from the features table of the layer; labels without a row are lesions."""
    table = attributes.get("features")
    rows: dict[int, dict[str, Any]] = {}
    if table is not None and "index" in table:
        rows = {int(row["index"]): row for row in _rows(table)}
    regions = []
    for number in np.unique(labels[labels > 0]).tolist():
        row = rows.get(number, {})
        regions.append(
            Region(
                number,
                str(row.get("name") or f"lesion-{number}"),
                RegionRole(row.get("role") or RegionRole.LESION),
                RegionSource(row.get("source") or RegionSource.MASK),
                str(row.get("anatomy") or ""),
            )
        )
    return tuple(regions)


def _rows(table: Any) -> list[dict[str, Any]]:
    if hasattr(table, "to_dict"):
        return list(table.to_dict("records"))
    names = list(table)
    return [dict(zip(names, values, strict=True)) for values in zip(*table.values(), strict=True)]
