"""Error of the outline beside labelled regions, against masks that are drawn anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import ndimage

from eprimg.kernels.partial_volume import mask_error_sensitivity, moved_means
from tests.kernels.test_partial_volume import TWO, plain_blur, sphere_scene


def redrawn_mean(
    image: np.ndarray, drawn: Sequence[np.ndarray], fwhm: float, spacing: Sequence[float]
) -> float:
    """Corrected mean of the first of some masks that fill the volume, blurred as a whole."""
    blurred = [plain_blur(m, fwhm, spacing) for m in drawn]
    matrix = [[float((a * b).sum() / a.sum()) for b in blurred] for a in drawn]
    raw = [float((m * image).sum() / m.sum()) for m in drawn]
    return float(np.linalg.solve(matrix, raw)[0])


@pytest.mark.parametrize("diameter", [13.0, 17.0, 22.0])
@pytest.mark.parametrize("around", ["inside", "half in", "beside a lower", "beside a higher"])
def test_mask_error_beside_a_labelled_region_is_that_of_a_redrawn_mask(
    around: str, diameter: float
) -> None:
    # Independent: painted on voxels of 1 mm from 3 x 3 x 3 points each and blurred with scipy; the
    # masks of a lesion drawn 1 mm smaller and larger, every mask blurred in the whole volume.
    # Between a higher lesion and a lower background, smaller towards the one, larger elsewhere.
    fwhm, spacing, radius = 6.0, (1.0, 1.0, 1.0), diameter / 2.0
    n = int(diameter) + 41
    fine = (np.arange(3 * n) - (3 * n - 1) / 2.0) / 3.0 + 0.17
    k, j, i = np.meshgrid(fine, fine, fine, indexing="ij", sparse=True)
    r = np.sqrt(k * k + j * j + i * i)
    sign = 1.0
    if around.startswith("beside"):
        far = radius + 4.0
        other = np.sqrt(k * k + j * j + (i - far) ** 2) <= 8.0
        values = (10.0, 40.0 if around == "beside a higher" else 6.0, 1.0)
        if around == "beside a higher":
            # Where the surface of the lesion lies in the other sphere, by the law of cosines.
            facing = i >= r * (radius**2 + far**2 - 8.0**2) / (2.0 * radius * far)
            sign = np.where(facing, -1.0, 1.0)
    else:
        other = np.broadcast_to((i > 0.0) | (around == "inside"), r.shape)
        values = (20.0, 5.0, 1.0)

    def masks(shift: float) -> list[np.ndarray]:
        one = r <= radius + shift * sign
        every = (
            m.reshape(n, 3, n, 3, n, 3).mean((1, 3, 5)) for m in (one, other & ~one, ~other & ~one)
        )
        return [m for m in every if m.any()]

    true = masks(0.0)
    painted = sum((v * m for v, m in zip(values, true, strict=False)), np.zeros((n, n, n)))
    image = plain_blur(painted, fwhm, spacing)
    smaller, larger = (redrawn_mean(image, masks(s), fwhm, spacing) for s in (-1.0, 1.0))
    labels = np.where(true[0] > 0.5, 1, np.where(true[1] >= 0.5, 2, 0)).astype(np.int16)
    found = mask_error_sensitivity(image, labels, fwhm, spacing, only=[1])
    assert found.base.corrected[0] == pytest.approx(values[0], rel=0.02)
    assert found.mask_se[0] == pytest.approx(0.5 * abs(smaller - larger), rel=0.06)
    if around != "beside a higher":
        np.testing.assert_allclose(
            [found.eroded[0], found.dilated[0]], [smaller, larger], rtol=0.02
        )


def test_a_label_around_a_lesion_changes_nothing_of_its_mask_error() -> None:
    # The organ takes the part of the background, voxel by voxel: the same numbers must come out.
    image, labels = sphere_scene(17.0, 6.0, 5.0)
    for method in ("gtm", "iterative_yang"):
        alone, inside = (
            mask_error_sensitivity(image, seen, 6.0, TWO, method=method, only=[1])
            for seen in (labels, np.where(labels == 0, 2, labels))
        )
        # The box of the lesion alone is a little smaller, which is worth this much.
        for name in ("eroded", "dilated", "mask_se"):
            assert getattr(inside, name)[0] == pytest.approx(getattr(alone, name)[0], rel=0.01)


def test_a_neighbour_too_small_to_give_any_away_stays_as_it_was_drawn() -> None:
    # One voxel at the pole of a sphere of 13 mm: a lesion that grew by half a voxel would leave a
    # sliver that no matrix can tell apart, and nothing would be known of its uncertainty.
    image, labels = sphere_scene(13.0, 6.0, 5.0, (1.0, 1.0, 1.0))
    alone = mask_error_sensitivity(image, labels, 6.0, (1.0, 1.0, 1.0), boundary_error_mm=0.6)
    k, j, _ = (int(np.rint(c)) for c in ndimage.center_of_mass(labels))
    last = int(np.flatnonzero(labels[k, j])[-1])
    labels[k, j, last + 1] = 2
    found = mask_error_sensitivity(
        image, labels, 6.0, (1.0, 1.0, 1.0), boundary_error_mm=0.6, only=[1]
    )
    # A compartment more, and a lesion that cannot grow at one of its 500 voxels of surface.
    assert found.mask_se[0] == pytest.approx(alone.mask_se[0], rel=0.04)


def test_means_with_the_boundary_moved_into_another_region() -> None:
    # As drawn: what a voxel is called outside of the region has no part in the mean of the region.
    image, labels = sphere_scene(17.0, 6.0, 5.0)
    alone = moved_means(image, labels, 1, TWO)
    assert moved_means(image, np.where(labels == 0, 2, labels), 1, TWO) == alone
