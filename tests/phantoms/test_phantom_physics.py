"""The physics of the phantoms against closed formulas."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from eprimg_phantoms import load_scene
from eprimg_phantoms.dicom_pet import frame_mean_seconds
from eprimg_phantoms.expected import (
    least_squares_r2star,
    mean_of_tail,
    r2star_standard_error,
    tail_truth,
)
from eprimg_phantoms.geometry import SampleGrid, Shape, apply
from eprimg_phantoms.mri import acquire, echo_decay, mr_grid, rician
from eprimg_phantoms.painting import paint_slice
from eprimg_phantoms.pet import add_noise, blur, decay_factor

TE_S = np.round(np.linspace(1.2, 14.0, 8), 3) / 1000.0


def test_clean_signal_of_a_deep_voxel_is_the_formula() -> None:
    scene = load_scene("abdomen")
    grid = mr_grid(scene, "small")
    deep = apply(scene.sessions["post"].motion.matrix, [-90.0, -35.0, 8.0])
    k, j, i = np.rint(apply(np.linalg.inv(grid.affine), deep)).astype(int)
    shift = np.eye(4)
    shift[0, 3] = k
    one = SampleGrid((1, *grid.shape[1:]), grid.affine @ shift)
    got = next(acquire(scene, one, "post", np.random.default_rng(0)))
    liver = scene.tissues["liver"]
    number = int(got.painted.labels[j, i])
    assert scene.objects[number - 1].tissue is liver
    expected = got.gain[j, i] * liver.s0 * liver.s0_post_factor * np.exp(-TE_S * 321.0)
    np.testing.assert_allclose(got.clean[j, i], expected, rtol=1e-5)


def test_noise_free_acquisition_fits_back() -> None:
    signal = echo_decay([900.0, 500.0], [45.0, 524.0], TE_S)
    np.testing.assert_allclose(least_squares_r2star(signal, TE_S), [45.0, 524.0], rtol=1e-6)


@pytest.mark.parametrize("level", [0.0, 3.0, 50.0])
def test_rician_moments(level: float) -> None:
    sigma = 2.0
    noisy = rician(np.full(200_000, level, dtype=np.float32), sigma, np.random.default_rng(3))
    # E[M^2] = A^2 + 2 sigma^2 for every A; Rayleigh mean at A = 0.
    assert np.mean(noisy.astype(float) ** 2) == pytest.approx(level**2 + 2 * sigma**2, rel=0.01)
    if level == 0.0:
        assert noisy.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.01)
    if level == 50.0:
        assert noisy.std() == pytest.approx(sigma, rel=0.01)


def test_standard_error_matches_repeated_fits() -> None:
    rng = np.random.default_rng(5)
    clean = np.tile(echo_decay([600.0], [150.0], TE_S), (4000, 1)).astype(np.float32)
    fitted = least_squares_r2star(rician(clean, 6.0, rng), TE_S)
    bound = r2star_standard_error([600.0], [150.0], 6.0, TE_S)[0]
    assert fitted.std() == pytest.approx(bound, rel=0.06)


def test_tail_of_a_uniform_lesion_is_the_tail_of_a_normal_distribution() -> None:
    # Mean of a normal variable above its 90th percentile: mu + 1.755 sd.
    lesion = np.tile(echo_decay([600.0], [150.0], TE_S), (5000, 1)).astype(np.float32)
    spleen = np.tile(echo_decay([800.0], [300.0], TE_S), (3000, 1)).astype(np.float32)
    got = tail_truth({"a": lesion}, spleen, TE_S, 6.0, np.random.default_rng(1), studies=4)["a"]
    se = r2star_standard_error([600.0], [150.0], 6.0, TE_S)[0]
    assert got.noise_free == pytest.approx(0.5, rel=1e-4)
    assert got.with_noise == pytest.approx((150.0 + 1.755 * se) / 300.0, rel=0.01)
    assert got.n_voxels == 5000


def test_mean_of_tail() -> None:
    assert mean_of_tail(np.arange(100.0)) == pytest.approx(94.5)
    assert mean_of_tail([4.0, 4.0]) == 4.0


def test_edges_mix_by_volume() -> None:
    # A sphere of 10 mm on 2 mm voxels: the painted volume has to be that of the sphere.
    grid = SampleGrid.centred((9, 9, 9), (2.0, 2.0, 2.0), [0.3, -0.2, 0.4], [5.0, 3.0, 0.0])
    shapes = [Shape.sphere([0, 0, 0], 5.0)]
    table = np.array([0.0, 1.0], dtype=np.float32)
    slices = [paint_slice(shapes, grid, k, np.eye(4), subvoxels=5) for k in range(9)]
    volume = sum(float(s.mean(table).sum()) for s in slices) * 8.0
    assert volume == pytest.approx(4 / 3 * np.pi * 125, rel=0.01)
    shares = np.concatenate([s.shares for s in slices])
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)


def test_painting_equals_brute_force() -> None:
    scene = load_scene("abdomen")
    grid = SampleGrid.centred((3, 40, 44), (7.0, 8.0, 8.0), [0, 0, 10], [7.0, -5.0, 3.0])
    shapes = [o.shape for o in scene.objects]
    to_base = scene.sessions["pet"].motion.inverse
    steps = (np.arange(3) + 0.5) / 3 - 0.5
    j, i = np.meshgrid(np.arange(40), np.arange(44), indexing="ij")
    for k in range(3):
        painted = paint_slice(shapes, grid, k, to_base)
        table = np.random.default_rng(k).random(len(shapes) + 1).astype(np.float32)
        brute = np.zeros((40, 44))
        for a in steps:
            for b in steps:
                for c in steps:
                    index = np.stack([np.full(j.shape, k + a), j + b, i + c], axis=-1)
                    points = apply(to_base @ grid.affine, index)
                    label = np.zeros(j.shape, dtype=int)
                    for n, shape in enumerate(shapes, start=1):
                        label[shape.contains(points)] = n
                    brute += table[label] / 27
        # Single precision may move a sub-voxel that lies on a surface.
        assert np.mean(np.abs(painted.mean(table) - brute) > 1e-4) < 0.002


def test_decay_of_zirconium() -> None:
    # exp(-ln 2 * 72 / 78.41), written out independently.
    assert decay_factor(72 * 3600, 282276.0) == pytest.approx(0.529150, abs=1e-6)


def test_mean_of_a_frame_lies_just_before_its_middle() -> None:
    assert frame_mean_seconds(300.0, 282276.0) == pytest.approx(150.0, abs=0.02)
    # Long frame against a numeric mean of the decaying activity.
    t = np.linspace(0.0, 7200.0, 200_001)
    mean = np.mean(2.0 ** (-t / 6586.2))
    assert 2.0 ** (-frame_mean_seconds(7200.0, 6586.2) / 6586.2) == pytest.approx(mean, rel=1e-5)


def test_point_spread_keeps_activity_and_width() -> None:
    data = np.zeros((41, 41, 41), dtype=np.float32)
    data[20, 20, 20] = 1.0
    out = blur(data, [2.0, 2.0, 2.0], 6.0)
    assert out.sum() == pytest.approx(1.0, rel=1e-3)
    x = (np.arange(41) - 20) * 2.0
    profile = out.sum(axis=(0, 1))
    assert np.sqrt((profile * x**2).sum() / profile.sum()) * 2.3548 == pytest.approx(6.0, rel=0.02)


def test_pet_noise_level_and_growth() -> None:
    rng = np.random.default_rng(2)
    clean = np.full((40, 40, 40), 1000.0, dtype=np.float32)
    clean[20:] = 4000.0
    noisy = add_noise(clean, [2.0] * 3, fwhm_mm=5.5, relative_sd=0.06, reference=1000.0, rng=rng)
    assert noisy[:20].std() == pytest.approx(60.0, rel=0.1)
    assert noisy[20:].std() == pytest.approx(120.0, rel=0.1)


def test_lesions_lie_far_from_edges_but_one() -> None:
    scene = load_scene("abdomen")
    values = {"pid_per_kg_peak": "pid_per_kg", "dr2star_median": "dr2star"}
    scored = [x for x in scene.lesions if x.diameter_mm >= 17]
    assert all(x.scored for x in scored)
    assert [x.name for x in scored if x.edge] == ["lesion-3"]
    for lesion in scored:
        for key, rule in scene.tiers.items():
            factor = rule.distance_factor(getattr(lesion.tissue, values[key]))
            assert factor <= 1.05 if lesion.edge == key else factor >= 1.75
    for key, rule in scene.tiers.items():
        found = {rule.tier(getattr(x.tissue, values[key])) for x in scored if x.edge != key}
        assert found == {"low", "moderate", "high"}


def test_tissue_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_scene("abdomen").tissues["liver"].s0 = 1.0  # type: ignore[misc]
