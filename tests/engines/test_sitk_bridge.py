"""The bridge to SimpleITK: every expected place comes from the definition of both conventions."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from eprimg.engines.sitk_bridge import (
    from_sitk_transform,
    grid_from_sitk,
    read_tfm,
    tfm_text,
    to_sitk,
    to_sitk_transform,
    write_tfm,
)
from eprimg.errors import GeometryError, InputError, OutputError
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform


def rotation(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = [n for n in range(3) if n != axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


@pytest.fixture
def oblique() -> Grid:
    affine = np.eye(4)
    turn = rotation(0, 20.0) @ rotation(2, -35.0)
    affine[:3, :3] = turn[:, ::-1] * np.array([5.0, 2.0, 1.5])
    affine[:3, 3] = (-11.0, 23.0, 7.5)
    return Grid((4, 6, 9), affine, "1.2.3")


def some_transform() -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(1, 7.0) @ rotation(2, 1.0 / 3.0)
    matrix[:3, 3] = (0.1, -1 / 3, 1e-17)
    return Transform(matrix, "1.2.3", "4.5.6")


def test_voxel_values_stay_at_their_places(oblique: Grid) -> None:
    values = np.arange(4 * 6 * 9, dtype=np.float32).reshape(4, 6, 9)
    volume = to_sitk(values, oblique)
    assert volume.GetSize() == (9, 6, 4)
    for k, j, i in ((0, 0, 0), (3, 5, 8), (1, 4, 7)):
        assert volume[i, j, k] == values[k, j, i]
        there = volume.TransformIndexToPhysicalPoint((i, j, k))
        np.testing.assert_allclose(there, oblique.index_to_lps_mm((k, j, i)), atol=1e-9)


def test_grid_round_trip(oblique: Grid) -> None:
    again = grid_from_sitk(to_sitk(np.zeros((4, 6, 9), np.float32), oblique), "1.2.3")
    assert again.matches(oblique, tolerance_mm=1e-9)


def test_wrong_shape_is_refused(oblique: Grid) -> None:
    with pytest.raises(GeometryError) as caught:
        to_sitk(np.zeros((9, 6, 4), np.float32), oblique)
    assert caught.value.code == "E_GEOM_MATRIX"


def test_simpleitk_resamples_with_the_same_direction_of_transform() -> None:
    # ITK documents that a transform takes points of the output (fixed) to points of the input.
    grid = Grid((6, 6, 6), np.diag((1.0, 1.0, 1.0, 1.0))[[2, 1, 0, 3]], "1.2.3")
    values = np.zeros((6, 6, 6), np.float32)
    values[3, 2, 4] = 1.0
    matrix = np.eye(4)
    matrix[:3, 3] = (1.0, 0.0, 2.0)  # x = i, z = k
    moved = sitk.Resample(to_sitk(values, grid), to_sitk_transform(matrix))
    assert np.argwhere(sitk.GetArrayFromImage(moved) == 1.0).tolist() == [[1, 2, 3]]


def test_transform_file_is_exact_in_both_readers(tmp_path) -> None:
    transform = some_transform()
    path = tmp_path / "pet_to_mr.tfm"
    write_tfm(transform, path)
    again = read_tfm(path, "1.2.3", "4.5.6")
    assert np.array_equal(again.matrix, transform.matrix)
    assert (again.from_frame, again.to_frame) == ("1.2.3", "4.5.6")
    point = (12.5, -80.0, 33.0)
    there = sitk.ReadTransform(str(path)).TransformPoint(point)
    np.testing.assert_allclose(there, transform.apply(point), atol=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["pet_to_mr.tfm"]


def test_transform_text_holds_no_frame_of_reference() -> None:
    assert "1.2.3" not in tfm_text(some_transform())


def test_centres_and_composites_are_unfolded() -> None:
    euler = sitk.Euler3DTransform()
    euler.SetCenter((10.0, -20.0, 30.0))
    euler.SetRotation(0.1, -0.2, 0.3)
    euler.SetTranslation((1.0, 2.0, 3.0))
    shift = sitk.TranslationTransform(3, (5.0, 0.0, 0.0))
    point = np.array((40.0, 50.0, -60.0))
    for transform in (euler, shift, sitk.CompositeTransform([euler, shift])):
        made = from_sitk_transform(transform, "a", "b")
        there = transform.TransformPoint(point.tolist())
        np.testing.assert_allclose(made.apply(point), there, atol=1e-9)


def test_bending_and_flat_transforms_are_refused(tmp_path) -> None:
    bend = sitk.BSplineTransformInitializer(sitk.Image(20, 20, 20, sitk.sitkFloat32), (4, 4, 4))
    bend.SetParameters([0.5 * np.sin(n) for n in range(len(bend.GetParameters()))])
    for transform in (bend, sitk.AffineTransform(2)):
        with pytest.raises(InputError) as caught:
            from_sitk_transform(transform, "a", "b")
        assert caught.value.code == "E_TRANSFORM_FILE"
    path = tmp_path / "bend.tfm"
    sitk.WriteTransform(bend, str(path))
    with pytest.raises(InputError) as caught:
        read_tfm(path, "a", "b")
    assert caught.value.where == "bend.tfm"


def test_missing_file_and_missing_folder(tmp_path) -> None:
    with pytest.raises(InputError) as caught:
        read_tfm(tmp_path / "absent.tfm", "a", "b")
    assert caught.value.code == "E_TRANSFORM_FILE"
    with pytest.raises(OutputError) as refused:
        write_tfm(some_transform(), tmp_path / "absent" / "x.tfm")
    assert refused.value.code == "E_OUTPUT_UNWRITABLE"


def test_a_failed_write_leaves_nothing(tmp_path) -> None:
    (tmp_path / "x.tfm").mkdir()
    with pytest.raises(OutputError):
        write_tfm(some_transform(), tmp_path / "x.tfm")
    assert [p.name for p in tmp_path.iterdir()] == ["x.tfm"]
