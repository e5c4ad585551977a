"""The noise modes on the reference object, as the accuracy page shows them.

Bounds: shared reference mri.md, section 6 (median bias) and issue text (coverage 93 to 97 %).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.r2star import fit_r2star
from tests.kernels import r2star_noise_object as noise_object
from tests.kernels.r2star_reference_object import ECHO_TIMES_S, rician

N = 500
NONE, TRUNCATE, RICIAN = range(3)


@pytest.fixture(scope="module")
def table():
    return noise_object.rows(N)


def test_median_bias_with_an_estimated_noise_level(table):
    assert len(table) == 2 * 3 * 8
    for row in table:
        rate, snr = row.true_per_s, row.snr
        assert row.sigma_ratio == pytest.approx(1.0, abs=0.15)
        if snr == 50.0:
            bound = 0.5 if rate <= 200 else 1.0 if rate <= 400 else 3.0
        elif snr == 20.0 and rate >= 400:
            bound = 10.0
        else:
            continue
        # The bounds hold for the estimator: 3 standard errors of a median of N voxels come on top.
        # They are those of rician; truncate leaves a little more of the floor below 200 1/s.
        for mode, most in ((TRUNCATE, max(bound, 1.0)), (RICIAN, bound)):
            spread = 100.0 * row.rmse_per_s[mode] / rate
            allowed = most + 3.0 * 1.2533 * spread / math.sqrt(N)
            assert abs(row.bias_percent[mode]) <= allowed, (row.echoes, snr, rate, mode)
        if rate >= 400.0:
            assert abs(row.bias_percent[RICIAN]) < abs(row.bias_percent[NONE])


def test_errors_are_not_larger_than_those_of_least_squares(table):
    for row in table:
        if row.snr != 50.0 or row.true_per_s > 400.0:
            continue
        # 5 %, and 3 standard errors of a quotient of two errors from the same voxels (at most).
        allowed = 1.05 + 3.0 / math.sqrt(2 * N)
        assert row.rmse_per_s[RICIAN] <= allowed * row.rmse_per_s[NONE], row[:3]


def test_intervals_cover_the_truth(table):
    for row in table:
        inside = row.true_per_s <= (200.0 if row.snr == 20.0 else 400.0)
        if not inside:
            continue
        for mode in (TRUNCATE, RICIAN):
            if np.isnan(row.coverage[mode]):
                assert mode == TRUNCATE  # too few voxels keep four echoes
                continue
            # 3 standard errors of a share of N voxels come on top.
            margin = 300.0 * math.sqrt(0.95 * 0.05 / N)
            assert 93.0 - margin <= row.coverage[mode] <= 97.0 + margin, (row[:3], mode)


def test_the_unit_of_the_signal_does_not_matter(table):
    assert max(row.largest_change for row in table) < 1e-6


def test_the_page_holds_every_row(table, monkeypatch):
    monkeypatch.setattr(noise_object, "rows", lambda n: table)
    page = "\n".join(noise_object.section(N))
    assert page.count("\n| 20 |") == page.count("\n| 100 |") == 16
    assert "R2* changes" in page


@pytest.mark.parametrize("mode", [None, "truncate", "rician"])
def test_permuted_echoes(mode):
    """Echoes in any order are the same echoes once they are sorted with their times."""
    times = ECHO_TIMES_S["8 uneven, 1.2-14 ms"]
    rng = np.random.default_rng(5)
    rate = rng.uniform(20.0, 600.0, 400)
    signal = rician(1000.0 * np.exp(-rate[:, None] * times), 20.0, rng)
    level = None if mode is None else 20.0
    expected = fit_r2star(signal, times, noise=mode, sigma=level)
    order = rng.permutation(times.size)
    with pytest.raises(InputError) as caught:
        fit_r2star(signal[:, order], times[order], noise=mode, sigma=level)
    assert caught.value.code == "E_ECHO"
    back = np.argsort(times[order])
    again = fit_r2star(signal[:, order][:, back], times[order][back], noise=mode, sigma=level)
    np.testing.assert_array_equal(again.r2star_per_s, expected.r2star_per_s)
    # Nor does the order of the voxels matter.
    voxels = rng.permutation(len(signal))
    mixed = fit_r2star(signal[voxels], times, noise=mode, sigma=level)
    np.testing.assert_allclose(mixed.r2star_per_s, expected.r2star_per_s[voxels], rtol=1e-6)
