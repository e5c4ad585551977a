"""``python -m napari_eprimg PATH`` shows a study, a saved case or an output folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.layers import Layer

from napari_eprimg.__main__ import main, open_in
from napari_eprimg.dock.jobs import jobs_of
from napari_eprimg.reader import read_layers
from napari_eprimg.reading.reading import Light, Reading, Step, reading_of
from napari_eprimg.view.layers import layer_facts
from napari_eprimg.workspace import open_workspace


def _wait(qtbot: Any, reading: Reading, step: Step) -> None:
    qtbot.waitUntil(lambda: reading.done(step) and not jobs_of(reading).busy, timeout=60_000)


def _light(reading: Reading, step: Step) -> Light:
    return next(s.light for s in reading.states if s.step == step)


def test_a_study_is_opened_and_its_pixels_are_read(
    make_napari_viewer: Callable[..., Any], qtbot: Any, small_study: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    workspace = open_in(viewer, small_study)
    reading = reading_of(viewer)
    assert workspace.reading is reading
    _wait(qtbot, reading, Step.CHECK)
    assert {layer_facts(layer).get("key") for layer in viewer.layers} == {
        "mr_pre",
        "mr_post",
        "pet",
    }
    assert _light(reading, Step.REGISTER) == Light.IDLE
    # Only the first study is read by itself.
    workspace.open_path(small_study)
    qtbot.waitUntil(lambda: not jobs_of(reading).busy, timeout=60_000)
    qtbot.wait(100)
    assert reading.study is None


def test_an_output_folder_is_shown_as_layers(
    make_napari_viewer: Callable[..., Any], output_folder: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    for data, settings, kind in read_layers(output_folder):
        viewer.add_layer(Layer.create(data, settings, kind))
    before = list(viewer.layers)
    assert {layer_facts(layer)["role"] for layer in before} == {"map", "lesions"}
    workspace = open_workspace(viewer)  # what was open stays when the reading room comes
    workspace.reading.case_changed.emit()
    assert list(viewer.layers) == before
    open_in(viewer, output_folder)
    assert len(viewer.layers) == 2 * len(before)
    assert reading_of(viewer).folder is None


def test_a_path_that_cannot_be_opened_is_one_error_and_the_window_lives(
    make_napari_viewer: Callable[..., Any], qtbot: Any, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    viewer = make_napari_viewer(show=True)
    workspace = open_in(viewer, tmp_path / "empty")
    reading = reading_of(viewer)
    qtbot.waitUntil(lambda: _light(reading, Step.OPEN) == Light.REFUSED, timeout=30_000)
    qtbot.waitUntil(lambda: not jobs_of(reading).busy, timeout=30_000)
    assert len(viewer.layers) == 0
    assert workspace.workflow.isEnabled()


def test_a_missing_path_is_refused_before_napari_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "absent")])
    assert stop.value.code == 2
    assert "there is nothing at" in capsys.readouterr().err
