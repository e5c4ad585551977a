"""Stage `register`: align the other series with the reference series; nothing is resampled."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.engines.registrars.contract import Registrar, RegistrarResult
from eprimg.engines.registrars.rigid_settings import CheckSettings, RigidSettings, load_profile
from eprimg.engines.registrars.similarity import (
    Similarity,
    SimilarityCheck,
    moved_rms_mm,
    rotation_deg,
)
from eprimg.errors import ConfigError, EngineError, InputError
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import EchoStack, Volume
from eprimg.registry import load_engine
from eprimg.stages.carry import reference_series

__all__ = ["register"]

Progress = Callable[[str, float], None]

_ERROR_ESTIMATE = (
    "registration_error_mm: RMS over the body between two estimates (other sample points, "
    "twice as smooth); a lower bound, errors that both share are not in it"
)

_OTHER_ORIENTATIONS = {
    "turned by 180 degrees about the head-foot axis": (-1.0, -1.0, 1.0),
    "turned by 180 degrees about the left-right axis": (1.0, -1.0, -1.0),
    "turned by 180 degrees about the front-back axis": (-1.0, 1.0, -1.0),
    "mirrored left to right": (-1.0, 1.0, 1.0),
    "mirrored front to back": (1.0, -1.0, 1.0),
    "mirrored head to foot": (1.0, 1.0, -1.0),
}
"""Orientations that a wrong header gives; a rigid search near the header cannot leave them."""

_DOUBTFUL_PEAK = 1.02
"""Mutual information at the result over the best one 15 mm away.  Digital abdomen: 1.09 and more
where right, 1.007 for a PET turned by 180 degrees."""


def register(
    study: Study, config: Config, *, progress: Progress | None = None
) -> StageResult[tuple[Registration, ...]]:
    """Estimate the transforms from the reference series to the others.

    Parameters
    ----------
    study : Study
        What was read.  The reference is the MR before ferumoxytol, else the MR after it, else PET.
    config : Config
        Settings; the section ``register`` and ``threads``.
    progress : callable, optional
        Called with words and the share that is done.

    Returns
    -------
    StageResult
        One `Registration` per series that was tried (MR after ferumoxytol, PET), with findings.
        A registration that did not pass the check is there with ``accepted=False``; a series that
        the engine could not align at all is only named in the findings.

    Raises
    ------
    EngineUnavailable
        ``E_ENGINE`` when the engine is not installed.
    ConfigError
        ``E_CONFIG`` when the profile is unknown or faulty.
    """
    reference = reference_series(study)
    tasks = [
        series
        for role in (Role.MR_POST, Role.PET)
        if (series := study.find(role)) is not None and series.key != reference.key
    ]
    if not tasks:
        return StageResult(())
    engine: Registrar = load_engine("registrar", config.register.engine)()
    work = _Work(engine, config, load_profile(config.register.profile))
    registrations: list[Registration] = []
    findings: list[Finding] = []
    for number, series in enumerate(tasks):
        tell = _part(progress, number, len(tasks), series.key)
        made, noticed = _align(work, study, reference, series, tell)
        findings += noticed
        if made is not None:
            registrations.append(made)
    return StageResult(tuple(registrations), tuple(findings))


class _Work:
    """Engine, settings and threads of one run of the stage."""

    def __init__(self, engine: Registrar, config: Config, profile: Mapping[str, Any]) -> None:
        self.engine = engine
        self.config = config
        self.profile = profile
        self.rules = RigidSettings.from_mapping(
            profile, where=f"registration/{config.register.profile}.toml"
        )
        self.threads = config.threads or os.cpu_count() or 1
        self.name = f"{config.register.engine} {engine.version()}"


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A registration before it is judged."""

    result: RegistrarResult
    check: SimilarityCheck
    header: Similarity
    start: Similarity
    after: Similarity
    peak: float
    moved_center_mm: float
    rotated_deg: float
    moved_rms_mm: float
    other_name: str
    other_nmi: float


