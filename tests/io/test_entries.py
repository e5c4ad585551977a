"""Records of the index."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.errors import InputError
from eprimg.io.entries import SeriesEntry, StudyIndex, refuse_damaged
from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role


def entry(key, role, **facts):
    return SeriesEntry(key, role, "because", "MR", "d", **facts)


def test_by_role_keeps_the_order():
    index = StudyIndex(
        Path("/r"), (entry("b", Role.PET), entry("a", Role.PET), entry("c", Role.CT))
    )
    assert [e.key for e in index.by_role(Role.PET)] == ["b", "a"]
    assert index.by_role(Role.MR_PRE) == ()


def test_plain_values():
    root = Path("/some/where/case")
    found = StudyIndex(
        root,
        (
            entry("a", Role.PET, patient_key="k1", study_uid="s1", paths=(root / "x" / "1.dcm",)),
            entry("b", Role.CT, patient_key="k2", study_uid="s1", paths=(Path("/else/2.dcm"),)),
        ),
        (Finding("W_X", Severity.WARNING, "w", "t"),),
        2,
        1,
    ).to_dict()
    assert found["root"] == "case"
    assert [s["patient"] for s in found["series"]] == [1, 2]
    assert [s["study"] for s in found["series"]] == [1, 1]
    assert [s["files"] for s in found["series"]] == [["x/1.dcm"], ["2.dcm"]]
    assert found["findings"] == [{"code": "W_X", "severity": "warning", "where": "w", "text": "t"}]


def test_a_series_that_may_miss_a_file_is_refused():
    whole = entry("a", Role.PET, findings=(Finding("W_X", Severity.WARNING, "a", "t"),))
    refuse_damaged(whole)
    lost = entry("a", Role.PET, findings=(Finding("E_TRUNCATED", Severity.ERROR, "a", "x.dcm"),))
    with pytest.raises(InputError, match=r"E_TRUNCATED: series a: x\.dcm"):
        refuse_damaged(lost)
