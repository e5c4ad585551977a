"""Masks: NIfTI labels and DICOM segmentations."""

from __future__ import annotations

import json
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.coding import Code

from eprimg.errors import EprimgError
from eprimg.io.headers import read_headers
from eprimg.io.index import scan
from eprimg.io.read_regions import read_regions
from eprimg.io.stack import stack_instances
from eprimg.io.write_maps import write_labels
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from eprimg.model.study import Role
from tests.io.dicom_factory import expected_affine, write_pet
from tests.io.test_read_nifti import save


def labels(*values):
    array = np.zeros((4, 5, 6), dtype=np.uint8)
    for n, value in enumerate(values):
        array[n, 1:3, 2:4] = value
    return array


def refused(code, *args, **kwargs):
    with pytest.raises(EprimgError) as caught:
        read_regions(*args, **kwargs)
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize("wrapped", [True, False])
def test_nifti_with_a_side_car(tmp_path, wrapped):
    names = {"2": "liver", "5": "lesion-1"}
    car = {"labels": names} if wrapped else names
    path = save(tmp_path / "mask.nii.gz", labels(2, 5), FrameOfReferenceUID="1.2.3", **car)
    result = read_regions(path)
    regions = result.value
    assert [(r.id, r.name, r.role, r.anatomy) for r in regions.regions] == [
        (2, "liver", RegionRole.REFERENCE, "liver"),
        (5, "lesion-1", RegionRole.LESION, ""),
    ]
    assert regions.grid.frame_of_reference == "1.2.3"
    assert regions.origin == "mask.nii.gz"
    assert regions.labels[2, 1, 0] == 2
    assert result.findings == ()


def test_names_and_frame_that_the_caller_gives(tmp_path):
    path = save(tmp_path / "mask.nii.gz", labels(1, 2))
    regions = read_regions(
        path, names={1: "spleen", 2: "tumour A"}, frame_of_reference="1.2.3"
    ).value
    assert regions.reference("spleen").id == 1
    assert [r.name for r in regions.lesions] == ["tumour A"]
    assert regions.grid.frame_of_reference == "1.2.3"


def test_mask_on_another_frame_of_reference(tmp_path):
    path = save(tmp_path / "mask.nii.gz", labels(1), FrameOfReferenceUID="1.2.3")
    refused("E_FOR", path, frame_of_reference="9.9.9")
    alone = read_regions(save(tmp_path / "b.nii.gz", labels(1))).value
    assert alone.grid.frame_of_reference.startswith("nifti:")


def test_labels_without_names_are_lesions_and_said(tmp_path):
    result = read_regions(save(tmp_path / "mask.nii", labels(1, 4)))
    assert [r.name for r in result.value.lesions] == ["lesion-1", "lesion-4"]
    assert [f.code for f in result.findings] == ["W_LABEL_NAMES"]


def test_a_single_organ_may_be_named_by_its_file(tmp_path):
    result = read_regions(save(tmp_path / "liver_mask.nii", labels(1)))
    assert result.value.regions[0].anatomy == "liver"
    assert result.findings == ()


def test_empty_and_faulty_masks(tmp_path):
    refused("E_SEG_EMPTY", save(tmp_path / "empty.nii", labels()))
    path = save(tmp_path / "mask.nii", labels(1))
    refused("E_SEG_LABELS", path, names={0: "liver"})
    refused("E_SEG_LABELS", path, names={1: " "})
    result = read_regions(path, names={1: "liver", 9: "spleen"})
    assert [f.code for f in result.findings] == ["W_SEG_EMPTY"]
    (tmp_path / "mask.json").write_text(json.dumps([1]))
    refused("E_SIDECAR", path)


SPECS = {
    "lesion one": (
        Code("49755003", "SCT", "Morphologically Abnormal Structure"),
        Code("52988006", "SCT", "Lesion"),
    ),
    "A": (Code("91723000", "SCT", "Anatomical Structure"), Code("10200004", "SCT", "Liver")),
}


def write_seg(path, sources, pixels, kind="BINARY"):
    described = [
        hd.seg.SegmentDescription(
            segment_number=n,
            segment_label=name,
            segmented_property_category=category,
            segmented_property_type=what,
            algorithm_type="MANUAL",
            tracking_uid=f"2.25.{n}",
            tracking_id=name,
        )
        for n, (name, (category, what)) in enumerate(SPECS.items(), start=1)
    ]
    seg = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid="2.25.900",
        series_number=9,
        sop_instance_uid="2.25.901",
        instance_number=1,
        manufacturer="Imaginary",
        manufacturer_model_name="One",
        software_versions="1",
        device_serial_number="1",
    )
    seg.save_as(path)
    return path


@pytest.fixture
def pet(tmp_path):
    paths = write_pet(tmp_path / "pet", n_slices=6)
    return sorted((pydicom.dcmread(p) for p in paths), key=lambda d: d.InstanceNumber)


