"""A small part of the side by side; the peers are run by ``make validate``."""

from __future__ import annotations

import numpy as np
import pytest

from tests.validation.r2star_peers_page import (
    INPUTS,
    Bin,
    Row,
    by_scipy,
    exact,
    lines,
    ours,
    page,
    rows,
)

MINE = {"eprimg nlls": ours(None), "eprimg truncate": ours("truncate")}


@pytest.fixture(scope="module")
def table() -> list[Row]:
    mine = {**MINE, "eprimg rician": ours("rician")}
    found = rows(100, mine, (INPUTS[0], INPUTS[3], INPUTS[4]))
    return found + rows(100, {"scipy curve_fit": by_scipy}, INPUTS[:1])  # the same samples


@pytest.fixture(scope="module")
def binned() -> list[Bin]:
    names = ("none", "truncate", "rician")
    return [Bin(10.0, 30.0, 2.0, dict.fromkeys(names, 0.0), dict.fromkeys(names, 2.09))]


def test_scale_and_order_change_nothing_and_scipy_agrees(table: list[Row], binned) -> None:
    assert [line.claim for line in lines(table, binned) if not line.ok] == []


def test_a_broken_bound_is_seen(table: list[Row], binned) -> None:
    off = [
        r._replace(bias_percent=r.bias_percent + 0.2) if r.given == INPUTS[3].name else r
        for r in table
    ]
    found = lines(off, [binned[0]._replace(rmse_per_s={"rician": 2.11, "none": 2, "truncate": 2})])
    assert not any(line.ok for line in found[1:])


def test_every_fitter_reads_the_same_units() -> None:
    """Almost without noise the rate is the one that was put in, 50 1/s, whoever fits it."""
    assert exact({"ours": ours(None), "truncate": ours("truncate"), "scipy": by_scipy})[0].ok
    wrong = exact({"ms": lambda signal, times: (np.full(len(signal), 0.05), signal[:, 0] < 0)})
    assert not wrong[0].ok


def test_the_page_names_absent_peers(table: list[Row], binned) -> None:
    even = [r for r in table if not r.fitter.startswith("scipy")]
    text = page(even, binned, {"ukat": "not installed: why"}, 100)
    assert "**ukat**: not installed: why." in text
    assert "## Seconds per 1000 voxels" in text
