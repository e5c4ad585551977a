"""Complex fat-water fit: closed forms, an independent solver, the Cramer-Rao bound, refusals.

Every expected value is a parameter with which the samples were made; the samples are made by
`echoes`, which is written here from the signal equation and uses nothing of the package.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from eprimg.errors import InputError
from eprimg.kernels.fat_water import (
    FAT_WATER_REASON_TEXT,
    FatSpectrum,
    FatWaterReason,
    complex_echoes,
    detect_phase_sign,
    fat_signal,
    fit_fat_water,
)

# Hamilton et al. 2011 (doi:10.1002/nbm.1622): shifts from water at 4.7 ppm, shares.
PPM = np.array([0.6, -0.5, -1.95, -2.6, -3.4, -3.8])
SHARE = np.array([0.047, 0.039, 0.006, 0.120, 0.700, 0.088])
LIVER = FatSpectrum("liver fat", tuple(PPM), tuple(SHARE))
MHZ_PER_T = 42.577478518  # CODATA 2018

TWELVE = 1e-3 * (1.0 + 0.9 * np.arange(12))
EIGHT = 1e-3 * np.linspace(1.2, 14.0, 8)
UNEVEN = 1e-3 * np.array([1.1, 2.0, 3.3, 4.1, 5.9, 7.4, 9.8])


def echoes(fat, r2star, field_hz, times=TWELVE, field_t=3.0, phase=0.7, s0=1.0):
    """Signal equation; the parameters broadcast against each other."""
    fat, r2star, field_hz, phase, s0 = (
        np.asarray(x, float)[..., None] for x in (fat, r2star, field_hz, phase, s0)
    )
    cycles = MHZ_PER_T * field_t * PPM[:, None] * times
    lipid = (SHARE[:, None] * np.exp(2j * np.pi * cycles)).sum(axis=0)
    turn = np.exp(1j * (phase + 2 * np.pi * field_hz * times))
    return s0 * (1 - fat + fat * lipid) * turn * np.exp(-r2star * times)


def noisy(signal, snr, seed=0):
    rng = np.random.default_rng(seed)
    return (
        signal + (rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape)) / snr
    )


def fit(signal, times=TWELVE, **options):
    options = {"field_strength_t": 3.0, "spectrum": LIVER, **options}
    return fit_fat_water(signal, times, **options)


def code(call):
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.code


# ------------------------------------------------------------------ exact data
@pytest.mark.parametrize(
    ("times", "field_t"), [(TWELVE, 3.0), (EIGHT, 3.0), (UNEVEN, 3.0), (TWELVE * 1.3, 1.5)]
)
def test_exact_samples_give_their_parameters(times, field_t):
    fat, r2star, field = (
        x.ravel()
        for x in np.meshgrid(
            [0.0, 0.03, 0.2, 0.5, 0.8, 1.0],
            [5.0, 40.0, 180.0],
            [-120.0, -15.0, 90.0],
            indexing="ij",
        )
    )
    phase = np.linspace(-3.0, 3.0, fat.size)
    found = fit(echoes(fat, r2star, field, times, field_t, phase, 250.0), times,
                field_strength_t=field_t)  # fmt: skip
    assert np.all(found.reason == FatWaterReason.OK)
    np.testing.assert_allclose(found.pdff_percent, 100 * fat, atol=1e-5)
    np.testing.assert_allclose(found.r2star_per_s, r2star, atol=1e-4)
    np.testing.assert_allclose(found.field_map_hz, field, atol=1e-4)
    np.testing.assert_allclose(found.s0, 250.0, rtol=1e-6)
    np.testing.assert_allclose(np.angle(np.exp(1j * (found.phase_rad - phase))), 0.0, atol=1e-5)


def test_even_echoes_know_the_field_up_to_one_over_their_spacing():
    period = 1.0 / 0.9e-3
    found = fit(echoes(0.3, 50.0, 40.0 + period))
    assert float(found.field_map_hz) == pytest.approx(40.0, abs=1e-4)
    assert float(found.pdff_percent) == pytest.approx(30.0, abs=1e-5)
    # At the seam, noise falls to both sides of it.
    seam = fit(noisy(echoes(np.full(200, 0.3), 50.0, 0.5 * period), 30.0))
    assert np.all(np.abs(seam.field_map_hz) <= 0.5 * period)
    assert np.unique(np.sign(seam.field_map_hz)).tolist() == [-1.0, 1.0]
    # Uneven echoes have no such twin.
    wide = fit(echoes(0.3, 50.0, 430.0, UNEVEN), UNEVEN)
    assert float(wide.field_map_hz) == pytest.approx(430.0, abs=1e-4)


def test_unit_of_the_signal_and_kind_of_float_change_nothing_but_s0():
    signal = noisy(echoes(np.linspace(0, 0.5, 50), 60.0, 30.0), 60.0)
    base = fit(signal)
    for factor in (1e-9, 1e9):
        scaled = fit(signal * factor)
        np.testing.assert_allclose(scaled.r2star_per_s, base.r2star_per_s, rtol=1e-7)
        np.testing.assert_allclose(scaled.pdff_percent, base.pdff_percent, atol=1e-6)
        np.testing.assert_allclose(scaled.s0, base.s0 * factor, rtol=1e-7)
    single = fit(signal.astype(np.complex64))
    assert single.r2star_per_s.dtype == np.float32
    assert base.r2star_per_s.dtype == np.float64
    np.testing.assert_allclose(single.r2star_per_s, base.r2star_per_s, rtol=1e-4)


def test_a_turn_of_all_phases_changes_only_the_phase():
    signal = noisy(echoes(np.linspace(0, 0.5, 40), 60.0, 30.0), 60.0)
    a, b = fit(signal), fit(signal * np.exp(2.1j))
    np.testing.assert_allclose(b.pdff_percent, a.pdff_percent, atol=1e-6)
    np.testing.assert_allclose(b.field_map_hz, a.field_map_hz, atol=1e-6)
    np.testing.assert_allclose(np.exp(1j * (b.phase_rad - a.phase_rad)), np.exp(2.1j), atol=1e-6)


def test_shape_mask_threads_and_order_of_voxels():
    fat = np.linspace(0, 0.5, 2 * 3 * 700).reshape(2, 3, 700)
    signal = noisy(echoes(fat, 50.0, 20.0), 80.0)
    mask = np.zeros(fat.shape, bool)
    mask[1, :, 5:600] = True
    told = []
    found = fit(signal, mask=mask, progress=told.append)
    assert np.all((found.reason == FatWaterReason.MASKED) == ~mask)
    assert np.all(np.isnan(found.s0[~mask]))
    assert np.all(np.isfinite(found.s0[mask]))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    two = fit(signal, mask=mask, threads=2)
    for a, b in zip(found, two, strict=True):
        np.testing.assert_array_equal(a, b)
    back = fit(signal[::-1, :, ::-1], mask=mask[::-1, :, ::-1])
    np.testing.assert_allclose(
        back.r2star_per_s[::-1, :, ::-1][mask], found.r2star_per_s[mask], rtol=1e-9
    )


# ------------------------------------------------------------------ noise
def test_the_minimum_is_that_of_an_independent_solver():
    rng = np.random.default_rng(4)
    fat, rate, field = rng.uniform(0, 0.6, 25), rng.uniform(20, 250, 25), rng.uniform(-90, 90, 25)
    signal = noisy(echoes(fat, rate, field, EIGHT), 40.0, 5)
    found = fit(signal, EIGHT)
    assert np.all(found.reason == FatWaterReason.OK)
    cycles = MHZ_PER_T * 3.0 * PPM[:, None] * EIGHT
    lipid = (SHARE[:, None] * np.exp(2j * np.pi * cycles)).sum(axis=0)
    for n in range(25):

        def miss(p, n=n):
            turn = np.exp(1j * (p[2] + 2 * np.pi * 100 * p[3] * EIGHT) - 100 * p[4] * EIGHT)
            gap = (p[0] + p[1] * lipid) * turn - signal[n]
            return np.concatenate([gap.real, gap.imag])

        start = [1 - fat[n], fat[n], 0.7, field[n] / 100, rate[n] / 100]
        best = least_squares(miss, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
        water, lip = best.x[:2]
        assert found.pdff_percent[n] == pytest.approx(100 * lip / (water + lip), abs=1e-3)
        assert found.r2star_per_s[n] == pytest.approx(100 * best.x[4], abs=1e-2)
        assert found.field_map_hz[n] == pytest.approx(100 * best.x[3], abs=1e-2)
        assert found.rmse[n] == pytest.approx(np.sqrt(2 * best.cost / 8), rel=1e-6)
        # Its Jacobian, by finite differences, gives the standard errors.
        cover = np.linalg.inv(best.jac.T @ best.jac) * 2 * best.cost / (16 - 5)
        assert found.r2star_se_per_s[n] == pytest.approx(100 * np.sqrt(cover[4, 4]), rel=1e-4)
        assert found.field_map_se_hz[n] == pytest.approx(100 * np.sqrt(cover[3, 3]), rel=1e-4)
        slope = np.array([-lip, water]) / (water + lip) ** 2
        spread = np.sqrt(slope @ cover[:2, :2] @ slope)
        assert found.pdff_se_percent[n] == pytest.approx(100 * spread, rel=1e-4)
        assert found.s0_se[n] == pytest.approx(np.sqrt(cover[:2, :2].sum()), rel=1e-4)


@pytest.mark.parametrize(("fat", "r2star", "snr"), [(0.0, 40.0, 30.0), (0.1, 100.0, 50.0),
                                                    (0.4, 200.0, 100.0)])  # fmt: skip
def test_standard_errors_are_the_cramer_rao_bound_and_the_scatter(fat, r2star, snr):
    n = 3000
    signal = noisy(echoes(np.full(n, fat), r2star, 25.0), snr, 8)
    found = fit(signal, sigma=1.0 / snr)
    assert np.all(found.reason == FatWaterReason.OK)

    # Cramer-Rao bound: central differences of the signal equation of this file.
    def model(p):
        lipid = echoes(1.0, 0.0, 0.0, phase=0.0)
        turn = np.exp(1j * (p[2] + 2 * np.pi * p[3] * TWELVE) - p[4] * TWELVE)
        return (p[0] + p[1] * lipid) * turn

    at = np.array([1 - fat, fat, 0.7, 25.0, r2star])
    steps = np.array([1e-6, 1e-6, 1e-6, 1e-4, 1e-4])
    jacobian = np.stack(
        [(model(at + h) - model(at - h)) / (2 * h.max()) for h in np.diag(steps)], axis=1
    )
    bound = np.sqrt(np.diag(np.linalg.inv((jacobian.conj().T @ jacobian).real))) / snr
    assert np.median(found.r2star_se_per_s) == pytest.approx(bound[4], rel=0.02)
    assert np.median(found.field_map_se_hz) == pytest.approx(bound[3], rel=0.02)
    # Standard deviation of 3000 draws: 1.3 % uncertain, four of these allowed.
    for values, errors in (
        (found.r2star_per_s, found.r2star_se_per_s),
        (found.pdff_percent, found.pdff_se_percent),
        (found.field_map_hz, found.field_map_se_hz),
    ):
        assert values.std() == pytest.approx(float(np.median(errors)), rel=0.06)
    # No bias: means within four standard errors of the mean.
    assert found.pdff_percent.mean() == pytest.approx(
        100 * fat, abs=4 * found.pdff_percent.std() / np.sqrt(n)
    )
    assert found.r2star_per_s.mean() == pytest.approx(
        r2star, abs=4 * found.r2star_per_s.std() / np.sqrt(n)
    )


@pytest.mark.parametrize("times", [TWELVE, EIGHT])
def test_intervals_from_the_residuals_cover_95_percent(times):
    # Student's t, 2 n - 5 degrees of freedom: 2.093 for 19, 2.201 for 11 (tables).
    t = 2.093 if times.size == 12 else 2.201
    found = fit(noisy(echoes(np.full(3000, 0.15), 80.0, 25.0, times), 60.0, 3), times)
    for values, errors, true in (
        (found.r2star_per_s, found.r2star_se_per_s, 80.0),
        (found.pdff_percent, found.pdff_se_percent, 15.0),
        (found.field_map_hz, found.field_map_se_hz, 25.0),
    ):
        covered = np.mean(np.abs(values - true) < t * errors)
        assert 0.93 < covered < 0.97  # binomial SD of 3000 draws: 0.4 %


def test_no_fat_is_not_folded_upwards():
    found = fit(noisy(echoes(np.zeros(4000), 40.0, 10.0), 40.0, 6))
    # A magnitude of a complex fat signal could not be negative; half of these are.
    assert 0.46 < np.mean(found.pdff_percent < 0) < 0.54
    assert abs(found.pdff_percent.mean()) < 0.1


# ------------------------------------------------------------------ exchange of water and fat
def scene(seed, snr, r2star=150.0):
    """A plane with a smooth field; one half water, one half with 30 % fat, a disc of pure fat."""
    j, i = np.mgrid[:36, :48]
    field = 120.0 * np.sin(i / 24.0) - 60.0 * j / 36.0
    fat = np.where(i > 24, 0.3, 0.0)
    fat[(j - 18) ** 2 + (i - 12) ** 2 < 60] = 0.95
    return fat, field, noisy(echoes(fat, r2star, field), snr, seed)


def test_neighbours_settle_what_a_voxel_cannot():
    fat, field, signal = scene(1, 20.0, 280.0)
    alone = fit(signal)
    beside = fit(signal, neighbourhood_voxels=2.0)
    assert np.mean(alone.reason == FatWaterReason.AMBIGUOUS) > 0.02
    assert np.mean(beside.reason == FatWaterReason.OK) > 0.995
    # Fat lies 435 Hz from water at 3 T: an exchange moves the field by far more than 150 Hz.
    exchanged = np.abs(beside.field_map_hz - field) > 150.0
    assert not exchanged.any()
    # Where both give a value they are the same fit.
    both = np.isfinite(alone.s0) & np.isfinite(beside.s0)
    same = np.abs(alone.field_map_hz - beside.field_map_hz) < 1.0
    assert np.mean(same[both]) > 0.99
    assert np.nanmedian(beside.pdff_percent[fat == 0.3]) == pytest.approx(30.0, abs=1.0)


def test_neighbours_know_that_the_field_wraps():
    # The same plane, half a period higher: every other voxel lies beyond the seam.
    period = 1.0 / 0.9e-3
    fat, field, _ = scene(1, 20.0)
    field = field - field.mean() + 0.5 * period
    found = fit(noisy(echoes(fat, 280.0, field), 20.0, 1), neighbourhood_voxels=2.0)
    assert np.mean(found.reason == FatWaterReason.OK) > 0.995
    off = (found.field_map_hz - field + 0.5 * period) % period - 0.5 * period
    assert np.nanmax(np.abs(off)) < 150.0


def test_a_voxel_alone_is_rarely_exchanged_and_says_when_it_is_unsure():
    _, field, signal = scene(2, 40.0)
    found = fit(signal)
    ok = found.reason == FatWaterReason.OK
    assert ok.mean() > 0.99
    assert np.mean(np.abs(found.field_map_hz - field)[ok] > 150.0) < 0.002
    unsure = found.reason == FatWaterReason.AMBIGUOUS
    assert np.all(np.isnan(found.pdff_percent[unsure]))


def test_minima_that_need_negative_water_or_fat_do_not_compete():
    # Without this, less than half of these voxels would be told from an answer with negative
    # water (counted by leaving it out: 45 %, with it 79 %).
    found = fit(noisy(echoes(np.full(1500, 0.95), 150.0, 30.0, EIGHT), 30.0, 7), EIGHT)
    assert np.mean(found.reason == FatWaterReason.OK) > 0.65


def test_clear_samples_outvote_the_neighbours():
    # One voxel of pure fat in water, on resonance: the neighbours' field is right for it as well;
    # and one voxel of water whose field really is off by the fat shift.
    field = np.zeros((9, 9))
    fat = np.zeros((9, 9))
    fat[4, 4] = 1.0
    field[2, 2] = -435.0
    found = fit(noisy(echoes(fat, 40.0, field), 100.0, 1), neighbourhood_voxels=1.5)
    assert found.pdff_percent[4, 4] == pytest.approx(100.0, abs=3.0)
    assert found.pdff_percent[2, 2] == pytest.approx(0.0, abs=3.0)
    assert found.field_map_hz[2, 2] == pytest.approx(-435.0, abs=10.0)


# ------------------------------------------------------------------ sign of the phase
@pytest.mark.parametrize("times", [TWELVE, EIGHT, UNEVEN])
def test_sign_of_the_phase_is_given_or_found(times):
    fat = np.tile([0.0, 0.0, 0.1, 0.9], 60)
    signal = noisy(echoes(fat, 45.0, np.linspace(-80, 80, fat.size), times), 50.0, 2)
    for stored, sign in ((signal, 1), (signal.conj(), -1)):
        seen = detect_phase_sign(stored, times, field_strength_t=3.0, spectrum=LIVER)
        assert (seen.sign, seen.decided) == (sign, True)
    right = fit(signal, times)
    turned = fit(signal.conj(), times, phase_sign=-1)
    np.testing.assert_allclose(turned.pdff_percent, right.pdff_percent, atol=1e-8)
    np.testing.assert_allclose(turned.field_map_hz, right.field_map_hz, atol=1e-8)
    wrong = fit(signal.conj(), times)
    fatty = fat == 0.9
    assert not np.allclose(wrong.pdff_percent[fatty], 90.0, atol=20.0)


def test_water_alone_does_not_tell_the_sign():
    for seed in range(4):
        signal = noisy(echoes(np.zeros(400), 45.0, 20.0), 50.0, seed)
        seen = detect_phase_sign(signal, TWELVE, field_strength_t=3.0, spectrum=LIVER)
        assert not seen.decided
    empty = detect_phase_sign(
        np.zeros((5, 12), complex), TWELVE, field_strength_t=3.0, spectrum=LIVER
    )
    assert (empty.decided, empty.n_voxels) == (False, 0)


# ------------------------------------------------------------------ reasons and refusals
def test_every_voxel_without_a_value_says_why():
    signal = np.repeat(echoes(0.2, 50.0, 10.0)[None], 6, axis=0)
    signal[1, 3] = np.nan
    signal[2] = 0.0
    signal[3] = noisy(np.zeros(12), 50.0, 9)
    signal[4] = np.eye(12)[0]  # only the first echo holds signal
    found = fit(noisy(signal, 1e4) * (signal != 0).any(axis=1)[:, None], sigma=1 / 50.0)
    reasons = [FatWaterReason(int(x)) for x in found.reason]
    assert reasons[0] == reasons[5] == FatWaterReason.OK
    assert reasons[1] == FatWaterReason.NON_FINITE
    assert reasons[2] == FatWaterReason.NO_SIGNAL
    # Noise, and a decay over before the second echo: which of these it is depends on the draw.
    none = {
        FatWaterReason.LOW_SIGNAL,
        FatWaterReason.AMBIGUOUS,
        FatWaterReason.AT_BOUND,
        FatWaterReason.NOT_CONVERGED,
    }
    assert reasons[3] in none
    assert reasons[4] in none
    for values in found[:-1]:
        assert np.all(np.isnan(values[1:5]))
        assert np.all(np.isfinite(values[[0, 5]]))
    assert set(FAT_WATER_REASON_TEXT) == set(FatWaterReason)


def test_a_rate_beyond_the_range_is_not_a_number():
    found = fit(echoes(0.1, 8000.0, 0.0)[None])
    assert found.reason[0] == FatWaterReason.AT_BOUND
    assert np.isnan(found.r2star_per_s[0])


def test_too_few_echoes_and_echoes_that_see_no_difference_are_refused():
    four = TWELVE[:4]
    assert code(lambda: fit(echoes(0.1, 50.0, 0.0, four), four)) == "E_ECHO"
    # 3.4 ppm at 3 T is 434 Hz: whole turns every 2.3 ms.
    in_phase = 2.3e-3 * np.arange(1, 7)
    assert code(lambda: fit(echoes(0.1, 50.0, 0.0, in_phase), in_phase)) == "E_ECHO"
    at_once = 1e-3 + 1e-5 * np.arange(8)
    assert code(lambda: fit(echoes(0.1, 50.0, 0.0, at_once), at_once)) == "E_ECHO"
    milliseconds = TWELVE * 1000
    assert code(lambda: fit(echoes(0.1, 50.0, 0.0), milliseconds)) == "E_ECHO"


@pytest.mark.parametrize(
    "options",
    [
        {"field_strength_t": 30000.0},
        {"phase_sign": 0},
        {"spectrum": FatSpectrum("half", (-3.4,), (0.5,))},
        {"spectrum": FatSpectrum("hertz", (-434.0,), (1.0,))},
        {"sigma": 0.0},
        {"max_field_hz": -1.0},
        {"neighbourhood_voxels": (1.0, 2.0)},
        {"mask": np.ones(4, bool)},
    ],
)
def test_arguments_without_meaning_are_refused(options):
    signal = echoes(np.zeros(3), 50.0, 0.0)
    assert code(lambda: fit(signal, **options)) == "E_ARGUMENT"


def test_magnitudes_alone_are_refused():
    assert code(lambda: fit(np.abs(echoes(0.1, 50.0, 0.0)))) == "E_ARGUMENT"


def test_magnitude_and_phase_make_the_complex_signal():
    signal = echoes(np.linspace(0, 0.5, 20), 50.0, 40.0)
    for stored in (np.angle(signal), np.angle(signal) % (2 * np.pi)):
        joined = complex_echoes(np.abs(signal), stored)
        np.testing.assert_allclose(joined, signal, atol=1e-12)
    assert (
        complex_echoes(np.abs(signal).astype(np.float32), np.angle(signal).astype(np.float32)).dtype
        == np.complex64
    )
    levels = np.rint((np.angle(signal) + np.pi) * 4096 / (2 * np.pi))
    assert code(lambda: complex_echoes(np.abs(signal), levels)) == "E_ARGUMENT"
    assert code(lambda: complex_echoes(-np.abs(signal), np.angle(signal))) == "E_ARGUMENT"
    assert code(lambda: complex_echoes(np.abs(signal)[:3], np.angle(signal))) == "E_ARGUMENT"


def test_fat_signal_is_the_sum_of_its_peaks():
    # Closed form: two equal peaks 1 ppm to both sides of -3 ppm beat with cos(2 pi t f).
    pair = FatSpectrum("pair", (-2.0, -4.0), (0.5, 0.5))
    hz = MHZ_PER_T * 1.5
    expected = np.exp(-2j * np.pi * 3 * hz * TWELVE) * np.cos(2 * np.pi * hz * TWELVE)
    np.testing.assert_allclose(fat_signal(TWELVE, 1.5, pair), expected, atol=1e-12)


def test_what_progress_raises_ends_the_fit():
    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(echoes(np.zeros(10), 50.0, 0.0), progress=stop)
