"""The sample is the phantom study, measured by the pipeline that everybody uses."""

from __future__ import annotations

import numpy as np

from napari_eprimg.sample import phantom_layers


def test_the_phantom_study_opens_as_layers() -> None:
    layers = phantom_layers()
    names = [settings["name"] for _, settings, _ in layers]
    assert "%ID/kg (%ID/kg)" not in names
    labels, settings, kind = layers[-1]
    assert kind == "labels"
    assert set(np.unique(labels)) <= set(settings["features"]["index"])
    shown = [s["visible"] for _, s, kind in layers if kind == "image"]
    assert shown.count(True) == 1
    assert {s["scale"] for _, s, _ in layers} == {settings["scale"]}
    assert all(array.shape == labels.shape for array, _, _ in layers)
