"""Single regions of a mask file, by name or number, with a role; one format after the other."""

from __future__ import annotations

import json

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest

from eprimg.errors import EprimgError
from eprimg.io.read_nrrd import read_nrrd_regions
from eprimg.io.read_regions import read_region_sets
from eprimg.io.region_choice import RegionChoice
from eprimg.model.lesions import Region, RegionRole
from tests.io.dicom_factory import write_pet
from tests.io.rtstruct_factory import circle, roi, write_rtstruct
from tests.io.test_read_regions import write_seg
from tests.io.test_read_rtstruct import PET

THERE = {1: "GTV_1", 2: "GTV_2", 7: "Liver", 9: "GTV_2"}


def test_names_and_numbers_are_found():
    assert RegionChoice().numbers(THERE, "f") is None
    assert RegionChoice(("GTV_1", 7)).numbers(THERE, "f") == {1, 7}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("GTV_3", "has no region 'GTV_3'; it has 1 'GTV_1', 2 'GTV_2', 7 'Liver', 9 'GTV_2'"),
        ("gtv_1", "has no region 'gtv_1'"),
        (4, "has no region 4"),
        ("GTV_2", "has 2 regions called 'GTV_2'"),
    ],
)
def test_what_the_file_does_not_have_is_refused_with_what_it_has(wanted, said):
    with pytest.raises(EprimgError) as caught:
        RegionChoice((wanted, "Liver")).numbers(THERE, "plan.dcm")
    assert caught.value.code == "E_MASK_ROI"
    assert said in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(EprimgError) as caught:
        RegionChoice(("one", "two")).numbers(THERE, "plan.dcm")
    assert [f.value for f in caught.value.faults] == ["one", "two"]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("", (RegionRole.LESION, "")),
        ("lesion", (RegionRole.LESION, "")),
        ("exclude", (RegionRole.EXCLUDE, "")),
        ("reference", (RegionRole.REFERENCE, "")),
        ("spleen", (RegionRole.REFERENCE, "spleen")),
    ],
)
def test_a_role_wins_over_the_name(role, expected):
    region = Region(3, "thing", RegionRole.LESION, notes=("the name says nothing",))
    found = RegionChoice((), role).apply(region)
    assert (found.role, found.anatomy) == expected
    assert (found.name, found.id) == ("thing", 3)
    assert bool(found.notes) is (role == "")


def facts(result):
    return [(r.id, r.name, str(r.role), r.anatomy) for s in result.value for r in s.regions]


def test_rois_of_a_structure_set(tmp_path):
    rois = [
        roi(1, "GTV_1", [circle(2, radius_mm=6.0)]),
        roi(2, "GTV_2", [circle(2, radius_mm=9.0)]),  # shares voxels with the first
        roi(4, "PTV_60", [circle(4, radius_mm=8.0)], kind="PTV"),
        roi(6, "nothing", []),
    ]
    path = write_rtstruct(tmp_path / "rs.dcm", rois)

    def read(*wanted, role=""):
        return read_region_sets(path, series=(PET,), choice=RegionChoice(wanted, role))

    one = read("GTV_1")
    assert facts(one) == [(1, "GTV_1", "lesion", "")]
    # nothing is said about what nobody asked for
    assert not {"W_SEG_OVERLAP", "W_RT_SKIPPED"} & {f.code for f in one.findings}
    assert "rs.dcm (GTV_1)" in one.value[0].settings
    assert facts(read(4, role="liver")) == [(4, "PTV_60", "reference", "liver")]
    for wanted, code in (("GTV", "E_MASK_ROI"), ("nothing", "E_SEG_EMPTY")):
        with pytest.raises(EprimgError) as caught:
            read("GTV_1", wanted)
        assert caught.value.code == code


def test_segments_of_a_segmentation(tmp_path):
    paths = write_pet(tmp_path / "pet", n_slices=6)
    pet = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: d.InstanceNumber)
    both = np.zeros((6, 6, 5, 2), dtype=np.uint8)
    both[1:4, 2, 3, 0] = 1
    both[3:5, 2, 1:4, 1] = 1
    path = write_seg(tmp_path / "o.dcm", pet, both)
    label = str(hd.seg.segread(path).get_segment_description(1).segment_label)
    for wanted in (label, 1):
        found = read_region_sets(path, choice=RegionChoice((wanted,), "muscle"))
        assert facts(found) == [(1, label, "reference", "muscle")]
        assert int((found.value[0].labels > 0).sum()) == 3
        assert "W_SEG_OVERLAP" not in [f.code for f in found.findings]
    with pytest.raises(EprimgError, match="E_MASK_ROI"):
        read_region_sets(path, choice=RegionChoice((3,)))
    with pytest.raises(EprimgError, match="rois choose regions of one file"):
        read_region_sets(tmp_path / "pet", choice=RegionChoice((1,)))


def test_labels_of_nifti_and_nrrd(tmp_path):
    labels = np.zeros((6, 5, 4), dtype=np.uint8)
    labels[1:3, 1, 1], labels[4, 2:4, 2] = 2, 5
    nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / "m.nii.gz")
    names = {"2": "one", "5": "two"}
    (tmp_path / "m.json").write_text(json.dumps({"labels": names}))
    for wanted in ("two", 5):
        found = read_region_sets(
            tmp_path / "m.nii.gz",
            frame_of_reference="1.2",
            choice=RegionChoice((wanted,), "lesion"),
        )
        assert facts(found) == [(5, "two", "lesion", "")]
        assert int((found.value[0].labels == 5).sum()) == np.count_nonzero(found.value[0].labels)
        assert [f.code for f in found.findings] == ["W_REGION_FLAT"]
    with pytest.raises(EprimgError, match="E_MASK_ROI"):
        read_region_sets(tmp_path / "m.nii.gz", choice=RegionChoice(("three",)))
    head = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 5 6\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (0,0,0)\nSegment0_LabelValue:=2\nSegment0_Name:=one\n"
        "Segment0_Layer:=0\nSegment1_LabelValue:=5\nSegment1_Name:=two\nSegment1_Layer:=0\n\n"
    )
    (tmp_path / "m.seg.nrrd").write_bytes(head.encode() + labels.tobytes())
    found = read_nrrd_regions(tmp_path / "m.seg.nrrd", choice=RegionChoice(("one",), "spleen"))
    assert facts(found) == [(2, "one", "reference", "spleen")]
    with pytest.raises(EprimgError, match="it has 2 'one', 5 'two'"):
        read_nrrd_regions(tmp_path / "m.seg.nrrd", choice=RegionChoice((3,)))
