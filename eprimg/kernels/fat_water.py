"""Voxel-wise R2*, fat fraction and field map from complex multi-echo gradient-echo data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.kernels import _fat_water_checks as checks
from eprimg.kernels._fat_water_model import Nonlinear, Real, design, refine
from eprimg.kernels._fat_water_neighbours import choose
from eprimg.kernels._fat_water_problem import (
    CHUNK,
    MINIMUM_ECHOES,
    UNKNOWNS,
    Problem,
    candidates,
    energy_of,
    fat_signal,
    noise_variance,
    parts,
    problem_of,
    samples_of,
    sorted_voxels,
)
from eprimg.kernels._fat_water_result import (
    FAT_WATER_REASON_TEXT,
    FatSpectrum,
    FatWaterFit,
    FatWaterReason,
    PhaseSign,
)

__all__ = [
    "FAT_WATER_REASON_TEXT",
    "MINIMUM_ECHOES",
    "FatSpectrum",
    "FatWaterFit",
    "FatWaterReason",
    "PhaseSign",
    "complex_echoes",
    "detect_phase_sign",
    "fat_signal",
    "fit_fat_water",
]

_SIGN_GAIN = 25.0
_TISSUE = 0.05
_WEAK = 40.0


def fit_fat_water(
    signal: ArrayLike,
    echo_times_s: Sequence[float] | NDArray[np.floating],
    *,
    field_strength_t: float,
    spectrum: FatSpectrum,
    phase_sign: int = 1,
    mask: NDArray[np.bool_] | None = None,
    neighbourhood_voxels: float | Sequence[float] = 0.0,
    max_field_hz: float | None = None,
    sigma: float | None = None,
    threads: int = 1,
    progress: Callable[[float], object] | None = None,
) -> FatWaterFit:
    r"""Fit water, fat, R2*, field offset and phase to every voxel of a complex echo stack.

    Parameters
    ----------
    signal : array_like of complex64 or complex128, shape (..., n_echoes)
        Complex signal in any unit, last axis = echoes; see `complex_echoes` for magnitude and
        phase.  Five echoes or more.
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times in seconds, strictly rising, positive; even spacing is not needed.
    field_strength_t : float
        Field strength in tesla, 0.2 to 12.
    spectrum : FatSpectrum
        Resonances of fat.
    phase_sign : {1, -1}, default 1
        1 where the phase of fat falls behind that of water as stored, -1 where the scanner stores
        the other sign; see `detect_phase_sign`.
    mask : ndarray of bool, shape (...), optional
        Voxels to fit; the others get NaN and the reason MASKED.
    neighbourhood_voxels : float or sequence of float, default 0
        Standard deviation, in voxels, of the neighbourhood whose field helps to choose between
        two minima: one number or one per leading axis (0: no neighbours along this axis).
    max_field_hz : float, optional
        Largest field offset that is looked for, to both sides.  By default half of one over the
        shortest echo spacing, at most 1000 Hz.
    sigma : float, optional
        Standard deviation of the noise in the real (or imaginary) part, in the unit of the signal.
        By default the residuals tell it.
    threads : int, default 1
        Threads to use; the result does not depend on it.
    progress : callable, optional
        Called with the finished share by the calling thread; what it raises ends the fit.

    Returns
    -------
    FatWaterFit
        R2* (1/s), fat fraction (%), field offset (Hz), S0, their standard errors, phase (rad),
        residual and reason, each of shape ``signal.shape[:-1]``.

    Raises
    ------
    InputError
        ``E_ECHO`` for echo times that cannot be used, fewer than five echoes, or echoes at which
        water and fat look alike; ``E_ARGUMENT`` for anything else.

    Notes
    -----
    Model, with :math:`t` the echo time, :math:`f_p, a_p` the fat spectrum and :math:`\psi` the
    field offset:

    .. math:: s(t) = e^{i\phi} \Big(W + F \sum_p a_p e^{2\pi i f_p t}\Big)
              e^{(2\pi i \psi - R_2^*) t}

    One R2* is shared by water and fat, since two of them are not determined by the data of one
    breath-hold ([1]_, [2]_); water and fat start with one phase ([3]_), which leaves five unknowns
    and lets noise carry the fat fraction below zero instead of folding it upwards.
    Water, fat and phase have a closed form for given :math:`\psi` and :math:`R_2^*`
    (variable projection).  The other two are searched on a grid; every voxel keeps up to three
    minima, refined by damped Gauss-Newton steps.

    *Exchange of water and fat.*  A voxel of one species fits nearly as well as the other with a
    shifted field.  The choice weighs the residuals against the field of the neighbours
    (iterated, see `_fat_water_neighbours.choose`); minima with negative water or fat are
    judged with this part left out.  Where a second answer stays within odds of 90 to 1 the voxel
    gets no value but the reason AMBIGUOUS.  Limits: a region that is cut off from the rest and
    misread as a whole keeps its misreading if its own samples agree with it; the field is
    taken to change by much less than the fat shift over a neighbourhood.

    *Echoes.*  Five complex echoes are ten numbers for five unknowns.  With four, three degrees
    of freedom are left, a standard error is worth little, and the exchange cannot be told from
    noise.  Six or more are the custom.  Times at which fat has turned whole circles (in-phase
    echoes only) leave water and fat nearly equal and are refused.

    *Standard errors* are ``sqrt(s2 inv(Re J'J))`` of the five-parameter fit, with
    ``s2 = RSS / (2 n_echoes - 5)`` or ``sigma**2``: the Cramer-Rao bound at the fitted
    values.  They do not know a wrong fat spectrum, nor T1.

    When the number misleads:

    * The fat fraction is one of signals.  It is that of protons only where T1 weighting is small
      (small flip angle).
    * A wrong fat spectrum biases both, in proportion to the fat: see
      ``docs/validation/fat_water.md``.
    * Phase errors of single echoes (bipolar read-out, eddy currents at the first echo), and
      frequency shifts between water and fat beyond the spectrum, are not modelled.
    * At high R2* only two or three echoes hold signal, and the fat fraction is lost in noise; its
      standard error says so.

    References
    ----------
    .. [1] Yu H, et al. Multiecho water-fat separation and simultaneous R2* estimation with
       multifrequency fat spectrum modeling. Magnetic Resonance in Medicine 2008;60:1122.
       doi:10.1002/mrm.21737
    .. [2] Horng DE, et al. Comparison of R2* correction methods for accurate fat quantification
       in fatty liver. Journal of Magnetic Resonance Imaging 2013;37:414. doi:10.1002/jmri.23835
    .. [3] Bydder M, et al. Constraining the initial phase in water-fat separation. Magnetic
       Resonance Imaging 2011;29:216.
    .. [4] Hamilton G, et al. In vivo characterization of the liver fat 1H MR spectrum. NMR in
       Biomedicine 2011;24:784. doi:10.1002/nbm.1622

    Examples
    --------
    >>> import numpy as np
    >>> fat = FatSpectrum("one peak", (-3.4,), (1.0,))
    >>> echo_times_s = 0.001 * np.arange(1.0, 9.0)
    >>> model = 80.0 + 20.0 * fat_signal(echo_times_s, 3.0, fat)
    >>> signal = model * np.exp((2j * np.pi * 40.0 - 50.0) * echo_times_s)
    >>> fit = fit_fat_water(signal, echo_times_s, field_strength_t=3.0, spectrum=fat)
    >>> float(fit.pdff_percent.round(4)), float(fit.r2star_per_s.round(4))
    (20.0, 50.0)
    """
    stack = checks.checked_complex(signal)
    problem = problem_of(stack, echo_times_s, field_strength_t, spectrum, max_field_hz)
    sign = checks.checked_sign(phase_sign)
    level = checks.checked_level(sigma)
    smoothing = checks.checked_smoothing(neighbourhood_voxels, stack.ndim - 1)
    shape = stack.shape[:-1]
    reason = sorted_voxels(stack, checks.checked_mask(mask, shape))
    dtype = np.dtype(np.float64 if stack.dtype == np.complex128 else np.float32)
    values = [np.full(shape, np.nan, dtype) for _ in range(10)]
    places = reason == FatWaterReason.OK
    rows = np.flatnonzero(places.ravel())
    if rows.size == 0:
        return FatWaterFit._make((*values, reason))
    flat = stack.reshape(-1, stack.shape[-1])
    workers = max(1, int(threads))
    tell = progress or (lambda share: None)

    found = candidates(flat, rows, sign, problem, level, workers, lambda x: tell(0.8 * x))
    energy = np.concatenate([energy_of(part) for part in parts(flat, rows, sign)])
    variance = noise_variance(found.rss[:, 0], problem, level)
    choice = choose(
        problem.to_hz(found.frequency),
        found.rss,
        variance,
        energy,
        places,
        smoothing,
        problem.period_hz,
    )
    pick = choice.which[:, None]
    start_w = np.take_along_axis(found.frequency, pick, axis=1)[:, 0]
    start_r = np.take_along_axis(found.rate, pick, axis=1)[:, 0]
    codes = np.where(choice.safe, FatWaterReason.OK, FatWaterReason.AMBIGUOUS).astype(np.uint8)
    for first in range(0, rows.size, CHUNK):
        part = slice(first, first + CHUNK)
        samples = samples_of(flat, rows[part], sign)
        final = refine(
            samples,
            start_w[part],
            start_r[part],
            problem.times,
            problem.fat,
            problem.grid.highest_rate,
        )
        numbers, code = _finished(final, problem, level, codes[part])
        for value, number in zip(values, numbers, strict=True):
            value.reshape(-1)[rows[part]] = number
        reason.reshape(-1)[rows[part]] = code
        tell(0.8 + 0.2 * min(1.0, (first + CHUNK) / rows.size))
    return FatWaterFit._make((*values, reason))


def complex_echoes(magnitude: ArrayLike, phase_rad: ArrayLike) -> NDArray[Any]:
    """Join magnitude and phase.

    Parameters
    ----------
    magnitude : array_like, shape (..., n_echoes)
        Magnitude, any unit, not negative.
    phase_rad : array_like, same shape
        Phase in radians; wraps do not matter.

    Returns
    -------
    ndarray of complex64 or complex128
        Complex signal.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` where the shapes differ, a magnitude is negative, or the phase spans much
        more than a turn (raw integers that were not scaled) or less than a tenth of a radian.

    Notes
    -----
    ``magnitude * exp(i phase)``.
    """
    size, angle = checks.checked_polar(magnitude, phase_rad)
    out = np.empty(size.shape, np.complex128 if size.dtype == np.float64 else np.complex64)
    np.multiply(size, np.cos(angle), out=out.real)
    np.multiply(size, np.sin(angle), out=out.imag)
    return out


def detect_phase_sign(
    signal: ArrayLike,
    echo_times_s: Sequence[float] | NDArray[np.floating],
    *,
    field_strength_t: float,
    spectrum: FatSpectrum,
    mask: NDArray[np.bool_] | None = None,
    n_voxels: int = 4000,
) -> PhaseSign:
    """Tell from the samples which way the stored phase turns.

    Parameters
    ----------
    signal : array_like of complex, shape (..., n_echoes)
        Complex signal.
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times in seconds.
    field_strength_t : float
        Field strength in tesla.
    spectrum : FatSpectrum
        Resonances of fat.
    mask : ndarray of bool, shape (...), optional
        Voxels to look at.
    n_voxels : int, default 4000
        How many voxels to ask, spread evenly over those with signal.

    Returns
    -------
    PhaseSign
        Sign, and whether it is certain.

    Raises
    ------
    InputError
        As `fit_fat_water`.

    Notes
    -----
    Both signs are fitted, and the residual sums of squares compared: the side peaks of fat lie to
    one side of its main peak, so that fat read backwards does not fit.  It is decided when
    the sum over the voxels differs by more than 25 noise variances and by more than five
    of its standard deviations over the voxels.  Water alone is the same both ways: a field of view
    without fat decides nothing.
    """
    stack = checks.checked_complex(signal)
    problem = problem_of(stack, echo_times_s, field_strength_t, spectrum, None)
    reason = sorted_voxels(stack, checks.checked_mask(mask, stack.shape[:-1]))
    rows = np.flatnonzero(reason.ravel() == FatWaterReason.OK)
    if rows.size == 0:
        return PhaseSign(1, False, 0.0, 0)
    flat = stack.reshape(-1, stack.shape[-1])
    energy = np.concatenate([energy_of(part) for part in parts(flat, rows, 1)])
    # Fat is often darker than water, since its peaks cancel: leave out air only.
    rows = rows[energy >= _TISSUE * np.percentile(energy, 95.0)]
    rows = rows[np.unique(np.linspace(0, rows.size - 1, n_voxels).astype(int))]
    rss = []
    for sign in (1, -1):
        found = candidates(flat, rows, sign, problem, None, 1, lambda share: None)
        rss.append(found.rss[:, 0])
    better = np.minimum(*rss)
    gain = (rss[1] - rss[0]) / noise_variance(better, problem, None)
    total = float(gain.sum())
    spread = float(np.sqrt((gain**2).sum()))
    decided = abs(total) > _SIGN_GAIN and abs(total) > (5.0 * spread if rows.size > 30 else spread)
    return PhaseSign(1 if total >= 0 else -1, decided, abs(total), int(rows.size))


def _finished(
    final: Nonlinear, problem: Problem, sigma: float | None, codes: NDArray[np.uint8]
) -> tuple[list[Real], NDArray[np.uint8]]:
    """Return the values of `FatWaterFit` without the reason, NaN where there is none, and it."""
    n_echoes = problem.times.size
    water, fat = final.linear.water, final.linear.fat
    whole = water + fat
    _, columns = design(final.linear, final.frequency, final.rate, problem.times, problem.fat)
    scale = np.maximum(np.sqrt((np.abs(columns) ** 2).sum(axis=2)), np.finfo(np.float64).tiny)
    hessian = (columns.conj() @ columns.transpose(0, 2, 1)).real
    hessian /= scale[:, :, None] * scale[:, None, :]
    variance = (
        final.rss / (2 * n_echoes - UNKNOWNS) if sigma is None else np.full(len(whole), sigma**2)
    )
    covariance = np.linalg.pinv(hessian, hermitian=True) * variance[:, None, None]
    covariance /= scale[:, :, None] * scale[:, None, :]
    whole_se = np.sqrt(covariance[:, :2, :2].sum(axis=(1, 2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = np.stack([-fat, water], axis=1) / (whole**2)[:, None]
        share = 100.0 * fat / whole
        spread = np.einsum("ni,nij,nj->n", gradient, covariance[:, :2, :2], gradient)
        share_se = 100.0 * np.sqrt(spread)
    code = codes.copy()
    # Noise alone is explained by its best fit with 10 to 20 variances.
    weak = final.linear.energy < _WEAK * variance
    code[weak | ~(whole > 2.0 * whole_se)] = FatWaterReason.LOW_SIGNAL
    code[final.at_bound] = FatWaterReason.AT_BOUND
    code[~final.settled] = FatWaterReason.NOT_CONVERGED
    numbers = [
        final.rate / problem.last_s,
        share,
        problem.to_hz(final.frequency),
        whole,
        np.sqrt(covariance[:, 4, 4]) / problem.last_s,
        share_se,
        np.sqrt(covariance[:, 3, 3]) / (2.0 * np.pi * problem.last_s),
        whole_se,
        final.linear.phase,
        np.sqrt(final.rss / n_echoes),
    ]
    failed = code != FatWaterReason.OK
    for number in numbers:
        number[failed] = np.nan
    return numbers, code
