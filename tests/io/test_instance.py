"""The record of one frame."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from eprimg.io.instance import Instance


def test_name_for_people_counts_frames_from_one():
    assert Instance(Path("a/b.dcm")).name == "b.dcm"
    assert Instance(Path("a/b.dcm"), frame=0).name == "b.dcm frame 1"


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        Instance(Path("a")).rows = 3
