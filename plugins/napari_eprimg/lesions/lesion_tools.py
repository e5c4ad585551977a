"""What can be done with lesions in a viewer, from buttons and keys alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from qtpy.QtCore import Signal

from eprimg.model.lesions import LesionSet
from napari_eprimg.lesions.label_edits import LabelEdits
from napari_eprimg.lesions.one_per_viewer import one_per_viewer

if TYPE_CHECKING:
    import napari

__all__ = ["LesionTools", "inside_point", "lesion_tools_of"]

_BRUSH_PX: Final = 3
"""Brush that is taken up instead of a much larger one, in voxels."""


def inside_point(lesions: LesionSet, region_id: int) -> tuple[float, float, float] | None:
    """Find the voxel of a region that lies nearest to its centroid.

    Parameters
    ----------
    lesions : LesionSet
        Regions.
    region_id : int
        Label value.

    Returns
    -------
    tuple of float or None
        S, P, L in mm of the centre of a voxel of the region, also for a region with a hole in the
        middle; None for a region without voxels.
    """
    index = np.argwhere(np.asarray(lesions.labels) == region_id)
    for each in lesions.shared_by(region_id):
        index = np.concatenate([index, np.argwhere(each.now(lesions.labels)) + each.corner])
    if len(index) == 0:
        return None
    points = lesions.grid.index_to_lps_mm(index)
    nearest = int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))
    x, y, z = (float(v) for v in points[nearest])
    return z, y, x


class LesionTools(LabelEdits):
    """Everything a button or key does to the lesions of one viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer; the reading is the one of this viewer.

    Attributes
    ----------
    filter_wanted : Signal(int)
        A key asked for the n-th tier; 0 for all.
    step_wanted : Signal(int)
        A key asked for the next (1) or previous (-1) lesion.
    confirm_wanted, exclude_wanted, delete_wanted : Signal()
        A key asked to confirm, exclude or delete what is selected in the table.
    """

    filter_wanted = Signal(int)
    step_wanted = Signal(int)
    confirm_wanted = Signal()
    exclude_wanted = Signal()
    delete_wanted = Signal()

    def go_to(self, region_id: int) -> None:
        """Select a region and put the crosshair into it.

        Parameters
        ----------
        region_id : int
            Label value.
        """
        case = self.reading.case
        if case is None or case.lesions is None:
            return
        self.reading.select(region_id)
        point = inside_point(case.lesions, region_id)
        if point is not None:
            self.reading.move_cursor(point)

    def step(self, by: int, among: Sequence[int] | None = None) -> None:
        """Go to the next or the previous lesion.

        Parameters
        ----------
        by : int
            1 for the next one, -1 for the previous one; after the last comes the first.
        among : sequence of int, optional
            Ids in the order of the table; all lesions when left out.
        """
        case = self.reading.case
        lesions = case.lesions.lesions if case is not None and case.lesions is not None else ()
        ids = [r.id for r in lesions] if among is None else list(among)
        if not ids:
            return
        at = ids.index(self.reading.selected) if self.reading.selected in ids else None
        if at is None:
            self.go_to(ids[0 if by > 0 else -1])
            return
        self.go_to(ids[(at + by) % len(ids)])

    def use(self, mode: str) -> None:
        """Take up a tool of napari on the label layer.

        Parameters
        ----------
        mode : str
            ``paint``, ``erase``, ``fill``, ``pick`` or ``pan_zoom``.
        """
        viewer = self._viewer()
        if self._layer is None or viewer is None:
            self.log.warning("There is no region yet: make a lesion first.")
            return
        if mode in ("paint", "fill") and not self._layer.selected_label:
            self.log.warning("Choose a lesion in the table, or make a new one, before you paint.")
            return
        self._layer.visible = True
        viewer.layers.selection.active = self._layer
        if mode in ("paint", "erase") and self._layer.brush_size > 3 * _BRUSH_PX:
            self._layer.brush_size = _BRUSH_PX
        self._layer.mode = mode

    def new_lesion(self) -> None:
        """Make an empty lesion and take up the brush."""
        made: list[int] = []
        if self.edit(lambda: made.append(self.reading.new_lesion())):
            self.reading.select(made[0])
            if self._layer is not None:
                self._layer.selected_label = made[0]
            self.use("paint")

    def threshold_at_cursor(self, percent: float, radius_mm: float) -> None:
        """Make a lesion around the crosshair.

        Parameters
        ----------
        percent : float
            Of the highest uptake in the sphere.
        radius_mm : float
            Radius of the sphere.
        """
        point = self.reading.cursor_mm
        if point is None:
            self.log.warning("Click on the lesion first: the crosshair shows where to look.")
            return
        made: list[int] = []
        if self.edit(
            lambda: made.append(
                self.reading.threshold_lesion(point, percent=percent, radius_mm=radius_mm)
            )
        ):
            self.go_to(made[0])

    def place_reference(self, anatomy: str, diameter_mm: float) -> None:
        """Place a sphere as reference region at the crosshair.

        Parameters
        ----------
        anatomy : str
            ``liver``, ``spleen``, ``blood``, ``muscle`` ...
        diameter_mm : float
            Diameter of the sphere.
        """
        point = self.reading.cursor_mm
        if point is None:
            self.log.warning("Click into the organ first: the sphere is put at the crosshair.")
            return
        self.edit(lambda: self.reading.place_reference(anatomy, point, diameter_mm))


_TOOLS = one_per_viewer(LesionTools)


def lesion_tools_of(viewer: napari.viewer.Viewer) -> LesionTools:
    """Return the lesion tools of a viewer; made on the first call.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.

    Returns
    -------
    LesionTools
        The only ones of this viewer.
    """
    return _TOOLS(viewer)
