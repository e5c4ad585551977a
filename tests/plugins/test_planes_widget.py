"""The planes as a reader sees them: sides, letters, crosshair, fusion, read-out (napari shown).

Places in the pictures are computed from the case's formulas (see marked_case) and the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from eprimg.model.case import Case
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from tests.plugins import marked_case as marked
from tests.plugins import screen
from tests.plugins.gui_pictures import keep_picture
from tests.plugins.planes_room import PlanesRoom
from tests.plugins.shown_viewer import shown_viewer

SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
Opened = Callable[..., PlanesRoom]


@pytest.fixture(scope="module")
def shared_room(qapp: Any) -> Iterator[PlanesRoom]:
    """One window for all tests."""
    with shown_viewer() as viewer:
        room = PlanesRoom(viewer)
        del viewer
        yield room
        room.__dict__.clear()
        del room


@pytest.fixture
def room(shared_room: PlanesRoom) -> Opened:
    """Shows a case in the window as if it were the first one."""
    return shared_room.show


def _letters(marks: Any) -> tuple[str, ...]:
    return tuple(marks.letters[edge].text() for edge in ("left", "right", "top", "bottom"))


def _bright(picture: np.ndarray) -> np.ndarray:
    return picture.min(axis=-1) > 220


def test_patient_right_is_on_the_left_and_the_head_is_up(room: Opened) -> None:
    opened = room()
    opened.only("mr_pre")
    for name, axis, centre, where in (
        ("axial", 1, marked.RIGHT, "left"),
        ("axial", 0, marked.FRONT, "top"),
        ("coronal", 1, marked.RIGHT, "left"),
        ("coronal", 0, marked.HEAD, "top"),
        ("sagittal", 1, marked.FRONT, "left"),
        ("sagittal", 0, marked.HEAD, "top"),
    ):
        opened.reading.move_cursor((1.0, 1.0, 1.0))
        canvas, viewer, qt_viewer = opened.canvases()[name]
        picture = screen.pixels(qt_viewer)
        row, column = screen.px(canvas, viewer, marked.spl(centre))
        near = picture[round(row) - 2 : round(row) + 3, round(column) - 2 : round(column) + 3]
        assert _bright(near).all(), (name, centre)
        middle = (picture.shape[0] / 2, picture.shape[1] / 2)[axis]
        assert (row, column)[axis] < middle - 20, (name, where)
        assert screen.n_colours(picture) > 50
    keep_picture(opened.planes, "planes_mr")


def test_the_other_side_of_the_patient_when_neurological(room: Opened) -> None:
    opened = room()
    opened.only("mr_pre")
    before = {name: screen.pixels(q) for name, (_, _, q) in opened.canvases().items()}
    opened.planes.set_radiological(False)
    for name, (_, _, qt_viewer) in opened.canvases().items():
        after = screen.pixels(qt_viewer)
        ball = screen.centroid(_bright(before[name]))
        turned = screen.centroid(_bright(after))
        across = before[name].shape[1] - 1 - ball[1] if name != "sagittal" else ball[1]
        assert turned[0] == pytest.approx(ball[0], abs=2)
        assert turned[1] == pytest.approx(across, abs=3)
    assert _letters(opened.planes.main.marks) == ("L", "R", "A", "P")
    assert _letters(opened.planes.coronal.marks) == ("L", "R", "S", "I")
    assert _letters(opened.planes.sagittal.marks) == ("A", "P", "S", "I")


@pytest.mark.parametrize("grid", [None, marked.tilted_grid()], ids=["straight", "tilted"])
def test_edge_letters_are_right_in_every_plane_also_after_roll(
    room: Opened, grid: Grid | None
) -> None:
    opened = room(marked.case(grid))
    planes = opened.planes
    assert _letters(planes.main.marks) == ("R", "L", "A", "P")
    assert _letters(planes.coronal.marks) == ("R", "L", "S", "I")
    assert _letters(planes.sagittal.marks) == ("A", "P", "S", "I")
    for marks in (planes.main.marks, planes.coronal.marks, planes.sagittal.marks):
        for label in marks.letters.values():
            assert label.isVisible()
            assert marks.rect().contains(label.geometry())
    opened.viewer.dims.roll()
    screen.settle()
    across = opened.viewer.dims.not_displayed[0]
    letters = dict(
        zip(("left", "right", "top", "bottom"), _letters(planes.main.marks), strict=True)
    )
    assert (
        set(letters.values()) == set("RLAPSI") - {0: set("SI"), 1: set("AP"), 2: set("RL")}[across]
    )
    opposite = dict(zip("RLAPSI", "LRPAIS", strict=True))
    assert letters["right"] == opposite[letters["left"]]
    assert letters["bottom"] == opposite[letters["top"]]
    # The picture agrees with the letters: the ball at the patient's right lies towards R.
    opened.only("mr_pre")
    opened.reading.move_cursor((1.0, 1.0, 1.0))
    picture = _bright(screen.pixels(opened.canvases()["axial"][2]))
    row, column = screen.centroid(picture)
    height, width = picture.shape
    side = {"left": column < width / 2, "right": column > width / 2}
    side |= {"top": row < height / 2, "bottom": row > height / 2}
    for letter in {0: "RA", 1: "RS", 2: "SA"}[across]:
        edge = next(e for e, shown in letters.items() if shown == letter)
        assert side[edge], letter


def test_a_tilted_series_draws_a_ball_at_its_place_without_a_warning(
    room: Opened, recwarn: pytest.WarningsRecorder
) -> None:
    opened = room(marked.case(marked.tilted_grid()))
    opened.only("suvbw")
    opened.viewer.layers[1].contrast_limits = (9.0, 11.0)  # only lesion 2 is left
    opened.planes.fusion.slider.setValue(100)
    place = marked.spl(marked.LESION_2)
    opened.reading.move_cursor(place)
    for name, (canvas, viewer, qt_viewer) in opened.canvases().items():
        picture = screen.pixels(qt_viewer)
        found = screen.centroid(picture.sum(axis=-1) > 300)
        expected = screen.px(canvas, viewer, place)
        voxel = 2.0 * viewer.scene.camera.zoom
        assert found == pytest.approx(expected, abs=voxel), name
    assert not [w for w in recwarn if "orthogonal" in str(w.message)]


def test_thick_slices_keep_a_ball_round(room: Opened) -> None:
    grid = marked.thick_grid()
    case = marked.case(grid)
    values = np.where(marked.ball(grid, (0, 0, 0), 36.0), 10.0, 0.0).astype(np.float32)
    suv = replace(case.registered["suvbw"], values=values, valid=np.ones(grid.shape, bool))
    opened = room(replace(case, registered={"suvbw": suv}))
    opened.only("suvbw")
    opened.planes.fusion.slider.setValue(100)
    opened.reading.move_cursor((0.0, 0.0, 0.0))
    for name, (_, _, qt_viewer) in opened.canvases().items():
        picture = screen.pixels(qt_viewer)
        height, width = screen.widths(picture.sum(axis=-1) > 300)
        assert height / width == pytest.approx(1.0, abs=0.05), name


def test_a_click_in_any_plane_moves_the_others_there(room: Opened) -> None:
    opened = room()
    target = marked.spl(marked.LESION_1)
    for name, axis in (("coronal", 1), ("sagittal", 2), ("axial", 0)):
        opened.reading.move_cursor(marked.spl(marked.RIGHT))
        start = list(marked.spl(marked.RIGHT))
        canvas, viewer, _ = opened.canvases()[name]
        screen.click(canvas, *screen.px(canvas, viewer, target))
        expected = [start[a] if a == axis else target[a] for a in range(3)]
        assert opened.reading.cursor_mm == pytest.approx(expected, abs=1.01), name
        for other, (pane, seen, _) in opened.canvases().items():
            cut = seen.dims.not_displayed[0]
            assert seen.dims.point[cut] == pytest.approx(expected[cut], abs=1.01), other
            marks = {
                "axial": opened.planes.main, "coronal": opened.planes.coronal,
                "sagittal": opened.planes.sagittal,
            }[other].marks  # fmt: skip
            x, y = marks.crosshair_px()
            assert (y, x) == pytest.approx(screen.px(pane, seen, opened.reading.cursor_mm), abs=0.5)
    keep_picture(opened.planes, "planes_crosshair")


def test_the_wheel_steps_slices_and_the_slider_moves_the_crosshair(room: Opened) -> None:
    opened = room()
    opened.reading.move_cursor((1.0, 1.0, 1.0))
    for name, axis in (("axial", 0), ("coronal", 1), ("sagittal", 2)):
        canvas, viewer, _ = opened.canvases()[name]
        zoom = viewer.scene.camera.zoom
        before = opened.reading.cursor_mm
        screen.scroll(canvas, 3)
        moved = np.subtract(opened.reading.cursor_mm, before)
        expected = np.zeros(3)
        expected[axis] = 6.0  # three slices of 2 mm
        assert moved == pytest.approx(expected), name
        assert viewer.scene.camera.zoom == zoom
        screen.scroll(canvas, 2, CONTROL)
        assert viewer.scene.camera.zoom == pytest.approx(zoom * 1.15**2, rel=1e-3)
    opened.viewer.dims.set_current_step(0, 10)
    assert opened.reading.cursor_mm[0] == pytest.approx(-43.0)
    screen.scroll(opened.canvases()["axial"][0], -200)
    assert opened.reading.cursor_mm[0] == pytest.approx(-63.0)  # the last slice, not beyond


def test_a_double_click_brings_the_point_to_the_middle_everywhere(room: Opened) -> None:
    opened = room()
    opened.reading.move_cursor((1.0, 1.0, 1.0))
    target = marked.spl(marked.LESION_1)
    canvas, viewer, _ = opened.canvases()["coronal"]
    screen.double_click(canvas, *screen.px(canvas, viewer, target))
    here = opened.reading.cursor_mm
    assert here == pytest.approx((target[0], 1.0, target[2]), abs=1.01)
    for name, (pane, seen, _) in opened.canvases().items():
        middle = (pane.height() / 2, pane.width() / 2)
        assert screen.px(pane, seen, here) == pytest.approx(middle, abs=1), name


def test_fusion_goes_from_pure_mr_over_both_to_pure_pet(room: Opened) -> None:
    opened = room()
    opened.viewer.layers[2].visible = False
    opened.reading.move_cursor(marked.spl(marked.LESION_2))
    slider = opened.planes.fusion.slider
    pictures = {}
    for share in (0, 50, 100):
        slider.setValue(share)
        assert opened.planes.fusion.share_words.text() == f"{share} %"
        pictures[share] = {n: screen.pixels(q) for n, (_, _, q) in opened.canvases().items()}
        keep_picture(opened.planes, f"fusion_{share}")
    for name, (canvas, viewer, _) in opened.canvases().items():
        row, column = (round(x) for x in screen.px(canvas, viewer, marked.spl(marked.LESION_2)))
        hot = {s: p[name][row - 2 : row + 3, column - 2 : column + 3] for s, p in pictures.items()}
        mr, both, pet = (pictures[s][name] for s in (0, 50, 100))
        assert np.ptp(mr, axis=-1).max() <= 2, name  # grey only
        inside = mr.max(axis=-1) > 60
        assert mr[inside].std() > 10  # texture
        assert both[inside].mean() < 200, name  # not white
        assert np.corrcoef(mr[inside].mean(axis=-1), both[inside].mean(axis=-1))[0, 1] > 0.3, name
        assert np.ptp(hot[0].mean(axis=(0, 1))) < 3
        assert np.ptp(hot[50].mean(axis=(0, 1))) > 60  # the lesion has a colour
        body = inside & (np.ptp(pet, axis=-1) < 100)
        assert screen.n_colours(pet[body][None]) <= 8, name  # SUV 1 everywhere: no MR texture


def test_inverted_grey_pet_is_black_on_white(room: Opened) -> None:
    opened = room()
    opened.viewer.layers[2].visible = False
    fusion = opened.planes.fusion
    fusion.colours.setCurrentText("inverted grey")
    fusion.colours.activated.emit(fusion.colours.currentIndex())
    fusion.slider.setValue(100)
    opened.viewer.layers[1].contrast_limits = (1.0, 8.0)
    opened.reading.move_cursor(marked.spl(marked.LESION_2))
    for name, (canvas, viewer, qt_viewer) in opened.canvases().items():
        picture = screen.pixels(qt_viewer)
        row, column = (round(x) for x in screen.px(canvas, viewer, marked.spl(marked.LESION_2)))
        assert picture[row, column].max() < 30, name
        place = marked.spl((0.0, -20.0, 0.0))
        place = tuple(
            opened.reading.cursor_mm[a] if a == viewer.dims.not_displayed[0] else place[a]
            for a in range(3)
        )
        row, column = (round(x) for x in screen.px(canvas, viewer, place))
        assert picture[row, column].min() > 240, name


def test_a_voxel_without_value_lets_the_series_below_through(room: Opened) -> None:
    opened = room()
    opened.viewer.layers[2].visible = False
    opened.planes.fusion.slider.setValue(50)
    opened.viewer.layers[1].contrast_limits = (0.0, 1.0)  # the body is opaque
    canvas, viewer, qt_viewer = opened.canvases()["coronal"]
    opened.reading.move_cursor((1.0, 1.0, 1.0))
    picture = screen.pixels(qt_viewer)
    row, column = (round(x) for x in screen.px(canvas, viewer, (-56.0, 0.0, 0.0)))
    assert np.ptp(picture[row, column - 3 : column + 4], axis=-1).max() <= 2  # MR grey: no PET
    assert picture[row, column].max() > 40
    row, column = (round(x) for x in screen.px(canvas, viewer, (-44.0, 0.0, 0.0)))
    assert np.ptp(picture[row, column]) > 40


def test_the_read_out_follows_the_mouse_with_the_numbers_of_the_core(room: Opened) -> None:
    opened = room()
    opened.reading.move_cursor((1.0, 1.0, 1.0))
    for name, lesion, suv in (("coronal", 1, 8.0), ("axial", 2, 12.0)):
        centre = marked.spl((marked.LESION_1, marked.LESION_2)[lesion - 1])
        opened.reading.move_cursor(centre)
        canvas, viewer, _ = opened.canvases()[name]
        screen.hover(canvas, *screen.px(canvas, viewer, centre))
        text = opened.planes.read_out.text()
        word = ("low", "high")[lesion - 1]
        assert f"Region: {lesion} lesion-{lesion}, {word}" in text
        assert f"SUVbw: {suv:.3g}".replace("8", "8.00").replace("12", "12.0") + " g/mL" in text
        assert opened.planes.read_out.title.text() == "Values under the mouse"
        screen.wait_until(lambda word=word: word in str(opened.viewer.status))
        assert "mm" in str(opened.viewer.status)
    canvas, viewer, _ = opened.canvases()["coronal"]
    screen.hover(canvas, *screen.px(canvas, viewer, (-58.0, 0.0, 0.0)))
    assert "no value (outside the scan)" in opened.planes.read_out.text()


def test_shift_and_drag_changes_the_window_in_every_plane(room: Opened) -> None:
    opened = room()
    suv = opened.viewer.layers[1]
    assert opened.planes.windows.layer is suv
    for name, (canvas, viewer, _) in opened.canvases().items():
        suv.contrast_limits = (0.0, 10.0)
        center = tuple(viewer.scene.camera.center)
        middle = (canvas.height() / 2, canvas.width() / 2)
        screen.drag(canvas, middle, (middle[0] - canvas.height() / 4, middle[1]), SHIFT)
        assert tuple(suv.contrast_limits) == pytest.approx((2.5, 12.5), abs=0.3), name
        assert tuple(viewer.scene.camera.center) == center  # the plane was not moved
        assert opened.planes.windows.low.value() == pytest.approx(suv.contrast_limits[0], abs=0.01)
    cursor = opened.reading.cursor_mm
    canvas, viewer, _ = opened.canvases()["coronal"]
    screen.drag(canvas, (60, 100), (80, 130))
    assert opened.reading.cursor_mm == cursor  # a plain drag moves the plane, not the crosshair
    assert tuple(viewer.scene.camera.center) != center


def test_painted_labels_appear_in_all_planes(room: Opened) -> None:
    opened = room()
    opened.viewer.layers[0].visible = opened.viewer.layers[1].visible = False
    labels = opened.viewer.layers[2]
    opened.reading.move_cursor((1.0, 1.0, 1.0))
    labels.selected_label, labels.brush_size, labels.mode = 2, 12, "paint"
    labels.n_edit_dimensions = 3
    canvas, viewer, _ = opened.canvases()["axial"]
    screen.click(canvas, *screen.px(canvas, viewer, (1.0, 1.0, 1.0)))
    assert opened.reading.cursor_mm == (1.0, 1.0, 1.0)  # a tool is in use: no crosshair
    assert labels.data[32, 32, 32] == 2
    screen.settle(0.3)
    for name, (pane, seen, qt_viewer) in opened.canvases().items():
        picture = screen.pixels(qt_viewer)
        blue = (picture[..., 2] > 100) & (picture[..., 0] < 60)
        row, column = screen.centroid(blue[:, :])
        assert (row, column) == pytest.approx(screen.px(pane, seen, (1, 1, 1)), abs=12), name
    labels.mode = "pan_zoom"

    def erase(case: Case) -> Case:
        empty = np.zeros_like(case.lesions.labels)
        return replace(case, lesions=LesionSet(empty, case.lesions.grid, case.lesions.regions))

    opened.reading.case = erase(opened.reading.case)
    opened.reading.regions_changed.emit(frozenset({1, 2}))
    screen.settle()
    for name, (_, _, qt_viewer) in opened.canvases().items():
        assert screen.pixels(qt_viewer).max() == 0, name


def test_nothing_is_cut_off_in_a_small_window(room: Opened) -> None:
    opened = room()
    window = opened.planes.window()
    window.resize(1280, 800)
    screen.settle(0.5)
    planes = opened.planes
    for marks in (planes.main.marks, planes.coronal.marks, planes.sagittal.marks, planes.mip.marks):
        for label in (*marks.letters.values(), marks.words, marks.bar_words):
            if label.text():
                assert marks.rect().contains(label.geometry()), (label.objectName(), label.text())
                assert label.width() >= label.sizeHint().width()
    assert planes.mapTo(window, planes.rect().bottomRight()).y() <= window.height()
    assert planes.coronal.canvas.height() >= 100
    keep_picture(opened.planes, "planes_1280x800")


def test_another_case_of_another_size_can_be_painted_on(room: Opened) -> None:
    # Layers that were removed and made anew in one go ended the program at the next stroke.
    opened = room()
    opened.reading.show(marked.case(marked.straight_grid(48)))
    labels = opened.viewer.layers[2]
    assert labels.data.shape == (48, 48, 48)
    assert tuple(labels.scale) == pytest.approx((128 / 48,) * 3)
    labels.selected_label, labels.brush_size, labels.mode = 2, 4, "paint"
    canvas, viewer, _ = opened.canvases()["axial"]
    before = int((labels.data == 2).sum())
    screen.click(canvas, *screen.px(canvas, viewer, (1.0, 1.0, 1.0)))
    assert int((labels.data == 2).sum()) > before
    labels.mode = "pan_zoom"


def test_a_number_above_255_is_drawn_in_its_colour(room: Opened) -> None:
    opened = room()
    case = opened.reading.case
    lesions = case.lesions
    first, second = lesions.regions
    far = replace(second, id=300)
    labels = np.where(lesions.labels == 2, 300, lesions.labels)
    opened.viewer.layers[0].visible = opened.viewer.layers[1].visible = False
    opened.reading.move_cursor(marked.spl(marked.LESION_2))
    before = {name: screen.pixels(q) for name, (_, _, q) in opened.canvases().items()}
    opened.reading.case = replace(case, lesions=LesionSet(labels, lesions.grid, (first, far)))
    opened.reading.regions_changed.emit(frozenset({300}))
    screen.settle(0.2)
    assert opened.viewer.layers[2].data.dtype == np.uint16
    for name, (_, _, qt_viewer) in opened.canvases().items():
        assert before[name].max() > 100
        # The tier is the same, and so is the picture.
        assert np.array_equal(screen.pixels(qt_viewer), before[name]), name