def _align(
    work: _Work, study: Study, reference: Series, series: Series, tell: Progress | None
) -> tuple[Registration | None, list[Finding]]:
    findings: list[Finding] = []
    ct = study.find(Role.CT) if series.role == Role.PET else None
    same_frame = ct is not None and (
        ct.grid.frame_of_reference
        == series.grid.frame_of_reference
        != reference.grid.frame_of_reference
    )
    if ct is not None and same_frame:
        made, noticed = _pair(work, reference, ct, series, tell)
        if made is not None and made.accepted:
            note = f"{ct.key} of the PET/CT was aligned in its place"
            return made, [
                *noticed,
                Finding(
                    "I_REGISTRATION_CT",
                    Severity.INFO,
                    series.key,
                    f"{note}; movement between {ct.key} and {series.key} is not corrected.",
                ),
            ]
        findings.append(
            Finding(
                "W_REGISTRATION",
                Severity.WARNING,
                series.key,
                f"{reference.key} could not be aligned with {ct.key} "
                f"({made.note if made is not None else noticed[0].text}), so it is aligned with "
                f"{series.key} directly.",
            )
        )
    made, noticed = _pair(work, reference, series, series, tell)
    return made, findings + noticed


def _pair(
    work: _Work, fixed: Series, partner: Series, moving: Series, tell: Progress | None
) -> tuple[Registration | None, list[Finding]]:
    """Align ``partner`` and file the result for ``moving``, which shares its frame."""
    frames = (fixed.grid.frame_of_reference, partner.grid.frame_of_reference)
    try:
        estimate = _estimate(work, fixed, partner, shared=frames[0] == frames[1], tell=tell)
    except (InputError, EngineError) as error:
        if isinstance(error, ConfigError):
            raise
        return None, [Finding.from_error(error, where=partner.key)]
    result = estimate.result
    qc = _qc(estimate, through_ct=partner.key != moving.key)
    settings = {
        "profile": work.config.register.profile,
        "seed": work.config.register.seed,
        "started_from": result.start_name,
        "aligned_with": partner.key,
        "iterations": dict(result.iterations),
        "registration_error": _ERROR_ESTIMATE,
        **{k: v for k, v in work.profile.items() if k != "check"},
    }
    faults = _faults(estimate, work)
    doubts = _doubts(estimate, work.rules.check)
    through = f" (through {partner.key})" if partner.key != moving.key else ""
    what = (
        f"the centre moved by {estimate.moved_center_mm:.1f} mm and turned by "
        f"{estimate.rotated_deg:.1f} degrees"
    )

    def made(matrix: npt.NDArray[np.float64], engine: str, note: str, good: bool) -> Registration:
        transform = Transform(matrix, *frames)
        return Registration(
            fixed.key, moving.key, transform, engine, settings, qc, good, note, tuple(doubts)
        )

    if faults:
        text = f"{fixed.key} and {moving.key} are not aligned{through}: {'; '.join(faults)}."
        finding = Finding("E_REGISTRATION", Severity.ERROR, moving.key, text)
        return made(result.matrix, work.name, text, False), [finding]
    findings = []
    one_session = frames[0] == frames[1] and fixed.study_uid == partner.study_uid != ""
    if one_session and work.config.register.accept_identity:
        both_mr = partner.role == Role.MR_POST
        check = work.rules.check
        limit = check.identity_tolerance_mr_mm if both_mr else check.identity_tolerance_pet_mm
        found = f"a check found {estimate.moved_rms_mm:.1f} mm of movement (tolerance {limit:g} mm)"
        if estimate.moved_rms_mm <= limit:
            text = f"one session, shared coordinates{through}; {found}: the header's are used"
            # What the check found is not corrected, so it is part of the error.
            qc["registration_error_mm"] = max(result.consistency_mm, estimate.moved_rms_mm)
            info = Finding("I_REGISTRATION_IDENTITY", Severity.INFO, moving.key, f"{text}.")
            return made(np.eye(4), "identity", text, True), [info]
        findings.append(
            Finding(
                "W_REGISTRATION_MOVED",
                Severity.WARNING,
                moving.key,
                f"{fixed.key} and {moving.key} are of one session, but {found}; the estimated "
                "alignment is used.",
            )
        )
    for doubt in doubts:
        text = f"{fixed.key} and {moving.key}: {doubt}."
        findings.append(Finding("W_REGISTRATION", Severity.WARNING, moving.key, text))
    note = f"{what}{through}; " + ("; ".join(doubts) if doubts else "all checks passed")
    return made(result.matrix, work.name, note, True), findings


