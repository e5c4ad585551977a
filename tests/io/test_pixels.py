"""Pixels: decoders, unused bits, one hash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from eprimg.errors import InputError
from eprimg.io.headers import read_headers
from eprimg.io.pixels import content_matches, read_pixels, require_readable
from tests.io.dicom_factory import stored, write_pet


def instance(path):
    (one,) = read_headers(Path(path), findings=[])
    return one


def values(path):
    one = instance(path)
    require_readable([one], what="test")
    out = np.empty((1, one.rows, one.columns), dtype=np.float32)
    read_pixels([one], out, what="test")
    return out[0]


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jp2klossless.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
    ],
)
def test_every_encoding_of_one_real_frame_reads_alike(name):
    # files that come with pydicom: one Toshiba frame in several transfer syntaxes
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} does not come with this pydicom")
    native = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    np.testing.assert_array_equal(values(path), native)


def test_many_frames_give_the_same_hash_as_one_by_one(tmp_path):
    frames = [instance(p) for p in write_pet(tmp_path, n_slices=40)]
    out = np.empty((40, 6, 5), dtype=np.float32)
    whole = read_pixels(frames, out, what="test")
    assert whole == read_pixels(frames, np.empty_like(out), what="test")
    assert whole != read_pixels(frames[::-1], np.empty_like(out), what="test")
    for n in (0, 17, 39):
        np.testing.assert_array_equal(out[n], values(frames[n].path))


def test_rescale_is_rounded_once(tmp_path):
    def change(d, k, e):
        d.RescaleSlope, d.RescaleIntercept = "0.302644", "-7.3"

    (path,) = write_pet(tmp_path, n_slices=1, change=change)
    exact = stored(0, 0, 6, 5).astype(np.float64) * 0.302644 - 7.3
    np.testing.assert_array_equal(values(path), exact.astype(np.float32))


def test_copies_and_their_contents(tmp_path):
    a, b = (instance(write_pet(tmp_path / n, n_slices=1)[0]) for n in "ab")
    assert content_matches(a, b)
    assert not content_matches(a, replace(b, slope=2.0))
    b.path.unlink()
    assert not content_matches(a, b)


def test_odd_pixel_kinds_are_refused(tmp_path):
    one = instance(write_pet(tmp_path, n_slices=1)[0])
    for change in (
        {"bits_allocated": 1},
        {"bits_stored": 0},
        {"bits_stored": 17},
        {"samples_per_pixel": 3},
        {"pixel_representation": 7},
    ):
        with pytest.raises(InputError, match="E_PIXEL_TYPE"):
            require_readable([replace(one, **change)], what="test")


def test_bits_that_do_not_start_at_bit_0_are_refused(tmp_path):
    def shift(d, k, e):
        # twelve bits at the top of sixteen: read as usual, every value is 16 times too high
        d.BitsStored, d.HighBit = 12, 15
        d.PixelData = (stored(k, e, 6, 5) << 4).tobytes()

    one = instance(write_pet(tmp_path, n_slices=1, change=shift)[0])
    assert (one.bits_stored, one.high_bit) == (12, 15)
    with pytest.raises(InputError) as caught:
        require_readable([one], what="test")
    assert caught.value.code == "E_PIXEL_TYPE"
    assert "HighBit (0028,0102)" in str(caught.value)
    require_readable([replace(one, high_bit=11)], what="test")


def test_an_absent_high_bit_is_the_one_that_the_standard_demands(tmp_path):
    def drop(d, k, e):
        del d.HighBit

    (path,) = write_pet(tmp_path, n_slices=1, change=drop)
    assert instance(path).high_bit is None
    np.testing.assert_array_equal(values(path), stored(0, 0, 6, 5) * np.float32(0.5))
