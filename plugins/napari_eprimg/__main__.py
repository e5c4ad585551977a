"""``python -m napari_eprimg [PATH]``: open napari with every window of a reading."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eprimg.errors import EprimgError
from napari_eprimg.reading.folder_kinds import PathKind, kind_of
from napari_eprimg.reading.reading import Step
from napari_eprimg.reading.reading_steps import Light

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_eprimg.workspace import Workspace

__all__ = ["main", "open_in"]

_SIZE = (1600, 1000)


def open_in(viewer: Viewer, path: Path | str) -> Workspace:
    """Put the windows of a reading around a viewer and open a path in it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        A viewer with a window.
    path : Path or str
        Study folder, saved case or output folder.

    Returns
    -------
    Workspace
        The windows; a study goes on to read its pixels when no role is in doubt.
    """
    from napari_eprimg.workspace import open_workspace

    workspace = open_workspace(viewer)
    if kind_of(path) == PathKind.OUTPUT:
        _show_output(viewer, workspace, Path(path))
        return workspace
    _read_after_opening(workspace)
    workspace.open_path(path)
    return workspace


def _show_output(viewer: Viewer, workspace: Workspace, folder: Path) -> None:
    from napari.layers import Layer

    from napari_eprimg.dock.jobs import jobs_of
    from napari_eprimg.reader import read_layers

    try:
        layers = read_layers(folder)
    except EprimgError as error:
        jobs_of(workspace.reading).log.error(error)
        return
    for data, settings, kind in layers:
        viewer.add_layer(Layer.create(data, settings, kind))
    viewer.reset_view()


def _read_after_opening(workspace: Workspace) -> None:
    """Read the pixels of the study that is opened first, so that there is something to see."""
    from napari_eprimg.dock.jobs import jobs_of

    reading, jobs = workspace.reading, jobs_of(workspace.reading)

    def go_on(outcome: Any) -> None:
        if outcome.task.step != Step.OPEN:
            return
        jobs.finished.disconnect(go_on)
        opened = next(s for s in reading.states if s.step == Step.OPEN)
        if outcome.ok and opened.light == Light.DONE and reading.study is None:
            jobs.start(reading.check_task())

    jobs.finished.connect(go_on)


def main(arguments: list[str] | None = None) -> int:
    """Open napari on a path, and wait until it is closed.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line when left out.

    Returns
    -------
    int
        0, or 2 for a path that is not there.
    """
    parser = argparse.ArgumentParser(
        prog="python -m napari_eprimg", description="Open the eprimg reading room in napari."
    )
    parser.add_argument(
        "path", nargs="?", type=Path, help="study folder, saved case or output folder of eprimg"
    )
    path = parser.parse_args(arguments).path
    if path is not None and not path.exists():
        parser.error(f"there is nothing at {path}")
    import napari

    from napari_eprimg.workspace import open_workspace

    viewer = napari.Viewer(title="eprimg reading")
    viewer.window.resize(*_SIZE)
    if path is None:
        open_workspace(viewer)
    else:
        open_in(viewer, path)
    napari.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
