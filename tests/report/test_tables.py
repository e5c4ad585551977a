from __future__ import annotations

import math
from dataclasses import replace

import pytest

from eprimg.model.case import Case
from eprimg.model.lesions import Measurement, Region, RegionRole
from eprimg.model.tiers import Tier
from eprimg.report.tables import (
    Footnotes,
    every_measurement,
    lesion_columns,
    organ_columns,
    table_rows,
    tier_badge,
)


def test_rows_carry_numbers_with_doubt_and_where_it_comes_from(case: Case) -> None:
    assert case.lesions is not None
    notes = Footnotes()
    columns = lesion_columns(case.lesions.lesions)
    rows = table_rows(case, case.lesions.lesions, columns, notes)
    by_title = {(c.title, c.detail): cell for c, cell in zip(columns, rows[0].cells, strict=True)}
    peak = by_title["%ID/kg", "peak"]
    assert (peak.value, peak.uncertainty) == ("28.0", "3.5")
    assert "repeatability" in notes.texts[peak.footnotes[0] - 1]
    assert "voxels, native pet" in peak.hint
    muscle = by_title["Lesion / muscle", ""]
    assert muscle.value == "–"
    assert notes.texts[muscle.footnotes[0] - 1] == "no muscle region was given"


def test_equal_remarks_share_one_footnote() -> None:
    notes = Footnotes()
    assert [notes.number(t) for t in ("a", "b", "a")] == [1, 2, 1]


def test_columns_without_a_number_are_left_out(case: Case) -> None:
    assert case.lesions is not None
    organs = organ_columns(case.lesions.references)
    assert "rR2*,90" not in [c.title for c in organs]
    assert lesion_columns((Region(1, "bare", RegionRole.LESION),)) == ()


def test_before_and_after_are_never_confused(case: Case) -> None:
    """A lesion measured after the agent only has no number before it."""
    assert case.lesions is not None
    after = Measurement("r2star", "median", "mr_post", 150.0, 1.0, "fit", 9, "native mr_post")
    region = Region(1, "x", RegionRole.LESION, measurements=(after,))
    columns = lesion_columns((region,))
    assert [c.detail for c in columns] == ["after agent, median"]


def test_not_validated_stands_beside_every_tier_of_such_a_scheme(case: Case) -> None:
    scheme = case.schemes[0]
    silent = Tier(scheme.key, "high", 0.95, "", "")
    assert tier_badge(silent, scheme).notice == "example, not validated"
    assert tier_badge(silent, replace(scheme, validated=True)).notice == ""


def test_candidates_get_a_reason_instead_of_a_tier(candidate_case: Case) -> None:
    assert candidate_case.lesions is not None
    rows = table_rows(candidate_case, candidate_case.lesions.lesions, (), Footnotes())
    for row in rows:
        assert row.candidate
        assert {b.label for b in row.badges} == {"not tiered"}
        assert "not reviewed" in row.badges[0].reason


def test_every_number_carries_unit_voxels_and_grid(case: Case) -> None:
    assert case.lesions is not None
    for row in every_measurement(case.lesions.lesions[0]):
        assert row["unit"]
        assert row["grid"]
        assert row["doubt"]
    odd = Measurement("novel", "p42", "pet", 1.0, float("nan"), "none", 3, "g", "a remark")
    (row,) = every_measurement(Region(1, "x", RegionRole.LESION, measurements=(odd,)))
    assert (row["quantity"], row["statistic"], row["note"]) == ("novel", "p42", "a remark")


def test_a_finite_number_with_a_remark_is_marked() -> None:
    m = Measurement("volume", "volume", "reference", 3.0, float("nan"), "none", 3, "g", "cut off")
    region = Region(1, "x", RegionRole.LESION, measurements=(m,))
    case = pytest.importorskip("eprimg.model.case").Case
    study = pytest.importorskip("eprimg.model.study").Study("p", ())
    (row,) = table_rows(case(study), (region,), lesion_columns((region,)), Footnotes())
    assert row.cells[0].remarked
    assert "cut off" in row.cells[0].hint


def test_iron_has_a_column_once_it_is_measured(case: Case) -> None:
    assert case.lesions is not None
    titles = [(c.title, c.unit) for c in lesion_columns(case.lesions.lesions)]
    assert ("Iron", "mmol/L") not in titles
    iron = Measurement(
        "iron_concentration", "median", "mr_post-mr_pre", 1.2, 0.1, "fit", 9, "native", "model"
    )
    region = Region(1, "x", RegionRole.LESION, measurements=(iron,))
    assert [(c.title, c.unit) for c in lesion_columns((region,))] == [("Iron", "mmol/L")]


def test_both_changes_of_r2star_stand_side_by_side_on_the_card(case: Case) -> None:
    native = Measurement("dr2star", "median", "mr_post-mr_pre", 100.0, 1.0, "fit", 9, "native")
    voxelwise = Measurement("dr2star", "median", "registered", 96.0, 1.5, "fit", 9, "reference")
    region = Region(1, "x", RegionRole.LESION, measurements=(native, voxelwise))
    columns = lesion_columns((region,))
    found = [(c.detail, c.wide, c.find(region).uncertainty) for c in columns]  # type: ignore[union-attr]
    assert found == [("median", False, 1.0), ("voxel-wise, median", True, 1.5)]


def with_fat(region: Region) -> Region:
    """A region that was measured with fat and water in the fit, before the agent only."""
    more = [
        Measurement(key, name, "mr_pre", value, math.nan, "none: x", 9, "native mr_pre")
        for key, name, value in (("r2star", "median_fat_water", 41.25), ("pdff", "median", 12.5))
    ]
    return replace(region, measurements=(*region.measurements, *more))


def test_fat_and_the_rate_without_it_stand_beside_the_rate(case: Case) -> None:
    assert case.lesions is not None
    plain = [(c.title, c.detail) for c in lesion_columns(case.lesions.lesions)]
    assert not any("fat" in " ".join(words).lower() for words in plain)
    regions = tuple(with_fat(r) for r in case.lesions.lesions)
    for columns in (lesion_columns(regions), organ_columns(regions)):
        names = [(c.title, c.detail) for c in columns]
        # After the agent there was no complex fit, so there is no column for it.
        assert [n for n in names if "fat" in " ".join(n).lower()] == [
            ("R2*", "before agent, fat-corrected, median"),
            ("Fat fraction", "before agent, median"),
        ]
        assert names.index(("Fat fraction", "before agent, median")) < names.index(
            ("ΔR2*", "median")
        )
        cells = dict(
            zip(names, table_rows(case, regions, columns, Footnotes())[0].cells, strict=True)
        )
        assert float(cells["R2*", "before agent, fat-corrected, median"].value) == pytest.approx(
            41.25, abs=0.1
        )
        assert float(cells["Fat fraction", "before agent, median"].value) == 12.5
        # The number of the magnitude fit stays what it was.
        assert (
            cells["R2*", "before agent, median"].value
            != cells["R2*", "before agent, fat-corrected, median"].value
        )
    words = [row["statistic"] for row in every_measurement(regions[0])]
    assert "median, fat and water fitted" in words
