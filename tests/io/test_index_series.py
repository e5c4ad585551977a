"""Grouping frames into series."""

from __future__ import annotations

from eprimg.io.headers import read_headers
from eprimg.io.index_series import dicom_entries
from tests.io.dicom_factory import write_mr, write_pet


def entries(paths):
    return dicom_entries([i for p in paths for i in read_headers(p, findings=[])])


def one_echo(folder, number, time, *, series, description="GRE", position=None, tr=20):
    def change(d, k, e):
        d.SeriesNumber, d.SeriesDescription, d.RepetitionTime = number, description, tr
        if position is not None:
            d.ImagePositionPatient = [x + position for x in d.ImagePositionPatient]

    return write_mr(
        folder / str(number), echo_times_ms=(time,), study="2.25.1", series=series, change=change
    )


def test_echoes_of_several_series_are_joined_and_it_is_said(tmp_path):
    paths = [
        p
        for n, t in enumerate((6.0, 2.0, 4.0), start=1)
        for p in one_echo(tmp_path, n, t, series=f"2.25.1.{n}", description=f"GRE_e{n}")
    ]
    (entry,) = entries(paths)
    assert entry.echo_times_ms == (2.0, 4.0, 6.0)
    assert (entry.n_files, entry.n_frames) == (12, 12)
    assert len(entry.series_uids) == 3
    assert entry.shape == "4 x 6 x 5, 3 echoes"
    assert [f.code for f in entry.findings] == ["I_ECHO_JOINED"]


def test_different_geometry_timing_or_name_is_never_joined(tmp_path):
    base = one_echo(tmp_path, 1, 2.0, series="2.25.1.1")
    for number, kwargs in enumerate(
        ({"position": 5.0}, {"tr": 30}, {"description": "T2 TSE"}), start=2
    ):
        paths = one_echo(tmp_path, number, 4.0, series=f"2.25.1.{number}", **kwargs)
        assert len(entries([*base, *paths])) == 2


def test_repeated_echo_times_are_not_joined(tmp_path):
    paths = [
        p
        for n, t in enumerate((2.0, 4.0, 2.0), start=1)
        for p in one_echo(tmp_path, n, t, series=f"2.25.1.{n}")
    ]
    found = entries(paths)
    assert len(found) == 3
    assert all([f.code for f in e.findings] == ["W_ECHO_SPLIT"] for e in found)


def test_missing_end_slice_of_a_pet_is_noticed_by_its_count(tmp_path):
    (entry,) = entries(write_pet(tmp_path, keep=lambda k, e: k < 3))
    assert [f.code for f in entry.findings] == ["W_SLICE_COUNT"]
    assert "says 4, 3 positions" in entry.findings[0].text


def test_dropped_and_lossy_frames_are_said(tmp_path):
    def change(d, k, e):
        if e == 1:
            d.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]
        d.LossyImageCompression = "01"

    (entry,) = entries(write_mr(tmp_path, change=change))
    assert entry.dropped == (("phase frames", 4),)
    assert [f.code for f in entry.findings] == ["I_DROPPED", "W_LOSSY"]


def test_objects_that_are_no_volumes(tmp_path):
    def report(d, k, e):
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
        d.Modality = "SR"

    (entry,) = entries(write_mr(tmp_path, n_slices=1, echo_times_ms=(2,), change=report))
    assert entry.key == "sr-1"


def test_instants_fall_back_to_series_and_study(tmp_path):
    def no_acquisition(d, k, e):
        del d.AcquisitionDate
        del d.AcquisitionTime

    def nothing(d, k, e):
        no_acquisition(d, k, e)
        d.SeriesDate, d.StudyDate = "", "20240230"

    (entry,) = entries(write_mr(tmp_path / "a", change=no_acquisition))
    assert entry.instant.isoformat() == "2024-03-01T09:05:00"
    (entry,) = entries(write_mr(tmp_path / "b", change=nothing))
    assert entry.instant is None
