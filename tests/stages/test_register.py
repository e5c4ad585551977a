"""The stage `register` on the digital abdomen: errors at lesions, checks that can fail, findings.

True transforms and lesion centres come from the scene of the phantom, which shares no code with
eprimg.  Bounds for `small` (MR 3.2 x 3.2 x 5 mm, PET 4.2 x 4.2 x 4 mm): mean error at the lesion
centres at most 0.7 mm between MR sessions and 1.5 mm from MR to PET; without registration it is
more than 3 mm.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import ClassVar

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from eprimg.config import Config
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.errors import ConfigError, EngineError, EngineUnavailable
from eprimg.model.case import Severity
from eprimg.model.grid import Grid
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity
from eprimg.stages import register as stage
from eprimg.stages.register import register
from eprimg.stages.register_contrast import comparable_volume
from eprimg.stages.register_judge import judge
from tests.quick import PROFILE, QUICK

MR_BOUND_MM, PET_BOUND_MM, UNALIGNED_MM = 0.7, 1.5, 3.0
CONFIG = Config()


@cache
def scene_series(seed: int) -> tuple[dict[str, Series], dict[str, np.ndarray], np.ndarray]:
    """First two echoes of both MR sessions, PET and CT; true matrices; lesion centres."""
    from eprimg_phantoms import mri, pet
    from eprimg_phantoms.ct import acquire_ct, ct_grid
    from eprimg_phantoms.scene import load_scene

    scene = load_scene("abdomen")
    scene.mr["echo_times_ms"] = {"first": 1.2, "last": 3.0, "count": 2}
    rng = np.random.default_rng(seed)
    where = mri.mr_grid(scene, "small")
    made = {}
    for session, role in (("pre", Role.MR_PRE), ("post", Role.MR_POST)):
        slices = [np.moveaxis(s.stored, 0, -1) for s in mri.acquire(scene, where, session, rng)]
        volume = Volume(
            np.stack(slices).astype(np.float32),
            Grid(where.shape, where.affine, session),
            quantity("signal"),
        )
        made[str(role)] = series(role, EchoStack(volume, (0.0012, 0.003)))
    there = pet.pet_grid(scene, "small")
    activity = pet.reconstruct(scene, "small", rng)[0]
    made["pet"] = series(
        Role.PET,
        Volume(activity, Grid(there.shape, there.affine, "pet"), quantity("activity")),
    )
    fine = ct_grid(scene, "small")
    numbers = np.stack(list(acquire_ct(scene, fine, rng)))
    made["ct"] = series(
        Role.CT, Volume(numbers, Grid(fine.shape, fine.affine, "pet"), quantity("hounsfield"))
    )
    truth = {f"mr_{n}" if n != "pet" else n: s.motion.matrix for n, s in scene.sessions.items()}
    return made, truth, np.array([lesion.centre_mm for lesion in scene.lesions])


@pytest.fixture(scope="module")
def searched_quickly(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A quick search, judged by the check of the profile of the package."""
    whole = files("eprimg.resources").joinpath(f"registration/{CONFIG.register.profile}.toml")
    search, _, _ = PROFILE.read_text(encoding="utf-8").partition("[check]")
    _, table, check = whole.read_text(encoding="utf-8").partition("[check]")
    made = tmp_path_factory.mktemp("profile") / "quick-search.toml"
    made.write_text(search + table + check, encoding="utf-8")
    return CONFIG.with_settings({"register": {"profile": str(made)}})


def series(role: Role, pixels: EchoStack | Volume, study_uid: str | None = None) -> Series:
    return Series(str(role), role, pixels, None, study_uid=study_uid or f"study of {role}")


def study(*members: Series) -> Study:
    return Study("P1", tuple(Timepoint(s.key, None, (s,)) for s in members))


def error_mm(matrix: np.ndarray, truth: np.ndarray, points: np.ndarray) -> float:
    difference = np.asarray(matrix) - truth
    return float(np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3], axis=1).mean())


def codes(result) -> list[str]:
    return [finding.code for finding in result.findings]


