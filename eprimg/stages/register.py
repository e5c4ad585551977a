"""Stage `register`: align the other series with the reference series; nothing is resampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eprimg.config import Config
from eprimg.engines.registrars.contract import make_registrar
from eprimg.engines.registrars.profiles import profile_record
from eprimg.engines.registrars.rigid_settings import load_profile
from eprimg.errors import ConfigError, EngineError, InputError
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.manual_help import ManualHelp
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg.registry import load_engine
from eprimg.stages._register_chain import chained, own_ct
from eprimg.stages._register_teller import Teller
from eprimg.stages._register_work import Work, bent, start_changed, warnings
from eprimg.stages.carry import reference_series
from eprimg.stages.given_masks import Masks, compare_masks, named_masks
from eprimg.stages.register_check import (
    Estimate,
    is_symmetric,
    list_doubts,
    list_faults,
    quality_figures,
)
from eprimg.stages.register_examine import examine
from eprimg.stages.register_judge import judge
from eprimg.stages.register_manual import (
    PairHelp,
    given_result,
    help_for_pair,
    landmark_figures,
    masks_for,
    require_affine_start,
    unused_help,
)

__all__ = ["register", "register_pair"]

Progress = Callable[[str, float], object]

_ERROR_ESTIMATE = (
    "registration_error_mm: RMS over the body between two estimates (other sample points, "
    "twice as smooth); a lower bound, errors that both share are not in it"
)

_GIVEN_ERROR = (
    "registration_error_mm: of a fit to more than three pairs of landmarks, the predicted error at "
    "the centre of the field of view; unknown for a transform from a file"
)
_SEARCH_KEYS = frozenset({"iterations", "metric", "levels", "optimizer", "polish", "title"})
_SHARED_KEYS = frozenset({"profile", "profile_sha256", "seed", "intensity", "start"})
"""Settings of a search; they say nothing about a transform that was given."""


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
        return StageResult((), tuple(unused_help(study.help, ())))
    engine = make_registrar(config.register, load_engine)
    profile = load_profile(config.register.profile)
    work = Work(engine, config, profile, study.regions, given=study.help)
    registrations: list[Registration] = []
    findings: list[Finding] = []
    for number, series in enumerate(tasks):
        tell = Teller(progress, number, len(tasks), series.key)
        tell.high = 1.0 if config.register.model == "rigid" else 0.5
        made, noticed = _align(work, study, reference, series, tell)
        if made is None or not made.accepted:

            def through(via: Series, moving: Series, tell: Teller = tell) -> Registration | None:
                return _pair(work, via, moving, moving, tell)[0]

            made, noticed = chained(
                through,
                study,
                series,
                [r for r in registrations if r.moving not in config.register.reject],
                (made, noticed),
            )
        if made is not None:
            made, more = _with_masks(work, study, reference, series, made)
            noticed = [*noticed, *more]
        findings += noticed
        if made is not None:
            registrations.append(made)
    judged = judge(registrations, config.register)
    unused = unused_help(work.given, work.tried)
    return StageResult(judged.value, (*findings, *unused, *judged.findings))


def register_pair(
    fixed: Series,
    moving: Series,
    config: Config,
    *,
    start: str | Transform = "",
    masks: tuple[tuple[Masks, Grid], tuple[Masks, Grid]] | None = None,
    given: ManualHelp | None = None,
    progress: Progress | None = None,
) -> StageResult[Registration | None]:
    """Align two series, whatever they are.

    Parameters
    ----------
    fixed, moving : Series
        The series; ``moving`` is brought to ``fixed``.
    config : Config
        Settings; the section ``register`` and ``threads``.
    start : str or Transform, optional
        ``identity``, ``best``, or where the search begins; when left out, identity within one
        frame of reference and the best of several elsewhere.
    masks : tuple, optional
        Masks by name and their grid, of the fixed and of the moving series; they check the result.
    given : ManualHelp, optional
        Transforms, landmarks, and masks inside of which the engine looks.
    progress : callable, optional
        As in `register`.

    Returns
    -------
    StageResult
        The registration with its figures, accepted or not; None when the engine found none.

    Raises
    ------
    EprimgError
        As `register`.
    """
    engine = make_registrar(config.register, load_engine)
    work = Work(engine, config, load_profile(config.register.profile), (), start, given)
    made, findings = _pair(work, fixed, moving, moving, Teller(progress, 0, 1, moving.key))
    if made is not None and masks is not None:
        judged = compare_masks(made, masks[0], masks[1], work.rules.check)
        findings += warnings(fixed, moving.key, judged.doubts[len(made.doubts) :])
        made = judged
    return StageResult(made, tuple(findings))


def _align(
    work: Work, study: Study, reference: Series, series: Series, tell: Teller
) -> tuple[Registration | None, list[Finding]]:
    findings: list[Finding] = []
    ct = own_ct(study, series)
    between = own_ct(study, reference)
    if ct is not None and between is not None:
        # Two PET/CT sessions: anatomy tells more than uptake that has moved on.
        made, noticed = _pair(work, between, ct, series, tell, stands_for=reference.key)
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


def _with_masks(
    work: Work, study: Study, reference: Series, series: Series, made: Registration
) -> tuple[Registration, list[Finding]]:
    """Let masks of the same name, drawn on both series, speak."""
    masks = [(named_masks(study.regions, s.grid), s.grid) for s in (reference, series)]
    judged = compare_masks(made, masks[0], masks[1], work.rules.check)
    new = judged.doubts[len(made.doubts) :]
    return judged, warnings(reference, series.key, new)


def _pair(
    work: Work,
    fixed: Series,
    partner: Series,
    moving: Series,
    tell: Teller,
    *,
    stands_for: str = "",
) -> tuple[Registration | None, list[Finding]]:
    """Align ``partner`` and file the result for ``moving``, which shares its frame."""
    sides = (frozenset({fixed.key, stands_for}), frozenset({partner.key, moving.key}))
    work.tried.append(sides)
    frames = (fixed.grid.frame_of_reference, partner.grid.frame_of_reference)
    given = help_for_pair(work.given, fixed, partner, moving, stands_for=stands_for)
    try:
        estimate = _estimate(
            work, fixed, partner, moving, given, shared=frames[0] == frames[1], tell=tell
        )
    except (InputError, EngineError) as error:
        if isinstance(error, ConfigError):
            raise
        return None, [Finding.from_error(error, where=partner.key)]
    result = estimate.result
    changed = start_changed(work, fixed, partner, given, result)
    qc = quality_figures(estimate, through_ct=partner.key != moving.key)
    settings = {
        **profile_record("profile", work.config.register.profile, work.profile),
        "seed": work.config.register.seed,
        "started_from": result.start_name,
        "aligned_with": partner.key,
        "iterations": dict(result.iterations),
        "registration_error": _ERROR_ESTIMATE,
        "best_other_orientation": estimate.orientation.other.name,
        **{k: v for k, v in work.profile.items() if k != "check"},
        **given.settings,
    }
    way = Transform(result.matrix, *frames, result.displacement)
    figures, distances, apart = landmark_figures(given, way, work.config.register)
    qc |= figures
    settings |= distances
    engine = given.engine or work.name
    if given.result is not None:
        # nothing was searched: what is known of the error is the fit's own prediction, if any
        qc["registration_error_mm"] = given.error_mm
        settings["registration_error"] = _GIVEN_ERROR
        settings = {k: v for k, v in settings.items() if k not in _SEARCH_KEYS | _SHARED_KEYS}
    elif result.settings:  # the engine follows settings of its own, and this much of the profile
        settings = {k: v for k, v in settings.items() if k not in _SEARCH_KEYS}
        settings |= dict(result.settings)
        if not np.isfinite(result.consistency_mm):
            settings["registration_error"] = "registration_error_mm: unknown, there is one estimate"
    faults = list_faults(estimate, work.config.register, work.rules.check)
    doubts = () if faults else (*list_doubts(estimate, work.rules.check), *apart)
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
        return made(result.matrix, engine, text, False), [finding, *changed]
    findings: list[Finding] = changed
    if is_symmetric(estimate, work.rules.check):
        turned = estimate.orientation
        findings.append(
            Finding(
                "I_REGISTRATION_SYMMETRIC",
                Severity.INFO,
                moving.key,
                f"{fixed.key} resembles its own mirror image (local correlation "
                f"{turned.symmetry:.2f}), so {turned.key} fits nearly as well "
                f"{turned.other.name}: that the headers tell left from right was not checked.",
            )
        )
    if given.result is not None:
        source = settings["given_result"]
        text = (
            f"{fixed.key} and {moving.key}{through}: taken from {source}, not searched for; {what}."
        )
        info = Finding("I_REGISTRATION_GIVEN", Severity.INFO, moving.key, text)
        note = f"{what}{through}, from {source}; " + ("; ".join(doubts) or "all checks passed")
        said = [info, *findings, *warnings(fixed, moving.key, doubts, apart)]
        return made(result.matrix, engine, note, True), said
    one_session = frames[0] == frames[1] and fixed.study_uid == partner.study_uid != ""
    if one_session and work.config.register.accept_identity and result.displacement is None:
        both_mr = partner.role == Role.MR_POST
        check = work.rules.check
        limit = check.identity_tolerance_mr_mm if both_mr else check.identity_tolerance_pet_mm
        found = f"a check found {estimate.moved_rms_mm:.1f} mm of movement (tolerance {limit:g} mm)"
        if estimate.moved_rms_mm <= limit:
            findings += warnings(fixed, moving.key, doubts, apart)
            text = f"one session, shared coordinates{through}; {found}: the header's are used"
            # What the check found is not corrected, so it is part of the error.
            qc["registration_error_mm"] = max(result.consistency_mm, estimate.moved_rms_mm)
            info = Finding("I_REGISTRATION_IDENTITY", Severity.INFO, moving.key, f"{text}.")
            aligned = made(np.eye(4), "identity", text, True)
            final, said = bent(work, fixed, partner, aligned, estimate, [info, *findings], tell)
            return _with_landmarks(work, fixed, given, final, said)
        findings.append(
            Finding(
                "W_REGISTRATION_MOVED",
                Severity.WARNING,
                moving.key,
                f"{fixed.key} and {moving.key} are of one session, but {found}; the estimated "
                "alignment is used.",
            )
        )
    findings += warnings(fixed, moving.key, doubts, apart)
    note = f"{what}{through}; " + ("; ".join(doubts) if doubts else "all checks passed")
    aligned = made(result.matrix, engine, note, True)
    final, said = bent(work, fixed, partner, aligned, estimate, findings, tell)
    return _with_landmarks(work, fixed, given, final, said)


def _with_landmarks(
    work: Work, fixed: Series, given: PairHelp, made: Registration, findings: list[Finding]
) -> tuple[Registration, list[Finding]]:
    """Measure landmarks again when the alignment was bent after they were first looked at."""
    if made.transform.is_affine or not given.landmarks:
        return made, findings
    figures, distances, apart = landmark_figures(given, made.transform, work.config.register)
    kept = [f for f in findings if f.code != "W_LANDMARKS"]
    judged = replace(
        made,
        qc={**made.qc, **figures},
        settings={**made.settings, **distances},
        doubts=(*made.doubts, *apart),
    )
    return judged, [*kept, *warnings(fixed, made.moving, apart, apart)]


def _estimate(
    work: Work,
    fixed: Series,
    partner: Series,
    moving: Series,
    given: PairHelp,
    *,
    shared: bool,
    tell: Teller,
) -> Estimate:
    first, second = work.comparable(fixed), work.comparable(partner)
    start = given.start or work.start or ("identity" if shared else "best")
    require_affine_start(start, partner.key)
    try:
        result = (
            given_result(given)
            if given.result is not None
            else work.engine.register(
                first,
                second,
                settings=work.profile,
                seed=work.config.register.seed,
                threads=work.threads,
                start=start,
                progress=tell.engine_progress,
                should_stop=tell.should_stop,
                **masks_for(work.engine, given, first.grid, second.grid),
            )
        )
    except EngineError:
        if tell.stopped_by is not None:
            raise tell.stopped_by from None
        raise
    if tell.stopped_by is not None:
        raise tell.stopped_by
    tell("checking the alignment", 1.0)
    # The CT may be right and the PET that rides on it turned.
    rider = (moving.key, work.comparable(moving)) if moving.key != partner.key else None
    return examine(
        result,
        first,
        second,
        work.rules,
        key=partner.key,
        both_mr={fixed.role, partner.role} <= {Role.MR_PRE, Role.MR_POST},
        rider=rider,
        ask=tell.again,
    )
