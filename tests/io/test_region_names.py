"""Names of regions."""

from __future__ import annotations

import pytest

from eprimg.errors import InputError
from eprimg.io.region_names import region_from_name, region_from_record
from eprimg.model.lesions import Region, RegionRole, RegionSource


@pytest.mark.parametrize(
    ("name", "role", "anatomy"),
    [
        ("liver", "reference", "liver"),
        ("Liver", "reference", "liver"),
        ("spleen", "reference", "spleen"),
        ("aorta", "reference", "blood"),
        ("blood_pool", "reference", "blood"),
        ("psoas muscle left", "reference", "muscle"),
        ("kidney-right", "reference", "kidney"),
        ("left kidney", "reference", "kidney"),
        ("vertebra", "reference", "marrow"),
        ("L3", "reference", "marrow"),
        ("bone marrow", "reference", "marrow"),
        ("pancreas", "reference", ""),
        ("lesion-3", "lesion", ""),
        ("lesion1", "lesion", ""),
        ("liver metastasis 2", "lesion", ""),
        ("Tumour A", "lesion", ""),
        ("GTV1", "lesion", ""),
        ("background", "exclude", ""),
        ("Exclude", "exclude", ""),
    ],
)
def test_roles_and_anatomy(name, role, anatomy):
    region = region_from_name(4, name)
    assert (region.id, region.name) == (4, name)
    assert region.role == RegionRole(role)
    assert region.anatomy == anatomy
    assert region.notes == ()


def test_a_name_that_says_nothing_is_a_lesion_with_a_note():
    region = region_from_name(1, "A")
    assert region.role == RegionRole.LESION
    assert region.notes


def test_coded_property_goes_before_the_name():
    assert region_from_name(1, "liver", property_meaning="Neoplasm").role == RegionRole.LESION
    assert region_from_name(1, "A", property_meaning="Right kidney").anatomy == "kidney"
    assert region_from_name(1, "spleen", property_meaning="Organ").anatomy == "spleen"


def test_a_table_of_our_own_label_file() -> None:
    table = {
        "name": "lesion-1",
        "role": "lesion",
        "anatomy": "",
        "source": "candidate",
        "tracking_uid": "1.2.3",
    }
    region = region_from_record(4, table, where="labels.json")
    assert region == Region(4, "lesion-1", RegionRole.LESION, tracking_uid="1.2.3")
    assert region.source == RegionSource.MASK


def test_a_table_without_a_role_is_read_by_its_name() -> None:
    region = region_from_record(1, {"name": "Liver", "tracking_uid": None}, where="x.json")
    assert region == region_from_name(1, "Liver")


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"name": " "},
        {"name": 3},
        {"name": "a", "role": "tumour"},
        {"name": "a", "role": "reference", "anatomy": "Leber"},
        {"name": "a", "anatomy": "liver"},
        {"name": "a", "tracking_uid": 12},
    ],
)
def test_faulty_tables(table: dict[str, object]) -> None:
    with pytest.raises(InputError, match="E_SEG_LABELS.*label 1"):
        region_from_record(1, table, where="labels.json")


def test_a_reference_table_without_an_organ_is_the_organ_of_its_name() -> None:
    def organ(**table: object) -> str:
        return region_from_record(1, table, where="organs.json").anatomy

    assert organ(name="liver", role="reference") == "liver"
    assert organ(name="Aorta", role="reference") == "blood"
    # what is written stays: an organ, that there is none, another role, a lesion in an organ
    assert organ(name="liver", role="reference", anatomy="spleen") == "spleen"
    assert organ(name="liver", role="reference", anatomy="") == ""
    assert organ(name="liver", role="exclude") == ""
    assert organ(name="liver metastasis", role="reference") == ""