@pytest.mark.parametrize(("seed", "config"), [(1, CONFIG), (2, QUICK), (3, QUICK)])
def test_error_at_the_lesions(seed: int, config: Config) -> None:
    # 94 further cases of the abdomen with the full profile: docs/validation/registration.md.
    made, truth, lesions = scene_series(seed)
    result = register(study(made["mr_pre"], made["mr_post"], made["pet"]), config)
    assert [(r.fixed, r.moving) for r in result.value] == [("mr_pre", "mr_post"), ("mr_pre", "pet")]
    for registration, bound in zip(result.value, (MR_BOUND_MM, PET_BOUND_MM), strict=True):
        true = truth[registration.moving]
        # The bound means something only if a missing registration breaks it.
        assert error_mm(np.eye(4), true, lesions) > UNALIGNED_MM > bound
        assert registration.accepted
        assert error_mm(registration.transform.matrix, true, lesions) <= bound
        assert registration.engine.startswith("simpleitk-rigid 2")
        frames = (registration.transform.from_frame, registration.transform.to_frame)
        assert frames == ("pre", {"mr_post": "post", "pet": "pet"}[registration.moving])
        qc = registration.qc
        assert qc["nmi_after"] > qc["nmi_before"]
        assert qc["ncc_after"] > qc["ncc_before"]
        assert qc["nmi_other_orientation"] < qc["nmi_after"]
        assert qc["other_orientation_share"] < 0.95
        assert registration.doubts == ()
        assert 0.0 < qc["registration_error_mm"] < bound
        assert registration.settings["seed"] == CONFIG.register.seed
    assert codes(result) == []


def test_pet_goes_through_its_ct() -> None:
    made, truth, lesions = scene_series(1)
    result = register(study(made["mr_pre"], made["pet"], made["ct"]), QUICK)
    (registration,) = result.value
    assert registration.moving == "pet"
    assert registration.settings["aligned_with"] == "ct"
    assert registration.qc["through_ct"] == 1.0
    assert codes(result) == ["I_REGISTRATION_CT"]
    error = error_mm(registration.transform.matrix, truth["pet"], lesions)
    assert error <= PET_BOUND_MM


def test_a_useless_ct_falls_back_to_pet() -> None:
    made, truth, lesions = scene_series(1)
    ct = made["ct"]
    empty = np.full(ct.grid.shape, -1000, np.int16)
    blank = replace(ct, pixels=Volume(empty, ct.grid, quantity("hounsfield")))
    result = register(study(made["mr_pre"], made["pet"], blank), QUICK)
    (registration,) = result.value
    assert registration.accepted
    assert registration.qc["through_ct"] == 0.0
    assert codes(result) == ["W_REGISTRATION"]
    assert error_mm(registration.transform.matrix, truth["pet"], lesions) <= PET_BOUND_MM


def test_only_post_and_pet() -> None:
    made, truth, lesions = scene_series(1)
    (registration,) = register(study(made["mr_post"], made["pet"]), QUICK).value
    assert (registration.fixed, registration.moving) == ("mr_post", "pet")
    there = lesions @ truth["mr_post"][:3, :3].T + truth["mr_post"][:3, 3]
    true = truth["pet"] @ np.linalg.inv(truth["mr_post"])
    # MR after ferumoxytol: dark liver and spleen, and 16 mm of movement.
    assert error_mm(np.eye(4), true, there) > UNALIGNED_MM
    assert error_mm(registration.transform.matrix, true, there) <= PET_BOUND_MM


@pytest.mark.parametrize("role", ["mr_pre", "mr_post", "pet"])
def test_one_series_needs_nothing(role: str) -> None:
    made, _, _ = scene_series(1)
    assert register(study(made[role]), QUICK).value == ()


# ---- one session: identity, after a check


