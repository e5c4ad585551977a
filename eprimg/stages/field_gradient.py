"""R2* with the loss from the macroscopic field gradient through the slice taken out, when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.errors import InputError
from eprimg.kernels.error_range import ErrorRange
from eprimg.kernels.field_gradient import (
    LEAST_FACTOR,
    Profile,
    dephasing_factor,
    rephased_echoes,
    through_slice_gradient,
    usable_echoes,
)
from eprimg.kernels.r2star import R2StarFit, R2StarReason, fit_r2star
from eprimg.model.case import Finding, Severity
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series, Study
from eprimg.model.transform import Transform
from eprimg.model.volume import EchoStack
from eprimg.stages.carry import carry_map
from eprimg.stages.error_range import ERROR_RANGE

__all__ = [
    "GRADIENT_DETAIL",
    "GRADIENT_REASON_TEXT",
    "GradientCorrection",
    "external_field_map",
    "fit_rephased",
    "gradient_correction",
    "gradient_finding",
    "rephased_sample",
    "with_gradient",
]

_UNKNOWN, _DEPHASED = 200, 201
GRADIENT_REASON_TEXT: Mapping[int, str] = {
    _UNKNOWN: "the field gradient through the slice is not known here",
    _DEPHASED: f"fewer than two echoes keep {LEAST_FACTOR:g} of their signal under the field "
    "gradient through the slice",
}
"""Reasons that the correction adds to those of the fit."""

GRADIENT_DETAIL = "gradient_hz_per_mm"
"""Detail of a corrected R2* map: the gradient of each voxel."""

_SAMPLE = 20_000
_EVEN = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class GradientCorrection:
    """What the field gradient leaves of each echo.

    Parameters
    ----------
    gradient_hz_per_mm : ndarray, shape (k, j, i)
        Field gradient through the slice; NaN where it is not known.
    thickness_mm : float
        Thickness of the slice.
    profile : str
        Shape of the slice.
    table : tuple of float
        Samples of a measured profile.
    source : str
        Where the field map comes from.
    """

    gradient_hz_per_mm: npt.NDArray[np.float64]
    thickness_mm: float
    profile: str
    table: tuple[float, ...]
    source: str

    def factor(
        self, times_s: Sequence[float], gradient: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Part of the magnitude that is left, per echo."""
        return dephasing_factor(
            gradient,
            times_s,
            thickness_mm=self.thickness_mm,
            profile=cast(Profile, self.profile),
            table=self.table,
        )

    @property
    def text(self) -> str:
        """What was done, for the method of the map."""
        shape = {"table": "a measured", "gaussian": "a Gaussian"}.get(self.profile, "a rectangular")
        return (
            f" The loss from the field gradient through the slice ({self.source}) was divided out "
            f"for {shape} slice profile of {self.thickness_mm:g} mm; an echo that keeps less than "
            f"{LEAST_FACTOR:g} of its signal, and all later ones, were not used. The standard "
            "error does not know the error of the field map, nor that late echoes are noisier."
        )


def external_field_map(study: Study, series: Series) -> QuantityMap | None:
    """Find the field map that the user gave for a series, on the grid of the series.

    Parameters
    ----------
    study : Study
        What was read.
    series : Series
        Multi-echo series.

    Returns
    -------
    QuantityMap or None
        Linearly resampled when it lies on another grid of the same frame of reference.
    """
    found = next(
        (
            m.map
            for m in study.external_maps
            if m.map.quantity.key == "field_map" and m.on == series.key
        ),
        None,
    )
    if found is None or found.grid.matches(series.grid):
        return found
    frame = series.grid.frame_of_reference
    return carry_map(found, series.grid, Transform.identity(frame), order=1)


def gradient_correction(
    series: Series, field: QuantityMap | None, config: Config
) -> GradientCorrection | None:
    """Prepare the correction that the settings ask for.

    Parameters
    ----------
    series : Series
        Multi-echo series.
    field : QuantityMap or None
        Field map on the grid of the series.
    config : Config
        ``r2star.field_gradient`` and what belongs to it.

    Returns
    -------
    GradientCorrection or None
        None when none is asked for.

    Raises
    ------
    InputError
        ``E_FIELD_MAP`` without a field map.
    """
    settings = config.r2star
    if settings.field_gradient == "off":
        return None
    if field is None:
        raise InputError(
            f"{series.key}: the correction for the field gradient needs a field map, and there is "
            "none",
            code="E_FIELD_MAP",
            where="r2star.field_gradient",
            value=settings.field_gradient,
            action='name one in study.toml ([[maps]] quantity = "field_map"), or fit fat and water '
            "(fat_water.fit) where the series has phase; or switch the correction off",
        )
    field.grid.require_match(series.grid, what="the field map and the echoes")
    values = np.where(field.valid, field.values, np.nan)
    own = series.key in field.sources and "phase_sign" in field.facts
    gradient = through_slice_gradient(
        values, slice_step_mm=series.grid.spacing_mm[0], period_hz=_period_hz(series, own)
    )
    return GradientCorrection(
        gradient,
        settings.slice_thickness_mm,
        settings.field_gradient,
        settings.slice_profile,
        "field map of the complex fit" if own else "field map of study.toml",
    )


