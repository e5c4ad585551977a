from dataclasses import replace

import pytest

from eprimg.io.pet_checks import ENHANCED_PET, header_faults
from tests.io.pet_headers import slices, zr89


def judged(header):
    findings, faults = [], []
    header_faults(header, findings, faults)
    return [f.code for f in findings], [f.code for f in faults]


def test_a_good_series_passes():
    assert judged(zr89()) == ([], [])


@pytest.mark.parametrize("kind", ["", "MAYBE"])
def test_an_unknown_decay_correction_is_refused(kind):
    assert judged(zr89(decay_correction=kind))[1] == ["E_DECAY"]


@pytest.mark.parametrize(
    ("done", "kind", "expected"),
    [
        (("DECY", "SCAT"), "START", ["E_UNCORRECTED"]),
        (("ATTN", "SCAT"), "START", ["E_UNCORRECTED"]),
        (("ATTN", "SCAT"), "ADMIN", ["E_UNCORRECTED"]),
        (("ATTN", "SCAT"), "NONE", []),
        ((), "START", ["E_UNCORRECTED", "E_UNCORRECTED"]),
    ],
)
def test_corrections_that_suv_needs(done, kind, expected):
    assert judged(zr89(corrections=done, decay_correction=kind))[1] == expected


def test_doubtful_corrections_are_told():
    assert judged(zr89(corrections=("ATTN", "DECY")))[0] == ["W_NO_SCATTER"]
    assert judged(zr89(decay_correction="NONE"))[0] == ["W_DECAY_CONFLICT"]


def test_rescale():
    assert judged(zr89(slices=slices(intercept=1.0)))[1] == ["E_PET_INTERCEPT"]
    assert judged(zr89(slices=slices(slope=0.0)))[1] == ["E_PET_SLOPE"]
    assert judged(zr89(slices=slices(slope=None)))[1] == ["E_PET_SLOPE"]


def test_two_administrations_are_refused():
    assert judged(zr89(n_administrations=2))[1] == ["E_SUV_ADMINISTRATIONS"]


def test_several_frames_per_position_are_refused():
    later = tuple(replace(s, acquisition_time="104000") for s in slices())
    assert judged(zr89(slices=slices() + later))[1] == ["E_PET_FRAMES"]
    gated = zr89(slices=slices() + slices(), series_type=("GATED", "IMAGE"))
    assert judged(gated)[1] == ["E_PET_FRAMES"]
    single = judged(zr89(series_type=("DYNAMIC", "IMAGE")))
    assert single == (["W_PET_FRAME"], [])


def test_none_needs_the_duration_of_every_frame():
    pieces = (*slices(3), replace(slices(1)[0], duration_s=None, position=(0.0, 0.0, 99.0)))
    header = zr89(decay_correction="NONE", corrections=("ATTN", "SCAT"), slices=pieces)
    assert judged(header)[1] == ["E_PET_DURATION"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.7"}, "E_PET_KIND"),
        ({"modality": "NM"}, "E_PET_KIND"),
        ({"image_type": ("DERIVED", "SECONDARY", "MIP")}, "E_PET_KIND"),
        ({"series_type": ("WHOLE BODY", "REPROJECTION")}, "E_PET_KIND"),
    ],
)
def test_other_objects_are_refused(change, code):
    assert judged(zr89(**change))[1] == [code]


def test_an_empty_manufacturer_is_told():
    assert judged(zr89(manufacturer=""))[0] == ["W_MANUFACTURER"]


@pytest.mark.parametrize("sop_class", sorted(ENHANCED_PET))
def test_multi_frame_pet_goes_through_the_same_checks(sop_class):
    assert judged(zr89(sop_class=sop_class)) == ([], [])
    assert judged(zr89(sop_class=sop_class, corrections=("SCAT",)))[1] == ["E_UNCORRECTED"] * 2