def one_session(moved_mm: float) -> Study:
    """MR before and after in one session; the header hides a movement along x."""
    made, truth, _ = scene_series(1)
    post = made["mr_post"]
    hidden = np.array(truth["mr_post"])
    shift = np.eye(4)
    shift[0, 3] = moved_mm
    affine = shift @ np.linalg.inv(hidden) @ post.grid.affine
    grid = Grid(post.grid.shape, affine, "pre")
    stack = EchoStack(
        Volume(post.pixels.volume.data, grid, quantity("signal")), post.pixels.echo_times_s
    )
    return study(
        replace(made["mr_pre"], study_uid="visit 1"),
        replace(post, pixels=stack, study_uid="visit 1"),
    )


def test_identity_is_taken_within_a_session_after_a_check() -> None:
    result = register(one_session(0.0), QUICK)
    (registration,) = result.value
    assert registration.engine == "identity"
    assert np.array_equal(registration.transform.matrix, np.eye(4))
    assert registration.accepted
    assert codes(result) == ["I_REGISTRATION_IDENTITY"]
    assert registration.qc["registration_error_mm"] >= registration.qc["moved_rms_mm"]


def test_identity_is_not_taken_when_the_patient_moved() -> None:
    result = register(one_session(6.0), QUICK)
    (registration,) = result.value
    assert registration.engine.startswith("simpleitk-rigid")
    assert registration.qc["moved_center_mm"] == pytest.approx(6.0, abs=MR_BOUND_MM)
    assert "W_REGISTRATION_MOVED" in codes(result)


def test_identity_is_not_taken_when_switched_off_or_across_sessions() -> None:
    off = QUICK.with_assignments(["register.accept_identity=false"])
    assert register(one_session(0.0), off).value[0].engine != "identity"
    pre, post = one_session(0.0).series
    apart = study(pre, replace(post, study_uid="visit 2"))
    registration = register(apart, QUICK).value[0]
    assert registration.engine != "identity"
    assert registration.settings["started_from"] == "identity"


# ---- the checks refuse


def test_too_much_movement_is_refused_in_words() -> None:
    made, _, _ = scene_series(1)
    config = QUICK.with_assignments(["register.max_moved_mm=2.0", "register.max_rotated_deg=1.0"])
    result = register(study(made["mr_pre"], made["mr_post"]), config)
    (registration,) = result.value
    assert not registration.accepted
    assert codes(result) == ["E_REGISTRATION"]
    assert result.findings[0].severity == Severity.ERROR
    for words in ("register.max_moved_mm", "register.max_rotated_deg"):
        assert words in registration.note


class _Fixed:
    """An engine that answers with a given matrix, right or wrong."""

    matrix = np.eye(4)

    @staticmethod
    def version() -> str:
        return "2 (fake)"

    def register(self, fixed, moving, **options) -> RegistrarResult:
        return RegistrarResult(self.matrix, np.eye(4), "identity", 0.1)


@pytest.mark.parametrize(
    ("shift_mm", "words"),
    [
        ((25.0, 0.0, 0.0), "mutual information fell"),
        ((0.0, 0.0, -30.0), "looks as good"),
        ((0.0, 0.0, 170.0), "field of view"),
        ((900.0, 0.0, 0.0), "too few points"),
    ],
)
def test_a_wrong_answer_of_an_engine_does_not_pass(monkeypatch, shift_mm, words) -> None:
    made, truth, _ = scene_series(1)
    engine = type("Wrong", (_Fixed,), {"matrix": np.array(truth["mr_post"])})
    engine.matrix[:3, 3] += shift_mm
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    config = CONFIG.with_assignments(["register.max_moved_mm=2000.0"])
    result = register(study(made["mr_pre"], made["mr_post"]), config)
    assert not result.value[0].accepted
    assert words in result.value[0].note


def test_the_right_answer_passes_the_same_checks(monkeypatch) -> None:
    made, truth, _ = scene_series(1)
    engine = type("Right", (_Fixed,), {"matrix": truth["mr_post"]})
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    result = register(study(made["mr_pre"], made["mr_post"]), CONFIG)
    assert result.value[0].accepted
    assert codes(result) == []


