"""The adapter of TotalSegmentator against a stand-in with its command line."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.segmenters.conformance import check_segmenter, conformance_volume
from eprimg.engines.segmenters.totalsegmentator import TotalSegmentatorSegmenter
from eprimg.errors import EprimgError
from eprimg.model.lesions import RegionRole
from tests.engines.segmenters.model_setups import net, settings


def test_organs_become_reference_regions(tmp_path):
    weights = net(tmp_path / "w" / "net.npz").parent
    found = check_segmenter(
        TotalSegmentatorSegmenter(settings(weights, "totalsegmentator"))
    ).regions
    assert [(r.name, r.anatomy, r.role) for r in found.regions] == [
        ("aorta", "blood", RegionRole.REFERENCE),
        ("colon", "", RegionRole.REFERENCE),
        ("liver", "liver", RegionRole.REFERENCE),
    ]  # the spleen was empty
    bright = conformance_volume().values > 4
    for number, k in ((3, 4), (1, 5), (2, 6)):  # the stand-in gives organs a slice each, in order
        np.testing.assert_array_equal(found.labels[k] == number, bright[k])


def test_no_mask_at_all_is_refused(tmp_path):
    weights = net(tmp_path / "w" / "net.npz").parent
    made = TotalSegmentatorSegmenter(
        settings(weights, "totalsegmentator", options=("misbehave=nothing",))
    )
    with pytest.raises(EprimgError, match="E_MODEL_OUTPUT"):
        made.segment([conformance_volume()])


@pytest.mark.parametrize(
    ("name", "organ"),
    [
        ("kidney_left", "kidney"),
        ("vertebrae_L3", "marrow"),
        ("vertebrae", "marrow"),
        ("gluteus_maximus_right", "muscle"),
        ("autochthon_left", "muscle"),
        ("liver_vessels", ""),
    ],
)
def test_names_of_structures(name, organ):
    assert TotalSegmentatorSegmenter(settings("w", "x")).anatomy(name) == organ
