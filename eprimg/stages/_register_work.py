"""What every step of the stage `register` shares, and how an accepted alignment is bent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eprimg.config import Config
from eprimg.engines.registrars.contract import Registrar
from eprimg.engines.registrars.rigid_settings import RigidSettings
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

__all__ = ["Work", "bent", "warnings"]


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
            profile, where=f"registration/{config.register.profile}.toml"
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
