"""R2* of the same noisy arrays by eprimg and by its peers; writes ``r2star_peers.md``.

Run by ``make validate``.  Every fitter gets the very same samples: Rician noise on a decay, from
the definition (Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618).  Peers that are not there
are named as such; none of them is needed by the program.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eprimg.kernels.r2star import R2StarReason, fit_r2star
from eprimg.kernels.signal_noise import estimate_sigma
from tests.kernels.r2star_reference_object import ECHO_TIMES_S, decay, rician, scipy_fit, summary
from tests.validation.results import Line, write_lines

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "r2star_peers.md"
SEED = 20_281
S0 = 1000.0
SNR = (20.0, 50.0)
RATES_PER_S = (25.0, 100.0, 200.0, 400.0, 800.0)
EVEN = ECHO_TIMES_S["8 even, 1.2-14 ms"]
UNEVEN = ECHO_TIMES_S["8 uneven, 1.2-14 ms"]
ORDER = np.array([3, 0, 6, 1, 7, 4, 2, 5])
"""Order in which the permuted echoes are given."""

BIN_EDGES_PER_S = (10.0, 30.0, 60.0, 100.0, 200.0, 400.0)
BIN_RMSE_PER_S = (2.0, 2.4, 3.2, 5.6, 16.4)
"""NLLS on the object of the bins, measured before with other code: 96x96x10 voxels, 8 echoes of 1.2
to 14 ms, R2* log-uniform from 10 to 400 1/s, S0 800 to 1200, S0/sigma 50."""

Fitter = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Samples (voxels, echoes) and times in s -> R2* in 1/s and whether the fit failed."""


class Input(NamedTuple):
    """How the samples are given to the fitters."""

    name: str
    times_s: np.ndarray
    scale: float = 1.0
    order: np.ndarray | None = None


INPUTS = (
    Input("8 even echoes, 1.2-14 ms", EVEN),
    Input("8 uneven echoes, 1.2-14 ms", UNEVEN),
    Input("8 even echoes, samples times 1e-6", EVEN, 1e-6),
    Input("8 even echoes, samples times 1e6", EVEN, 1e6),
    Input("8 even echoes in another order", EVEN, order=ORDER),
)


class Row(NamedTuple):
    """One fitter on one array."""

    given: str
    fitter: str
    snr: float
    true_per_s: float
    bias_percent: float
    rmse_per_s: float
    failed: int
    seconds: float


