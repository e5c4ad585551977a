from datetime import datetime

import pytest
from pydicom.dataset import Dataset

from eprimg.io.pet_header import header_from_datasets
from eprimg.io.pet_rules import pet_acquisition
from eprimg.model.case import Severity
from tests.io.pet_headers import f18, zr89


def found(header):
    return {f.code: f for f in pet_acquisition(header).findings}


def test_the_private_administration_time_of_ge_is_compared():
    assert "W_INJECTION_TIME" not in found(f18(private_injection="20240104093030"))
    told = found(f18(private_injection="20240104091500"))["W_INJECTION_TIME"]
    assert told.severity is Severity.WARNING
    assert "09:15:00" in told.text
    assert "W_INJECTION_TIME" not in found(f18(private_injection="unreadable"))
    assert pet_acquisition(
        f18(private_injection="20240104091500")
    ).value.injection.instant.value == (datetime(2024, 1, 4, 9, 30))


def test_a_factor_without_its_creator_is_told():
    header = zr89(units="CNTS", philips_suv_factor=0.5, creator_stripped=True)
    assert "W_PRIVATE_CREATOR" in found(header)
    assert "W_PRIVATE_CREATOR" not in found(zr89(philips_suv_factor=0.5, creator_stripped=True))


def private(block=0x10, creator="Philips PET Private Group", manufacturer="Philips", **more):
    made = Dataset()
    made.Manufacturer = manufacturer
    if creator:
        made.add_new((0x7053, block), "LO", creator)
    made.add_new((0x7053, block << 8 | 0x00), "DS", more.get("suv", "0.5"))
    made.add_new((0x7053, block << 8 | 0x09), "DS", more.get("activity", "3"))
    return header_from_datasets([made], ["one"])[0]


@pytest.mark.parametrize("block", [0x10, 0x11, 0x42])
def test_private_factors_are_found_through_their_creator_at_any_block(block):
    header = private(block)
    assert (header.philips_suv_factor, header.philips_activity_factor) == (0.5, 3.0)
    assert not header.creator_stripped


def test_private_elements_of_others_are_left_alone():
    other = private(creator="SOMEBODY ELSE")
    assert (other.philips_suv_factor, other.philips_activity_factor) == (None, None)
    unowned = private(creator="", manufacturer="SIEMENS")
    assert unowned.philips_suv_factor is None
    stripped = private(creator="")
    assert (stripped.philips_suv_factor, stripped.creator_stripped) == (0.5, True)
    moved = private(0x11, creator="")
    assert moved.philips_suv_factor is None


@pytest.mark.parametrize("value", ["0", "-1", ""])
def test_a_factor_that_is_not_positive_counts_as_absent(value):
    assert private(suv=value).philips_suv_factor is None


@pytest.mark.parametrize(
    ("group", "creator", "element"),
    [(0x0009, "GEMS_PETD_01", 0x0D), (0x0071, "SIEMENS MED PT", 0x22)],
)
@pytest.mark.parametrize("block", [0x10, 0x21])
def test_private_date_times_are_found_at_any_block(group, creator, element, block):
    made = Dataset()
    made.add_new((group, block), "LO", creator)
    made.add_new((group, block << 8 | element), "DT", "20240104100000")
    header, faults = header_from_datasets([made], ["one"])
    assert faults == []
    assert header.private_decay == "20240104100000"
    assert creator in header.private_decay_where
