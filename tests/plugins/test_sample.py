"""The sample is the phantom study, measured by the pipeline that everybody uses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from eprimg.model.case import Case
from eprimg.model.study import Study
from napari_eprimg import sample
from napari_eprimg.reading.known_cases import KnownCase, remember_case
from napari_eprimg.reading.reading import Reading, Step
from tests.plugins.conftest import MeasuredStudy


@pytest.fixture(autouse=True)
def _nothing_stays_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases that are remembered here are forgotten after the test."""
    monkeypatch.setattr("napari_eprimg.reading.known_cases._KNOWN", {})


@pytest.fixture
def made(measured_study: MeasuredStudy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample of this process, as if it had been made already."""
    remember_case(measured_study.folder, KnownCase(measured_study.plan, measured_study.case))
    monkeypatch.setattr(sample, "sample_study", lambda: measured_study.folder)
    return measured_study.folder


def test_the_phantom_study_opens_as_layers(made: Path) -> None:
    layers = sample.phantom_layers()
    labels, settings, kind = layers[-1]
    assert kind == "labels"
    assert set(np.unique(labels)) <= set(settings["features"]["index"])
    keys = [s["metadata"]["eprimg"]["key"] for _, s, _ in layers]
    assert {"mr_pre", "mr_post", "r2star_pre", "dr2star", "pid_per_kg", "suvbw"} <= set(keys)
    shown = [s["metadata"]["eprimg"]["key"] for _, s, _ in layers if s.get("visible", True)]
    assert len(shown) == 3  # an MR series, a PET map, the regions
    assert all(array.shape == labels.shape for array, _, _ in layers)
    assert {s["metadata"]["eprimg"]["study_folder"] for _, s, _ in layers} == {str(made)}


def test_two_timepoints_lie_side_by_side(made: Path) -> None:
    layers = sample.two_timepoint_layers()
    facts = [s["metadata"]["eprimg"] for _, s, _ in layers]
    points = {f["key"]: f["timepoint"] for f in facts}
    assert points["r2star_pre"] == points["mr_pre"] == "pre ferumoxytol"
    assert points["r2star_post"] == points["mr_post"] == "post ferumoxytol"
    assert not {"suvbw", "pid_per_kg"} & set(points)
    shown = {s["metadata"]["eprimg"]["key"] for _, s, _ in layers if s["visible"]}
    assert shown == {"r2star_pre", "r2star_post", "lesions"}


def test_the_sample_is_made_and_measured_once_and_can_be_read_again(
    phantom: Path, measured_study: MeasuredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def make(scene: str, place: Path, *, size: str, seed: int) -> Path:
        assert (scene, size, seed) == ("abdomen", "small", 1)
        return Path(shutil.copytree(phantom, place))

    def run(study: Study, *, findings: object) -> Case:
        measured.append(study.input_hash)
        return measured_study.case

    monkeypatch.setattr("eprimg_phantoms.make", make)
    monkeypatch.setattr("eprimg.pipeline.run", run)
    sample.sample_study.cache_clear()
    try:
        folder = sample.sample_study()
        assert sample.sample_study() == folder
        assert measured == [measured_study.case.study.input_hash]
        reading = Reading()
        reading.open_task(folder).run_now()
        assert reading.done(Step.TIERS)
        assert len(reading.case.lesions.lesions) == 6  # scenes/abdomen.toml has six
        reading.check_task().run_now()  # the files are still there
        assert reading.study is not None
    finally:
        sample.sample_study.cache_clear()
