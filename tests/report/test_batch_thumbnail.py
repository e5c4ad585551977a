from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from eprimg.model.case import Case
from eprimg.model.study import Study
from eprimg.report.batch_thumbnail import THUMBNAIL_SIZE, make_thumbnail
from tests.tiny_case import case as tiny_case


def _picture(content: bytes | None) -> Image.Image:
    assert content is not None
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "WEBP"
    return picture.convert("RGB")


def test_a_thumbnail_is_small_in_pixels_and_bytes(case: Case) -> None:
    content = make_thumbnail(case)
    picture = _picture(content)
    assert content is not None
    assert 300 < len(content) < 8_000
    # the field of view fills the box in one direction, up to rounding
    fills = [n / most for n, most in zip(picture.size, THUMBNAIL_SIZE, strict=True)]
    assert max(fills) == 1.0
    assert min(fills) > 0.3


def _colourful(picture: Image.Image) -> int:
    """Number of pixels that are clearly not grey."""
    pixels = np.asarray(picture, dtype=int)
    return int(((pixels.max(axis=-1) - pixels.min(axis=-1)) > 60).sum())


def test_pet_lies_in_colours_over_the_grey_series(case: Case) -> None:
    fused = _picture(make_thumbnail(replace(case, lesions=None)))
    plain = _picture(make_thumbnail(replace(case, lesions=None, maps={}, registered={})))
    assert _colourful(plain) == 0
    assert _colourful(fused) > 100


def test_lesions_are_outlined(case: Case) -> None:
    bare = replace(case, maps={}, registered={})
    assert _colourful(_picture(make_thumbnail(bare))) > 20


def test_pet_alone_is_a_projection_in_inverted_grey(case: Case) -> None:
    only = tuple(
        replace(t, series=tuple(s for s in t.series if s.role == "pet"))
        for t in case.study.timepoints
        if any(s.role == "pet" for s in t.series)
    )
    study = Study(case.study.pseudonym, only)
    maps = {k: m for k, m in case.maps.items() if k in ("suvbw", "pid_per_kg")}
    picture = _picture(make_thumbnail(Case(study, maps=maps)))
    pixels = np.asarray(picture.convert("L"))
    assert pixels.max() > 230  # no uptake is white
    assert pixels.min() < 60  # the hottest lesion is black
    assert _colourful(picture) == 0


def test_a_case_without_a_volume_has_no_thumbnail() -> None:
    assert make_thumbnail(Case(Study("P-1", ()))) is None


def test_a_case_of_a_few_voxels_has_one() -> None:
    assert make_thumbnail(tiny_case()) is not None
