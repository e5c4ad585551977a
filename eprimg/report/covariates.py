"""The table of covariates: external maps per region, apart from our own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eprimg.model.case import Case
from eprimg.model.lesions import Region
from eprimg.quantities import QUANTITIES
from eprimg.report.numbers import NOTHING, format_value

__all__ = ["CovariateRow", "covariate_rows"]

_Q = "vessel_size_q"


@dataclass(frozen=True, slots=True)
class CovariateRow:
    """One external map in one region.

    Parameters
    ----------
    region : str
        Name of the region.
    quantity, source, unit : str
        What was measured, on which map, in which unit.
    mean, median, sd : str
        Values as text; an en dash where there is none.
    voxels : int
        Number of voxels of the map that they rest on.
    note : str
        What is missing, in words.
    """

    region: str
    quantity: str
    source: str
    unit: str
    mean: str
    median: str
    sd: str
    voxels: int
    note: str


def covariate_rows(case: Case) -> tuple[CovariateRow, ...]:
    """List the covariates of all regions, lesions first.

    Parameters
    ----------
    case : Case
        A measured case.

    Returns
    -------
    tuple of CovariateRow
        Empty without an external map.
    """
    if case.lesions is None or not case.study.external_maps:
        return ()
    regions = (*case.lesions.lesions, *case.lesions.references)
    rows: list[CovariateRow] = []
    for external in case.study.external_maps:
        rows += _rows(regions, external.map.quantity.key, external.key)
    return (*rows, *_rows(regions, _Q, ""))


def _rows(regions: Sequence[Region], key: str, source: str) -> list[CovariateRow]:
    known = QUANTITIES[key]
    rows = []
    for region in regions:
        own = [m for m in region.measurements if m.quantity == key and source in ("", m.source)]
        if not own:
            continue
        by = {("mean" if m.statistic == "ratio" else m.statistic): m for m in own}
        mean, median, sd = (
            format_value(by[s].value, by[s].uncertainty) if s in by else NOTHING
            for s in ("mean", "median", "sd")
        )
        first = own[0]
        rows.append(
            CovariateRow(
                region=region.name,
                quantity=known.name,
                source=first.source,
                unit=known.unit.text,
                mean=mean,
                median=median,
                sd=sd,
                voxels=first.n_voxels,
                note="; ".join(first.note.split("; ")[1:]),
            )
        )
    return rows
