"""Names of regions."""

from __future__ import annotations

import pytest

from eprimg.io.region_names import region_from_name
from eprimg.model.lesions import RegionRole


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
