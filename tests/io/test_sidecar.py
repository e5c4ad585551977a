"""JSON side-cars."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.io.sidecar import (
    nifti_stem,
    read_side_car,
    require_own_frame,
    seconds_from_ms,
    side_car_echo_times_ms,
)


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


def test_a_mask_of_another_frame_is_refused(tmp_path):
    path = tmp_path / "a.nii"
    require_own_frame(path, "1.2.3")
    (tmp_path / "a.json").write_text('{"labels": {"1": "liver"}}')
    require_own_frame(path, "1.2.3")
    (tmp_path / "a.json").write_text('{"FrameOfReferenceUID": "1.2.3"}')
    require_own_frame(path, "1.2.3")
    require_own_frame(path, None)
    with pytest.raises(GeometryError) as caught:
        require_own_frame(path, "4.5.6")
    assert caught.value.code == "E_FOR"
    assert caught.value.where == "FrameOfReferenceUID of a.json"
    assert caught.value.value == ("1.2.3", "4.5.6")


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


def test_times_keep_the_digits_that_were_written(tmp_path):
    # 1000 * 0.008514 is 8.513999999999999 in binary floating point
    (tmp_path / "a.json").write_text('{"EchoTime": [0.008514, 0.00246]}')
    assert side_car_echo_times_ms([tmp_path / "a.nii"]) == (8.514, 2.46)


@pytest.mark.parametrize("ms", ["8.514", "2.46", "4.6", "12.46", "0.07", "1.2"])
def test_ms_to_s_shifts_the_decimal_point(ms):
    from decimal import Decimal

    assert seconds_from_ms(float(ms)) == float(Decimal(ms) / 1000)


def test_a_key_with_two_values_is_refused(tmp_path):
    """JSON readers keep the last of two: a label would lose its name, and nobody would know."""
    path = tmp_path / "a.nii"
    (tmp_path / "a.json").write_text('{"labels": {"1": "liver", "1": "tumour"}}')
    with pytest.raises(InputError, match="two values to '1'") as caught:
        read_side_car(path)
    assert caught.value.code == "E_SIDECAR"
    (tmp_path / "a.json").write_text('{"Units": "Bq/mL", "Units": "Bq/mL"}')
    assert read_side_car(path) == {"Units": "Bq/mL"}
