"""Input function of kinetic quantities: activity in blood plasma over time, and its integral.

Times are seconds since injection.  Activity is **decay-corrected to the injection**: what the blood
would hold if nothing had decayed.  `decay_corrected_to_injection` and `physical_activity` convert.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError
from eprimg.kernels._kinetic_arrays import argument, require_whole
from eprimg.kernels._kinetic_fit import checked_times, fit_exponentials, positive, undetermined
from eprimg.kernels.radioactivity import decay_factor, require_near

__all__ = [
    "InputFunction",
    "InputModel",
    "InputValues",
    "decay_corrected_to_injection",
    "evaluate_input_function",
    "fit_input_function",
    "physical_activity",
]

InputModel = Literal["monoexponential", "biexponential", "trapezoid"]

_Array = NDArray[np.float64]

_N_PARAMETERS = {"monoexponential": 2, "biexponential": 4}
_STEP = 1.0e-30
"""Complex step: the derivative is exact to rounding because no difference is taken."""


class InputFunction(NamedTuple):
    """Input function, as `fit_input_function` makes it.

    Attributes
    ----------
    model : {"monoexponential", "biexponential", "trapezoid"}
        How the activity between and beyond the samples is found.
    times_s : ndarray of float64, shape (n,)
        Times of the samples in seconds since injection.
    plasma : ndarray of float64, shape (n,)
        Activity in plasma at these times, in the unit of the samples.
    parameters : ndarray of float64, shape (p,)
        Mono-exponential ``A, k``; bi-exponential ``A1, k1, A2, k2`` with ``k1 > k2`` (A in the unit
        of the samples, k in 1/s); trapezoid: the samples.
    covariance : ndarray of float64, shape (p, p)
        Covariance of the parameters; NaN where it cannot be known.
    degrees_of_freedom : float
        Of the covariance: ``n - p`` when it came from the residuals, infinite when it came from
        the given standard deviations, 0 when there is none.
    chi_square_per_dof : float
        Weighted sum of squared residuals per degree of freedom, about 1 for a model that fits
        within the given standard deviations; NaN without them or without spare samples.
    scale_relative_se : float
        Standard error of a factor common to all samples, as a fraction.
    tail_rate_per_s : float
        Rate of the fall beyond the last sample in 1/s; zero or less where the samples do not fall.
    latest_s : float
        No value is given beyond this time.
    initial : {"constant", "loglinear"}
        How the trapezoid goes back to the injection.
    n_tail : int
        Samples behind the tail of the trapezoid.
    """

    model: InputModel
    times_s: _Array
    plasma: _Array
    parameters: _Array
    covariance: _Array
    degrees_of_freedom: float
    chi_square_per_dof: float
    scale_relative_se: float
    tail_rate_per_s: float
    latest_s: float
    initial: Literal["constant", "loglinear"]
    n_tail: int


class InputValues(NamedTuple):
    """Input function at given times, from `evaluate_input_function`.

    Attributes
    ----------
    activity, activity_se : ndarray of float64, shape (m,)
        Activity in plasma and its standard error, in the unit of the samples.
    integral_s, integral_se_s : ndarray of float64, shape (m,)
        Integral from the injection to each time and its standard error, in that unit times s.
    covariance : ndarray of float64, shape (2 m, 2 m)
        Covariance of the activities followed by the integrals; NaN where it cannot be known.
    share_before_first : ndarray of float64, shape (m,)
        Part of each integral that lies before the first sample, where nothing was measured; NaN
        at the injection itself.
    share_after_last : ndarray of float64, shape (m,)
        Part of each integral that lies after the last sample.
    """

    activity: _Array
    activity_se: _Array
    integral_s: _Array
    integral_se_s: _Array
    covariance: _Array
    share_before_first: _Array
    share_after_last: _Array


def decay_corrected_to_injection(
    activity: ArrayLike, times_s: ArrayLike, *, half_life_s: float
) -> _Array:
    """Activity as it would be without radioactive decay since the injection.

    Parameters
    ----------
    activity : array-like of float, shape (..., n)
        Physical activity, each sample at its own time, in any unit.
    times_s : array-like of float, shape (n,)
        Seconds since injection.
    half_life_s : float
        Half-life in s.

    Returns
    -------
    ndarray of float64, shape (..., n)
        ``A exp(+lambda t)`` in the same unit.

    Raises
    ------
    InputError
        A time is not finite or beyond 1000 half-lives, or the half-life is not positive.

    Notes
    -----
    Never apply it to a PET series with DecayCorrection ADMIN, which is corrected to the injection
    already; one with START is corrected to the start of its own scan, so `times_s` is that instant.
    """
    times = np.asarray(times_s, dtype=np.float64)
    require_near(float(np.max(np.abs(times), initial=0.0)), half_life_s, where="times_s")
    factor = decay_factor(times, half_life_s)
    return np.asarray(np.asarray(activity, dtype=np.float64) / factor)


def physical_activity(activity: ArrayLike, times_s: ArrayLike, *, half_life_s: float) -> _Array:
    """Activity that is really there, from activity decay-corrected to the injection.

    Parameters
    ----------
    activity : array-like of float, shape (..., n)
        Activity decay-corrected to the injection, in any unit.
    times_s : array-like of float, shape (n,)
        Seconds since injection.
    half_life_s : float
        Half-life in s.

    Returns
    -------
    ndarray of float64, shape (..., n)
        ``A exp(-lambda t)`` in the same unit.

    Raises
    ------
    InputError
        A time is not finite, or the half-life is not positive.
    """
    factor = decay_factor(np.asarray(times_s, dtype=np.float64), half_life_s)
    return np.asarray(np.asarray(activity, dtype=np.float64) * factor)


def fit_input_function(
    times_s: ArrayLike,
    activity: ArrayLike,
    *,
    sd: ArrayLike | None = None,
    model: InputModel = "monoexponential",
    plasma_over_blood: ArrayLike = 1.0,
    plasma_over_blood_se: float = 0.0,
    initial: Literal["constant", "loglinear"] = "constant",
    n_tail: int = 3,
    extrapolation_factor: float = 1.25,
) -> InputFunction:
    r"""Input function from blood samples or from a blood-pool region.

    Parameters
    ----------
    times_s : array-like of float, shape (n,)
        Seconds since injection (middle of the frame for a region), strictly rising, not negative.
    activity : array-like of float, shape (n,)
        Activity of whole blood (or of plasma), decay-corrected to the injection; finite, positive.
    sd : array-like of float, scalar or shape (n,), optional
        Standard deviation of each sample in the same unit, positive.  It weights the fit and gives
        the covariance; without it all samples weigh the same and the residuals give it.
    model : {"monoexponential", "biexponential", "trapezoid"}, default "monoexponential"
        ``A exp(-k t)``; ``A1 exp(-k1 t) + A2 exp(-k2 t)``; or straight lines between the samples
        and beyond them ``C_last exp(-k (t - t_last))`` with k from the last `n_tail` samples.
    plasma_over_blood : float or array-like of shape (n,), default 1
        Plasma to whole-blood ratio, multiplies the samples; positive.
    plasma_over_blood_se : float, default 0
        Standard error of a factor common to all ratios, in the unit of the ratio.  A common
        calibration error (well counter to scanner) can be added to it in quadrature.
    initial : {"constant", "loglinear"}, default "constant"
        Trapezoid only, from the injection to the first sample: the value of the first sample, or
        the exponential through the first two followed back.
    n_tail : int, default 3
        Trapezoid only, samples of the tail (2 or more): least squares of ``ln C``, equal weights.
    extrapolation_factor : float, default 1.25
        `evaluate_input_function` refuses times beyond this multiple of the last sample; at least 1.

    Returns
    -------
    InputFunction
        Model, parameters and covariance.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for arguments that cannot be used; ``E_INPUT_FUNCTION`` where the samples
        are too few for the model or do not determine it.

    Notes
    -----
    Exponentials: weighted least squares over the logarithms of the parameters, so amplitudes and
    rates stay positive; covariance ``inv(J' J)`` at the solution, times ``RSS / (n - p)`` without
    `sd`.  At least p samples are needed with `sd`, p + 1 without.

    When the number misleads:

    * A `chi_square_per_dof` far above 1 says that the model is wrong; the errors are too small.
    * One exponential misses a distribution phase before the first sample, and the integral keeps
      that error for ever.  `InputValues.share_before_first` tells how much is at stake.
    * Straight lines above a falling curve give too much: for an exponential of rate k and samples h
      apart the area is ``(x/2) coth(x/2)`` times the true one, ``x = k h``; 1.02 for h of 0.7
      half-lives, 1.16 for 2, 1.57 for 4.  Few late scans need an exponential model.
    * A blood-pool region holds spill-over and noise of the image (repeatability up to 40 % at day 6
      for 89Zr, [1]_; methods in [2]_), and whole blood, not plasma.  For a carrier that does not
      enter red cells plasma / blood is ``1 / (1 - haematocrit)``.
    * Label that has left the carrier is counted with it.

    References
    ----------
    .. [1] Jauw YWS et al., Mol Imaging Biol 2018. doi:10.1007/s11307-018-1200-4
    .. [2] Zanotti-Fregonara P et al., J Cereb Blood Flow Metab 2011. doi:10.1038/jcbfm.2011.107
    """
    times = checked_times(times_s)
    ratio = positive(plasma_over_blood, "plasma_over_blood", times.size)
    plasma = positive(activity, "activity", times.size) * ratio
    spread = None if sd is None else positive(sd, "sd", times.size) * ratio
    if model not in ("monoexponential", "biexponential", "trapezoid"):
        raise argument("unknown model", "model", model)
    if initial not in ("constant", "loglinear"):
        raise argument("unknown start of the trapezoid", "initial", initial)
    if not (math.isfinite(extrapolation_factor) and extrapolation_factor >= 1.0):
        raise argument(
            "the extrapolation factor must be 1 or more",
            "extrapolation_factor",
            extrapolation_factor,
        )
    if not (math.isfinite(plasma_over_blood_se) and plasma_over_blood_se >= 0.0):
        raise argument(
            "a standard error must not be negative", "plasma_over_blood_se", plasma_over_blood_se
        )

    n, chi_square = times.size, math.nan
    if model == "trapezoid":
        require_whole(n_tail, "n_tail")
        if n_tail < 2 or n < max(n_tail, 2):
            raise undetermined(f"the tail needs 2 or more samples; {n_tail} were asked of {n}", n)
        parameters, dof = plasma, 0.0 if spread is None else math.inf
        covariance = np.full((n, n), math.nan) if spread is None else np.diag(spread**2)
        tail_rate = float(np.real(_tail_rate(plasma, times, n_tail)))
    else:
        p = _N_PARAMETERS[model]
        if n < p + (spread is None):
            raise undetermined(
                f"a {model} input function has {p} parameters; {p} samples with standard "
                f"deviations are needed, or {p + 1} without",
                n,
            )
        weights = np.ones(n) if spread is None else 1.0 / spread
        parameters, unit_covariance, rss = fit_exponentials(times, plasma, weights, p)
        dof = float(n - p) if spread is None else math.inf
        covariance = unit_covariance * (rss / (n - p) if spread is None else 1.0)
        if np.any(np.sqrt(np.diag(covariance)) > parameters):
            raise undetermined("a parameter is smaller than its standard error", n)
        if spread is not None and n > p:
            chi_square = rss / (n - p)
        tail_rate = float(parameters[-1])
    return InputFunction(
        model,
        times,
        plasma,
        parameters,
        covariance,
        dof,
        chi_square,
        float(plasma_over_blood_se / np.mean(ratio)),
        tail_rate,
        extrapolation_factor * float(times[-1]),
        initial,
        int(n_tail),
    )


def evaluate_input_function(function: InputFunction, times_s: ArrayLike) -> InputValues:
    """Activity in plasma and its integral from the injection, with standard errors.

    Parameters
    ----------
    function : InputFunction
        From `fit_input_function`.
    times_s : array-like of float, shape (m,)
        Seconds since injection, not negative; any order.

    Returns
    -------
    InputValues
        Values, standard errors, joint covariance and the shares that were not measured.

    Raises
    ------
    InputError
        ``E_INPUT_FUNCTION`` beyond `latest_s`, or beyond the last sample where the samples of the
        tail do not fall; ``E_ARGUMENT`` for times that are negative or not finite.

    Notes
    -----
    First-order propagation ``J V J'`` with an exact Jacobian (complex step, [1]_), plus the common
    factor, ``scale_relative_se**2 v v'``.  With the trapezoid the tail moves with its samples, and
    that correlation is kept.  Limits: `kinetics.confidence_limits` with the `degrees_of_freedom` of
    the function.  The errors know the scatter of the samples, not a wrong model.

    References
    ----------
    .. [1] Squire W, Trapp G, SIAM Review 1998;40:110-112. doi:10.1137/S003614459631241X
    """
    times = np.asarray(times_s, dtype=np.float64)
    if times.ndim != 1 or times.size == 0 or not np.all(np.isfinite(times) & (times >= 0.0)):
        raise argument("times must be finite and not negative", "times_s", times.tolist())
    last = float(function.times_s[-1])
    latest = float(times.max())
    if latest > function.latest_s or (latest > last and function.tail_rate_per_s <= 0.0):
        raise InputError(
            f"The input function is known up to {last:g} s; it is given up to "
            f"{max(last, function.latest_s):g} s, and only where its last samples fall.",
            code="E_INPUT_FUNCTION",
            where="times_s",
            value=latest,
            action="Take a later blood sample, or leave the later scans out.",
        )
    m = times.size
    asked = np.concatenate([times, function.times_s[[0, -1]]])
    both = _curve(function, function.parameters, asked)
    value, integral = both[:m], both[asked.size : asked.size + m]
    first_area, last_area = both[-2], both[-1]

    jacobian = np.empty((2 * m, function.parameters.size))
    for column in range(function.parameters.size):
        moved = function.parameters.astype(np.complex128)
        moved[column] += 1j * _STEP * abs(moved[column])
        derivative = _curve(function, moved, times).imag / (_STEP * abs(moved[column].real))
        jacobian[:, column] = derivative
    values = np.concatenate([value, integral])
    covariance = jacobian @ function.covariance @ jacobian.T
    covariance = covariance + function.scale_relative_se**2 * np.outer(values, values)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        before = np.minimum(first_area, integral) / integral
        after = np.maximum(integral - last_area, 0.0) / integral
    return InputValues(value, errors[:m], integral, errors[m:], covariance, before, after)


def _curve(function: InputFunction, parameters: NDArray[Any], times: _Array) -> NDArray[Any]:
    """Activities, then integrals; analytic in the parameters, which may be complex."""
    if function.model == "trapezoid":
        return _trapezoid(function, parameters, times)
    amplitudes, rates = parameters[0::2], parameters[1::2]
    exponent = -times[:, np.newaxis] * rates
    value = np.exp(exponent) @ amplitudes
    return np.concatenate([value, -np.expm1(exponent) @ (amplitudes / rates)])


def _trapezoid(function: InputFunction, samples: NDArray[Any], times: _Array) -> NDArray[Any]:
    nodes, last = function.times_s, function.times_s[-1]
    if nodes[0] > 0.0:
        start = samples[0]
        if function.initial == "loglinear":
            slope = np.log(samples[0] / samples[1]) / (nodes[1] - nodes[0])
            start = start * np.exp(slope * nodes[0])
        nodes, samples = np.concatenate([[0.0], nodes]), np.concatenate([[start], samples])
    areas = 0.5 * (samples[1:] + samples[:-1]) * np.diff(nodes)
    sums = np.concatenate([[0.0], np.cumsum(areas)])
    inside = np.minimum(times, last)
    left = np.clip(np.searchsorted(nodes, inside, side="right") - 1, 0, nodes.size - 2)
    step = inside - nodes[left]
    slope = (samples[left + 1] - samples[left]) / (nodes[left + 1] - nodes[left])
    value = samples[left] + slope * step
    integral = sums[left] + 0.5 * (samples[left] + value) * step
    late = times > last
    if np.any(late):
        rate = _tail_rate(samples, nodes, function.n_tail)
        beyond = np.where(late, times - last, 0.0)
        value = np.where(late, samples[-1] * np.exp(-rate * beyond), value)
        integral = integral - samples[-1] * np.expm1(-rate * beyond) / rate
    return np.concatenate([value, integral])


def _tail_rate(samples: NDArray[Any], times: _Array, n_tail: int) -> Any:
    centred = times[-n_tail:] - times[-n_tail:].mean()
    return -(np.log(samples[-n_tail:]) @ centred) / (centred @ centred)