def ours(noise: str | None) -> Fitter:
    """`fit_r2star` on one thread; the noise level is estimated from the array itself."""

    def fit(signal: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Echoes are put in order before the fit, as the readers of the program do.
        order = np.argsort(times_s)
        samples, times = np.ascontiguousarray(signal[:, order]), times_s[order]
        sigma = estimate_sigma(samples, echo_times_s=times).sigma if noise else None
        found = fit_r2star(samples, times, noise=noise, sigma=sigma, threads=1)
        # Signal in the first echo only: no value, but known to lie above every other.
        above = found.reason == R2StarReason.AT_BOUND
        values = np.where(above, np.inf, found.r2star_per_s)
        return values, ~np.isfinite(found.r2star_per_s)

    return fit


def by_scipy(signal: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`curve_fit` voxel by voxel, each divided by its largest sample, log-linear start."""
    values, _ = scipy_fit(signal, times_s)
    return values, ~np.isfinite(values)


def by_tedana(kind: str) -> Fitter:
    """tedana's `fit_decay`; a failed curve fit keeps its log-linear value, flagged as failed."""
    fit_decay = importlib.import_module("tedana.decay").fit_decay

    def fit(signal: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        echoes = np.full(len(signal), times_s.size)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            t2s_ms, _, failures, *_ = fit_decay(
                signal[..., None], list(1e3 * times_s), echoes, kind, report=False
            )
        failed = np.zeros(len(signal), bool) if failures is None else np.asarray(failures, bool)
        with np.errstate(divide="ignore"):
            return 1e3 / np.asarray(t2s_ms, float).ravel(), failed.ravel()

    return fit


def by_ukat(signal: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ukat's `T2Star` with its bounded two-parameter fit; its voxel of zero is a failed one."""
    maker = importlib.import_module("ukat.mapping.t2star").T2Star
    found = maker(
        signal.reshape(-1, 1, 1, times_s.size), 1e3 * times_s, affine=np.eye(4), method="2p_exp"
    )
    values = 1e3 * np.asarray(found.r2star_map()).ravel()
    return values, ~(np.asarray(found.t2star_map).ravel() > 0.0)


def fitters() -> tuple[dict[str, Fitter], dict[str, str]]:
    """Return what can be run, and the peers that are absent with the reason."""
    found: dict[str, Fitter] = {
        "eprimg nlls": ours(None),
        "eprimg truncate": ours("truncate"),
        "eprimg rician": ours("rician"),
        f"scipy {version('scipy')} curve_fit": by_scipy,
    }
    absent: dict[str, str] = {}
    try:
        name = f"tedana {version('tedana')}"
        found |= {f"{name} curvefit": by_tedana("curvefit"), f"{name} loglin": by_tedana("loglin")}
    except (PackageNotFoundError, ImportError):
        absent["tedana"] = "not installed"
    try:
        importlib.import_module("ukat.mapping.t2star")
        found[f"ukat {version('ukat')} 2p_exp"] = by_ukat
    except (PackageNotFoundError, ImportError):
        absent["ukat"] = (
            "not installed: its releases pin older scipy, scikit-image and scikit-learn than "
            "this environment has, and building it beside them failed"
        )
    return found, absent


def rows(n_voxels: int, using: dict[str, Fitter], inputs: tuple[Input, ...] = INPUTS) -> list[Row]:
    """Give every array to every fitter."""
    table = []
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for fit in using.values():  # compile and import outside of the clock
                fit(np.full((200, 8), 100.0) * np.exp(-50.0 * EVEN) + np.arange(8) % 3, EVEN)
            for given in inputs:
                for s, snr in enumerate(SNR):
                    for r, rate in enumerate(RATES_PER_S):
                        # One seed for even echoes in any scale and order: the same samples.
                        rng = np.random.default_rng([SEED, int(given.times_s is UNEVEN), s, r])
                        clean = np.broadcast_to(
                            decay(given.times_s, S0, rate), (n_voxels, given.times_s.size)
                        )
                        signal = given.scale * rician(clean, S0 / snr, rng)
                        times = given.times_s
                        if given.order is not None:
                            signal, times = signal[:, given.order], times[given.order]
                        for name, fit in using.items():
                            table.append(_one(given.name, name, snr, rate, fit, signal, times))
    finally:
        logging.disable(logging.NOTSET)
    return table


def _one(
    given: str,
    name: str,
    snr: float,
    rate: float,
    fit: Fitter,
    signal: np.ndarray,
    times_s: np.ndarray,
) -> Row:
    start = time.perf_counter()
    values, failed = fit(signal, times_s)
    seconds = time.perf_counter() - start
    known = np.isfinite(values)
    if not known.any():
        return Row(given, name, snr, rate, np.nan, np.nan, len(values), seconds)
    _, rmse, _ = summary(values[known], rate)
    bias = 100.0 * (float(np.median(values[~np.isnan(values)])) / rate - 1.0)
    return Row(given, name, snr, rate, bias, rmse, int(np.count_nonzero(failed)), seconds)


class Bin(NamedTuple):
    """`rician` and `truncate` with an estimated noise level in one bin of R2*."""

    low_per_s: float
    high_per_s: float
    nlls_rmse_per_s: float
    bias_percent: dict[str, float]
    rmse_per_s: dict[str, float]


def bins(shape: tuple[int, ...] = (96, 96, 10)) -> list[Bin]:
    """Fit the object of the bins."""
    rng = np.random.default_rng(SEED)
    rate = np.exp(rng.uniform(np.log(10.0), np.log(400.0), shape))
    s0 = rng.uniform(800.0, 1200.0, shape)
    signal = rician(s0[..., None] * np.exp(-rate[..., None] * EVEN), 20.0, rng)
    sigma = estimate_sigma(signal, echo_times_s=EVEN).sigma
    found = {
        "none": fit_r2star(signal, EVEN).r2star_per_s,
        "truncate": fit_r2star(signal, EVEN, noise="truncate", sigma=sigma).r2star_per_s,
        "rician": fit_r2star(signal, EVEN, noise="rician", sigma=sigma).r2star_per_s,
    }
    table = []
    for low, high, rmse in zip(
        BIN_EDGES_PER_S[:-1], BIN_EDGES_PER_S[1:], BIN_RMSE_PER_S, strict=True
    ):
        here = (rate >= low) & (rate < high)
        error = {name: values[here] - rate[here] for name, values in found.items()}
        table.append(
            Bin(
                low,
                high,
                rmse,
                {n: 100.0 * float(np.nanmedian(e / rate[here])) for n, e in error.items()},
                {n: float(np.sqrt(np.nanmean(e**2))) for n, e in error.items()},
            )
        )
    return table


def exact(using: dict[str, Fitter]) -> list[Line]:
    """Check that every fitter reads the units alike: 50 1/s, hardly any noise, echoes mixed up."""
    times = EVEN[ORDER]
    clean = np.broadcast_to(decay(times, S0, 50.0), (200, times.size))
    signal = rician(clean, S0 / 1e4, np.random.default_rng(SEED))
    apart = max(abs(float(np.median(fit(signal, times)[0])) / 50.0 - 1.0) for fit in using.values())
    return [
        Line(
            "R2*",
            f"{len(using)} fitters, 50 1/s at S0/sigma 10 000: units are read alike",
            "within 1 %",
            f"worst {100.0 * apart:.1e} %",
            apart <= 0.01,
            "r2star_peers.md",
        )
    ]


def lines(table: list[Row], binned: list[Bin]) -> list[Line]:
    """Return what the page of all claims says of this one."""
    page = "r2star_peers.md"
    plain = {(r.given, r.snr, r.true_per_s): r for r in table if r.fitter == "eprimg nlls"}
    scipy_rows = [r for r in table if r.fitter.startswith("scipy")]
    apart = max(
        abs(r.bias_percent - plain[r.given, r.snr, r.true_per_s].bias_percent) for r in scipy_rows
    )
    found = [
        Line(
            "R2*",
            "plain nlls against scipy curve_fit on the same arrays, median bias",
            "within 0.1 points",
            f"largest difference {apart:.1e} points",
            apart <= 0.1,
            page,
        )
    ]
    for name in ("eprimg nlls", "eprimg truncate", "eprimg rician"):
        mine = {(r.given, r.snr, r.true_per_s): r for r in table if r.fitter == name}
        even = INPUTS[0].name
        change = max(
            abs(r.bias_percent - mine[even, r.snr, r.true_per_s].bias_percent)
            for r in mine.values()
            if r.given not in (even, INPUTS[1].name)
        )
        found.append(
            Line(
                "R2*",
                f"{name}: samples times 1e-6 and 1e6, echoes in another order",
                "median bias changes by less than 1e-3 points",
                f"{change:.1e} points",
                change < 1e-3,
                page,
            )
        )
    found_rmse = [b.rmse_per_s["rician"] for b in binned]
    worst = max(v / b.nlls_rmse_per_s for v, b in zip(found_rmse, binned, strict=True))
    found.append(
        Line(
            "R2*",
            "rician, estimated sigma, S0/sigma 50: RMSE in five bins of 10 to 400 1/s",
            "1.05 of NLLS (2.0, 2.4, 3.2, 5.6, 16.4 1/s)",
            f"{', '.join(f'{v:.2f}' for v in found_rmse)} 1/s; worst ratio {worst:.3f}",
            worst <= 1.05,
            page,
        )
    )
    return found


def page(table: list[Row], binned: list[Bin], absent: dict[str, str], n_voxels: int) -> str:
    """Write the page."""
    names = list(dict.fromkeys(r.fitter for r in table))
    text = [
        "# R2\\*: side by side on the same arrays",
        "",
        (
            f"Made by `make validate`. {n_voxels} voxels in each row, S0 = {S0:g}, Rician noise; "
            "every fitter gets the very same float64 samples. `truncate` and `rician` estimate the "
            "noise level from the row itself. Each cell: median bias in percent / RMSE in 1/s, and "
            "in brackets the voxels that failed (no value; tedana curvefit keeps a log-linear "
            "value there, which is counted). The median counts voxels that only hold signal in the "
            "first echo (`rician`) as above every value; RMSE is that of the voxels with a value. "
            "eprimg puts echoes in order before it fits."
        ),
        "",
        *(f"**{name}**: {why}.\n" for name, why in absent.items()),
    ]
    for given in dict.fromkeys(r.given for r in table):
        text += [
            f"## {given}",
            "",
            "| S0/sigma | R2\\* (1/s) | " + " | ".join(names) + " |",
            "|---:|---:|" + "---:|" * len(names),
        ]
        for snr in SNR:
            for rate in RATES_PER_S:
                cells = [
                    next(
                        r
                        for r in table
                        if (r.given, r.fitter, r.snr, r.true_per_s) == (given, name, snr, rate)
                    )
                    for name in names
                ]
                text.append(f"| {snr:g} | {rate:g} | " + " | ".join(map(_cell, cells)) + " |")
        text.append("")
    text += [
        "## Seconds per 1000 voxels",
        "",
        "One thread, small arrays (calls included); for speed see [performance](performance.md).",
        "",
        "| fitter | seconds |",
        "|---|---:|",
    ]
    for name in names:
        some = [r for r in table if r.fitter == name]
        seconds = 1000.0 * sum(r.seconds for r in some) / (n_voxels * len(some))
        text.append(f"| {name} | {seconds:.2g} |")
    text += [
        "",
        "## Bins of R2\\*, S0/sigma 50",
        "",
        (
            "96x96x10 voxels, 8 echoes of 1.2 to 14 ms, R2\\* log-uniform from 10 to 400 1/s, S0 "
            "800 to 1200; noise level estimated. Median bias in percent / RMSE in 1/s; the bound "
            "of the RMSE of `rician` is 1.05 times that of NLLS, measured before with other code."
        ),
        "",
        "| R2\\* (1/s) | none | truncate | rician | NLLS before | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for b in binned:
        good = b.rmse_per_s["rician"] <= 1.05 * b.nlls_rmse_per_s
        cells = [f"{b.bias_percent[n]:+.2f} / {b.rmse_per_s[n]:.2f}" for n in b.bias_percent]
        text.append(
            f"| {b.low_per_s:g}-{b.high_per_s:g} | "
            + " | ".join(cells)
            + f" | {b.nlls_rmse_per_s:g} | {'ok' if good else '**fails**'} |"
        )
    return "\n".join(text).rstrip() + "\n"


def _cell(row: Row) -> str:
    if not np.isfinite(row.bias_percent):
        return f"no value ({row.failed})"
    large = row.rmse_per_s >= 1e4
    rmse = f"{row.rmse_per_s:.1e}" if large else f"{row.rmse_per_s:.1f}"
    return f"{row.bias_percent:+.1f} / {rmse} ({row.failed})"


def main() -> int:
    """Write the page; return 1 when a bound is broken."""
    n_voxels = 300
    using, absent = fitters()
    for name, why in absent.items():
        print(f"{name}: {why}")
    table, binned = rows(n_voxels, using), bins()
    TARGET.write_text(page(table, binned, absent, n_voxels), encoding="utf-8")
    logging.disable(logging.WARNING)
    found = exact(using) + lines(table, binned)
    write_lines("r2star_peers", found)
    for line in found:
        print(line.claim, line.measured, line.ok)
    return 0 if all(line.ok for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
