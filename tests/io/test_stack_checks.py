"""Checks before stacking (verdicts on whole series are in test_stack)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eprimg.errors import InputError
from eprimg.io.headers import read_headers
from eprimg.io.stack_checks import check_identity, check_planes, without_copies
from tests.io.dicom_factory import write_pet


@pytest.fixture
def frames(tmp_path):
    return [i for p in write_pet(tmp_path) for i in read_headers(p, findings=[])]


def test_good_frames_have_no_faults(frames):
    faults = []
    check_identity(frames, "series", faults)
    check_planes(frames, "series", faults)
    assert faults == []
    assert without_copies(frames, "series", faults) == frames


def test_long_lists_of_files_are_cut_short(frames):
    faults = []
    check_planes([replace(f, position=None) for f in frames], "series", faults)
    assert [f.code for f in faults] == ["E_GEOM_MISSING"]
    assert faults[0].where.endswith("and 1 more")


def test_multi_frame_files_that_cannot_be_placed(frames):
    faults = []
    check_identity([replace(frames[0], number_of_frames=9)], "series", faults)
    assert [f.code for f in faults] == ["E_ENHANCED"]


def test_one_identifier_with_two_positions(frames):
    moved = replace(frames[0], position=(0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="E_DUP_CONFLICT"):
        without_copies([*frames, moved], "series", [])
