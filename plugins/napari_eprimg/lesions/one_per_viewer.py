"""What a viewer has once: made when it is first asked for, gone with the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["one_per_viewer"]

Made = TypeVar("Made")


def one_per_viewer(make: Callable[[Any], Made]) -> Callable[[Any], Made]:
    """Make something once for each viewer.

    Parameters
    ----------
    make : callable
        Called with a viewer for which there is nothing yet.  What it returns must not keep the
        viewer alive.

    Returns
    -------
    callable
        Called with a viewer, or with the proxy of it that napari hands to plugins; returns what
        was made for that viewer.
    """
    known: WeakKeyDictionary[Any, Made] = WeakKeyDictionary()

    def of(viewer: Any) -> Made:
        viewer = getattr(viewer, "__wrapped__", viewer)
        found = known.get(viewer)
        if found is None:
            found = known[viewer] = make(viewer)
        return found

    return of
