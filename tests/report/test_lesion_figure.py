from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, Region, RegionRole, SharedVoxels
from eprimg.report.layers import lesion_layers
from eprimg.report.lesion_figure import lesion_places, lesion_planes_picture


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
