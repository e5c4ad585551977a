"""Acceptance checks 1 to 10: what is drawn, in all planes, in the whole window.

Places in the pictures are computed from the formulas of `tests.plugins.marked_case`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QSlider

from tests.gui.hands import CTRL
from tests.gui.measured_room import PLANES, MeasuredRoom
from tests.plugins import marked_case as marked
from tests.plugins import screen


@pytest.fixture
def shown(as_opened: Callable[..., MeasuredRoom]) -> Callable[..., MeasuredRoom]:
    """Shows a case, that of the phantom by default, in a room as if it were just opened."""
    return as_opened


def _bright(picture: np.ndarray) -> np.ndarray:
    return picture.min(axis=-1) > 220


def _fuse(room: MeasuredRoom, share: int) -> None:
    """Move the fusion slider with the keyboard."""
    slider = next(
        s
        for s in room.window.findChildren(QSlider)
        if s.accessibleName() == "Fusion" and s.isVisible()
    )
    room.click(slider)
    QTest.keyClick(slider, Qt.Key.Key_Home)
    for _ in range(share // 10):
        QTest.keyClick(slider, Qt.Key.Key_PageUp)
    assert slider.value() == share
    screen.settle(0.15)


def _choose_colours(room: MeasuredRoom, words: str) -> None:
    combo = next(
        c
        for c in room.window.findChildren(QComboBox)
        if c.accessibleName() == "Colours of the map above"
    )
    while combo.currentText() != words:
        before = combo.currentIndex()
        QTest.keyClick(combo, Qt.Key.Key_Down)
        assert combo.currentIndex() != before
    screen.settle(0.15)


def test_check_01_sample_shows_mr_pet_and_lesions_in_mm(shown: Any) -> None:
    room = shown()
    facts = {x.metadata["eprimg"]["key"]: x for x in room.viewer.layers}
    assert {"mr_pre", "suvbw", "lesions"} <= set(facts)
    assert all(facts[key].visible for key in ("mr_pre", "suvbw", "lesions"))
    for layer in room.viewer.layers:
        assert [str(u) for u in layer.units] == ["millimeter"] * 3
        assert tuple(layer.axis_labels) == ("S", "P", "L")
    picture = room.picture("axial")
    assert screen.n_colours(picture) > 50
    grey = np.ptp(picture, axis=-1) < 4
    assert (grey & (picture.mean(axis=-1) > 60)).mean() > 0.1  # MR
    assert (np.ptp(picture, axis=-1) > 60).mean() > 0.01  # PET in hot colours
    canvas = room.panes()["axial"][0]
    screen.hover(canvas, *room.at("axial", room.reading.cursor_mm))
    screen.wait_until(lambda: "mm" in str(room.viewer.status))
    assert room.viewer.canvas.overlays.scale_bar.visible
    for name in PLANES[1:]:
        (bar,) = room.panes()[name][0].findChildren(QLabel, "scale_bar")
        assert bar.isVisible()
        assert bar.text().endswith(" mm")
    room.look("check_01_sample")


def test_check_02_patient_right_is_left_head_up_anterior_up(shown: Any) -> None:
    room = shown(marked.case())
    room.only("mr_pre")
    room.point_at((1.0, 1.0, 1.0))
    for name, axis, centre in (
        ("axial", 1, marked.RIGHT),
        ("coronal", 1, marked.RIGHT),
        ("coronal", 0, marked.HEAD),
        ("sagittal", 0, marked.HEAD),
        ("axial", 0, marked.FRONT),
        ("sagittal", 1, marked.FRONT),
    ):
        picture = room.picture(name)
        row, column = room.at(name, marked.spl(centre))
        assert _bright(picture[row - 2 : row + 3, column - 2 : column + 3]).all(), (name, centre)
        assert (row, column)[axis] < picture.shape[axis] / 2 - 15, (name, centre)
        assert screen.n_colours(picture) > 50
    room.look("check_02_sides")


@pytest.mark.parametrize("tilt", [0, 30])
def test_check_03_edge_letters_also_after_roll_and_oblique(shown: Any, tilt: int) -> None:
    room = shown(marked.case(marked.tilted_grid(tilt) if tilt else None))
    assert room.letters("axial") == ("R", "L", "A", "P")
    assert room.letters("coronal") == ("R", "L", "S", "I")
    assert room.letters("sagittal") == ("A", "P", "S", "I")
    room.key(Qt.Key.Key_E, CTRL)  # napari's key for: roll the axes
    rolled = room.viewer.dims.not_displayed[0]
    assert rolled != 0
    left, right, top, bottom = room.letters("axial")
    opposite = dict(zip("RLAPSI", "LRPAIS", strict=True))
    assert (right, bottom) == (opposite[left], opposite[top])
    assert {left, right, top, bottom} == set("RLAPSI") - {1: set("AP"), 2: set("RL")}[rolled]
    room.only("mr_pre")
    row, column = screen.centroid(_bright(room.picture("axial")))
    canvas = room.panes()["axial"][0]
    towards = "R" if rolled == 1 else "S"  # the balls lie at the right, in front, at the head
    side = {left: column < canvas.width() / 2, right: column > canvas.width() / 2}
    side |= {top: row < canvas.height() / 2, bottom: row > canvas.height() / 2}
    assert side[towards]


def test_check_04_oblique_series_no_warning_and_ball_in_place(shown: Any) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        room = shown(marked.case(marked.tilted_grid()))
        room.only("suvbw")
        layer = next(x for x in room.viewer.layers if x.metadata["eprimg"]["key"] == "suvbw")
        layer.contrast_limits = (9.0, 11.0)  # only lesion 2 is left
        place = marked.spl(marked.LESION_2)
        room.point_at(place)
        for name in PLANES:
            canvas, viewer, _ = room.panes()[name]
            found = screen.centroid(room.picture(name).sum(axis=-1) > 300)
            here = list(place)
            assert found == pytest.approx(
                screen.px(canvas, viewer, here), abs=2.0 * viewer.scene.camera.zoom
            ), name
    assert not [w for w in told if "orthogonal" in str(w.message)]


def test_check_05_thick_slices_keep_a_ball_round(shown: Any) -> None:
    grid = marked.thick_grid()
    case = marked.case(grid)
    # Slice centres lie at 3, 9, ... 27, 33 mm and pixel centres at 0.5, 1.5, ... mm on either side:
    # of a ball of 30 mm ten slices of 6 mm and sixty pixels of 1 mm are hit, 60 mm both ways.
    values = np.where(marked.ball(grid, (0, 0, 0), 30.0), 10.0, 0.0).astype(np.float32)
    suv = replace(case.registered["suvbw"], values=values, valid=np.ones(grid.shape, bool))
    room = shown(replace(case, registered={"suvbw": suv}))
    room.only("suvbw")
    room.point_at((0.0, 0.0, 0.0))
    for name in PLANES:
        height, width = screen.widths(room.picture(name).sum(axis=-1) > 300)
        assert height / width == pytest.approx(1.0, abs=0.05), name


def test_check_06_a_click_moves_every_plane_to_the_point(shown: Any) -> None:
    room = shown(marked.case())
    target = marked.spl(marked.LESION_1)
    for name, axis in (("coronal", 1), ("sagittal", 2), ("axial", 0)):
        room.point_at(marked.spl(marked.RIGHT))
        start = room.reading.cursor_mm
        canvas, viewer, _ = room.panes()[name]
        here = [start[a] if a == axis else target[a] for a in range(3)]
        screen.click(canvas, *screen.px(canvas, viewer, here))
        for other, (_, seen, _) in room.panes().items():
            cut = seen.dims.not_displayed[0]
            assert seen.dims.point[cut] == pytest.approx(here[cut], abs=1.01), (name, other)
        # Half a voxel of 2 mm.
        assert room.reading.cursor_mm == pytest.approx(here, abs=1.01)


def test_check_07_fusion_from_pure_mr_to_pure_pet(shown: Any) -> None:
    room = shown(marked.case())
    next(x for x in room.viewer.layers if x.metadata["eprimg"]["key"] == "lesions").visible = False
    room.point_at(marked.spl(marked.LESION_2))
    pictures = {}
    for share in (0, 50, 100):
        _fuse(room, share)
        pictures[share] = {name: room.picture(name) for name in PLANES}
        room.look(f"check_07_fusion_{share}")
    for name in PLANES:
        row, column = room.at(name, marked.spl(marked.LESION_2))
        mr, both, pet = (pictures[share][name] for share in (0, 50, 100))
        hot = {s: pictures[s][name][row - 2 : row + 3, column - 2 : column + 3] for s in pictures}
        assert np.ptp(mr, axis=-1).max() <= 2, name  # grey only: pure MR
        inside = mr.max(axis=-1) > 60
        assert mr[inside].std() > 10
        assert both[inside].mean() < 200, name  # not white
        texture = np.corrcoef(mr[inside].mean(axis=-1), both[inside].mean(axis=-1))[0, 1]
        assert texture > 0.3, name
        assert np.ptp(hot[0].mean(axis=(0, 1))) < 3
        assert np.ptp(hot[50].mean(axis=(0, 1))) > 60
        cold = inside & (np.ptp(pet, axis=-1) < 100)
        assert screen.n_colours(pet[cold][None]) <= 8, name  # SUV 1 everywhere: no MR texture


def test_check_08_inverted_grey_pet(shown: Any) -> None:
    room = shown(marked.case())
    next(x for x in room.viewer.layers if x.metadata["eprimg"]["key"] == "lesions").visible = False
    _fuse(room, 100)
    _choose_colours(room, "inverted grey")
    layer = next(x for x in room.viewer.layers if x.metadata["eprimg"]["key"] == "suvbw")
    layer.contrast_limits = (1.0, 8.0)
    room.point_at(marked.spl(marked.LESION_2))
    for name in PLANES:
        picture = room.picture(name)
        row, column = room.at(name, marked.spl(marked.LESION_2))
        assert picture[row, column].max() < 30, name
        cut = room.panes()[name][1].dims.not_displayed[0]
        cold = list(marked.spl((0.0, -20.0, 0.0)))
        cold[cut] = room.reading.cursor_mm[cut]
        row, column = room.at(name, cold)
        assert picture[row, column].min() > 240, name
    room.look("check_08_inverted_grey")


def test_check_09_every_hot_lesion_shows_in_the_projection_and_it_can_be_cancelled(
    shown: Any,
) -> None:
    from napari.qt import QtViewer

    room = shown()
    pane = room.find("mip_pane")
    turn = next(s for s in pane.findChildren(QSlider) if "projection" in s.accessibleName())
    screen.wait_until(lambda: turn.isEnabled(), 60)
    canvas = pane.findChild(QtViewer)
    assert turn.maximum() == 35
    case = room.reading.case
    seen: set[int] = set()
    layers = {type(x).__name__: x for x in canvas.viewer.layers}
    first = screen.pixels(canvas)
    room.click(turn)
    QTest.keyClick(turn, Qt.Key.Key_Home)
    for _ in range(turn.maximum() + 1):
        seen |= set(np.unique(np.asarray(layers["Labels"].data)))
        QTest.keyClick(turn, Qt.Key.Key_Right)
    hot = {
        r.id
        for r in case.lesions.lesions
        if next(m.value for m in r.measurements if m.quantity == "suvbw" and m.statistic == "max")
        > 4
    }
    assert len(hot) >= 4
    assert hot <= seen
    screen.settle(0.2)
    assert (screen.pixels(canvas) != first).mean() > 0.02  # it has turned
    # Another study: its projection is made in a thread and can be cancelled by mouse.
    room.show(marked.case())
    stop = next(b for b in pane.findChildren(QAbstractButton) if b.text() == "Cancel")
    if stop.isVisible():
        room.click(stop)
        assert "cancelled" in " ".join(room.labels())


def test_check_10_read_out_equals_the_core_at_that_voxel(shown: Any) -> None:
    room = shown()
    case = room.reading.case
    panel = room.find("read_out")
    for region_id in (1, 4, 7):
        lesions = case.lesions
        index = np.argwhere(lesions.labels == region_id)
        index = index[len(index) // 2]
        lps = lesions.grid.index_to_lps_mm(index[None])[0]
        room.point_at(lps[::-1])
        # The canvas has pixels: the point that was hit is what the values must belong to.
        point = np.asarray(room.reading.cursor_mm)[::-1]
        text = " | ".join(x for x in room.labels() if panel.isVisible())
        region = next(r for r in lesions.regions if r.id == region_id)
        for key, unit in (("suvbw", "g/mL"), ("r2star_post", "1/s"), ("dr2star", "1/s")):
            values = case.maps[key] if key in case.maps else case.registered[key]
            native = point
            if len(values.sources) == 1:
                native = case.registration(values.sources[0])
                native = (
                    point if native is None else native.transform.matrix[:3, :3] @ point
                    + native.transform.matrix[:3, 3]
                )  # fmt: skip
            voxel = tuple(
                np.rint(values.grid.lps_mm_to_index(np.asarray(native)[None])[0]).astype(int)
            )
            expected = float(values.values[voxel])
            assert f"{expected:.3g}" in text or f"{expected:.2f}" in text, (key, expected, text)
            assert unit in text
        hit = tuple(np.rint(lesions.grid.lps_mm_to_index(point[None])[0]).astype(int))
        assert lesions.labels[hit] == region_id
        assert f"{region_id} {region.name}" in text
        for tier in region.tiers:
            assert tier.label in text
