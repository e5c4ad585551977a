"""Coverage of the standard errors of R2* on ten echo trains; writes ``r2star_errors.md``.

Run by ``make validate``.  The signal is Rician noise on a decay, from the definition (Gudbjartsson
and Patz 1995, doi:10.1002/mrm.1910340618); the noise level is the true one, so that only the errors
are judged.  `eprimg.kernels.error_range` says which voxels are calibrated; here it is counted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from eprimg.kernels.error_range import FEWEST_ECHOES, ErrorRange, error_range
from eprimg.kernels.r2star import fit_r2star
from tests.kernels.r2star_reference_object import decay, rician
from tests.validation.results import Line, write_lines

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "r2star_errors.md"
SEED = 20_271
TRAINS_MS = {
    "8 even, 1.2-14": np.linspace(1.2, 14.0, 8),
    "8 uneven, 1.2-14": np.array([1.2, 2.0, 3.1, 4.6, 6.5, 8.8, 11.2, 14.0]),
    "12 even, 1.1-13.2": np.linspace(1.1, 13.2, 12),
    "10 even, 0.8-8": np.linspace(0.8, 8.0, 10),
    "16 even, 1.5-30": np.linspace(1.5, 30.0, 16),
    "6 even, 2.3-13.8": 2.3 * np.arange(1, 7),
    "6 even, 4.9-29.4": 4.9 * np.arange(1, 7),
    "5 uneven, 1.5-20": np.array([1.5, 5.0, 10.0, 15.0, 20.0]),
    "4 even, 1.2-6.6": np.array([1.2, 3.0, 4.8, 6.6]),
    "4 even, 4.6-18.4": 4.6 * np.arange(1, 5),
}
SNR = (20.0, 30.0, 50.0, 100.0)
RATES_PER_S = (10.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 800.0)
VARIANTS: dict[str, tuple[str, str | None]] = {
    "none": ("nlls", None),
    "truncate": ("nlls", "truncate"),
    "rician": ("nlls", "rician"),
    "irls, truncate": ("irls", "truncate"),
}
CHANNELS = (4, 16)
LOW, HIGH = 93.0, 97.0
FEWEST_VOXELS = 200


class Row(NamedTuple):
    """One echo train, noise mode, S0 / sigma and rate."""

    train: str
    variant: str
    snr: float
    true_per_s: float
    coverage: float
    called: float
    judged: bool
    n_errors: int

    @property
    def ok(self) -> bool:
        """Whether 93 to 97 % are covered."""
        return LOW <= self.coverage <= HIGH


def rows(n_voxels: int, trains: tuple[str, ...] = tuple(TRAINS_MS)) -> list[Row]:
    """Count every combination of the trains."""
    table = []
    for e, name in enumerate(TRAINS_MS):
        if name not in trains:
            continue
        times = TRAINS_MS[name] * 1e-3
        for s, snr in enumerate(SNR):
            for r, rate in enumerate(RATES_PER_S):
                rng = np.random.default_rng([SEED, e, s, r])
                clean = np.broadcast_to(decay(times, snr, rate), (n_voxels, times.size))
                signal = rician(clean, 1.0, rng)
                table += [
                    _count(name, variant, snr, rate, signal, times, *how)
                    for variant, how in VARIANTS.items()
                ]
    return table


def _count(
    train: str,
    variant: str,
    snr: float,
    rate: float,
    signal: np.ndarray,
    times: np.ndarray,
    method: str,
    noise: str | None,
    n_coils: int = 1,
) -> Row:
    level = 1.0 if noise else None
    fit = fit_r2star(signal, times, method=method, noise=noise, sigma=level, n_coils=n_coils)

    def judge(*values: np.ndarray) -> np.ndarray:
        return error_range(
            *values, echo_times_s=times, sigma=1.0, method=method, noise=noise, n_coils=n_coils
        )

    codes = judge(fit.r2star_per_s, fit.s0, fit.r2star_se_per_s, fit.n_echoes)
    truth = judge(*(np.array([v]) for v in (rate, snr, 1.0, np.median(fit.n_echoes))))
    known = np.isfinite(fit.r2star_se_per_s) & (fit.n_echoes >= FEWEST_ECHOES)
    reach = student.ppf(0.975, fit.n_echoes[known] - 2.0) * fit.r2star_se_per_s[known]
    held = np.abs(fit.r2star_per_s[known] - rate) <= reach
    return Row(
        train,
        variant,
        snr,
        rate,
        100.0 * float(held.mean()) if held.size else np.nan,
        float(np.mean(codes == ErrorRange.CALIBRATED)),
        bool(truth[0] == ErrorRange.CALIBRATED),
        int(held.size),
    )


def channel_rows(n_voxels: int) -> list[Row]:
    """Count sums of squares of several channels, which share one signal evenly."""
    table = []
    times = TRAINS_MS["8 even, 1.2-14"] * 1e-3
    for n_coils in CHANNELS:
        for snr, rate in ((20.0, 100.0), (20.0, 200.0), (50.0, 200.0), (50.0, 400.0)):
            rng = np.random.default_rng([SEED, n_coils, int(snr), int(rate)])
            clean = np.broadcast_to(
                decay(times, snr / np.sqrt(n_coils), rate), (n_voxels, times.size)
            )
            signal = np.sqrt(sum(rician(clean, 1.0, rng) ** 2 for _ in range(n_coils)))
            table += [
                _count(f"{n_coils} channels", mode, snr, rate, signal, times, "nlls", mode, n_coils)
                for mode in ("truncate", "rician")
            ]
    return table


def lines(table: list[Row]) -> list[Line]:
    """Return what the page of all claims says of this one."""
    found = []
    for variant in VARIANTS:
        inside = [r for r in table if r.variant == variant and r.judged]
        covered = [r.coverage for r in inside]
        found.append(
            Line(
                "R2*",
                f"95 % intervals inside the stated range, {variant} ({len(inside)} combinations)",
                f"{LOW:g} to {HIGH:g} % covered",
                f"{min(covered):.1f} to {max(covered):.1f} %",
                all(r.ok for r in inside),
                "r2star_errors.md",
            )
        )
    return found


def page(table: list[Row], channels: list[Row], n_voxels: int) -> str:
    """Write the page."""
    sampling = 100.0 * float(np.sqrt(0.95 * 0.05 / n_voxels))
    judged = [r for r in table if r.judged]
    worst = [r for r in table if r.called < 0.05 and r.n_errors >= FEWEST_VOXELS]
    text = [
        "# Standard errors of R2\\*: where they are calibrated",
        "",
        (
            "Made by `make validate`. Part of the voxels (percent) whose 95 % interval, R2\\* ± t "
            "SE with Student's t for the echoes in the fit, holds the truth. **Bold: inside the "
            "range** that `eprimg.kernels.error_range` names (the true R2\\* and S0 are given to "
            "it, and the median of the echoes in the fit); there "
            f"{LOW:g} to {HIGH:g} % have to be covered. Other numbers are shown, not judged: there "
            "results say that their error is not known to be calibrated. Voxels with fewer than "
            "four echoes in the fit say so themselves and are not counted; `-`: fewer than 200 "
            "voxels have more. "
            f"{n_voxels} voxels in each combination, Rician noise of one channel, "
            f"sigma known; the sampling error of a coverage is {sampling:.1f} points."
        ),
        "",
        (
            f"{sum(r.ok for r in judged)} of {len(judged)} combinations inside the range are "
            f"within {LOW:g} to {HIGH:g} %. Where fewer than 5 % of the voxels are called "
            f"calibrated, coverage goes down to {min(r.coverage for r in worst):.0f} %."
        ),
        "",
    ]
    for name in TRAINS_MS:
        text += [
            f"## {name} ms",
            "",
            "| fit | S0/sigma | " + " | ".join(f"{r:g} 1/s" for r in RATES_PER_S) + " |",
            "|---|---:|" + "---:|" * len(RATES_PER_S),
        ]
        for variant in VARIANTS:
            for snr in SNR:
                some = [r for r in table if (r.train, r.variant, r.snr) == (name, variant, snr)]
                cells = [_cell(r) for r in sorted(some, key=lambda r: r.true_per_s)]
                text.append(f"| {variant} | {snr:g} | " + " | ".join(cells) + " |")
        text.append("")
    text += [
        "## Sums of squares of several channels, 8 even, 1.2-14 ms",
        "",
        "| channels | fit | " + " | ".join(_heads(channels)) + " |",
        "|---|---|" + "---:|" * len(_heads(channels)),
    ]
    for n_coils in dict.fromkeys(r.train for r in channels):
        for mode in dict.fromkeys(r.variant for r in channels):
            cells = [_cell(r) for r in channels if (r.train, r.variant) == (n_coils, mode)]
            text.append(f"| {n_coils} | {mode} | " + " | ".join(cells) + " |")
    return "\n".join(text).rstrip() + "\n"


def _heads(channels: list[Row]) -> list[str]:
    """Name the columns of the table of channels."""
    return list(dict.fromkeys(f"S0/sigma {r.snr:g}, {r.true_per_s:g} 1/s" for r in channels))


def _cell(row: Row) -> str:
    if row.n_errors < FEWEST_VOXELS:
        return "-"
    said = f"{row.coverage:.1f}"
    if not row.judged:
        return said
    return f"**{said}**" if row.ok else f"**{said} fails**"


def main() -> int:
    """Write the page; return 1 when a bound is broken."""
    n_voxels = 8000
    table, channels = rows(n_voxels), channel_rows(n_voxels)
    TARGET.write_text(page(table, channels, n_voxels), encoding="utf-8")
    for row in (*table, *channels):
        if row.judged and not row.ok:
            print("outside the bounds:", row)
    inside = [r for r in channels if r.judged]
    covered = [r.coverage for r in inside]
    found = [
        *lines(table),
        Line(
            "R2*",
            f"the same for 4 and 16 channels, rician ({len(inside)} combinations)",
            f"{LOW:g} to {HIGH:g} % covered",
            f"{min(covered):.1f} to {max(covered):.1f} %",
            all(r.ok for r in inside),
            "r2star_errors.md",
        ),
    ]
    write_lines("r2star_errors", found)
    return 0 if all(line.ok for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
