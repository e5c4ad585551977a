"""One measured study and one reference run for all tests of the windows; a screen is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.conftest import (
    MeasuredStudy,
    measured_study,
    no_canvas_is_left,
    small_study,
)

__all__ = ["MeasuredStudy", "measured_study", "no_canvas_is_left", "small_study"]


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
