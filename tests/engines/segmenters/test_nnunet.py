"""The adapter of nnU-Net v2 against a stand-in with its command line."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.segmenters.conformance import check_segmenter, conformance_volume
from eprimg.engines.segmenters.contract import PointPrompt, Prompts
from eprimg.engines.segmenters.nnunet import NNUNetSegmenter
from eprimg.errors import EprimgError
from tests.engines.segmenters.model_setups import nnunet_folder, settings


def test_two_channels_and_the_names_of_the_model(tmp_path):
    folder = nnunet_folder(tmp_path / "model", w=(1.0, 1.0), b=-9.0)
    made = NNUNetSegmenter(settings(folder, "nnunet"))
    found = check_segmenter(made, n_volumes=2)
    inside = conformance_volume().values > 4.5
    np.testing.assert_array_equal(found.regions.labels == 1, inside)
    assert made.label_names(folder) == {1: "lesion"}
    with pytest.raises(EprimgError, match="takes no points"):
        made.segment([conformance_volume()] * 2, Prompts((PointPrompt((0.0, 0.0, 0.0)),)))


def test_the_command_is_that_of_the_program(tmp_path):
    made = NNUNetSegmenter(settings("w", "x", program=(), options=("-f", "0"), device="cuda"))
    command = made.command(tmp_path / "m", tmp_path, [])
    assert command == [
        "nnUNetv2_predict_from_modelfolder",
        *("-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-m", str(tmp_path / "m")),
        *("-device", "cuda", "-f", "0"),
    ]
    assert made.file_names(2) == ["in/case_0000.nii.gz", "in/case_0001.nii.gz"]
    assert made.label_names(tmp_path) == {}
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "both": [1, 2]}}')
    assert made.label_names(tmp_path) == {}
