"""Case: grows by replacement; findings from errors."""

from __future__ import annotations

import pytest

from eprimg.errors import InputError
from eprimg.model.case import Case, Finding, Severity
from eprimg.model.study import Study
from eprimg.model.transform import Registration, Transform


def test_registration_is_found_by_its_moving_series() -> None:
    registration = Registration("mr_pre", "pet", Transform.identity("A", "B"), "identity")
    case = Case(Study("P", ()), registrations=(registration,))
    assert case.registration("pet") is registration
    assert case.registration("mr_post") is None
    assert "Case(" in repr(case)


def test_an_error_becomes_a_finding() -> None:
    error = InputError("no dose", code="E_SUV_DOSE", where="(0018,1074)", action="enter it")
    finding = Finding.from_error(error)
    assert finding.severity == Severity.ERROR
    assert finding.code == "E_SUV_DOSE"
    assert finding.where == "(0018,1074)"
    assert finding.text == "no dose. Next: enter it."
    assert Finding.from_error(error, "pet").where == "pet"


def test_the_first_letter_of_a_code_is_its_severity() -> None:
    for code, severity in (
        ("I_DROPPED", Severity.INFO),
        ("W_DUP", Severity.WARNING),
        ("E_FILE", Severity.ERROR),
    ):
        assert Finding(code, severity, "", "").severity == severity
        for other in set(Severity) - {severity}:
            with pytest.raises(ValueError, match=code):
                Finding(code, other, "", "")
