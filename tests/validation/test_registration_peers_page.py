"""Ratios of the page that compares programs, from rows made by hand."""

from __future__ import annotations

import pytest

from tests.validation import registration_peers_page as peers
from tests.validation.registration_bench import Row, make_case

NAN = float("nan")


def row(mean: float, cpu: float, worst: float = 1.0) -> Row:
    return Row("thorax", "mr", 0, "x", 9.0, mean, worst, cpu, 100.0, "identity", NAN, NAN, False)


PAIRS = [
    peers.Both(row(0.1, 2.0), row(0.4, 4.0)),
    peers.Both(row(0.3, 3.0), row(0.4, 4.0)),
    peers.Both(row(0.2, 4.0), row(0.4, 4.0)),
]


def test_ratios_by_hand() -> None:
    assert peers.ratios(PAIRS) == pytest.approx((0.2 / 0.4, 0.75))


def test_bounds_hold_against_the_first_program_only() -> None:
    text, broken = peers.line("itk-elastix", "mr", PAIRS)
    assert not broken
    assert "| 3 | 0.20 (1.00) | 0.40 (1.00) | 0.50 | 3.0 | 4.0 | 0.75 | 1 | 0 / 0 |" in text
    slow = [peers.Both(p.ours._replace(cpu_s=9.0), p.theirs) for p in PAIRS]
    assert peers.line("itk-elastix", "mr", slow)[1]
    assert not peers.line("itk-elastix", "pet", slow)[1]
    assert not peers.line("antspyx", "mr", slow)[1]
    worse = [peers.Both(p.theirs._replace(mean_mm=5.0), p.ours) for p in PAIRS]
    text, broken = peers.line("itk-elastix", "pet", worse)
    assert broken
    assert text.endswith("| 3 / 0 |")


def test_nothing_is_written_without_the_program(monkeypatch, capsys) -> None:
    monkeypatch.delenv("EPRIMG_ELASTIX_PYTHON", raising=False)
    before = peers.TARGET.read_bytes() if peers.TARGET.is_file() else None
    assert peers.main() == 0
    assert "stays as it is" in capsys.readouterr().out
    assert (peers.TARGET.read_bytes() if peers.TARGET.is_file() else None) == before


def test_the_large_case_has_its_voxels_over_the_same_box() -> None:
    usual, large = (
        make_case("abdomen", 0, "mr", factor=4.0),
        make_case("abdomen", 0, "mr", mr_shape=(12, 40, 44)),
    )
    assert large.fixed.grid.shape == (12, 40, 44)
    extents = [
        [n * s for n, s in zip(c.fixed.grid.shape, c.fixed.grid.spacing_mm, strict=True)]
        for c in (usual, large)
    ]
    assert extents[0] == pytest.approx(extents[1])
