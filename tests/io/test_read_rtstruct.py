"""Structure sets to label volumes: choice of the series, names, overlaps, a real one."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from eprimg.config import Config, ReadConfig
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_regions import read_region_sets, read_regions
from eprimg.io.read_rtstruct import SeriesGrid, read_rtstruct
from eprimg.io.study import read_series, read_study
from eprimg.model.lesions import RegionRole
from eprimg.model.study import Role
from tests.io.dicom_factory import write_pet
from tests.io.rtstruct_factory import GRID, SERIES, box, circle, roi, write_rtstruct

PET = SeriesGrid("pet", GRID, SERIES)


def read(tmp_path, rois, series=(PET,), change=None, **options):
    return read_rtstruct(
        write_rtstruct(tmp_path / "rs.dcm", rois, change=change), series=series, **options
    )


def cylinder(slices=(2, 3, 4), **options):
    return [circle(k, **options) for k in slices]


def codes(result):
    """Codes but that of coarse voxels: most circles here are only some voxels across."""
    return [f.code for f in result.findings if f.code != "W_RT_VOLUME"]


def refused(code, *args, **kwargs):
    with pytest.raises(EprimgError) as caught:
        read(*args, **kwargs)
    assert caught.value.code == code
    return caught.value


def test_numbers_names_roles_and_colours(tmp_path):
    result = read(
        tmp_path,
        [
            roi(5, "GTV 1", cylinder(radius_mm=5.0), colour=[1, 2, 3]),
            roi(9, "Liver", cylinder((6,), radius_mm=5.0), kind="ORGAN"),
            roi(3, "Oddity", cylinder((7,), radius_mm=5.0), kind="ORGAN"),
            roi(4, "Thing", cylinder((0,), radius_mm=5.0), kind=""),
        ],
    )
    (regions,) = result.value
    assert [(r.id, r.name, r.role, r.anatomy) for r in regions.regions] == [
        (3, "Oddity", RegionRole.REFERENCE, ""),
        (4, "Thing", RegionRole.LESION, ""),
        (5, "GTV 1", RegionRole.LESION, ""),
        (9, "Liver", RegionRole.REFERENCE, "liver"),
    ]
    regions.grid.require_match(GRID)
    about = regions.settings["rs.dcm"]
    assert about["colours"] == {"5": [1, 2, 3]}
    assert about["drawn_on"] == "pet"
    assert about["outlined_ml"]["5"] == pytest.approx(np.pi * 25 * 9 / 1000, rel=2e-3)
    assert codes(result) == ["W_LABEL_NAMES"]  # Thing


def test_what_is_no_tissue_is_left_out_in_words_and_can_be_asked_for(tmp_path):
    rois = [
        roi(1, "GTV", cylinder(radius_mm=4.0)),
        roi(2, "Body", cylinder((1,)), kind="EXTERNAL"),
        roi(3, "PTV_60", cylinder((1,)), kind=""),
        roi(4, "Boost", cylinder((6,)), kind="CTV"),
        roi(5, "iso", [circle(2)[:1]], types="POINT", kind="ISOCENTER"),
        roi(6, "nothing", []),
    ]
    result = read(tmp_path, rois)
    assert [r.name for s in result.value for r in s.regions] == ["GTV"]
    assert codes(result) == ["W_RT_SKIPPED"]
    finding = next(f for f in result.findings if f.code == "W_RT_SKIPPED")
    for said in (
        "Body (EXTERNAL)",
        "PTV_60 (a planning",
        "Boost (a planning",
        "iso (POINT",
        "nothing (no contour)",
    ):
        assert said in finding.text
    asked = read(tmp_path, rois, names={4: "lesion boost", 77: "liver"})
    assert [r.name for s in asked.value for r in s.regions] == ["GTV", "lesion boost"]
    assert codes(asked) == ["W_RT_SKIPPED", "W_SEG_EMPTY"]
    refused("E_SEG_EMPTY", tmp_path, rois[1:])


def test_regions_that_share_voxels_keep_all_of_them(tmp_path):
    result = read(
        tmp_path, [roi(1, "GTV", cylinder(radius_mm=6.0)), roi(2, "GTV edema", cylinder())]
    )
    inner, outer = result.value
    assert [r.id for s in result.value for r in s.regions] == [1, 2]
    assert (np.asarray(outer.labels)[np.asarray(inner.labels) == 1] == 2).all()
    assert codes(result) == ["W_SEG_OVERLAP"]
    text = next(f.text for f in result.findings if f.code == "W_SEG_OVERLAP")
    shared_ml = (np.asarray(inner.labels) == 1).sum() * 0.015  # voxels of 3 x 2.5 x 2 mm
    assert f"GTV and GTV edema ({shared_ml:.3g} mL)" in text
    with pytest.raises(EprimgError) as caught:
        read_regions(tmp_path / "rs.dcm")
    assert caught.value.code == "E_RT_GRID"


def test_one_bad_region_does_not_take_the_others_with_it(tmp_path):
    rois = [
        roi(1, "GTV", cylinder(radius_mm=6.0)),
        roi(2, "node", [circle(2)[:40]], types="OPEN_PLANAR"),
        roi(3, "mixed lesion", [circle(2), circle(3)[:9]], types=["CLOSED_PLANAR", "OPEN_PLANAR"]),
        roi(4, "tiny lesion", [circle(2, radius_mm=0.3)]),
        roi(6, "far lesion", [circle(2, centre=(80, 80))]),
        roi(7, "sparse lesion", cylinder((1, 3, 5))),
        roi(8, "other lesion", cylinder(), frame="2.25.77"),
    ]
    result = read(tmp_path, rois)
    assert [r.id for s in result.value for r in s.regions] == [1]
    found = {
        f.where.removesuffix(" in rs.dcm"): f for f in result.findings if f.code != "W_RT_VOLUME"
    }
    assert {k: f.code for k, f in found.items()} == {
        "rs.dcm": "W_RT_SKIPPED",
        "mixed lesion": "E_RT_CONTOUR",
        "tiny lesion": "E_SEG_EMPTY",
        "far lesion": "E_SEG_EMPTY",
        "sparse lesion": "E_RT_GAP",
        "other lesion": "E_FOR",
    }
    assert "half a voxel" in found["tiny lesion"].text
    assert "field of view" in found["far lesion"].text
    error = refused("E_RT_CONTOUR", tmp_path, rois[2:])
    assert [f.code for f in error.faults] == [
        "E_RT_CONTOUR",
        "E_SEG_EMPTY",
        "E_SEG_EMPTY",
        "E_RT_GAP",
        "E_FOR",
    ]


def test_the_series_that_was_drawn_on_goes_first(tmp_path):
    coarse = replace(GRID, shape=(4, 20, 24), affine=GRID.affine @ np.diag([2.0, 1, 1, 1]))
    rois = [roi(1, "GTV", cylinder(radius_mm=6.0))]
    for series, key in (
        ([SeriesGrid("ct", coarse, "2.25.9"), PET], "pet"),
        ([SeriesGrid("ct", coarse, f"2.25.9 {SERIES}"), PET], "ct"),
        ([SeriesGrid("other", replace(GRID, frame_of_reference="2.25.7"), SERIES), PET], "pet"),
    ):
        result = read(tmp_path, rois, series=series)
        assert result.value[0].settings["rs.dcm"]["drawn_on"] == key
    # a series of other slices cannot take them, another one of the frame can
    turned = GRID.affine[:, [1, 0, 2, 3]]
    sagittal = SeriesGrid("mr_pre", replace(GRID, affine=turned, shape=(20, 8, 24)), SERIES)
    result = read(tmp_path, rois, series=[sagittal, PET])
    assert result.value[0].settings["rs.dcm"]["drawn_on"] == "pet"
    refused("E_RT_PLANE", tmp_path, rois, series=[sagittal])
    refused("E_RT_GRID", tmp_path, rois, series=[])


def test_numbers_that_a_label_cannot_hold_are_replaced_and_told(tmp_path):
    result = read(
        tmp_path,
        [
            roi(1, "GTV a", [circle(2, radius_mm=6.0)]),
            roi(0, "GTV b", [circle(4, radius_mm=6.0)]),
            roi(99999, "GTV c", [circle(6, radius_mm=6.0)]),
        ],
    )
    named = {r.name: r.id for s in result.value for r in s.regions}
    assert named == {"GTV a": 1, "GTV b": 2, "GTV c": 3}
    assert codes(result) == ["I_IDS_SHIFTED"]
    said = next(f.text for f in result.findings if f.code == "I_IDS_SHIFTED")
    assert "0 became 2, 99999 became 3" in said


def test_outside_parts_and_coarse_voxels_are_told(tmp_path):
    half = [box(k, (1.5, 18.5), (5.5, 28.5)) for k in (2, 3)]  # columns end at 23.5
    result = read(tmp_path, [roi(1, "GTV", half)])
    assert codes(result) == ["W_RT_OUTSIDE"]
    assert "50.0 %" in result.findings[0].text
    small = [box(k, (1.5, 2.5), (2.5, 4.9)) for k in (2, 3)]  # 2.4 columns become 2
    result = read(tmp_path, [roi(1, "GTV", small)])
    (finding,) = result.findings
    assert finding.code == "W_RT_VOLUME"
    assert "enclose 0.072 mL" in finding.text  # 2 x 1 x 2.4 voxels of 0.015 mL
    assert "hold 0.06 mL" in finding.text


def test_gaps_are_filled_when_the_settings_say_so(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [roi(1, "GTV", cylinder((1, 3, 5)))])
    with pytest.raises(EprimgError, match="E_RT_GAP"):
        read_region_sets(path, series=[PET])
    config = ReadConfig(contour_gaps="interpolate")
    (regions,) = read_region_sets(path, series=[PET], config=config).value
    assert (np.asarray(regions.labels)[1:6] == 1).any(axis=(1, 2)).all()
    assert regions.settings["rs.dcm"]["gaps"] == "interpolated"


def test_through_the_index_and_the_study_file(tmp_path):
    """PET of 6 x 6 x 5 voxels; the box takes rows 1 to 3 and columns 1 to 3 of two slices."""
    folder = tmp_path / "study"
    write_pet(folder / "pet", n_slices=6)
    (entry,) = scan(folder).series
    frame, (uid,) = entry.frame_of_reference, entry.series_uids
    grid = read_series(entry, role=Role.PET, config=Config()).value.grid
    drawn = [box(k, (0.5, 0.5), (3.5, 3.5), grid=grid) for k in (2, 3)]

    def same_patient(d):
        d.StudyInstanceUID = entry.study_uid

    rois = [roi(1, "GTV", drawn, frame=frame)]
    write_rtstruct(folder / "rs.dcm", rois, frame=frame, series=uid, change=same_patient)
    (regions,) = read_study(folder).value.regions
    expected = np.zeros(grid.shape, dtype=int)
    expected[2:4, 1:4, 1:4] = 1
    np.testing.assert_array_equal(regions.labels, expected)
    # named in study.toml, with another name
    spoken = tmp_path / "study.toml"
    spoken.write_text('[[masks]]\npath = "study/rs.dcm"\non = "pet"\nnames = {1 = "spleen"}\n')
    (named,) = read_study(folder, study_file=spoken).value.regions
    assert named.reference("spleen").id == 1
    # one that was found by chance and does not fit is left out, in words; a named one is refused
    rois[0]["frame"] = "2.25.6"
    write_rtstruct(folder / "rs.dcm", rois, frame="2.25.6", series=uid, change=same_patient)
    result = read_study(folder)
    assert result.value.regions == ()
    assert [f.code for f in result.findings if f.severity == "error"] == ["E_FOR"]
    with pytest.raises(EprimgError, match="E_FOR"):
        read_study(folder, study_file=spoken)


@pytest.mark.real_data
def test_a_real_structure_set_gives_the_published_numbers(real_data):
    """STS_001: 366.079 mL, SUVmax 7.9107, SUVmean 2.5551 (IBSI validation set, its SOURCE.md).

    The SUV factor 2.429029766e-4 is that of the same SOURCE.md.
    """
    folder = real_data / "pet" / "sts001_ge_fdg_dicom"
    (entry,) = scan(folder / "PT").series
    series = read_series(entry, role=Role.PET, config=Config()).value
    path = folder / "RTSTRUCT" / "1-1.dcm"
    result = read_rtstruct(path, series=[SeriesGrid("pet", series.grid, series.source_uid)])
    mass = next(s for s in result.value for r in s.regions if r.name == "GTV_Mass")
    inside = np.asarray(mass.labels) == 1
    suv = np.asarray(series.pixels.data)[inside] * 2.429029766e-4
    assert inside.sum() * series.grid.voxel_volume_ml == pytest.approx(366.079, rel=0.01)
    assert suv.max() == pytest.approx(7.9107, rel=0.005)
    assert suv.mean(dtype=np.float64) == pytest.approx(2.5551, rel=0.005)
    assert codes(result) == ["W_SEG_OVERLAP"]
    published = np.asarray(nib.load(folder / "reference_suv" / "PET_mask.nii.gz").dataobj) > 0
    dice = 2 * _shared(published, inside) / (published.sum() + inside.sum())
    assert dice > 0.99


def _shared(published, inside):
    """Voxels in common; the published crop starts at slice 0, its i and j run backwards."""
    i, j, k = published.shape
    # LPS x of the first crop voxel is -21.09375 mm, of the series -297.65625 mm, 4.6875 mm each
    low = round((-21.09375 + 297.65625) / 4.6875), round((-86.71875 + 297.65625) / 4.6875)
    crop = inside[:k, low[1] : low[1] + j, low[0] : low[0] + i]
    return int((crop & published.transpose(2, 1, 0)).sum())


def test_what_was_assumed_stands_in_the_refusal_of_a_region_without_voxels(tmp_path):
    # One outline twice, 0.1 mm apart: read as a hole it leaves a ring of 0.1 mm.
    twice = [c for k in (2, 3, 4) for c in (circle(k), circle(k, radius_mm=11.9))]
    error = refused("E_SEG_EMPTY", tmp_path, [roi(1, "GTV", twice)])
    assert "taken as holes (in 3 of 3 planes)" in error.message
    assert "whether one outline is there twice" in str(error)
    # Drawn on another series, and thinner than half a slice of this one (1 of 3 mm).
    other = (SeriesGrid("pet", GRID, "2.25.9"),)
    thin = [roi(1, "GTV", [circle(3)], slab_mm=1.0)]
    error = refused("E_SEG_EMPTY", tmp_path, thin, series=other)
    assert "Contour Slab Thickness (3006,0044) is 1 mm" in error.message
    assert "there twice" not in str(error)