def test_a_rejected_alignment_is_kept_but_not_used(monkeypatch) -> None:
    made, truth, _ = scene_series(1)
    engine = type("Right", (_Fixed,), {"matrix": truth["mr_post"]})
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    config = QUICK.with_assignments(["register.reject=mr_post"])
    result = register(study(made["mr_pre"], made["mr_post"]), config)
    (registration,) = result.value
    assert (registration.accepted, registration.rejected) == (False, True)
    assert np.array_equal(registration.transform.matrix, truth["mr_post"])
    assert codes(result) == ["W_REGISTRATION_REJECTED"]
    # Without the engine the same is reached, and taken back.
    restored = judge(result.value, QUICK.register)
    assert (restored.value[0].accepted, restored.findings) == (True, ())
    again = judge(restored.value, config.register)
    assert (again.value[0].accepted, again.findings) == (False, result.findings)


def test_a_refused_alignment_cannot_be_had_by_rejecting_it(monkeypatch) -> None:
    made, _, _ = scene_series(1)
    engine = type("Far", (_Fixed,), {"matrix": np.diag([1.0, 1.0, 1.0, 1.0])})
    engine.matrix[:3, 3] = (900.0, 0.0, 0.0)
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    config = QUICK.with_assignments(["register.reject=['mr_post', 'pet']"])
    refused = register(study(made["mr_pre"], made["mr_post"]), config).value
    assert (refused[0].accepted, refused[0].rejected) == (False, False)
    assert not judge(refused, QUICK.register).value[0].accepted


def test_only_a_series_that_is_aligned_can_be_rejected() -> None:
    with pytest.raises(ConfigError, match="must be among mr_post, pet"):
        QUICK.with_assignments(["register.reject=pte"])


def test_a_place_beside_the_peak_is_refused(monkeypatch) -> None:
    made, truth, _ = scene_series(1)
    engine = type("Beside", (_Fixed,), {"matrix": np.array(truth["mr_post"])})
    engine.matrix[0, 3] += 14.0  # better than the header's start would be at 20 mm, still wrong
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    result = register(study(made["mr_pre"], made["mr_post"]), CONFIG)
    assert not result.value[0].accepted
    assert "looks as good" in result.value[0].note


def test_estimates_that_disagree_are_doubtful(monkeypatch) -> None:
    made, truth, _ = scene_series(1)

    class Doubtful(_Fixed):
        def register(self, fixed, moving, **options) -> RegistrarResult:
            return RegistrarResult(truth["mr_post"], np.eye(4), "identity", 7.5)

    monkeypatch.setattr(stage, "load_engine", lambda kind, name: Doubtful)
    result = register(study(made["mr_pre"], made["mr_post"]), QUICK)
    assert result.value[0].accepted
    assert codes(result) == ["W_REGISTRATION"]
    assert result.value[0].qc["registration_error_mm"] == 7.5


def test_a_constant_series_is_a_finding_not_a_crash() -> None:
    made, _, _ = scene_series(1)
    pet = made["pet"]
    flat = replace(
        pet, pixels=Volume(np.zeros(pet.grid.shape, np.float32), pet.grid, quantity("activity"))
    )
    result = register(study(made["mr_pre"], flat), QUICK)
    assert result.value == ()
    assert codes(result) == ["E_CONSTANT"]
    assert result.findings[0].where == "pet"


def test_unknown_engine_and_profile_stop_the_stage() -> None:
    made, _, _ = scene_series(1)
    both = study(made["mr_pre"], made["mr_post"])
    with pytest.raises(EngineUnavailable):
        register(both, QUICK.with_assignments(["register.engine=no-such-engine"]))
    with pytest.raises(ConfigError):
        register(both, QUICK.with_assignments(["register.profile=no-such-profile"]))


def test_progress_names_the_series_and_ends_at_one() -> None:
    made, _, _ = scene_series(1)
    told: list[tuple[str, float]] = []
    result = register(
        study(made["mr_pre"], made["mr_post"]), QUICK, progress=lambda *told_: told.append(told_)
    )
    # A profile of one's own is followed, and named without its folder.
    settings = result.value[0].settings
    assert settings["profile"] == PROFILE.name
    assert len(settings["profile_sha256"]) == 64
    assert [level["grid_mm"] for level in settings["levels"]] == [8.0, 5.0]
    assert all(words.startswith("mr_post: ") for words, _ in told)
    assert told[-1][1] == 1.0


