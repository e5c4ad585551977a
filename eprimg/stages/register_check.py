"""What speaks against an alignment: reasons to refuse it, reasons to doubt it, and the figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eprimg.config import RegisterConfig
from eprimg.engines.registrars.contract import RegistrarResult
from eprimg.engines.registrars.orientation import OtherOrientation, best_other_orientation
from eprimg.engines.registrars.rigid_settings import CheckSettings, RigidSettings
from eprimg.engines.registrars.second_look import fit_nearby
from eprimg.engines.registrars.similarity import Similarity, SimilarityCheck
from eprimg.model.volume import Volume

__all__ = [
    "Estimate",
    "Orientation",
    "is_symmetric",
    "list_doubts",
    "list_faults",
    "orientation_of",
    "quality_figures",
]


@dataclass(frozen=True, slots=True)
class Orientation:
    """How well a series fits as it is, and turned or mirrored.

    Parameters
    ----------
    key : str
        The series.
    nmi : float
        Normalised mutual information at the alignment.
    other : OtherOrientation
        The best turned or mirrored position.
    symmetry : float
        How much the fixed series resembles itself when it is changed in the same way (local
        correlation); NaN when it was not asked for.
    """

    key: str
    nmi: float
    other: OtherOrientation
    symmetry: float = float("nan")

    @property
    def share(self) -> float:
        """Mutual information (NMI minus 1) of the other orientation, as a share of this one's."""
        if not np.isfinite(self.other.nmi):
            return 0.0
        here = self.nmi - 1.0
        return (self.other.nmi - 1.0) / here if here > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A registration before it is judged.

    Parameters
    ----------
    result : RegistrarResult
        What the engine found.
    header, start, after : Similarity
        Figures at the header's position, where the search began, and at the result.
    orientation : Orientation
        The series' other orientations; for PET through CT that of the two which fits worse.
    both_mr : bool
        Whether MR was aligned with MR.
    peak : float
        Mutual information (minus 1) over that of the best of six displaced positions.
    moved_center_mm, rotated_deg, moved_rms_mm : float
        Size of the movement that was found.
    nearby_mm, nearby_gain : float
        Distance to the best place nearby, over the body, and by which share more information there
        is there; NaN when it was not looked for.
    inverse_mm : float
        Distance between each point and where the alignment and a second estimate of the way back
        bring it.
    cut_share : float
        Share of the sides of the fixed field of view that cuts through tissue.
    """

    result: RegistrarResult
    header: Similarity
    start: Similarity
    after: Similarity
    orientation: Orientation
    both_mr: bool
    peak: float
    moved_center_mm: float
    rotated_deg: float
    moved_rms_mm: float
    nearby_mm: float = float("nan")
    nearby_gain: float = float("nan")
    inverse_mm: float = float("nan")
    cut_share: float = 0.0


def orientation_of(
    key: str,
    fixed: Volume,
    moving: Volume,
    check: SimilarityCheck,
    matrix: npt.ArrayLike,
    rules: RigidSettings,
    *,
    ask: Callable[[], object] | None = None,
) -> Orientation:
    """Compare an alignment with the other orientations of the moving series.

    Parameters
    ----------
    key : str
        The moving series.
    fixed, moving : Volume
        Comparable volumes.
    check : SimilarityCheck
        The same two volumes, prepared.
    matrix : array_like, shape (4, 4)
        The alignment.
    rules : RigidSettings
        The profile.
    ask : callable, optional
        Called between pieces of work; it may raise to end it.

    Returns
    -------
    Orientation
        Both figures.
    """
    if ask is not None:
        ask()
    coarse = SimilarityCheck(
        fixed, moving, rules.intensity, grid_mm=rules.check.orientation_grid_mm
    )
    if ask is not None:
        ask()
    other = best_other_orientation(
        check,
        coarse,
        matrix,
        minimum_overlap_fraction=rules.check.minimum_overlap_fraction,
        ask=ask,
    )
    found = Orientation(key, check.at(matrix, local=False).nmi, other)
    if found.share <= rules.check.doubtful_share_of_other_orientation:
        return found
    # Nearly as good: because the alignment is wrong, or because the body is its own mirror image?
    own = SimilarityCheck(fixed, fixed, rules.intensity, grid_mm=rules.check.orientation_grid_mm)
    mirror = np.linalg.inv(np.asarray(matrix, dtype=float)) @ other.matrix
    best = fit_nearby(own, mirror, ask=ask).matrix @ mirror
    return replace(found, symmetry=own.at(best).local_ncc2)


def quality_figures(estimate: Estimate, *, through_ct: bool) -> dict[str, float]:
    """Return the named figures of a registration.

    Parameters
    ----------
    estimate : Estimate
        The registration.
    through_ct : bool
        Whether the CT was aligned in the place of PET.

    Returns
    -------
    dict
        Figures with the unit in the name.
    """
    result = estimate.result
    polished = result.polish_moved_mm if result.polish_kept else 0.0
    qc = {
        "nmi_before": estimate.header.nmi,
        "nmi_start": estimate.start.nmi,
        "nmi_after": estimate.after.nmi,
        "nmi_other_orientation": estimate.orientation.other.nmi,
        "other_orientation_share": estimate.orientation.share,
        "nmi_peak_ratio": estimate.peak,
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
    second_look = {
        "nearby_mm": estimate.nearby_mm,
        "nearby_gain": estimate.nearby_gain,
        "inverse_mm": estimate.inverse_mm,
        "cut_share": estimate.cut_share,
        "body_symmetry": estimate.orientation.symmetry,
    }
    qc |= {name: value for name, value in second_look.items() if np.isfinite(value)}
    if np.isfinite(result.polish_moved_mm):
        qc["polish_moved_mm"] = result.polish_moved_mm
    return qc


def list_faults(estimate: Estimate, limits: RegisterConfig, check: CheckSettings) -> list[str]:
    """Return the reasons to refuse a registration.

    Parameters
    ----------
    estimate : Estimate
        The registration.
    limits : RegisterConfig
        The user's limits.
    check : CheckSettings
        The profile's limits.

    Returns
    -------
    list of str
        Reasons in words; empty when it is accepted.
    """
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
    turned = estimate.orientation
    if turned.share > 1.0:
        faults.append(
            f"{turned.key} fits better {turned.other.name} (mutual information "
            f"{turned.other.nmi:.4f} instead of {turned.nmi:.4f}): check the patient position and "
            "the orientation in the headers of both series"
        )
    limit = check.refused_nearby_mm
    if estimate.nearby_mm > limit and not estimate.inverse_mm <= limit:
        back = (
            f", and the way back misses by {estimate.inverse_mm:.1f} mm"
            if np.isfinite(estimate.inverse_mm)
            else ""
        )
        faults.append(
            f"a place {estimate.nearby_mm:.1f} mm away fits better (mutual information "
            f"{100 * estimate.nearby_gain:+.0f} %){back} (more than {limit:g} mm)"
        )
    if not estimate.peak > 1.0:
        faults.append(
            f"a position {check.displaced_mm:g} mm away looks as good (mutual information)"
        )
    return faults


def is_symmetric(estimate: Estimate, check: CheckSettings) -> bool:
    """Tell whether the body is its own mirror image, so that mirroring cannot be judged.

    Parameters
    ----------
    estimate : Estimate
        The registration.
    check : CheckSettings
        The profile's limits.

    Returns
    -------
    bool
        True when the fixed series resembles its own mirror image (a head, a neck).
    """
    turned = estimate.orientation
    return bool(
        turned.other.name.startswith("mirrored") and turned.symmetry > check.symmetric_body_ncc2
    )


def list_doubts(estimate: Estimate, check: CheckSettings) -> list[str]:
    """Return the reasons to doubt a registration that is accepted.

    Parameters
    ----------
    estimate : Estimate
        The registration.
    check : CheckSettings
        The profile's limits.

    Returns
    -------
    list of str
        Reasons in words.
    """
    doubts = []
    before, after = estimate.header.local_ncc2, estimate.after.local_ncc2
    if np.isfinite(before) and after < check.smallest_share_of_start * before:
        doubts.append(f"the local correlation fell ({before:.3f} to {after:.3f})")
    if estimate.result.consistency_mm > check.doubtful_consistency_mm:
        doubts.append(
            f"two estimates disagree by {estimate.result.consistency_mm:.1f} mm (more than "
            f"{check.doubtful_consistency_mm:g} mm)"
        )
    limit = check.doubtful_nearby_mm
    if estimate.nearby_mm > limit:
        doubts.append(
            f"a place {estimate.nearby_mm:.1f} mm away fits better (mutual information "
            f"{100 * estimate.nearby_gain:+.0f} %; more than {limit:g} mm)"
        )
    if estimate.inverse_mm > limit:
        doubts.append(
            f"there and back again ends {estimate.inverse_mm:.1f} mm from where it began "
            f"(more than {limit:g} mm)"
        )
    turned = estimate.orientation
    symmetric = is_symmetric(estimate, check)
    if turned.share > check.doubtful_share_of_other_orientation and not symmetric:
        doubts.append(
            f"{turned.key} fits nearly as well {turned.other.name} (mutual information "
            f"{turned.other.nmi:.4f} and {turned.nmi:.4f})"
        )
    if estimate.peak < check.doubtful_peak_ratio:
        doubts.append(
            f"a position {check.displaced_mm:g} mm away fits almost as well (ratio of mutual "
            f"information {estimate.peak:.3f}, below {check.doubtful_peak_ratio:g})"
        )
    if estimate.both_mr and after < check.doubtful_local_ncc2_mr:
        doubts.append(
            f"the two MR series hardly resemble each other (local correlation {after:.2f}, "
            f"below {check.doubtful_local_ncc2_mr:g})"
        )
    if not estimate.both_mr and estimate.cut_share > check.doubtful_cut_share:
        doubts.append(
            f"the sides of the field of view cut through tissue ({100 * estimate.cut_share:.0f} % "
            f"of them, more than {100 * check.doubtful_cut_share:.0f} %): without the outline of "
            "the body mutual information can be wrong by centimetres; look at the overlay"
        )
    return doubts
