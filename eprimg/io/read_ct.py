"""The CT of a PET/CT: used to align the PET, never measured."""

from __future__ import annotations

from eprimg.config import ReadConfig
from eprimg.io.index import SeriesEntry
from eprimg.io.stack import stack_instances
from eprimg.model.case import StageResult
from eprimg.model.study import Role, Series
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

__all__ = ["read_ct_series"]


def read_ct_series(
    entry: SeriesEntry, *, key: str = "ct", config: ReadConfig
) -> StageResult[Series]:
    """Read a CT series in Hounsfield units.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.
    key : str
        Key of the series in the study.
    config : ReadConfig
        Settings.

    Returns
    -------
    StageResult of Series
        Voxels of shape (k, j, i).

    Raises
    ------
    EprimgError
        With a geometry or pixel code when the slices do not form one volume.
    """
    stacked = stack_instances(
        entry.instances, position_tolerance_mm=config.position_tolerance_mm, what="CT series"
    )
    series = Series(
        key=key,
        role=Role.CT,
        pixels=Volume(stacked.pixels, stacked.grid, quantity("hounsfield")),
        acquisition=None,
        description=entry.description,
        source_uid=next(iter(entry.series_uids), ""),
        source_hash=stacked.sha256,
        study_uid=entry.study_uid,
        n_files=entry.n_files,
    )
    return StageResult(series)
