"""Pieces of a SimpleITK registration."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from eprimg.engines.registrars.sitk_steps import (
    halfway,
    last_line,
    lattice,
    not_aligned,
    one_metric_thread,
    require_extent,
    smooth,
)
from eprimg.errors import InputError
from eprimg.model.grid import Grid
from eprimg.model.manual_help import MetricMask


def volume(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> sitk.Image:
    made = sitk.Image(*size, sitk.sitkFloat32)
    made.SetSpacing(spacing)
    return made


def test_thick_slices_are_not_thinned() -> None:
    sizes, origin, spacing, _ = lattice(volume((100, 100, 40), (1.5, 1.5, 6.0)), 6.0)
    assert tuple(sizes) == (25, 25, 40)
    assert tuple(spacing) == (6.0, 6.0, 6.0)
    # 25 points 6 mm apart span 144 mm of the 148.5 mm between the first and the last centre.
    np.testing.assert_allclose(origin, (2.25, 2.25, 0.0))


def test_a_small_volume_keeps_eight_points() -> None:
    sizes, _, _, _ = lattice(volume((20, 9, 5), (1.0, 1.0, 1.0)), 8.0)
    assert tuple(sizes) == (10, 9, 5)


def test_smoothing_does_not_depend_on_threads() -> None:
    noisy = sitk.GetImageFromArray(
        np.random.default_rng(0).standard_normal((20, 30, 40)).astype(np.float32)
    )
    first, second = (sitk.GetArrayFromImage(smooth(noisy, 2.0, n)) for n in (1, 2))
    assert np.array_equal(first, second)
    assert first.std() < 0.2


def test_the_default_number_of_threads_comes_back() -> None:
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    with one_metric_thread():
        assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == 1
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == before


def test_messages_lose_addresses() -> None:
    error = RuntimeError("itk.cxx:12:\nITK ERROR: MattesMI(0x55d0): too few samples\n")
    assert last_line(error) == "too few samples"
    assert last_line(ValueError("")) == "ValueError"


def test_a_mask_lies_where_its_grid_says() -> None:
    from eprimg.engines.registrars.sitk_steps import mask_to_sitk
    from eprimg.model.grid import Grid
    from eprimg.model.manual_help import MetricMask

    inside = np.zeros((2, 3, 4), dtype=bool)
    inside[1, 2, 3] = True
    affine = np.array([[0, 0, 2.0, -5], [0, 3.0, 0, 6], [4.0, 0, 0, 7], [0, 0, 0, 1]])
    made = mask_to_sitk(MetricMask("pet", inside, Grid((2, 3, 4), affine, "A")))
    assert made.GetPixel(made.TransformPhysicalPointToIndex((1.0, 12.0, 11.0))) == 1
    assert int(np.count_nonzero(sitk.GetArrayViewFromImage(made))) == 1
    assert mask_to_sitk(None) is None


def test_a_small_field_of_view_is_thinned_less() -> None:
    # 75 x 75 x 84 mm: 8 mm apart there would be 9 x 9 x 14 points.
    sizes, _, spacing, _ = lattice(volume((75, 75, 28), (1.0, 1.0, 3.0)), 8.0, fewest=4000)
    assert 4000 <= np.prod(sizes) < 8000
    assert max(spacing) <= 6.0
    # Never finer than the voxels.
    sizes, _, _, _ = lattice(volume((12, 12, 12), (1.0, 1.0, 1.0)), 8.0, fewest=4000)
    assert tuple(sizes) == (12, 12, 12)


def test_halfway_by_hand() -> None:
    """10 and 20 degrees about one axis and point, 2 and 6 mm: 15 degrees and 4 mm there."""
    centre = np.array([10.0, -20.0, 30.0])

    def about(angle_deg: float, along_mm: float) -> np.ndarray:
        made = np.eye(4)
        turn = Rotation.from_euler("z", angle_deg, degrees=True)
        made[:3, :3] = turn.as_matrix()
        made[:3, 3] = centre - made[:3, :3] @ centre + (0.0, 0.0, along_mm)
        return made

    found = halfway(about(10.0, 2.0), about(20.0, 6.0), centre)
    np.testing.assert_allclose(found, about(15.0, 4.0), atol=1e-12)


def cube(edge: int, spacing_mm: float) -> MetricMask:
    affine = np.eye(4)[[2, 1, 0, 3]] @ np.diag((spacing_mm,) * 3 + (1.0,))
    inside = np.zeros((9, 9, 9), dtype=bool)
    inside[:edge, :edge, :edge] = True
    return MetricMask("pet", inside, Grid((9, 9, 9), affine, "A"), "cube.nii")


def test_a_mask_holds_eight_sample_points() -> None:
    # Eight points 8 mm apart stand for 8 * 0.512 mL = 4.096 mL: a cube of 16 mm.
    require_extent((8.0, 8.0, 8.0), None, cube(4, 4.1))
    with pytest.raises(InputError, match=r"cube\.nii \(27 voxels in 12 x 12 x 12 mm\)") as caught:
        require_extent((8.0, 8.0, 8.0), cube(4, 4.1), cube(3, 4.0))
    assert (caught.value.code, caught.value.where) == ("E_REGISTRATION_MASK", "cube.nii")


def test_failures_are_told_in_plain_words() -> None:
    apart = RuntimeError(
        "x.cxx:1:\nITK ERROR: M(0x5): All samples map outside moving image buffer."
    )
    inside = not_aligned(apart, "engine", None, cube(4, 4.1))
    assert (inside.code, inside.where) == ("E_REGISTRATION_MASK", "cube.nii")
    alone = not_aligned(apart, "engine", None, None)
    assert alone.code == "E_REGISTRATION"
    assert "do not overlap" in alone.message
    assert "buffer" not in alone.message
    other = not_aligned(RuntimeError("M(0x5): no memory"), "engine")
    assert other.message.endswith(": no memory")
