"""Doubts about the acquisition of an echo train, read from its signal and its fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg.kernels.fat_phase import fat_cycles
from eprimg.kernels.r2star import R2StarReason
from eprimg.model.acquisition import MRAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.model.volume import EchoStack
from eprimg.stages.echo_scale import air_scale_findings, lone_echo, off_text, scaled_echo
from eprimg.stages.field_gradient import rephased_sample

__all__ = ["FIRST_ECHO_PRODUCT", "protocol_findings"]

FIRST_ECHO_PRODUCT = 1.0
"""R2* times the first echo time above which less than 37 % of the signal is left there."""

_MOST_VOXELS = 10_000
_FEWEST_VOXELS = 100
_TISSUE_SIGMAS = 10.0
_TISSUE_SHARE = 0.2
"""Tissue: first echo above so many sigmas, or, without sigma, above this part of its 99th
percentile."""

_FEWEST_ECHOES = 4
_GAP_PRODUCT = 2.0
"""R2* times the gap after the first echo: 2 leaves 14 % of the signal to the second echo."""

_HIGH_QUANTILE = 0.9
_USED_PART = 0.1
"""Echoes at which the median signal has fallen below this part of the first are not compared."""

_SCALED = 0.05
_BRIGHTER = 1.02
_BIPOLAR = 0.02
_MOST = 0.8
"""Part of the tissue that has to agree before a pattern is called one of the read-out."""

_FAT_AMPLITUDE = 0.05
_FAT_VOXELS = 0.05
_SIGNIFICANT = 3.0
_SPREAD = 1.0
"""Smallest range of cos(phase) over the echoes at which fat makes the magnitude wave."""

_ALIKE = 0.9

_EFFECTS = {
    "bipolar": "odd and even echoes may differ in gain and delay (W_BIPOLAR when they do)",
    "normalised": "the noise then differs over the field, and one noise level is an average",
    "resampled": "neighbouring voxels share noise, so the noise level may come out too low",
    "filtered": "signal and noise were changed by a filter that is not known here",
    "gain_varies": "if the scanner did not undo it, R2* is off by ln(gain ratio) / spacing",
}
"""What a note of the header means for R2*; kinds that mean nothing are left out."""

_HARMFUL = ("filtered", "gain_varies")


class _Tissue(NamedTuple):
    """Sample of the tissue voxels: signal, rate, amplitude, reason, and the fitted signal."""

    signal: npt.NDArray[np.float64]
    rate: npt.NDArray[np.float64]
    s0: npt.NDArray[np.float64]
    reason: npt.NDArray[np.uint8]
    above_noise: npt.NDArray[np.uint8] | None
    curve: npt.NDArray[np.float64]


class _Said(NamedTuple):
    """A finding on its way: code and words."""

    code: str
    text: str


def protocol_findings(
    series: Series, r2star: QuantityMap, s0: QuantityMap, n_coils: int = 1
) -> list[Finding]:
    """Look for what an echo train cannot measure, and for what no decay does.

    Parameters
    ----------
    series : Series
        Magnitude echoes.
    r2star, s0 : QuantityMap
        The fit of all voxels, with reason codes, and with the detail ``echoes_above_noise`` where
        the noise level is known.
    n_coils : int, default 1
        Channels that were added as a sum of squares.

    Returns
    -------
    list of Finding
        ``W_FEW_ECHOES``, ``W_FIRST_ECHO_LATE``, ``W_ECHO_GAP``, ``W_ECHO_SCALE``, ``W_BIPOLAR``,
        ``W_FAT_PHASE`` or ``I_FAT_PHASE``; none without tissue (fewer than 100 voxels) but for what
        air shows (``W_ECHO_SCALE``) and what the headers say of the read-out and of filters
        (``I_IMAGE_NOTE``, ``W_IMAGE_NOTE``).

    Notes
    -----
    Tissue is every voxel whose first echo lies above ten times the noise or, where that is not
    known, above a fifth of the 99th percentile of the first echo; at most 10 000 of them are looked
    at.

    * *First echo.*  Median R2* times the first echo time above 1: less than 37 % of the signal is
      left before anything is measured.
    * *Gap.*  A tenth of the tissue or more has R2* times the gap between the first two echoes
      above 2, or has no R2* because all signal is gone after the first echo.
    * *Scale.*  The signal of an echo over its fit is a number near 1 in every voxel.  A median over
      the tissue that is 5 % off, with the same sign in 80 % of the voxels, is no tissue: the echo
      was scaled or filtered.  Nor is a later echo that is brighter in the median of the tissue.
      Scales that follow an exponential show in air only (`eprimg.stages.echo_scale`).
    * *Bipolar.*  The same for a pattern that alternates from echo to echo (odd echoes read out from
      left to right, even ones from right to left), from 2 % on.  Where one echo alone explains it
      better than the alternation, that echo is named (``W_ECHO_SCALE``).
    * *Fat.*  The magnitude of fat and water in one voxel waves with ``cos(2 pi turns)``, high where
      both are in phase.  This wave is fitted beside the decay (first order); a voxel counts as
      fatty above 5 % of S0 and three standard errors.  Waves of the opposite sign, which fat
      cannot make, are subtracted as false alarms.

    The limits are house rules.  Fat shift: see `eprimg.kernels.fat_phase.fat_cycles`.
    """
    stack = series.pixels
    assert isinstance(stack, EchoStack)
    in_air = air_scale_findings(stack, n_coils, series.key)
    told = _header_notes(series) + in_air
    tissue = _tissue(stack, r2star, s0)
    if tissue is None:
        return told
    times = np.array(stack.echo_times_s)
    fitted = r2star.facts["echo_times_s"]
    found: list[_Said | None] = [
        _few_echoes(tissue, fitted),
        _late_first_echo(tissue, times),
        _long_gap(tissue, np.asarray(fitted)),
        _brighter_echo(tissue, times),
    ]
    field = (
        series.acquisition.field_strength_t.value
        if isinstance(series.acquisition, MRAcquisition)
        else None
    )
    wave = None if field is None else np.cos(2.0 * np.pi * fat_cycles(times, field))
    if len(times) >= _FEWEST_ECHOES and len(fitted) == len(times):
        found += _patterns(tissue, times, wave, field)
    elif wave is not None and len(times) < _FEWEST_ECHOES and np.ptp(wave) > _SPREAD:
        found.append(
            _Said(
                "I_FAT_PHASE",
                f"fat and water are in phase at some of the {len(times)} echoes and opposed at "
                f"others at {field:g} T; too few echoes to tell whether the tissue holds fat, "
                "which would bias R2*",
            )
        )
    said: dict[str, _Said] = {}
    for each in found:
        # One scale is told once; what air says is certain.
        if each is not None and not (in_air and each.code == in_air[0].code):
            said.setdefault(each.code, each)
    return told + [
        Finding(
            code,
            Severity.INFO if code.startswith("I_") else Severity.WARNING,
            series.key,
            f"{series.key}: {each.text}.",
        )
        for code, each in said.items()
    ]


def _header_notes(series: Series) -> list[Finding]:
    """Tell what the headers say about read-out, filters, normalisation and gains."""
    if not isinstance(series.acquisition, MRAcquisition):
        return []
    found = []
    for note in series.acquisition.image_notes:
        effect = _EFFECTS.get(note.kind)
        if effect is None:
            continue
        code, severity = "I_IMAGE_NOTE", Severity.INFO
        if note.kind in _HARMFUL:
            code, severity = "W_IMAGE_NOTE", Severity.WARNING
        where, text = f"{series.key}, {note.where}", f"{series.key}: {note.text}; {effect}."
        found.append(Finding(code, severity, where, text))
    return found


def _tissue(stack: EchoStack, r2star: QuantityMap, s0: QuantityMap) -> _Tissue | None:
    first = np.asarray(stack.volume.data[..., 0])
    sigma = r2star.facts.get("sigma")
    if sigma is not None:
        limit = _TISSUE_SIGMAS * float(sigma)
    else:
        some = first.ravel()[:: max(1, first.size // _MOST_VOXELS)]
        some = some[np.isfinite(some)]
        limit = _TISSUE_SHARE * float(np.quantile(some, 0.99)) if some.size else 0.0
    where = np.flatnonzero((first > limit).ravel())
    if where.size < _FEWEST_VOXELS or not limit > 0.0:
        return None
    where = where[:: max(1, -(-where.size // _MOST_VOXELS))]
    index = np.unravel_index(where, first.shape)
    signal = np.asarray(stack.volume.data[index], dtype=np.float64)
    # A decay that was corrected for the field gradient is compared with echoes that were.
    signal = rephased_sample(signal, r2star, index, stack.echo_times_s)
    whole = np.isfinite(signal).all(axis=1)
    if np.count_nonzero(whole) < _FEWEST_VOXELS:
        return None
    index = tuple(axis[whole] for axis in index)
    rate, amplitude = (np.asarray(m.values[index], dtype=np.float64) for m in (r2star, s0))
    reason = np.zeros(rate.shape, np.uint8) if r2star.reason is None else r2star.reason[index]
    above = r2star.details.get("echoes_above_noise")
    with np.errstate(all="ignore"):
        curve = amplitude[:, None] * np.exp(-rate[:, None] * np.array(stack.echo_times_s))
    return _Tissue(
        signal[whole], rate, amplitude, reason, None if above is None else above[index], curve
    )


def _few_echoes(tissue: _Tissue, fitted: Sequence[float]) -> _Said | None:
    n = len(fitted)
    if n < 3:
        return None  # said by the reader: two echoes
    if n < _FEWEST_ECHOES:
        return _Said(
            "W_FEW_ECHOES",
            f"R2* rests on {n} echoes, fewer than {_FEWEST_ECHOES}: its standard error is "
            "itself very uncertain, and the model can hardly be checked",
        )
    if tissue.above_noise is None:
        return None
    usable = np.isfinite(tissue.rate)
    few = float(np.mean(tissue.above_noise[usable] < _FEWEST_ECHOES)) if usable.any() else 1.0
    if few <= 0.5:
        return None
    return _Said(
        "W_FEW_ECHOES",
        f"in {100 * few:.0f} % of the tissue fewer than {_FEWEST_ECHOES} of the {n} echoes lie "
        "above the noise: use shorter echo times",
    )


def _late_first_echo(tissue: _Tissue, times: npt.NDArray[np.float64]) -> _Said | None:
    product = float(np.median(_rates(tissue))) * float(times[0])
    if not product > FIRST_ECHO_PRODUCT:
        return None
    value = f"is {product:.1f}" if math.isfinite(product) else "cannot be measured (it is too high)"
    return _Said(
        "W_FIRST_ECHO_LATE",
        f"R2* times the first echo time ({1000 * times[0]:.3g} ms) {value} in the median of the "
        "tissue: most of the signal is gone before the first echo",
    )


def _long_gap(tissue: _Tissue, times: npt.NDArray[np.float64]) -> _Said | None:
    gap = float(times[1] - times[0])
    high = float(np.quantile(_rates(tissue), _HIGH_QUANTILE, method="higher"))
    if not high * gap > _GAP_PRODUCT:
        return None
    value = f"{high:.0f} 1/s or more" if math.isfinite(high) else "too high to be measured"
    return _Said(
        "W_ECHO_GAP",
        f"R2* is {value} in a tenth of the tissue, where the signal falls below "
        f"{100 * math.exp(-_GAP_PRODUCT):.0f} % in the {1000 * gap:.3g} ms between the first two "
        "echoes: the gap is too long for it",
    )


def _rates(tissue: _Tissue) -> npt.NDArray[np.float64]:
    """Rates with "too high to be measured" as infinite; other failures are left out."""
    rates = tissue.rate.copy()
    rates[tissue.reason == R2StarReason.AT_BOUND] = np.inf
    # A late sample of zero without a noise mode: the signal fell below one step of the storage.
    rates[(tissue.reason == R2StarReason.NON_POSITIVE) & (tissue.signal[:, 0] > 0.0)] = np.inf
    rates = rates[~np.isnan(rates)]
    return rates if rates.size else np.zeros(1)


def _brighter_echo(tissue: _Tissue, times: npt.NDArray[np.float64]) -> _Said | None:
    with np.errstate(all="ignore"):
        ratio = np.nanmedian(tissue.signal[:, 1:] / tissue.signal[:, :-1], axis=0)
    usable = np.median(tissue.signal, axis=0)[1:] > _USED_PART * np.median(tissue.signal[:, 0])
    odd = np.flatnonzero((ratio > _BRIGHTER) & usable)
    if odd.size == 0:
        return None
    n = int(odd[0])
    return _Said(
        "W_ECHO_SCALE",
        f"the echo at {1000 * times[n + 1]:.3g} ms is {100 * (ratio[n] - 1):.0f} % brighter than "
        f"the one at {1000 * times[n]:.3g} ms in the median of the tissue, which no decay does: "
        "the echoes were scaled or filtered differently (or almost all of it is fat)",
    )


def _patterns(
    tissue: _Tissue,
    times: npt.NDArray[np.float64],
    wave: npt.NDArray[np.float64] | None,
    field: float | None,
) -> list[_Said | None]:
    """Look for what is left beside the decay: a scaled echo, an alternation, the wave of fat."""
    level = np.median(tissue.signal, axis=0)
    n = int(np.count_nonzero(np.cumprod(level > _USED_PART * level[0])))
    if n < _FEWEST_ECHOES:
        return []
    # Voxels that keep some signal in all echoes that are compared, away from the noise floor.
    with np.errstate(invalid="ignore"):
        good = np.isfinite(tissue.rate) & (
            tissue.curve[:, :n].min(axis=1) > 0.5 * _USED_PART * tissue.curve[:, 0]
        )
        if tissue.above_noise is not None:
            good &= tissue.above_noise >= n
    if np.count_nonzero(good) < _FEWEST_VOXELS:
        return []
    signal, s0 = tissue.signal[good, :n], tissue.s0[good]
    decay = np.exp(-tissue.rate[good, None] * times[:n])
    turn = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    alternating = _amplitude(signal, s0, decay, times[:n], turn)
    found: list[_Said | None] = []
    fat = None if wave is None or np.ptp(wave[:n]) <= _SPREAD else wave[:n]
    share = 0.0
    if fat is not None:
        relative, error = _amplitude(signal, s0, decay, times[:n], fat)
        clear = (np.abs(relative) > _FAT_AMPLITUDE) & (np.abs(relative) > _SIGNIFICANT * error)
        share = float(np.mean(clear & (relative > 0)) - np.mean(clear & (relative < 0)))
    bipolar = _bipolar(alternating[0], fat, turn, field)
    if bipolar is not None:
        lone = lone_echo(signal / s0[:, None] - decay, decay, times[:n], turn)
        if lone is not None:
            pattern = np.eye(n)[lone]
            factor = _amplitude(signal, s0, decay, times[:n], pattern)[0]
            bipolar = _Said("W_ECHO_SCALE", off_text(factor, lone, times, "decay of the others"))
        found.append(bipolar)
    if fat is not None and share > _FAT_VOXELS:
        found.append(
            _Said(
                "W_FAT_PHASE",
                f"in {100 * share:.0f} % of the tissue the echoes wave as fat and water do at "
                f"{field:g} T (in phase and opposed): R2* of fatty tissue is biased; "
                "r2star.echoes=in-phase takes the in-phase echoes only",
            )
        )
    if not found:
        off = scaled_echo(signal / (s0[:, None] * decay), times, _SCALED, _MOST)
        found.append(None if off is None else _Said("W_ECHO_SCALE", off))
    return found


def _amplitude(
    signal: npt.NDArray[np.float64],
    s0: npt.NDArray[np.float64],
    decay: npt.NDArray[np.float64],
    times: npt.NDArray[np.float64],
    pattern: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Amplitude of ``pattern * decay`` over S0 beside a decay (first order), and its error."""
    n = times.size
    residual = signal / s0[:, None] - decay
    columns = np.stack([decay, decay * (times / times[-1]), decay * pattern], axis=-1)
    normal = np.einsum("vnp,vnq->vpq", columns, columns)
    right = np.einsum("vnp,vn->vp", columns, residual)
    inverse = np.linalg.pinv(normal, hermitian=True)
    solved = np.einsum("vpq,vq->vp", inverse, right)
    rest = residual - np.einsum("vnp,vp->vn", columns, solved)
    variance = (rest**2).sum(axis=1) / max(n - 3, 1)
    return solved[:, 2], np.sqrt(variance * inverse[:, 2, 2])


def _bipolar(
    alternating: npt.NDArray[np.float64],
    fat: npt.NDArray[np.float64] | None,
    turn: npt.NDArray[np.float64],
    field: float | None,
) -> _Said | None:
    middle = float(np.median(alternating))
    agree = float(np.mean(np.sign(alternating) == np.sign(middle)))
    if abs(middle) <= _BIPOLAR or agree < _MOST:
        return None
    also = ""
    if fat is not None:
        like = float(np.corrcoef(fat, turn)[0, 1])
        if abs(like) > _ALIKE and like * middle > 0.0:
            also = f" (at {field:g} T fat in most of the tissue would look the same)"
    return _Said(
        "W_BIPOLAR",
        f"odd and even echoes differ by {200 * abs(middle):.1f} % with the same sign in "
        f"{100 * agree:.0f} % of the tissue, as with a bipolar read-out: R2* is biased{also}",
    )
