"""Covariates stand in a table of their own, with what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg.config import Config
from eprimg.model.lesions import Measurement
from eprimg.model.maps import ExternalMap, QuantityMap
from eprimg.quantities import quantity
from eprimg.report.covariates import covariate_rows
from eprimg.report.html import render_report
from tests.tiny_case import case, grid

NAN = float("nan")


def test_rows_per_map_and_region() -> None:
    plain = case()
    assert covariate_rows(plain) == ()
    assert plain.lesions is not None
    place = grid()
    values = np.ones(place.shape, np.float32)
    map_ = QuantityMap(values, place, quantity("ktrans"), values > 0, "", sources=("mr_pre",))
    rows = [
        Measurement("ktrans", name, "map_ktrans", value, NAN, "", 7, "", "covariate; 1 of 8 gone")
        for name, value in (("mean", 0.25), ("median", 0.2), ("sd", NAN))
    ]
    first = plain.lesions.lesions[0]
    grown = replace(first, measurements=(*first.measurements, *rows))
    regions = tuple(grown if r.id == first.id else r for r in plain.lesions.regions)
    study = replace(plain.study, external_maps=(ExternalMap("map_ktrans", "mr_pre", map_),))
    grown_case = replace(plain, study=study, lesions=plain.lesions.with_regions(regions))
    (row,) = covariate_rows(grown_case)
    assert (row.region, row.quantity, row.unit, row.voxels) == (first.name, "Ktrans", "1/min", 7)
    assert (row.mean, row.median, row.sd) == ("0.250", "0.200", "–")
    assert row.note == "1 of 8 gone"
    page = render_report(grown_case, Config())
    assert "Covariates (maps made elsewhere, not tiered)" in page
    assert '<td class="num">0.250</td>' in page