def test_frames_of_a_dynamic_pet_are_averaged() -> None:
    made, _, _ = scene_series(1)
    grid = made["pet"].grid
    frames = np.stack([np.full(grid.shape, 1.0), np.full(grid.shape, 3.0)], axis=-1)
    dynamic = replace(made["pet"], pixels=Volume(frames, grid, quantity("activity")))
    assert np.all(comparable_volume(dynamic, "first-echo").data == 2.0)


def test_a_mirrored_session_is_refused_although_it_looks_settled(searched_quickly) -> None:
    made, _, _ = scene_series(1)
    post = made["mr_post"]
    assert isinstance(post.pixels, EchoStack)
    # A writer that forgot the direction of the rows: voxels reversed, header as it was.
    volume = post.pixels.volume
    mirrored = Volume(np.ascontiguousarray(volume.data[:, :, ::-1]), volume.grid, volume.quantity)
    wrong = replace(post, pixels=EchoStack(mirrored, post.pixels.echo_times_s))
    (registration,) = register(study(made["mr_pre"], wrong), searched_quickly).value
    assert not registration.accepted
    assert "mirrored left to right" in registration.note


def test_a_pet_turned_by_half_a_circle_is_refused(searched_quickly) -> None:
    made, _, _ = scene_series(1)
    pet = made["pet"]
    assert isinstance(pet.pixels, Volume)
    turned = np.ascontiguousarray(pet.pixels.data[:, ::-1, ::-1])
    wrong = replace(pet, pixels=Volume(turned, pet.grid, pet.pixels.quantity))
    result = register(study(made["mr_pre"], wrong), searched_quickly)
    (registration,) = result.value
    assert not registration.accepted
    assert "180 degrees about the head-foot axis" in registration.note
    assert codes(result) == ["E_REGISTRATION"]


def test_a_pet_turned_under_a_right_ct_is_refused(monkeypatch) -> None:
    made, truth, _ = scene_series(1)
    engine = type("Right", (_Fixed,), {"matrix": truth["pet"]})
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    pet = made["pet"]
    turned = np.ascontiguousarray(pet.pixels.data[:, ::-1, ::-1])
    wrong = replace(pet, pixels=Volume(turned, pet.grid, pet.pixels.quantity))
    result = register(study(made["mr_pre"], wrong, made["ct"]), CONFIG)
    (registration,) = result.value
    assert not registration.accepted
    assert "pet fits better turned by 180 degrees" in registration.note
    assert codes(result) == ["W_REGISTRATION", "E_REGISTRATION"]


def test_part_of_the_body_is_not_taken_for_a_wrong_orientation(monkeypatch) -> None:
    made, truth, _ = scene_series(1)
    engine = type("Right", (_Fixed,), {"matrix": truth["pet"]})
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    pet = made["pet"]
    half = pet.grid.shape[0] // 2
    grid = Grid((half, *pet.grid.shape[1:]), pet.grid.affine, "pet")
    lower = Volume(np.ascontiguousarray(pet.pixels.data[:half]), grid, pet.pixels.quantity)
    (registration,) = register(study(made["mr_pre"], replace(pet, pixels=lower)), CONFIG).value
    assert registration.accepted
    assert registration.doubts == ()


def test_a_doubt_is_recorded_where_the_tiers_look(monkeypatch) -> None:
    made, _, _ = scene_series(1)
    profile = stage.load_profile(QUICK.register.profile)
    profile["check"] = {**profile["check"], "doubtful_peak_ratio": 99.0}
    monkeypatch.setattr(stage, "load_profile", lambda name: profile)
    result = register(study(made["mr_pre"], made["mr_post"]), QUICK)
    (registration,) = result.value
    assert registration.accepted
    (doubt,) = registration.doubts
    assert "almost as well" in doubt
    assert codes(result) == ["W_REGISTRATION"]