def _estimate(
    work: _Work, fixed: Series, moving: Series, *, shared: bool, tell: Progress | None
) -> _Estimate:
    first, second = _comparable(fixed), _comparable(moving)
    result = work.engine.register(
        first,
        second,
        settings=work.profile,
        seed=work.config.register.seed,
        threads=work.threads,
        start="identity" if shared else "best",
        progress=tell,
    )
    check = SimilarityCheck(first, second, work.rules.intensity, grid_mm=work.rules.check.grid_mm)
    centre = fixed.grid.center_lps_mm[None, :]
    step = work.rules.check.displaced_mm
    beside = []
    for axis in range(3):
        for sign in (-step, step):
            displaced = np.array(result.matrix)
            displaced[axis, 3] += sign
            beside.append(check.at(displaced, local=False).nmi - 1.0)
    after = check.at(result.matrix)
    other_name, other_nmi = _best_other_orientation(check, result.matrix, centre[0])
    around = float(np.nanmax(beside)) if np.isfinite(beside).any() else float("nan")
    same_start = np.array_equal(result.start, np.eye(4))
    header = check.at(np.eye(4))
    return _Estimate(
        result,
        check,
        header,
        header if same_start else check.at(result.start),
        after,
        (after.nmi - 1.0) / around if around > 0 else float("nan"),
        moved_rms_mm(centre, result.matrix, np.eye(4)),
        rotation_deg(result.matrix),
        moved_rms_mm(_box_points(fixed), result.matrix, np.eye(4)),
        other_name,
        other_nmi,
    )


def _best_other_orientation(
    check: SimilarityCheck, matrix: npt.NDArray[np.float64], centre: npt.NDArray[np.float64]
) -> tuple[str, float]:
    """Turn and mirror the fixed series about its centre; return what then fits best."""
    best = ("", float("-inf"))
    for name, signs in _OTHER_ORIENTATIONS.items():
        flip = np.eye(4)
        flip[:3, :3] = np.diag(signs)
        flip[:3, 3] = centre - flip[:3, :3] @ centre
        nmi = check.at(matrix @ flip, local=False).nmi
        if np.isfinite(nmi) and nmi > best[1]:
            best = (name, nmi)
    return best


def _comparable(series: Series) -> Volume:
    """Return one value per voxel: the first echo (least contrast of the agent), or a mean."""
    if isinstance(series.pixels, EchoStack):
        volume = series.pixels.volume
        return Volume(np.ascontiguousarray(volume.data[..., 0]), volume.grid, volume.quantity)
    volume = series.pixels
    if volume.data.ndim == 4:
        return Volume(volume.data.mean(axis=-1), volume.grid, volume.quantity)
    return volume


def _box_points(series: Series) -> npt.NDArray[np.float64]:
    """Return points of the inner half of the field of view, where the patient is."""
    axes = [np.linspace(0.25, 0.75, 5) * (n - 1) for n in series.grid.shape]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return series.grid.index_to_lps_mm(index)


