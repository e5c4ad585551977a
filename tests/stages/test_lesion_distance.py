"""Distance between uptake and outline: spheres whose centres are known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.case import Case
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages.lesion_distance import _Cut, lesion_distances, uptake_centre_mm
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
    return scene(ball(CENTRE, radius).astype(np.int16), uptake(CENTRE + shift), accepted, carried)


def scene(labels: np.ndarray, values: np.ndarray, accepted: bool = True, carried=(1, 2)) -> Case:
    """One lattice for MR and PET, so that outlines are the same on both."""
    regions = tuple(
        Region(int(n), f"lesion-{n}", RegionRole.LESION) for n in np.unique(labels) if n
    )
    echoes = np.ones((*SHAPE, 2), np.float32)
    mr = Series(
        "mr_pre",
        Role.MR_PRE,
        EchoStack(Volume(echoes, grid("mr"), quantity("signal")), (0.001, 0.002)),
        None,
    )
    activity = Volume(values, grid("pet"), quantity("activity"))
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
    assert result.value.apart_mm == {1: pytest.approx(np.linalg.norm(shift), abs=1.0)}
    assert [f.code for f in result.findings] == (["W_LESION_APART"] if flagged else [])


@pytest.mark.parametrize("facts", [{"accepted": False}, {"carried": ()}, {"carried": None}])
def test_no_figure_without_a_carried_outline(facts) -> None:
    result = lesion_distances(case((0, 0, 0), **facts))
    assert (result.value.apart_mm, result.findings) == ({}, ())


SECOND = CENTRE - np.array((0.0, 0.0, 24.0))
"""24 mm from the first: two spheres of 8 mm do not touch, and each lies in the other's rim."""


def two_lesions() -> Case:
    labels = np.where(ball(CENTRE, 8.0), 1, np.where(ball(SECOND, 8.0), 2, 0)).astype(np.int16)
    return scene(labels, uptake(CENTRE) + uptake(SECOND + np.array((3.0, 0.0, 0.0))))


def edited(before: Case, labels: np.ndarray) -> Case:
    """The case after a stroke, with what the earlier call left behind."""
    on_pet = replace(before.native_lesions["pet"], labels=labels)
    return replace(
        before,
        lesions=replace(before.lesions, labels=labels),
        native_lesions={"pet": on_pet},
        uptake_centres=lesion_distances(before).value.centres,
    )


def same_as_whole(case: Case) -> dict[int, float]:
    """Distances with what is known from before; they are, to the digit, those without it."""
    known, whole = lesion_distances(case), lesion_distances(replace(case, uptake_centres={}))
    assert known.value.apart_mm == whole.value.apart_mm
    assert known.value.centres == whole.value.centres
    assert known.findings == whole.findings
    return dict(known.value.apart_mm)


def test_only_the_edited_lesion_is_computed_again(monkeypatch) -> None:
    far = np.where(ball(CENTRE, 8.0), 1, 0).astype(np.int16)
    far[1:3, 1:4, 1:4] = 2  # 40 mm away: out of reach of 14 mm and a voxel
    before = scene(far, uptake(CENTRE))
    stroke = np.array(far)
    stroke[12:14, 11, 11] = 1
    after = edited(before, stroke)
    made = []
    found = _Cut.centre_mm
    monkeypatch.setattr(_Cut, "centre_mm", lambda cut, at: made.append(cut) or found(cut, at))
    figures = lesion_distances(after).value.apart_mm
    # The first only: the second has no uptake, and that was known as well.
    assert len(made) == 1
    assert made[0].own.sum() == np.count_nonzero(stroke == 1)
    assert figures == same_as_whole(after)
    assert figures[1] != lesion_distances(before).value.apart_mm[1]


def test_an_edit_of_a_neighbour_changes_what_a_lesion_may_look_at() -> None:
    labels = np.where(ball(CENTRE, 6.0), 1, np.where(ball(SECOND, 6.0), 2, 0)).astype(np.int16)
    # The hot spot of the first lies half outside its outline, on the side of the second.
    before = scene(labels, uptake(CENTRE - np.array((0.0, 0.0, 6.0))))
    first = lesion_distances(before).value.apart_mm
    grown = ball(CENTRE - np.array((0.0, 0.0, 11.0)), 5.0) & (labels == 0)
    assert grown.any()
    after = edited(before, np.where(grown, 2, labels).astype(np.int16))
    figures = same_as_whole(after)
    # Those voxels were part of the uptake of the first, none of which was moved or painted.
    assert figures[1] < first[1] - 0.5


def test_voxels_that_change_hands_and_lesions_that_are_alike() -> None:
    labels = np.zeros(SHAPE, dtype=np.int16)
    labels[8:12, 10:14, 5] = 1
    labels[8:12, 10:14, 6] = 2
    values = uptake(np.array((22.0, 46.0, 38.0)))
    # The right half repeats the left one, far enough for neither to look at the other.
    for half in (labels, values):
        half[:, :, 12:] = half[:, :, :12]
    labels[:, :, 12:][labels[:, :, 12:] > 0] += 2
    before = scene(labels, values, carried=(1, 2, 3, 4))
    first = same_as_whole(edited(before, np.array(labels)))
    assert first[3] == pytest.approx(first[1])
    # The box of the first stays, and so does every voxel of the background.
    labels = np.array(labels)
    labels[9:11, 11:13, 5] = 2
    changed = same_as_whole(edited(before, labels))
    assert changed[1] != first[1]
    assert changed[3] == first[3]


def test_nothing_older_than_the_voxels_is_used() -> None:
    """The same array object with other values, and another alignment: no number stays."""
    before = two_lesions()
    known = edited(before, np.array(before.lesions.labels))
    first = same_as_whole(known)
    values = np.array(before.study.find(Role.PET).pixels.data)
    turned = scene(np.array(before.lesions.labels), values)
    turned = replace(turned, uptake_centres=known.uptake_centres)
    assert same_as_whole(turned) == first
    values[:] = uptake(CENTRE + np.array((0.0, 4.0, 0.0))) + uptake(SECOND)
    changed = same_as_whole(turned)
    assert changed[1] == pytest.approx(4.0, abs=1.0)
    assert changed != first
    matrix = np.eye(4)
    matrix[0, 3] = 5.0
    moved = Registration(
        "mr_pre", "pet", Transform(matrix, "mr", "pet"), "test", {}, {"nmi_after": 1.2}, True
    )
    assert same_as_whole(replace(known, registrations=(moved,))) != first
    place = np.array(grid("pet").affine)
    place[0, 3] += 5.0
    on_pet = replace(known.native_lesions["pet"], grid=Grid(SHAPE, place, "pet"))
    assert same_as_whole(replace(known, native_lesions={"pet": on_pet})) != first


def test_the_mean_of_frames_is_looked_at() -> None:
    before = two_lesions()
    values = np.asarray(before.study.find(Role.PET).pixels.data)
    frames = scene(np.array(before.lesions.labels), np.stack([0.5 * values, 1.5 * values], axis=-1))
    plain = lesion_distances(before).value.apart_mm
    assert lesion_distances(frames).value.apart_mm == pytest.approx(plain)
