"""Stage `register`: align the other series with the reference series; nothing is resampled."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.engines.registrars.contract import Registrar
from eprimg.engines.registrars.rigid_settings import RigidSettings, load_profile
from eprimg.engines.registrars.similarity import (
    SimilarityCheck,
    moved_rms_mm,
    rotation_deg,
)
from eprimg.errors import Cancelled, ConfigError, EngineError, InputError
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.lesions import LesionSet
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import Volume
from eprimg.registry import load_engine
from eprimg.stages.carry import reference_series
from eprimg.stages.register_bend import bend
from eprimg.stages.register_check import (
    Estimate,
    list_doubts,
    list_faults,
    orientation_of,
    quality_figures,
)
from eprimg.stages.register_contrast import comparable_volume
from eprimg.stages.register_judge import judge

__all__ = ["register"]

Progress = Callable[[str, float], object]

_ERROR_ESTIMATE = (
    "registration_error_mm: RMS over the body between two estimates (other sample points, "
    "twice as smooth); a lower bound, errors that both share are not in it"
)


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
        Called with words and the share that is done, also within every step of the search; what it
        raises ends the work.

    Returns
    -------
    StageResult
        One `Registration` per series that was tried (MR after ferumoxytol and PET, every time
        point of both), with findings.  A time point that could not be aligned with the reference
        may be aligned through another one of its role: the transform is composed, and nothing is
        resampled on the way.
        A registration that did not pass the check, or that ``register.reject`` names, is there
        with ``accepted=False``; a series that the engine could not align at all is only named in
        the findings.

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
        for series in study.find_all(role)
        if series.key != reference.key
    ]
    if not tasks:
        return StageResult(())
    engine: Registrar = load_engine("registrar", config.register.engine)()
    work = _Work(engine, config, load_profile(config.register.profile), study.regions)
    registrations: list[Registration] = []
    findings: list[Finding] = []
    for number, series in enumerate(tasks):
        tell = _Teller(progress, number, len(tasks), series.key)
        tell.high = 1.0 if config.register.model == "rigid" else 0.5
        made, noticed = _align(work, study, reference, series, tell)
        if made is None or not made.accepted:
            made, noticed = _chained(work, study, series, registrations, made, noticed, tell)
        findings += noticed
        if made is not None:
            registrations.append(made)
    judged = judge(registrations, config.register)
    return StageResult(judged.value, (*findings, *judged.findings))


class _Work:
    """Engine, settings and threads of one run of the stage."""

    def __init__(
        self,
        engine: Registrar,
        config: Config,
        profile: Mapping[str, Any],
        regions: Sequence[LesionSet],
    ) -> None:
        self.engine = engine
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


def _align(
    work: _Work, study: Study, reference: Series, series: Series, tell: _Teller
) -> tuple[Registration | None, list[Finding]]:
    findings: list[Finding] = []
    ct = _own_ct(study, series)
    between = _own_ct(study, reference)
    if ct is not None and between is not None:
        # Two PET/CT sessions: anatomy tells more than uptake that has moved on.
        made, noticed = _pair(work, between, ct, series, tell)
        if made is not None and made.accepted:
            text = f"{between.key} and {ct.key} were aligned in place of the PET series; movement "
            text += "between CT and PET of a session is not corrected."
            info = Finding("I_REGISTRATION_CT", Severity.INFO, series.key, text)
            return replace(made, fixed=reference.key), [*noticed, info]
        text = f"{between.key} could not be aligned with {ct.key}, so the PET series are aligned."
        findings.append(Finding("W_REGISTRATION", Severity.WARNING, series.key, text))
        ct = None
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


def _own_ct(study: Study, series: Series) -> Series | None:
    """Return the CT in the frame of reference of a PET series, else the only CT."""
    if series.role != Role.PET:
        return None
    scans = study.find_all(Role.CT)
    frame = series.grid.frame_of_reference
    own = next((s for s in scans if s.grid.frame_of_reference == frame), None)
    return own or (scans[0] if len(scans) == 1 and len(study.find_all(Role.PET)) == 1 else None)


def _chained(
    work: _Work,
    study: Study,
    series: Series,
    registrations: Sequence[Registration],
    direct: Registration | None,
    noticed: list[Finding],
    tell: _Teller,
) -> tuple[Registration | None, list[Finding]]:
    """Align a time point through another one of its role that is aligned with the reference."""
    instant = study.instant_of(series.key)
    others = [
        (s, r)
        for s in study.find_all(series.role)
        for r in registrations
        if r.moving == s.key and r.accepted and s.key not in work.config.register.reject
    ]
    if instant is not None:
        # The nearest in time looks most alike.
        others.sort(key=lambda each: _apart_s(study.instant_of(each[0].key), instant))
    for via, first in others:
        second, _ = _pair(work, via, series, series, tell)
        if second is None or not second.accepted:
            continue
        why = direct.note if direct is not None else noticed[0].text
        text = f"{first.fixed} could not be aligned with {series.key} ({why.rstrip('.')}), so it "
        text += f"is aligned through {via.key}: both transforms are composed"
        one, two = (r.qc.get("registration_error_mm", np.nan) for r in (first, second))
        qc = {**second.qc, "registration_error_mm": float(np.hypot(one, two))}
        chained = Registration(
            first.fixed,
            series.key,
            first.transform.then(second.transform),
            second.engine,
            {**second.settings, "through": [via.key], "first_part": dict(first.settings)},
            qc,
            True,
            f"{text}; {second.note}",
            (*first.doubts, *second.doubts),
        )
        return chained, [Finding("W_REGISTRATION_CHAIN", Severity.WARNING, series.key, f"{text}.")]
    return direct, noticed


def _apart_s(one: datetime | None, other: datetime) -> float:
    if one is None or (one.tzinfo is None) != (other.tzinfo is None):
        return float("inf")
    return abs((one - other).total_seconds())


def _pair(
    work: _Work, fixed: Series, partner: Series, moving: Series, tell: _Teller
) -> tuple[Registration | None, list[Finding]]:
    """Align ``partner`` and file the result for ``moving``, which shares its frame."""
    frames = (fixed.grid.frame_of_reference, partner.grid.frame_of_reference)
    try:
        estimate = _estimate(work, fixed, partner, moving, shared=frames[0] == frames[1], tell=tell)
    except (InputError, EngineError) as error:
        if isinstance(error, ConfigError):
            raise
        return None, [Finding.from_error(error, where=partner.key)]
    result = estimate.result
    qc = quality_figures(estimate, through_ct=partner.key != moving.key)
    settings = {
        "profile": work.config.register.profile,
        "seed": work.config.register.seed,
        "started_from": result.start_name,
        "aligned_with": partner.key,
        "iterations": dict(result.iterations),
        "registration_error": _ERROR_ESTIMATE,
        "best_other_orientation": estimate.orientation.other.name,
        **{k: v for k, v in work.profile.items() if k != "check"},
    }
    faults = list_faults(estimate, work.config.register, work.rules.check)
    doubts = () if faults else tuple(list_doubts(estimate, work.rules.check))
    through = f" (through {partner.key})" if partner.key != moving.key else ""
    what = (
        f"the centre moved by {estimate.moved_center_mm:.1f} mm and turned by "
        f"{estimate.rotated_deg:.1f} degrees"
    )

    def made(matrix: npt.NDArray[np.float64], engine: str, note: str, good: bool) -> Registration:
        transform = Transform(matrix, *frames, result.displacement)
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
            findings = _warnings(fixed, moving.key, doubts)
            text = f"one session, shared coordinates{through}; {found}: the header's are used"
            # What the check found is not corrected, so it is part of the error.
            qc["registration_error_mm"] = max(result.consistency_mm, estimate.moved_rms_mm)
            info = Finding("I_REGISTRATION_IDENTITY", Severity.INFO, moving.key, f"{text}.")
            aligned = made(np.eye(4), "identity", text, True)
            return _bent(work, fixed, partner, aligned, estimate, [info, *findings], tell)
        findings.append(
            Finding(
                "W_REGISTRATION_MOVED",
                Severity.WARNING,
                moving.key,
                f"{fixed.key} and {moving.key} are of one session, but {found}; the estimated "
                "alignment is used.",
            )
        )
    findings += _warnings(fixed, moving.key, doubts)
    note = f"{what}{through}; " + ("; ".join(doubts) if doubts else "all checks passed")
    aligned = made(result.matrix, work.name, note, True)
    return _bent(work, fixed, partner, aligned, estimate, findings, tell)


def _bent(
    work: _Work,
    fixed: Series,
    partner: Series,
    rigid: Registration,
    estimate: Estimate,
    findings: list[Finding],
    tell: _Teller,
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
        [*kept, *_warnings(fixed, made.moving, doubts), *noticed],
    )


def _warnings(fixed: Series, moving: str, doubts: tuple[str, ...]) -> list[Finding]:
    where = f"{fixed.key} and {moving}"
    return [
        Finding("W_REGISTRATION", Severity.WARNING, moving, f"{where}: {doubt}.")
        for doubt in doubts
    ]


def _estimate(
    work: _Work,
    fixed: Series,
    partner: Series,
    moving: Series,
    *,
    shared: bool,
    tell: _Teller,
) -> Estimate:
    first, second = work.comparable(fixed), work.comparable(partner)
    try:
        result = work.engine.register(
            first,
            second,
            settings=work.profile,
            seed=work.config.register.seed,
            threads=work.threads,
            start="identity" if shared else "best",
            progress=tell.engine_progress,
            should_stop=tell.should_stop,
        )
    except EngineError:
        if tell.stopped_by is not None:
            raise tell.stopped_by from None
        raise
    if tell.stopped_by is not None:
        raise tell.stopped_by
    tell("checking the alignment", 1.0)
    rules = work.rules
    check = SimilarityCheck(first, second, rules.intensity, grid_mm=rules.check.grid_mm)
    tell.again()
    centre = fixed.grid.center_lps_mm[None, :]
    step = rules.check.displaced_mm
    beside = []
    for axis in range(3):
        for sign in (-step, step):
            displaced = np.array(result.matrix)
            displaced[axis, 3] += sign
            tell.again()
            beside.append(check.at(displaced, local=False).nmi - 1.0)
    tell.again()
    after = check.at(result.matrix)
    tell.again()
    around = float(np.nanmax(beside)) if np.isfinite(beside).any() else float("nan")
    same_start = np.array_equal(result.start, np.eye(4))
    header = check.at(np.eye(4))
    tell.again()
    orientations = [
        orientation_of(partner.key, first, second, check, result.matrix, rules, ask=tell.again)
    ]
    if moving.key != partner.key:
        # The CT may be right and the PET that rides on it turned.
        rider = work.comparable(moving)
        tell.again()
        own = SimilarityCheck(first, rider, rules.intensity, grid_mm=rules.check.grid_mm)
        orientations.append(
            orientation_of(moving.key, first, rider, own, result.matrix, rules, ask=tell.again)
        )
    return Estimate(
        result=result,
        header=header,
        start=header if same_start else check.at(result.start),
        after=after,
        orientation=max(orientations, key=lambda found: found.share),
        both_mr={fixed.role, partner.role} <= {Role.MR_PRE, Role.MR_POST},
        peak=(after.nmi - 1.0) / around if around > 0 else float("nan"),
        moved_center_mm=moved_rms_mm(centre, result.matrix, np.eye(4)),
        rotated_deg=rotation_deg(result.matrix),
        moved_rms_mm=moved_rms_mm(_box_points(fixed), result.matrix, np.eye(4)),
    )


def _comparable(series: Series) -> Volume:
    return comparable_volume(series)


def _box_points(series: Series) -> npt.NDArray[np.float64]:
    """Return points of the inner half of the field of view, where the patient is."""
    axes = [np.linspace(0.25, 0.75, 5) * (n - 1) for n in series.grid.shape]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return series.grid.index_to_lps_mm(index)


class _Teller:
    """Passes progress on, and remembers what stopped the work while the engine had the word."""

    def __init__(self, progress: Progress | None, number: int, count: int, key: str) -> None:
        self._progress = progress
        self._number, self._count, self._key = number, count, key
        self._last = ("", 0.0)
        self.low, self.high = 0.0, 1.0
        """Part of the work of this series that the present step is."""
        self.stopped_by: BaseException | None = None

    def __call__(self, words: str, share: float) -> None:
        self._last = (words, share)
        if self._progress is not None:
            done = self._number + self.low + (self.high - self.low) * share
            told = self._progress(f"{self._key}: {words}", done / self._count)
            if told is False:
                raise Cancelled(where=f"{self._key}: {words}")

    def second_half(self) -> None:
        """Let the shares that follow fill the rest of this series."""
        self.low, self.high = self.high, 1.0
        self._last = (self._last[0], 0.0)

    def again(self) -> None:
        """Ask without news."""
        self(*self._last)

    def should_stop(self) -> bool:
        """Ask from inside the engine, which would swallow an exception or lose its kind."""
        if self.stopped_by is None:
            try:
                self.again()
            except BaseException as error:  # kept, and raised again by the stage
                self.stopped_by = error
        return self.stopped_by is not None

    def engine_progress(self, words: str, share: float) -> None:
        """Pass on what the engine tells; a stop is found at its next question."""
        self._last = (words, share)
        self.should_stop()
