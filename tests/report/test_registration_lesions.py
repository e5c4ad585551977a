from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eprimg.model.case import Case
from eprimg.model.transform import Transform
from eprimg.report import registration_lesions
from eprimg.report.lesion_figure import lesion_places
from eprimg.report.picture import Picture
from eprimg.report.registration_lesions import lesion_checks


def pixels(picture: Picture) -> np.ndarray:
    kind, _, text = picture.uri.partition(";base64,")
    assert kind == "data:image/jpeg"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(float)


@pytest.fixture(scope="module")
def drawn(case: Case) -> dict:
    assert case.lesions is not None
    return lesion_checks(case, case.registrations[0], lesion_places(case.lesions))


def test_every_lesion_has_four_pictures_of_one_size(case: Case, drawn: dict) -> None:
    assert set(drawn) == {r.id for r in case.lesions.lesions}
    for check in drawn.values():
        made = [check.fixed, check.moved, check.tiles, check.edges]
        assert len({pixels(p).shape[:2] for p in made}) == 1
        # Three square planes with two gaps, doubled.
        tall, wide = pixels(check.fixed).shape[:2]
        assert wide == 3 * tall + 2 * 2 * 4


def test_tiles_are_one_series_or_the_other(drawn: dict) -> None:
    check = drawn[1]
    first, second, tiles = (pixels(p) for p in (check.fixed, check.moved, check.tiles))
    # Within the noise of JPEG and of tile borders, every pixel is that of one of the two.
    least = np.minimum(abs(tiles - first), abs(tiles - second))
    assert np.quantile(least, 0.9) < 8
    assert abs(tiles - first).max() > 40 or np.allclose(first, second, atol=20)


def test_edges_are_coloured(drawn: dict) -> None:
    edges = pixels(drawn[1].edges)
    assert edges.ndim == 3
    orange = (edges[..., 0] - edges[..., 2]) > 100
    assert 0.001 < orange.mean() < 0.3


def test_an_alignment_that_is_off_is_seen(case: Case, drawn: dict) -> None:
    registration = case.registrations[0]
    matrix = np.array(registration.transform.matrix)
    matrix[0, 3] += 25.0
    ends = (registration.transform.from_frame, registration.transform.to_frame)
    wrong = replace(registration, transform=Transform(matrix, *ends))
    shown = lesion_checks(case, wrong, lesion_places(case.lesions))
    assert abs(pixels(shown[1].fixed) - pixels(drawn[1].fixed)).max() == 0
    assert abs(pixels(shown[1].moved) - pixels(drawn[1].moved)).mean() > 3


def test_only_the_first_lesions_are_drawn(case: Case, monkeypatch) -> None:
    monkeypatch.setattr(registration_lesions, "MOST_LESIONS", 1)
    assert len(lesion_checks(case, case.registrations[0], lesion_places(case.lesions))) == 1


def test_series_that_do_not_fit_are_not_drawn(case: Case) -> None:
    first = case.registrations[0]
    places = lesion_places(case.lesions)
    assert lesion_checks(case, replace(first, moving="ct"), places) == {}
    astray = replace(first, transform=Transform.identity("7.7", "8.8"))
    assert lesion_checks(case, astray, places) == {}
