"""Stage: R2*, fat fraction and field map from a complex multi-echo series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from eprimg.config import FatWaterConfig
from eprimg.errors import InputError
from eprimg.kernels.fat_water import (
    FAT_WATER_REASON_TEXT,
    FatWaterFit,
    FatWaterReason,
    detect_phase_sign,
    fit_fat_water,
)
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity
from eprimg.stages.fat_spectra import fat_spectrum, fat_spectrum_citation

__all__ = ["ComplexEchoes", "quantify_fat_water"]

_AMBIGUOUS_SHARE = 0.01
"""A larger part of the voxels with signal that is ambiguous is worth a warning."""


class ComplexEchoes(Protocol):
    """Complex multi-echo signal on a grid, as a reader gives it."""

    @property
    def data(self) -> npt.NDArray[Any]:
        """Complex samples, shape (k, j, i, n_echoes)."""

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""

    @property
    def echo_times_s(self) -> tuple[float, ...]:
        """One strictly rising echo time per last-axis entry, in seconds."""


def quantify_fat_water(
    echoes: ComplexEchoes,
    *,
    source: str,
    phase: str,
    field_strength_t: float | None,
    settings: FatWaterConfig,
    threads: int = 1,
    progress: Callable[[float], object] | None = None,
) -> StageResult[dict[str, QuantityMap]]:
    """Fit water, fat, R2* and field offset, and put them on maps.

    Parameters
    ----------
    echoes : ComplexEchoes
        Complex data; magnitude and phase, or real and imaginary part, are joined by the reader.
    source : str
        Key of the series.
    phase : str
        ``pre`` or ``post`` with respect to the agent; ends the keys of the maps.
    field_strength_t : float, optional
        Field strength in tesla; refused when missing.
    settings : FatWaterConfig
        Spectrum, sign of the phase, neighbourhood.
    threads : int, default 1
        Threads of the fit.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    StageResult[dict of str to QuantityMap]
        ``r2star_fatwater_<phase>`` (1/s), ``pdff_<phase>`` (%) and ``field_map_<phase>`` (Hz).

    Raises
    ------
    InputError
        ``E_FIELD_STRENGTH``, ``E_PHASE_SIGN``, or what `fit_fat_water` refuses.
    ConfigError
        ``E_FAT_SPECTRUM``.
    """
    if field_strength_t is None:
        raise InputError(
            "the fat-water fit needs the field strength",
            code="E_FIELD_STRENGTH",
            where=source,
            action="enter the field strength in tesla",
        )
    spectrum = fat_spectrum(settings.spectrum)
    data = echoes.data
    seen = detect_phase_sign(
        data, echoes.echo_times_s, field_strength_t=field_strength_t, spectrum=spectrum
    )
    findings: list[Finding] = []
    if settings.phase_sign == "detect":
        if not seen.decided:
            raise InputError(
                "the samples do not tell which way the phase turns",
                code="E_PHASE_SIGN",
                where=source,
                value={"gain": round(seen.gain, 1), "voxels": seen.n_voxels},
                action='enter fat_water.phase_sign ("1" or "-1")',
            )
        sign, how = seen.sign, "found from the data"
    else:
        sign, how = int(settings.phase_sign), "entered"
        if seen.decided and seen.sign != sign:
            findings.append(
                Finding(
                    "W_PHASE_SIGN",
                    Severity.WARNING,
                    source,
                    f"The sign of the phase was entered as {sign:+d}, but the samples fit clearly "
                    f"better with {seen.sign:+d}. Water and fat may be confused.",
                )
            )
    spacing = np.asarray(echoes.grid.spacing_mm, dtype=float)
    fit = fit_fat_water(
        data,
        echoes.echo_times_s,
        field_strength_t=field_strength_t,
        spectrum=spectrum,
        phase_sign=sign,
        neighbourhood_voxels=tuple(settings.neighbourhood_mm / spacing),
        threads=threads,
        progress=progress,
    )
    times = ", ".join(f"{1000 * t:.4g}" for t in echoes.echo_times_s)
    method = (
        f"Complex fit of water, fat, one R2*, field offset and one initial phase per voxel "
        f"(variable projection) to {len(echoes.echo_times_s)} echoes at {times} ms of {source}, "
        f"{field_strength_t:g} T. Fat spectrum: {fat_spectrum_citation(settings.spectrum)}. "
        f"Sign of the phase {sign:+d}, {how}. Water/fat exchange decided with the field of the "
        f"neighbourhood (SD {settings.neighbourhood_mm:g} mm). Not corrected: T1 weighting."
    )
    facts: dict[str, Any] = {
        "estimator": "complex fat-water",
        "echo_times_s": list(echoes.echo_times_s),
        "field_strength_t": field_strength_t,
        "agent_phase": phase,
        "fat_spectrum": settings.spectrum,
        "phase_sign": sign,
        "phase_sign_detected": seen.decided,
    }
    maps = _maps(fit, echoes, phase, source, method, facts)
    return StageResult(maps, tuple(findings + _voxel_findings(fit, source)))


def _maps(
    fit: FatWaterFit,
    echoes: ComplexEchoes,
    phase: str,
    source: str,
    method: str,
    facts: dict[str, Any],
) -> dict[str, QuantityMap]:
    words = {int(reason): text for reason, text in FAT_WATER_REASON_TEXT.items()}
    rows = (
        ("r2star_fatwater", "r2star", fit.r2star_per_s, fit.r2star_se_per_s, "R2*. "),
        ("pdff", "pdff", fit.pdff_percent, fit.pdff_se_percent, "Fat over water plus fat. "),
        (
            "field_map",
            "field_map",
            fit.field_map_hz,
            fit.field_map_se_hz,
            "Offset of the water resonance, known up to multiples of one over the echo spacing. ",
        ),
    )
    return {
        f"{key}_{phase}": QuantityMap(
            values=values,
            grid=echoes.grid,
            quantity=quantity(name),
            valid=fit.reason == FatWaterReason.OK,
            method=words_first + method,
            sources=(source,),
            standard_error=error,
            reason=fit.reason,
            reason_words=words,
            facts=facts,
        )
        for key, name, values, error, words_first in rows
    }


def _voxel_findings(fit: FatWaterFit, source: str) -> list[Finding]:
    counts = np.bincount(fit.reason.ravel(), minlength=len(FatWaterReason))
    fitted, unsure = int(counts[FatWaterReason.OK]), int(counts[FatWaterReason.AMBIGUOUS])
    findings = []
    if unsure > _AMBIGUOUS_SHARE * (fitted + unsure):
        findings.append(
            Finding(
                "W_FAT_WATER_AMBIGUOUS",
                Severity.WARNING,
                source,
                f"In {unsure} of {fitted + unsure} voxels with signal "
                f"({100 * unsure / (fitted + unsure):.1f} %) water and fat cannot be told apart; "
                "they have no value.",
            )
        )
    failed = int(fit.reason.size) - fitted
    if failed:
        parts = [
            f"{counts[reason]}: {text}"
            for reason, text in FAT_WATER_REASON_TEXT.items()
            if reason != FatWaterReason.OK and counts[reason]
        ]
        findings.append(
            Finding(
                "I_FAT_WATER_FAILED",
                Severity.INFO,
                source,
                f"The fat-water fit has no value in {failed} of {fit.reason.size} voxels "
                f"({100 * failed / fit.reason.size:.1f} %; as a rule air and background). "
                f"{'; '.join(parts)}.",
            )
        )
    return findings
