"""Quantities: codes that the DICOM standard knows, columns, refusals."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from eprimg.errors import UnitsError
from eprimg.quantities import EXTERNAL_MAPS, QUANTITIES, UNITS, quantity


@pytest.mark.parametrize(
    ("key", "keyword"),
    [
        ("r2star", "R2Star"),
        ("suvbw", "StandardizedUptakeValueBodyWeight"),
        ("sul_janmahasatian", "SuvlbmJanma"),
        ("sul_james128", "SuvlbmJames128"),
        ("sul_james120", "Suvlbm"),
        ("suvibw", "Suvibw"),
        ("suvbsa", "Suvbsa"),
        ("metabolic_volume", "MetabolicVolume"),
        ("total_lesion_glycolysis", "TotalLesionGlycolysis"),
    ],
)
def test_standard_codes_are_those_of_the_dictionary(key: str, keyword: str) -> None:
    # Source: the DICOM code dictionary that pydicom ships.
    own = quantity(key).code
    known = [c for c in (getattr(codes.DCM, n, None) for n in codes.DCM.dir()) if c is not None]
    match = [c for c in known if c.value == own.value and c.scheme_designator == own.scheme]
    assert match, f"{own} is not in the dictionary"


@pytest.mark.parametrize(
    ("key", "ucum"),
    # DICOM CID 85, as in the concepts that pydicom ships
    [
        ("suvbw", "g/ml{SUVbw}"),
        ("sul_janmahasatian", "g/ml{SUVlbm(Janma)}"),
        ("sul_james128", "g/ml{SUVlbm(James128)}"),
        ("sul_james120", "g/ml{SUVlbm}"),
        ("suvibw", "g/ml{SUVibw}"),
        ("suvbsa", "cm2/ml{SUVbsa}"),
    ],
)
def test_units_of_uptake_are_those_of_the_standard(key: str, ucum: str) -> None:
    known = {c.value for n in codes.UCUM.dir() for c in [getattr(codes.UCUM, n)] if c is not None}
    assert quantity(key).unit.ucum == ucum
    assert ucum in known


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


@pytest.mark.parametrize(
    ("key", "keyword"),
    [
        ("ktrans", "Ktrans"),
        ("kep", "Kep"),
        ("ve", "Ve"),
        ("vp", "Vp"),
        ("perfusion", "AbsoluteRegionalBloodFlow"),
        ("adc", "ApparentDiffusionCoefficient"),
        ("r2", "R2"),
    ],
)
def test_external_maps_have_the_codes_of_their_names(key: str, keyword: str) -> None:
    # Source: the DICOM code dictionary that pydicom ships.
    assert quantity(key).code.value == getattr(codes.DCM, keyword).value
    assert key in EXTERNAL_MAPS
