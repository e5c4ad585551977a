"""R2* of one series: the fit with its noise mode, what it used, and the fit of a mean signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.errors import InputError
from eprimg.kernels.error_range import error_range
from eprimg.kernels.fat_phase import IN_PHASE_CYCLES, in_phase_echoes
from eprimg.kernels.r2star import R2STAR_REASON_TEXT, R2StarFit, fit_r2star
from eprimg.kernels.signal_noise import estimate_sigma
from eprimg.model.acquisition import MRAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.maps import QuantityMap, echoes_of_map
from eprimg.model.study import Series
from eprimg.model.volume import EchoStack
from eprimg.quantities import quantity
from eprimg.stages.error_range import ERROR_RANGE, error_range_finding
from eprimg.stages.field_gradient import (
    fit_rephased,
    gradient_correction,
    gradient_finding,
    with_gradient,
)
from eprimg.stages.noise_check import tissue_noise
from eprimg.stages.protocol_mr import protocol_findings

__all__ = ["fit_like_map", "milliseconds", "r2star_maps"]

_Method = Literal["nlls", "irls", "loglin", "arlo"]
_Mode = Literal["truncate", "rician"]

_METHOD_TEXT: Mapping[str, str] = {
    "nlls": "non-linear least squares of S = S0 exp(-R2* TE) (variable projection)",
    "irls": "three closed-form regressions of the logarithm, weighted by the fitted signal",
    "loglin": "straight line through the logarithm of the signal",
    "arlo": "auto-regression on linear operations (ARLO)",
}

_FEWEST_IN_PHASE = 3
"""Two echoes would leave no residual, so no error and no check of what else is wrong."""

_TRUNCATE_SIGMAS = 2.5
"""Default of `fit_r2star`: an echo below this multiple of the noise is noise."""


@dataclass(frozen=True, slots=True)
class _Noise:
    """Mode that is used, the noise level, and where that comes from (all in words).

    `level` is the noise level itself, known also where no mode uses it; `tissue` is the scatter
    of the tissue where that is clearly higher.
    """

    mode: str
    sigma: float | None = None
    sigma_se: float | None = None
    n_voxels: int = 0
    origin: str = ""
    missing: str = ""
    level: float | None = None
    tissue: float | None = None


def milliseconds(times_s: Sequence[float]) -> str:
    """Write echo times for a reader.

    Parameters
    ----------
    times_s : sequence of float
        In seconds.

    Returns
    -------
    str
        E.g. ``1.2, 2.4 ms``.
    """
    return ", ".join(f"{1000 * t:.4g}" for t in times_s) + " ms"


def r2star_maps(
    series: Series,
    phase: str,
    config: Config,
    told: Callable[[float], object],
    *,
    field: QuantityMap | None = None,
) -> tuple[dict[str, QuantityMap], list[Finding]]:
    """Fit one multi-echo series.

    Parameters
    ----------
    series : Series
        Magnitude echoes.
    phase : str
        ``pre`` or ``post``: end of the map keys.
    config : Config
        Settings (``r2star``, ``threads``).
    told : callable
        Called with the fraction done.
    field : QuantityMap, optional
        Field map on the grid of the series, for ``r2star.field_gradient``.

    Returns
    -------
    dict of str to QuantityMap
        ``r2star_PHASE`` with ``details`` ``n_echoes`` (echoes in the fit), ``rmse``,
        ``error_range`` (whether the standard error is known to be calibrated) and, with a noise
        mode, ``echoes_above_noise``; and ``s0_PHASE``.  The facts of both say estimator,
        noise mode, noise level and its origin, and the echoes used.  R2, the standard error of S0
        and its covariance with R2* are not kept for every voxel: `fit_like_map` gives them for any.
    list of Finding
        Voxels without a value, a noise level that is not known or that the tissue contradicts,
        standard errors outside their calibrated range, doubts about the protocol.

    Raises
    ------
    InputError
        ``E_IN_PHASE`` where in-phase echoes were asked for and there are too few, or the field
        strength is not known; ``E_ECHO`` for echoes that the estimator cannot take;
        ``E_FIELD_MAP`` where the field gradient is to be corrected and no field map is there.
    """
    stack = series.pixels
    assert isinstance(stack, EchoStack)
    acquired = stack.echo_times_s
    used = _chosen_echoes(series, acquired, config)
    signal = stack.volume.data
    if len(used) < len(acquired):
        signal = np.ascontiguousarray(signal[..., list(used)])
    times = tuple(acquired[n] for n in used)
    noise = _noise(signal, times, config)
    options: dict[str, Any] = {
        "method": cast(_Method, config.r2star.method),
        "noise": _mode(noise.mode),
        "n_coils": config.r2star.n_coils if noise.sigma is not None else 1,
        "threads": config.threads or None,
    }
    findings = _noise_finding(noise, config, series.key)
    correction = gradient_correction(series, field, config)
    if correction is None:
        fit = fit_r2star(signal, times, sigma=noise.sigma, progress=told, **options)
        tissue, doubt = tissue_noise(fit, times, noise.level, noise.origin, noise.mode, series.key)
        noise, findings = replace(noise, tissue=tissue), findings + doubt
        maps = _maps(series, phase, config, fit, noise, used)
    else:
        fit, facts = fit_rephased(
            signal, times, correction, sigma=noise.sigma, progress=told, **options
        )
        findings.append(gradient_finding(facts, series.key))
        made = _maps(series, phase, config, fit, noise, used)
        maps = {k: with_gradient(m, correction, facts) for k, m in made.items()}
    r2star, s0 = maps[f"r2star_{phase}"], maps[f"s0_{phase}"]
    findings += _failed_voxels(r2star, series.key)
    findings += error_range_finding(r2star.details[ERROR_RANGE], s0, noise.level, series.key)
    findings += protocol_findings(series, r2star, s0, config.r2star.n_coils)
    return maps, findings


def fit_like_map(
    signal: npt.ArrayLike, r2star: QuantityMap | None, acquired_s: Sequence[float]
) -> R2StarFit:
    """Fit decays by the settings of a map: same echoes, estimator, noise mode and noise level.

    Parameters
    ----------
    signal : array_like, shape (..., n_echoes)
        Signal at every acquired echo.  A mean over voxels keeps the noise floor of its voxels, so
        the noise level of a voxel belongs to it as well.
    r2star : QuantityMap or None
        The map; without one, plain non-linear least squares of all echoes.
    acquired_s : sequence of float
        Echo times of the series in seconds.

    Returns
    -------
    R2StarFit
        Of the leading shape of the signal.
    """
    facts: Mapping[str, Any] = {} if r2star is None else r2star.facts
    samples = np.asarray(signal, dtype=np.float64)
    used = echoes_of_map(r2star, acquired_s)
    mode = _mode(str(facts.get("noise", "none")))
    return fit_r2star(
        np.ascontiguousarray(samples[..., used]),
        [acquired_s[n] for n in used],
        method=cast(_Method, facts.get("estimator", "nlls")),
        noise=mode,
        sigma=None if mode is None else float(facts["sigma"]),
        n_coils=int(facts.get("n_coils", 1)),
        backend="numpy",
    )


def _mode(noise: str) -> _Mode | None:
    return None if noise == "none" else cast(_Mode, noise)


def _chosen_echoes(series: Series, times: Sequence[float], config: Config) -> tuple[int, ...]:
    """Return the positions of the echoes to fit."""
    if config.r2star.echoes == "all":
        return tuple(range(len(times)))
    acquisition = series.acquisition
    field = acquisition.field_strength_t.value if isinstance(acquisition, MRAcquisition) else None
    if field is None:
        raise InputError(
            f"{series.key}: the field strength is not known, so in-phase echoes cannot be told",
            code="E_IN_PHASE",
            where="MagneticFieldStrength (0018,0087)",
            action="fit all echoes (r2star.echoes=all), or give the field strength "
            "(NIfTI: MagneticFieldStrength in the side-car)",
        )
    chosen = tuple(int(n) for n in np.flatnonzero(in_phase_echoes(times, field)))
    if len(chosen) < _FEWEST_IN_PHASE:
        found = milliseconds([times[n] for n in chosen]) if chosen else "none"
        raise InputError(
            f"{series.key}: {len(chosen)} of {len(times)} echoes have fat and water in phase at "
            f"{field:g} T ({found}; tolerance {IN_PHASE_CYCLES:g} of a turn), and R2* needs "
            f"{_FEWEST_IN_PHASE} of them",
            code="E_IN_PHASE",
            where="r2star.echoes",
            value=milliseconds(times),
            action="fit all echoes (r2star.echoes=all); fat then makes the echoes wave",
        )
    return chosen


def _noise(signal: npt.NDArray[Any], times: Sequence[float], config: Config) -> _Noise:
    settings = config.r2star
    if settings.sigma > 0.0:
        origin, used = "entered (r2star.sigma)", settings.noise != "none"
        entered = settings.sigma if used else None
        return _Noise(settings.noise, entered, origin=origin, level=settings.sigma)
    found = estimate_sigma(signal, None, settings.n_coils, echo_times_s=times)
    place = "air" if found.method == "background" else "the scatter of the late echoes"
    origin = f"estimated from {place}"
    if settings.noise == "none":
        # Not used by the fit; it tells where the standard errors can be trusted.
        return _Noise("none", origin=origin, level=found.sigma)
    if found.sigma is None:
        return _Noise("none", missing=found.reason)
    return _Noise(
        settings.noise,
        found.sigma,
        found.sigma_se,
        found.n_voxels,
        origin,
        level=found.sigma,
    )


def _noise_finding(noise: _Noise, config: Config, key: str) -> list[Finding]:
    if not noise.missing:
        return []
    return [
        Finding(
            "I_NOISE_UNKNOWN",
            Severity.INFO,
            key,
            f"The noise level of {key} could not be estimated ({noise.missing}), so R2* was fitted "
            f"without the noise mode {config.r2star.noise!r}: high values come out too low. "
            "Regions where this matters are flagged (measurable range).",
        )
    ]


def _maps(
    series: Series,
    phase: str,
    config: Config,
    fit: R2StarFit,
    noise: _Noise,
    used: Sequence[int],
) -> dict[str, QuantityMap]:
    stack = series.pixels
    assert isinstance(stack, EchoStack)
    acquired = stack.echo_times_s
    times = [acquired[n] for n in used]
    method = (
        f"R2* per voxel by {_METHOD_TEXT[config.r2star.method]} on the magnitude of {len(times)} "
        f"echoes at {milliseconds(times)} of {series.key}{_picked_text(times, acquired)}; "
        f"{_noise_text(noise, config)}."
    )
    if len(times) == 2:
        method += " Two echoes leave no residual: there is no standard error."
    facts: dict[str, Any] = {
        "estimator": config.r2star.method,
        "echo_times_s": times,
        "n_echoes": len(times),
        "echoes": config.r2star.echoes,
        "noise": noise.mode,
        "noise_floor_product": config.r2star.noise_floor_product,
    }
    if len(times) < len(acquired):
        facts["echo_times_acquired_s"] = list(acquired)
    if noise.sigma is not None:
        facts |= {
            "sigma": noise.sigma,
            "sigma_se": noise.sigma_se,
            "sigma_origin": noise.origin,
            "sigma_n_voxels": noise.n_voxels,
            "n_coils": config.r2star.n_coils,
            "least_echoes_above_noise": config.r2star.least_echoes_above_noise,
        }
    elif noise.missing:
        facts["sigma_missing"] = noise.missing
    if noise.tissue is not None:
        facts["sigma_tissue"] = noise.tissue
    if isinstance(series.acquisition, MRAcquisition):
        facts["field_strength_t"] = series.acquisition.field_strength_t.value
        facts["agent_phase"] = series.acquisition.agent_phase
    valid = np.isfinite(fit.r2star_per_s)
    facts["rmse_median"] = _median(fit.rmse)
    facts["saturated_voxels"] = int(np.count_nonzero(fit.saturated & valid))
    facts["n_echoes_used"] = {
        str(n): int(count)
        for n, count in enumerate(np.bincount(fit.n_echoes[valid].astype(np.intp)))
        if count
    }
    words = {int(reason): text for reason, text in R2STAR_REASON_TEXT.items()}
    shared: dict[str, Any] = {
        "grid": stack.grid,
        "sources": (series.key,),
        "facts": facts,
        "reason": np.asarray(fit.reason, dtype=np.uint8),
        "reason_words": words,
    }
    details = {
        "n_echoes": fit.n_echoes.astype(np.uint8),
        "rmse": fit.rmse,
        ERROR_RANGE: error_range(
            fit.r2star_per_s,
            fit.s0,
            fit.r2star_se_per_s,
            fit.n_echoes,
            echo_times_s=times,
            sigma=noise.level if noise.tissue is None else noise.tissue,
            method=config.r2star.method,
            noise=noise.mode,
            n_coils=config.r2star.n_coils,
        ),
    }
    if noise.sigma is not None:
        details["echoes_above_noise"] = _echoes_above_noise(fit, times, noise.sigma)
    return {
        f"r2star_{phase}": QuantityMap(
            values=fit.r2star_per_s,
            quantity=quantity("r2star"),
            valid=valid,
            method=method,
            standard_error=fit.r2star_se_per_s,
            details=details,
            **shared,
        ),
        f"s0_{phase}": QuantityMap(
            values=fit.s0,
            quantity=quantity("s0"),
            valid=np.isfinite(fit.s0),
            method=f"Signal at echo time zero of the same fit. {method}",
            **shared,
        ),
    }


def _median(values: npt.NDArray[Any]) -> float | None:
    """Return the median of what is finite; with two echoes that is nothing."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _echoes_above_noise(
    fit: R2StarFit, times: Sequence[float], sigma: float
) -> npt.NDArray[np.uint8]:
    """Count the echoes of the fit at which the fitted decay lies above the noise; 0 without one."""
    limit = _TRUNCATE_SIGMAS * sigma
    with np.errstate(all="ignore"):
        fall = np.log(fit.s0 / limit)
        # Where the decay meets the limit; a rising signal never does, and NaN stays at 0.
        meets = np.where(fit.r2star_per_s > 0.0, fall / fit.r2star_per_s, np.inf)
        meets = np.where(fall > 0.0, meets, 0.0)
    above = np.searchsorted(np.asarray(times), meets, side="right")
    return np.minimum(above, fit.n_echoes).astype(np.uint8)


