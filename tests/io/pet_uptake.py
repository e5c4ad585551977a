"""The numbers that the facts of a PET series lead to, by the stage that makes the maps."""

from __future__ import annotations

from typing import NamedTuple

from eprimg.model.acquisition import PETAcquisition
from eprimg.stages.quantify_pet import pet_scale


class Uptake(NamedTuple):
    dose_at_reference_bq: float
    suvbw_factor: float
    slice_factors: tuple[float, ...]


def uptake(acquisition: PETAcquisition, n_slices: int = 6) -> Uptake:
    """The facts are complete: the stage finds no fault."""
    scale, faults = pet_scale(acquisition, n_slices)
    assert scale is not None, faults
    weight_g = 1000.0 * acquisition.weight_kg.value
    return Uptake(scale.dose_bq, weight_g / scale.dose_bq, scale.slice_factor)
