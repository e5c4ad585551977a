"""Distance between uptake and outline: spheres whose centres are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.model.case import Case
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages.lesion_distance import lesion_distances, uptake_centre_mm
from eprimg.stages.native_labels import CARRIED

SHAPE, SPACING_MM = (20, 24, 24), 4.0
CENTRE = np.array((48.0, 44.0, 40.0))


def grid(frame: str) -> Grid:
    affine = np.eye(4)[[2, 1, 0, 3]] @ np.diag((SPACING_MM,) * 3 + (1.0,))
    return Grid(SHAPE, affine, frame)


def ball(centre: np.ndarray, radius: float) -> np.ndarray:
    points = grid("pet").index_to_lps_mm(np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1))
    return np.linalg.norm(points - centre, axis=-1) <= radius


def uptake(centre: np.ndarray, high: float = 8.0) -> np.ndarray:
    """A smooth hot spot on a background of 1."""
    points = grid("pet").index_to_lps_mm(np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1))
    far = np.linalg.norm(points - centre, axis=-1)
    return 1.0 + (high - 1.0) * np.exp(-0.5 * (far / 5.0) ** 2)


@pytest.mark.parametrize("shift", [(0, 0, 0), (4.0, 0, 0), (0, -6.0, 3.0)])
def test_the_centre_of_a_hot_spot(shift) -> None:
    labels = ball(CENTRE, 10.0).astype(np.int16)
    found = uptake_centre_mm(uptake(CENTRE + shift), labels, 1, grid("pet"))
    # A symmetric spot on a lattice of 4 mm: a quarter of a voxel.
    np.testing.assert_allclose(found, CENTRE + shift, atol=1.0)


def test_what_does_not_stand_out_has_no_centre() -> None:
    labels = ball(CENTRE, 10.0).astype(np.int16)
    assert uptake_centre_mm(uptake(CENTRE, 1.3), labels, 1, grid("pet")) is None
    assert uptake_centre_mm(uptake(CENTRE), labels, 2, grid("pet")) is None


def test_a_hot_neighbour_does_not_pull() -> None:
    labels = ball(CENTRE, 10.0).astype(np.int16)
    organ = ball(CENTRE + np.array((20.0, 0, 0)), 9.0) & (labels == 0)
    labels[organ] = 2
    values = uptake(CENTRE)
    values[organ] = 60.0
    found = uptake_centre_mm(values, labels, 1, grid("pet"))
    np.testing.assert_allclose(found, CENTRE, atol=1.0)


def case(shift, *, radius: float = 10.0, accepted: bool = True, carried=(1,)) -> Case:
    """MR with an outline, PET whose uptake lies ``shift`` from where the alignment puts it."""
    labels = ball(CENTRE, radius).astype(np.int16)
    regions = (Region(1, "lesion-1", RegionRole.LESION),)
    echoes = np.ones((*SHAPE, 2), np.float32)
    mr = Series(
        "mr_pre",
        Role.MR_PRE,
        EchoStack(Volume(echoes, grid("mr"), quantity("signal")), (0.001, 0.002)),
        None,
    )
    activity = Volume(uptake(CENTRE + shift), grid("pet"), quantity("activity"))
    pet = Series("pet", Role.PET, activity, None)
    settings = {} if carried is None else {CARRIED: carried}
    registration = Registration(
        "mr_pre", "pet", Transform.identity("mr", "pet"), "test", {}, {"nmi_after": 1.2}, accepted
    )
    return Case(
        Study("P", (Timepoint("a", None, (mr,)), Timepoint("b", None, (pet,)))),
        registrations=(registration,),
        lesions=LesionSet(labels, grid("mr"), regions),
        native_lesions={"pet": LesionSet(labels, grid("pet"), regions, "", settings)},
    )


@pytest.mark.parametrize(
    ("shift", "radius", "flagged"),
    [
        ((2.0, 0, 0), 10.0, False),
        ((6.5, 0, 0), 10.0, True),
        # 4 mm is within 5 mm, but more than half of a lesion of 6 mm.
        ((4.0, 0, 0), 3.0, True),
    ],
)
def test_distance_and_limit(shift, radius: float, flagged: bool) -> None:
    result = lesion_distances(case(shift, radius=radius))
    assert result.value == {1: pytest.approx(np.linalg.norm(shift), abs=1.0)}
    assert [f.code for f in result.findings] == (["W_LESION_APART"] if flagged else [])


@pytest.mark.parametrize("facts", [{"accepted": False}, {"carried": ()}, {"carried": None}])
def test_no_figure_without_a_carried_outline(facts) -> None:
    result = lesion_distances(case((0, 0, 0), **facts))
    assert (result.value, result.findings) == ({}, ())
