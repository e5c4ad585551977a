"""Given transforms, landmarks and masks in the stage `register`.

The volumes are a painted body whose moving series was evaluated at points that a known transform
gives, so every expected matrix is the one that made them.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.sitk_steps import unrounded
from eprimg.errors import InputError
from eprimg.model.case import Severity
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.manual_help import (
    GivenTransform,
    HelpUse,
    LandmarkPairs,
    ManualHelp,
    MetricMask,
)
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.transform import Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages import register as stage
from eprimg.stages.register_manual import help_for_pair, landmark_figures

PRE, POST = "1.2.3", "4.5.6"
MARKS_MM = np.array([[30.0, 20, 10], [-40, 10, -20], [10, -45, 25], [-15, 35, 30], [0, 0, -40]])
ANGLE = np.radians(6.0)
TRUTH = np.array(
    [
        [np.cos(ANGLE), -np.sin(ANGLE), 0, 6.0],
        [np.sin(ANGLE), np.cos(ANGLE), 0, -5.0],
        [0, 0, 1, 7.0],
        [0, 0, 0, 1],
    ]
)
MOVED_MM = MARKS_MM @ TRUTH[:3, :3].T + TRUTH[:3, 3]


def series(role: Role, frame: str, to_fixed: np.ndarray, values: tuple[float, ...]) -> Series:
    affine = np.eye(4)
    affine[:3, :3] = np.diag((8.0, 5.0, 5.0))[::-1]
    affine[:3, 3] = (-90.0, -80.0, -84.0)
    grid = Grid((22, 33, 37), affine, frame)
    index = np.stack(np.indices(grid.shape, dtype=float), axis=-1)
    p = grid.index_to_lps_mm(index) @ to_fixed[:3, :3].T + to_fixed[:3, 3]
    painted = np.where(((p / (75, 65, 80)) ** 2).sum(axis=-1) < 1, 500.0, 0.0)
    for centre, value in zip(MARKS_MM, values, strict=True):
        distance = np.linalg.norm((p - centre) / (1.0, 0.8, 1.2), axis=-1)
        painted += (value - 500.0) / (1 + np.exp((distance - 18.0) / 2.0))
    noise = np.random.default_rng(len(frame) + int(values[0])).normal(0, 15, grid.shape)
    data = np.abs(painted + noise).astype(np.float32)[..., None]
    echoes = EchoStack(Volume(data, grid, quantity("signal")), (0.0012,))
    return Series(str(role), role, echoes, None, study_uid=f"study of {role}")


@pytest.fixture(scope="module")
def pair() -> tuple[Series, Series]:
    return (
        series(Role.MR_PRE, PRE, np.eye(4), (700, 300, 620, 420, 800)),
        series(Role.MR_POST, POST, np.linalg.inv(TRUTH), (150, 310, 200, 800, 560)),
    )


def study(pair: tuple[Series, Series], help_: ManualHelp) -> Study:
    return Study("P1", tuple(Timepoint(s.key, None, (s,)) for s in pair), help=help_)


class Never:
    """An engine that must not be asked."""

    name = "never"

    @staticmethod
    def version() -> str:
        return "1"

    def register(self, *_: object, **__: object) -> RegistrarResult:
        raise AssertionError("a search was started")


class Listener(Never):
    """Answers with where it was told to start, and keeps what it was told."""

    told: dict = {}  # noqa: RUF012

    def register(self, fixed, moving, *, fixed_mask=None, moving_mask=None, **told):  # type: ignore[no-untyped-def, override]
        Listener.told = {**told, "fixed_mask": fixed_mask, "moving_mask": moving_mask}
        start = told["start"]
        matrix = np.array(start.matrix) if isinstance(start, Transform) else TRUTH
        return RegistrarResult(matrix, matrix, "given", 0.1)


def run(monkeypatch, pair, help_: ManualHelp, engine: type = Never):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    return stage.register(study(pair, help_), Config())


def file(matrix: np.ndarray, **options) -> GivenTransform:  # type: ignore[no-untyped-def]
    return GivenTransform(Transform(matrix, PRE, POST), "given.tfm", "ab" * 32, **options)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_a_transform_from_a_file_is_the_registration(monkeypatch, pair, backwards, named) -> None:
    keys = ("mr_post", "mr_pre") if backwards else ("mr_pre", "mr_post")
    transform = Transform(TRUTH, PRE, POST)
    transform = transform.inverse() if backwards else transform
    given = GivenTransform(transform, "g.tfm", "ab" * 32, *(keys if named else ("", "")))
    result = run(monkeypatch, pair, ManualHelp((given,)))
    (made,) = result.value
    assert made.accepted
    assert made.engine == "file"
    assert made.transform.matrix == pytest.approx(TRUTH)
    assert (made.transform.from_frame, made.transform.to_frame) == (PRE, POST)
    assert made.settings["given_result"] == f"file: g.tfm (SHA-256 {'ab' * 8})"
    assert "seed" not in made.settings
    assert np.isnan(made.qc["registration_error_mm"])
    assert made.qc["nmi_after"] > made.qc["nmi_before"]
    assert [f.code for f in result.findings] == ["I_REGISTRATION_GIVEN"]


def test_a_wrong_transform_from_a_file_does_not_pass_the_checks(monkeypatch, pair) -> None:
    wrong = np.array(TRUTH)
    wrong[0, 3] += 35.0
    result = run(monkeypatch, pair, ManualHelp((file(wrong),)))
    (made,) = result.value
    assert not made.accepted
    assert made.engine == "file"
    assert [f.severity for f in result.findings] == [Severity.ERROR]


def test_a_bent_transform_from_a_file_stays_bent(monkeypatch, pair) -> None:
    vectors = np.zeros((4, 4, 4, 3), np.float32)
    vectors[1:3, 1:3, 1:3, 2] = 1.5
    affine = np.diag((40.0, 40.0, 40.0, 1.0))
    affine[:3, 3] = -60.0
    bend = Displacement(vectors, Grid((4, 4, 4), affine, PRE))
    given = GivenTransform(Transform(TRUTH, PRE, POST, bend), "bent.h5", "cd" * 32)
    (made,) = run(monkeypatch, pair, ManualHelp((given,))).value
    point = (5.0, 5.0, 5.0)  # between the eight nodes that are all shifted by the same
    there = TRUTH[:3, :3] @ (5.0, 5.0, 6.5) + TRUTH[:3, 3]
    assert made.transform.apply(point) == pytest.approx(there)


def landmarks(use: HelpUse, moved: np.ndarray = MOVED_MM, *, turned: bool = False) -> LandmarkPairs:
    if turned:
        return LandmarkPairs("mr_post", "mr_pre", moved, MARKS_MM, use)
    return LandmarkPairs("mr_pre", "mr_post", MARKS_MM, moved, use)


@pytest.mark.parametrize("turned", [False, True])
def test_landmarks_as_the_registration(monkeypatch, pair, turned) -> None:
    # Every landmark is misplaced by 1 mm along one axis.
    off = MOVED_MM + np.eye(3)[[0, 1, 2, 0, 1]] * [[1], [-1], [1], [-1], [1]]
    result = run(
        monkeypatch, pair, ManualHelp(landmarks=(landmarks(HelpUse.RESULT, off, turned=turned),))
    )
    (made,) = result.value
    assert made.accepted
    assert made.engine == "landmarks"
    there = made.transform.apply(MARKS_MM)
    assert np.linalg.norm(there - MOVED_MM, axis=1).max() < 1.0
    assert 0.1 < made.qc["landmark_residual_rms_mm"] < 1.0
    assert made.qc["landmark_residual_count"] == 5
    assert "landmark_tre_mean_mm" not in made.qc  # nothing is left to test with
    assert 0.1 < made.qc["registration_error_mm"] < 1.0
    assert len(made.settings["landmark_fit_residuals_mm"]) == 5


def test_landmarks_as_the_start(monkeypatch, pair) -> None:
    (made,) = run(
        monkeypatch, pair, ManualHelp(landmarks=(landmarks(HelpUse.START),)), Listener
    ).value
    assert Listener.told["start"].matrix == pytest.approx(TRUTH, abs=1e-9)
    assert made.engine == "simpleitk-rigid 1"
    assert made.settings["given_start"].startswith("landmarks")
    assert made.qc["landmark_tre_max_mm"] < 1e-6


def test_a_file_as_the_start(monkeypatch, pair) -> None:
    given = file(TRUTH, fixed="mr_pre", moving="mr_post", use=HelpUse.START)
    (made,) = run(monkeypatch, pair, ManualHelp((given,)), Listener).value
    assert Listener.told["start"].matrix == pytest.approx(TRUTH)
    assert made.settings["given_start"].startswith("file: given.tfm")


def test_landmarks_as_a_check_find_a_wrong_alignment(monkeypatch, pair) -> None:
    names = ("a", "b", "c", "d", "e")
    far = LandmarkPairs(
        "mr_pre",
        "mr_post",
        MARKS_MM,
        MOVED_MM + np.array([6.0, 0, 0]),
        HelpUse.CHECK,
        names,
        "l.csv",
    )
    result = run(monkeypatch, pair, ManualHelp(landmarks=(far,)), Listener)
    (made,) = result.value
    assert made.accepted
    assert made.qc["landmark_tre_mean_mm"] == pytest.approx(6.0)
    assert made.settings["landmark_tres_mm"]["2. b"] == pytest.approx(6.0)
    assert [f.code for f in result.findings] == ["W_LANDMARKS"]
    assert len(made.doubts) == 1
    near = ManualHelp(landmarks=(landmarks(HelpUse.CHECK),))
    assert run(monkeypatch, pair, near, Listener).findings == ()


def mask(on: str, frame: str) -> MetricMask:
    return MetricMask(on, np.ones((3, 3, 3)), Grid((3, 3, 3), np.diag((9.0, 9, 9, 1)), frame), "m")


def test_masks_reach_the_engine_and_the_record(monkeypatch, pair) -> None:
    help_ = ManualHelp(masks=(mask("mr_pre", PRE), mask("mr_post", POST), mask("pet", "9")))
    (made,) = run(monkeypatch, pair, help_, Listener).value
    assert Listener.told["fixed_mask"].on == "mr_pre"
    assert Listener.told["moving_mask"].on == "mr_post"
    assert made.settings["fixed_mask"] == "m on mr_pre (100.0 % of its grid)"


def test_an_engine_without_masks_is_not_given_any(monkeypatch, pair) -> None:
    class Plain(Never):
        def register(self, fixed, moving, *, settings, seed, threads, start):  # type: ignore[no-untyped-def, override]
            raise AssertionError

    result = run(monkeypatch, pair, ManualHelp(masks=(mask("mr_pre", PRE),)), Plain)
    assert result.value == ()
    assert [f.code for f in result.findings] == ["E_REGISTRATION_MASK"]


def test_two_results_and_bad_landmarks_are_refused(monkeypatch, pair) -> None:
    two = ManualHelp((file(TRUTH, fixed="mr_pre", moving="mr_post"),), (landmarks(HelpUse.RESULT),))
    with pytest.raises(InputError, match="2 things"):
        run(monkeypatch, pair, two)
    line = LandmarkPairs(
        "mr_pre", "mr_post", MARKS_MM[[0, 0, 0]], MOVED_MM[[0, 0, 0]], HelpUse.START
    )
    with pytest.raises(InputError, match="one line"):
        run(monkeypatch, pair, ManualHelp(landmarks=(line,)))


def test_what_is_for_other_series_is_left_alone(pair) -> None:
    other = ManualHelp(
        (file(TRUTH, fixed="mr_pre", moving="pet"),),
        (LandmarkPairs("mr_pre", "pet", MARKS_MM, MOVED_MM, HelpUse.RESULT),),
    )
    help_ = help_for_pair(other, *pair, pair[1])
    assert help_.result is help_.start is None
    assert landmark_figures(help_, Transform(TRUTH, PRE, POST), Config().register) == ({}, {}, ())


def test_an_engine_with_settings_of_its_own_is_recorded_with_them(monkeypatch, pair) -> None:
    class Own(Never):
        def register(self, fixed, moving, **_):  # type: ignore[no-untyped-def, override]
            return RegistrarResult(
                TRUTH, np.eye(4), "identity", float("nan"), settings={"engine_settings": {"a": 1}}
            )

    (made,) = run(monkeypatch, pair, ManualHelp(), Own).value
    assert made.accepted
    assert made.settings["engine_settings"] == {"a": 1}
    assert made.settings["seed"] == Config().register.seed
    assert "levels" not in made.settings  # the profile's, which it did not follow
    assert "intensity" in made.settings


def test_help_for_series_that_are_not_aligned_is_named(monkeypatch, pair) -> None:
    other = LandmarkPairs("mr_post", "pet", MARKS_MM, MARKS_MM, HelpUse.CHECK, (), "far.csv")
    mask = MetricMask("ct", np.ones(pair[0].grid.shape, bool), pair[0].grid, "ct.nii.gz")
    given = ManualHelp(landmarks=(landmarks(HelpUse.CHECK), other), masks=(mask,))
    result = run(monkeypatch, pair, given, Listener)
    told = [(f.code, f.where) for f in result.findings]
    assert told == [("W_HELP_UNUSED", "pet"), ("W_HELP_UNUSED", "ct")]
    assert "far.csv for mr_post and pet" in result.findings[0].text
    alone = Study("P1", (Timepoint("pre", None, (pair[0],)),), help=given)
    assert len(stage.register(alone, Config()).findings) == 3


def test_help_that_names_a_series_counts_for_its_stand_in(pair) -> None:
    """Two PET/CT sessions: CT is compared with CT, and the reader spoke of the PET."""
    ct = replace(pair[0], key="ct")
    help_ = ManualHelp(landmarks=(landmarks(HelpUse.CHECK),))
    assert help_for_pair(help_, ct, pair[1], pair[1]).landmarks == ()
    found = help_for_pair(help_, ct, pair[1], pair[1], stands_for="mr_pre")
    assert [p.fixed for p, _ in found.landmarks] == ["mr_pre"]


def test_a_start_that_is_not_quite_rigid_is_told(monkeypatch, pair) -> None:
    class Rounding(Listener):
        """Begins, as the default engine does, at the nearest rotation."""

        def register(self, fixed, moving, *, settings, seed, threads, start, **masks):  # type: ignore[no-untyped-def]
            exact = unrounded(np.array(start.matrix))
            return RegistrarResult(np.array(TRUTH), exact, "given", 0.0)

    monkeypatch.setattr(stage, "load_engine", lambda kind, name: Rounding)

    def told(matrix: np.ndarray) -> list[str]:
        given = GivenTransform(
            Transform(matrix, PRE, POST), "t.tfm", "0" * 64, "mr_pre", "mr_post", HelpUse.START
        )
        findings = stage.register(study(pair, ManualHelp((given,))), Config()).findings
        return [f.text for f in findings if f.code == "I_REGISTRATION_START"]

    assert told(TRUTH) == []
    scaled = TRUTH.copy()
    scaled[:3, :3] *= 1.0005
    (text,) = told(scaled)
    # A point x of the body moves by 0.0005 |x|; over an ellipsoid with the half axes 75, 65 and
    # 80 mm the mean of |x|^2 is (75^2 + 65^2 + 80^2) / 5 = 57.0^2: 0.0285 mm
    rms, largest = (float(n) for n in re.findall(r"([0-9.e-]+) mm", text))
    assert rms == pytest.approx(0.0285, rel=0.1)
    # the farthest point of the body lies 80 mm from the centre, to half a step of the grid
    assert largest == pytest.approx(0.04, rel=0.15)
    assert "1.0005" in text
