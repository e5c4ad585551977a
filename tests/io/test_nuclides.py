import pytest

from eprimg.io.nuclides import nuclide_by_code, nuclide_by_name, nuclides


def test_half_lives_are_the_cited_ones():
    # 18F 109.77 min (Ph. Eur. 5.7), 64Cu 12.7004 h (DDEP 2011), 89Zr 78.41 h, 68Ga 67.71 min,
    # 124I 4.1760 d and 111In 2.8047 d (ICRP 107)
    seconds = {n.key: n.half_life_s for n in nuclides()}
    assert seconds["18F"] == pytest.approx(109.77 * 60)
    assert seconds["64Cu"] == pytest.approx(12.7004 * 3600)
    assert seconds["89Zr"] == pytest.approx(78.41 * 3600)
    assert seconds["68Ga"] == pytest.approx(67.71 * 60)
    assert seconds["124I"] == pytest.approx(4.1760 * 86400)
    assert seconds["111In"] == pytest.approx(2.8047 * 86400)
    assert all(n.citation and n.half_life_s > 0 for n in nuclides())


def test_codes_agree_with_the_context_groups_of_the_standard():
    from pydicom.sr import _concepts_dict, _snomed_dict

    for nuclide in nuclides():
        modern, old = nuclide.codes
        mass = "".join(c for c in nuclide.key if c.isdigit())
        named = [
            text
            for group in _concepts_dict.concepts["SCT"].values()
            for value, (text, *_) in group.items()
            if value == modern
        ]
        assert any(f"^{mass}^" in text for text in named), nuclide.key
        assert _snomed_dict.mapping["SCT"][modern] == old
        assert nuclide_by_code(modern) == nuclide_by_code(old) == nuclide


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("^68^Gallium", "68Ga"),
        ("Ga68-PSMA", "68Ga"),
        ("Ga-68 PSMA-11", "68Ga"),
        ("89Zr-trastuzumab", "89Zr"),
        ("Zr-89", "89Zr"),
        ("zirconium 89", "89Zr"),
        ("[18F]FDG", "18F"),
        ("F^18^[^18^Fluorine]", "18F"),
        ("64Cu-DOTATATE", "64Cu"),
    ],
)
def test_names(text, key):
    found = nuclide_by_name(text)
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize(
    "text", ["", "FDG -- fluorodeoxyglucose", "189Zr", "Zr-891", "18F and 68Ga", "PSMA-1007"]
)
def test_a_text_that_names_none_or_two_gives_none(text):
    assert nuclide_by_name(text) is None


def test_an_unknown_code_gives_none():
    assert nuclide_by_code("") is None
    assert nuclide_by_code("C-131A1") is None
