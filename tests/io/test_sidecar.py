"""JSON side-cars."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.errors import InputError
from eprimg.io.sidecar import nifti_stem, read_side_car, side_car_echo_times_ms


def test_stems():
    assert nifti_stem(Path("a/b.c.nii.gz")) == "b.c"
    assert nifti_stem(Path("b.NII")) == "b"
    assert nifti_stem(Path("b.img")) == "b"


def test_absent_broken_and_wrong_side_cars(tmp_path):
    path = tmp_path / "a.nii"
    assert read_side_car(path) == {}
    for text in ("{", "[1]", "\xff"):
        (tmp_path / "a.json").write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match="E_SIDECAR"):
            read_side_car(path)
        assert side_car_echo_times_ms([path]) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"EchoTime": 0.0046}', (4.6,)),
        ('{"EchoTime": [0.002, 0.004]}', (2.0, 4.0)),
        ('{"EchoTime": "0.1"}', ()),
        ('{"EchoTime": true}', ()),
        ("{}", ()),
    ],
)
def test_echo_times_in_ms(tmp_path, text, expected):
    (tmp_path / "a.json").write_text(text)
    assert side_car_echo_times_ms([tmp_path / "a.nii"]) == pytest.approx(expected)