def _qc(estimate: _Estimate, *, through_ct: bool) -> dict[str, float]:
    result = estimate.result
    polished = result.polish_moved_mm if result.polish_kept else 0.0
    qc = {
        "nmi_before": estimate.header.nmi,
        "nmi_start": estimate.start.nmi,
        "nmi_after": estimate.after.nmi,
        "nmi_peak_ratio": estimate.peak,
        "nmi_other_orientation": estimate.other_nmi,
        "ncc_before": estimate.header.local_ncc2,
        "ncc_after": estimate.after.local_ncc2,
        "moved_center_mm": estimate.moved_center_mm,
        "moved_rms_mm": estimate.moved_rms_mm,
        "rotated_deg": estimate.rotated_deg,
        "overlap_fraction": estimate.after.overlap_fraction,
        "consistency_mm": result.consistency_mm,
        # The two passes answer to different metrics: their disagreement is part of the error.
        "registration_error_mm": max(result.consistency_mm, polished),
        "through_ct": float(through_ct),
    }
    if np.isfinite(result.polish_moved_mm):
        qc["polish_moved_mm"] = result.polish_moved_mm
    return qc


def _faults(estimate: _Estimate, work: _Work) -> list[str]:
    limits, check = work.config.register, work.rules.check
    faults = []
    if estimate.after.overlap_fraction < check.minimum_overlap_fraction:
        faults.append(
            f"only {100 * estimate.after.overlap_fraction:.0f} % of the smaller field of view is "
            f"in both (at least {100 * check.minimum_overlap_fraction:.0f} %)"
        )
    if estimate.moved_center_mm > limits.max_moved_mm:
        faults.append(
            f"the centre would move by {estimate.moved_center_mm:.1f} mm, more than "
            f"register.max_moved_mm = {limits.max_moved_mm:g}"
        )
    if estimate.rotated_deg > limits.max_rotated_deg:
        faults.append(
            f"the series would turn by {estimate.rotated_deg:.1f} degrees, more than "
            f"register.max_rotated_deg = {limits.max_rotated_deg:g}"
        )
    if not np.isfinite(estimate.after.nmi):
        return [*faults, "too few points lie in both series to compare them"]
    for name, before in (("header's", estimate.header.nmi), ("start's", estimate.start.nmi)):
        if np.isfinite(before) and (
            estimate.after.nmi - 1.0 < check.smallest_share_of_start * (before - 1.0)
        ):
            faults.append(
                f"mutual information fell below the {name} ({before:.4f} to "
                f"{estimate.after.nmi:.4f})"
            )
            break
    if estimate.other_nmi >= estimate.after.nmi:
        faults.append(
            f"the series fits better {estimate.other_name} (mutual information "
            f"{estimate.other_nmi:.3f} instead of {estimate.after.nmi:.3f}): check the patient's "
            "position and orientation in the headers"
        )
    if not estimate.peak > 1.0:
        faults.append(
            f"a position {check.displaced_mm:g} mm away looks as good (mutual information)"
        )
    return faults


def _doubts(estimate: _Estimate, check: CheckSettings) -> list[str]:
    doubts = []
    if estimate.peak < _DOUBTFUL_PEAK:
        doubts.append(
            f"a position {check.displaced_mm:g} mm away fits almost as well (ratio of mutual "
            f"information {estimate.peak:.3f}, below {_DOUBTFUL_PEAK:g})"
        )
    before, after = estimate.header.local_ncc2, estimate.after.local_ncc2
    if np.isfinite(before) and after < check.smallest_share_of_start * before:
        doubts.append(f"the local correlation fell ({before:.3f} to {after:.3f})")
    if estimate.result.consistency_mm > check.doubtful_consistency_mm:
        doubts.append(
            f"two estimates disagree by {estimate.result.consistency_mm:.1f} mm (more than "
            f"{check.doubtful_consistency_mm:g} mm)"
        )
    return doubts


def _part(progress: Progress | None, number: int, count: int, key: str) -> Progress | None:
    if progress is None:
        return None
    return lambda words, share: progress(f"{key}: {words}", (number + share) / count)
