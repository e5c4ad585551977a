"""Puts every window of a reading in its place around napari's canvas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabBar, QWidget

from napari_eprimg.dock.workflow_widget import WorkflowWidget
from napari_eprimg.lesions.lesion_tools import lesion_tools_of
from napari_eprimg.reading.reading import reading_of
from napari_eprimg.settings import plugin_settings
from napari_eprimg.view.layers import sync_layers

if TYPE_CHECKING:
    import napari

    from napari_eprimg.reading.reading import Reading

__all__ = ["DOCKS", "Workspace", "open_workspace"]

DOCKS: Final = {
    "workflow": "eprimg reading",
    "planes": "eprimg planes",
    "lesions": "eprimg lesions",
    "inspector": "eprimg voxel",
}
"""Name of each dock."""

_AREAS: Final = {"workflow": "left", "planes": "right", "lesions": "bottom", "inspector": "bottom"}
_LAYER_DOCKS: Final = ("layer list", "layer controls")
_TITLE: Final = "eprimg reading"
_LEFT_SHARE, _RIGHT_SHARE, _BOTTOM_SHARE = 0.225, 0.27, 0.27


@dataclass(frozen=True, eq=False)
class Workspace:
    """The windows of one reading.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its canvas shows the axial plane.
    reading : Reading
        What is read.
    widgets : dict of str to QWidget
        By the keys of `DOCKS`.
    """

    viewer: Any
    reading: Reading
    widgets: dict[str, QWidget]

    @property
    def workflow(self) -> WorkflowWidget:
        """The seven steps."""
        widget = self.widgets["workflow"]
        assert isinstance(widget, WorkflowWidget)
        return widget

    def dock(self, key: str) -> QDockWidget:
        """Return the dock around a widget.

        Parameters
        ----------
        key : str
            Key of `DOCKS`.

        Returns
        -------
        QDockWidget
            It can be raised, hidden and shown.
        """
        return _dock_of(self.widgets[key])

    def show_dock(self, key: str) -> None:
        """Bring a dock to the front.

        Parameters
        ----------
        key : str
            Key of `DOCKS`.
        """
        dock = self.dock(key)
        dock.show()
        dock.raise_()

    def open_path(self, path: Path | str) -> None:
        """Open a study folder or a saved case.

        Parameters
        ----------
        path : Path or str
            The folder.
        """
        self.workflow.open_path(path)


_OPEN: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def open_workspace(viewer: napari.viewer.Viewer) -> Workspace:
    """Put the windows of a reading around a viewer; docks that are there already stay.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        A viewer with a window.

    Returns
    -------
    Workspace
        The windows; called again for a viewer it gives back the same widgets.
    """
    viewer = _unwrapped(viewer)
    reading = reading_of(viewer)
    widgets: dict[str, QWidget] = {}
    added = False
    for key, name in DOCKS.items():
        known = dict(viewer.window.dock_widgets).get(name)
        if known is not None:
            widgets[key] = _unwrapped(known)
            continue
        widgets[key] = widget = _make(key, viewer)
        viewer.window.add_dock_widget(
            widget, name=name, area=_AREAS[key], add_vertical_stretch=False
        )
        added = True
    workspace = Workspace(viewer, reading, widgets)
    if added:
        _arrange(workspace)
    if viewer not in _OPEN:
        _OPEN[viewer] = True
        viewer.title = _TITLE
        _connect(workspace)
    return workspace


def _make(key: str, viewer: Any) -> QWidget:
    if key == "workflow":
        return WorkflowWidget(viewer)
    if key == "planes":
        from napari_eprimg.view.planes_widget import PlanesWidget

        planes = PlanesWidget(viewer)
        planes.set_radiological(plugin_settings().radiological)
        return planes
    if key == "lesions":
        from napari_eprimg.lesions.lesion_widget import LesionWidget

        return LesionWidget(viewer)
    from napari_eprimg.lesions.inspector_widget import InspectorWidget

    return InspectorWidget(viewer)


def _unwrapped(thing: Any) -> Any:
    """Return what is behind napari's public-only proxy."""
    return getattr(thing, "__wrapped__", thing)


def _dock_of(widget: QWidget) -> QDockWidget:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    assert isinstance(parent, QDockWidget)
    return parent


def _arrange(workspace: Workspace) -> None:
    """Full-height side docks; napari's layer docks as tabs behind the workflow."""
    workflow, planes = workspace.dock("workflow"), workspace.dock("planes")
    lesions, inspector = workspace.dock("lesions"), workspace.dock("inspector")
    window = workflow.parentWidget()
    assert isinstance(window, QMainWindow)
    corners, areas = Qt.Corner, Qt.DockWidgetArea
    for corner, area in (
        (corners.TopLeftCorner, areas.LeftDockWidgetArea),
        (corners.BottomLeftCorner, areas.LeftDockWidgetArea),
        (corners.TopRightCorner, areas.RightDockWidgetArea),
        (corners.BottomRightCorner, areas.RightDockWidgetArea),
    ):
        window.setCorner(corner, area)
    window.setTabPosition(areas.LeftDockWidgetArea, _north())
    window.setTabPosition(areas.BottomDockWidgetArea, _north())
    named = {dock.objectName(): dock for dock in window.findChildren(QDockWidget)}
    for name in _LAYER_DOCKS:
        if name in named:
            window.tabifyDockWidget(workflow, named[name])
    window.tabifyDockWidget(lesions, inspector)
    width, height = window.width(), window.height()
    sideways, upright = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
    sizes = [max(360, int(width * _LEFT_SHARE)), max(330, int(width * _RIGHT_SHARE))]
    window.resizeDocks([workflow, planes], sizes, sideways)
    window.resizeDocks([lesions], [int(height * _BOTTOM_SHARE)], upright)
    for bar in window.findChildren(QTabBar):
        bar.setElideMode(Qt.TextElideMode.ElideNone)
        bar.setUsesScrollButtons(False)
        bar.setDrawBase(False)
    for dock in (lesions, workflow):
        dock.show()
        dock.raise_()


def _north() -> Any:
    from qtpy.QtWidgets import QTabWidget

    return QTabWidget.TabPosition.North


def _connect(workspace: Workspace) -> None:
    """Show the case as layers; take study folders that were dropped on the window."""
    viewer, reading = workspace.viewer, workspace.reading
    window = workspace.dock("workflow").parentWidget()
    assert isinstance(window, QMainWindow)
    lesion_tools_of(viewer)
    sync_layers(viewer, reading)
    timer = QTimer(workspace.workflow)  # the layer list must not be changed while it tells
    timer.setSingleShot(True)
    waiting: list[tuple[Any, str]] = []

    def take(event: Any) -> None:
        facts = event.value.metadata.get("eprimg", {})
        folder = facts.get("study_folder") if isinstance(facts, dict) else None
        if folder:
            waiting.append((event.value, str(folder)))
            timer.start(0)

    def open_last() -> None:
        dropped, waiting[:] = list(waiting), []
        for layer, _ in dropped:
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        if dropped:
            workspace.open_path(dropped[-1][1])

    timer.timeout.connect(open_last)
    viewer.layers.events.inserted.connect(take)
    workspace.workflow.destroyed.connect(lambda *_: viewer.layers.events.inserted.disconnect(take))
