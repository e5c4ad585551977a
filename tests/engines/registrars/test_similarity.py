"""Similarity figures against values that follow from their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.engines.registrars.rigid_settings import IntensitySettings
from eprimg.engines.registrars.similarity import (
    SimilarityCheck,
    body_points_mm,
    centroid_mm,
    moved_rms_mm,
    overlap_fraction,
    rotation_deg,
)
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

RULES = IntensitySettings(0.0, 1.0, True, -1000.0, 1000.0)
KJI = np.eye(4)[[2, 1, 0, 3]]


def grid(shape=(20, 24, 28), spacing=4.0, origin=(0.0, 0.0, 0.0)) -> Grid:
    affine = KJI @ np.diag((spacing, spacing, spacing, 1.0))
    affine[:3, 3] = origin
    return Grid(shape, affine, "1.2.3")


def shift(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = (x, y, z)
    return matrix


def pattern(seed: int = 0, shape=(20, 24, 28)) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal(shape)
    return gaussian_filter(noise, 2.0).astype(np.float32)


def check(first: np.ndarray, second: np.ndarray) -> SimilarityCheck:
    return SimilarityCheck(
        Volume(first, grid(first.shape), quantity("signal")),
        Volume(second, grid(second.shape), quantity("signal")),
        RULES,
        grid_mm=4.0,
    )


def test_a_volume_tells_everything_about_itself() -> None:
    found = check(pattern(), pattern()).at(np.eye(4))
    # NMI = (H + H) / H = 2 and a correlation of 1, by definition.
    assert found.nmi == pytest.approx(2.0, abs=1e-9)
    assert found.local_ncc2 == pytest.approx(1.0, abs=1e-6)
    assert found.overlap_fraction == 1.0


def test_mutual_information_does_not_mind_inverted_contrast() -> None:
    found = check(pattern(), -pattern()).at(np.eye(4))
    # Not 2: the edges of the bins do not mirror, so neighbouring bins share voxels.
    assert found.nmi > 1.5
    assert found.local_ncc2 == pytest.approx(1.0, abs=1e-6)


def test_unrelated_volumes_score_low() -> None:
    big = (48, 48, 48)
    found = check(pattern(1, big), pattern(2, big)).at(np.eye(4))
    assert found.nmi < 1.05
    assert found.local_ncc2 < 0.25


def test_the_right_shift_scores_best() -> None:
    whole = pattern(3, (26, 24, 28))
    both = check(whole[:20], whole[3:23])
    # Voxel k of the first is voxel k - 3 of the second: -12 mm along z (k runs along z here).
    right = both.at(shift(0, 0, -12.0))
    for wrong in (np.eye(4), shift(0, 0, 12.0), shift(8.0, 0, -12.0)):
        assert both.at(wrong).nmi < right.nmi
        assert both.at(wrong).local_ncc2 < right.local_ncc2
    assert right.local_ncc2 > 0.99


def test_no_overlap_gives_no_number() -> None:
    found = check(pattern(), pattern()).at(shift(500.0, 0, 0))
    assert np.isnan(found.nmi)
    assert np.isnan(found.local_ncc2)
    assert found.overlap_fraction == 0.0


def test_overlap_counts_the_smaller_field_of_view() -> None:
    small, large = grid((10, 10, 10), 4.0, (18.0, 18.0, 18.0)), grid((20, 20, 20), 4.0)
    assert overlap_fraction(small, large, np.eye(4)) == 1.0
    assert overlap_fraction(large, small, np.eye(4)) == 1.0
    # 40 mm wide, pushed so that half of it sticks out.
    assert overlap_fraction(small, large, shift(42.0, 0, 0)) == pytest.approx(0.5, abs=0.03)
    assert overlap_fraction(large, small, shift(-42.0, 0, 0)) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 3.0, 90.0, 179.9])
def test_rotation_angle(angle: float) -> None:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    matrix = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    assert rotation_deg(matrix) == pytest.approx(angle, rel=1e-6, abs=1e-12)


def test_distance_moved_by_a_shift_and_by_a_turn() -> None:
    points = np.array([[10.0, 0, 0], [-10.0, 0, 0]])
    assert moved_rms_mm(points, np.eye(4), shift(3.0, 4.0, 0)) == pytest.approx(5.0)
    half_turn = np.diag((-1.0, -1.0, 1.0, 1.0))
    assert moved_rms_mm(points, np.eye(4), half_turn) == pytest.approx(20.0)


def test_body_points_lie_in_the_bright_part() -> None:
    values = np.zeros((20, 24, 28), np.float32)
    values[:, :, 14:] = 1.0
    points = body_points_mm(values, grid())
    assert len(points) > 20
    assert (points[:, 0] >= 14 * 4.0).all()
    lone = body_points_mm(np.ones((4, 4, 4), np.float32), grid((4, 4, 4)))
    np.testing.assert_allclose(lone, [[6.0, 6.0, 6.0]])


def test_centre_of_mass_of_two_weights() -> None:
    values = np.zeros((20, 24, 28), np.float32)
    values[2, 4, 6], values[6, 4, 10] = 1.0, 3.0
    # (k, j, i) = (5, 4, 9) at 4 mm along (z, y, x).
    np.testing.assert_allclose(centroid_mm(values, grid()), [36.0, 16.0, 20.0])


def test_a_displacement_counts_as_the_shift_that_it_is() -> None:
    data = pattern(3)
    where = grid()
    vectors = np.broadcast_to(np.float32([4.0, -8.0, 12.0]), (*where.shape, 3))
    bend = Displacement(vectors, where)
    moved = check(data, np.roll(data, (3, -2, 1), (0, 1, 2)))
    shifted, bent = moved.at(shift(4.0, -8.0, 12.0)), moved.at(np.eye(4), displacement=bend)
    # The same points of the same volume: all figures but the overlap, which is told without it.
    assert bent.nmi == pytest.approx(shifted.nmi, rel=1e-6)
    assert bent.local_ncc2 == pytest.approx(shifted.local_ncc2, rel=1e-6)
    assert bent.nmi > moved.at(np.eye(4)).nmi
    # The displacement comes first, then the matrix: half of each makes the whole.
    half = Displacement(vectors / 2, where)
    both = moved.at(shift(2.0, -4.0, 6.0), displacement=half)
    assert both.nmi == pytest.approx(shifted.nmi, rel=1e-6)


def test_sides_that_cut_through_tissue_are_told_from_the_ends_of_the_body() -> None:
    # A column along the body (axis 0, from end to end) in the middle, or up against one side.
    _, y, x = np.indices((20, 24, 28))
    inside = (abs(y - 11.5) < 6) & (abs(x - 13.5) < 6)
    against = (abs(y - 11.5) < 6) & (x < 12)
    noise = np.random.default_rng(0).uniform(0.0, 1.0, inside.shape)
    assert check(100.0 * inside + noise, pattern()).cut_share() == 0.0
    # 12 of 24 rows of one of four sides (smoothing moves the edge by up to one lattice point).
    assert check(100.0 * against + noise, pattern()).cut_share() == pytest.approx(0.125, abs=0.025)
    assert check(100.0 + noise, pattern()).cut_share() == 1.0


def test_the_figure_is_the_same_with_and_without_local_correlation() -> None:
    # Two ways to count pairs of values: interpolated to a volume, and by the compiled loop.
    both = check(pattern(5), pattern(6))
    for matrix in (np.eye(4), shift(3.3, -2.1, 5.7), shift(0.0, 40.0, 0.0)):
        assert both.at(matrix, local=False).nmi == both.at(matrix).nmi
