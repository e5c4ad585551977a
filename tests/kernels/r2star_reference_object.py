"""The project's Rician reference object for R2*, and the accuracy table made from it.

    python -m tests.kernels.r2star_reference_object

writes ``docs/validation/r2star_accuracy.md``.  The signal is written here from the definition of
the Rician distribution (Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618), not by the code
under test; the comparison fit is `scipy.optimize.curve_fit`.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy
from scipy.optimize import OptimizeWarning, curve_fit

R2STAR_PER_S = (10.0, 25.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0)
SNR = (20.0, 50.0, 100.0)
ECHO_TIMES_S = {
    "8 even, 1.2-14 ms": np.linspace(1.2e-3, 14e-3, 8),
    "8 uneven, 1.2-14 ms": np.array([1.2, 2.0, 3.1, 4.6, 6.5, 8.8, 11.2, 14.0]) * 1e-3,
    "2 echoes, 2.3 and 4.6 ms": np.array([2.3, 4.6]) * 1e-3,
}
S0 = 1000.0
SEED = 20_240
OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "validation" / "r2star_accuracy.md"


class Cell(NamedTuple):
    """One combination of the reference object, and both fits of it."""

    echoes: str
    snr: float
    true_per_s: float
    ours: np.ndarray
    ours_se: np.ndarray
    scipy: np.ndarray
    scipy_se: np.ndarray


def rician(clean: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Magnitude of the signal plus complex Gaussian noise of `sigma` per channel."""
    real = clean + rng.normal(0.0, sigma, clean.shape)
    return np.hypot(real, rng.normal(0.0, sigma, clean.shape))


def decay(echo_times_s: np.ndarray, s0: float, rate: float) -> np.ndarray:
    return s0 * np.exp(-rate * echo_times_s)


def scipy_fit(signal: np.ndarray, echo_times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R2* and its standard error by `curve_fit`, voxel by voxel, from a log-linear start."""
    # curve_fit takes the same step limits and tolerances for every scale, so both start at order 1.
    peak = signal.max(axis=1)
    values = np.full(len(signal), np.nan)
    errors = np.full(len(signal), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        for voxel, samples in enumerate(signal / peak[:, None]):
            slope, intercept = np.polyfit(echo_times_s, np.log(samples), 1)
            try:
                best, covariance = curve_fit(
                    decay, echo_times_s, samples, p0=(np.exp(intercept), -slope)
                )
            except RuntimeError:
                continue
            values[voxel], errors[voxel] = best[1], np.sqrt(covariance[1, 1])
    return values, errors


def cells(n_voxels: int, seed: int = SEED) -> list[Cell]:
    """Write and fit the whole object with `n_voxels` voxels per combination."""
    from eprimg.kernels.r2star import fit_r2star

    table = []
    for e, (name, echo_times_s) in enumerate(ECHO_TIMES_S.items()):
        for s, snr in enumerate(SNR):
            for r, rate in enumerate(R2STAR_PER_S):
                rng = np.random.default_rng([seed, e, s, r])
                clean = np.broadcast_to(
                    decay(echo_times_s, S0, rate), (n_voxels, echo_times_s.size)
                )
                signal = rician(clean, S0 / snr, rng)
                fit = fit_r2star(signal, echo_times_s)
                table.append(
                    Cell(
                        name,
                        snr,
                        rate,
                        fit.r2star_per_s,
                        fit.r2star_se_per_s,
                        *scipy_fit(signal, echo_times_s),
                    )
                )
    return table


def summary(estimate: np.ndarray, true_per_s: float) -> tuple[float, float, float]:
    """Median bias in percent, root mean square error and interquartile range / 1.349 in 1/s."""
    error = estimate - true_per_s
    low, high = np.quantile(error, (0.25, 0.75))
    return (
        100.0 * float(np.median(error)) / true_per_s,
        float(np.sqrt(np.mean(error**2))),
        float(high - low) / 1.349,
    )


def markdown(n_voxels: int) -> str:
    lines = [
        "# Accuracy of R2*",
        "",
        f"Rician reference object: S0 = {S0:g}, sigma = S0 / SNR per channel, {n_voxels} voxels",
        f"in each row, float64, seeds `default_rng([{SEED}, echoes, snr, rate])` with the",
        "positions in the lists of `tests/kernels/r2star_reference_object.py`.  Made by",
        "",
        "```",
        "python -m tests.kernels.r2star_reference_object",
        "```",
        "",
        'ours = `fit_r2star(method="nlls")`; scipy = `scipy.optimize.curve_fit` of scipy',
        f"{scipy.__version__} on the same voxels from a log-linear start.  Both are plain",
        "non-linear least squares, so they should agree, and both are biased by the noise floor",
        "where little signal is left.  Bias is the median in percent of the truth; RMSE in 1/s,",
        "with the robust spread (interquartile range / 1.349) in parentheses, because single",
        "voxels without signal dominate the RMSE of the hardest rows.  SE is the median standard",
        'error that ours states, in 1/s.  "lost" are voxels without a finite value from either',
        "fit (curve_fit gave up); they are left out of both columns.",
        "The sampling error of a bias in percent is about 125 x spread / (R2* x sqrt(voxels)).",
        "",
    ]
    worst = 0.0
    table = cells(n_voxels)
    for name in ECHO_TIMES_S:
        lines += [
            f"## {name}",
            "",
            (
                "| SNR | R2* (1/s) | bias ours (%) | bias scipy (%) | RMSE ours | RMSE scipy "
                "| SE ours | median difference (1/s) | lost |"
            ),
            "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for cell in table:
            if cell.echoes != name:
                continue
            both = np.isfinite(cell.ours) & np.isfinite(cell.scipy)
            a = summary(cell.ours[both], cell.true_per_s)
            b = summary(cell.scipy[both], cell.true_per_s)
            error = float(np.median(cell.ours_se[both]))
            difference = float(np.median(np.abs(cell.ours - cell.scipy)[both]))
            worst = max(worst, abs(a[0] - b[0]))
            lines.append(
                f"| {cell.snr:g} | {cell.true_per_s:g} | {a[0]:+.2f} | {b[0]:+.2f} "
                f"| {a[1]:.2f} ({a[2]:.2f}) | {b[1]:.2f} ({b[2]:.2f}) "
                f"| {'none' if np.isnan(error) else f'{error:.2f}'} | {difference:.1e} "
                f"| {int((~both).sum())} |"
            )
        lines.append("")
    lines += [
        f"Largest difference between the two median biases: {worst:.1e} percentage points.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page and its claims; return 1 when a bound is broken."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    # Late: that module takes the definitions of this one.
    from tests.kernels.r2star_noise_object import claims, rows, section
    from tests.validation.results import write_lines

    table = rows(2000)
    OUTPUT.write_text(markdown(1000) + "\n" + "\n".join(section(2000, table)), encoding="utf-8")
    found = claims(table)
    write_lines("r2star_accuracy", found)
    print(OUTPUT)
    for line in found:
        print(line.claim, line.measured, line.ok)
    return 0 if all(line.ok is not False for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
