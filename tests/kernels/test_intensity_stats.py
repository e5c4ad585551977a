"""IBSI 1 digital phantom with its published values; scipy.stats for other numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eprimg.errors import InputError
from eprimg.kernels.intensity_stats import intensity_statistics
from eprimg.kernels.labels import label_statistics

# Tag of the published table -> field.
PUBLISHED = {
    "stat_mean": "mean",
    "stat_var": "variance",
    "stat_skew": "skewness",
    "stat_kurt": "kurtosis",
    "stat_median": "median",
    "stat_min": "minimum",
    "stat_p10": "p10",
    "stat_p90": "p90",
    "stat_max": "maximum",
    "stat_iqr": "interquartile_range",
    "stat_range": "value_range",
    "stat_mad": "mean_absolute_deviation",
    "stat_rmad": "robust_mean_absolute_deviation",
    "stat_medad": "median_absolute_deviation",
    "stat_cov": "coefficient_of_variation",
    "stat_qcod": "quartile_coefficient_of_dispersion",
    "stat_energy": "energy",
    "stat_rms": "root_mean_square",
}


@pytest.fixture(scope="module")
def ibsi(real_data: Path):
    """Voxels of the region, and published values with their tolerance."""
    nibabel = pytest.importorskip("nibabel")
    folder = real_data / "pet" / "ibsi1_digital_phantom"
    if not folder.is_dir():
        pytest.skip(f"no IBSI phantom at {folder}")
    values = np.asarray(nibabel.load(folder / "phantom.nii.gz").dataobj, dtype=np.float64)
    labels = np.asarray(nibabel.load(folder / "mask.nii.gz").dataobj).astype(np.int32)
    truth = {}
    with (folder / "reference_values.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["reference"]:
                digits = len(row["reference"].partition(".")[2])
                # A published tolerance of 0 is exact to the digits that are printed.
                tolerance = max(float(row["tolerance"]), 0.5 * 10.0**-digits)
                truth[row["tag"]] = (float(row["reference"]), tolerance)
    return values, labels, truth


@pytest.mark.real_data
@pytest.mark.parametrize("tag", PUBLISHED)
def test_the_ibsi_phantom(ibsi, tag: str) -> None:
    values, labels, truth = ibsi
    found = intensity_statistics(values[labels > 0])
    expected, tolerance = truth[tag]
    assert getattr(found, PUBLISHED[tag]) == pytest.approx(expected, abs=tolerance * (1 + 1e-9))


@pytest.mark.real_data
def test_statistics_of_regions_agree_with_ibsi(ibsi) -> None:
    """The statistics that a run writes; its sd divides by n - 1, the variance of IBSI by n."""
    values, labels, truth = ibsi
    found = label_statistics(
        values, labels, voxel_volume_ml=0.008, quantiles=(0.1, 0.9, 0.25, 0.75)
    )
    n = int(found.n_valid[0])
    p10, p90, p25, p75 = found.quantiles[0]
    for value, tag in (
        (found.mean[0], "stat_mean"),
        (found.median[0], "stat_median"),
        (found.minimum[0], "stat_min"),
        (found.maximum[0], "stat_max"),
        (p10, "stat_p10"),
        (p90, "stat_p90"),
        (p75 - p25, "stat_iqr"),
        (found.sd[0] ** 2 * (n - 1) / n, "stat_var"),
        (1000.0 * found.volume_ml[0], "morph_vol_approx"),
    ):
        expected, tolerance = truth[tag]
        assert value == pytest.approx(expected, abs=tolerance * (1 + 1e-9)), tag


def test_against_scipy() -> None:
    x = np.random.default_rng(3).gamma(2.0, 1.5, 501)
    found = intensity_statistics(x)
    assert found.skewness == pytest.approx(stats.skew(x), rel=1e-12)
    assert found.kurtosis == pytest.approx(stats.kurtosis(x), rel=1e-12)
    assert found.variance == pytest.approx(stats.moment(x, 2), rel=1e-12)
    assert found.coefficient_of_variation == pytest.approx(stats.variation(x), rel=1e-12)
    assert found.interquartile_range == pytest.approx(stats.iqr(x), rel=1e-12)
    assert found.root_mean_square**2 == pytest.approx(found.variance + found.mean**2, rel=1e-12)
    assert found.energy == pytest.approx(501 * found.root_mean_square**2, rel=1e-12)


def test_failed_voxels_are_left_out() -> None:
    x = np.array([1.0, np.nan, 3.0, np.inf, 100.0], dtype=np.float32)
    found = intensity_statistics(x, valid=np.array([1, 1, 1, 1, 0], bool))
    assert (found.mean, found.n_voxels, found.mean_absolute_deviation) == (2.0, 2, 1.0)


def test_a_flat_region_has_no_shape_of_its_distribution() -> None:
    for level in (0.0, 0.1, 7.0):
        found = intensity_statistics(np.full(30, level))
        assert np.isnan(found.skewness)
        assert np.isnan(found.kurtosis)
        assert found.variance == pytest.approx(0.0, abs=1e-30)
    assert np.isnan(intensity_statistics(np.zeros(4)).coefficient_of_variation)
    assert np.isnan(intensity_statistics(np.zeros(4)).quartile_coefficient_of_dispersion)


def test_bad_arguments_are_refused() -> None:
    for call in (
        lambda: intensity_statistics(np.full(3, np.nan)),
        lambda: intensity_statistics(np.ones(3), valid=np.ones(2, bool)),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"
