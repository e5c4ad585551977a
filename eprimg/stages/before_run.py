"""What the stages would refuse of what was given by hand, before a voxel of a series is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eprimg.config import Config
from eprimg.engines.registrars.contract import Registrar, make_registrar
from eprimg.errors import EprimgError, InputError, raise_faults
from eprimg.model.case import Finding
from eprimg.model.lesions import LesionSet
from eprimg.model.manual_help import ManualHelp
from eprimg.model.study import Placed, Role
from eprimg.registry import load_engine
from eprimg.stages.carry import REFERENCE_ORDER
from eprimg.stages.register_manual import PairHelp, help_for_pair, masks_for, require_affine_start
from eprimg.stages.segment import unknown_frame

__all__ = ["check_before_run"]


def check_before_run(
    series: Sequence[Placed], regions: Sequence[LesionSet], help_: ManualHelp, config: Config
) -> tuple[Finding, ...]:
    """Check masks and help for the alignment with the code of the stages that use them.

    Parameters
    ----------
    series : sequence of Placed
        Series or their heads.
    regions : sequence of LesionSet
        Imported masks; empty when the run has regions of its own.
    help_ : ManualHelp
        Transforms, landmarks and masks for the alignment.
    config : Config
        Settings; the section ``register``.

    Returns
    -------
    tuple of Finding
        Why a pair of series will not be aligned: a mask that has no voxel on its series, a start
        that bends.

    Raises
    ------
    EprimgError
        ``E_FOR`` for a mask in a frame of reference that no series has; ``E_LANDMARKS`` for
        landmarks that cannot be fitted, and for a pair of series with two results or two starts.
    """
    frames = {s.grid.frame_of_reference for s in series}
    faults: list[EprimgError] = [
        unknown_frame(r) for r in regions if r.grid.frame_of_reference not in frames
    ]
    findings: list[Finding] = []
    engine = make_registrar(config.register, load_engine) if help_ else None
    for fixed, partner, moving, stands_for in _pairs(series) if help_ else ():
        try:
            given = help_for_pair(help_, fixed, partner, moving, stands_for=stands_for)
        except EprimgError as error:
            faults += error.faults or (error,)
            continue
        try:
            _check_search(given, engine, fixed, partner)
        except InputError as error:
            findings.append(Finding.from_error(error, where=partner.key))
    raise_faults(_distinct(faults))
    return tuple(findings)


def _check_search(
    given: PairHelp, engine: Registrar | None, fixed: Placed, partner: Placed
) -> None:
    if given.result is not None:
        return
    require_affine_start(given.start, partner.key)
    if engine is not None:
        masks_for(engine, given, fixed.grid, partner.grid)


def _pairs(series: Sequence[Placed]) -> Iterator[tuple[Placed, Placed, Placed, str]]:
    """Name the pairs that the stage `register` tries first: fixed, partner, moving, stands for."""
    of = {role: [s for s in series if s.role == role] for role in Role}
    there = [_primary(of[role]) for role in REFERENCE_ORDER if of[role]]
    if not there:
        return
    reference = there[0]

    def own_ct(one: Placed) -> Placed | None:
        frame = one.grid.frame_of_reference
        return next((c for c in of[Role.CT] if c.grid.frame_of_reference == frame), None)

    for moving in (*of[Role.MR_POST], *of[Role.PET]):
        if moving.key == reference.key:
            continue
        ct = own_ct(moving) if moving.role == Role.PET else None
        between = own_ct(reference) if reference.role == Role.PET else None
        if ct is not None and between is not None:
            yield between, ct, moving, reference.key
        elif ct is not None and ct.grid.frame_of_reference != reference.grid.frame_of_reference:
            yield reference, ct, moving, ""
        else:
            yield reference, moving, moving, ""


def _primary(series: Sequence[Placed]) -> Placed:
    return next((s for s in series if s.key == str(s.role)), series[0])


def _distinct(faults: Sequence[EprimgError]) -> list[EprimgError]:
    """Keep one of several faults that say the same: a thing may be given for several pairs."""
    return list({(f.code, f.message, f.where): f for f in faults}.values())
