"""One lesion and its surroundings: corrected over raw uptake, with the parts of its error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from eprimg.config import PartialVolumeConfig
from eprimg.errors import InputError
from eprimg.kernels.partial_volume import (
    PARTIAL_VOLUME_REASON_TEXT,
    PartialVolumeReason,
    RecoveryRecord,
    geometric_transfer_matrix,
    iterative_yang,
    mask_error_sensitivity,
    moved_means,
    recovery_correction,
    single_target_correction,
)
from eprimg.model.lesions import Measurement
from eprimg.stages.numbers import NAN

_LEAST_SHELL_VOXELS = 20
"""Fewer voxels of surroundings give no background.  House rule, as for reference regions."""


class Corrected(NamedTuple):
    """Corrected over raw value, with its relative errors, or why there is none."""

    factor: float = NAN
    noise: float = NAN
    mask: float = NAN
    width: float = NAN
    said: str = ""
    refused: str = ""


class Cut(NamedTuple):
    """What lies around one lesion."""

    image: npt.NDArray[np.float64]
    valid: npt.NDArray[np.bool_]
    labels: npt.NDArray[Any]
    spacing_mm: tuple[float, float, float]
    number: int


def by_model(cut: Cut, settings: PartialVolumeConfig) -> Corrected:
    """Correct with the width of the blur."""
    width = np.broadcast_to(np.asarray(settings.fwhm_mm, dtype=np.float64), 3)
    image = np.where(cut.valid, cut.image, np.nan)
    limit = settings.minimum_diameter_fwhm
    yang = settings.method == "iterative-yang"
    solver: Literal["gtm", "iterative_yang"] = "iterative_yang" if yang else "gtm"
    moved = mask_error_sensitivity(
        image,
        cut.labels,
        width,
        cut.spacing_mm,
        method=solver,
        boundary_error_mm=settings.boundary_error_mm,
        only=(cut.number,),
        n_iterations=settings.iterations,
        minimum_diameter_fwhm=limit,
    )
    row = int(np.flatnonzero(moved.base.label == cut.number)[0])
    diameter = float(moved.base.diameter_mm[row])
    reason = PartialVolumeReason(int(moved.base.reason[row]))
    if reason == PartialVolumeReason.TOO_SMALL:
        least = limit * float(np.prod(width)) ** (1.0 / 3.0)
        return Corrected(
            refused=f"its equivalent diameter of {diameter:.1f} mm is below {least:.1f} mm "
            f"({limit:g} widths of the blur): the outline rules the result"
        )
    if reason != PartialVolumeReason.OK:
        return Corrected(refused=PARTIAL_VOLUME_REASON_TEXT[reason])
    raw, value = float(moved.base.raw[row]), float(moved.base.corrected[row])
    if value == 0.0:
        return Corrected(refused="the corrected value is zero")
    mask, noise = float(moved.mask_se[row]) / abs(value), float(moved.base.corrected_se[row])
    if settings.method == "single-target":
        found = _single(image, cut, width, settings)
        if isinstance(found, str):
            return Corrected(refused=found)
        value = found
        # Voxels are not tied to a mean, so noise has no residuals to be taken from.
        noise = _single_noise(image, cut, width, settings, float(moved.base.voxel_sd[row]))
    others = [_again(image, cut, width + s * settings.fwhm_error_mm, settings) for s in (-1, 1)]
    if not (math.isfinite(mask) and all(math.isfinite(v) for v in others)):
        return Corrected(
            refused="with the error of the outline or of the width nothing could be corrected, so "
            "its uncertainty is not known"
        )
    spread = abs(others[0] - others[1]) / 2.0 / abs(value)
    shown = " x ".join(f"{w:g}" for w in settings.fwhm_mm)
    said = f"{settings.method}, FWHM {shown} mm, equivalent diameter {diameter:.1f} mm"
    return Corrected(value / raw, noise / abs(value), mask, spread, said)


def _again(
    image: npt.NDArray[np.float64],
    cut: Cut,
    width: npt.NDArray[np.float64],
    settings: PartialVolumeConfig,
) -> float:
    """Correct with another width; NaN when that is not possible."""
    options: dict[str, Any] = {"minimum_diameter_fwhm": 0.0, "voxel_sd": 0.0}
    try:
        if settings.method == "single-target":
            again = _single(image, cut, width, settings)
            return NAN if isinstance(again, str) else again
        if settings.method == "iterative-yang":
            options |= {"n_iterations": settings.iterations, "standard_errors": False}
            found = iterative_yang(image, cut.labels, width, cut.spacing_mm, **options)
        else:
            found = geometric_transfer_matrix(image, cut.labels, width, cut.spacing_mm, **options)
    except InputError:
        return NAN
    return float(found.corrected[np.flatnonzero(found.label == cut.number)[0]])


def _single(
    image: npt.NDArray[np.float64],
    cut: Cut,
    width: npt.NDArray[np.float64],
    settings: PartialVolumeConfig,
    sd: float | None = None,
) -> float | str:
    """Correct one target; words when it cannot be."""
    found = single_target_correction(
        image,
        np.asarray(cut.labels == cut.number),
        width,
        cut.spacing_mm,
        n_iterations=settings.iterations,
        voxel_sd=sd,
        minimum_diameter_fwhm=0.0,
    )
    reason = PartialVolumeReason(int(found.reason[0]))
    if reason != PartialVolumeReason.OK:
        return PARTIAL_VOLUME_REASON_TEXT[reason]
    return float(found.corrected[0] if sd is None else found.corrected_se[0])


def _single_noise(
    image: npt.NDArray[np.float64],
    cut: Cut,
    width: npt.NDArray[np.float64],
    settings: PartialVolumeConfig,
    sd: float,
) -> float:
    """Return the standard error of a single target for the noise that the matrix left."""
    if not math.isfinite(sd):
        return NAN
    found = _single(image, cut, width, settings, sd)
    return NAN if isinstance(found, str) else found


def by_table(
    raw: Measurement,
    cut: Cut,
    settings: PartialVolumeConfig,
    recovery: Sequence[RecoveryRecord],
    nuclide: str,
) -> Corrected:
    """Correct with measured recovery coefficients."""
    around = _shell(cut, settings)
    if around.size < _LEAST_SHELL_VOXELS:
        return Corrected(
            refused=f"only {around.size} voxels of surroundings lie {settings.background_gap_mm:g} "
            f"to {settings.background_width_mm + settings.background_gap_mm:g} mm from it, free of "
            f"other regions; {_LEAST_SHELL_VOXELS} are needed for a background"
        )
    background, spread = float(around.mean()), float(around.std(ddof=1))
    moved = moved_means(
        np.where(cut.valid, cut.image, np.nan),
        cut.labels,
        cut.number,
        cut.spacing_mm,
        boundary_error_mm=settings.boundary_error_mm,
    )
    volume = float((cut.labels == cut.number).sum()) * math.prod(cut.spacing_mm)
    diameter = (6.0 * volume / math.pi) ** (1.0 / 3.0)
    # The sphere of a peak stays where it is when the outline moves.
    means = moved.mean if raw.statistic == "mean" else (raw.value, raw.value)
    found = recovery_correction(
        raw.value,
        diameter,
        recovery,
        nuclide=nuclide,
        scanner=settings.scanner,
        background=background,
        statistic=raw.statistic,
        measured_se=raw.uncertainty if math.isfinite(raw.uncertainty) else 0.0,
        background_se=spread,
        moved=tuple(zip(moved.diameter_mm, means, strict=True)),
    )
    ratio = found.background_ratio
    said = (
        f"rc-table, {nuclide}, {settings.scanner}: coefficient {found.rc:.3g} at "
        f"{diameter:.1f} mm and "
        + (f"{ratio:.3g} to 1" if math.isfinite(ratio) else "a cold background")
        + f", background {background:.3g}"
    )
    unit = abs(found.corrected)
    return Corrected(
        found.corrected / raw.value,
        found.noise_se / unit,
        found.mask_se / unit,
        found.rc_se / unit,
        said,
    )


def _shell(cut: Cut, settings: PartialVolumeConfig) -> npt.NDArray[np.float64]:
    """Return valid voxels around a lesion, beyond its spill-out and off other regions."""
    apart = np.asarray(distance_transform_edt(cut.labels != cut.number, sampling=cut.spacing_mm))
    # Distances run to voxel centres; the outline lies half a voxel nearer.
    apart -= 0.5 * float(np.mean(cut.spacing_mm))
    gap = settings.background_gap_mm
    inside = (apart >= gap) & (apart <= gap + settings.background_width_mm)
    return cut.image[inside & cut.valid & (cut.labels <= 0)]
