"""Proposed roles: agent phase, PET, CT, and honest doubt."""

from __future__ import annotations

import pytest

from eprimg.io.index import scan
from eprimg.model.study import Role
from tests.io.dicom_factory import write_ct, write_mr, write_pet


def stack(
    folder,
    number,
    *,
    date="20240301",
    description="GRE",
    agent=None,
    study=None,
    study_description=None,
    time="090600",
):
    def change(d, k, e):
        d.SeriesNumber, d.SeriesDescription = number, description
        d.AcquisitionDate, d.AcquisitionTime = date, time
        if agent is not None:
            d.ContrastBolusAgent = agent
        if study_description is not None:
            d.StudyDescription = study_description

    write_mr(
        folder / str(number),
        n_slices=2,
        study=study or f"2.25.{number}",
        series=f"2.25.{number}.5",
        change=change,
    )


def roles(folder):
    index = scan(folder)
    return {s.key: str(s.role) for s in index.series}, [f.code for f in index.findings], index


def test_agent_tag_wins(tmp_path):
    stack(tmp_path, 1, agent="Ferumoxytol 4 mg/kg", date="20240302")
    stack(tmp_path, 2, date="20240301")
    found, codes, index = roles(tmp_path)
    assert found == {"mr-1": "mr_post", "mr-2": "mr_pre"}
    assert codes == []
    assert "(0018,0010)" in next(s.reason for s in index.series if s.key == "mr-1")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("GRE pre", "GRE post"),
        ("R2star GRE pre ferumoxytol", "R2star GRE 24 h post ferumoxytol"),
        ("native", "24h"),
        ("baseline_R2s", "R2s_feraheme"),
        ("GRE", "GRE delayed"),
        ("GRE before agent", "GRE"),
    ],
)
def test_words_in_the_description(tmp_path, first, second):
    # dates run the other way round for none of these: the words alone decide
    stack(tmp_path, 1, description=first, date="20240301")
    stack(tmp_path, 2, description=second, date="20240302")
    found, codes, _ = roles(tmp_path)
    assert found == {"mr-1": "mr_pre", "mr-2": "mr_post"}
    assert codes == []


def test_dates_alone_are_a_rule_that_is_said(tmp_path):
    stack(tmp_path, 7, date="20240302")
    stack(tmp_path, 8, date="20240301")
    found, codes, _ = roles(tmp_path)
    assert found == {"mr-8": "mr_pre", "mr-7": "mr_post"}
    assert codes == ["W_AGENT_PHASE_BY_TIME"]


def test_two_stacks_of_one_session_stay_open(tmp_path):
    stack(tmp_path, 1, study="2.25.9", time="090000")
    stack(tmp_path, 2, study="2.25.9", time="091000")
    found, codes, index = roles(tmp_path)
    assert set(found.values()) == {"unused"}
    assert codes == ["W_ROLE_AMBIGUOUS"]
    assert all("study.toml" in s.reason for s in index.series)


def test_words_against_dates_stay_open(tmp_path):
    stack(tmp_path, 1, description="GRE post", date="20240301")
    stack(tmp_path, 2, description="GRE pre", date="20240305")
    found, codes, _ = roles(tmp_path)
    assert set(found.values()) == {"unused"}
    assert "W_AGENT_ORDER" in codes


def test_sessions_after_the_agent_are_time_points(tmp_path):
    stack(tmp_path, 1, description="GRE pre", date="20240301")
    stack(tmp_path, 3, description="GRE post 24 h", date="20240302")
    stack(tmp_path, 2, description="GRE post 72 h", date="20240304")
    found, codes, index = roles(tmp_path)
    assert found == {"mr-1": "mr_pre", "mr-3": "mr_post", "mr-2": "mr_post"}
    assert codes == []
    reasons = {s.key: s.reason for s in index.series}
    assert reasons["mr-2"].endswith("session 2 of 2 after the agent")


@pytest.mark.parametrize(
    "third",
    [
        {"date": "20240304", "study": "2.25.2"},  # a second stack of one session
        {"date": "20240302", "time": "093000"},  # half an hour later
        {"date": "20240229"},  # before the one that is said to be before the agent
    ],
)
def test_stacks_after_the_agent_that_dates_do_not_tell_apart_stay_open(tmp_path, third):
    stack(tmp_path, 1, description="GRE pre", date="20240301")
    stack(tmp_path, 2, description="GRE post 24 h", date="20240302", time="090000")
    stack(tmp_path, 3, description="GRE post", **third)
    found, codes, _ = roles(tmp_path)
    assert found == {"mr-1": "mr_pre", "mr-2": "unused", "mr-3": "unused"}
    assert codes == ["W_ROLE_AMBIGUOUS"]


def test_gadolinium_is_no_sign_of_a_nanoparticle(tmp_path):
    stack(tmp_path, 1, agent="Gadovist")
    found, _, index = roles(tmp_path)
    assert found == {"mr-1": "mr_pre"}
    assert "only stack" in index.series[0].reason


def test_single_marked_post_stack(tmp_path):
    stack(tmp_path, 1, agent="Feraheme")
    assert roles(tmp_path)[0] == {"mr-1": "mr_post"}


