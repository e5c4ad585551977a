from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eprimg.model.acquisition import Known, MRAcquisition, PETAcquisition
from eprimg.model.case import Case
from eprimg.report.facts import (
    entered_facts,
    key_facts,
    reference_candidates,
    registration_facts,
    timeline,
)


def with_acquisition(case: Case, point: int, acquisition: object) -> Case:
    points = list(case.study.timepoints)
    series = replace(points[point].series[0], acquisition=acquisition)  # type: ignore[arg-type]
    points[point] = replace(points[point], series=(series,))
    return replace(case, study=replace(case.study, timepoints=tuple(points)))


def test_facts_of_a_full_case(case: Case) -> None:
    facts = {f.term: f for f in key_facts(case)}
    assert facts["Nuclide"].value == "89Zr"
    assert facts["Nuclide"].note == "half-life 78.4 h"  # 282 276 s / 3600
    assert facts["Injected dose"].value == "74.0 MBq"
    assert facts["PET start"].value == "72.00 h after injection"
    assert facts["Weight"].value == "72.0 kg"
    assert facts["Weight"].entered
    assert facts["Reference time of the activity"].value == "72.0 h after injection"
    assert "series" in facts["Reference time of the activity"].note
    assert facts["Agent"].value == "ferumoxytol"
    assert "25.0 h between the MR sessions" in facts["Agent"].note
    assert facts["Field strength"].value == "3 T"
    assert facts["Echo times"].value == "8 echoes, 1.2–14 ms"
    assert not any(f.missing for f in facts.values())


def test_sessions_that_differ_are_listed_apart(case: Case) -> None:
    other = MRAcquisition((0.004, 0.008), Known(), "post")
    facts = {f.term: f for f in key_facts(with_acquisition(case, 1, other))}
    assert facts["Echo times, after agent"].value == "4, 8 ms"
    assert facts["Field strength, before agent"].value == "3 T"
    assert facts["Field strength, after agent"].missing


def test_missing_facts_are_said_to_be_missing(case: Case) -> None:
    points = case.study.timepoints
    pet = points[2].series[0].acquisition
    assert isinstance(pet, PETAcquisition)
    bare = replace(pet, weight_kg=Known(), hours_after_injection=None, reference_instant=None)
    facts = {f.term: f for f in key_facts(with_acquisition(case, 2, bare))}
    assert facts["Weight"].missing
    assert facts["PET start"].missing
    mr = {
        f.term: f
        for f in key_facts(replace(case, study=replace(case.study, timepoints=points[:1])))
    }
    assert mr["PET"].missing
    assert mr["MR session"].value == "none after the agent"
    pet_only = {
        f.term: f
        for f in key_facts(replace(case, study=replace(case.study, timepoints=points[2:])))
    }
    assert pet_only["MRI"].missing


def test_the_clock_has_hours_and_no_dates(case: Case) -> None:
    rows = timeline(case)
    assert [r.since_first for r in rows] == [
        "first session",
        "25.0 h after the first session",
        "98.2 h after the first session",
    ]
    # Injected 26.25 h after the first session (conftest); rounding half to even gives 26.2.
    assert [r.since_injection for r in rows] == [
        "26.2 h before injection",
        "1.2 h before injection",
        "72.0 h after injection",
    ]
    assert "2024" not in repr(rows)
    unknown = replace(case.study.timepoints[0], instant=None)
    late = timeline(replace(case, study=replace(case.study, timepoints=(unknown,))))
    assert (late[0].since_first, late[0].since_injection) == ("", "")


@pytest.mark.parametrize("instant", [datetime(2031, 3, 8, 12), datetime(2031, 3, 8, tzinfo=UTC)])
def test_the_pet_session_has_the_hours_of_its_header_whatever_its_entered_date(
    case: Case, instant: datetime
) -> None:
    # as PET-BIDS, whose own instants have a nominal date; 72 h is what conftest's header says
    point = replace(case.study.timepoints[2], instant=instant)
    (row,) = timeline(replace(case, study=replace(case.study, timepoints=(point,))))
    assert row.since_injection == "72.0 h after injection"


def test_quality_figures_carry_their_unit(case: Case) -> None:
    facts = registration_facts(case.registrations[0])
    assert facts.qc == (("moved", "7.10", "mm"), ("rotation", "3.00", "°"))
    assert len(facts.matrix.splitlines()) == 4
    plain = registration_facts(replace(case.registrations[0], qc={"metric": -0.5}))
    assert plain.qc == (("metric", "−0.500", ""),)


def test_figures_of_a_refused_bending_are_not_those_of_the_transform(case: Case) -> None:
    rigid = case.registrations[0]
    refused = replace(rigid, qc={"bent": 0.0, "jacobian_min": -0.25, "inverse_mm": 0.31})
    facts = registration_facts(refused)
    assert facts.bending == ()
    assert facts.qc == (
        ("bent", "no", ""),
        ("smallest Jacobian determinant J in the body (refused bending)", "−0.250", ""),
        ("there and back", "0.310", "mm"),
    )


def test_entered_facts_hide_dates_and_persons() -> None:
    rows = dict(
        entered_facts(
            {
                "pet.weight_kg": 72.0,
                "pet.dose_bq": 74000000,
                "pet.injection": datetime(2024, 3, 5, 11, 15),
                "note": "given 2024-03-05T11:15:00 late",
                "patient_name": "Doe^Jane",
            }
        )
    )
    assert rows["pet.weight_kg"] == "72.0"
    assert rows["pet.dose_bq"] == "74000000"
    assert rows["pet.injection"] == "a date (not shown)"
    assert rows["note"] == "given (date not shown) late"
    assert "Doe" not in str(rows)


def test_candidates_are_hours(case: Case) -> None:
    assert reference_candidates(case) == (("series start", "72.000 h"),)
    mr_only = replace(case, study=replace(case.study, timepoints=case.study.timepoints[:1]))
    assert reference_candidates(mr_only) == ()
