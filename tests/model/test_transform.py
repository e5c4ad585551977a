"""Transform: inverse, composition, frames that must join."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from eprimg.errors import GeometryError
from eprimg.model.transform import Registration, Transform


def rigid(angle: float, shift: tuple[float, float, float], a: str = "A", b: str = "B") -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(
        "zyx", (angle, angle / 2, -angle), degrees=True
    ).as_matrix()
    matrix[:3, 3] = shift
    return Transform(matrix, a, b)


@given(st.floats(-90, 90), st.tuples(*[st.floats(-200, 200)] * 3))
def test_inverse_undoes(angle: float, shift: tuple[float, float, float]) -> None:
    transform = rigid(angle, shift)
    back = transform.then(transform.inverse())
    assert np.allclose(back.matrix, np.eye(4), atol=1e-9)
    assert (back.from_frame, back.to_frame) == ("A", "A")
    points = np.array([[1.0, 2.0, 3.0], [-50.0, 0.0, 9.0]])
    assert np.allclose(transform.inverse().apply(transform.apply(points)), points, atol=1e-9)


def test_shift_moves_points_by_hand() -> None:
    assert rigid(0, (1, -2, 3)).apply((10, 10, 10)) == pytest.approx((11, 8, 13))
    assert Transform.identity("A").to_frame == "A"
    assert Transform.identity("A", "B").apply((1, 2, 3)) == pytest.approx((1, 2, 3))


def test_order_of_composition() -> None:
    # A quarter turn about z (x to y) after a shift along x by 1: (0,0,0) -> (1,0,0) -> (0,1,0).
    turn = np.eye(4)
    turn[:2, :2] = ((0, -1), (1, 0))
    both = rigid(0, (1, 0, 0), "A", "B").then(Transform(turn, "B", "C"))
    assert both.apply((0, 0, 0)) == pytest.approx((0, 1, 0))


def test_frames_must_join() -> None:
    with pytest.raises(GeometryError, match="compose only") as caught:
        rigid(1, (0, 0, 0), "A", "B").then(rigid(1, (0, 0, 0), "C", "D"))
    assert caught.value.code == "E_FOR"


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan)])
def test_unusable_matrices_are_refused(matrix: np.ndarray) -> None:
    with pytest.raises(GeometryError) as caught:
        Transform(matrix, "A", "B")
    assert caught.value.code == "E_TRANSFORM"


def test_repr_and_registration_record() -> None:
    transform = rigid(0, (3, 4, 0))
    assert "5.00 mm" in repr(transform)
    record = Registration("mr_pre", "pet", transform, "identity")
    assert record.accepted
    assert record.qc == {}
    assert record.doubts == ()


@pytest.mark.parametrize(
    ("facts", "verdict", "reasons"),
    [
        ({}, "pass", ()),
        ({"doubts": ("a", "b")}, "review", ("a", "b")),
        ({"accepted": False, "note": "why"}, "fail", ("why",)),
        ({"accepted": False, "rejected": True}, "fail", ("rejected by the reader",)),
    ],
)
def test_verdict_of_a_registration(facts, verdict, reasons) -> None:
    made = Registration("a", "b", Transform.identity("1.2"), "engine", **facts)
    assert (str(made.verdict), made.reasons) == (verdict, reasons)
