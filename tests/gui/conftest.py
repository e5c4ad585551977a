"""One measured study and one reference run for all tests of the windows; a screen is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.conftest import (
    MeasuredStudy,
    known_alignment,
    measured_study,
    no_canvas_is_left,
    small_study,
)

__all__ = [
    "MeasuredStudy",
    "known_alignment",
    "measured_study",
    "no_canvas_is_left",
    "small_study",
]


@pytest.fixture(scope="session", autouse=True)
def screen() -> None:
    """Refuse to run without a screen: in CI a missing one is a failure, never a skip."""
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        return
    words = (
        "the tests of the windows need a screen: install Xvfb (make system) so that pytest-xvfb"
        " can start one, or set DISPLAY"
    )
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


def eprimg_run(*arguments: object) -> subprocess.Popen[str]:
    """Start ``eprimg run`` in a process of its own, as a person at a terminal would."""
    program = Path(sys.executable).parent / "eprimg"
    return subprocess.Popen(
        [str(program), "run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must go well."""
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def shared_room(qapp: Any, measured_study: MeasuredStudy) -> Iterator[Any]:
    """The room around the measured phantom, opened once for a module; see `measured_room`."""
    from napari_eprimg.workspace import open_workspace
    from tests.gui.measured_room import MeasuredRoom
    from tests.plugins.shown_viewer import shown_viewer

    with shown_viewer() as viewer:
        viewer.window.resize(1600, 1000)
        open_workspace(viewer)
        room = MeasuredRoom(viewer, measured_study)
        del viewer
        opened = room.at_rest()  # before the first reset
        yield room, opened
        settle_and_forget(room)


def unlike(one: Any, other: Any, name: str) -> list[str]:
    """Where two records of plain values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [w for key in one for w in unlike(one[key], other[key], f"{name}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [w for n, (a, b) in pairs for w in unlike(a, b, f"{name}.{n}")]
    return [] if one == other else [f"{name}: {one}, now {other}"]


def settle_and_forget(room: Any) -> None:
    """Let timers end and let go of the windows, so that a leak is the program's own."""
    from tests.plugins.screen import settle

    settle(0.2)
    room.__dict__.clear()


@pytest.fixture
def as_opened(shared_room: Any) -> Callable[..., Any]:
    """Shows a case, by default that of the phantom, in the room as if it were just opened."""
    room, opened = shared_room

    def show(case: Any = None, size: tuple[int, int] = (1600, 1000)) -> Any:
        from tests.gui.hands import PATIENCE_S
        from tests.plugins.screen import settle

        end = time.monotonic() + PATIENCE_S
        room.reset(case, size)
        same = set(opened) if (case, size) == (None, (1600, 1000)) else room.OF_NO_CASE
        while True:
            now = room.as_opened()
            left = [words for key in sorted(same) for words in unlike(opened[key], now[key], key)]
            if not left:
                return room
            assert time.monotonic() < end, "\n".join(left)
            settle(0.2)

    return show


@pytest.fixture
def room(make_napari_viewer: Any) -> Iterator[Any]:
    """The empty reading room in a window of 1600 x 1000 pixels, as the menu opens it."""
    from napari_eprimg.workspace import open_workspace
    from tests.gui.hands import Hands
    from tests.plugins.screen import settle

    viewer = make_napari_viewer(show=True)
    hands = Hands(viewer)
    hands.window.move(0, 0)
    hands.window.resize(1600, 1000)
    settle(0.3)
    open_workspace(viewer)
    settle(0.6)
    yield hands
    settle(0.2)
    hands.__dict__.clear()
