"""Stage of the fat-water fit: maps, findings, refusals.

Samples are made here from the signal equation with the fat spectrum of Hamilton et al. 2011.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from eprimg.config import FatWaterConfig
from eprimg.errors import ConfigError, GeometryError, InputError
from eprimg.model.grid import Grid
from eprimg.stages.quantify_fat_water import quantify_fat_water
from tests.stages.conftest import grid

TIMES_S = tuple(1e-3 * (1.0 + 0.9 * np.arange(12)))
SHAPE = (2, 12, 16)
PPM = np.array([0.6, -0.5, -1.95, -2.6, -3.4, -3.8])
SHARE = np.array([0.047, 0.039, 0.006, 0.120, 0.700, 0.088])
SETTINGS = FatWaterConfig()


def signal(fat, sign=1):
    t = np.asarray(TIMES_S)
    lipid = (SHARE[:, None] * np.exp(2j * np.pi * 42.577478518 * 3 * PPM[:, None] * t)).sum(0)
    field = np.broadcast_to(np.linspace(-60, 60, SHAPE[2]), SHAPE)[..., None]
    rng = np.random.default_rng(1)
    clean = (1 - fat[..., None] + fat[..., None] * lipid) * np.exp((2j * np.pi * field - 50) * t)
    noise = rng.standard_normal((2, *clean.shape)) / 60
    whole = 1000 * (clean + noise[0] + 1j * noise[1])
    return (whole if sign > 0 else whole.conj()).astype(np.complex64)


def fatty():
    fat = np.zeros(SHAPE)
    fat[:, :, 6:11] = 0.25
    fat[:, 9:] = 0.9
    return fat


class Echoes(NamedTuple):
    """What a reader of complex series gives."""

    data: np.ndarray
    grid: Grid
    echo_times_s: tuple[float, ...]


def stack(data):
    return Echoes(data, grid("1.2.3", shape=SHAPE), TIMES_S)


def run(data, settings=SETTINGS, field_t=3.0):
    return quantify_fat_water(
        stack(data), source="mr_pre", phase="pre", field_strength_t=field_t, settings=settings
    )


def refused(call, kind=InputError):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize("sign", [1, -1])
def test_maps_hold_the_truth_whatever_the_sign_of_the_phase(sign):
    fat = fatty()
    made = run(signal(fat, sign))
    maps = made.value
    assert list(maps) == ["r2star_fatwater_pre", "pdff_pre", "field_map_pre"]
    assert [m.quantity.unit.text for m in maps.values()] == ["1/s", "%", "Hz"]
    for share in (0.0, 0.25, 0.9):
        there = fat == share
        # 60 voxels or more at SNR 60: the mean is uncertain by a few tenths.
        assert np.nanmean(maps["pdff_pre"].values[there]) == pytest.approx(100 * share, abs=0.6)
        assert np.nanmean(maps["r2star_fatwater_pre"].values[there]) == pytest.approx(50, abs=2.5)
    field = np.broadcast_to(np.linspace(-60, 60, SHAPE[2]), SHAPE)
    assert np.nanmax(np.abs(maps["field_map_pre"].values - field)) < 15.0
    for one in maps.values():
        assert one.valid.mean() > 0.99
        assert np.all(np.isfinite(one.values) == one.valid)
        assert np.all(np.isfinite(one.standard_error) == one.valid)
        assert f"{sign:+d}, found from the data" in one.method
        assert "doi:10.1002/nbm.1622" in one.method
        assert one.facts["phase_sign"] == sign
        assert one.sources == ("mr_pre",)


def test_water_alone_needs_the_sign_to_be_entered():
    data = signal(np.zeros(SHAPE))
    assert refused(lambda: run(data)) == "E_PHASE_SIGN"
    made = run(data, replace(SETTINGS, phase_sign="1"))
    assert np.nanmean(made.value["pdff_pre"].values) == pytest.approx(0.0, abs=0.3)
    assert "entered" in made.value["pdff_pre"].method
    assert not [f for f in made.findings if f.code == "W_PHASE_SIGN"]


def test_a_wrong_entered_sign_is_a_warning():
    made = run(signal(fatty()), replace(SETTINGS, phase_sign="-1"))
    assert "W_PHASE_SIGN" in {f.code for f in made.findings}


def test_voxels_without_a_value_are_counted():
    data = signal(fatty())
    data[:, :3] = 0.0
    made = run(data)
    said = next(f for f in made.findings if f.code == "I_FAT_WATER_FAILED")
    assert "96: every sample is zero" in said.text  # 2 slices x 3 rows x 16 columns
    assert not made.value["pdff_pre"].valid[:, :3].any()


def test_unsure_voxels_are_a_warning():
    # Four lone echoes' worth of signal: decay of 700 1/s at a low signal, each voxel alone.
    t = np.asarray(TIMES_S)
    rng = np.random.default_rng(2)
    clean = np.exp(-(700 - 50) * t) * signal(fatty()) / 1000
    noise = rng.standard_normal((2, *clean.shape)) / 40
    data = (clean + noise[0] + 1j * noise[1]).astype(np.complex64)
    made = run(data, replace(SETTINGS, phase_sign="1", neighbourhood_mm=0.0))
    assert "W_FAT_WATER_AMBIGUOUS" in {f.code for f in made.findings}


def test_missing_or_unknown_facts_are_refused():
    data = signal(fatty())
    assert refused(lambda: run(data, field_t=None)) == "E_FIELD_STRENGTH"
    other = replace(SETTINGS, spectrum="lard")
    assert refused(lambda: run(data, other), ConfigError) == "E_FAT_SPECTRUM"


def test_samples_that_do_not_lie_on_their_grid_are_refused():
    data = signal(fatty())[:1]
    assert refused(lambda: run(data), GeometryError) == "E_GEOM_MATRIX"
