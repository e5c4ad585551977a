"""The search for another orientation: a body without symmetry, turned in a known way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eprimg.engines.registrars.orientation import best_other_orientation
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.engines.registrars.similarity import SimilarityCheck
from eprimg.model.grid import Grid
from eprimg.model.volume import Volume
from eprimg.quantities import quantity

RULES = RigidSettings.from_mapping(load_profile("rigid-mi"))
SHAPE, SPACING = (30, 36, 40), 5.0


def body(values: np.ndarray, frame: str, tilt_deg: float = 0.0) -> Volume:
    """A volume on an axial grid (k to the head, j to the back, i to the left) about the origin."""
    axes = np.eye(4)
    axes[:3, :3] = Rotation.from_euler("x", tilt_deg, degrees=True).as_matrix()
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    affine[[2, 1, 0], [0, 1, 2]] = SPACING
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return Volume(values.astype(np.float32), Grid(SHAPE, axes @ affine, frame), quantity("signal"))


def organs() -> np.ndarray:
    """An ellipsoid with three balls, none of which has a partner on another side."""
    k, j, i = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in SHAPE), indexing="ij")
    values = 300.0 * ((k / 13) ** 2 + (j / 13) ** 2 + (i / 17) ** 2 < 1)
    for centre, radius, value in (
        ((3, -3, 7), 5, 700),
        ((-6, 5, -2), 4, 500),
        ((2, 5, -8), 3, 900),
    ):
        a, b, c = centre
        values[(k - a) ** 2 + (j - b) ** 2 + (i - c) ** 2 < radius**2] = value
    return values


def search(moving: Volume, accepted: np.ndarray, tilt_deg: float = 0.0):
    fixed = body(organs(), "fixed", tilt_deg)
    fine, wide = (SimilarityCheck(fixed, moving, RULES.intensity, grid_mm=g) for g in (4.0, 8.0))
    other = best_other_orientation(fine, wide, accepted, minimum_overlap_fraction=0.3)
    return fine, other


@pytest.mark.parametrize(
    ("axes", "name"),
    [
        ((2,), "mirrored left to right"),
        ((1,), "mirrored front to back"),
        ((0,), "mirrored head to foot"),
        ((1, 2), "turned by 180 degrees about the head-foot axis"),
        ((0, 1), "turned by 180 degrees about the left-right axis"),
        ((0, 2), "turned by 180 degrees about the front-back axis"),
        ((0, 1, 2), "mirrored along all three axes"),
    ],
)
@pytest.mark.parametrize("tilt_deg", [0.0, 20.0])
def test_a_stored_order_is_found_and_named(
    axes: tuple[int, ...], name: str, tilt_deg: float
) -> None:
    moving = body(np.ascontiguousarray(np.flip(organs(), axes)), "moving", tilt_deg)
    # The search had settled at a wrong place near the header.
    wrong = np.eye(4)
    wrong[:3, 3] = (9.0, -6.0, 5.0)
    fine, other = search(moving, wrong, tilt_deg)
    assert other.name == name
    assert other.nmi > fine.at(wrong).nmi
    # Flipping twice gives the first volume again: the matrix is the flip about the centre, here 0.
    sign = [-1.0 if axis in axes else 1.0 for axis in (2, 1, 0)]
    tilt = Rotation.from_euler("x", tilt_deg, degrees=True).as_matrix()
    assert np.allclose(other.matrix[:3, :3], tilt @ np.diag(sign) @ tilt.T, atol=0.1)
    assert np.linalg.norm(other.matrix[:3, 3]) < 4.0


@pytest.mark.parametrize("tilt_deg", [0.0, 20.0])
def test_nothing_better_is_found_where_the_header_is_right(tilt_deg: float) -> None:
    fine, other = search(body(organs(), "moving", tilt_deg), np.eye(4), tilt_deg)
    assert other.nmi - 1 < 0.95 * (fine.at(np.eye(4)).nmi - 1)


def test_nothing_is_said_where_nothing_overlaps() -> None:
    far = np.eye(4)
    far[0, 3] = 5000.0
    moving = body(organs(), "moving")
    fixed = body(organs(), "fixed")
    check = SimilarityCheck(fixed, moving, RULES.intensity, grid_mm=8.0)
    other = best_other_orientation(check, check, far, minimum_overlap_fraction=1.1)
    assert np.isnan(other.nmi)
    assert other.name == ""
