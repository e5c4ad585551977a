"""One test for segmentation engines that take volumes; third parties can run it on their own.

In a test of your package::

    from eprimg.engines.segmenters.conformance import check_segmenter

    def test_conformance():
        check_segmenter(MySegmenter(config, segment_config))
"""

from __future__ import annotations

import numpy as np

from eprimg.engines.segmenters.contract import Prompts, Segmenter, SegmenterResult
from eprimg.errors import Cancelled, EprimgError
from eprimg.model.grid import Grid
from eprimg.model.lesions import RegionRole, RegionSource
from eprimg.model.maps import QuantityMap
from eprimg.quantities import quantity

__all__ = ["check_segmenter", "conformance_volume"]

_AFFINE = np.array(
    [
        [0.0, -0.7, 1.92, -20.0],
        [0.0, 2.4, 0.56, 12.5],
        [3.0, 0.0, 0.0, -7.25],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""Turned about z, with three different spacings: mixed-up axes show."""


def conformance_volume(*, key: str = "suvbw", failed: bool = False) -> QuantityMap:
    """Make a small volume with one bright ball.

    Parameters
    ----------
    key : str
        Quantity.
    failed : bool
        Mark the voxels of one corner of the ball as failed.

    Returns
    -------
    QuantityMap
        12 x 20 x 24 voxels; the ball has a radius of 9 mm around voxel (6, 9, 14) and the value 8
        in a background of 1.
    """
    grid = Grid((12, 20, 24), _AFFINE, "2.25.20240917")
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    places = grid.index_to_lps_mm(index)
    distance = np.linalg.norm(places - grid.index_to_lps_mm((6, 9, 14)), axis=-1)
    values = np.where(distance <= 9.0, 8.0, 1.0).astype(np.float32)
    values += (0.01 * np.cos(index.sum(axis=-1))).astype(np.float32)
    valid = np.ones(grid.shape, dtype=bool)
    if failed:
        valid[:7, :9, :14] = False
        values[~valid] = np.nan
    return QuantityMap(values, grid, quantity(key), valid, "conformance", ("pet",))


def check_segmenter(engine: Segmenter, *, n_volumes: int = 1) -> SegmenterResult:
    """Check that an engine keeps the contract, on small synthetic volumes.

    Parameters
    ----------
    engine : Segmenter
        Ready to run.
    n_volumes : int
        How many channels it takes.

    Returns
    -------
    SegmenterResult
        What it found on the plain volume, for further checks of your own.

    Raises
    ------
    AssertionError
        With the broken rule in words.
    """
    assert engine.name, "an engine has a name"
    assert engine.takes_volumes is True, "takes_volumes is True"
    volume = conformance_volume()
    before = np.array(volume.values)
    found = engine.segment([volume] * n_volumes)
    regions = found.regions
    assert np.array_equal(before, volume.values), "the volume that was handed in is not changed"
    regions.grid.require_match(volume.grid, what="the regions and the volume")
    ids = {r.id for r in regions.regions}
    present = {int(n) for n in np.unique(regions.labels) if n}
    assert present <= ids, f"labels without a record: {sorted(present - ids)}"
    assert ids <= present, f"records without a voxel: {sorted(ids - present)}"
    for region in regions.regions:
        assert region.source == RegionSource.CANDIDATE, f"{region.name} is a candidate"
    if not engine.finds_lesions:
        roles = {r.role for r in regions.regions}
        assert RegionRole.LESION not in roles, "an engine of organs finds no lesion"
    assert regions.origin, "the regions say which engine made them"
    again = engine.segment([volume] * n_volumes).regions
    assert np.array_equal(again.labels, regions.labels), "the same input gives the same labels"
    partly = engine.segment([conformance_volume(failed=True)] * n_volumes).regions
    failed = ~conformance_volume(failed=True).valid
    assert not np.any(np.asarray(partly.labels)[failed]), "no region holds a failed voxel"
    for refused in ([], [_constant()] * n_volumes):
        try:
            engine.segment(refused)
        except EprimgError:
            continue
        raise AssertionError("no volume, or a constant one, is refused with an EprimgError")
    try:
        engine.segment([volume] * n_volumes, Prompts(), should_stop=lambda: True)
    except Cancelled:
        return found
    raise AssertionError("should_stop ends the work with Cancelled")


def _constant() -> QuantityMap:
    volume = conformance_volume()
    values = np.ones(volume.grid.shape, dtype=np.float32)
    return QuantityMap(values, volume.grid, volume.quantity, volume.valid, "constant", ("pet",))
