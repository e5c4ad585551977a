"""Misregistrations planted on the cases of `registration_bench`, and what the checks say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.stages.register_check import list_doubts, list_faults, quality_figures
from eprimg.stages.register_examine import examine
from eprimg_phantoms.geometry import RigidMotion
from tests.validation.registration_bench import ANATOMIES, PROFILE, BenchCase, make_case

QC_KINDS = ("mr", "pet", "pet-low")
LEAST_PLANTED_MM = 5.0
MOST_GOOD_MM = 1.5


class QcCase(NamedTuple):
    """A transform to be judged."""

    case: BenchCase
    planted: bool
    matrix: np.ndarray
    error_mm: float
    """Mean error at the lesions."""


class QcRow(NamedTuple):
    """What the checks said."""

    anatomy: str
    kind: str
    seed: int
    planted: bool
    error_mm: float
    refused: bool
    doubted: bool
    words: str
    figures: dict[str, float]

    @property
    def flagged(self) -> bool:
        """Whether a reader is told: refused, or accepted with a doubt."""
        return self.refused or self.doubted


def qc_cases(
    anatomies: tuple[str, ...] = ANATOMIES,
    kinds: tuple[str, ...] = QC_KINDS,
    seeds: range = range(7),
    *,
    factor: float = 1.0,
) -> Iterator[QcCase]:
    """Give one planted misregistration and two good alignments per case.

    Planted: the truth moved by 5 to 20 mm in a random direction, with a turn of up to 10 degrees
    about a random axis through the middle of the lesions; drawn again until the mean error at the
    lesions exceeds 5 mm.  Good: the truth, and the truth moved by up to 1 mm and turned by up to
    half a degree.

    Parameters
    ----------
    anatomies, kinds, seeds
        Which cases.
    factor : float
        Makes all voxels larger by this (for quick tests).
    """
    for kind in kinds:
        for anatomy in anatomies:
            for seed in seeds:
                case = make_case(anatomy, seed, kind, factor=factor)
                assert case.matrix is not None
                rng = np.random.default_rng([7, seed, ANATOMIES.index(anatomy)])
                while True:
                    moved = _displaced(case, rng, rng.uniform(5.0, 20.0), rng.uniform(0.0, 10.0))
                    error = float(case.errors_of(moved).mean())
                    if error > LEAST_PLANTED_MM:
                        break
                yield QcCase(case, True, moved, error)
                near = _displaced(case, rng, rng.uniform(0.0, 1.0), rng.uniform(0.0, 0.5))
                for matrix in (case.matrix, near):
                    error = float(case.errors_of(matrix).mean())
                    assert error < MOST_GOOD_MM
                    yield QcCase(case, False, matrix, error)


def _displaced(
    case: BenchCase, rng: np.random.Generator, shift_mm: float, turn_deg: float
) -> np.ndarray:
    assert case.matrix is not None
    way, axis = rng.normal(size=(2, 3))
    way *= shift_mm / np.linalg.norm(way)
    # Small angles about x, y, z add up nearly as a vector: the total is close to turn_deg.
    axis *= turn_deg / np.linalg.norm(axis)
    return RigidMotion.about(axis, way, case.truth_mm.mean(axis=0)).matrix @ case.matrix


def judge(qc: QcCase, *, consistency_mm: float = 0.0) -> QcRow:
    """Let the checks of the stage `register` judge a transform.

    Parameters
    ----------
    qc : QcCase
        The transform.
    consistency_mm : float
        Disagreement of two estimates as an engine would tell it; 0 gives the checks no hint.
    """
    case, matrix = qc.case, qc.matrix
    rules = RigidSettings.from_mapping(load_profile(PROFILE))
    estimate = examine(
        RegistrarResult(matrix, np.eye(4), "identity", consistency_mm),
        case.fixed,
        case.moving,
        rules,
        key=case.kind,
        both_mr=case.kind.startswith("mr"),
    )
    faults = list_faults(estimate, RegisterConfig(), rules.check)
    doubts = list_doubts(estimate, rules.check)
    return QcRow(
        case.anatomy,
        case.kind,
        case.seed,
        qc.planted,
        qc.error_mm,
        bool(faults),
        bool(doubts),
        "; ".join([*faults, *doubts]),
        quality_figures(estimate, through_ct=False),
    )
