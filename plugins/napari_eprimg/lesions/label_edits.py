"""Painted labels of one viewer: taken over from napari, with one history.

napari tells that a label layer was painted, but what it tells has changed between versions, and
its undo tells nothing.  So only *that* something was painted is taken from napari: a moment later
the shown labels are handed to the reading, which finds what is new, keeps the history and measures
again.  Undo and redo of the layer are led to the history of the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QWidget

from eprimg.errors import EprimgError
from eprimg.model.lesions import Region
from eprimg.model.tiers import TierScheme
from napari_eprimg.dock.jobs import jobs_of
from napari_eprimg.lesions.tier_view import label_colours, scheme_by_key
from napari_eprimg.reading.reading import Reading, reading_of
from napari_eprimg.settings import plugin_settings
from napari_eprimg.view.display import DisplayGrid, part_of
from napari_eprimg.view.layer_specs import shown_labels
from napari_eprimg.view.layers import lesion_layer, sync_layers
from napari_eprimg.view.main_canvas import qt_viewer_of

if TYPE_CHECKING:
    import napari

__all__ = ["LabelEdits", "layer_grid"]

_Box = tuple[slice, slice, slice]


def layer_grid(layer: Any) -> DisplayGrid:
    """Return the display grid of a layer.

    Parameters
    ----------
    layer : napari.layers.Layer
        A layer along (S, P, L).

    Returns
    -------
    DisplayGrid
        Shape, spacing and origin.
    """
    s, p, ell = (int(n) for n in layer.data.shape)
    scale = [float(x) for x in layer.scale]
    origin = [float(x) for x in layer.translate]
    return DisplayGrid(
        (s, p, ell), (scale[0], scale[1], scale[2]), (origin[0], origin[1], origin[2])
    )


class LabelEdits(QObject):
    """Brush, undo and colours of the label layer of one viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer; the reading is the one of this viewer.

    Attributes
    ----------
    taken_over : Signal()
        Painted labels were handed to the reading, or refused.
    scheme_changed : Signal()
        Another scheme colours.
    """

    taken_over = Signal()
    scheme_changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self.reading: Reading = reading_of(viewer)
        self.log = jobs_of(self.reading).log
        self._layer: Any = None
        self._dirty = False
        self._label_seen = 0
        self._words = ""
        self._boxes: list[_Box | None] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(plugin_settings().debounce_ms)
        self._timer.timeout.connect(self._when_calm)
        self._sync = sync_layers(viewer, self.reading, self.colours)
        viewer.layers.events.inserted.connect(self._attach)
        viewer.layers.events.removed.connect(self._attach)
        self.reading.selection_changed.connect(self._on_selection)
        self.reading.case_changed.connect(self._attach)
        self._attach()

    # ------------------------------------------------------------------ colours

    @property
    def scheme(self) -> TierScheme | None:
        """The scheme whose tiers colour the lesions."""
        return scheme_by_key(self.reading.case, str(self.reading.view.get("colour_scheme", "")))

    def colour_by(self, key: str) -> None:
        """Colour the lesions by another scheme.

        Parameters
        ----------
        key : str
            Key of a scheme that was applied.
        """
        self.reading.view["colour_scheme"] = key
        self.recolour()
        self.scheme_changed.emit()

    def colours(self) -> dict[int | None, str]:
        """Give the colour of every region, the selected one marked.

        Returns
        -------
        dict of int to str
            See `tier_view.label_colours`.
        """
        return label_colours(self.reading.case, self.scheme, selected=self.reading.selected)

    def recolour(self) -> None:
        """Draw the label layer in the colours of now; voxels stay as they are."""
        self._sync.colours = self.colours
        self._sync.recolour()

    # ------------------------------------------------------------------ the label layer

    @property
    def layer(self) -> Any:
        """The label layer; None before there are regions."""
        return self._layer

    def _attach(self, event: object = None) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        layer = lesion_layer(viewer)
        if layer is self._layer:
            return
        if self._layer is not None:
            self._layer.events.paint.disconnect(self._on_paint)
            self._layer.events.selected_label.disconnect(self._on_selected_label)
        self._layer = layer
        self._dirty, self._boxes = False, []
        if layer is None:
            return
        self._label_seen = int(layer.selected_label)
        layer.events.paint.connect(self._on_paint)
        layer.events.selected_label.connect(self._on_selected_label)
        # One history: that of the reading.  napari's own is never replayed.
        layer.undo = self.undo
        layer.redo = self.redo
        if self.reading.selected:
            self._on_selection(self.reading.selected)

    @property
    def waiting(self) -> bool:
        """True while something painted was not taken over yet."""
        return self._dirty

    def _on_paint(self, event: object = None) -> None:
        """Note that something was painted; what it was, the reading finds out."""
        mode = str(self._layer.mode)
        self._words = (
            "erase"
            if mode == "erase" or self._layer.selected_label == 0
            else (f"fill {self._name()}" if mode == "fill" else f"paint {self._name()}")
        )
        self._boxes.append(self._shown_slice())
        self._dirty = True
        self._timer.start()

    def _name(self) -> str:
        number = int(self._layer.selected_label)
        region = self.region(number)
        return region.name if region is not None else f"lesion-{number}"

    def _shown_slice(self) -> _Box | None:
        """Return the slices that a flat brush can have reached; None for the whole volume."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay != 2 or self._layer.n_edit_dimensions != 2:
            return None
        (axis,) = viewer.dims.not_displayed
        mm = float(viewer.dims.point[axis])
        grid = layer_grid(self._layer)
        at = round((mm - grid.origin_mm[axis]) / grid.spacing_mm[axis])
        sides = [slice(0, n) for n in grid.shape]
        # One slice to each side, should napari round a half the other way.
        sides[axis] = slice(max(at - 1, 0), min(at + 2, grid.shape[axis]))
        return sides[0], sides[1], sides[2]

    def _when_calm(self) -> None:
        if QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self._timer.start()  # the next stroke has begun: it belongs to the same edit
            return
        self.flush()

    def flush(self) -> None:
        """Hand what was painted to the reading and measure again."""
        self._timer.stop()
        if not self._dirty or self._layer is None:
            return
        boxes, self._boxes, self._dirty = self._boxes, [], False
        grid = layer_grid(self._layer)
        box = _hull([b for b in boxes if b is not None]) if None not in boxes else None

        def take_over() -> None:
            self.reading.write_shown_labels(self._layer.data, grid, self._words, box=box)
            self.reading.measure_dirty()

        if not self.attempt(take_over):
            self._show_again(grid, box)
        self.taken_over.emit()

    def _show_again(self, grid: DisplayGrid, box: _Box | None) -> None:
        """Take refused paint off the canvas."""
        case = self.reading.case
        if case is None or case.lesions is None:
            return
        where = box or (slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
        self._layer.data[where] = shown_labels(case.lesions, part_of(grid, where))
        self._layer.refresh()

    # ------------------------------------------------------------------ selection

    def _on_selected_label(self, event: object = None) -> None:
        """Select the region that was picked on the canvas.

        napari sends this event with every change of colours too, so only another number counts.
        """
        number = int(self._layer.selected_label)
        if number == self._label_seen:
            return
        self._label_seen = number
        if number and number != self.reading.selected and number in self.ids():
            self.reading.select(number)

    def _on_selection(self, region_id: int) -> None:
        layer = self._layer
        if layer is not None and region_id in self.ids() and layer.selected_label != region_id:
            self._label_seen = region_id
            layer.selected_label = region_id
        elif layer is not None and region_id == 0 and str(layer.mode) == "pick":
            layer.selected_label = 0  # so that picking the same region again is a change
        self.recolour()

    def ids(self) -> tuple[int, ...]:
        """List the ids of all regions.

        Returns
        -------
        tuple of int
            In order of the table: lesions first.
        """
        case = self.reading.case
        if case is None or case.lesions is None:
            return ()
        lesions = [r.id for r in case.lesions.lesions]
        return (*lesions, *(r.id for r in case.lesions.regions if r.id not in lesions))

    def region(self, region_id: int) -> Region | None:
        """Find a region.

        Parameters
        ----------
        region_id : int
            Label value.

        Returns
        -------
        Region or None
            None when there is none.
        """
        case = self.reading.case
        regions = case.lesions.regions if case is not None and case.lesions is not None else ()
        return next((r for r in regions if r.id == region_id), None)

    # ------------------------------------------------------------------ one history

    def attempt(self, action: Callable[[], Any]) -> bool:
        """Do something to the reading; a refusal is told once and changes nothing.

        Parameters
        ----------
        action : callable
            Called without arguments.

        Returns
        -------
        bool
            True when it was done.
        """
        why = jobs_of(self.reading).why_not
        if why:
            self.log.warning(why)
            return False
        try:
            action()
        except EprimgError as error:
            self.log.error(error)
            return False
        return True

    def edit(self, action: Callable[[], Any]) -> bool:
        """Change regions and measure what changed.

        Parameters
        ----------
        action : callable
            Called without arguments.

        Returns
        -------
        bool
            True when it was done.
        """
        self.flush()
        return self.attempt(lambda: (action(), self.reading.measure_dirty()))

    def undo(self) -> None:
        """Take the last edit back, whatever it was."""
        self.flush()
        if self.reading.can_undo:
            self.edit(self.reading.undo)

    def redo(self) -> None:
        """Do the last undone edit again."""
        self.flush()
        if self.reading.can_redo:
            self.edit(self.reading.redo)

    def window(self) -> QWidget | None:
        """Find the window of the viewer, as owner of a dialog.

        Returns
        -------
        QWidget or None
            None for a viewer without a window.
        """
        viewer = self._viewer()
        canvas = None if viewer is None else qt_viewer_of(viewer)
        return None if canvas is None else canvas.window()

    def close(self) -> None:
        """Stop following viewer and reading."""
        self._timer.stop()
        self.reading.selection_changed.disconnect(self._on_selection)
        self.reading.case_changed.disconnect(self._attach)


def _hull(boxes: Sequence[_Box]) -> _Box:
    sides = [slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3)]
    return sides[0], sides[1], sides[2]
