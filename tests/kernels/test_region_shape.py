"""IBSI 1 digital phantom, and bodies with a closed form."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from eprimg.errors import GeometryError, InputError
from eprimg.kernels.region_shape import region_shape

PUBLISHED = {
    "morph_volume": "volume_mesh_mm3",
    "morph_vol_approx": "volume_voxels_mm3",
    "morph_area_mesh": "surface_mm2",
    "morph_av": "surface_per_volume_per_mm",
    "morph_sphericity": "sphericity",
}


@pytest.mark.real_data
def test_the_ibsi_phantom(real_data: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    folder = real_data / "pet" / "ibsi1_digital_phantom"
    if not folder.is_dir():
        pytest.skip(f"no IBSI phantom at {folder}")
    mask = np.asarray(nibabel.load(folder / "mask.nii.gz").dataobj) > 0
    found = region_shape(mask, (2.0, 2.0, 2.0))
    with (folder / "reference_values.csv").open(encoding="utf-8") as file:
        truth = {row["tag"]: row for row in csv.DictReader(file)}
    for tag, name in PUBLISHED.items():
        expected, tolerance = float(truth[tag]["reference"]), float(truth[tag]["tolerance"])
        assert getattr(found, name) == pytest.approx(expected, abs=tolerance), tag


def test_one_voxel_is_an_octahedron() -> None:
    """Half way to six empty neighbours: volume d^3 / 6 with d the spacing, surface sqrt(3) d^2."""
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    found = region_shape(mask, (2.0, 2.0, 2.0))
    assert found.volume_mesh_mm3 == pytest.approx(8.0 / 6.0, rel=1e-6)
    assert found.surface_mm2 == pytest.approx(math.sqrt(3.0) * 4.0, rel=1e-6)
    assert found.volume_voxels_mm3 == 8.0


def test_a_block_loses_its_edges_and_corners() -> None:
    """n^3 voxels of 1 mm: faces at +-n/2, twelve edges and eight corners cut at 45 degrees.

    Volume: the box n^3 less 12 prisms of length n - 1 and cross-section 1/8, less at each corner
    the unit octant (1/2)^3 that keeps a tetrahedron of 1/48.
    """
    n = 10
    mask = np.ones((n, n, n), bool)
    volume = n**3 - 12 * (n - 1) / 8.0 - 8 * (1.0 / 8.0 - 1.0 / 48.0)
    found = region_shape(mask, (1.0, 1.0, 1.0))
    assert found.volume_mesh_mm3 == pytest.approx(volume, rel=1e-6)
    # faces, edges, corner triangles of side sqrt(1/2)
    surface = 6 * (n - 1) ** 2 + 12 * (n - 1) * math.sqrt(0.5) + 8 * math.sqrt(3) / 8.0
    assert found.surface_mm2 == pytest.approx(surface, rel=1e-6)


def test_it_follows_the_spacing_and_not_the_place() -> None:
    mask = np.zeros((9, 9, 9), bool)
    mask[2:5, 3:6, 1:7] = True
    one = region_shape(mask, (1.0, 1.0, 1.0))
    moved = region_shape(np.roll(mask, (2, 1, 1), (0, 1, 2)), (1.0, 1.0, 1.0))
    assert moved == pytest.approx(one)
    stretched = region_shape(mask, (3.0, 1.0, 1.0))
    assert stretched.volume_mesh_mm3 == pytest.approx(3.0 * one.volume_mesh_mm3, rel=1e-6)
    edge = region_shape(mask[2:5, 3:6, 1:7], (1.0, 1.0, 1.0))  # touches every border
    assert edge == pytest.approx(one)


def test_a_large_ball() -> None:
    r = 20.0
    axis = np.arange(-22.0, 23.0)
    mask = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= r * r
    found = region_shape(mask, (1.0, 1.0, 1.0))
    assert found.volume_mesh_mm3 == pytest.approx(4.0 / 3.0 * math.pi * r**3, rel=0.01)
    # A staircase: more surface than the ball, and less than its voxels' faces (6/4 of it).
    assert 1.0 < found.surface_mm2 / (4.0 * math.pi * r * r) < 1.2


def test_bad_arguments_are_refused() -> None:
    mask = np.ones((2, 2, 2), bool)
    with pytest.raises(GeometryError):
        region_shape(mask[0], (1.0, 1.0, 1.0))
    for call in (
        lambda: region_shape(mask, (1.0, 0.0, 1.0)),
        lambda: region_shape(~mask, (1.0, 1.0, 1.0)),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_ARGUMENT"
