"""The rotating PET: maximum-intensity projections in inverted grey on white."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Labels
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap
from eprimg.model.transform import Transform
from napari_eprimg.lesions.tier_view import label_colours, scheme_by_key
from napari_eprimg.view.canvas_marks import CanvasMarks
from napari_eprimg.view.mip import Projections
from napari_eprimg.view.mip_work import ProjectionWork, pet_map, region_picture, way_to_map
from napari_eprimg.view.orientation import EdgeLetters, turned_letters
from napari_eprimg.view.side_canvas import side_canvas
from napari_eprimg.view.windows import dragged

if TYPE_CHECKING:
    from napari_eprimg.reading.reading import Reading

__all__ = ["MipPane"]

_LOOK_MS = 40
_OUTLINE_MS = 150  # after an edit the table and the planes come first
_PLAY_MS = 120
_CLICK_PX = 4.0


class MipPane(QWidget):
    """The PET map of a reading, turning about the patient's long axis.

    Parameters
    ----------
    reading : Reading
        Its PET map is shown; a click on a hot spot moves its crosshair.
    """

    ready = Signal()
    """New pictures are shown."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self.setObjectName("mip_pane")
        self._reading = reading
        self._case: Case | None = None
        self._work: ProjectionWork | None = None
        self._source: QuantityMap | None = None
        self._values: npt.NDArray[Any] | None = None
        self._to_map: Transform | None = None
        self._from_map: Transform | None = None
        self._labels_seen: LesionSet | None = None
        self._region_pictures: dict[int, npt.NDArray[Any]] = {}
        self._point: tuple[float, float, float] | None = None
        self._radiological = True
        self._wheel = 0.0
        self.projections: Projections | None = None
        self.image: Image | None = None
        self.regions: Labels | None = None
        self.viewer = ViewerModel(title="PET projection")
        self.viewer.canvas.background_color_override = "white"
        self.qt_viewer = side_canvas(self.viewer)
        self.qt_viewer.setMinimumSize(160, 100)
        self.canvas: QWidget = self.qt_viewer.canvas.native
        self.marks = CanvasMarks(
            self.canvas, self.viewer, dark=False, scale_bar=True, letters=self._letters
        )
        self.turn = QSlider(Qt.Orientation.Horizontal)
        self.turn.setAccessibleName("Angle of the projection")
        self.turn.setToolTip("Angle of the projection; the wheel turns it too")
        self.play = QPushButton("Turn")
        self.play.setCheckable(True)
        self.play.setToolTip("Let the projection turn")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setFormat("turning the PET: %p %")
        self.stop = QPushButton("Cancel")
        self._arrange()
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._player = QTimer(self)
        self._player.setInterval(_PLAY_MS)
        self._player.timeout.connect(lambda: self.step(1))
        self.turn.valueChanged.connect(self._on_turn)
        self.play.toggled.connect(self._on_play)
        self.stop.clicked.connect(self.cancel)
        self._outline = QTimer(self)  # an edit tells several times: drawn once, after it
        self._outline.setSingleShot(True)
        self._outline.setInterval(_OUTLINE_MS)
        self._outline.timeout.connect(self._outline_again)
        self._use_mouse()
        self._later = QTimer(self)  # the canvas learns its new size after the widget
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.fit)
        self.canvas.resized.connect(lambda *_: self._later.start())
        self._slots = [
            (reading.case_changed, self.update_case),
            (reading.regions_changed, self._on_regions),
            (reading.tiers_changed, self._on_regions),
            (reading.cursor_changed, self._on_cursor),
        ]
        for signal, slot in self._slots:
            signal.connect(slot)
        self.update_case()

    def disconnect_all(self) -> None:
        """Stop the work, stop following the reading, close the canvas."""
        self.cancel()
        self._timer.stop()
        self._player.stop()
        self._later.stop()
        self._outline.stop()
        for signal, slot in self._slots:
            signal.disconnect(slot)
        self._slots = []
        self.marks.disconnect_all()
        self.qt_viewer.close()

    def set_radiological(self, radiological: bool) -> None:
        """Choose the side of the patient's right.

        Parameters
        ----------
        radiological : bool
            See `napari_eprimg.view.orientation.camera_orientation`.
        """
        self._radiological = radiological
        self._orient()

    def update_case(self) -> None:
        """Make pictures of the PET map of the case as it is now, when it is another one."""
        case = self._reading.case
        self._case = case
        source = None if case is None else pet_map(case)
        self._to_map = None if case is None or source is None else way_to_map(case, source)
        self._from_map = None if self._to_map is None else self._to_map.inverse()
        if source is self._source:
            return
        self.cancel()
        self._source = source
        self._drop()
        if source is None:
            self._show_work(False)
            self.message.setText("No PET map yet: it comes with the step Maps.")
            self.message.show()
            return
        self.message.hide()
        self._work = ProjectionWork(source)
        self.bar.setValue(0)
        self._show_work(True)
        self._work.start()
        self._timer.start()

    def cancel(self) -> None:
        """Stop making pictures; nothing half made is shown."""
        if self._work is None:
            return
        self._work.cancel()
        self._work = None
        self._timer.stop()
        self._show_work(False)
        self._source = None
        self.message.setText("The projection was cancelled.")
        self.message.show()

    def step(self, pictures: int) -> None:
        """Turn by whole pictures.

        Parameters
        ----------
        pictures : int
            How many; negative turns back.
        """
        if self.projections is not None:
            count = len(self.projections.angles_deg)
            self.turn.setValue((self.turn.value() + pictures) % count)

    def fit(self, event: object = None) -> None:
        """Show the whole picture.

        Parameters
        ----------
        event : object
            The change that asked for it; not looked at.
        """
        if len(self.viewer.layers):
            self.viewer.fit_to_view(margin=0.02)

    def set_window(self, limits: tuple[float, float]) -> None:
        """Choose the window.

        Parameters
        ----------
        limits : tuple of float
            White and black, in the unit of the map.
        """
        if self.image is not None:
            self.image.contrast_limits = limits

    def shows(self) -> str:
        """Tell which map is shown.

        Returns
        -------
        str
            Its key; empty when none is shown.
        """
        return "" if self._source is None else self._source.quantity.key

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.qt_viewer, stretch=1)
        layout.addWidget(self.message)
        work = QHBoxLayout()
        work.addWidget(self.bar, stretch=1)
        work.addWidget(self.stop)
        layout.addLayout(work)
        turning = QHBoxLayout()
        turning.addWidget(self.play)
        turning.addWidget(self.turn, stretch=1)
        layout.addLayout(turning)
        self._show_work(False)

    def _show_work(self, working: bool) -> None:
        self.bar.setVisible(working)
        self.stop.setVisible(working)
        ready = self.projections is not None
        self.play.setEnabled(ready)
        self.turn.setEnabled(ready)

    def _look(self) -> None:
        """See how far the worker is."""
        work = self._work
        if work is None or not work.over:
            if work is not None:
                self.bar.setValue(int(100 * work.share))
            return
        self._timer.stop()
        self._work = None
        if work.made is None:
            self.message.setText(f"The projection could not be made: {work.error}")
            self.message.show()
        else:
            self.projections, self._values = work.made
            self._fill()
        self._show_work(False)
        if self.projections is not None:
            self.ready.emit()

    def _drop(self) -> None:
        self.projections = self._values = None
        self.image = self.regions = None
        self._labels_seen = None
        self._region_pictures.clear()
        self.play.setChecked(False)
        if self.viewer.layers:
            self.viewer.layers.clear()
        self.marks.refresh()

    def _fill(self) -> None:
        made = self.projections
        assert made is not None
        assert self._source is not None
        kind = self._source.quantity
        high = float(np.percentile(made.pictures[0], 99.0)) or 1.0
        self.turn.setRange(0, len(made.angles_deg) - 1)
        self.image = Image(
            made.pictures[0],
            name=f"{kind.name} [{kind.unit.text}] projection",
            colormap="gray_r",
            contrast_limits=(0.0, high),
            scale=made.scale_mm,
            translate=made.origin_mm,
            units=("mm", "mm"),
            axis_labels=("S", "across"),
            interpolation2d="linear",
        )
        self.viewer.layers.append(self.image)
        self._orient()
        self._on_turn(self.turn.value())
        self.fit()

    def _orient(self) -> None:
        across = "right" if self._radiological else "left"
        self.viewer.scene.camera.orientation2d = ("up", across)
        self.marks.refresh()

    def _letters(self) -> EdgeLetters | None:
        made = self.projections
        if made is None:
            return None
        return turned_letters(made.angles_deg[self.turn.value()], radiological=self._radiological)

    def _on_turn(self, number: int) -> None:
        made = self.projections
        if made is None or self.image is None:
            return
        self.image.data = made.pictures[number]
        self.marks.set_words(f"PET projection  {made.angles_deg[number]:.0f}°")
        self._show_regions(number)
        self._show_point()

    def _on_play(self, playing: bool) -> None:
        self.play.setText("Stop" if playing else "Turn")
        if playing:
            self._player.start()
        else:
            self._player.stop()

    def _on_regions(self, ids: object = None) -> None:
        self._case = self._reading.case
        self._region_pictures.clear()
        self._outline.start()

    def _outline_again(self) -> None:
        if self.projections is not None:
            self._show_regions(self.turn.value())

    def _show_regions(self, number: int) -> None:
        """Outline the regions whose voxels made the picture, in the colours of their tiers."""
        made, case = self.projections, self._case
        if made is None or case is None or case.lesions is None or self._from_map is None:
            return
        shown = self._region_pictures.get(number)
        if shown is None:
            shown = region_picture(made, number, case.lesions, self._from_map)
            self._region_pictures[number] = shown
        if self.regions is None:
            self.regions = Labels(
                shown,
                name="regions",
                scale=made.scale_mm,
                translate=made.origin_mm,
                units=("mm", "mm"),
                axis_labels=("S", "across"),
                blending="translucent_no_depth",
            )
            self.regions.contour = 1
            self.viewer.layers.append(self.regions)
        else:
            self.regions.data = shown
        if self._labels_seen is not case.lesions:
            self._labels_seen = case.lesions
            self.regions.colormap = dict(label_colours(case, scheme_by_key(case)))

    def _on_cursor(self, point: tuple[float, float, float]) -> None:
        self._point = point
        self._show_point()

    def _show_point(self) -> None:
        made = self.projections
        if made is None or self._point is None or self._to_map is None:
            return
        s, p, ell = self._point
        moved = self._to_map.apply((ell, p, s))
        at = (float(moved[2]), float(moved[1]), float(moved[0]))
        self.marks.set_point((at[0], made.across_mm(self.turn.value(), at)))

    def _use_mouse(self) -> None:
        viewer = self.viewer
        viewer.mouse_wheel_callbacks.clear()
        viewer.mouse_double_click_callbacks.clear()
        viewer.mouse_wheel_callbacks.append(self._on_wheel)
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def _on_wheel(self, viewer: ViewerModel, event: Any) -> None:
        if event.modifiers:
            return
        event.handled = True
        self._wheel += max(-1.0, min(1.0, float(event.delta[1])))
        whole = int(self._wheel)
        if whole:
            self._wheel -= whole
            self.step(whole)

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Any:
        if event.button != 1 or self.image is None:
            return
        start, limits = event.pos, tuple(self.image.contrast_limits)
        windowing = tuple(event.modifiers) == ("Shift",)
        if windowing:
            event.handled = True
        moved = False
        yield
        while event.type == "mouse_move":
            right, up = event.pos[0] - start[0], start[1] - event.pos[1]
            moved = moved or max(abs(right), abs(up)) > _CLICK_PX
            if windowing:
                event.handled = True
                height, width = viewer.canvas.size
                self.image.contrast_limits = dragged(limits, right, up, (width, height))
            yield
        if not moved and not event.modifiers:
            self.pick(float(event.position[0]), float(event.position[1]))

    def pick(self, s_mm: float, across_mm: float) -> None:
        """Move the crosshair to the voxel that made a pixel of the picture.

        Parameters
        ----------
        s_mm, across_mm : float
            Place in the picture.
        """
        made = self.projections
        if made is None or self._from_map is None:
            return
        found = made.point_at(self.turn.value(), s_mm, across_mm, self._values)
        if found is not None:
            s, p, ell = found
            there = self._from_map.apply((ell, p, s))
            self._reading.move_cursor((float(there[2]), float(there[1]), float(there[0])))
