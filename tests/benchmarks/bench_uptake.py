"""From a loaded PET series to SUV: the factor, the map and the whole family of maps.

    python -m tests.benchmarks.bench_uptake

Every row is made in this process on the same noisy series of 300 x 200 x 200 float32 voxels, in
processor time of one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from eprimg.model.acquisition import Injection, Known, Origin, PETAcquisition
from eprimg.model.grid import Grid
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from eprimg.stages._pet_maps import scaled_map
from eprimg.stages.quantify_pet import pet_maps, pet_scale
from eprimg.stages.uptake_scales import uptake_scales

SHAPE = (300, 200, 200)
GOAL_RATIO = 1.5
REPEATS = 40
INJECTED = datetime(2026, 3, 1, 9, 0)


def loaded() -> Series:
    """A decay-corrected 89Zr series in memory."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]]
    values = np.random.default_rng(1).gamma(2.0, 800.0, SHAPE).astype(np.float32)

    def known(value: object) -> Known:
        return Known(value, Origin.HEADER)

    acquisition = PETAcquisition(
        injection=Injection(known(INJECTED), known(74e6), known("89Zr"), known(282276.0)),
        weight_kg=known(72.0),
        height_m=known(1.75),
        sex=known("M"),
        unit="BQML",
        decay_correction="START",
        reference_instant=INJECTED + timedelta(hours=72),
        reference_rule="SeriesTime",
    )
    volume = Volume(values, Grid(SHAPE, affine, "bench"), quantity("activity"))
    return Series("pet", Role.PET, volume, acquisition)


def suvbw_map(series: Series) -> QuantityMap:
    """Facts to factor, factor to map: what `pet_maps` does for one of its maps."""
    values = series.pixels.data
    scale, faults = pet_scale(series.acquisition, values.shape[0])
    assert scale is not None, faults
    scales = uptake_scales(series.acquisition, scale.dose_bq)
    return scaled_map(series, values, "suvbw", scales, scale.rule, scale.facts)


def interleaved(calls: dict[str, Callable[[], object]]) -> dict[str, np.ndarray]:
    """Processor seconds of each call, in turn: what memory the machine gives hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(REPEATS + 1):
        # Back and forth: who follows whom matters, because memory that was just freed is fast.
        for name, call in list(calls.items())[:: 1 if turn % 2 else -1]:
            start = time.process_time()
            result = call()
            seconds = time.process_time() - start
            del result
            if turn:  # the first one warms up
                found[name].append(seconds)
    return {name: np.asarray(seconds) for name, seconds in found.items()}


def main() -> dict[str, dict[str, object]]:
    """Print the table; return the rows by name."""
    series = loaded()
    values = series.pixels.data
    factor = np.float32(3.2e-4)
    base_name = "one multiply of the array"
    calls: dict[str, Callable[[], object]] = {
        base_name: lambda: np.multiply(values, factor),
        "SUV factor and SUVbw map": lambda: suvbw_map(series),
        "all maps (activity, SUVbw, %ID/kg, SUL) with the mass balance": lambda: pet_maps(series),
    }
    rows: dict[str, dict[str, object]] = {}
    for name, call in list(calls.items())[1:]:
        pair = interleaved({base_name: calls[base_name], name: call})
        # Ratio of neighbours, then the median: both saw the same machine.
        ratio = float(np.median(pair[name] / pair[base_name]))
        base_s, own_s = (float(np.median(pair[n])) for n in (base_name, name))
        rows.setdefault(
            base_name, {"seconds": base_s, "ratio": 1.0, "text": f"{1e3 * base_s:.1f} ms"}
        )
        goal = f"; goal <= {GOAL_RATIO:g}" if "factor" in name else ""
        text = f"{1e3 * own_s:.1f} ms = {ratio:.2f} multiplies{goal}"
        rows[name] = {"seconds": own_s, "ratio": ratio, "text": text}
    print("| PET uptake, 300 x 200 x 200 float32 | result |")
    print("|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['text']} |")
    return rows


if __name__ == "__main__":
    main()