def test_single_echo_and_spin_echo_are_no_stacks(tmp_path):
    write_mr(tmp_path / "a", echo_times_ms=(2.5,), study="2.25.1", series="2.25.1.1")

    def spin(d, k, e):
        d.ScanningSequence, d.SeriesNumber = "SE", 2

    write_mr(tmp_path / "b", study="2.25.1", series="2.25.1.2", change=spin)
    found, _, index = roles(tmp_path)
    assert found == {"mr-1": "unused", "mr-2": "unused"}
    reasons = {s.key: s.reason for s in index.series}
    assert "one magnitude echo only (2.5 ms)" in reasons["mr-1"]
    assert "not R2*" in reasons["mr-2"]


def test_uncorrected_pet_is_left_out(tmp_path):
    write_pet(tmp_path / "ac")

    def nac(d, k, e):
        d.SeriesNumber, d.CorrectedImage = 2, ["DECY", "NORM"]

    write_pet(tmp_path / "nac", series="2.25.399", change=nac)
    found, _, index = roles(tmp_path)
    assert found == {"pt-1": "pet", "pt-2": "unused"}
    assert "ATTN" in next(s.reason for s in index.series if s.key == "pt-2")


def test_two_pets_stay_open_and_dynamic_pet_is_noticed(tmp_path):
    def second(d, k, e):
        d.SeriesNumber = 2

    write_pet(tmp_path / "a" / "1")
    write_pet(tmp_path / "a" / "2", series="2.25.399", change=second)
    found, codes, _ = roles(tmp_path / "a")
    assert set(found.values()) == {"unused"}
    assert codes == ["W_ROLE_AMBIGUOUS"]
    write_pet(tmp_path / "b" / "1")

    def later(d, k, e):
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"2.25.77.{k + 1}"

    write_pet(tmp_path / "b" / "2", change=later)
    found, codes, index = roles(tmp_path / "b")
    assert found == {"pt-1": "unused"}
    assert codes == ["W_PET_FRAMES"]
    assert index.series[0].shape.endswith("2 frames per position")


def test_ct_goes_with_the_pet(tmp_path):
    write_pet(tmp_path / "pet")
    write_ct(tmp_path / "ct")

    def far(d, k, e):
        d.SeriesNumber, d.FrameOfReferenceUID = 2, "2.25.5.5"

    write_ct(tmp_path / "far", series="2.25.388", change=far)
    index = scan(tmp_path)
    found = {s.key: s.role for s in index.series}
    assert found == {"pt-1": Role.PET, "ct-1": Role.CT, "ct-2": Role.UNUSED}


def test_structure_sets_and_other_objects(tmp_path):
    def structures(d, k, e):
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
        d.Modality = "RTSTRUCT"

    def report(d, k, e):
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
        d.Modality = "SR"

    for n, change in enumerate((structures, report), start=1):
        write_mr(
            tmp_path / str(n), n_slices=1, echo_times_ms=(2,), series=f"2.25.1.{n}", change=change
        )
    found, _, index = roles(tmp_path)
    assert found == {"rtstruct-1": "regions", "sr-1": "unused"}
    assert index.series[0].reason == "RT structure set"


def test_several_ct_series_and_phase_only(tmp_path):
    for n in (1, 2):

        def change(d, k, e, n=n):
            d.SeriesNumber = n

        write_ct(tmp_path / str(n), series=f"2.25.1.{n}", change=change)

    def phase(d, k, e):
        d.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]

    write_mr(tmp_path / "p", change=phase)
    found, codes, index = roles(tmp_path)
    assert set(found.values()) == {"unused"}
    assert codes == ["W_ROLE_AMBIGUOUS"]
    assert "nothing but 12 phase frames" in {s.reason for s in index.series}


def pet_of_day(folder, day, change=None):
    def dated(d, k, e):
        d.SeriesNumber = day
        d.SeriesDate = d.AcquisitionDate = f"202403{day:02d}"
        d.FrameOfReferenceUID = f"2.25.9.{day}"
        if change is not None:
            change(d)

    ids = {"study": f"2.25.30{day}", "series": f"2.25.40{day}"}
    write_pet(folder / str(day), change=dated, **ids)


def test_pet_sessions_after_one_injection_are_time_points(tmp_path):
    for day in (1, 4):
        pet_of_day(tmp_path, day)

        def of_day(d, k, e, day=day):
            d.SeriesNumber, d.FrameOfReferenceUID = day, f"2.25.9.{day}"

        write_ct(tmp_path / f"ct{day}", series=f"2.25.38{day}", change=of_day)
    found, codes, index = roles(tmp_path)
    assert found == {"pt-1": "pet", "pt-4": "pet", "ct-1": "ct", "ct-4": "ct"}
    assert codes == []
    assert "session 2 of 2 after one injection" in {s.key: s.reason for s in index.series}["pt-4"]


def of_agent(name, value):
    def change(d):
        setattr(d.RadiopharmaceuticalInformationSequence[0], name, value)

    return change


@pytest.mark.parametrize(
    "change",
    [
        of_agent("RadionuclideTotalDose", 35e6),
        of_agent("RadiopharmaceuticalStartDateTime", "20240228090500"),
        of_agent("RadiopharmaceuticalStartDateTime", ""),
        lambda d: setattr(
            d.RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence[0],
            "CodeValue",
            "C-127A2",
        ),
        lambda d: delattr(d, "RadiopharmaceuticalInformationSequence"),
    ],
)
def test_pet_sessions_that_may_be_of_two_injections_stay_open(tmp_path, change):
    pet_of_day(tmp_path, 1)
    pet_of_day(tmp_path, 4, change)
    found, codes, _ = roles(tmp_path)
    assert set(found.values()) == {"unused"}
    assert codes == ["W_ROLE_AMBIGUOUS"]
