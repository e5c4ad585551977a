"""Against spins summed one by one over the slice, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.kernels.field_gradient import (
    LEAST_FACTOR,
    dephasing_factor,
    rephased_echoes,
    through_slice_gradient,
    usable_echoes,
)
from eprimg.kernels.r2star import fit_r2star

TIMES_S = np.linspace(0.0012, 0.014, 8)
HANN = np.sin(np.linspace(0.0, np.pi, 21)) ** 2
LOPSIDED = np.linspace(0.0, 1.0, 9)


def spins(gradient_hz_per_mm: float, thickness_mm: float, profile: str, table=()) -> np.ndarray:
    """Magnitude left of 200 001 isochromats spread over the slice; nothing of the kernel."""
    if profile == "gaussian":
        z = np.linspace(-4.0 * thickness_mm, 4.0 * thickness_mm, 200_001)
        weight = 2.0 ** (-((2.0 * z / thickness_mm) ** 2))  # half at +- half the width
    else:
        z = np.linspace(-0.5 * thickness_mm, 0.5 * thickness_mm, 200_001)
        places = np.linspace(-0.5, 0.5, len(table)) * thickness_mm if len(table) else z
        weight = np.interp(z, places, table) if len(table) else np.ones_like(z)
    weight[[0, -1]] *= 0.5
    turned = [np.sum(weight * np.exp(2j * np.pi * gradient_hz_per_mm * z * t)) for t in TIMES_S]
    return np.abs(turned) / weight.sum()


@pytest.mark.parametrize(
    ("profile", "table"),
    [("rectangular", ()), ("gaussian", ()), ("table", HANN), ("table", LOPSIDED)],
)
@pytest.mark.parametrize("gradient", [0.0, 1.0, -6.0, 25.0])
def test_the_factor_is_that_of_summed_spins(profile, table, gradient):
    found = dephasing_factor(
        gradient, TIMES_S, thickness_mm=5.0, profile=profile, table=tuple(table)
    )
    np.testing.assert_allclose(found, spins(gradient, 5.0, profile, table), atol=2e-6)


def test_closed_forms():
    # one whole turn across the box: nothing left; half a turn: 2 / pi
    zero, half = dephasing_factor([20.0, 10.0], [0.01], thickness_mm=5.0)[:, 0]
    assert zero == pytest.approx(0.0, abs=1e-12)
    assert half == pytest.approx(2.0 / math.pi)
    # a Gaussian of full width d has the transform exp(-(pi g d TE)^2 / (4 ln 2))
    found = dephasing_factor([8.0], [0.01], thickness_mm=5.0, profile="gaussian")
    assert found[0, 0] == pytest.approx(math.exp(-((math.pi * 0.4) ** 2) / (4 * math.log(2))))
    assert np.isnan(dephasing_factor([np.nan], [0.01], thickness_mm=5.0)).all()


@pytest.mark.parametrize("r2star", [20.0, 80.0, 250.0])
@pytest.mark.parametrize(("profile", "table"), [("rectangular", ()), ("table", HANN)])
def test_r2star_comes_back(r2star, profile, table):
    gradient = 6.0
    loss = spins(gradient, 5.0, profile, table)
    signal = 1000.0 * np.exp(-r2star * TIMES_S) * loss
    factor = dephasing_factor(
        gradient, TIMES_S, thickness_mm=5.0, profile=profile, table=tuple(table)
    )
    n = int(usable_echoes(factor))
    assert n >= 4
    assert (loss[:n] >= LEAST_FACTOR - 1e-5).all()
    found = fit_r2star(rephased_echoes(signal, factor)[:n], TIMES_S[:n], backend="numpy")
    assert float(found.r2star_per_s) == pytest.approx(r2star, rel=1e-4)
    assert float(found.s0) == pytest.approx(1000.0, rel=1e-4)
    plain = fit_r2star(signal, TIMES_S, backend="numpy")
    assert float(plain.r2star_per_s) > r2star + 2.0


def test_gradient_of_a_parabola_with_gaps():
    z = 4.0 * np.arange(6.0)
    field = (0.5 * z**2 - 3.0 * z)[:, None, None] * np.ones((1, 2, 2))
    field[3, 0, 0] = np.nan
    found = through_slice_gradient(field, slice_step_mm=4.0)
    # inside: the slope z - 3 exactly; at the ends the slope half a slice further in
    np.testing.assert_allclose(found[1:5, 1, 1], z[1:5] - 3.0)
    np.testing.assert_allclose(found[[0, 5], 1, 1], [2.0 - 3.0, 18.0 - 3.0])
    assert np.isnan(found[3, 0, 0])
    assert found[2, 0, 0] == pytest.approx(6.0 - 3.0)  # the one neighbour, slice 1
    assert np.isnan(through_slice_gradient(np.zeros((1, 2, 2)), slice_step_mm=4.0)).all()


def test_a_wrapped_field_is_followed_to_the_nearest():
    period = 800.0
    field = (30.0 * np.arange(40.0))[:, None, None]
    wrapped = (field + 400.0) % period - 400.0
    found = through_slice_gradient(wrapped, slice_step_mm=2.0, period_hz=period)
    np.testing.assert_allclose(found, 15.0)
    assert np.abs(through_slice_gradient(wrapped, slice_step_mm=2.0)).max() > 100.0


def test_echoes_behind_the_first_zero_are_not_used():
    factor = np.array([[0.9, 0.5, 0.2, 0.4], [0.9, 0.8, 0.7, 0.6], [np.nan] * 4])
    assert usable_echoes(factor).tolist() == [2, 4, 0]
    back = rephased_echoes(np.full((1, 4), 2.0, np.float32), factor[:1])
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, 2.0 / factor[:1], rtol=1e-6)
    assert np.isnan(rephased_echoes([1.0], [0.0])).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: through_slice_gradient(np.zeros((2, 2)), slice_step_mm=1.0),
        lambda: through_slice_gradient(np.zeros((2, 2, 2)), slice_step_mm=0.0),
        lambda: through_slice_gradient(np.zeros((2, 2, 2)), slice_step_mm=1.0, period_hz=-1.0),
        lambda: dephasing_factor(1.0, [-0.1], thickness_mm=1.0),
        lambda: dephasing_factor(1.0, [0.1], thickness_mm=0.0),
        lambda: dephasing_factor(1.0, [0.1], thickness_mm=1.0, profile="box"),
        lambda: dephasing_factor(1.0, [0.1], thickness_mm=1.0, profile="table", table=(1, 2)),
        lambda: dephasing_factor(1.0, [0.1], thickness_mm=1.0, profile="table", table=(1, -2, 1)),
    ],
)
def test_what_has_no_meaning_is_refused(call):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == "E_ARGUMENT"
