"""Files that could not be read: the series that may miss a slice is not read."""

from __future__ import annotations

import shutil

import pydicom
import pytest

from eprimg.errors import InputError
from eprimg.io.entries import refuse_damaged
from eprimg.io.index import scan
from tests.io.dicom_factory import write_ct, write_mr, write_pet


def cut(path, length):
    path.write_bytes(path.read_bytes()[:length])


def marked(folder):
    """Return the keys of the series that are refused."""
    keys = set()
    for entry in scan(folder).series:
        try:
            refuse_damaged(entry)
        except InputError:
            keys.add(entry.key)
    return keys


@pytest.mark.parametrize("length", [0, 100, 300, 450, 700])
def test_a_slice_cut_off_at_the_end_of_a_stack(tmp_path, length):
    last = [p for p in write_mr(tmp_path) if p.name.endswith("-001.dcm")]
    assert len(last) == 3
    for path in last:
        cut(path, length)
    (entry,) = scan(tmp_path).series
    assert entry.shape == "3 x 6 x 5, 3 echoes"  # an even stack: nothing else would notice
    with pytest.raises(
        InputError, match="E_TRUNCATED.*3 files.*mr-0-001.dcm, mr-1-001.dcm, mr-2-001.dcm"
    ):
        refuse_damaged(entry)


def test_a_whole_folder_is_not_refused(tmp_path):
    write_mr(tmp_path / "mr")
    (tmp_path / "mr" / "LICENSE").write_text("no DICOM")
    (tmp_path / "mr" / "README-2.txt").write_text("no DICOM")
    assert marked(tmp_path) == set()


def test_the_series_uid_decides_where_it_can_be_read(tmp_path):
    paths = write_mr(tmp_path)
    write_mr(tmp_path, series="2.25.102", prefix="other", change=later)
    dataset = pydicom.dcmread(paths[0])
    del dataset.PixelData
    dataset.save_as(paths[0])
    assert marked(tmp_path) == {"mr-1"}


def later(dataset, k, e):
    dataset.SeriesNumber = 2
    dataset.SeriesDescription = "another one"


def test_else_the_folder_and_the_modality(tmp_path):
    write_mr(tmp_path / "a")
    paths = write_pet(tmp_path / "b")
    write_ct(tmp_path / "b")
    cut(paths[0], 700)  # behind SOP class and modality, before the series UID
    assert marked(tmp_path) == {"pt-1"}
    cut(paths[0], 200)  # nothing but the meta group
    assert marked(tmp_path) == {"pt-1", "ct-1"}


def test_objects_without_pixels_are_no_lost_slices(tmp_path):
    paths = write_mr(tmp_path)
    raw = pydicom.dcmread(paths[0])
    del raw.PixelData
    raw.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66"  # Raw Data Storage (PS3.4 B.5)
    raw.save_as(tmp_path / "raw-0-001.dcm")
    assert marked(tmp_path) == set()


def test_half_a_series_uid_is_not_taken_for_another_series(tmp_path):
    write_mr(tmp_path / "a", series="2.25.1", change=later)
    paths = write_mr(tmp_path / "b", series="2.25.10")
    content = paths[0].read_bytes()
    at = content.index(b"\x20\x00\x0e\x00UI")
    paths[0].write_bytes(content[: at + 8 + len("2.25.1")])
    assert marked(tmp_path) == {"mr-1"}


def test_a_slice_that_is_a_link_which_is_not_followed(tmp_path):
    outside = tmp_path / "annex"
    outside.mkdir()
    paths = write_mr(tmp_path / "study")
    for path in paths[:1]:
        shutil.move(path, outside / "key")
        path.symlink_to(outside / "key")
    index = scan(tmp_path / "study")
    assert [f.code for f in index.findings] == ["W_LINK_OUTSIDE"]
    assert marked(tmp_path / "study") == {"mr-1"}
    (outside / "key").unlink()
    assert [f.code for f in scan(tmp_path / "study").findings] == ["W_LINK_BROKEN"]
    assert marked(tmp_path / "study") == {"mr-1"}


@pytest.mark.parametrize("length", [4000, 900, 300])
def test_real_siemens_with_its_last_slice_cut_off(real_data, tmp_path, length):
    folder = tmp_path / "mag"
    shutil.copytree(real_data / "mri/siemens_prisma_gre2e/mag", folder)
    for name in ("0024.dcm", "0024_e2.dcm"):  # the highest slice, both echoes
        cut(folder / name, length)
    (entry,) = scan(folder).series
    assert entry.shape == "11 x 64 x 64, 2 echoes"
    with pytest.raises(InputError, match="0024.dcm, 0024_e2.dcm"):
        refuse_damaged(entry)
