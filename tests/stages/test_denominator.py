from __future__ import annotations

import math

import pytest

from eprimg.config import MeasureConfig
from eprimg.model.lesions import Measurement, Region, RegionRole
from eprimg.stages.denominator import judge_denominator

AORTA = Region(3, "aorta", RegionRole.REFERENCE, anatomy="blood")


def judge(mean=2.0, n=100, share=None, volume_ml=None, voxel_ml=math.nan):
    numbers = {3: []}
    for key, statistic, source, value in (
        ("coverage", "share", "pet", share),
        ("volume", "volume", "reference", volume_ml),
    ):
        if value is not None:
            numbers[3].append(Measurement(key, statistic, source, value, math.nan, "n", n, "g"))
    below = None
    if mean is not None:
        below = Measurement("suvbw", "mean", "pet", mean, 0.1, "spread", n, "native pet")
    return judge_denominator(numbers, {}, AORTA, below, "pet", MeasureConfig(), voxel_ml=voxel_ml)


def test_a_large_whole_region_needs_no_word():
    assert judge(share=1.0, voxel_ml=0.05) == ("", "")  # 100 voxels of 0.05 mL


@pytest.mark.parametrize("mean", [None, math.nan, 0.0, -1.0])
def test_nothing_to_divide_by(mean):
    assert judge(mean=mean) == ("aorta was not measured", "")


def test_less_than_half_in_view_is_refused():
    assert judge(share=0.5)[0] == ""
    refused, _ = judge(share=0.49)
    assert "only 49 % of the aorta lies in the field of view of pet" in refused


@pytest.mark.parametrize(
    ("n", "voxel_ml", "refused"),
    [(20, 0.05, False), (19, 0.05, True), (50, 0.0101, False), (50, 0.0099, True)],
)
def test_fewer_than_twenty_voxels_or_half_a_millilitre_is_refused(n, voxel_ml, refused):
    assert bool(judge(n=n, voxel_ml=voxel_ml)[0]) is refused


def test_volume_in_view_stands_in_for_the_voxels():
    # 2 mL of which 70 % are seen: 1.4 mL, below the 1.57 mL cylinder of PERCIST
    assert judge(share=0.7, volume_ml=2.0) == (
        "",
        "only 70 % of the aorta lies in the field of view of pet; the aorta is small (1.4 mL)",
    )
