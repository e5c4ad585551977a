"""What a structure set says, and what is no structure set."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from eprimg.errors import EprimgError
from eprimg.io.rtstruct_file import read_structure_set
from tests.io.dicom_factory import write_pet
from tests.io.rtstruct_factory import FRAME, SERIES, box, circle, roi, write_rtstruct


def test_names_types_colours_and_points(tmp_path):
    one, two = circle(2), box(3, (1, 1), (4, 5))
    path = write_rtstruct(
        tmp_path / "rs.dcm",
        [
            roi(7, "GTV_Mass", [one], colour=["255", "0", "16"]),
            roi(2, " Liver ", [two, two], kind="organ", slab_mm="3.5", colour=[300, 0, 0]),
        ],
    )
    found = read_structure_set(path)
    assert (found.label, found.series_uids, found.sop_uid) == ("drawn", (SERIES,), "2.25.502.1")
    mass, liver = found.outlines
    assert (mass.number, mass.name, mass.kind, mass.algorithm) == (7, "GTV_Mass", "GTV", "MANUAL")
    assert (mass.frame_of_reference, mass.colour) == (FRAME, (255, 0, 16))
    np.testing.assert_allclose(mass.contours[0].points_mm, one, atol=5.1e-5)
    assert (liver.name, liver.kind, liver.colour) == ("Liver", "ORGAN", None)
    assert [c.slab_mm for c in liver.contours] == [3.5, 3.5]
    assert mass.faults == liver.faults == ()


def test_a_frame_that_stands_once_for_all(tmp_path):
    def change(d):
        del d.StructureSetROISequence[0].ReferencedFrameOfReferenceUID

    path = write_rtstruct(tmp_path / "rs.dcm", [roi(1, "GTV", [circle(2)])], change=change)
    assert read_structure_set(path).outlines[0].frame_of_reference == FRAME


def _set_points(d, value, count=None):
    contour = d.ROIContourSequence[0].ContourSequence[0]
    if value is None:
        del contour.ContourData
    else:
        contour.ContourData = value
    contour.NumberOfContourPoints = len(value or []) // 3 if count is None else count


@pytest.mark.parametrize(
    ("value", "count"),
    [(["1", "2"], 1), (["1", "2", "NaN"], 1), (["1", "2", "1e400"], 1), (["1", "2", "3"], 4)],
)
def test_points_that_are_none_spoil_their_region_alone(tmp_path, value, count):
    path = write_rtstruct(
        tmp_path / "rs.dcm",
        [roi(1, "GTV", [circle(2)]), roi(2, "liver", [circle(3)])],
        change=lambda d: _set_points(d, value, count),
    )
    bad, good = read_structure_set(path).outlines
    assert [f.code for f in bad.faults] == ["E_RT_CONTOUR"]
    assert "GTV in rs.dcm" in str(bad.faults[0])
    assert good.faults == ()
    assert bad.contours == ()


def test_a_contour_without_data_has_no_points(tmp_path):
    path = write_rtstruct(
        tmp_path / "rs.dcm", [roi(1, "GTV", [circle(2)])], change=lambda d: _set_points(d, None)
    )
    (only,) = read_structure_set(path).outlines
    assert only.faults == ()
    assert len(only.contours[0].points_mm) == 0


def refused(path):
    with pytest.raises(EprimgError) as caught:
        read_structure_set(path)
    assert caught.value.code == "E_RT_READ"
    return str(caught.value)


def test_what_is_no_structure_set(tmp_path):
    refused(write_pet(tmp_path / "pet", n_slices=1)[0])
    (tmp_path / "text.dcm").write_text("nothing of the kind")
    refused(tmp_path / "text.dcm")
    refused(tmp_path / "not there.dcm")
    rois = [roi(1, "GTV", [circle(2)])]
    path = write_rtstruct(tmp_path / "rs.dcm", rois)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(path.read_bytes()[:400])
    refused(cut)
    assert "no region" in refused(write_rtstruct(tmp_path / "none.dcm", []))
    assert "more than once: 1" in refused(write_rtstruct(tmp_path / "twice.dcm", rois * 2))


def test_an_outline_without_a_drawing(tmp_path):
    def change(d):
        d.ROIContourSequence = pydicom.Sequence([])
        d.RTROIObservationsSequence = pydicom.Sequence([])

    path = write_rtstruct(tmp_path / "rs.dcm", [roi(1, "GTV", [circle(2)])], change=change)
    (only,) = read_structure_set(path).outlines
    assert (only.contours, only.kind, only.colour) == ((), "", None)