def test_dicom_segmentation_lies_where_it_was_drawn(tmp_path, pet):
    mask = np.zeros((6, 6, 5), dtype=np.uint8)
    mask[1, 2, 3], mask[3, 4, 1] = 1, 2  # slices 0, 2, 4 and 5 stay empty
    path = write_seg(tmp_path / "seg.dcm", pet, mask)
    regions = read_regions(path).value
    frames = [i for p in (tmp_path / "pet").iterdir() for i in read_headers(p, findings=[])]
    grid = stack_instances(frames).grid
    assert regions.grid.frame_of_reference == grid.frame_of_reference
    for number, index in ((1, (1, 2, 3)), (2, (3, 4, 1))):
        (own,) = np.argwhere(regions.labels == number)
        np.testing.assert_allclose(
            regions.grid.index_to_lps_mm(own), grid.index_to_lps_mm(index), atol=1e-6
        )
    np.testing.assert_allclose(regions.grid.axes_lps, grid.axes_lps, atol=1e-9)
    assert [(r.name, r.role, r.anatomy, r.tracking_uid) for r in regions.regions] == [
        ("lesion one", RegionRole.LESION, "", "2.25.1"),
        ("A", RegionRole.REFERENCE, "liver", "2.25.2"),
    ]
    refused("E_FOR", path, frame_of_reference="9.9.9")


def test_segmentation_through_the_index(tmp_path, pet):
    mask = np.zeros((6, 6, 5), dtype=np.uint8)
    mask[1:3, 2, 3] = 1
    write_seg(tmp_path / "seg.dcm", pet, mask)
    (entry,) = scan(tmp_path).by_role(Role.REGIONS)
    result = read_regions(entry)
    assert [r.id for r in result.value.regions] == [1]
    assert [f.code for f in result.findings] == ["W_SEG_EMPTY"]


def test_overlapping_and_fractional_segments(tmp_path, pet):
    both = np.zeros((6, 6, 5, 2), dtype=np.uint8)
    both[1:4, 2, 3] = 1
    refused("E_SEG_OVERLAP", write_seg(tmp_path / "o.dcm", pet, both))
    share = both[..., :2].astype(np.float32) * 0.5
    refused("E_SEG_FRACTIONAL", write_seg(tmp_path / "f.dcm", pet, share, "FRACTIONAL"))


def test_a_file_that_is_no_segmentation(tmp_path, pet):
    refused("E_SEG_READ", next((tmp_path / "pet").iterdir()))


def test_our_own_labels_come_back(tmp_path):
    written = LesionSet(
        labels(2, 5, 9).astype(np.int32),
        Grid((4, 5, 6), expected_affine(), "1.2.3"),
        (
            # the names alone would say something else
            Region(2, "left lobe", RegionRole.REFERENCE, anatomy="liver", tracking_uid="2.25.7"),
            Region(5, "pancreas", RegionRole.LESION, RegionSource.CANDIDATE),
            Region(9, "candidate-9", RegionRole.LESION, RegionSource.CANDIDATE),
        ),
    )
    path = tmp_path / "regions" / "labels.nii.gz"
    path.parent.mkdir()
    write_labels(written, path, path.with_name("labels.json"))
    result = read_regions(path)
    assert result.findings == ()
    found = result.value
    np.testing.assert_array_equal(found.labels, written.labels)
    found.grid.require_match(written.grid)
    assert found.regions == tuple(replace(r, source=RegionSource.MASK) for r in written.regions)
    (entry,) = scan(tmp_path).series
    assert entry.role == Role.REGIONS
    assert read_regions(entry).value.regions == found.regions


def test_a_name_that_the_caller_gives_wins_over_a_table(tmp_path):
    table = {"name": "lesion-1", "role": "lesion", "tracking_uid": "2.25.7"}
    path = save(tmp_path / "mask.nii", labels(1), labels={"1": table})
    (region,) = read_regions(path, names={1: "spleen"}).value.regions
    assert (region.anatomy, region.tracking_uid) == ("spleen", "2.25.7")


def test_faulty_tables_and_labels_of_tables(tmp_path):
    refused("E_SEG_LABELS", save(tmp_path / "a.nii", labels(1), labels={"1": {"role": "lesion"}}))
    refused("E_SEG_LABELS", save(tmp_path / "b.nii", labels(1), labels={"x": {"name": "liver"}}))


def test_two_regions_of_one_name_stay_two(tmp_path):
    path = save(
        tmp_path / "m.nii.gz", labels(2, 5, 7), labels={"2": "node", "5": "liver", "7": "node"}
    )
    result = read_regions(path)
    assert [(r.id, r.name) for r in result.value.regions] == [
        (2, "node #2"),
        (5, "liver"),
        (7, "node #7"),
    ]
    # 1 slice of 2 x 2 voxels each, as drawn
    assert [int((result.value.labels == n).sum()) for n in (2, 5, 7)] == [4, 4, 4]
    (told,) = [f for f in result.findings if f.code == "W_REGIONS_RENAMED"]
    assert "'node'" in told.text
    assert "node #2, node #7" in told.text


def test_a_label_that_is_named_twice_is_refused(tmp_path):
    path = save(tmp_path / "m.nii.gz", labels(1), labels={"1": "liver", "01": "tumour"})
    assert refused("E_SEG_LABELS", path).value == ("liver", "tumour")
    path = save(tmp_path / "n.nii.gz", labels(1), labels={"1": "liver", "01": {"name": "tumour"}})
    refused("E_SEG_LABELS", path)
