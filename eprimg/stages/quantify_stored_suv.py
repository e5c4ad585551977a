"""Maps of a PET series that the scanner has normalised already: SUVbw as it is, %ID/kg from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.kernels.uptake import percent_id_per_kg_from_suvbw
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.case import Finding, Severity
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Series
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

__all__ = ["stored_suv_maps"]


def stored_suv_maps(
    series: Series, acquisition: PETAcquisition, volume: Volume
) -> tuple[dict[str, QuantityMap], list[Finding]]:
    """Make the maps that stored SUVbw allows.

    Parameters
    ----------
    series : Series
        PET series whose voxels are SUVbw.
    acquisition : PETAcquisition
        Its facts.
    volume : Volume
        SUVbw in g/mL.

    Returns
    -------
    maps : dict of str to QuantityMap
        ``suvbw`` always; ``pid_per_kg`` (``100 SUVbw / weight_kg``) when the weight is known.
    findings : list of Finding
        ``I_PET_SUV_ONLY``: what cannot be made, and why.

    Notes
    -----
    %ID/kg does not depend on dose or clock here: ``SUVbw = A W / D``, so ``A / D = SUVbw / W``.
    ``W`` has to be the weight that the scanner used, which is that of the header.  An activity map
    would need the dose and the instant that the scanner used; the values no longer show them.
    """
    values = volume.data
    if values.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        values = values.astype(np.float64)
    weight = acquisition.weight_kg.value
    facts = {
        "unit_stored": acquisition.unit,
        "voxel_rule": acquisition.voxel_rule,
        "mode": acquisition.mode,
        "header_warnings": list(acquisition.warnings),
        "decay_correction": acquisition.decay_correction,
        "reference_rule": acquisition.reference_rule,
        "weight_kg": weight,
        "weight_origin": str(acquisition.weight_kg.origin),
        "nuclide": acquisition.injection.nuclide.value,
        "hours_after_injection": acquisition.hours_after_injection,
        "corrections": list(acquisition.corrections),
    }
    said = f"{acquisition.voxel_rule}. No dose and no clock was applied."
    maps = {"suvbw": _map(series, values, "suvbw", said, facts)}
    absent = "An activity map (Bq/mL) is not made"
    if weight is not None and np.isfinite(weight) and weight > 0:
        share = percent_id_per_kg_from_suvbw(values, weight_kg=weight)
        kilograms = series.grid.voxel_volume_ml / 1000.0
        seen = float(np.nansum(share, dtype=np.float64)) * kilograms
        maps["pid_per_kg"] = _map(
            series,
            share,
            "pid_per_kg",
            f"%ID/kg = 100 x SUVbw / weight, weight {weight:g} kg, 1 mL taken as 1 g. {said}",
            {**facts, "percent_id_in_field_of_view": seen},
        )
    else:
        absent += ", and no %ID/kg, because the weight is not known"
    finding = Finding(
        "I_PET_SUV_ONLY",
        Severity.INFO,
        series.key,
        f"The series holds SUV already ({acquisition.voxel_rule}). {absent}.",
    )
    return maps, [finding]


def _map(
    series: Series, values: npt.NDArray[Any], key: str, method: str, facts: dict[str, Any]
) -> QuantityMap:
    return QuantityMap(
        values=values,
        grid=series.grid,
        quantity=quantity(key),
        valid=np.isfinite(values),
        method=method,
        sources=(series.key,),
        facts=facts,
    )
