"""A model of the user's in the pipeline: candidates and organs, imported regions first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.engines.segmenters.model_command import ModelCommandSegmenter
from eprimg.engines.segmenters.threshold import ThresholdSegmenter
from eprimg.errors import Cancelled, EprimgError
from eprimg.model.lesions import RegionRole, RegionSource
from eprimg.stages import model_regions as stage
from eprimg.stages.quantify import quantify
from eprimg.stages.segment import segment
from tests.engines.segmenters.model_setups import COMMAND, net, settings


@pytest.fixture
def config(scene, tmp_path, monkeypatch):
    """Settings for the one-neuron network; entry points of a checkout may be older than it."""
    engines = {"model-command": ModelCommandSegmenter, "threshold": ThresholdSegmenter}
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engines[name])
    # the lesion of the scene holds 12000 Bq/mL, liver and spleen 6000 and 7000: see its conftest
    made = settings(net(tmp_path / "w.npz"), "network", engine="model-command", options=COMMAND)
    return replace(scene.config, segment_model=made)


def maps_of(scene, study, config):
    return quantify(study, scene.registrations(), config).value.maps


def with_border(config, tmp_path, suvbw):
    """Let the network mark what lies above a value."""
    net(tmp_path / "w.npz", b=-suvbw)
    return config


def test_lesions_become_candidates_on_the_reference_grid(scene, config, tmp_path):
    study = scene.study()
    maps = maps_of(scene, study, config)
    config = with_border(config, tmp_path, 0.8 * float(np.nanmax(maps["suvbw"].values)))
    result = segment(study, maps, config, registrations=scene.registrations())
    (lesion,) = result.value.lesions.regions
    assert (lesion.role, lesion.source) == (RegionRole.LESION, RegionSource.CANDIDATE)
    assert np.count_nonzero(result.value.lesions.labels) == 4 * 5 * 5
    codes = [f.code for f in result.findings]
    assert "I_MODEL" in codes
    assert "I_CANDIDATES" not in codes
    text = next(f.text for f in result.findings if f.code == "I_MODEL")
    assert "1 candidate regions" in text
    assert "licence: CC BY 4.0" in text
    about = result.value.lesions.settings["model"]
    assert about["weights_sha256"][:16] in text
    accepted = replace(config, segment=replace(config.segment, accept_candidates=True))
    confirmed = segment(study, maps, accepted, registrations=scene.registrations())
    assert confirmed.value.lesions.regions[0].source == RegionSource.CONFIRMED


def test_imported_lesions_and_organs_go_before_the_model(scene, config):
    study = scene.study(regions=[scene.region_set()])
    result = segment(
        study, maps_of(scene, study, config), config, registrations=scene.registrations()
    )
    np.testing.assert_array_equal(result.value.lesions.labels, scene.region_set().labels)


def test_a_model_that_fails_is_a_finding_and_the_threshold_goes_on(scene, config):
    study = scene.study()
    broken = replace(config, segment_model=replace(config.segment_model, weights="gone"))
    result = segment(
        study, maps_of(scene, study, config), broken, registrations=scene.registrations()
    )
    codes = [f.code for f in result.findings]
    assert "E_MODEL_WEIGHTS" in codes
    assert "I_CANDIDATES" in codes


def test_what_cannot_be_run(scene, config):
    maps = maps_of(scene, scene.study(), config)
    for changes, code in (
        ({"engine": "threshold"}, "E_CONFIG"),
        ({"inputs": ("suvbw", "fat_fraction")}, "E_MODEL_INPUT"),
        ({"inputs": ()}, "E_MODEL_INPUT"),
    ):
        faulty = replace(config, segment_model=replace(config.segment_model, **changes))
        with pytest.raises(EprimgError) as caught:
            stage.model_regions(maps, faulty)
        assert caught.value.code == code
    with pytest.raises(Cancelled):
        stage.model_regions(maps, config, progress=lambda words, share: share < 0.35)
