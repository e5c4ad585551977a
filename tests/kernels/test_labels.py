from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.labels import LabelStatistics, label_statistics

TRUTH = json.loads((Path(__file__).parents[1] / "truth" / "labels.json").read_text())


@pytest.mark.parametrize("case", TRUTH["cases"])
def test_statistics_by_hand(case: dict[str, Any]) -> None:
    values = np.asarray(case["values"], dtype=np.float64)
    found = label_statistics(values, np.full(values.shape, 7), voxel_volume_ml=0.5)
    assert found.label.tolist() == [7]
    assert found.count.tolist() == found.n_valid.tolist() == [values.size]
    assert found.volume_ml.tolist() == [0.5 * values.size]
    for name in case.keys() - {"values"}:
        np.testing.assert_allclose(
            getattr(found, name)[0], case[name], atol=TRUTH["tolerance_absolute"], err_msg=name
        )


def brute_force(
    values: np.ndarray, labels: np.ndarray, valid: np.ndarray, q: list[float], tail: float
) -> dict[int, dict[str, Any]]:
    """One label after the other, with numpy's own functions."""
    result = {}
    for label in sorted({int(n) for n in labels.ravel() if n > 0}):
        x = values[(labels == label) & valid & np.isfinite(values)].astype(np.float64)
        row: dict[str, Any] = {"count": int((labels == label).sum()), "n_valid": x.size}
        if x.size:
            threshold = np.quantile(x, tail)
            high = x[x > threshold] if (x > threshold).any() else x[x >= threshold]
            row |= {
                "mean": x.mean(),
                "sd": x.std(ddof=1) if x.size > 1 else np.nan,
                "median": np.median(x),
                "quantiles": np.quantile(x, q),
                "minimum": x.min(),
                "maximum": x.max(),
                "tail_threshold": threshold,
                "tail_mean": high.mean(),
                "tail_count": high.size,
            }
        result[label] = row
    return result


def compare(found: LabelStatistics, expected: dict[int, dict[str, Any]]) -> None:
    assert found.label.tolist() == list(expected)
    for n, row in enumerate(expected.values()):
        for name, value in row.items():
            np.testing.assert_allclose(
                getattr(found, name)[n], value, rtol=1e-9, atol=1e-9, err_msg=name
            )
        if row["n_valid"] == 0:
            for name in ("mean", "sd", "median", "minimum", "maximum", "tail_mean"):
                assert np.isnan(getattr(found, name)[n])
            assert np.isnan(found.tail_threshold[n])
            assert np.isnan(found.quantiles[n]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_one_label_after_the_other(dtype: type) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(100.0, 30.0, (12, 20, 17)).astype(dtype)
    values[rng.random(values.shape) < 0.05] = np.nan
    labels = rng.choice([-2, 0, 1, 4, 5, 900], size=values.shape).astype(np.int16)
    valid = rng.random(values.shape) < 0.8
    valid[labels == 5] = False
    found = label_statistics(values, labels, voxel_volume_ml=0.01, valid=valid)
    compare(found, brute_force(values, labels, valid, [0.05, 0.25, 0.75, 0.95], 0.9))
    assert found.quantiles.shape == (4, 4)
    np.testing.assert_allclose(found.volume_ml, 0.01 * found.count)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, (3, 4, 5), elements=st.integers(-4, 4).map(float) | st.just(np.nan)),
    arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 4)),
    st.floats(0.0, 1.0),
)
def test_many_ties_and_small_labels(values: np.ndarray, labels: np.ndarray, tail: float) -> None:
    found = label_statistics(values, labels, voxel_volume_ml=1.0, quantiles=(0.3,), tail=tail)
    for n, count in enumerate(found.n_valid):
        if count:
            assert found.minimum[n] <= found.median[n] <= found.maximum[n]
            assert found.tail_mean[n] >= found.tail_threshold[n] - 1e-12
    everywhere = np.ones(values.shape, dtype=bool)
    expected = brute_force(values, labels, everywhere, [0.3], tail)
    for row in expected.values():
        # Where the threshold falls on a tie, rounding of the quantile decides what is above it.
        row.pop("tail_mean", None)
        row.pop("tail_count", None)
    compare(found, expected)


def test_tail_mean_of_normal_noise() -> None:
    # Mean above the 90th percentile of a normal distribution: phi(1.2816) / 0.1 = 1.7550.
    values = np.random.default_rng(5).normal(50.0, 4.0, 200_000)
    found = label_statistics(values, np.ones(values.shape, dtype=int), voxel_volume_ml=1.0)
    assert found.tail_mean[0] == pytest.approx(50.0 + 1.7550 * 4.0, abs=0.1)


def test_no_label_gives_empty_columns() -> None:
    found = label_statistics(np.ones((2, 2)), np.zeros((2, 2), int), voxel_volume_ml=1.0)
    assert found.label.size == found.mean.size == 0
    assert found.quantiles.shape == (0, 4)


def test_not_contiguous_input() -> None:
    values = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    labels = np.ones((4, 2, 3), dtype=int)
    labels[0] = 2
    found = label_statistics(values, labels, voxel_volume_ml=1.0)
    np.testing.assert_allclose(found.mean, [values[1:].mean(), values[0].mean()])


def test_bad_arguments_are_refused() -> None:
    values, labels = np.ones((2, 2)), np.ones((2, 2), dtype=int)
    with pytest.raises(GeometryError):
        label_statistics(values, labels[:1], voxel_volume_ml=1.0)
    with pytest.raises(GeometryError):
        label_statistics(values, labels, voxel_volume_ml=1.0, valid=np.ones(2, dtype=bool))
    with pytest.raises(InputError, match="integers"):
        label_statistics(values, values, voxel_volume_ml=1.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="volume"):
        label_statistics(values, labels, voxel_volume_ml=0.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        label_statistics(values, labels, voxel_volume_ml=1.0, tail=90.0)
