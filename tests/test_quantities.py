"""Quantities: codes that the DICOM standard knows, columns, refusals."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from eprimg.errors import UnitsError
from eprimg.quantities import QUANTITIES, UNITS, quantity


@pytest.mark.parametrize(
    ("key", "keyword"),
    [
        ("r2star", "R2Star"),
        ("suvbw", "StandardizedUptakeValueBodyWeight"),
    ],
)
def test_standard_codes_are_those_of_the_dictionary(key: str, keyword: str) -> None:
    # Source: the DICOM code dictionary that pydicom ships.
    own = quantity(key).code
    known = [c for c in (getattr(codes.DCM, n, None) for n in codes.DCM.dir()) if c is not None]
    match = [c for c in known if c.value == own.value and c.scheme_designator == own.scheme]
    assert match, f"{own} is not in the dictionary"


def test_local_codes_are_marked_as_ours() -> None:
    local = [q for q in QUANTITIES.values() if q.code.scheme == "99EPRIMG"]
    assert {"dr2star", "rr2star90", "pid_per_kg"} <= {q.key for q in local}
    assert len({q.code.value for q in QUANTITIES.values()}) == len(QUANTITIES)


def test_column_carries_the_unit() -> None:
    assert quantity("r2star").column == "r2star_per_s"
    assert quantity("suvbw").column == "suvbw"
    assert all(u.ucum for u in UNITS.values())


def test_unknown_and_wrong_quantities_are_refused() -> None:
    with pytest.raises(UnitsError, match="no quantity is called 'suv'"):
        quantity("suv")
    quantity("suvbw").require("suvbw")
    with pytest.raises(UnitsError, match="needs SUVbw, not R2"):
        quantity("r2star").require("suvbw")
