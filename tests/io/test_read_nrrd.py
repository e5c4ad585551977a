"""NRRD labels, written by ITK (another program) or by hand."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_nrrd import read_nrrd_regions
from eprimg.io.read_regions import read_region_sets
from eprimg.model.lesions import RegionRole
from eprimg.model.study import Role

LABELS = np.zeros((3, 4, 5), dtype=np.uint8)
LABELS[0, 1, 2], LABELS[1:, 2, 3] = 2, 7


def itk_file(path, labels=LABELS, compress=True, **keys):
    """Write with SimpleITK: turned 16.26 degrees about z, LPS."""
    volume = sitk.GetImageFromArray(labels)
    volume.SetSpacing((2.0, 2.5, 3.0))
    volume.SetOrigin((-20.0, 12.5, -7.25))
    volume.SetDirection((0.96, -0.28, 0, 0.28, 0.96, 0, 0, 0, 1))
    for key, value in keys.items():
        volume.SetMetaData(key, value)
    sitk.WriteImage(volume, str(path), useCompression=compress)
    return path, volume


HEAD = {
    "type": "uint8",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 4 3",
    "space directions": "(2,0,0) (0,2.5,0) (0,0,3)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(-20,12.5,-7.25)",
}


def by_hand(path, data=None, changes=None, keys=None):
    fields = {**HEAD, **(changes or {})}
    lines = ["NRRD0005", "# a comment", *(f"{k}: {v}" for k, v in fields.items() if v is not None)]
    lines += [f"{k}:={v}" for k, v in (keys or {}).items()]
    raw = LABELS.tobytes() if data is None else data
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + raw)
    return path


def refused(code, path):
    with pytest.raises(EprimgError) as caught:
        read_nrrd_regions(path)
    assert caught.value.code == code
    return str(caught.value)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32])
def test_labels_lie_where_itk_puts_them(tmp_path, compress, dtype):
    path, volume = itk_file(tmp_path / "lesion.nrrd", LABELS.astype(dtype), compress)
    (regions,) = read_nrrd_regions(path).value
    np.testing.assert_array_equal(regions.labels, LABELS)
    for index in ((0, 0, 0), (2, 3, 4), (1, 0, 3)):
        there = volume.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]])
        np.testing.assert_allclose(regions.grid.index_to_lps_mm(index), there, atol=1e-6)


def test_spaces_are_turned_into_lps(tmp_path):
    places = {}
    for space in ("left-posterior-superior", "RAS", "left-anterior-superior"):
        path = by_hand(tmp_path / "m.nrrd", changes={"space": space})
        (regions,) = read_nrrd_regions(path).value
        places[space] = regions.grid.index_to_lps_mm((1, 2, 3))
    np.testing.assert_allclose(places["left-posterior-superior"], (-14.0, 17.5, -4.25))
    np.testing.assert_allclose(places["RAS"], (14.0, -17.5, -4.25))
    np.testing.assert_allclose(places["left-anterior-superior"], (-14.0, -17.5, -4.25))
    for space in ("scanner-xyz", None):
        path = by_hand(tmp_path / "m.nrrd", changes={"space": space})
        assert "axes lie in the patient" in refused("E_NRRD", path)


SLICER = {
    "Segment0_ID": "Segment_1",
    "Segment0_Name": "big one",
    "Segment0_LabelValue": "2",
    "Segment0_Layer": "0",
    "Segment0_Tags": "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy "
    "list~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^~Anatomic codes"
    "~^^~^^|",
    "Segment1_Name": "Spleen",
    "Segment1_LabelValue": "7",
    "Segment1_Layer": "0",
    "Segment2_Name": "liver",
    "Segment2_LabelValue": "9",
}


def test_segments_of_slicer_keep_names_and_meaning(tmp_path):
    path, _ = itk_file(tmp_path / "drawn.seg.nrrd", **SLICER)
    result = read_nrrd_regions(path)
    (regions,) = result.value
    assert [(r.id, r.name, r.role, r.anatomy) for r in regions.regions] == [
        (2, "big one", RegionRole.LESION, ""),
        (7, "Spleen", RegionRole.REFERENCE, "spleen"),
    ]
    assert [(f.code, "9 (liver)" in f.text) for f in result.findings] == [("W_SEG_EMPTY", True)]
    (entry,) = scan(tmp_path).series
    assert entry.role == Role.REGIONS
    assert [r.name for s in read_region_sets(entry).value for r in s.regions] == [
        "big one",
        "Spleen",
    ]
    (named,) = read_nrrd_regions(path, names={2: "liver"}, frame_of_reference="1.2.3").value
    assert named.reference("liver").id == 2
    assert named.grid.frame_of_reference == "1.2.3"


def test_layers_that_overlap_and_repeat_their_values(tmp_path):
    """Two layers, the list axis first, both with value 1, one voxel in common."""
    layers = np.zeros((3, 4, 5, 2), dtype=np.uint8)
    layers[0, 1, 1:3, 0] = 1
    layers[0:2, 1, 2, 1] = 1
    path = by_hand(
        tmp_path / "l.seg.nrrd",
        layers.tobytes(),
        {
            "dimension": "4",
            "sizes": "2 5 4 3",
            "kinds": "list domain domain domain",
            "space directions": "none (2,0,0) (0,2.5,0) (0,0,3)",
        },
        {
            "Segment0_Name": "lesion a",
            "Segment0_LabelValue": "1",
            "Segment0_Layer": "0",
            "Segment1_Name": "lesion b",
            "Segment1_LabelValue": "1",
            "Segment1_Layer": "1",
        },
    )
    result = read_nrrd_regions(path)
    found = {r.name: (r.id, int((s.labels == r.id).sum())) for s in result.value for r in s.regions}
    assert found == {"lesion a": (1, 2), "lesion b": (2, 2)}
    assert [f.code for f in result.findings] == ["I_IDS_SHIFTED", "W_SEG_OVERLAP"]


def test_labels_without_names(tmp_path):
    result = read_nrrd_regions(by_hand(tmp_path / "mask.nrrd"))
    assert [r.name for r in result.value[0].regions] == ["lesion-2", "lesion-7"]
    assert [f.code for f in result.findings] == ["W_LABEL_NAMES"]
    single = by_hand(tmp_path / "liver.seg.nrrd", (LABELS == 7).astype(np.uint8).tobytes())
    (region,) = read_nrrd_regions(single).value[0].regions
    assert region.anatomy == "liver"


def test_a_header_with_its_data_beside_it(tmp_path):
    packed = gzip.compress(LABELS.astype(">u2").tobytes())
    (tmp_path / "m.raw.gz").write_bytes(packed)
    changes = {
        "data file": "m.raw.gz",
        "encoding": "gzip",
        "type": "unsigned short",
        "endian": "big",
    }
    path = by_hand(tmp_path / "m.nhdr", b"", changes)
    np.testing.assert_array_equal(read_nrrd_regions(path).value[0].labels, LABELS)
    for name in ("../m.raw.gz", "/etc/passwd", "LIST", "m%d.raw 1 2 1"):
        refused("E_NRRD", by_hand(tmp_path / "m.nhdr", b"", {**changes, "data file": name}))
    refused("E_NRRD", by_hand(tmp_path / "m.nhdr", b"", {**changes, "data file": "gone.gz"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": None},
        {"sizes": "5 4"},
        {"sizes": "5 4 0"},
        {"sizes": "90000 90000 90000"},
        {"sizes": "5 4 4"},
        {"type": "block"},
        {"type": "uint16", "endian": None},
        {"encoding": "hex"},
        {"encoding": "gzip"},
        {"space directions": "(2,0,0) (0,2.5,0)"},
        {"space directions": "(2,0,0) (0,2.5,0) (0,0,0)"},
        {"space origin": "(1,2)"},
        {"space origin": "(1,2,nan)"},
        {"byte skip": "-1"},
        {"dimension": "x"},
    ],
)
def test_headers_that_do_not_fit(tmp_path, changes):
    refused("E_NRRD", by_hand(tmp_path / "m.nrrd", changes=changes))


def test_values_that_are_no_labels(tmp_path):
    refused("E_SEG_EMPTY", by_hand(tmp_path / "e.nrrd", bytes(60)))
    half = (LABELS * 0.5).astype("<f4").tobytes()
    refused("E_SEG_LABELS", by_hand(tmp_path / "f.nrrd", half, {"type": "float"}))
    nan = np.full(60, np.nan, dtype="<f4").tobytes()
    refused("E_SEG_LABELS", by_hand(tmp_path / "n.nrrd", nan, {"type": "float"}))
    whole = LABELS.astype("<f8").tobytes()
    path = by_hand(tmp_path / "w.nrrd", whole, {"type": "double"})
    np.testing.assert_array_equal(read_nrrd_regions(path).value[0].labels, LABELS)
    negative = (-LABELS.astype(np.int8)).tobytes()
    refused("E_SEG_LABELS", by_hand(tmp_path / "m.nrrd", negative, {"type": "int8"}))
    (tmp_path / "x.nrrd").write_bytes(b"something else")
    refused("E_NRRD", tmp_path / "x.nrrd")
    refused("E_NRRD", tmp_path / "not there.nrrd")
    shear = {"space directions": "(2,0,0) (1,2.5,0) (0,0,3)"}
    refused("E_GEOM_SHEAR", by_hand(tmp_path / "s.nrrd", changes=shear))
