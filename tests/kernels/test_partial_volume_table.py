"""Correction with a table of recovery coefficients.

The table of these tests is that of a linear blur: coefficients of a cold background, and from them
``RC_a = RC + (1 - RC) / a``.  What a lesion of known uptake then reads is ``B + RC (A - B)``,
which is written here without the code under test.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.partial_volume import (
    RecoveryRecord,
    mask_error_sensitivity,
    moved_means,
    parse_recovery_table,
    recovery_correction,
)
from tests.validation.partial_volume_page import crop, mean_within

# Means of a blurred sphere for a FWHM of 6 mm, issue 4 (accuracy, item 4); made-up uncertainties.
COLD = {10.0: (0.443, 0.04), 13.0: (0.555, 0.03), 17.0: (0.652, 0.02), 37.0: (0.836, 0.01)}
RATIOS = (2.0, 5.0, math.inf)


def linear_table(statistic: str = "mean") -> tuple[RecoveryRecord, ...]:
    return tuple(
        RecoveryRecord("89Zr", "A", d, a, rc + (1 - rc) / a, u, statistic)
        for d, (rc, u) in COLD.items()
        for a in RATIOS
    )


def correct(measured: float, diameter: float, background: float, **more: object):
    options = {"nuclide": "89Zr", "scanner": "A", **more}
    table = options.pop("table", linear_table())
    return recovery_correction(measured, diameter, table, background=background, **options)


@pytest.mark.parametrize("diameter", COLD)
@pytest.mark.parametrize(("true", "background"), [(10.0, 5.0), (20.0, 3.0), (7.0, 0.5), (6, 0.0)])
def test_a_linear_blur_is_undone(diameter: float, true: float, background: float) -> None:
    rc = COLD[diameter][0]
    found = correct(background + rc * (true - background), diameter, background)
    assert found.corrected == pytest.approx(true, rel=1e-9)
    assert found.raw == pytest.approx(background + rc * (true - background))
    ratio = true / background if background else math.inf
    assert found.background_ratio == pytest.approx(ratio)
    assert found.rc == pytest.approx(found.raw / true)
    assert math.isnan(found.corrected_se)  # the mask's part is not known


def test_errors_equal_a_simulation() -> None:
    # 200 000 draws of lesion, background and coefficient; each is undone by hand.
    rng, n = np.random.default_rng(11), 200_000
    rc, u, true, background = 0.652, 0.02, 12.0, 2.0
    measured = background + rc * (true - background)
    found = correct(measured, 17.0, background, measured_se=0.2, background_se=0.3)
    m = measured + 0.2 * rng.standard_normal(n)
    b = background + 0.3 * rng.standard_normal(n)
    # A shift of the coefficient of the ratio at hand: RC_a A = M, with RC_a off by the same amount.
    noise = (m - b) / rc + b
    assert found.noise_se == pytest.approx(noise.std(), rel=0.01)
    r = u * rng.standard_normal(n)
    off = (measured - background + rc * background) / (rc + r)
    assert found.rc_se == pytest.approx(off.std(), rel=0.02)


def test_the_mask_enters_by_both_diameters() -> None:
    true, background = 12.0, 2.0
    raw = {d: background + COLD[d][0] * (true - background) for d in COLD}
    moved = [(13.0, 9.0), (37.0, 8.0)]
    found = correct(raw[17.0], 17.0, background, moved=moved, measured_se=0.1)
    # (M - B) / RC + B with the coefficients of both diameters.
    by_hand = [(m - background) / COLD[d][0] + background for d, m in moved]
    assert found.mask_se == pytest.approx(abs(by_hand[0] - by_hand[1]) / 2)
    assert found.corrected_se == pytest.approx(
        math.hypot(found.noise_se, found.rc_se, found.mask_se)
    )
    # One of the two beyond the table: the difference to the other.
    one = correct(raw[17.0], 17.0, background, moved=[(9.0, 9.0), (37.0, 8.0)])
    assert one.mask_se == pytest.approx(abs(by_hand[1] - true))
    with pytest.raises(InputError, match="error of the mask"):
        correct(raw[17.0], 17.0, background, moved=[(9.0, 9.0), (38.0, 8.0)])


def test_corrected_values_rise_with_what_was_measured() -> None:
    values = [correct(m, 15.0, 1.0).corrected for m in np.linspace(1.8, 30.0, 40)]
    assert np.all(np.diff(values) > 0.0)
    diameters = [correct(5.0, d, 1.0).corrected for d in np.linspace(10.0, 37.0, 40)]
    assert np.all(np.diff(diameters) < 0.0)  # the larger the lesion, the less was lost


@pytest.mark.parametrize(
    ("measured", "diameter", "background", "what"),
    [
        (5.0, 9.9, 1.0, "diameter"),
        (5.0, 37.5, 1.0, "diameter"),
        (1.2, 17.0, 1.0, "true ratio"),  # less than 2:1
        (0.5, 17.0, 1.0, "true ratio"),  # colder than its surroundings
        (-1.0, 17.0, 0.0, "at or below zero"),
        (math.nan, 17.0, 1.0, "measured"),
        (5.0, 17.0, math.inf, "background"),
    ],
)
def test_nothing_is_extrapolated(
    measured: float, diameter: float, background: float, what: str
) -> None:
    with pytest.raises(InputError, match=what):
        correct(measured, diameter, background)


def test_other_tables_and_statistics_are_refused() -> None:
    for more in ({"nuclide": "18F"}, {"scanner": "B"}, {"statistic": "peak"}):
        with pytest.raises(InputError, match="nothing") as caught:
            correct(5.0, 17.0, 1.0, **more)
        assert caught.value.code == "E_RECOVERY_TABLE"
    peaks = linear_table("peak")
    assert correct(5.0, 17.0, 1.0, table=peaks, statistic="peak").corrected > 5.0
    warm = tuple(r for r in linear_table() if math.isfinite(r.background_ratio))
    with pytest.raises(InputError, match="no cold one"):
        correct(5.0, 17.0, 0.0, table=warm)
    # A table of one ratio holds for lesions of that ratio alone.
    single = tuple(r for r in linear_table() if r.background_ratio == 5.0)
    with pytest.raises(InputError, match="true ratio"):
        correct(5.0, 17.0, 2.0, table=single)


def test_the_statistic_is_a_column_of_its_own() -> None:
    head = "nuclide,scanner,diameter_mm,background_ratio,rc,rc_uncertainty,statistic\n"
    table = parse_recovery_table(head + "89Zr,A,10,5,0.5,0.1,mean\n89Zr,A,10,5,0.7,0.1,peak\n")
    assert [r.statistic for r in table] == ["mean", "peak"]
    with pytest.raises(InputError, match="out of range"):
        parse_recovery_table(head + "89Zr,A,10,5,0.5,0.1,median\n")


@pytest.mark.parametrize("diameter", [13.0, 22.0])
def test_means_with_the_boundary_moved(diameter: float) -> None:
    # Truth: mean of the blurred sphere within a concentric one that is 1 mm smaller or larger.
    seen = crop("", diameter, 6.0, 2.0)
    found = moved_means(seen.image, seen.labels, 1, seen.spacing_mm)
    rise = seen.sphere - seen.background
    volume = float((seen.labels == 1).sum()) * 8.0
    drawn = (6.0 * volume / math.pi) ** (1 / 3)
    for side, shift in enumerate((-1.0, 1.0)):
        limit = drawn / 2 + shift
        assert found.diameter_mm[side] == pytest.approx(2 * limit, rel=0.03)
        truth = seen.background + rise * mean_within(limit, diameter / 2, 6.0)
        assert found.mean[side] == pytest.approx(truth, rel=0.05)
    still = moved_means(seen.image, seen.labels, 1, seen.spacing_mm, boundary_error_mm=0.0)
    assert still.diameter_mm == pytest.approx((drawn, drawn), rel=1e-3)
    with pytest.raises(InputError, match="no voxel"):
        moved_means(seen.image, seen.labels, 2, seen.spacing_mm)
    with pytest.raises(InputError, match="shift"):
        moved_means(seen.image, seen.labels, 1, seen.spacing_mm, boundary_error_mm=-1.0)


def test_only_the_named_boundary_is_moved() -> None:
    seen = crop("", 13.0, 6.0, 2.0)
    labels = seen.labels.copy()
    labels[1:3, 1:3, 1:3] = 7
    options = {"minimum_diameter_fwhm": 0.0}
    every = mask_error_sensitivity(seen.image, labels, 6.0, seen.spacing_mm, **options)
    one = mask_error_sensitivity(seen.image, labels, 6.0, seen.spacing_mm, only={1}, **options)
    assert one.mask_se[0] == every.mask_se[0]
    assert np.isfinite(every.mask_se[1])
    assert np.isnan(one.mask_se[1])
