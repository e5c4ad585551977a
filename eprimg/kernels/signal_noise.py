"""Noise level of a magnitude echo stack, from air or from the scatter of the late echoes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.kernels import _r2star_checks as checks
from eprimg.kernels._r2star_chunks import Outputs, evenly_spaced, for_kernel
from eprimg.kernels._r2star_magnitude import magnitude_table, mean_magnitude, variance_of_magnitude
from eprimg.kernels._r2star_noise import NoiseModel, PlainFit, fit_with_noise
from eprimg.kernels._r2star_numpy import fit_chunk as fit_chunk_numpy
from eprimg.kernels._r2star_result import CODES, R2StarReason

__all__ = ["SigmaEstimate", "estimate_sigma"]

_FEWEST_VOXELS = 100
_MOST_VOXELS = {"background": 60_000, "late-echoes": 4_000}
_TAIL = 0.01
"""Part of true air voxels that is given up at each of the two ends of the selection."""

_STARTS = 40
_LOOKED_AT = 6000
"""Voxels whose distribution is compared with that of air."""
_ITERATIONS = 100
_SHARE_OF_AIR = 0.005
"""Fewer voxels than this part of the field are no background."""

_FEWEST_ECHOES = 4
_ALL = np.empty(0, np.bool_)
_QUARTILES = (0.25, 0.5, 0.75)
_ODD_QUARTILE = 0.06
_ODD_ECHO = 0.06
_LOW_SIGMAS = 3.0


class SigmaEstimate(NamedTuple):
    """Noise level, or why there is none.

    Attributes
    ----------
    sigma : float or None
        Standard deviation of the noise per channel, in the unit of the signal.
    sigma_se : float or None
        Statistical standard error of `sigma`; what the model gets wrong is not in it.
    method : {"background", "late-echoes"} or None
        Where it was read.
    n_voxels : int
        Voxels it was read from.
    reason : str
        Why there is no value; empty where there is one.
    """

    sigma: float | None
    sigma_se: float | None
    method: str | None
    n_voxels: int
    reason: str


def estimate_sigma(
    stack: ArrayLike,
    mask: NDArray[np.bool_] | None = None,
    n_coils: int = 1,
    method: Literal["background", "late-echoes", "auto"] = "auto",
    *,
    echo_times_s: Sequence[float] | NDArray[np.floating] | None = None,
    backend: Literal["auto", "numba", "numpy"] = "auto",
) -> SigmaEstimate:
    r"""Estimate the noise of the real and of the imaginary part from magnitudes alone.

    Parameters
    ----------
    stack : array_like of float or integer, shape (..., n_echoes)
        Magnitude signal in any unit, last axis = echoes.
    mask : ndarray of bool, shape (...), optional
        Voxels with tissue.  Air is looked for outside it, late echoes inside it; without it, both
        everywhere.
    n_coils : int, default 1
        Channels that were added as a sum of squares (non-central chi); 1 is the Rice distribution.
    method : {"background", "late-echoes", "auto"}, default "auto"
        ``"auto"``: background, and late echoes where that fails.
    echo_times_s : array_like of float, shape (n_echoes,), optional
        Echo times in seconds; needed for the late echoes.
    backend : {"auto", "numba", "numpy"}, default "auto"
        As for `eprimg.kernels.r2star.fit_r2star`.

    Returns
    -------
    SigmaEstimate
        Value, standard error, method and number of voxels; or no value and the reason.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` or ``E_ECHO`` for arguments that have no meaning.

    Notes
    -----
    *background.*  A voxel of air has only noise in all its K echoes, so that
    ``sum(M**2) / (2 sigma**2)`` follows a gamma distribution of shape ``n_coils K``.  The voxels
    between its 1 and 99 % points give sigma from their mean square, this gives other voxels, and so
    on until nothing changes (after [1]_, which uses the median: that would follow the rounding of
    stored integers).  Air peaks at ``sigma sqrt(2 n_coils - 1)``, the mode of the Rayleigh or chi
    distribution [2]_.  From several starts the answer with the most voxels is taken among those
    that look like air: the quartiles are those of the chi distribution, and no echo is weaker than
    another.

    *late-echoes.*  The mean magnitude of a decay (Rice or non-central chi) is fitted to voxels with
    signal; the scatter of the later half of the echoes about it, each divided by its expected
    variance and corrected for the part that the fit itself takes up, gives a new sigma, and so on.
    The median over the voxels is used.  Four echoes or more are needed.

    When the number misleads:

    * Noise that differs over the field (parallel imaging, surface-coil correction): the value is
      that of the air, or an average.
    * ``late-echoes`` counts every departure from a single exponential as noise (fat, field
      gradients, motion between echoes), so it is rather too high.
    * Filters and interpolation make neighbours alike: the value is right, the standard error too
      small.

    References
    ----------
    .. [1] Koay CG, Ozarslan E, Pierpaoli C. Probabilistic identification and estimation of noise
       (PIESNO). Journal of Magnetic Resonance 2009;199:94.
    .. [2] Constantinides CD, Atalar E, McVeigh ER. Signal-to-noise measurements in magnitude images
       from NMR phased arrays. Magnetic Resonance in Medicine 1997;38:852.
       doi:10.1002/mrm.1910380524
    """
    samples = checks.checked_signal(stack)
    chosen = checks.checked_mask(mask, samples.shape[:-1])
    coils = checks.checked_coils(n_coils)
    if method not in ("background", "late-echoes", "auto"):
        raise checks.argument_error(
            "unknown method", "method", method, "use 'background', 'late-echoes' or 'auto'"
        )
    times = None
    if echo_times_s is not None:
        times = checks.checked_times(echo_times_s, samples.shape[-1])
    elif method == "late-echoes":
        raise checks.argument_error(
            "late echoes can only be read with their times", "echo_times_s", None, "give them"
        )
    reasons = []
    if method != "late-echoes":
        outside = None if chosen is None else ~chosen
        found = _from_background(_picked(samples, outside, "background"), coils)
        if found.sigma is not None or method == "background":
            return found
        reasons.append(found.reason)
    if times is None:
        reasons.append("late echoes cannot be read without their times")
        return _nothing("; ".join(reasons))
    rows = _picked(samples, chosen, "late-echoes")
    if samples.dtype != np.float64:  # the variant of the fit that the stack itself needs
        rows = rows.astype(np.float32)
    found = _from_late_echoes(rows, times, coils, _kernel(backend))
    if found.sigma is not None:
        return found
    return _nothing("; ".join([*reasons, found.reason]))


def _nothing(reason: str) -> SigmaEstimate:
    return SigmaEstimate(None, None, None, 0, reason)


def _picked(
    samples: NDArray[Any], chosen: NDArray[np.bool_] | None, method: str
) -> NDArray[np.float64]:
    """Return voxels spread evenly over the field, finite ones only, as float64."""
    size = int(np.prod(samples.shape[:-1]) if chosen is None else np.count_nonzero(chosen))
    step = max(1, -(-size // _MOST_VOXELS[method]))
    where = np.arange(0, size, step) if chosen is None else np.flatnonzero(chosen)[::step]
    # Index by coordinates: a stack in another memory order is not copied whole.
    index = np.unravel_index(where, samples.shape[:-1]) if samples.ndim > 1 else ()
    rows = np.asarray(samples[index], dtype=np.float64).reshape(-1, samples.shape[-1])
    good = np.ones(len(rows), np.bool_)
    for echo in rows.T:  # one long pass per echo is quicker than many short ones
        good &= (echo >= 0.0) & (echo < np.inf)
    return rows[good]


def _from_background(rows: NDArray[np.float64], n_coils: int) -> SigmaEstimate:
    # Late, so that a plain fit of R2* loads no scipy.
    from scipy.special import gammainc, gammaincinv

    power = 0.5 / rows.shape[1] * np.einsum("ij,ij->i", rows, rows)
    zero = power == 0.0
    signal, power = rows[~zero], power[~zero]
    if len(signal) < _FEWEST_VOXELS:
        return _nothing(f"only {len(signal)} voxels outside the tissue hold a signal")
    order = np.argsort(power, kind="stable")
    power = power[order]
    summed = np.concatenate(([0.0], np.cumsum(power)))
    # Power over sigma**2 is gamma distributed; this is its mean between the two ends.
    shape = float(n_coils * rows.shape[1])
    ends = gammaincinv(shape, (_TAIL, 1.0 - _TAIL))
    expected = n_coils * float(np.diff(gammainc(shape + 1.0, ends))[0]) / (1.0 - 2.0 * _TAIL)
    window = np.sqrt(ends / rows.shape[1])
    # Whole numbers hit a quartile to half a step only.
    grain = 0.5 if np.array_equal(signal, np.round(signal)) else 0.0
    best: tuple[int, float] | None = None
    starts = np.sqrt(np.quantile(power, np.linspace(0.0, 1.0, _STARTS)) / n_coils)
    seen = 0.0
    for start in starts[starts > 0.0]:
        sigma, first, last = _settle(float(start), power, summed, window, expected)
        n = last - first
        if n < max(_FEWEST_VOXELS, _SHARE_OF_AIR * len(rows)) or abs(sigma - seen) < 1e-9 * sigma:
            continue
        seen = sigma
        some = order[first : last : max(1, n // _LOOKED_AT)]
        if (best is None or n > best[0]) and _looks_like_air(
            signal[some] / sigma, n_coils, grain / sigma
        ):
            best = (n, sigma)
    if best is None:
        if zero.sum() > _SHARE_OF_AIR * len(rows):
            return _nothing("the background was set to zero")
        return _nothing("no part of the field follows the noise distribution of air")
    n, sigma = best
    # The sum of n gamma variables of this shape has the relative spread 1 / sqrt(n shape).
    return SigmaEstimate(sigma, 0.5 * sigma / float(np.sqrt(n * shape)), "background", n, "")


def _settle(
    sigma: float,
    power: NDArray[np.float64],
    summed: NDArray[np.float64],
    window: NDArray[np.float64],
    expected: float,
) -> tuple[float, int, int]:
    """Take the voxels that fit sigma, take sigma from the voxels, until both stay the same."""
    ends = (0, 0)
    for _ in range(_ITERATIONS):
        before = ends
        first, last = np.searchsorted(power, (window * sigma) ** 2)
        ends = int(first), int(last)
        if ends == before or last - first < _FEWEST_VOXELS:
            break
        sigma = float(np.sqrt((summed[last] - summed[first]) / (last - first) / expected))
    return sigma, *ends


def _looks_like_air(z: NDArray[np.float64], n_coils: int, grain: float) -> bool:
    """Tell whether samples over sigma have the quartiles of noise, and no echo is weaker."""
    from scipy.special import gammaincinv

    echoes = np.sqrt(np.einsum("ij,ij->j", z, z) / len(z))
    if np.ptp(echoes) > (_ODD_ECHO + 4.0 / np.sqrt(len(z))) * echoes.mean():
        return False
    expected = np.sqrt(2.0 * gammaincinv(n_coils, np.array(_QUARTILES)))
    allowed = expected * (_ODD_QUARTILE + 4.0 / np.sqrt(z.size)) + grain
    return bool(np.all(np.abs(np.quantile(z, _QUARTILES) - expected) <= allowed))


def _from_late_echoes(
    rows: NDArray[np.floating],
    times: NDArray[np.float64],
    n_coils: int,
    kernel: Callable[..., None],
) -> SigmaEstimate:
    n = times.size
    plain = partial(_plain, kernel)
    if n < _FEWEST_ECHOES:
        return _nothing(f"{n} echoes are too few to tell scatter from decay")
    rows = rows[(rows > 0.0).all(axis=1)]
    if len(rows) < _FEWEST_VOXELS:
        return _nothing(f"only {len(rows)} voxels with signal")
    outputs = _outputs(len(rows), rows.dtype)
    plain(rows, times, _ALL, outputs)
    sigma = float(np.nanmedian(outputs[8])) * np.sqrt(n / (n - 2.0))
    # Where the decay is exact there is nothing but rounding, which is no noise.
    if not sigma > 1e-6 * float(np.median(rows[:, 0])):
        return _nothing("the samples lie on their decay: there is no scatter to read")
    for _ in range(_ITERATIONS):
        quotients = _late_quotients(
            plain, rows, times, sigma, n_coils, kernel is not fit_chunk_numpy, outputs
        )
        if quotients.size < _FEWEST_VOXELS:
            return _nothing(f"only {quotients.size} voxels rise above the noise in the first echo")
        factor = float(np.sqrt(np.median(quotients)))
        sigma *= factor
        low, high = np.quantile(quotients, (0.25, 0.75))
        error = 0.5 * 1.2533 * (high - low) / 1.349 / np.sqrt(quotients.size)
        # The median of few voxels jumps from one to the next and never rests to the last digit.
        if abs(factor - 1.0) <= max(1e-3, 0.1 * error):
            return SigmaEstimate(sigma, sigma * float(error), "late-echoes", quotients.size, "")
    return _nothing("the scatter of the late echoes does not settle on one noise level")


def _late_quotients(
    plain: PlainFit,
    rows: NDArray[np.floating],
    times: NDArray[np.float64],
    sigma: float,
    n_coils: int,
    compiled: bool,
    outputs: Outputs,
) -> NDArray[np.float64]:
    """Scatter of the later half of the echoes over what `sigma` predicts, per voxel; median 1."""
    table = magnitude_table(n_coils)
    model = NoiseModel(
        rician=True,
        table=table,
        truncate_sigmas=0.0,
        low_signal_sigmas=_LOW_SIGMAS,
        min_echoes=2,
        compiled=compiled,
    )
    noise = np.full(len(rows), sigma)
    fit_with_noise(plain, rows, times, _ALL, noise, model, outputs)
    r2star, s0, reason = outputs[0], outputs[1], outputs[5]
    used = (reason == R2StarReason.OK) | (reason == R2StarReason.AT_BOUND)
    gone = (reason == R2StarReason.AT_BOUND)[used]
    with np.errstate(all="ignore"):
        u = (s0[:, None] * np.exp(-r2star[:, None] * times) / sigma)[used]
        # Without a rate there is signal in the first echo only.
        u[gone, 0], u[gone, 1:] = rows[used][gone, 0] / sigma, 0.0
        mean, slope, _ = mean_magnitude(u, table)
        variance = variance_of_magnitude(u, mean, table)
        pull = (slope * u) ** 2
        square = (rows[used] / sigma - mean) ** 2 / variance
        # What the fit takes up: leverage of each echo for the two unknowns.
        total = pull.sum(axis=1, keepdims=True)
        centred = times - (pull * times).sum(axis=1, keepdims=True) / total
        leverage = pull * (1.0 / total + centred**2 / (pull * centred**2).sum(1, keepdims=True))
    leverage[gone] = 0.0
    late = slice(times.size // 2, None)
    freedom = (1.0 - np.minimum(leverage[:, late], 1.0)).sum(axis=1)
    # Median of chi-squared (Wilson and Hilferty), which takes any number of degrees of freedom.
    middle = freedom * (1.0 - 2.0 / (9.0 * freedom)) ** 3
    quotients: NDArray[np.float64] = square[:, late].sum(axis=1) / middle
    usable: NDArray[np.float64] = quotients[np.isfinite(quotients) & (freedom > 1.0)]
    return usable


def _outputs(n: int, dtype: np.dtype[Any]) -> Outputs:
    kinds = (dtype, dtype, dtype, dtype, "i2", "u1", dtype, dtype, dtype, "?")
    return tuple(np.empty(n, kind) for kind in kinds)


def _kernel(backend: str) -> Callable[..., None]:
    """Choose the plain fit: compiled where that can be had."""
    if backend == "numpy":
        return fit_chunk_numpy
    try:
        # By name: a type checker that follows numba would find nothing typed there.
        module = importlib.import_module("eprimg.kernels._r2star_numba")
    except ImportError:
        if backend == "numba":
            raise
        return fit_chunk_numpy
    compiled: Callable[..., None] = module.fit_chunk
    return compiled


def _plain(
    kernel: Callable[..., None],
    samples: NDArray[Any],
    times: NDArray[np.float64],
    mask: NDArray[np.bool_],
    outputs: Outputs,
) -> None:
    start, span = float(times[0]), float(times[-1] - times[0])
    tau = (times - start) / span
    samples = samples.view()
    samples.flags.writeable = False  # numba compiles one variant for each kind of array
    kernel(samples, tau, evenly_spaced(times), start, span, True, mask, *for_kernel(outputs), CODES)
