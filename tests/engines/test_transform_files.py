"""Transforms on disk: every expected point is ITK's own answer for the file that was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from eprimg.engines.transform_files import read_transform, write_transform
from eprimg.errors import InputError, OutputError
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform


def turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def bent() -> Transform:
    """An oblique, left-handed grid of unequal spacing; the field fades to zero at its border."""
    affine = np.eye(4)
    affine[:3, :3] = turn(25.0)[:, ::-1] * np.array([-7.0, 5.0, 4.0])
    affine[:3, 3] = (-20.0, 10.0, 30.0)
    grid = Grid((9, 10, 12), affine, "1.2.3")
    index = np.stack(np.indices(grid.shape, dtype=float), axis=-1)
    window = np.prod(np.sin(np.pi * index / (np.array(grid.shape) - 1)), axis=-1) ** 2
    vectors = np.random.default_rng(3).normal(0.0, 4.0, (*grid.shape, 3)) * window[..., None]
    matrix = np.eye(4)
    matrix[:3, :3] = turn(-12.0)
    matrix[:3, 3] = (15.0, -4.0, 1 / 3)
    return Transform(matrix, "1.2.3", "4.5.6", Displacement(vectors.astype(np.float32), grid))


def random_points(transform: Transform) -> np.ndarray:
    """Points inside the grid and around it."""
    assert transform.displacement is not None
    grid = transform.displacement.grid
    index = np.random.default_rng(5).uniform(-3.0, 14.0, (300, 3))
    return grid.index_to_lps_mm(index)


@pytest.mark.parametrize("name", ["bent.h5", "bent.tfm"])
def test_itk_maps_points_as_the_transform_does(tmp_path: Path, name: str) -> None:
    transform = bent()
    write_transform(transform, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    itk = sitk.ReadTransform(str(tmp_path / name))
    points = random_points(transform)
    there = np.array([itk.TransformPoint(p.tolist()) for p in points])
    straight = points @ transform.matrix[:3, :3].T + transform.matrix[:3, 3]
    assert np.abs(there - straight).max() > 2.0  # the field does something at these points
    np.testing.assert_allclose(transform.apply(points), there, rtol=0, atol=1e-4)
    again = read_transform(tmp_path / name, "1.2.3", "4.5.6")
    assert (again.from_frame, again.to_frame) == ("1.2.3", "4.5.6")
    np.testing.assert_allclose(again.apply(points), there, rtol=0, atol=1e-4)


def test_an_affine_transform_goes_both_ways_in_both_formats(tmp_path: Path) -> None:
    transform = Transform(bent().matrix, "1.2.3", "4.5.6")
    for name in ("a.tfm", "a.h5"):
        write_transform(transform, tmp_path / name)
        assert np.array_equal(
            read_transform(tmp_path / name, "1.2.3", "4.5.6").matrix, transform.matrix
        )


def test_linear_parts_before_and_after_a_foreign_field(tmp_path: Path) -> None:
    vectors = np.zeros((6, 6, 6, 3))
    vectors[2:4, 2:4, 2:4] = (3.0, -2.0, 1.0)
    field = sitk.GetImageFromArray(vectors, isVector=True)
    field.SetSpacing((3.0, 4.0, 5.0))
    after, before = sitk.Euler3DTransform(), sitk.Euler3DTransform()
    after.SetRotation(0.1, 0.2, -0.3)
    after.SetCenter((5.0, 6.0, 7.0))
    before.SetTranslation((1.0, 2.0, -3.0))
    before.SetRotation(0.0, 0.0, 0.4)
    itk = sitk.CompositeTransform([after, sitk.DisplacementFieldTransform(field), before])
    sitk.WriteTransform(itk, str(tmp_path / "foreign.h5"))
    made = read_transform(tmp_path / "foreign.h5", "A", "B")
    assert not made.is_affine
    points = np.random.default_rng(1).uniform(-5.0, 20.0, (200, 3))
    there = np.array([itk.TransformPoint(p.tolist()) for p in points])
    np.testing.assert_allclose(made.apply(points), there, rtol=0, atol=1e-4)


def test_other_kinds_are_refused_with_the_file(tmp_path: Path) -> None:
    bump = sitk.BSplineTransformInitializer(sitk.Image(20, 20, 20, sitk.sitkFloat32), (4, 4, 4))
    bump.SetParameters([0.5 * np.sin(n) for n in range(len(bump.GetParameters()))])
    fields = [sitk.Image((4, 4, 4), sitk.sitkVectorFloat64, 3) for _ in range(2)]
    two = sitk.CompositeTransform([sitk.DisplacementFieldTransform(f) for f in fields])
    broken = sitk.GetImageFromArray(np.full((4, 4, 4, 3), np.nan), isVector=True)
    kinds = {
        "spline.h5": bump,
        "two.h5": two,
        "flat.tfm": sitk.AffineTransform(2),
        "nan.h5": sitk.DisplacementFieldTransform(broken),
    }
    for name, kind in kinds.items():
        sitk.WriteTransform(kind, str(tmp_path / name))
    (tmp_path / "junk.h5").write_bytes(b"not a transform")
    for name in (*kinds, "junk.h5", "absent.tfm"):
        with pytest.raises(InputError) as caught:
            read_transform(tmp_path / name, "A", "B")
        assert (caught.value.code, caught.value.where) == ("E_TRANSFORM_FILE", name)


def test_a_bent_transform_is_never_written_as_its_affine_part(tmp_path: Path) -> None:
    from eprimg.engines.sitk_bridge import tfm_text, write_tfm

    with pytest.raises(InputError, match="bends"):
        tfm_text(bent())
    with pytest.raises(InputError, match="bends"):
        write_tfm(bent(), tmp_path / "x.tfm")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ends in"):
        write_transform(bent(), tmp_path / "x.mat")
    with pytest.raises(OutputError) as caught:
        write_transform(bent(), tmp_path / "absent" / "x.h5")
    assert caught.value.code == "E_OUTPUT_UNWRITABLE"
    (tmp_path / "x.h5").mkdir()
    with pytest.raises(OutputError):
        write_transform(bent(), tmp_path / "x.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]
