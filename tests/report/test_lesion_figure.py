from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, Region, RegionRole, SharedVoxels
from eprimg.report.layers import lesion_layers
from eprimg.report.lesion_figure import lesion_lettering, lesion_places, lesion_planes_picture


def test_lesions_are_found_where_they_were_painted(case: Case) -> None:
    assert case.lesions is not None
    places = lesion_places(case.lesions)
    assert sorted(places) == [1, 2, 3]
    # Centres of the painted balls (conftest), within half a voxel diagonal of 7.5 x 4.6 x 4.6 mm.
    np.testing.assert_allclose(places[1].centre_mm, (-70, -10, 10), atol=2.5)
    np.testing.assert_allclose(places[2].centre_mm, (60, 5, -20), atol=2.5)
    for ident, place in places.items():
        assert int(place.mask.sum()) == int((case.lesions.labels == ident).sum())


def test_a_lesion_without_a_voxel_has_no_place(case: Case) -> None:
    assert case.lesions is not None
    regions = (*case.lesions.regions, Region(99, "ghost", RegionRole.LESION))
    assert 99 not in lesion_places(case.lesions.with_regions(regions))


def test_a_lesion_at_the_corner_keeps_its_outline_closed(case: Case) -> None:
    assert case.lesions is not None
    labels = np.zeros(case.lesions.grid.shape, np.int16)
    labels[:3, :3, :3] = 1
    edge = LesionSet(labels, case.lesions.grid, (Region(1, "edge", RegionRole.LESION),))
    place = lesion_places(edge)[1]
    assert place.mask.shape == (5, 5, 5)
    assert place.mask[0].sum() == 0
    np.testing.assert_allclose(place.centre_mm, edge.grid.index_to_lps_mm((1, 1, 1)))


def test_a_lesion_within_another_is_drawn_whole(case: Case) -> None:
    assert case.lesions is not None
    labels = np.zeros(case.lesions.grid.shape, dtype=np.int32)
    labels[1:5, 1:5, 1:5] = 1
    regions = (Region(1, "outer", RegionRole.LESION), Region(2, "inner", RegionRole.LESION))
    shared = (SharedVoxels(2, 1, (2, 2, 3), np.ones((2, 2, 2), dtype=bool)),)
    places = lesion_places(LesionSet(labels, case.lesions.grid, regions, shared=shared))
    assert places[1].mask.sum() == 64
    assert places[2].mask.sum() == 8
    np.testing.assert_allclose(
        places[2].centre_mm, case.lesions.grid.index_to_lps_mm((2.5, 2.5, 3.5))
    )


def test_the_picture_has_one_row_per_layer(case: Case) -> None:
    assert case.lesions is not None
    layers, _ = lesion_layers(case, Config())
    place = lesion_places(case.lesions)[2]
    sizes = []
    for chosen in (layers[:1], layers[:2]):
        picture = lesion_planes_picture(place, chosen, name="lesion-2")
        content = base64.b64decode(picture.uri.partition(",")[2])
        sizes.append(Image.open(io.BytesIO(content)).size)
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] > sizes[0][1] + 150
    assert "lesion-2" in picture.alt
    assert "1/s" in picture.alt


def test_shared_lettering_gives_the_same_picture_as_lettering_of_its_own(case: Case) -> None:
    assert case.lesions is not None
    layers, _ = lesion_layers(case, Config())
    layers = layers[:2]
    place = lesion_places(case.lesions)[2]
    lettering = lesion_lettering(layers)
    shared = lesion_planes_picture(place, layers, name="lesion-2", lettering=lettering)
    # Laid over another lesion in between, it is not changed.
    lesion_planes_picture(lesion_places(case.lesions)[1], layers, name="x", lettering=lettering)
    again = lesion_planes_picture(place, layers, name="lesion-2", lettering=lettering)
    assert shared == again == lesion_planes_picture(place, layers, name="lesion-2")


def test_the_outline_is_drawn_around_the_middle_of_every_panel(case: Case) -> None:
    assert case.lesions is not None
    layers, _ = lesion_layers(case, Config())
    layers = (layers[0], layers[0])
    place = lesion_places(case.lesions)[1]
    bare = replace(place, mask=np.zeros_like(place.mask))
    content = [
        base64.b64decode(lesion_planes_picture(p, layers, name="x").uri.partition(",")[2])
        for p in (place, bare)
    ]
    seen, empty = (np.asarray(Image.open(io.BytesIO(c))).astype(int) for c in content)
    rows, columns = np.nonzero(np.abs(seen - empty).max(axis=-1) > 30)
    # Panels of 293 x 227 pixels for 160.2 x 124.2 mm from (39, 69) on, 300 and 234 apart; the ball
    # of 16 mm lies in their middle, to a voxel of 7.5 x 4.6 x 4.6 mm.
    for row in range(2):
        for column in range(3):
            top, left = 39 + 234 * row, 69 + 300 * column
            here = (rows >= top) & (rows < top + 227) & (columns >= left) & (columns < left + 293)
            assert np.ptp(rows[here]) / 227 * 124.2 == pytest.approx(32, abs=9)
            assert (rows[here].min() + rows[here].max()) / 2 - top == pytest.approx(113.5, abs=12)
            assert np.ptp(columns[here]) / 293 * 160.2 == pytest.approx(32, abs=9)
            middle = (columns[here].min() + columns[here].max()) / 2 - left
            assert middle == pytest.approx(146.5, abs=12)
            rows, columns = rows[~here], columns[~here]
    assert rows.size == 0  # and nowhere else
