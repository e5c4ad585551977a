"""Bending in the stage: used when it passes and is better, refused otherwise, never silently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.deformable_settings import DeformableSettings
from eprimg.engines.registrars.deformation import InverseConsistency, JacobianFigures
from eprimg.engines.registrars.orientation import OtherOrientation
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.engines.registrars.similarity import Similarity
from eprimg.engines.registrars.simpleitk_deformable import SimpleITKDeformable
from eprimg.engines.registrars.simpleitk_rigid import SimpleITKRigid
from eprimg.errors import Cancelled, EngineError
from eprimg.model.displacement import Displacement
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.model.manual_help import HelpUse, LandmarkPairs, ManualHelp
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from eprimg.stages import _register_work, register_bend, register_examine
from eprimg.stages import register as stage
from eprimg.stages.register import register
from eprimg.stages.register_bend import Bent, list_bend_faults, reasons_to_bend
from eprimg.stages.register_check import Orientation
from eprimg.stages.register_regions import RegionFit
from tests.engines.registrars.bent_scene import MARKS_MM, POST, PRE, bent_place, grid, painted

RULES = DeformableSettings.from_mapping(load_profile("bspline-ncc"))
CONFIG = Config().with_assignments(["register.model=deformable", "threads=1"])
SHIFT_MM = (4.0, -3.0, 2.0)

GOOD = Bent(
    Similarity(1.3, 0.80, 0.9),
    Similarity(1.4, 0.90, 0.9),
    JacobianFigures(0.8, 0.85, 0.0, 0.05, 0.6),
    InverseConsistency(0.4, 1.0),
    (RegionFit("lesion-1", True, 3.0, 0.7), RegionFit("liver", False, 6.0, 0.9)),
    (RegionFit("lesion-1", True, 1.0, 0.9), RegionFit("liver", False, 2.0, 0.95)),
)


# ---- rules, from figures made up by hand


def test_nothing_speaks_against_a_good_one() -> None:
    assert list_bend_faults(GOOD, RULES.accept) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jacobian": JacobianFigures(-0.1, 0.5, 0.1, np.inf, -0.1)}, "folds space"),
        ({"jacobian": JacobianFigures(0.8, 0.85, 0.0, 0.05, -0.1)}, "folds space"),
        ({"jacobian": JacobianFigures(0.3, 0.4, 0.0, 0.16, 0.3)}, "SD of log J 0.16"),
        ({"bent": Similarity(1.5, 0.79, 0.9)}, "does not rise"),
        ({"bent": Similarity(1.5, 0.805, 0.9)}, "does not rise"),
        ({"bent": Similarity(1.5, float("nan"), 0.9)}, "does not rise"),
        (
            {"bent_fits": (RegionFit("lesion-1", True, 3.6, 0.9), GOOD.bent_fits[1])},
            "lesion-1 moves away",
        ),
        (
            {"bent_fits": (GOOD.bent_fits[0], RegionFit("liver", False, 2.0, 0.87))},
            "liver overlap less",
        ),
    ],
)
def test_one_fault_at_a_time(changes: dict[str, object], words: str) -> None:
    (fault,) = list_bend_faults(replace(GOOD, **changes), RULES.accept)
    assert words in fault


@pytest.mark.parametrize(
    ("fits", "ncc2", "words"),
    [
        ((), 0.95, ""),
        ((), 0.5, "local correlation"),
        ((RegionFit("a", True, 1.9, 0.5),), 0.5, ""),
        ((RegionFit("a", True, 2.1, 0.5),), 0.95, "on average"),
        (
            (RegionFit("a", True, 5.1, 0.5), *(RegionFit("b", True, 0.1, 0.5),) * 5),
            0.95,
            "a lesion lies 5.1 mm off",
        ),
        ((RegionFit("liver", False, 20.0, 0.86),), 0.5, ""),
        ((RegionFit("liver", False, 20.0, 0.84),), 0.95, "masks of liver"),
    ],
)
def test_when_auto_bends(fits, ncc2: float, words: str) -> None:
    found = reasons_to_bend(fits, Similarity(1.3, ncc2, 0.9), RULES)
    assert len(found) == (1 if words else 0)
    assert all(words in reason for reason in found)


# ---- the stage, on a small bent body


@pytest.fixture(scope="module")
def bodies() -> dict[str, Volume]:
    return {
        "pre": painted(PRE, frame="pre", seed=1),
        "post": painted(POST, frame="post", peak_mm=8.0, shift_mm=SHIFT_MM, seed=2),
        "still": painted(POST, frame="post", shift_mm=SHIFT_MM, seed=3),
    }


class _Known(SimpleITKRigid):
    def register(self, fixed, moving, **options) -> RegistrarResult:
        matrix = np.eye(4)
        matrix[:3, 3] = SHIFT_MM
        return RegistrarResult(matrix, np.eye(4), "identity", 0.2)


@pytest.fixture(autouse=True, scope="module")
def engines() -> Iterator[None]:
    """The bending engine itself, whatever is installed; what comes before it is known and quick."""
    turned = Orientation("mr_post", 1.4, OtherOrientation("turned", 1.1, np.eye(4)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "load_engine", lambda kind, name: _Known)
        patch.setattr(register_examine, "orientation_of", lambda *args, **options: turned)
        patch.setattr(register_bend, "load_engine", lambda kind, name: SimpleITKDeformable)
        yield


@pytest.fixture(scope="module")
def aligned(bodies):
    """The bent session, aligned once, and what was told meanwhile."""
    told: list[float] = []
    result = register(
        study(bodies["pre"], bodies["post"], pairs=(marks(),)),
        CONFIG,
        progress=lambda words, share: told.append(share),
    )
    return result, told


def marks() -> LandmarkPairs:
    """The same points in both sessions, as a reader would set them."""
    moved = bent_place(MARKS_MM) + SHIFT_MM
    return LandmarkPairs("mr_pre", "mr_post", MARKS_MM, moved, HelpUse.CHECK)


def study(pre: Volume, post: Volume, *, role: Role = Role.MR_POST, regions=(), pairs=()) -> Study:
    members = (
        Series("mr_pre", Role.MR_PRE, pre, None, study_uid="1"),
        Series(str(role), role, post, None, study_uid="2"),
    )
    points = tuple(Timepoint(s.key, None, (s,)) for s in members)
    return Study("P1", points, regions, help=ManualHelp(landmarks=pairs))


def codes(result) -> list[str]:
    return [finding.code for finding in result.findings]


def spheres(frame: str, centres: np.ndarray, *, wrong_mm: float = 0.0) -> LesionSet:
    where = grid(frame)
    index = np.moveaxis(np.indices(where.shape), 0, -1)
    points = where.index_to_lps_mm(index)
    labels = np.zeros(where.shape, dtype=np.int16)
    for number, centre in enumerate(centres, start=1):
        place = centre + np.array([0.0, 0.0, wrong_mm])
        labels[np.linalg.norm(points - place, axis=-1) < 14.0] = number
    regions = tuple(Region(n, f"lesion-{n}", RegionRole.LESION) for n in range(1, len(centres) + 1))
    return LesionSet(labels, where, regions)


def test_a_bent_session_is_aligned_bent(aligned) -> None:
    result, told = aligned
    (found,) = result.value
    truth = bent_place(MARKS_MM) + SHIFT_MM
    rigid = np.linalg.norm(MARKS_MM + SHIFT_MM - truth, axis=1).mean()
    error = np.linalg.norm(found.transform.apply(MARKS_MM) - truth, axis=1).mean()
    assert rigid > 4.0
    assert error < 1.5  # a quarter of a voxel
    assert found.accepted
    assert found.engine.startswith("simpleitk-deformable 2")
    assert found.settings["model"] == "deformable"
    assert found.settings["bending"]["fit"] == load_profile("bspline-ncc")["fit"]
    qc = found.qc
    assert qc["bent"] == 1.0
    assert qc["ncc_after"] == qc["ncc_bent"] > qc["ncc_rigid"]
    assert qc["nmi_after"] == qc["nmi_bent"]
    assert qc["folding_percent"] == 0.0
    assert 0.0 < qc["jacobian_min"] < 1.0
    assert 0.0 < qc["inverse_mean_mm"] < qc["inverse_p95_mm"]
    assert qc["registration_error_mm"] >= qc["inverse_mean_mm"]
    # Landmarks are looked at where the bent transform puts them: no doubt is left of the rigid one.
    assert qc["landmark_tre_mean_mm"] == pytest.approx(error, abs=1e-6)
    assert codes(result) == ["I_REGISTRATION_BENT"]
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_still_session_stays_rigid_and_says_so(bodies) -> None:
    result = register(study(bodies["pre"], bodies["still"]), CONFIG)
    (found,) = result.value
    assert found.accepted
    assert found.transform.is_affine
    assert found.engine.startswith("simpleitk-rigid")
    assert found.qc["bent"] == 0.0
    assert codes(result) == ["I_REGISTRATION_RIGID"]


def test_a_doubt_that_the_bending_lifts_is_lifted(bodies, aligned, monkeypatch) -> None:
    profile = stage.load_profile("rigid-mi")
    both = study(bodies["pre"], bodies["post"])
    qc = aligned[0].value[0].qc
    limit = 0.5 * (qc["ncc_rigid"] + qc["ncc_bent"])
    changed = {**profile, "check": {**profile["check"], "doubtful_local_ncc2_mr": limit}}
    monkeypatch.setattr(stage, "load_profile", lambda name: changed)
    stiff = register(both, Config())
    assert codes(stiff) == ["W_REGISTRATION"]
    assert "hardly resemble" in stiff.value[0].doubts[0]
    bent = register(both, CONFIG)
    assert codes(bent) == ["I_REGISTRATION_BENT"]
    assert bent.value[0].doubts == ()


def test_bendings_that_disagree_are_doubtful(bodies, monkeypatch) -> None:
    monkeypatch.setattr(register_bend, "load_engine", lambda kind, name: _OneWay)
    result = register(study(bodies["pre"], bodies["post"]), CONFIG)
    (doubt,) = result.value[0].doubts
    assert "both directions disagree" in doubt
    assert sorted(codes(result)) == ["I_REGISTRATION_BENT", "W_REGISTRATION"]


def test_rigid_is_the_default_and_tries_nothing(bodies, monkeypatch) -> None:
    monkeypatch.setattr(register_bend, "load_engine", lambda kind, name: pytest.fail("tried"))
    result = register(study(bodies["pre"], bodies["post"]), Config())
    assert result.value[0].transform.is_affine
    assert codes(result) == []


def test_auto_bends_only_with_a_reason(bodies, monkeypatch) -> None:
    auto = CONFIG.with_assignments(["register.model=auto"])
    truth = bent_place(MARKS_MM) + SHIFT_MM
    masks = (spheres("pre", MARKS_MM), spheres("post", truth))
    bent = register(study(bodies["pre"], bodies["post"], regions=masks), auto)
    assert codes(bent) == ["I_REGISTRATION_BENT"]
    qc = bent.value[0].qc
    # Distances of the true centres under the rigid transform, within the voxels of the masks.
    expected = np.linalg.norm(MARKS_MM + SHIFT_MM - truth, axis=1).mean()
    assert qc["centroid_mean_rigid_mm"] == pytest.approx(expected, abs=1.0)
    assert qc["centroid_mean_bent_mm"] < 0.5 * qc["centroid_mean_rigid_mm"]
    assert "lesions lie" in bent.value[0].note
    monkeypatch.setattr(register_bend, "load_engine", lambda kind, name: _Never)
    right = (spheres("pre", MARKS_MM), spheres("post", MARKS_MM + SHIFT_MM))
    still = register(study(bodies["pre"], bodies["still"], regions=right), auto)
    assert codes(still) == []
    assert still.value[0].note.endswith("no sign of bending")


def test_a_lesion_that_moves_away_refuses_the_bending(bodies) -> None:
    truth = MARKS_MM + SHIFT_MM  # as if the lesions had not moved with the rest
    masks = (spheres("pre", MARKS_MM), spheres("post", truth))
    result = register(study(bodies["pre"], bodies["post"], regions=masks), CONFIG)
    (found,) = result.value
    assert found.accepted
    assert found.transform.is_affine
    assert "moves away" in found.note
    assert found.qc["centroid_mean_bent_mm"] > found.qc["centroid_mean_rigid_mm"]
    assert codes(result) == ["W_REGISTRATION_RIGID"]


class _Never(SimpleITKDeformable):
    def register(self, fixed, moving, **options) -> RegistrarResult:
        raise AssertionError("no reason to bend")


class _Folds(SimpleITKDeformable):
    def register(self, fixed, moving, *, start, **options) -> RegistrarResult:
        where = fixed.grid
        vectors = np.zeros((*where.shape, 3), dtype=np.float32)
        vectors[16, 16, 16, 0] = 20.0
        field = Displacement(vectors, where)
        return RegistrarResult(np.array(start.matrix), np.eye(4), "given", 0.1, displacement=field)


class _OneWay(SimpleITKDeformable):
    def register(self, fixed, moving, *, start, **options) -> RegistrarResult:
        if fixed.grid.frame_of_reference == "pre":
            return super().register(fixed, moving, start=start, **options)
        matrix = np.array(start.matrix)
        return RegistrarResult(matrix, matrix, "given", 0.1)


class _Fails(SimpleITKDeformable):
    def register(self, fixed, moving, **options) -> RegistrarResult:
        raise EngineError("nothing found", code="E_REGISTRATION")


@pytest.mark.parametrize(("engine", "words"), [(_Folds, "folds space"), (_Fails, "nothing found")])
def test_a_bad_bending_leaves_the_rigid_one(bodies, monkeypatch, engine, words) -> None:
    monkeypatch.setattr(register_bend, "load_engine", lambda kind, name: engine)
    result = register(study(bodies["pre"], bodies["post"]), CONFIG)
    (found,) = result.value
    assert found.accepted
    assert found.transform.is_affine
    assert words in found.note
    assert codes(result) == ["W_REGISTRATION_RIGID"]


def test_pet_is_not_bent(bodies, monkeypatch) -> None:
    monkeypatch.setattr(register_bend, "load_engine", lambda kind, name: _Never)
    pet = Volume(bodies["still"].data, bodies["still"].grid, quantity("activity"))
    (found,) = register(study(bodies["pre"], pet, role=Role.PET), CONFIG).value
    assert found.transform.is_affine
    assert "not bent: only signal is" in found.note


def test_a_stop_while_bending_ends_the_stage(bodies) -> None:
    def progress(words: str, share: float) -> bool:
        return "bending" not in words

    with pytest.raises(Cancelled):
        register(study(bodies["pre"], bodies["post"]), CONFIG, progress=progress)


def test_the_chosen_contrast_reaches_the_engine(bodies, monkeypatch) -> None:
    asked: list[str] = []
    real = _register_work.comparable_volume

    def spy(series: Series, contrast: str = "first-echo") -> Volume:
        asked.append(contrast)
        return real(series, contrast)

    monkeypatch.setattr(_register_work, "comparable_volume", spy)
    settings = Config().with_assignments(["register.moving_contrast=rss"])
    register(study(bodies["pre"], bodies["still"]), settings)
    assert set(asked) == {"rss"}
