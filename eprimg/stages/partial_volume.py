"""Partial-volume correction of lesion uptake: corrected numbers beside the raw ones.

Every lesion is corrected in a box of its own, as far around it as the blur reaches, with all drawn
regions there as regions of their own.  So its background is local, and a partial run gives the same
digits as a whole one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eprimg.config import Config, PartialVolumeConfig
from eprimg.errors import ConfigError, EprimgError, InputError, raise_faults
from eprimg.kernels.label_boxes import widened_box
from eprimg.kernels.partial_volume import RecoveryRecord
from eprimg.model.lesions import Measurement, RegionRole
from eprimg.model.maps import QuantityMap
from eprimg.stages._partial_volume_lesion import Corrected, Cut, by_model, by_table
from eprimg.stages.numbers import NAN, Numbers
from eprimg.stages.region_voxels import RegionVoxels

__all__ = [
    "CORRECTED",
    "check_partial_volume",
    "correct_partial_volume",
    "partial_volume_reach_mm",
]

CORRECTED = "partial_volume"
"""Ending of the statistics of corrected numbers, e.g. ``mean_partial_volume``."""

_SOURCE = "pet"
_KEYS = ("suvbw", "pid_per_kg", "sul_janmahasatian")
_SPREAD_FWHM = 1.7
"""Four standard deviations of a Gaussian, beyond which nothing is spread."""


def check_partial_volume(settings: PartialVolumeConfig) -> None:
    """Refuse settings that cannot be used together.

    Parameters
    ----------
    settings : PartialVolumeConfig
        Settings.

    Raises
    ------
    ConfigError
        ``E_CONFIG``, listing every fault.
    """
    faults: list[EprimgError] = []

    def fault(message: str, key: str, value: object, action: str) -> None:
        where = f"partial_volume.{key}"
        faults.append(
            ConfigError(message, code="E_CONFIG", where=where, value=value, action=action)
        )

    widths = settings.fwhm_mm
    if len(widths) not in (0, 1, 3):
        fault(
            "the width of the blur is one value, or three along slices, rows and columns",
            "fwhm_mm",
            widths,
            "give one or three values in mm",
        )
    if settings.method == "rc-table":
        for key in ("recovery_table", "scanner"):
            if not getattr(settings, key):
                fault(
                    "the method rc-table needs a table and the name of the scanner in it",
                    key,
                    "",
                    "name the CSV file and the scanner",
                )
    elif settings.method and not widths:
        fault(
            f"the method {settings.method} needs the width of the scanner's blur",
            "fwhm_mm",
            widths,
            "measure it for this scanner, reconstruction and nuclide",
        )
    if widths and settings.fwhm_error_mm >= min(widths):
        fault(
            "the uncertainty of the width is not smaller than the width",
            "fwhm_error_mm",
            settings.fwhm_error_mm,
            "give the standard uncertainty in mm",
        )
    raise_faults(faults)


def partial_volume_reach_mm(settings: PartialVolumeConfig) -> float:
    """Tell how far from a lesion anything can change its corrected number.

    Parameters
    ----------
    settings : PartialVolumeConfig
        Settings.

    Returns
    -------
    float
        Distance in mm; 0 when nothing is corrected.
    """
    if not settings.method:
        return 0.0
    if settings.method == "rc-table":
        return settings.background_gap_mm + settings.background_width_mm
    widest = max(settings.fwhm_mm, default=0.0) + settings.fwhm_error_mm
    # A single target needs twice the reach: what lies beyond may not touch its surroundings.
    times = 2.0 if settings.method == "single-target" else 1.0
    return times * _SPREAD_FWHM * widest + settings.boundary_error_mm


def correct_partial_volume(
    numbers: Numbers,
    voxels: RegionVoxels,
    maps: Mapping[str, QuantityMap],
    config: Config,
    *,
    recovery: Sequence[RecoveryRecord] = (),
    progress: Callable[[], object] | None = None,
) -> None:
    """Put the corrected mean beside the raw mean of every lesion.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    voxels : RegionVoxels
        Labels on the PET grid.
    maps : Mapping of str to QuantityMap
        Native maps.
    config : Config
        ``partial_volume``; nothing is done while its method is empty.
    recovery : sequence of RecoveryRecord, optional
        Table for the method ``rc-table``; a peak is corrected too where it holds peaks.
    progress : callable, optional
        Called before every lesion.

    Raises
    ------
    ConfigError
        ``E_CONFIG`` when the settings do not go together.

    Notes
    -----
    The maps of a scan are proportional to each other, so one of them is corrected and the others
    take its factor.  The uncertainty adds in quadrature: noise; the outline moved in and out by
    ``boundary_error_mm``; the width of the blur by ``fwhm_error_mm`` (half the difference each;
    rc-table: the uncertainty of the coefficient instead).  Of a single target the outline's part is
    that of the matrix on the same mask, which is somewhat larger.
    """
    settings = config.partial_volume
    if not settings.method:
        return
    check_partial_volume(settings)
    keys = [key for key in _KEYS if key in maps]
    if not keys:
        return
    base = maps[keys[0]]
    lesions = {r.id for r in voxels.lesions.regions if r.role == RegionRole.LESION}
    names = ["mean"]
    if settings.method == "rc-table" and any(r.statistic == "peak" for r in recovery):
        names.append("peak")
    for number, measured in numbers.items():
        if number not in lesions:
            continue
        if progress is not None:
            progress()
        for name in names:
            raw = [m for m in measured if (m.statistic, m.source) == (name, _SOURCE)]
            first = next((m for m in raw if m.quantity == keys[0]), None)
            found = _correction(first, number, voxels, base, settings, recovery)
            for m in raw:
                if m.quantity in keys:
                    measured.insert(measured.index(m) + 1, _row(m, found))


def _row(raw: Measurement, found: Corrected) -> Measurement:
    """Write the corrected number of one quantity."""
    value, error = NAN, NAN
    covered = "none: nothing was corrected"
    note = f"not corrected: {found.refused}"
    if not found.refused:
        value = raw.value * found.factor
        parts = [
            ("noise", found.noise),
            ("outline", found.mask),
            ("width of the blur", found.width),
        ]
        if "rc-table" in found.said:
            parts[2] = ("coefficient", found.width)
        error = math.hypot(*(abs(value) * p for _, p in parts))
        terms = ", ".join(f"{name} {100 * p:.2g} %" for name, p in parts)
        covered = f"{terms} in quadrature; a lesion that is not uniform is not covered"
        note = f"{found.said}; raw {raw.statistic} {raw.value:.4g} times {found.factor:.3g}"
    if raw.note:
        note += f"; {raw.note}"
    name = f"{raw.statistic}_{CORRECTED}"
    return Measurement(
        raw.quantity, name, raw.source, value, error, covered, raw.n_voxels, raw.grid, note
    )


def _correction(
    raw: Measurement | None,
    number: int,
    voxels: RegionVoxels,
    base: QuantityMap,
    settings: PartialVolumeConfig,
    recovery: Sequence[RecoveryRecord],
) -> Corrected:
    """Correct one lesion, or say why not."""
    if raw is None or not math.isfinite(raw.value) or number not in voxels.boxes:
        return Corrected(refused="there is no raw value")
    if raw.value == 0.0:
        return Corrected(refused="the raw value is zero")
    spacing = base.grid.spacing_mm
    reach = partial_volume_reach_mm(settings)
    k, j, i = (math.ceil(reach / step) + 1 for step in spacing)
    part = widened_box(voxels.boxes[number], (k, j, i), base.grid.shape)
    cut = Cut(
        np.asarray(base.values[part], dtype=np.float64),
        np.asarray(base.valid[part]),
        np.where(voxels.within(number, part), number, voxels.lesions.labels[part]),
        spacing,
        number,
    )
    try:
        if settings.method == "rc-table":
            return by_table(raw, cut, settings, recovery, str(base.facts.get("nuclide") or ""))
        return by_model(cut, settings)
    except InputError as error:
        return Corrected(refused=error.message)
