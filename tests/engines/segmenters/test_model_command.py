"""Places in the words of a command."""

from __future__ import annotations

from eprimg.engines.segmenters.model_command import ModelCommandSegmenter
from tests.engines.segmenters.model_setups import settings


def test_places_are_filled_in(tmp_path):
    words = ("run", "--in={input}", "{output}", "{weights}", "{prompts}", "{scribble}", "{device}")
    made = ModelCommandSegmenter(settings("w", "x", program=words, options=("-v",)))
    assert made.command(tmp_path / "w", tmp_path, []) == [
        "run",
        f"--in={tmp_path / 'in'}",
        str(tmp_path / "out"),
        str(tmp_path / "w"),
        str(tmp_path / "prompts.json"),
        str(tmp_path / "scribble.nii.gz"),
        "cpu",
        "-v",
    ]
