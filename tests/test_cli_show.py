"""What the command line prints: plain progress, findings, numbers that were not measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eprimg.cli_show import progress, show_case, show_findings, show_registrations
from eprimg.model.case import Finding, Severity
from tests import tiny_case


def test_progress_is_one_plain_line_per_step(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        for words, share in (("read", 0.0), ("read", 0.5), ("register", 0.6)):
            tell(words, share)
    assert capsys.readouterr().err.splitlines() == ["eprimg: read", "eprimg: register"]


def test_text_of_a_header_is_not_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_findings([Finding("W_X", Severity.WARNING, "[bold]series", "a [red]text")])
    shown = capsys.readouterr().out
    assert "[bold]series" in shown
    assert "a [red]text" in shown


def test_a_case_is_printed_with_tier_notice_and_without_nan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    case = tiny_case.case()
    tier = replace(case.patient_tiers[0], confidence=float("nan"))
    show_case(replace(case, patient_tiers=(*case.patient_tiers, tier)))
    shown = capsys.readouterr().out
    assert "high" in shown
    assert "example, not validated" in shown
    assert "nan" not in shown


def test_a_lesion_without_a_value_has_an_empty_cell(capsys: pytest.CaptureFixture[str]) -> None:
    case = tiny_case.case()
    assert case.lesions is not None
    lesion, spleen = case.lesions.regions
    numbers = tuple(
        replace(m, value=tiny_case.NAN) if m.quantity == "pid_per_kg" else m
        for m in lesion.measurements
    )
    for shown in (numbers, ()):
        regions = (replace(lesion, measurements=shown, tiers=()), spleen)
        show_case(replace(case, lesions=case.lesions.with_regions(regions)))
        row = next(x for x in capsys.readouterr().out.splitlines() if "=lesion-1" in x)
        assert "nan" not in row
        assert row.split("\N{BOX DRAWINGS LIGHT VERTICAL}")[3].strip() == ""


def test_registrations_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    from eprimg.model.transform import Registration, Transform

    qc = {
        "moved_center_mm": 7.33,
        "rotated_deg": 2.96,
        "nmi_before": 1.2571,
        "nmi_after": 1.5442,
        "ncc_before": 0.407,
        "ncc_after": 0.925,
    }
    where = Transform.identity("1.2")
    show_registrations(
        (
            Registration("mr_pre", "mr_post", where, "e", {}, qc),
            Registration("mr_pre", "pet", where, "e", {}, qc, doubts=("one", "two")),
            Registration("mr_pre", "ct", where, "e", accepted=False, note="too far"),
        )
    )
    first, second, third = capsys.readouterr().out.strip().splitlines()
    figures = "moved 7.3 mm and 3.0 degrees, NMI 1.257 to 1.544, local NCC² 0.407 to 0.925"
    assert first == f"registration mr_post to mr_pre: pass, {figures}"
    assert second == f"registration pet to mr_pre: review, {figures}; one; two"
    assert third.startswith("registration ct to mr_pre: fail, moved – mm and – degrees")
    assert third.endswith("; too far")
