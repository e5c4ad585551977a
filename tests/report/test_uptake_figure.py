from __future__ import annotations

from dataclasses import replace

from eprimg.model.case import Case
from eprimg.model.lesions import Measurement
from eprimg.report.uptake_figure import uptake_panels, uptake_picture


def test_one_panel_per_judged_measurement(case: Case) -> None:
    panels = uptake_panels(case)
    assert [p.unit for p in panels] == ["%ID/kg", "1/s"]
    assert [p.scheme.key for p in panels if p.scheme] == [s.key for s in case.schemes]
    picture = uptake_picture(panels)
    assert picture is not None
    assert "lesion-1 28.0 ± 3.5 %ID/kg (high)" in picture.alt
    assert "(indeterminate)" in picture.alt
    assert "(not tiered)" in picture.alt


def test_without_a_scheme_there_are_bars_but_no_tiers(case: Case) -> None:
    picture = uptake_picture(uptake_panels(replace(case, schemes=())))
    assert picture is not None
    assert "(high)" not in picture.alt


def test_candidates_are_named_as_such(candidate_case: Case) -> None:
    picture = uptake_picture(uptake_panels(candidate_case))
    assert picture is not None
    assert picture.alt.count("candidate, not reviewed") == 2


def test_the_native_difference_comes_before_the_resampled_one(case: Case) -> None:
    assert case.lesions is not None
    other = Measurement("dr2star", "median", "registered", 999.0, float("nan"), "none", 5, "ref")
    regions = tuple(replace(r, measurements=(other, *r.measurements)) for r in case.lesions.regions)
    picture = uptake_picture(
        uptake_panels(replace(case, lesions=case.lesions.with_regions(regions)))
    )
    assert picture is not None
    assert "999" not in picture.alt


def test_a_lesion_without_the_number_is_said_to_be_unmeasured(case: Case) -> None:
    assert case.lesions is not None
    first, *rest = case.lesions.regions
    regions = (replace(first, measurements=()), *rest)
    picture = uptake_picture(
        uptake_panels(replace(case, lesions=case.lesions.with_regions(regions)))
    )
    assert picture is not None
    assert "lesion-1 – %ID/kg" in picture.alt


def test_nothing_measured_gives_no_picture(case: Case) -> None:
    assert uptake_panels(replace(case, lesions=None)) == ()
    assert uptake_picture(()) is None
