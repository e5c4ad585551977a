"""What every step of the stage `register` shares, and how an accepted alignment is bent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eprimg.config import Config
from eprimg.engines.registrars.contract import Registrar, RegistrarResult
from eprimg.engines.registrars.rigid_settings import RigidSettings, profile_place
from eprimg.engines.registrars.similarity import SimilarityCheck
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet
from eprimg.model.manual_help import ManualHelp
from eprimg.model.study import Series
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import Volume
from eprimg.stages._register_teller import Teller
from eprimg.stages.register_bend import bend
from eprimg.stages.register_check import Estimate, list_doubts
from eprimg.stages.register_contrast import comparable_volume
from eprimg.stages.register_manual import PairHelp

__all__ = ["Work", "bent", "start_changed", "warnings"]

_EXACT = 1e-9
"""Deviation from 1 of the scale of a rotation that is nothing but the arithmetic's."""

_TOLD_MM = 1e-3
"""A smaller change of the start is not worth a word."""


class Work:
    """Engine, settings and threads of one run of the stage."""

    def __init__(
        self,
        engine: Registrar,
        config: Config,
        profile: Mapping[str, Any],
        regions: Sequence[LesionSet],
        start: str | Transform = "",
        given: ManualHelp | None = None,
    ) -> None:
        self.engine = engine
        self.start = start
        self.given = given or ManualHelp()
        self.tried: list[tuple[frozenset[str], frozenset[str]]] = []
        """Keys of both sides of every pair that was tried."""
        self.config = config
        self.profile = profile
        self.regions = regions
        self.rules = RigidSettings.from_mapping(
            profile, where=profile_place(config.register.profile)
        )
        self.threads = config.threads or os.cpu_count() or 1
        self.name = f"{config.register.engine} {engine.version()}"

    def comparable(self, series: Series) -> Volume:
        """Return the values that are compared."""
        return comparable_volume(series, self.config.register.moving_contrast)


def bent(
    work: Work,
    fixed: Series,
    partner: Series,
    rigid: Registration,
    estimate: Estimate,
    findings: list[Finding],
    tell: Teller,
) -> tuple[Registration, list[Finding]]:
    """Bend an accepted alignment where the settings ask for it."""
    if work.config.register.model == "rigid":
        return rigid, findings
    tell.second_half()
    made, noticed = bend(
        rigid,
        work.comparable(fixed),
        work.comparable(partner),
        regions=work.regions,
        limits=work.config.register,
        checks=work.rules,
        threads=work.threads,
        tell=tell,
    )
    tell("aligned", 1.0)
    if made.transform.is_affine:
        return made, findings + noticed
    # What was doubtful of the rigid alignment may not be of the bent one.
    after = replace(estimate.after, nmi=made.qc["nmi_after"], local_ncc2=made.qc["ncc_after"])
    doubts = tuple(list_doubts(replace(estimate, after=after), work.rules.check))
    kept = [f for f in findings if f.code != "W_REGISTRATION"]
    return (
        replace(made, doubts=(*doubts, *made.doubts)),
        [*kept, *warnings(fixed, made.moving, doubts), *noticed],
    )


def warnings(
    fixed: Series, moving: str, doubts: tuple[str, ...], apart: tuple[str, ...] = ()
) -> list[Finding]:
    """List doubts as findings; one about landmarks has a code of its own."""
    where = f"{fixed.key} and {moving}"
    return [
        Finding(
            "W_LANDMARKS" if doubt in apart else "W_REGISTRATION",
            Severity.WARNING,
            moving,
            f"{where}: {doubt}.",
        )
        for doubt in doubts
    ]


def start_changed(
    work: Work, fixed: Series, partner: Series, given: PairHelp, result: RegistrarResult
) -> list[Finding]:
    """Tell when a given start was not quite rigid, and how far from it the search began."""
    start = given.start or work.start
    if given.result is not None or not isinstance(start, Transform) or not start.is_affine:
        return []
    sizes = np.linalg.svd(start.matrix[:3, :3], compute_uv=False)
    if np.abs(sizes - 1.0).max() <= _EXACT:
        return []
    check = SimilarityCheck(
        work.comparable(fixed),
        work.comparable(partner),
        work.rules.intensity,
        grid_mm=work.rules.check.orientation_grid_mm,
    )
    body = check.body_mm()
    if len(body) == 0:
        return []
    ends = start.apply(body) - Transform(result.start, start.from_frame, start.to_frame).apply(body)
    apart = np.linalg.norm(ends, axis=1)
    if apart.max() < _TOLD_MM:
        return []
    text = (
        f"The start that was given for {fixed.key} and {partner.key} is not quite rigid (its axes "
        f"scale by {sizes.min():.6g} to {sizes.max():.6g}: numbers were rounded in the file?). The "
        f"search began at the nearest rigid transform, {np.sqrt(np.mean(apart**2)):.2g} mm away "
        f"over the body (at most {apart.max():.2g} mm)."
    )
    return [Finding("I_REGISTRATION_START", Severity.INFO, partner.key, text)]
