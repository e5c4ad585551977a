"""What a person gave for one pair of series: its place in the registration, and the distances."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.contract import Registrar, RegistrarResult
from eprimg.errors import InputError
from eprimg.kernels.landmarks import fit_rigid, landmark_distances_mm, predicted_error_mm
from eprimg.model.case import Finding, Severity
from eprimg.model.grid import Grid
from eprimg.model.manual_help import HelpUse, LandmarkPairs, ManualHelp, MetricMask
from eprimg.model.study import Placed
from eprimg.model.transform import Transform

__all__ = [
    "PairHelp",
    "given_result",
    "help_for_pair",
    "landmark_figures",
    "masks_for",
    "require_affine_start",
    "unused_help",
]


@dataclass(frozen=True, eq=False, slots=True)
class PairHelp:
    """Help for one pair.

    Parameters
    ----------
    start, result : Transform or None
        Where the search begins; what takes its place.
    engine : str
        Who found ``result``: ``file`` or ``landmarks``.
    landmarks : tuple of (LandmarkPairs, bool)
        Pairs whose distances are reported, from the fixed to the moving series; True for those that
        the result was fitted to.
    masks : Mapping of str to MetricMask
        ``fixed_mask`` and ``moving_mask``, as the engine takes them.
    settings : Mapping
        The record of all this.
    error_mm : float
        Expected error of ``result`` at the centre of the field of view, when it is a fit to more
        than three pairs.
    """

    start: Transform | None = None
    result: Transform | None = None
    engine: str = ""
    landmarks: tuple[tuple[LandmarkPairs, bool], ...] = ()
    masks: Mapping[str, MetricMask] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    error_mm: float = float("nan")


def help_for_pair(
    help_: ManualHelp, fixed: Placed, partner: Placed, moving: Placed, *, stands_for: str = ""
) -> PairHelp:
    """Pick what was given for a pair of series.

    Parameters
    ----------
    help_ : ManualHelp
        All that was given for the study.
    fixed, partner, moving : Placed
        The reference, the series that is compared with it, and the one that the result is for (PET
        may ride on its CT); partner and moving share a frame.
    stands_for : str, optional
        Key of the series in whose place ``fixed`` is compared: help that names it counts too.

    Returns
    -------
    PairHelp
        Empty when nothing was given for the pair.

    Raises
    ------
    InputError
        ``E_LANDMARKS`` when landmarks cannot be fitted, or when more than one thing would be the
        result, or the start.
    """
    frames = (fixed.grid.frame_of_reference, partner.grid.frame_of_reference)
    starts, ends = {fixed.key, stands_for}, {partner.key, moving.key}
    settings: dict[str, object] = {}
    chosen: dict[HelpUse, list[tuple[Transform, str, str]]] = {
        HelpUse.RESULT: [],
        HelpUse.START: [],
    }
    named = [t for t in help_.transforms if t.fixed]
    found = [t for t in help_.transforms if not t.fixed]
    for given in named:
        transform = _between(given.transform, given.fixed, given.moving, starts, ends)
        if transform is not None:
            source = f"{given.source} (SHA-256 {given.sha256[:16]})"
            chosen[given.use].append((transform, "file", source))
    landmarks: list[tuple[LandmarkPairs, bool]] = []
    error = float("nan")
    for pairs in help_.landmarks:
        turned = _turned(pairs, starts, ends)
        if turned is None:
            continue
        landmarks.append((turned, turned.use == HelpUse.RESULT))
        if turned.use != HelpUse.CHECK:
            fit = fit_rigid(turned.fixed_mm, turned.moving_mm)
            transform = Transform(fit.matrix, *frames)
            chosen[turned.use].append((transform, "landmarks", turned.source))
            settings["landmark_fit_rms_mm"] = fit.rms_mm
            settings["landmark_fit_residuals_mm"] = [round(float(r), 3) for r in fit.residuals_mm]
            if turned.use == HelpUse.RESULT and len(turned.fixed_mm) > 3:
                centre = fixed.grid.center_lps_mm[None, :]
                error = float(predicted_error_mm(turned.fixed_mm, fit.rms_mm, centre)[0])
    if not chosen[HelpUse.RESULT] and not chosen[HelpUse.START] and frames[0] != frames[1]:
        for given in found:
            between = (given.transform.from_frame, given.transform.to_frame)
            if set(between) == set(frames):
                right = between == frames
                transform = given.transform if right else given.transform.inverse()
                source = f"{given.source} (SHA-256 {given.sha256[:16]})"
                chosen[HelpUse.RESULT].append((transform, "file", source))
    for use, several in chosen.items():
        if len(several) > 1:
            raise InputError(
                f"{len(several)} things were given as the {use} for {fixed.key} and {moving.key}",
                code="E_LANDMARKS",
                where=", ".join(source for _, _, source in several),
                action="keep one of them",
            )
        if several:
            settings[f"given_{use}"] = f"{several[0][1]}: {several[0][2]}"
    masks = {}
    for mask in help_.masks:
        end = "fixed" if mask.on in starts else "moving" if mask.on in ends else ""
        if end:
            masks[f"{end}_mask"] = mask
            share = mask.inside.mean()
            settings[f"{end}_mask"] = (
                f"{mask.source} on {mask.on} ({100 * share:.1f} % of its grid)"
            )
    result, start = chosen[HelpUse.RESULT], chosen[HelpUse.START]
    return PairHelp(
        start[0][0] if start else None,
        result[0][0] if result else None,
        result[0][1] if result else "",
        tuple(landmarks),
        masks,
        settings,
        error if result and result[0][1] == "landmarks" else float("nan"),
    )


def _between(
    transform: Transform, first: str, second: str, starts: set[str], ends: set[str]
) -> Transform | None:
    if first in starts and second in ends:
        return transform
    if second in starts and first in ends:
        return transform.inverse()
    return None


def _turned(pairs: LandmarkPairs, starts: set[str], ends: set[str]) -> LandmarkPairs | None:
    if pairs.fixed in starts and pairs.moving in ends:
        return pairs
    if pairs.moving in starts and pairs.fixed in ends:
        return LandmarkPairs(
            pairs.moving,
            pairs.fixed,
            pairs.moving_mm,
            pairs.fixed_mm,
            pairs.use,
            pairs.names,
            pairs.source,
        )
    return None


def unused_help(
    help_: ManualHelp, tried: Sequence[tuple[frozenset[str], frozenset[str]]]
) -> list[Finding]:
    """Name what was given for series that were never aligned with each other.

    Parameters
    ----------
    help_ : ManualHelp
        All that was given for the study.
    tried : sequence of (frozenset, frozenset)
        Keys of the fixed and of the moving side of every pair that was tried.

    Returns
    -------
    list of Finding
        ``W_HELP_UNUSED`` for each; none for registrations that only lie in the folder.
    """

    def met(one: str, other: str) -> bool:
        return any((one in a and other in b) or (other in a and one in b) for a, b in tried)

    named = [("transform", t.fixed, t.moving, t.source) for t in help_.transforms if t.fixed]
    named += [("pairs of landmarks", p.fixed, p.moving, p.source) for p in help_.landmarks]
    findings = [
        Finding(
            "W_HELP_UNUSED",
            Severity.WARNING,
            moving,
            f"The {what} of {source or 'study.toml'} for {fixed} and {moving} was not used: these "
            "two are not aligned with each other.",
        )
        for what, fixed, moving, source in named
        if not met(fixed, moving)
    ]
    findings += [
        Finding(
            "W_HELP_UNUSED",
            Severity.WARNING,
            mask.on,
            f"The mask {mask.source} on {mask.on} was not used: this series is not aligned.",
        )
        for mask in help_.masks
        if not any(mask.on in a | b for a, b in tried)
    ]
    return findings


def given_result(help_: PairHelp) -> RegistrarResult:
    """Put a given transform in the place of an engine's result.

    Parameters
    ----------
    help_ : PairHelp
        With a ``result``.

    Returns
    -------
    RegistrarResult
        Its consistency is not known (NaN): there is no second estimate.
    """
    assert help_.result is not None
    return RegistrarResult(
        matrix=np.array(help_.result.matrix),
        start=np.array(help_.result.matrix),
        start_name="given",
        consistency_mm=float("nan"),
        displacement=help_.result.displacement,
    )


def require_affine_start(start: str | Transform | None, where: str) -> None:
    """Refuse a start that bends.

    Parameters
    ----------
    start : str, Transform or None
        Where the search would begin.
    where : str
        Key of the series that is aligned.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE``.
    """
    if isinstance(start, Transform) and not start.is_affine:
        raise InputError(
            "a search begins with a rigid or affine transform, and this one bends",
            code="E_TRANSFORM_FILE",
            where=where,
            action="give an affine transform as the start, or this one as the result",
        )


def masks_for(engine: Registrar, help_: PairHelp, fixed: Grid, moving: Grid) -> Mapping[str, Any]:
    """Return the masks as keywords of an engine.

    Parameters
    ----------
    engine : Registrar
        The engine.
    help_ : PairHelp
        Its masks.
    fixed, moving : Grid
        Of the two series.

    Returns
    -------
    Mapping
        ``fixed_mask`` and ``moving_mask`` where given.

    Raises
    ------
    InputError
        ``E_REGISTRATION_MASK`` when there are masks and the engine takes none, or when a mask has
        no voxel on its series.
    """
    known = inspect.signature(engine.register).parameters
    for name, mask in help_.masks.items():
        if name not in known:
            raise InputError(
                f"{name} was given, but the engine takes none",
                code="E_REGISTRATION_MASK",
                where=mask.source,
                value=getattr(engine, "name", type(engine).__name__),
                action="use simpleitk-rigid, or leave the mask out",
            )
        grid = fixed if name == "fixed_mask" else moving
        index = grid.lps_mm_to_index(mask.grid.index_to_lps_mm(np.argwhere(mask.inside)))
        if not np.all((index >= -0.5) & (index <= np.array(grid.shape) - 0.5), axis=-1).any():
            raise InputError(
                f"the mask {mask.source} has no voxel on the series {mask.on}: it lies outside its "
                "field of view",
                code="E_REGISTRATION_MASK",
                where=mask.source,
                action="check on which series it was drawn",
            )
    return help_.masks


def landmark_figures(
    help_: PairHelp, transform: Transform, config: RegisterConfig
) -> tuple[dict[str, float], dict[str, Any], tuple[str, ...]]:
    """Measure how far landmarks end from where they should.

    Parameters
    ----------
    help_ : PairHelp
        Its landmarks.
    transform : Transform
        The registration.
    config : RegisterConfig
        Its ``landmark_tolerance_mm``.

    Returns
    -------
    figures : dict
        ``landmark_tre_mean_mm`` and ``landmark_tre_max_mm`` over pairs that the registration was
        not fitted to, ``landmark_residual_rms_mm`` over those that it was, and their numbers.
    record : dict
        The distance of each pair.
    doubts : tuple of str
        A reason to doubt when the mean is above the tolerance.
    """
    figures: dict[str, float] = {}
    record: dict[str, Any] = {}
    doubts = []
    for fitted in (False, True):
        distances = [
            _distances(p, transform) for p, is_fitted in help_.landmarks if is_fitted == fitted
        ]
        if not distances:
            continue
        every = np.concatenate(distances)
        name = "landmark_residual" if fitted else "landmark_tre"
        figures[f"{name}_count"] = float(len(every))
        figures[f"{name}_mean_mm"] = float(every.mean())
        figures[f"{name}_max_mm"] = float(every.max())
        if fitted:
            figures[f"{name}_rms_mm"] = float(np.sqrt(np.mean(every**2)))
        record[f"{name}s_mm"] = _named(
            [p for p, is_fitted in help_.landmarks if is_fitted == fitted], every
        )
        if every.mean() > config.landmark_tolerance_mm:
            doubts.append(
                f"{len(every)} pairs of landmarks end {every.mean():.1f} mm (mean) from where they "
                f"should (at most {config.landmark_tolerance_mm:g} mm)"
            )
    return figures, record, tuple(doubts)


def _distances(pairs: LandmarkPairs, transform: Transform) -> npt.NDArray[np.float64]:
    return landmark_distances_mm(transform.apply(pairs.fixed_mm), pairs.moving_mm)


def _named(sets: Sequence[LandmarkPairs], distances: npt.NDArray[np.float64]) -> dict[str, float]:
    names: list[str] = []
    for pairs in sets:
        own = pairs.names or tuple(str(n + 1) for n in range(len(pairs.fixed_mm)))
        names += [f"{len(names) + n + 1}. {name}" for n, name in enumerate(own)]
    return {name: round(float(d), 3) for name, d in zip(names, distances, strict=True)}
