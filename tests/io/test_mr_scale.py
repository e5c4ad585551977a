"""One scale for all echoes, or a refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.io.instance import Instance
from eprimg.io.mr_scale import floating_value_rescale, one_scale
from eprimg.io.stack import StackGeometry
from eprimg.model.grid import Grid


def train(*slopes, intercept=0.0, scale_slopes=None, maker="Philips Healthcare"):
    scale_slopes = scale_slopes or [None] * len(slopes)
    frames = tuple(
        Instance(
            Path(f"{n}.dcm"), slope=s, intercept=intercept, philips_scale_slope=ss,
            manufacturer=maker,
        )
        for n, (s, ss) in enumerate(zip(slopes, scale_slopes, strict=True))
    )  # fmt: skip
    return StackGeometry(Grid((len(slopes), 1, 1), np.eye(4), "f"), frames)


def rescales(trains):
    return [(f.slope, f.intercept) for t in trains for f in t.instances]


def test_floating_values():
    # Chenevert 2014: FP = (RS SV + RI) / (RS SS); RS 2, RI -10, SS 0.5, SV 7: 4 / 1 = 4
    (frame,) = train(2.0, intercept=-10.0, scale_slopes=[0.5]).instances
    slope, intercept = floating_value_rescale(frame)
    assert slope * 7 + intercept == 4.0


def test_one_scale_is_left_alone():
    trains = [train(2.0, 2.0, scale_slopes=[0.5, 0.5])]
    assert one_scale(trains, "mr-1") == (trains, [])


def test_floating_values_where_anything_varies():
    made, (finding,) = one_scale(
        [train(2.0, scale_slopes=[0.5]), train(2.0, scale_slopes=[0.25])], "mr-1"
    )
    assert rescales(made) == [(2.0, 0.0), (4.0, 0.0)]
    assert finding.code == "W_SCALE_VARIES"


def test_philips_without_scale_slope_is_refused_where_the_rescale_varies():
    with pytest.raises(InputError) as caught:
        one_scale([train(2.0), train(4.0)], "mr-1")
    assert caught.value.code == "E_SCALE"
    assert "was removed" in str(caught.value)


def test_other_scanners_keep_the_rescale_of_each_slice():
    trains = [train(2.0, maker="SIEMENS"), train(4.0, maker="SIEMENS")]
    made, (finding,) = one_scale(trains, "mr-1")
    assert rescales(made) == [(2.0, 0.0), (4.0, 0.0)]
    assert finding.code == "W_SCALE_VARIES"


def test_scale_slope_on_some_frames_only():
    with pytest.raises(InputError, match="only some frames"):
        one_scale([train(2.0, 2.0, scale_slopes=[0.5, None])], "mr-1")