def _picked_text(times: Sequence[float], acquired: Sequence[float]) -> str:
    if len(times) == len(acquired):
        return ""
    return (
        f" (in phase for fat and water within {IN_PHASE_CYCLES:g} of a turn, of "
        f"{len(acquired)} acquired)"
    )


def _noise_text(noise: _Noise, config: Config) -> str:
    if noise.sigma is None:
        why = f" (the noise level could not be estimated: {noise.missing})" if noise.missing else ""
        return f"no noise-floor correction{why}"
    does = {
        "truncate": "echoes at which the fitted decay lies below 2.5 times the noise were left out",
        "rician": "the mean of the noisy magnitude was fitted instead of the signal",
    }[noise.mode]
    error = f" (standard error {noise.sigma_se:.2g})" if noise.sigma_se is not None else ""
    coils = config.r2star.n_coils
    chi = f", {coils} channels added as a sum of squares" if coils > 1 else ""
    return f"{does}; noise per channel {noise.sigma:.4g}{error}, {noise.origin}{chi}"


def _failed_voxels(r2star: QuantityMap, key: str) -> list[Finding]:
    valid, reason = r2star.valid, r2star.reason
    failed = int(valid.size - np.count_nonzero(valid))
    if failed == 0 or reason is None:
        return []
    counts = np.bincount(reason.ravel()[~valid.ravel()], minlength=1)
    parts = [
        f"{n}: {r2star.reason_words.get(code, f'reason {code}')}"
        for code, n in enumerate(counts)
        if n
    ]
    return [
        Finding(
            "I_R2STAR_FAILED",
            Severity.INFO,
            key,
            f"R2* could not be fitted in {failed} of {valid.size} voxels "
            f"({100 * failed / valid.size:.1f} %; as a rule air and background). "
            f"{'; '.join(parts)}. "
            "They are not numbers in the map and enter no statistic.",
        )
    ]