class _Frames:
    """An engine that answers with the matrix of a pair of frames, or fails."""

    answers: ClassVar[dict] = {}
    asked: ClassVar[list] = []

    @staticmethod
    def version() -> str:
        return "2 (fake)"

    def register(self, fixed, moving, **options) -> RegistrarResult:
        pair = (fixed.grid.frame_of_reference, moving.grid.frame_of_reference)
        self.asked.append(pair)
        if pair not in self.answers:
            raise EngineError("no answer", code="E_REGISTRATION_STOPPED")
        return RegistrarResult(self.answers[pair], np.eye(4), "identity", 0.3)


def small_series(key: str, role: Role, frame: str, shift_mm=(0.0, 0.0, 0.0)) -> Series:
    """Make a small series of structure without symmetry, the same for all but for its place."""
    noise = np.random.default_rng(11).normal(size=(24, 28, 26))
    values = 100.0 + 900.0 * gaussian_filter(noise, 2.0)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])[:, [2, 1, 0, 3]]
    affine[:3, 3] = shift_mm
    unit = quantity("signal" if role in (Role.MR_PRE, Role.MR_POST) else "activity")
    volume = Volume(values.astype(np.float32), Grid(values.shape, affine, frame), unit)
    return replace(series(role, volume, f"study of {frame}"), key=key)


SHIFT = (6.0, -4.0, 3.0)
BETWEEN = np.eye(4)
BETWEEN[:3, 3] = SHIFT


def test_a_time_point_that_fails_is_aligned_through_another_one(monkeypatch) -> None:
    turn = np.eye(4)
    turn[:3, 3] = (2.0, 1.0, -1.0)
    answers = {("pre", "post"): turn, ("post", "later"): BETWEEN}
    engine = type("Frames", (_Frames,), {"answers": answers, "asked": []})
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    members = study(
        small_series("mr_pre", Role.MR_PRE, "pre"),
        small_series("mr_post", Role.MR_POST, "post", turn[:3, 3]),
        small_series("mr_post_2", Role.MR_POST, "later", turn[:3, 3] + SHIFT),
    )
    result = register(members, QUICK)
    assert engine.asked == [("pre", "post"), ("pre", "later"), ("post", "later")]
    direct, chained = result.value
    assert (direct.moving, chained.moving) == ("mr_post", "mr_post_2")
    assert chained.accepted
    assert (chained.fixed, chained.settings["through"]) == ("mr_pre", ["mr_post"])
    # Points of the first session go to the second, then on: one matrix.
    np.testing.assert_allclose(chained.transform.matrix, BETWEEN @ turn)
    assert (chained.transform.from_frame, chained.transform.to_frame) == ("pre", "later")
    # 0.3 mm twice, independent of each other.
    assert chained.qc["registration_error_mm"] == pytest.approx(0.3 * np.sqrt(2.0))
    assert "W_REGISTRATION_CHAIN" in codes(result)
    assert "E_REGISTRATION_STOPPED" not in codes(result)
    # Who rejects the first part rejects the whole.
    config = QUICK.with_assignments(["register.reject=mr_post"])
    assert [r.rejected for r in judge(result.value, config.register).value] == [True, True]
    refused = register(members, config)
    assert [r.moving for r in refused.value] == ["mr_post"]
    assert "E_REGISTRATION_STOPPED" in codes(refused)


def test_pet_sessions_are_aligned_by_their_cts(monkeypatch) -> None:
    engine = type("Frames", (_Frames,), {"answers": {("now", "later"): BETWEEN}, "asked": []})
    monkeypatch.setattr(stage, "load_engine", lambda kind, name: engine)
    members = [
        small_series(f"{role}{end}", role, frame, shift)
        for end, frame, shift in (("", "now", (0.0, 0.0, 0.0)), ("_2", "later", SHIFT))
        for role in (Role.PET, Role.CT)
    ]
    result = register(study(*members), QUICK)
    (registration,) = result.value
    assert registration.accepted
    assert (registration.fixed, registration.moving) == ("pet", "pet_2")
    assert registration.settings["aligned_with"] == "ct_2"
    np.testing.assert_array_equal(registration.transform.matrix, BETWEEN)
    assert "I_REGISTRATION_CT" in codes(result)
