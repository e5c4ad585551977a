"""Bend an accepted rigid alignment, and keep the bending only when it passes and is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.contract import Progress, Registrar, RegistrarResult, ShouldStop
from eprimg.engines.registrars.deformable_settings import AcceptSettings, DeformableSettings
from eprimg.engines.registrars.deformation import (
    InverseConsistency,
    JacobianFigures,
    body_nodes,
    inverse_consistency,
    jacobian_figures,
)
from eprimg.engines.registrars.profiles import profile_record
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile, profile_place
from eprimg.engines.registrars.similarity import Similarity, SimilarityCheck, body_points_mm
from eprimg.errors import ConfigError, EngineError, EngineUnavailable, InputError
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import Volume
from eprimg.registry import load_engine
from eprimg.stages.register_regions import RegionFit, region_fits, region_pairs

__all__ = ["Bent", "bend", "list_bend_faults", "reasons_to_bend"]


class Teller(Protocol):
    """Passes progress on and remembers what stopped the work."""

    stopped_by: BaseException | None

    @property
    def engine_progress(self) -> Progress:
        """What an engine tells its progress."""
        ...

    @property
    def should_stop(self) -> ShouldStop:
        """What an engine asks."""
        ...


@dataclass(frozen=True, slots=True)
class Bent:
    """A bending beside the rigid alignment that it starts from.

    Parameters
    ----------
    rigid, bent : Similarity
        Figures at both.
    jacobian : JacobianFigures
        Of the bent transform.
    inverse : InverseConsistency
        Against a bending that was estimated in the other direction.
    rigid_fits, bent_fits : tuple of RegionFit
        Regions that were drawn on both series.
    """

    rigid: Similarity
    bent: Similarity
    jacobian: JacobianFigures
    inverse: InverseConsistency
    rigid_fits: tuple[RegionFit, ...] = ()
    bent_fits: tuple[RegionFit, ...] = ()

    def figures(self, largest_mm: float) -> dict[str, float]:
        """Return the named figures.

        Parameters
        ----------
        largest_mm : float
            The longest displacement.

        Returns
        -------
        dict
            Figures with the unit in the name.
        """
        qc = {
            "bent_largest_mm": largest_mm,
            "jacobian_min": self.jacobian.smallest,
            "jacobian_p01": self.jacobian.first_percentile,
            "jacobian_sd_log": self.jacobian.sd_log,
            "folding_percent": self.jacobian.folding_percent,
            "inverse_mean_mm": self.inverse.mean_mm,
            "inverse_p95_mm": self.inverse.p95_mm,
            "nmi_rigid": self.rigid.nmi,
            "nmi_bent": self.bent.nmi,
            "ncc_rigid": self.rigid.local_ncc2,
            "ncc_bent": self.bent.local_ncc2,
        }
        return {
            **qc,
            **_fit_figures(self.rigid_fits, "rigid"),
            **_fit_figures(self.bent_fits, "bent"),
        }


def bend(
    rigid: Registration,
    fixed: Volume,
    moving: Volume,
    *,
    regions: Sequence[LesionSet],
    limits: RegisterConfig,
    checks: RigidSettings,
    threads: int,
    tell: Teller,
) -> tuple[Registration, list[Finding]]:
    """Bend an accepted rigid alignment where the settings ask for it.

    Parameters
    ----------
    rigid : Registration
        The accepted alignment.
    fixed, moving : Volume
        The values that were compared.
    regions : sequence of LesionSet
        Imported masks; those on both series take part in the check.
    limits : RegisterConfig
        ``model``, engine, profile and seed.
    checks : RigidSettings
        How values are made comparable.
    threads : int
        Threads of the engine.
    tell : Teller
        Progress, and the wish to stop.

    Returns
    -------
    Registration, list of Finding
        The bent alignment when it passed and is better, else the rigid one, with its figures and a
        finding that says why.

    Raises
    ------
    ConfigError
        ``E_CONFIG`` when the profile is unknown or faulty.
    EngineUnavailable
        ``E_ENGINE`` when the engine is not installed.
    """
    if limits.model == "rigid" or not rigid.accepted:
        return rigid, []
    profile = load_profile(limits.deformable_profile, key="register.deformable_profile")
    rules = DeformableSettings.from_mapping(profile, where=profile_place(limits.deformable_profile))
    engine: Registrar = load_engine("registrar", limits.deformable_engine)()
    if moving.quantity.key not in rules.quantities:
        note = f"{rigid.note}; not bent: only {', '.join(rules.quantities)} is"
        return replace(rigid, note=note), []
    stiff = replace(rigid.transform, displacement=None)
    pairs = region_pairs(regions, fixed.grid, moving.grid)
    before = region_fits(pairs, stiff)
    check = SimilarityCheck(fixed, moving, checks.intensity, grid_mm=checks.check.grid_mm)
    at_rigid = check.at(stiff.matrix)
    why = reasons_to_bend(before, at_rigid, rules)
    if limits.model == "auto" and not why:
        note = f"{rigid.note}; no sign of bending"
        return replace(rigid, note=note, qc={**rigid.qc, **_fit_figures(before, "rigid")}), []

    def estimate(first: Volume, second: Volume, start: Transform, done: float) -> RegistrarResult:
        def told(words: str, share: float) -> None:
            tell.engine_progress(words, done + 0.5 * share)

        try:
            return engine.register(
                first,
                second,
                settings=profile,
                seed=limits.seed,
                threads=threads,
                start=start,
                progress=told,
                should_stop=tell.should_stop,
            )
        finally:
            if tell.stopped_by is not None:
                raise tell.stopped_by from None

    try:
        result = estimate(fixed, moving, stiff, 0.0)
        back = estimate(moving, fixed, stiff.inverse(), 0.5)
    except (ConfigError, EngineUnavailable):
        raise
    except (InputError, EngineError) as error:
        return _stays(rigid, [error.message], {}, Severity.WARNING)
    there = Transform(result.matrix, stiff.from_frame, stiff.to_frame, result.displacement)
    again = Transform(back.matrix, stiff.to_frame, stiff.from_frame, back.displacement)
    body = None
    if result.displacement is not None:
        body = body_nodes(fixed.data, fixed.grid, result.displacement.grid)
    found = Bent(
        at_rigid,
        check.at(there.matrix, displacement=there.displacement),
        jacobian_figures(there, body),
        inverse_consistency(
            there, again, body_points_mm(fixed.data.astype(np.float32), fixed.grid)
        ),
        before,
        region_fits(pairs, there),
    )
    largest = 0.0 if there.displacement is None else there.displacement.largest_mm
    figures = found.figures(largest)
    faults = list_bend_faults(found, rules.accept)
    if faults:
        # Nothing to gain says that rigid is enough, unless regions say otherwise.
        only_gain = len(faults) == 1 and not _gains(found, rules.accept) and not (before and why)
        return _stays(rigid, faults, figures, Severity.INFO if only_gain else Severity.WARNING)
    recorded: dict[str, object] = {
        **profile_record("deformable_profile", limits.deformable_profile, profile),
        "bending": {k: v for k, v in profile.items() if k not in ("accept", "auto")},
    }
    return _taken(rigid, there, result, found, figures, (engine, limits, rules), why, recorded)


def reasons_to_bend(
    fits: Sequence[RegionFit], similarity: Similarity, rules: DeformableSettings
) -> list[str]:
    """Return what speaks for a bending that the rigid alignment left.

    Parameters
    ----------
    fits : sequence of RegionFit
        Regions that were drawn on both series.
    similarity : Similarity
        Figures of the rigid alignment.
    rules : DeformableSettings
        Its table ``auto``.

    Returns
    -------
    list of str
        Reasons in words; the local correlation is asked only when there are no such regions.
    """
    auto, reasons = rules.auto, []
    away = [fit.centroid_mm for fit in fits if fit.is_lesion]
    if away and np.mean(away) > auto.mean_centroid_mm:
        reasons.append(f"lesions lie {np.mean(away):.1f} mm apart on average")
    if away and max(away) > auto.largest_centroid_mm:
        reasons.append(f"a lesion lies {max(away):.1f} mm off")
    reasons += [
        f"the masks of {fit.name} overlap little (Dice {fit.dice:.2f})"
        for fit in fits
        if not fit.is_lesion and fit.dice < auto.organ_dice
    ]
    if not fits and similarity.local_ncc2 < auto.local_ncc2:
        reasons.append(f"the local correlation is {similarity.local_ncc2:.2f}")
    return reasons


def list_bend_faults(found: Bent, accept: AcceptSettings) -> list[str]:
    """Return what speaks against a bending.

    Parameters
    ----------
    found : Bent
        The bending.
    accept : AcceptSettings
        The limits.

    Returns
    -------
    list of str
        Reasons in words; empty when it passes and is better than the rigid alignment.
    """
    faults = []
    jacobian = found.jacobian
    if not jacobian.smallest_anywhere > 0.0:
        faults.append(
            f"it folds space (smallest Jacobian determinant {jacobian.smallest_anywhere:.2f})"
        )
    elif not jacobian.sd_log <= accept.largest_sd_log_jacobian:
        faults.append(
            f"it squeezes and stretches too unevenly (SD of log J {jacobian.sd_log:.2f}, limit "
            f"{accept.largest_sd_log_jacobian:g})"
        )
    if not _gains(found, accept):
        faults.append(
            f"the local correlation does not rise (rigid {found.rigid.local_ncc2:.3f}, bent "
            f"{found.bent.local_ncc2:.3f})"
        )
    for stiff, bent in zip(found.rigid_fits, found.bent_fits, strict=True):
        if stiff.is_lesion and not (
            bent.centroid_mm <= stiff.centroid_mm + accept.centroid_tolerance_mm
        ):
            faults.append(
                f"{stiff.name} moves away ({stiff.centroid_mm:.1f} to {bent.centroid_mm:.1f} mm)"
            )
        # A small mask has too few voxels for its Dice to tell; its centroid does.
        if not stiff.is_lesion and bent.dice < stiff.dice - accept.dice_tolerance:
            faults.append(
                f"the masks of {stiff.name} overlap less (Dice {stiff.dice:.2f} to {bent.dice:.2f})"
            )
    return faults


def _gains(found: Bent, accept: AcceptSettings) -> bool:
    gain = found.bent.local_ncc2 - found.rigid.local_ncc2
    return bool(gain >= accept.least_gain_of_local_ncc2)


def _stays(
    rigid: Registration, faults: list[str], figures: dict[str, float], severity: Severity
) -> tuple[Registration, list[Finding]]:
    code = "I_REGISTRATION_RIGID" if severity == Severity.INFO else "W_REGISTRATION_RIGID"
    text = f"not bent: {'; '.join(faults)}"
    finding = Finding(
        code,
        severity,
        rigid.moving,
        f"{rigid.fixed} and {rigid.moving} stay aligned rigidly: a bending was tried and refused "
        f"({'; '.join(faults)}).",
    )
    qc = {**rigid.qc, **figures, "bent": 0.0} if figures else dict(rigid.qc)
    return replace(rigid, qc=qc, note=f"{rigid.note}; {text}"), [finding]


def _taken(
    rigid: Registration,
    there: Transform,
    result: RegistrarResult,
    found: Bent,
    figures: dict[str, float],
    how: tuple[Registrar, RegisterConfig, DeformableSettings],
    why: list[str],
    recorded: dict[str, object],
) -> tuple[Registration, list[Finding]]:
    engine, limits, rules = how
    qc = {**rigid.qc, **figures, "bent": 1.0}
    qc["nmi_after"], qc["ncc_after"] = found.bent.nmi, found.bent.local_ncc2
    # Each of these sees another part of the error; none sees all of it.
    error = (result.consistency_mm, found.inverse.mean_mm)
    qc["registration_error_mm"] = float(np.nanmax([rigid.qc.get("consistency_mm", 0.0), *error]))
    settings = {
        **rigid.settings,
        "model": limits.model,
        "deformable_engine": f"{limits.deformable_engine} {engine.version()}",
        **recorded,
        "bending_iterations": dict(result.iterations),
        "bending_metric": dict(result.metric),
    }
    note = f"{rigid.note}; then bent by up to {figures['bent_largest_mm']:.1f} mm" + (
        f" because {' and '.join(why)}" if why else ""
    )
    doubts: list[str] = []
    findings = []
    if found.inverse.mean_mm > rules.accept.doubtful_inverse_mm:
        doubts.append(
            f"the bendings found in both directions disagree by {found.inverse.mean_mm:.1f} mm "
            f"(more than {rules.accept.doubtful_inverse_mm:g} mm)"
        )
        findings.append(
            Finding(
                "W_REGISTRATION",
                Severity.WARNING,
                rigid.moving,
                f"{rigid.fixed} and {rigid.moving}: {doubts[-1]}.",
            )
        )
    info = Finding(
        "I_REGISTRATION_BENT",
        Severity.INFO,
        rigid.moving,
        f"{rigid.fixed} and {rigid.moving} are aligned by a bent transform: local correlation "
        f"{found.rigid.local_ncc2:.3f} rigid, {found.bent.local_ncc2:.3f} bent; points move by up "
        f"to {figures['bent_largest_mm']:.1f} mm more.",
    )
    made = replace(
        rigid,
        transform=there,
        engine=f"{limits.deformable_engine} {engine.version()}",
        settings=settings,
        qc=qc,
        note=note,
        doubts=tuple(doubts),
    )
    return made, [info, *findings]


def _fit_figures(fits: Sequence[RegionFit], name: str) -> dict[str, float]:
    away = [fit.centroid_mm for fit in fits if fit.is_lesion]
    dice = [fit.dice for fit in fits if np.isfinite(fit.dice)]
    qc = {}
    if away:
        qc[f"centroid_mean_{name}_mm"] = float(np.mean(away))
        qc[f"centroid_max_{name}_mm"] = float(np.max(away))
    if dice:
        qc[f"dice_mean_{name}"] = float(np.mean(dice))
    return qc