def _period_hz(series: Series, own: bool) -> float | None:
    """Return what the field of a complex fit is known up to: one over the echo spacing."""
    stack = series.pixels
    if not own or not isinstance(stack, EchoStack) or len(stack.echo_times_s) < 2:
        return None
    steps = np.diff(stack.echo_times_s)
    return float(1.0 / steps.mean()) if np.ptp(steps) <= _EVEN * steps.mean() else None


def fit_rephased(
    signal: npt.NDArray[Any],
    times_s: Sequence[float],
    correction: GradientCorrection,
    *,
    sigma: float | None,
    progress: Callable[[float], object],
    **options: Any,
) -> tuple[R2StarFit, dict[str, Any]]:
    """Fit echoes after the loss from the field gradient was divided out.

    Parameters
    ----------
    signal : ndarray, shape (k, j, i, n_echoes)
        Magnitude.
    times_s : sequence of float
        Echo times.
    correction : GradientCorrection
        From `gradient_correction`.
    sigma : float or None
        Noise level of the acquired signal, with the noise mode "truncate".
    progress : callable
        Called with the fraction done.
    **options
        For `fit_r2star`.

    Returns
    -------
    fit : R2StarFit
        Of shape (k, j, i); reasons 200 and 201 as in `GRADIENT_REASON_TEXT`.
    facts : dict
        How strong the gradient and how large the correction was.

    Notes
    -----
    Voxels with the same number of usable echoes are fitted together.  Dividing by the factor raises
    the noise; truncation uses the noise at the last usable echo for all of them, which leaves out
    too many echoes rather than too few.
    """
    gradient = correction.gradient_hz_per_mm.ravel()
    rows = signal.reshape(-1, signal.shape[-1])
    dtype = np.float64 if signal.dtype == np.float64 else np.float32
    kinds = (*(dtype,) * 4, np.int16, np.uint8, *(dtype,) * 3, np.bool_)
    empty: list[Any] = [np.zeros(len(rows), kind) for kind in kinds]
    flat = R2StarFit(*empty)
    for array in flat:
        if array.dtype.kind == "f":
            array.fill(np.nan)
    counts = np.empty(len(rows), np.int16)
    for start in range(0, len(rows), _SAMPLE):
        part = slice(start, start + _SAMPLE)
        counts[part] = usable_echoes(correction.factor(times_s, gradient[part]))
    flat.reason[counts < 2] = _DEPHASED
    flat.reason[np.isnan(gradient)] = _UNKNOWN
    done = 0
    for n in range(2, len(times_s) + 1):
        where = np.flatnonzero(counts == n)
        for start in range(0, len(where), 10 * _SAMPLE):
            chosen = where[start : start + 10 * _SAMPLE]
            left = correction.factor(times_s[:n], gradient[chosen])
            fit = fit_r2star(
                rephased_echoes(rows[chosen, :n], left),
                times_s[:n],
                sigma=None if sigma is None else sigma / left[:, -1],
                **options,
            )
            pairs: Iterable[tuple[Any, Any]] = zip(flat, fit, strict=True)
            for whole, made in pairs:
                whole[chosen] = made
            done += len(chosen)
            progress(done / len(rows))
    facts = _facts(rows, times_s, flat, counts, correction, sigma, options)
    shape = signal.shape[:-1]
    shaped: list[Any] = [array.reshape(shape) for array in flat]
    return R2StarFit(*shaped), facts


