"""Tables: columns, empty cells, spreadsheet safety, every number with its unit."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from eprimg.io.write_tables import column_dictionary, lesions_csv, measurements_csv
from eprimg.model.tiers import Tier
from tests import tiny_case


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_lesions_first_then_references_with_tiers() -> None:
    first, second = rows(lesions_csv(tiny_case.case()))
    assert first["region_id"] == "1"
    assert first["name"] == "'=lesion-1"  # a spreadsheet must not run it
    assert float(first["volume_ml"]) == 0.036
    assert float(first["r2star_pre_median_per_s"]) == 28.5
    assert float(first["r2star_pre_median_per_s_se"]) == 0.25
    assert first["n_voxels_pre"] == "4"
    assert first["dr2star_median_per_s"] == ""  # not measured is empty, never 0
    assert first["pid_per_kg_peak_se"] == ""
    assert first["tier"] == first["tier_demo-scheme"] == "high"
    assert first["tier_scheme"] == "demo-scheme"
    assert float(first["tier_confidence_demo-scheme"]) == 0.97
    assert first["tier_notice"] == "example, not validated"
    assert first["notes"] == "touches the edge"
    assert first["not_tiered_because"] == ""
    assert (second["name"], second["role"]) == ("spleen", "reference")
    assert second["tier"] == second["tier_confidence"] == second["tier_scheme"] == ""


def test_the_tier_column_never_mixes_schemes() -> None:
    case = tiny_case.case()
    assert case.lesions is not None
    lesion, spleen = case.lesions.regions
    none = Tier("demo-scheme", "not tiered", tiny_case.NAN, "none: not tiered", "too small")
    other = replace(lesion.tiers[0], scheme="other-scheme", label="rising")
    case = replace(
        case,
        schemes=(*case.schemes, replace(case.schemes[0], key="other-scheme", quantity="dr2star")),
        lesions=case.lesions.with_regions((replace(lesion, tiers=(other, none)), spleen)),
    )
    first, _ = rows(lesions_csv(case))
    assert (first["tier"], first["tier_scheme"]) == ("not tiered", "demo-scheme")
    assert first["tier_confidence"] == ""
    assert first["tier_other-scheme"] == "rising"
    assert first["not_tiered_because"] == "demo-scheme: too small"


def test_the_header_is_the_column_dictionary() -> None:
    header = lesions_csv(tiny_case.case()).splitlines()[0].split(",")
    assert header == [c["name"] for c in column_dictionary(("demo-scheme",))]
    assert all(c["text"] for c in column_dictionary())


def test_measurements_have_unit_uncertainty_voxels_and_grid() -> None:
    volume, r2star, peak = rows(measurements_csv(tiny_case.case()))
    assert (volume["quantity"], volume["unit"]) == ("volume", "mL")
    assert (r2star["unit"], r2star["ucum"], r2star["n_voxels"]) == ("1/s", "/s", "4")
    assert (peak["uncertainty"], peak["uncertainty_note"]) == ("", "none published")
    assert peak["grid"] == "native pet"


def test_a_case_without_regions_gives_a_header_only() -> None:
    bare = replace(tiny_case.case(), lesions=None, schemes=())
    assert rows(lesions_csv(bare)) == []
    assert "region_id" in lesions_csv(bare)
    assert rows(measurements_csv(bare)) == []
