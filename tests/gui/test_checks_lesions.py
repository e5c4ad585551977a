"""Acceptance checks 11 to 16: lesion table, edits, cut-offs, colours, in the whole window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from eprimg import pipeline
from eprimg.io.write_tables import lesions_csv
from tests.gui.hands import CTRL, SHIFT, inside
from tests.gui.measured_room import PLANES, MeasuredRoom
from tests.plugins import screen

SCHEME = "example-pid-per-kg-peak"


@pytest.fixture
def shown(as_opened: Callable[..., MeasuredRoom]) -> MeasuredRoom:
    """The room around the measured phantom, as if it were just opened."""
    return as_opened()


def fresh(room: MeasuredRoom) -> str:
    """``lesions.csv`` when every region of the edited case is measured anew by the pipeline."""
    case = room.reading.case
    return lesions_csv(
        pipeline.run(
            case.study, room.reading.config, case=case, start="measure", schemes=case.schemes
        )
    )


def numbers(room: MeasuredRoom) -> list[dict[str, str]]:
    """What the table shows, in the order of the ids."""
    return sorted(room.rows(), key=lambda row: int(row["id"]))


def stroke(room: MeasuredRoom, region_id: int) -> None:
    """Paint from the middle of a region 12 mm to the back and 8 mm to the left."""
    s, p, ell = inside(room.reading.case, region_id)
    screen.drag(room.canvas, room.place((s, p, ell)), room.place((s, p + 12.0, ell + 8.0)))
    screen.settle(0.7)


def label_layer(room: MeasuredRoom) -> Any:
    """The label layer of the main canvas."""
    return next(x for x in room.viewer.layers if type(x).__name__ == "Labels")


def test_check_11_a_click_on_a_row_goes_to_the_lesion(shown: MeasuredRoom) -> None:
    room = shown
    case = room.reading.case
    for region_id in (5, 1, 9):
        room.click_row(region_id)
        s, p, ell = room.reading.cursor_mm
        at = np.rint(case.lesions.grid.lps_mm_to_index(np.array([[ell, p, s]]))[0]).astype(int)
        assert case.lesions.labels[tuple(at)] == region_id  # inside it, also one with a hole
        for name in PLANES:
            canvas, viewer, _ = room.panes()[name]
            cut = viewer.dims.not_displayed[0]
            step = viewer.dims.range[cut][2]
            assert viewer.dims.point[cut] == pytest.approx((s, p, ell)[cut], abs=step / 2 + 1e-6)
            row, column = screen.px(canvas, viewer, (s, p, ell))
            assert 0 <= row < canvas.height()
            assert 0 <= column < canvas.width()
        assert room.reading.selected == region_id
        assert label_layer(room).selected_label == region_id
        assert room.reads(next(r.name for r in case.lesions.regions if r.id == region_id))


def test_check_12_only_the_edited_lesion_is_measured_again(
    shown: MeasuredRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shown
    asked: list[Any] = []
    run = pipeline.run

    def watched(*arguments: Any, **options: Any) -> Any:
        asked.append((options.get("start"), options.get("ids")))
        return run(*arguments, **options)

    monkeypatch.setattr(pipeline, "run", watched)
    before = numbers(room)
    room.click_row(5)
    room.press("brush")
    stroke(room, 5)
    changed = [b["id"] for a, b in zip(before, numbers(room), strict=True) if a != b]
    assert changed == ["5"]
    measured = [set(ids) for start, ids in asked if start == "measure" and ids is not None]
    assert measured == [{5}]


def test_check_13_the_wheel_steps_every_plane_by_one_slice(shown: MeasuredRoom) -> None:
    room = shown
    for name in PLANES:
        canvas, viewer, _ = room.panes()[name]
        cut = viewer.dims.not_displayed[0]
        before, picture = float(viewer.dims.point[cut]), room.picture(name)
        screen.scroll(canvas, 2)
        step = viewer.dims.range[cut][2]
        assert abs(viewer.dims.point[cut] - before) == pytest.approx(2 * step)
        assert room.reading.cursor_mm[cut] == pytest.approx(viewer.dims.point[cut], abs=1e-6)
        assert (room.picture(name) != picture).any(axis=-1).mean() > 0.02, name
        (words,) = canvas.findChildren(QLabel, "slice_position")
        assert f"{abs(viewer.dims.point[cut]):.1f} mm" in words.text()


def test_check_14_paint_undo_redo_equal_a_full_run_in_three_planes(shown: MeasuredRoom) -> None:
    room = shown
    start, outline = numbers(room), np.array(room.reading.case.lesions.labels)
    room.click_row(5)
    room.press("brush")
    stroke(room, 5)
    painted = numbers(room)
    assert painted != start
    after = np.array(room.reading.case.lesions.labels)
    assert set(np.unique(after[after != outline])) == {5}
    assert lesions_csv(room.reading.case) == fresh(room)
    _planes_agree(room)
    room.look("check_14_painted")
    room.key(Qt.Key.Key_Z, CTRL)
    screen.settle(0.5)
    assert numbers(room) == start
    assert np.array_equal(room.reading.case.lesions.labels, outline)
    assert lesions_csv(room.reading.case) == fresh(room)
    _planes_agree(room)
    room.key(Qt.Key.Key_Z, CTRL | SHIFT)
    screen.settle(0.5)
    assert numbers(room) == painted
    assert np.array_equal(room.reading.case.lesions.labels, after)
    assert lesions_csv(room.reading.case) == fresh(room)
    _planes_agree(room)


def _planes_agree(room: MeasuredRoom) -> None:
    """Every plane draws the voxels of lesion 5 in the colour of the lesion, and nothing else."""
    shown = label_layer(room)
    for name in PLANES:
        viewer = room.panes()[name][1]
        (labels,) = [x for x in viewer.layers if type(x).__name__ == "Labels"]
        assert np.array_equal(np.asarray(labels.data), np.asarray(shown.data)), name
        assert {k: tuple(v) for k, v in labels.colormap.color_dict.items()} == {
            k: tuple(v) for k, v in shown.colormap.color_dict.items()
        }


def test_check_15_a_cut_off_recolours_and_counts_and_moves_no_voxel(shown: MeasuredRoom) -> None:
    room = shown
    room.open_step("tiers")
    room.click_row(4)
    outline = np.array(room.reading.case.lesions.labels)
    colours = _colours(room)
    tier = numbers(room)[3]["tier by %ID/kg"]
    assert "moderate" in tier
    picture = room.picture("axial")
    room.type(f"edge_{SCHEME}_1", "6")  # "high from": lesion-4 peaks at 7 %ID/kg
    screen.settle(0.4)
    assert "high" in numbers(room)[3]["tier by %ID/kg"]
    changed = {k for k, v in _colours(room).items() if v != colours[k]}
    assert 4 in changed
    assert (room.picture("axial") != picture).any()
    assert np.array_equal(room.reading.case.lesions.labels, outline)
    counts = [x.accessibleName() for x in room.window.findChildren(QLabel) if x.isVisible()]
    assert "high 4" in counts
    room.look("check_15_cut_off")
    # A cut-off below the one before it is refused beside the field, and nothing changes.
    room.type(f"edge_{SCHEME}_1", "2")
    assert room.reads("must be higher than cut-off 1")
    assert "high" in numbers(room)[3]["tier by %ID/kg"]
    room.press("undo")
    screen.settle(0.4)
    assert numbers(room)[3]["tier by %ID/kg"] == tier
    assert _colours(room) == colours


def _colours(room: MeasuredRoom) -> dict[Any, tuple[float, ...]]:
    found = label_layer(room).colormap.color_dict
    return {k: tuple(round(float(x), 3) for x in v) for k, v in found.items()}


# Machado, Oliveira and Fernandes, A physiologically-based model for simulation of color vision
# deficiency, IEEE TVCG 15 (2009) 1291: deuteranomaly of severity 1.0, in linear sRGB.
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)


def _seen(colour: tuple[float, ...]) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as a deuteranope sees it."""
    rgb = np.asarray(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(DEUTERANOPIA @ linear, 0, 1)
    xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ) @ linear / np.array([0.9505, 1.0, 1.089])  # fmt: skip
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_check_16_tiers_differ_for_a_colour_blind_reader_and_have_word_and_symbol(
    shown: MeasuredRoom,
) -> None:
    room = shown
    rows = {row["id"]: row["tier by %ID/kg"] for row in room.rows()}
    colours = {}
    for region in room.reading.case.lesions.lesions:
        shows = rows[str(region.id)]
        word = next(t.label for t in region.tiers if t.scheme == SCHEME)
        symbol = shows.split()[0]
        assert word in shows
        assert not symbol.isalnum()
        colours[symbol, word] = _colours(room)[region.id]
    assert len(colours) == len({s for s, _ in colours}) == len({w for _, w in colours})
    names = list(colours)
    for n, one in enumerate(names):
        for other in names[n + 1 :]:
            far = np.linalg.norm(_seen(colours[one]) - _seen(colours[other]))
            assert far > 15, (one, other, far)  # 2.3 is just noticeable
    assert {w for _, w in colours} >= {"low", "moderate", "high", "indeterminate"}
