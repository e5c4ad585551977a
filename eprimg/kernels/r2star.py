"""Voxel-wise R2* from a magnitude multi-echo gradient-echo stack."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eprimg.errors import InputError
from eprimg.kernels import _r2star_checks as checks
from eprimg.kernels._r2star_chunks import (
    Chunk,
    Outputs,
    chunks,
    evenly_spaced,
    for_kernel,
    processors,
    share,
)
from eprimg.kernels._r2star_closed import arlo, irls
from eprimg.kernels._r2star_magnitude import magnitude_table
from eprimg.kernels._r2star_noise import NoiseModel, fit_with_noise
from eprimg.kernels._r2star_numpy import fit_chunk as fit_chunk_numpy
from eprimg.kernels._r2star_numpy import fit_with
from eprimg.kernels._r2star_result import CODES, R2STAR_REASON_TEXT, R2StarFit, R2StarReason
from eprimg.kernels.signal_noise import estimate_sigma

__all__ = ["R2STAR_REASON_TEXT", "R2StarFit", "R2StarReason", "fit_r2star"]

# Samples per chunk: small enough to stay in the cache and far below a tenth of any real input.
_SAMPLES = {"numba": 524_288, "numpy": 16_384}
_METHODS = ("nlls", "irls", "loglin", "arlo")
# Header times are rounded to a few microseconds; ARLO's integrals need no more than this.
_ARLO_EVEN = 5e-3
_SATURATED = 2.0


def fit_r2star(
    signal: ArrayLike,
    echo_times_s: Sequence[float] | NDArray[np.floating],
    *,
    method: Literal["nlls", "irls", "loglin", "arlo"] = "nlls",
    mask: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    backend: Literal["auto", "numba", "numpy"] = "auto",
    progress: Callable[[float], object] | None = None,
    noise: Literal["truncate", "rician"] | None = None,
    sigma: float | NDArray[np.floating] | None = None,
    n_coils: int = 1,
    truncate_sigmas: float = 2.5,
    min_echoes: int = 2,
    low_signal_sigmas: float = 3.0,
) -> R2StarFit:
    r"""Fit ``S(TE) = S0 exp(-R2* TE)`` to every voxel of a magnitude echo stack.

    Parameters
    ----------
    signal : array_like of float32 or float64, shape (..., n_echoes)
        Magnitude signal in any unit, last axis = echoes, any leading shape.  Integers and float16
        are fitted as float32.
    echo_times_s : array_like of float, shape (n_echoes,)
        Echo times in seconds, strictly rising, positive; even spacing is not needed.
    method : {"nlls", "irls", "loglin", "arlo"}, default "nlls"
        ``"nlls"``: non-linear least squares by variable projection.  ``"irls"``: three closed-form
        regressions of ``ln S``, weighted by the squared signal and then by the squared model.  For
        comparison: ``"loglin"``, ordinary least squares of ``ln S``, and ``"arlo"``, which needs
        three or more evenly spaced echoes.  Only ``"nlls"`` and ``"loglin"`` are compiled.
    mask : ndarray of bool, shape (...), optional
        Voxels to fit; the others get NaN and the reason MASKED.
    threads : int, optional
        Threads to use; by default every processor that this process may run on.  The result does
        not depend on it.
    backend : {"auto", "numba", "numpy"}, default "auto"
        ``"auto"`` is numba where it can be imported; numpy gives the same numbers, more slowly.
    progress : callable, optional
        Called with the finished share by the calling thread, about ten times a second or more; what
        it raises ends the fit after the chunks that are being worked on.
    noise : {None, "truncate", "rician"}, default None
        What to do about the noise floor.  None: nothing.  ``"truncate"``: leave out the echoes that
        lie below `truncate_sigmas` on the fitted decay, and fit again.  ``"rician"``: fit the mean
        of the magnitude instead of the signal; with ``method="nlls"`` only.
    sigma : float or ndarray, shape (...), optional
        Standard deviation of the noise per channel (real or imaginary part), in the unit of the
        signal; one number or one per voxel.  Without it `estimate_sigma` is asked for one number.
        Used with `noise` only.
    n_coils : int, default 1
        Channels that were added as a sum of squares (non-central chi); 1 is the Rice distribution.
    truncate_sigmas : float, default 2.5
        An echo is left out where the decay has fallen below this multiple of `sigma`.
    min_echoes : int, default 2
        Echoes that are always kept.  (ARLO keeps three.)
    low_signal_sigmas : float, default 3
        With `noise`, a voxel whose first echo is below this multiple of `sigma` has no R2* and the
        reason LOW_SIGNAL.

    Returns
    -------
    R2StarFit
        R2*, S0, their standard errors and covariance, R2, RMSE, echoes used, reason and the flag
        of saturation, each of shape ``signal.shape[:-1]``.

    Raises
    ------
    InputError
        ``E_ECHO`` for echo times that cannot be used, ``E_NOISE`` where `sigma` is needed and
        cannot be estimated, ``E_ARGUMENT`` for anything else.

    Notes
    -----
    *nlls.*  For a given rate the best amplitude is ``c = A/B`` with ``A = sum(y phi)``,
    ``B = sum(phi**2)``, ``phi = exp(-R2* TE)``, which leaves one unknown (variable projection,
    [1]_).  The minimum is where the mean echo time under the weights ``y phi`` equals that under
    ``phi**2``; Newton steps on this difference, or Gauss-Newton steps where its slope is not
    positive, start from least squares of ``ln S`` weighted by ``S**2``.  The smallest and the
    largest slope of ``ln S`` between neighbouring echoes enclose the solution, so a step can never
    run away.  The standard error is that of the two-parameter fit, ``sqrt(s2 inv(J'J))`` with
    ``s2 = RSS / (n_echoes - 2)``.  Every voxel is divided by its largest sample and handled in
    float64, so a factor on the signal changes nothing but `s0`.

    *loglin.*  Standard error from the regression of ``ln S``; `r2` still compares signals.

    *irls.*  The weights become those of the linearised ``nlls`` problem, and so does the standard
    error.  *arlo* [3]_ balances the integral of three neighbouring echoes (Simpson) against their
    difference; its standard error is that of the samples carried through the formula.  Simpson's
    rule makes it exact only while the signal falls little from echo to echo.

    *truncate.*  An echo is left out where the decay just fitted, not the noisy sample, lies below
    the limit: picking samples would keep the ones that noise has raised.  The limit is the mean
    magnitude of a signal of `truncate_sigmas`.  Two passes; `n_echoes` tells what was kept.

    *rician.*  Least squares of ``M - sigma m(S / sigma)`` with the mean magnitude ``m`` of
    the Rice or non-central chi distribution ([4]_, [5]_), by damped Newton steps from the plain
    fit.  Standard errors allow for the smaller variance of samples near the floor.  A rate above
    ``8 / (TE_2 - TE_1)``, where only the first echo holds signal, gets AT_BOUND.

    With `noise`, a late sample of zero is a magnitude below the noise that was rounded, and does
    not cost the voxel its value.

    Work beyond input and outputs is a few chunks per thread; the input is never copied whole.
    Outputs have the memory order of the input's leading axes.

    When the number misleads:

    * Noise floor.  Magnitude noise is Rician, so late echoes stay above zero and R2* comes out too
      low.  With 8 echoes of 1.2-14 ms and SNR = S0/sigma, median bias of ``nlls``: within 0.5 % up
      to 200 1/s at SNR 50; -1.6 % at 200-400 and -4.9 % at 400-800 1/s (SNR 50); -2.2 % at
      100-200, -8.6 % at 200-400 and -23 % at 400-800 1/s (SNR 20).  ``loglin`` is worse:
      -10 % at 200-400 1/s for SNR 50.  With `noise` and an estimated `sigma` it is at 400 and 800
      1/s: -0.9 and -1.4 % (truncate), within 0.3 % (rician) at SNR 50; -4.7 and -9.5 %, -0.7 and
      +3 % at SNR 20.  See [2]_ and ``docs/validation/r2star_accuracy.md``.
    * Where ``truncate`` leaves two echoes there is a value, but no standard error; where it leaves
      three, its choice of echoes is not in the error.
    * The standard error then only knows the scatter of the residuals, not this bias; with three or
      four echoes it is itself very uncertain.  Where it is known to be calibrated:
      `eprimg.kernels.error_range.error_range`.
    * A rate far below ``1 / TE_last`` or above ``1 / TE_first`` rests on almost no decay, or on one
      or two echoes.
    * Fat, field gradients over a voxel and stimulated echoes are not mono-exponential; `r2` falls.

    Negative R2* from noise is kept: clipping it would bias every mean that follows.  A signal that
    rises by more than ``exp(15)`` over the echoes is no decay and gets NOT_CONVERGED.

    References
    ----------
    .. [1] Golub GH, Pereyra V. The differentiation of pseudo-inverses and nonlinear least squares
       problems whose variables separate. SIAM Journal on Numerical Analysis 1973;10:413.
       doi:10.1137/0710036; and Separable nonlinear least squares: the variable projection
       method and its applications. Inverse Problems 2003;19:R1. doi:10.1088/0266-5611/19/2/201
    .. [2] Feng Y, et al. Improved MRI R2* relaxometry of iron-loaded liver with noise correction.
       Magnetic Resonance in Medicine 2013;70:1765.
       doi:10.1002/mrm.24607
    .. [3] Pei M, et al. Algorithm for fast monoexponential fitting based on auto-regression on
       linear operations (ARLO) of data. Magnetic Resonance in Medicine 2015;73:843.
       doi:10.1002/mrm.25137
    .. [4] Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. Magnetic Resonance in
       Medicine 1995;34:910. doi:10.1002/mrm.1910340618
    .. [5] Constantinides CD, Atalar E, McVeigh ER. Signal-to-noise measurements in magnitude images
       from NMR phased arrays. Magnetic Resonance in Medicine 1997;38:852.
       doi:10.1002/mrm.1910380524

    Examples
    --------
    >>> import numpy as np
    >>> echo_times_s = np.array([0.002, 0.004, 0.008])
    >>> fit = fit_r2star(100.0 * np.exp(-50.0 * echo_times_s), echo_times_s, backend="numpy")
    >>> round(float(fit.r2star_per_s), 6), round(float(fit.s0), 6)
    (50.0, 100.0)
    """
    stack = checks.checked_signal(signal)
    times = checks.checked_times(echo_times_s, stack.shape[-1])
    chosen = checks.checked_mask(mask, stack.shape[:-1])
    _check_method(method, times)
    if threads is not None and not (checks.is_whole(threads) and threads >= 1):
        raise checks.argument_error(
            "the number of threads must be at least 1", "threads", threads, None
        )
    dtype = np.dtype(np.float64 if stack.dtype == np.float64 else np.float32)
    settings = _Noise(noise, n_coils, truncate_sigmas, min_echoes, low_signal_sigmas)
    level = _checked_noise(settings, method, stack, times, chosen, sigma, backend)

    # Walk memory in its own order, whatever the order of the leading axes (nibabel: x fastest).
    leading = stack.ndim - 1
    order = sorted(range(leading), key=lambda axis: -abs(stack.strides[axis]))
    back = tuple(int(axis) for axis in np.argsort(order, kind="stable"))
    stack = stack.transpose(*order, leading)
    if chosen is not None:
        chosen = chosen.transpose(order)
    sigma_map = level.transpose(order) if isinstance(level, np.ndarray) else None
    kinds = (*(dtype,) * 4, np.dtype(np.int16), np.dtype(np.uint8), *(dtype,) * 3, np.dtype(bool))
    outputs: Outputs = tuple(np.empty(stack.shape[:-1], kind) for kind in kinds)

    if stack.shape[-1] < 2:
        _refuse_all(outputs, chosen)
    elif outputs[0].size > 0:
        name, kernel = _kernel(backend)
        per_chunk = max(64, _SAMPLES[name] // stack.shape[-1])
        plain = partial(_fit_rows, kernel, method)
        model = _model(settings, method, compiled=name == "numba")
        saturated_per_s = _SATURATED / times[0]

        def fit(chunk: Chunk) -> None:
            # Read-only views: numba compiles one variant, not one for each kind of array.
            samples = np.require(chunk.samples, dtype, ["C", "A"]).view()
            samples.flags.writeable = False
            if model is None:
                plain(samples, times, chunk.mask, chunk.outputs)
            else:
                noise_level = chunk.sigma if sigma_map is not None else np.full(len(samples), level)
                fit_with_noise(
                    plain,
                    samples,
                    times,
                    chunk.mask,
                    noise_level,
                    model,
                    chunk.outputs,
                )
            np.greater(chunk.outputs[0], saturated_per_s, out=chunk.outputs[-1])

        n_chunks = math.ceil(outputs[0].size / per_chunk)
        share(
            fit,
            chunks(stack, chosen, sigma_map, outputs, per_chunk),
            min(processors() if threads is None else int(threads), n_chunks),
            n_chunks,
            progress,
        )
    return R2StarFit(*(output.transpose(back) for output in outputs))


_Kernel = Callable[..., None]


class _Noise(NamedTuple):
    mode: str | None
    n_coils: int
    truncate_sigmas: float
    min_echoes: int
    low_signal_sigmas: float


def _fit_rows(
    kernel: _Kernel,
    method: str,
    samples: NDArray[Any],
    times: NDArray[np.float64],
    mask: NDArray[np.bool_],
    outputs: Outputs,
) -> None:
    """Fit rows of samples at `times` without a thought of the noise floor."""
    start, span = float(times[0]), float(times[-1] - times[0])
    tau = (times - times[0]) / span
    if method in ("irls", "arlo"):
        estimator = irls if method == "irls" else arlo
        for part in range(0, len(samples), _SAMPLES["numpy"] // times.size):
            rows = slice(part, part + _SAMPLES["numpy"] // times.size)
            fit_with(
                estimator,
                samples[rows],
                tau,
                start,
                span,
                mask[rows],
                *for_kernel(tuple(output[rows] for output in outputs)),
                CODES,
            )
        return
    even = evenly_spaced(times)
    samples = samples.view()
    samples.flags.writeable = False
    kernel(samples, tau, even, start, span, method == "nlls", mask, *for_kernel(outputs), CODES)


def _check_method(method: str, times: NDArray[np.float64]) -> None:
    if method not in _METHODS:
        raise checks.argument_error(
            "unknown method", "method", method, "use 'nlls', 'irls', 'loglin' or 'arlo'"
        )
    if method == "arlo":
        steps = np.diff(times)
        if times.size < 3 or np.ptp(steps) > _ARLO_EVEN * steps.mean():
            raise InputError(
                "ARLO needs three or more evenly spaced echoes",
                code="E_ECHO",
                where="echo_times_s",
                value=times.tolist(),
                action="use 'nlls', which takes any echo times",
            )


def _checked_noise(
    settings: _Noise,
    method: str,
    stack: NDArray[Any],
    times: NDArray[np.float64],
    mask: NDArray[np.bool_] | None,
    sigma: float | NDArray[np.floating] | None,
    backend: Literal["auto", "numba", "numpy"],
) -> float | NDArray[np.float64] | None:
    """Check what belongs to the noise; return its level, estimated where none was given."""
    mode = settings.mode
    if mode not in (None, "truncate", "rician"):
        raise checks.argument_error("unknown mode", "noise", mode, "use 'truncate' or 'rician'")
    if mode == "rician" and method != "nlls":
        raise checks.argument_error(
            "the mean magnitude is fitted by non-linear least squares only",
            "method",
            method,
            "use method='nlls', or noise='truncate'",
        )
    coils = checks.checked_coils(settings.n_coils)
    for name in ("truncate_sigmas", "low_signal_sigmas"):
        value = getattr(settings, name)
        if not (checks.is_real(value) and np.isfinite(value) and value >= 0.0):
            raise checks.argument_error("a multiple of the noise is 0 or more", name, value, None)
    kept = settings.min_echoes
    if not checks.is_whole(kept) or kept < 2:
        raise checks.argument_error(
            "a decay rate needs two echoes or more", "min_echoes", kept, None
        )
    if mode is None:
        if sigma is not None:
            raise checks.argument_error(
                "the noise level is not used without a noise mode",
                "sigma",
                "given",
                "add noise='truncate' or 'rician'",
            )
        return None
    if sigma is not None:
        return checks.checked_sigma(sigma, stack.shape[:-1])
    if stack.size == 0 or times.size < 2:
        return 1.0  # nothing is fitted
    found = estimate_sigma(stack, mask, coils, "auto", echo_times_s=times, backend=backend)
    if found.sigma is None:
        raise InputError(
            f"the noise level cannot be estimated: {found.reason}",
            code="E_NOISE",
            where="sigma",
            value=None,
            action="give sigma, or fit without a noise mode",
        )
    return found.sigma


def _model(settings: _Noise, method: str, *, compiled: bool) -> NoiseModel | None:
    if settings.mode is None:
        return None
    return NoiseModel(
        rician=settings.mode == "rician",
        table=magnitude_table(int(settings.n_coils)),
        truncate_sigmas=float(settings.truncate_sigmas),
        low_signal_sigmas=float(settings.low_signal_sigmas),
        min_echoes=max(int(settings.min_echoes), 3 if method == "arlo" else 2),
        compiled=compiled,
        nlls={"nlls": True, "loglin": False}.get(method),
    )


def _kernel(backend: str) -> tuple[str, _Kernel]:
    if backend not in ("auto", "numba", "numpy"):
        raise checks.argument_error(
            "unknown backend", "backend", backend, "use 'auto', 'numba' or 'numpy'"
        )
    if backend != "numpy":
        try:
            from eprimg.kernels._r2star_numba import fit_chunk
        except ImportError:
            if backend == "numba":
                raise
        else:
            return "numba", fit_chunk
    return "numpy", fit_chunk_numpy


def _refuse_all(outputs: Outputs, mask: NDArray[np.bool_] | None) -> None:
    reason = R2StarFit(*outputs).reason
    for output in outputs:
        output.fill(np.nan if output.dtype.kind == "f" else 0)
    reason.fill(R2StarReason.TOO_FEW_ECHOES)
    if mask is not None:
        reason[~mask] = R2StarReason.MASKED
