"""What buttons and keys do, without the buttons."""

from __future__ import annotations

import numpy as np
from napari.utils.notifications import notification_manager

from eprimg.model.lesions import LesionSet, Region, RegionRole
from napari_eprimg.lesions.label_edits import layer_grid
from napari_eprimg.lesions.lesion_tools import inside_point, lesion_tools_of
from tests.tiny_case import grid


def test_the_point_of_a_ring_lies_in_the_ring() -> None:
    labels = np.zeros(grid().shape, np.int32)
    labels[1, 0:3, 1:4] = 4
    labels[1, 1, 2] = 0  # the centroid itself is not part of the region
    lesions = LesionSet(labels, grid(), (Region(4, "ring", RegionRole.LESION),))
    s, p, ell = inside_point(lesions, 4)
    index = np.rint(grid().lps_mm_to_index((ell, p, s))).astype(int)
    assert labels[tuple(index)] == 4
    assert inside_point(lesions, 9) is None


def test_one_set_of_tools_for_a_viewer_and_empty_viewers_are_fine(make_napari_viewer) -> None:
    viewer, other = make_napari_viewer(), make_napari_viewer()
    tools = lesion_tools_of(viewer)
    assert lesion_tools_of(viewer) is tools
    assert lesion_tools_of(other) is not tools
    assert tools.layer is None
    assert tools.ids() == ()
    tools.step(1)
    tools.go_to(3)
    tools.flush()
    tools.undo()
    assert tools.reading.selected == 0
    said = len(notification_manager.records)
    tools.use("paint")
    tools.threshold_at_cursor(41, 15)
    told = [r.message for r in notification_manager.records[said:]]
    assert len(told) == 2
    assert "make a lesion first" in told[0]
    assert "Click on the lesion first" in told[1]


def test_grid_of_a_layer(make_napari_viewer) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_labels(
        np.zeros((2, 3, 4), np.uint16), scale=(5.0, 2.0, 1.5), translate=(-1.0, 0.0, 7.0)
    )
    assert layer_grid(layer) == ((2, 3, 4), (5.0, 2.0, 1.5), (-1.0, 0.0, 7.0))


def test_programs_that_paint_are_taken_over_too(make_napari_viewer, measured_study) -> None:
    from napari_eprimg.reading.reading import reading_of

    viewer = make_napari_viewer()
    reading = reading_of(viewer)
    reading.adopt(measured_study.folder, measured_study.plan, measured_study.case)
    tools = lesion_tools_of(viewer)
    before = int((np.asarray(reading.case.lesions.labels) == 5).sum())
    tools.go_to(5)
    viewer.dims.set_point(0, reading.cursor_mm[0])
    at = np.argwhere(np.asarray(tools.layer.data) == 5)[0]
    tools.layer.brush_size = 9
    tools.layer.paint(at, 5)
    assert tools.waiting
    tools.flush()
    assert not tools.waiting
    assert int((np.asarray(reading.case.lesions.labels) == 5).sum()) > before
    tools.layer.undo()  # napari's own way leads to the one history
    assert int((np.asarray(reading.case.lesions.labels) == 5).sum()) == before
