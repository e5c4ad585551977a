"""The PET part of the measure stage: SUV, %ID, volumes and ratios, on the native PET grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from eprimg.config import Config
from eprimg.kernels.label_boxes import widened_box
from eprimg.kernels.metabolic_volume import metabolic_volume
from eprimg.kernels.peak import PeakResult, suv_peak
from eprimg.model.lesions import LesionSet, Measurement, Region
from eprimg.model.maps import QuantityMap
from eprimg.stages.denominator import judge_denominator
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.scaled_uptake import measure_scaled

__all__ = ["measure_pet"]

_SOURCE = "pet"
_GRID = "native pet"
_RATIOS = (
    ("lesion_blood_ratio", "blood"),
    ("lesion_muscle_ratio", "muscle"),
    ("lesion_liver_ratio", "liver"),
)


def measure_pet(
    numbers: Numbers,
    kept: Kept,
    native: LesionSet | RegionVoxels,
    maps: Mapping[str, QuantityMap],
    config: Config,
    *,
    progress: Callable[[], object] | None = None,
) -> None:
    """Measure PET quantities on the native PET grid and append the numbers.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    kept : Mapping
        Measurements of regions that are not measured again.
    native : LesionSet or RegionVoxels
        Labels on the PET grid.
    maps : Mapping of str to QuantityMap
        Native maps.
    config : Config
        Settings.
    progress : callable, optional
        Called before every region.
    """
    voxels = RegionVoxels.of(native)
    tell = progress or (lambda: None)
    for key in ("suvbw", "pid_per_kg", f"sul_{config.uptake.sul_formula}"):
        if key in maps:
            _measure_map(numbers, voxels, maps[key], key, config, tell)
    if "pid_per_kg" in maps:
        measure_scaled(numbers, voxels.lesions, maps["pid_per_kg"].facts, source=_SOURCE)
    if "suvbw" in maps:
        _volumes(numbers, voxels, maps["suvbw"], config)
    _ratios(numbers, kept, voxels.lesions, "suvbw" if "suvbw" in maps else "pid_per_kg", config)


def _measure_map(
    numbers: Numbers,
    voxels: RegionVoxels,
    uptake: QuantityMap,
    key: str,
    config: Config,
    tell: Callable[[], object],
) -> None:
    native = voxels.lesions
    native.grid.require_match(uptake.grid, what="labels and PET map")
    diameter = config.measure.peak_diameter_mm
    organs = {r.id for r in native.references}
    sphere_voxels = math.pi / 6 * diameter**3 / 1000.0 / native.grid.voxel_volume_ml
    for number, measured in numbers.items():
        tell()
        stats = voxels.statistics(uptake, number)
        n = 0 if stats is None else int(stats.n_valid[0])
        if stats is None or n == 0:
            note = "no valid voxel of the region lies on the PET grid"
            for name in ("mean", "max", "peak", "sd", "median"):
                measured.append(
                    Measurement(
                        key, name, _SOURCE, NAN, NAN, "none: nothing was measured", 0, _GRID, note
                    )
                )
            continue
        sd = float(stats.sd[0])
        mean_error = sd / math.sqrt(n)
        spread = (
            "spread of the voxels in the region over the root of {}; neighbours are "
            "correlated, delineation and calibration are not included: a lower bound"
        )
        found = _peak(voxels, uptake, number, diameter)
        peak, inside = float(found.peak[0]), float(found.fraction_inside[0])
        peak_note = ""
        if not math.isfinite(peak):
            peak_note = "no sphere could be placed: the region lies in a corner of the PET volume"
        elif inside < 0.999:
            peak_note = (
                f"{100 * inside:.0f} % of the sphere lies inside the PET volume: noisier "
                "and biased up"
            )
        elif number in organs:
            peak_note = "the sphere may reach into a neighbouring region; prefer the mean"
        peak_error = sd / math.sqrt(max(min(sphere_voxels, n), 1.0))
        for name, value, error, said, note in (
            ("mean", float(stats.mean[0]), mean_error, spread.format("their number"), ""),
            (
                "max",
                float(stats.maximum[0]),
                NAN,
                "none: a maximum is set by noise; see the confidence of the tier",
                "",
            ),
            (
                "peak",
                peak,
                peak_error if math.isfinite(peak) else NAN,
                spread.format(f"the number of voxels in the {diameter:g} mm sphere"),
                peak_note,
            ),
            ("sd", sd, NAN, "none: spread of the voxels", ""),
            (
                "median",
                float(stats.median[0]),
                mean_error * math.sqrt(math.pi / 2),
                spread.format("their number, times 1.25 for a median"),
                "",
            ),
        ):
            measured.append(Measurement(key, name, _SOURCE, value, error, said, n, _GRID, note))


def _peak(voxels: RegionVoxels, uptake: QuantityMap, number: int, diameter_mm: float) -> PeakResult:
    """Find the peak of one region, in its box and as far around it as the sphere reaches."""
    spacing = uptake.grid.spacing_mm
    k, j, i = (math.ceil(0.5 * diameter_mm / step) + 1 for step in spacing)
    part = widened_box(voxels.boxes[number], (k, j, i), uptake.grid.shape)
    return suv_peak(
        uptake.values[part],
        voxels.within(number, part).astype(np.int8),
        spacing,
        diameter_mm=diameter_mm,
        valid=uptake.valid[part],
    )


def _volumes(numbers: Numbers, voxels: RegionVoxels, suvbw: QuantityMap, config: Config) -> None:
    """Measure MTV and TLG of the lesions: as drawn, above a part of the maximum, above a SUVbw."""
    percent, fixed = config.uptake.mtv_percent, config.uptake.mtv_suvbw
    for lesion in voxels.lesions.lesions:
        if lesion.id not in numbers or lesion.id not in voxels.boxes:
            continue
        values = voxels.pick(suvbw.values, lesion.id)
        valid = voxels.pick(suvbw.valid, lesion.id)
        maximum = float(np.max(values, where=valid, initial=-np.inf))
        if not math.isfinite(maximum):
            continue
        rules = [("region", -math.inf, "all valid voxels of the region")]
        if maximum > 0:
            rules.append(
                (
                    "percent_of_max",
                    percent / 100.0 * maximum,
                    f"voxels of the region at or above {percent:g} % of its maximum",
                )
            )
        rules.append(("fixed", fixed, f"voxels of the region at or above SUVbw {fixed:g}"))
        for statistic, threshold, said in rules:
            found = metabolic_volume(
                values,
                voxel_volume_ml=suvbw.grid.voxel_volume_ml,
                threshold=threshold,
                valid=valid,
            )
            for key, value, note in (
                ("metabolic_volume", found.volume_ml, said),
                ("total_lesion_glycolysis", found.total, f"mean SUVbw times volume; {said}"),
            ):
                numbers[lesion.id].append(
                    Measurement(
                        key,
                        statistic,
                        _SOURCE,
                        value,
                        NAN,
                        "none: ruled by outline, threshold and blur, not by the noise of a mean",
                        found.n_voxels,
                        _GRID,
                        note,
                    )
                )


def _ratios(numbers: Numbers, kept: Kept, native: LesionSet, key: str, config: Config) -> None:
    for name, anatomy in _RATIOS:
        region = native.reference(anatomy)
        if region is None:
            _refuse_ratio(numbers, native, name, key, anatomy)
            continue
        below = find_number(numbers, kept, region.id, key, "mean", _SOURCE)
        refused, said = judge_denominator(
            numbers,
            kept,
            region,
            below,
            _SOURCE,
            config.measure,
            voxel_ml=native.grid.voxel_volume_ml,
        )
        for number, measured in numbers.items():
            if number == region.id:
                continue
            above = find_number(numbers, kept, number, key, "mean", _SOURCE)
            if above is not None:
                measured.append(_ratio(name, above, below, region, refused, said))


def _ratio(
    name: str,
    above: Measurement,
    below: Measurement | None,
    region: Region,
    refused: str,
    said: str,
) -> Measurement:
    """Divide two means; first-order propagation of both standard errors."""
    value, error = NAN, NAN
    note = f"mean of the region / mean of {region.name}"
    if below is not None and not refused:
        value = above.value / below.value
        error = math.hypot(above.uncertainty, value * below.uncertainty) / below.value
        note += f"; {said}" if said else ""
    else:
        note += f"; not computed: {refused}"
    return Measurement(
        name,
        "ratio",
        _SOURCE,
        value,
        error,
        "spread of the voxels of both regions in quadrature: a lower bound",
        above.n_voxels,
        _GRID,
        note,
    )


def _refuse_ratio(numbers: Numbers, native: LesionSet, name: str, key: str, anatomy: str) -> None:
    """Say of the lesions, once and in words, that there is no region to divide by."""
    for lesion in native.lesions:
        above = next(
            (m for m in numbers.get(lesion.id, ()) if (m.quantity, m.statistic) == (key, "mean")),
            None,
        )
        if above is not None:
            numbers[lesion.id].append(
                Measurement(
                    name,
                    "ratio",
                    _SOURCE,
                    NAN,
                    NAN,
                    "none: nothing was divided",
                    0,
                    _GRID,
                    f"not computed: there is no reference region of {anatomy}",
                )
            )