def _facts(
    rows: npt.NDArray[Any],
    times_s: Sequence[float],
    fit: R2StarFit,
    counts: npt.NDArray[np.int16],
    correction: GradientCorrection,
    sigma: float | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Say how much the correction changed, on an even sample of the fitted voxels."""
    valid = np.flatnonzero(np.isfinite(fit.r2star_per_s) & (fit.reason == R2StarReason.OK))
    facts: dict[str, Any] = {
        "profile": correction.profile,
        "slice_thickness_mm": correction.thickness_mm,
        "slice_profile": list(correction.table),
        "field_map": correction.source,
        "voxels_unknown": int(np.count_nonzero(fit.reason == _UNKNOWN)),
        "voxels_dephased": int(np.count_nonzero(fit.reason == _DEPHASED)),
        "voxels_fewer_echoes": int(np.count_nonzero(counts[valid] < len(times_s))),
        "median_gradient_hz_per_mm": None,
        "median_correction_per_s": None,
    }
    if valid.size:
        sample = valid[:: max(1, valid.size // _SAMPLE)]
        plain = fit_r2star(np.ascontiguousarray(rows[sample]), times_s, sigma=sigma, **options)
        change = plain.r2star_per_s - fit.r2star_per_s[sample]
        gradient = np.abs(correction.gradient_hz_per_mm.ravel()[valid])
        facts["median_gradient_hz_per_mm"] = float(np.median(gradient))
        known = change[np.isfinite(change)]
        facts["median_correction_per_s"] = float(np.median(known)) if known.size else None
    return facts


def rephased_sample(
    signal: npt.NDArray[np.float64],
    r2star: QuantityMap,
    index: tuple[npt.NDArray[np.intp], ...],
    times_s: Sequence[float],
) -> npt.NDArray[np.float64]:
    """Divide the echoes of some voxels as they were divided for a map.

    Parameters
    ----------
    signal : ndarray, shape (n, n_echoes)
        Echoes as acquired.
    r2star : QuantityMap
        The map.
    index : tuple of ndarray
        Voxels.
    times_s : sequence of float
        Echo times of the signal.

    Returns
    -------
    ndarray, shape (n, n_echoes)
        Unchanged for a map without the correction; NaN where an echo keeps too little.
    """
    gradient = r2star.details.get(GRADIENT_DETAIL)
    facts = r2star.facts.get("field_gradient")
    if gradient is None or facts is None:
        return signal
    factor = dephasing_factor(
        gradient[index],
        times_s,
        thickness_mm=float(facts["slice_thickness_mm"]),
        profile=cast(Profile, facts["profile"]),
        table=facts["slice_profile"],
    )
    whole = usable_echoes(factor) == len(times_s)
    rephased = rephased_echoes(signal, np.where(whole[:, None], factor, np.nan))
    return np.asarray(rephased, dtype=np.float64)


def gradient_finding(facts: Mapping[str, Any], key: str) -> Finding:
    """Tell that R2* was corrected for the field gradient, and by how much.

    Parameters
    ----------
    facts : Mapping
        From `fit_rephased`.
    key : str
        Series.

    Returns
    -------
    Finding
        ``I_FIELD_GRADIENT``.
    """
    gradient, change = facts["median_gradient_hz_per_mm"], facts["median_correction_per_s"]
    much = "no voxel was fitted"
    if gradient is not None and change is not None:
        much = (
            f"median |gradient| {gradient:.3g} Hz/mm, median correction {-change:+.3g} 1/s over "
            "all fitted voxels"
        )
    return Finding(
        "I_FIELD_GRADIENT",
        Severity.INFO,
        key,
        f"R2* of {key} was corrected for the field gradient through the slice "
        f"({facts['profile']} profile, {facts['slice_thickness_mm']:g} mm, {facts['field_map']}): "
        f"{much}; {facts['voxels_fewer_echoes']} voxels used fewer echoes, "
        f"{facts['voxels_dephased']} have no R2* because they were dephased and "
        f"{facts['voxels_unknown']} because the gradient is not known there. Compare it only "
        "with R2* that was corrected in the same way.",
    )


def with_gradient(
    map_: QuantityMap, correction: GradientCorrection, facts: Mapping[str, Any]
) -> QuantityMap:
    """Say in a map that the field gradient was taken out.

    Parameters
    ----------
    map_ : QuantityMap
        A map of the corrected echoes.
    correction : GradientCorrection
        What was divided out.
    facts : Mapping
        What `fit_rephased` told.

    Returns
    -------
    QuantityMap
        The same values.  No standard error of it counts as calibrated: the division raises the
        noise of late echoes, which the fit does not know.
    """
    details = {
        **map_.details,
        GRADIENT_DETAIL: correction.gradient_hz_per_mm.astype(np.float32),
    }
    if ERROR_RANGE in details:
        codes = np.array(details[ERROR_RANGE])
        codes[codes == ErrorRange.CALIBRATED] = ErrorRange.NOT_SHOWN
        details[ERROR_RANGE] = codes
    return replace(
        map_,
        method=map_.method + correction.text,
        facts={**map_.facts, "field_gradient": dict(facts)},
        reason_words={**map_.reason_words, **GRADIENT_REASON_TEXT},
        details=details,
    )
