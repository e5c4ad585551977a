"""Keys of the reading; they keep clear of napari's own keys for label layers.

A manifest can list keys, but napari 0.9 does not read them, so they are bound to the viewer here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import ReferenceType, ref

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QInputDialog

from napari_eprimg.lesions.click_hand import click_tool_of
from napari_eprimg.lesions.click_tool import LESION
from napari_eprimg.reading.region_edits import ANATOMIES

if TYPE_CHECKING:
    import napari

    from napari_eprimg.lesions.lesion_tools import LesionTools

__all__ = ["KEYS", "REFERENCE_DIAMETER_MM", "bind_keys"]

REFERENCE_DIAMETER_MM: Final = 20.0
"""Diameter of the sphere that the key places; the workflow dock lets another be chosen."""

KEYS: Final[tuple[tuple[str, str], ...]] = (
    ("Alt+N, Alt+P", "next, previous lesion of the table"),
    ("Alt+1 to Alt+4", "show the lesions of one tier only, from low to high"),
    ("Alt+0", "show every tier"),
    ("Alt+G", "click a lesion: one click grows it; again, or Esc, ends"),
    ("Alt+C", "confirm the selected candidate"),
    ("Alt+X", "exclude the selected region with a reason, or include it again"),
    ("Delete", "delete the selected region"),
    ("Alt+R", "place a reference region at the crosshair"),
    ("Alt+M", "turn the PET projection, or stop it"),
    ("Alt+W", "next window preset"),
    ("Ctrl+Z, Ctrl+Shift+Z", "undo, redo"),
    ("1 or E, 2 or P, 4 or F, 5 or L", "napari: erase, brush, fill, pick a region"),
    ("[ and ]", "napari: smaller, larger brush"),
    ("Space", "napari: hold to move the picture"),
)
"""Key and what it does, for the help."""


def bind_keys(viewer: napari.viewer.Viewer, tools: LesionTools) -> None:
    """Bind the keys to a viewer; called again it changes nothing.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    tools : LesionTools
        The lesion tools of this viewer.
    """
    actions: dict[str, Callable[[], Any]] = {
        "Alt-N": lambda: tools.step_wanted.emit(1),
        "Alt-P": lambda: tools.step_wanted.emit(-1),
        "Alt-C": tools.confirm_wanted.emit,
        "Alt-X": tools.exclude_wanted.emit,
        "Delete": tools.delete_wanted.emit,
        "Alt-R": partial(_place_reference, tools),
        "Alt-G": partial(_take_up_click, ref(viewer)),
        "Alt-M": partial(_turn_projection, viewer),
        "Alt-W": partial(_next_window, viewer),
        "Control-Z": tools.undo,
        "Control-Shift-Z": tools.redo,
    }
    actions |= {f"Alt-{n}": partial(tools.filter_wanted.emit, n) for n in range(5)}
    for key, action in actions.items():
        viewer.bind_key(key, _for_viewer(action), overwrite=True)


def _docked(viewer: napari.viewer.Viewer, kind: str) -> Any:
    """Find a docked widget of the reading by the name of its class."""
    for widget in dict(viewer.window.dock_widgets).values():
        inner = getattr(widget, "__wrapped__", widget)
        if type(inner).__name__ == kind:
            return inner
    return None


def _turn_projection(viewer: napari.viewer.Viewer) -> None:
    planes = _docked(viewer, "PlanesWidget")
    if planes is not None:
        planes.mip.play.toggle()


def _next_window(viewer: napari.viewer.Viewer) -> None:
    planes = _docked(viewer, "PlanesWidget")
    if planes is not None:
        planes.windows.next_preset()


def _take_up_click(viewer: ReferenceType[Any]) -> None:
    here = viewer()
    if here is not None:
        tool = click_tool_of(here)
        tool.take_up(not (tool.active and tool.kind == LESION))


def _place_reference(tools: LesionTools) -> None:
    """Ask for the organ, then put a sphere at the crosshair."""
    if tools.reading.cursor_mm is None:
        tools.log.warning("Click into the organ first: the sphere is put at the crosshair.")
        return
    ask = QInputDialog(tools.window())
    ask.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    ask.setWindowTitle("Reference region")
    ask.setLabelText(f"Organ at the crosshair (sphere of {REFERENCE_DIAMETER_MM:g} mm):")
    ask.setComboBoxItems(list(ANATOMIES))
    ask.textValueSelected.connect(lambda organ: tools.place_reference(organ, REFERENCE_DIAMETER_MM))
    ask.open()


def _for_viewer(action: Callable[[], Any]) -> Callable[[Any], Callable[[], None]]:
    """Make an action a key of a viewer.

    napari 0.9 keeps what is to happen on the release of a key under the key alone and never drops
    it: after a tap on 1 (erase) the release of Alt+1 would take up the tool from before the tap.
    What a key gives back takes that place.
    """

    def pressed(_viewer: Any) -> Callable[[], None]:
        action()
        return _nothing

    return pressed


def _nothing() -> None:
    """Happens on the release of one of our keys."""
