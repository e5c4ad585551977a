"""Making the turning PET of a case in a thread, and where its pixels lie among the regions."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import Cancelled
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap
from eprimg.model.transform import Transform
from eprimg.report.frames import reach, reference_grid
from napari_eprimg.settings import plugin_settings
from napari_eprimg.view.display import display_grid, show_on
from napari_eprimg.view.layer_specs import smallest_type
from napari_eprimg.view.mip import Projections, project

__all__ = ["ProjectionWork", "pet_map", "region_picture", "way_to_map"]


_MAPS = ("suvbw", "pid_per_kg")


@dataclass(eq=False)
class ProjectionWork:
    """One making of the pictures; what worker thread and GUI thread share.

    Parameters
    ----------
    source : QuantityMap
        The PET map on its own grid.

    Attributes
    ----------
    share : float
        Finished part.
    made : tuple or None
        Pictures and the map on its display grid, when they are finished.
    error : Exception or None
        Why there are none.
    """

    source: QuantityMap
    share: float = 0.0
    made: tuple[Projections, npt.NDArray[Any]] | None = None
    error: Exception | None = None
    _cancel: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        """True when the thread has ended."""
        return self._over.is_set()

    def start(self) -> None:
        """Begin in a thread of its own."""
        threading.Thread(target=self.run, name="projection", daemon=True).start()

    def cancel(self) -> None:
        """Ask the thread to stop; it does so before the next picture."""
        self._cancel.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the thread.

        Parameters
        ----------
        seconds : float
            Longest time.

        Returns
        -------
        bool
            True when it has ended.
        """
        return self._over.wait(seconds)

    def run(self) -> None:
        """Make the pictures; an error becomes a value."""
        try:
            grid = display_grid(self.source.grid)
            values = self.source.values.astype(np.float32, copy=False)
            shown = show_on(values, self.source.grid, grid, outside=np.nan)
            self.made = (
                project(shown, grid, angles=plugin_settings().mip_angles, progress=self._progress),
                shown,
            )
        except Exception as error:  # the pane tells it to the reader
            self.error = error
        finally:
            self._over.set()

    def _progress(self, words: str, share: float) -> None:
        if self._cancel.is_set():
            raise Cancelled()
        self.share = share


def pet_map(case: Case) -> QuantityMap | None:
    """Choose the map that is projected.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    QuantityMap or None
        SUVbw on the grid of the PET series, else %ID/kg, else None.
    """
    return next((case.maps[key] for key in _MAPS if key in case.maps), None)


def way_to_map(case: Case, source: QuantityMap) -> Transform | None:
    """Find the way from the reference frame to the frame of a map.

    Parameters
    ----------
    case : Case
        The case.
    source : QuantityMap
        The map, on its own grid.

    Returns
    -------
    Transform or None
        From the reference frame to that of the map; None when no accepted registration leads there.
    """
    reference = reference_grid(case)
    key = source.sources[0] if source.sources else ""
    if reference is None:
        return None
    return reach(case, key, source.grid, reference.frame_of_reference)


def region_picture(
    made: Projections, number: int, lesions: LesionSet, from_map: Transform
) -> npt.NDArray[Any]:
    """Tell which lesion the voxel belongs to that made each pixel.

    Parameters
    ----------
    made : Projections
        The pictures.
    number : int
        Which one.
    lesions : LesionSet
        Regions on the reference grid.
    from_map : Transform
        From the frame of the map to the reference frame.

    Returns
    -------
    ndarray of unsigned integers, shape (S, across)
        Ids of lesions; 0 for none.  Reference organs are left out: their outlines would hide the
        picture.
    """
    grid = made.grid
    spl = made.voxels(number) * np.array(grid.spacing_mm) + np.array(grid.origin_mm)
    points = from_map.apply(spl[..., ::-1])
    index = np.rint(lesions.grid.lps_mm_to_index(points)).astype(np.intp)
    inside = ((index >= 0) & (index < lesions.labels.shape)).all(axis=-1)
    inside &= made.pictures[number] > 0
    largest = max((r.id for r in lesions.regions), default=0)
    shown = np.zeros(inside.shape, dtype=smallest_type(largest))
    found = lesions.labels[tuple(index[inside].T)]
    shown[inside] = np.where(np.isin(found, [r.id for r in lesions.lesions]), found, 0)
    return shown
