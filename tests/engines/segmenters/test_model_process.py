"""Models in a child process: what goes in, what comes out, and every way to fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import SegmentConfig
from eprimg.engines.segmenters.conformance import check_segmenter, conformance_volume
from eprimg.engines.segmenters.contract import PointPrompt, Prompts
from eprimg.engines.segmenters.model_command import ModelCommandSegmenter
from eprimg.engines.segmenters.weights import weights_sha256
from eprimg.errors import EprimgError
from eprimg.model.grid import Grid
from eprimg.model.lesions import RegionRole, RegionSource
from eprimg.model.maps import QuantityMap
from tests.engines.segmenters.model_setups import COMMAND, net, settings


def engine(tmp_path, *options, segment=None, **more):
    made = settings(net(tmp_path / "w.npz"), "network", options=(*COMMAND, *options))
    return ModelCommandSegmenter(replace(made, **more), segment)


def refused(code, made, volumes=None, **more):
    with pytest.raises(EprimgError) as caught:
        made.segment(volumes or [conformance_volume()], **more)
    assert caught.value.code == code, caught.value
    return str(caught.value)


def test_the_tiny_network_conforms_and_finds_the_ball(tmp_path):
    made = engine(tmp_path)
    found = check_segmenter(made)
    volume = conformance_volume()
    np.testing.assert_array_equal(found.regions.labels == 1, volume.values > 4)
    (region,) = found.regions.regions
    assert (region.name, region.role, region.source) == (
        "candidate-1",
        RegionRole.LESION,
        RegionSource.CANDIDATE,
    )
    about = found.regions.settings["model"]
    assert about["weights_sha256"] == weights_sha256(tmp_path / "w.npz")
    assert (about["licence"], about["inputs"], about["weights"]) == (
        "CC BY 4.0",
        ["suvbw"],
        "w.npz",
    )
    assert found.meta["seconds"] > 0
    # nothing of this machine is recorded
    assert str(tmp_path) not in repr(about)


def test_clicks_reach_the_program_at_the_right_voxel(tmp_path):
    volume = conformance_volume()
    place = tuple(volume.grid.index_to_lps_mm((6, 9, 14)))
    found = engine(tmp_path, segment=SegmentConfig(minimum_volume_ml=0.0)).segment(
        [volume], Prompts((PointPrompt(place),), scribble=np.ones(volume.grid.shape, np.int8))
    )
    centre = np.argwhere(found.regions.labels == 1).mean(axis=0)
    np.testing.assert_allclose(centre, (6, 9, 14), atol=0.01)
    assert found.regions.settings["model"]["prompted"] is True


def test_names_of_labels_come_from_the_settings(tmp_path):
    made = engine(tmp_path, "--label", "5", labels=("5=spleen",))
    (region,) = made.segment([conformance_volume()]).regions.regions
    assert (region.name, region.role, region.anatomy) == ("spleen", RegionRole.REFERENCE, "spleen")
    ignored = engine(tmp_path, labels=("1=ignore",)).segment([conformance_volume()])
    assert ignored.regions.regions == ()
    refused("E_CONFIG", engine(tmp_path, labels=("liver",)))


def test_small_parts_are_dropped_and_many_are_refused(tmp_path):
    volume = conformance_volume()
    values = np.array(volume.values)
    values[1, 1, 1] = 8.0  # 0.015 mL
    spotted = replace(volume, values=values)
    assert len(engine(tmp_path).segment([spotted]).regions.regions) == 1
    keep = SegmentConfig(minimum_volume_ml=0.0)
    assert len(engine(tmp_path, segment=keep).segment([spotted]).regions.regions) == 2
    few = SegmentConfig(minimum_volume_ml=0.0, maximum_candidates=1)
    refused("E_SEG_MANY", engine(tmp_path, segment=few), [spotted])


def test_outputs_that_cannot_be_used(tmp_path):
    assert "another grid" in refused("E_MODEL_OUTPUT", engine(tmp_path, "--shift", "3"))
    assert "no labels" in refused("E_MODEL_OUTPUT", engine(tmp_path, "--half"))
    assert "0 label volumes" in refused("E_MODEL_OUTPUT", engine(tmp_path, "misbehave=nothing"))


def test_a_program_that_fails_leaves_the_session_alive(tmp_path):
    refused("E_ENGINE_EXIT", engine(tmp_path, "--no-such-option"))
    refused("E_ENGINE_CRASH", engine(tmp_path, "misbehave=crash"))
    refused("E_ENGINE_START", engine(tmp_path, program=("no-such-program", "{input}", "{output}")))
    refused("E_MODEL_WEIGHTS", engine(tmp_path, weights=str(tmp_path / "gone")))
    refused("E_MODEL_WEIGHTS", engine(tmp_path, weights_sha256="0" * 64))
    no_place = engine(tmp_path, program=("x", "{input}"), options=())
    assert "{output}" in refused("E_CONFIG", no_place)


def test_volumes_that_a_model_cannot_take(tmp_path):
    made = engine(tmp_path)
    volume = conformance_volume()
    grid = Grid((1, 20, 24), volume.grid.affine, volume.grid.frame_of_reference)
    single = QuantityMap(volume.values[:1], grid, volume.quantity, volume.valid[:1], "x")
    assert "at least two slices" in refused("E_MODEL_INPUT", made, [single])
    nothing = replace(volume, valid=np.zeros(volume.grid.shape, dtype=bool))
    assert "one value only" in refused("E_MODEL_INPUT", made, [nothing])
    moved = Grid(volume.grid.shape, volume.grid.affine, "2.25.9")
    refused("E_FOR", made, [volume, replace(volume, grid=moved)])


def test_a_model_is_named_in_its_own_setting():
    with pytest.raises(EprimgError, match="segment_model.engine"):
        ModelCommandSegmenter(SegmentConfig())
