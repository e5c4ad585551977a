"""Compare the noise level of a series with the scatter of its tissue about the fitted decay."""

from __future__ import annotations

from collections.abc import Sequence

from eprimg.kernels.r2star import R2StarFit
from eprimg.kernels.residual_noise import residual_noise
from eprimg.model.case import Finding, Severity

__all__ = ["TISSUE_NOISE_FACTOR", "tissue_noise"]

TISSUE_NOISE_FACTOR = 2.0
"""Scatter of the tissue over the noise level above which the latter is not believed.

Up to here the intervals that are called calibrated still hold the truth in 93 % of the voxels (a
noise level that is k times too low, S0/sigma 25 and 50, 200 to 350 1/s); at 3 it is 92 %, at 8 it
is 81 to 87 %.  Reference objects with the right level give 0.99 to 1.02, and 1.15 with fat in half
of the vials.
"""


def tissue_noise(
    fit: R2StarFit, times: Sequence[float], sigma: float | None, origin: str, mode: str, key: str
) -> tuple[float | None, list[Finding]]:
    """Find the noise level that the tissue shows, where it is clearly above the one in use.

    Parameters
    ----------
    fit : R2StarFit
        Of all voxels.
    times : sequence of float
        Echo times of the fit in seconds.
    sigma : float or None
        Noise level in use, in the unit of the signal.
    origin : str
        Where `sigma` comes from, in words.
    mode : str
        Noise mode of the fit.
    key : str
        Key of the series.

    Returns
    -------
    float or None
        In the unit of the signal; None where `sigma` is not known, where nothing can be compared
        (two echoes, fewer than 100 voxels with signal), and where the tissue scatters by no more
        than `TISSUE_NOISE_FACTOR` times `sigma`.
    list of Finding
        ``W_TISSUE_NOISE`` where there is a number.
    """
    if sigma is None:
        return None, []
    tissue = residual_noise(
        fit.r2star_per_s, fit.s0, fit.rmse, fit.n_echoes, echo_times_s=times, sigma=sigma
    ).sigma
    if tissue is None or not tissue > TISSUE_NOISE_FACTOR * sigma:
        return None, []
    effect = todo = ""
    if mode != "none":
        effect = f" The fit used {sigma:.4g} (r2star.noise = {mode}): high R2* may be wrong."
        todo = (
            f" If it is noise, enter r2star.sigma = {tissue:.3g}, or fit without a noise mode "
            "(r2star.noise = none; high R2* is then too low)."
        )
    text = (
        f"{key}: the tissue scatters about its fitted decay by {tissue:.4g} in the median, "
        f"{tissue / sigma:.1f} times the noise level {sigma:.4g} ({origin}). Either the noise is "
        "higher in the tissue (parallel imaging, normalisation, filtered air), or most of the "
        "tissue is no single exponential (fat, field gradients, motion, scaled echoes)."
        f"{effect} Whether a standard error is calibrated is judged with {tissue:.4g}.{todo}"
    )
    return tissue, [Finding("W_TISSUE_NOISE", Severity.WARNING, key, text)]
