"""DICOM segmentations: fractional, label map, overlapping, several files, one slice."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pydicom
import pytest

from eprimg.config import ReadConfig
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_regions import read_region_sets, read_regions
from eprimg.io.read_seg import read_seg
from eprimg.model.study import Role
from tests.io.dicom_factory import write_pet
from tests.io.test_read_regions import write_seg


@pytest.fixture(scope="module")
def pet(tmp_path_factory):
    paths = write_pet(tmp_path_factory.mktemp("seg") / "pet", n_slices=6)
    return sorted((pydicom.dcmread(p) for p in paths), key=lambda d: d.InstanceNumber)


def counts(result):
    return {r.id: int((s.labels == r.id).sum()) for s in result.value for r in s.regions}


def test_overlapping_segments_are_read_without_loss(tmp_path, pet):
    both = np.zeros((6, 6, 5, 2), dtype=np.uint8)
    both[1:4, 2, 3, 0] = 1
    both[3:5, 2, 1:4, 1] = 1
    path = write_seg(tmp_path / "o.dcm", pet, both)
    result = read_region_sets(path)
    assert counts(result) == {1: 3, 2: 6}
    assert [len(s.regions) for s in result.value] == [1, 1]
    first, second = result.value
    first.grid.require_match(second.grid)
    assert [r.tracking_uid for s in result.value for r in s.regions] == ["2.25.1", "2.25.2"]
    finding = next(f for f in result.findings if f.code == "W_SEG_OVERLAP")
    volume = first.grid.voxel_volume_ml
    assert f"lesion one and A ({volume:.3g} mL)" in finding.text
    with pytest.raises(EprimgError, match="lesion one and A") as caught:
        read_regions(path)
    assert caught.value.code == "E_SEG_OVERLAP"


def test_segments_of_one_name_stay_two(tmp_path, pet):
    both = np.zeros((6, 6, 5, 2), dtype=np.uint8)
    both[1:4, 2, 3, 0] = 1
    both[3:5, 2, 0, 1] = 1
    path = write_seg(tmp_path / "o.dcm", pet, both)
    changed = pydicom.dcmread(path)
    for segment in changed.SegmentSequence:
        segment.SegmentLabel = "lesion one"
    changed.save_as(path)
    result = read_region_sets(path)
    assert counts(result) == {1: 3, 2: 2}
    names = [r.name for s in result.value for r in s.regions]
    assert names == ["lesion one #1", "lesion one #2"]
    assert "W_REGIONS_RENAMED" in {f.code for f in result.findings}


@pytest.mark.parametrize("kind", ["PROBABILITY", "OCCUPANCY"])
def test_fractional_segments_are_cut_where_the_settings_say(tmp_path, pet, kind):
    share = np.zeros((6, 6, 5, 2), dtype=np.float32)
    share[1, 2, :, 0] = (0.2, 0.4, 0.6, 0.8, 1.0)
    share[4, 3, 1:4, 1] = 0.9
    path = write_seg(tmp_path / "f.dcm", pet, share, "FRACTIONAL")
    d = pydicom.dcmread(path)
    d.SegmentationFractionalType = kind
    d.save_as(path)
    result = read_region_sets(path)
    assert counts(result) == {1: 3, 2: 3}
    assert counts(read_region_sets(path, config=ReadConfig(fractional_threshold=0.35)))[1] == 4
    finding = next(f for f in result.findings if f.code == "W_SEG_FRACTIONAL")
    assert ("probability" in finding.text) == (kind == "PROBABILITY")
    assert "at least 0.5" in finding.text
    about = result.value[0].settings["f.dcm"]
    assert about == {"fractional_type": kind, "fractional_threshold": 0.5}
    with pytest.raises(EprimgError, match="E_SEG_FRACTIONAL"):
        read_seg(path)
    low = write_seg(tmp_path / "low.dcm", pet, 0.4 * share, "FRACTIONAL")
    with pytest.raises(EprimgError, match="E_SEG_EMPTY"):
        read_seg(low, fractional_threshold=0.5)


def test_label_maps(tmp_path, pet):
    labels = np.zeros((6, 6, 5), dtype=np.uint8)
    labels[1:3, 2, 3], labels[4, 4, 1:4] = 1, 2
    made = []
    for kind in ("BINARY", "LABELMAP"):
        path = write_seg(tmp_path / f"{kind}.dcm", pet, labels, kind)
        assert hd.seg.segread(path).SegmentationType == kind
        made.append(read_region_sets(path).value)
    (binary,), (label_map,) = made
    assert counts_of(binary) == counts_of(label_map) == {1: 2, 2: 3}
    assert binary.regions == label_map.regions
    for number in (1, 2):
        centres = [
            s.grid.index_to_lps_mm(np.argwhere(s.labels == number)) for s in (binary, label_map)
        ]
        np.testing.assert_allclose(centres[0], centres[1], atol=1e-6)


def counts_of(regions):
    return {r.id: int((regions.labels == r.id).sum()) for r in regions.regions}


def test_all_files_of_a_series_are_read(tmp_path, pet):
    for n in (1, 2):
        labels = np.zeros((6, 6, 5), dtype=np.uint8)
        labels[n, 2, 3] = n
        path = write_seg(tmp_path / f"{n}.dcm", pet, labels)
        d = pydicom.dcmread(path)
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"2.25.901.{n}"
        d.save_as(path)
    (entry,) = scan(tmp_path).by_role(Role.REGIONS)
    assert counts(read_region_sets(entry)) == {1: 1, 2: 1}
    assert counts(read_region_sets(tmp_path)) == {1: 1, 2: 1}
    assert "W_SEG_SEVERAL" in [f.code for f in read_regions(entry).findings]


def test_a_segmentation_of_one_slice_is_told(tmp_path, pet):
    labels = np.zeros((6, 6, 5), dtype=np.uint8)
    labels[3, 2, 1:4] = 1
    result = read_region_sets(write_seg(tmp_path / "one.dcm", pet, labels))
    assert counts(result) == {1: 3}
    flat = next(f for f in result.findings if f.code == "W_REGION_FLAT")
    assert "lesion one" in flat.text
    assert result.value[0].grid.spacing_mm[0] == pytest.approx(3.0)  # of the source, see factory


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EprimgError, match="E_EMPTY"):
        read_region_sets(tmp_path / "empty")
