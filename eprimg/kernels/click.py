"""One region from one click on MR: random walker, grow-cut or gradient watershed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eprimg.errors import InputError
from eprimg.kernels._click_doubt import (
    GOES_ON,
    IS_ONLY_THE_BALL,
    NO_EDGE,
    REACHES_SHELL,
    added_differs,
    doubt_about,
    is_one_body,
    may_go_on,
)
from eprimg.kernels._click_graph import least_costs, walk_probability
from eprimg.kernels.label_boxes import Box

__all__ = [
    "CLICK_METHODS",
    "GOES_ON",
    "IS_ONLY_THE_BALL",
    "NOT_A_LESION",
    "NO_EDGE",
    "ClickMethod",
    "ClickRegion",
    "click_segment",
]

ClickMethod = Literal["random-walker", "grow-cut", "gradient-watershed"]

CLICK_METHODS: tuple[ClickMethod, ...] = ("random-walker", "grow-cut", "gradient-watershed")
"""The ways from a click to a region, the default first."""

NOT_A_LESION = (NO_EDGE, IS_ONLY_THE_BALL)
"""Doubts about what grows in tissue without a lesion."""

_VOI_MM = 28.0
_SHELL_MM = 24.0
_WIDER = (1.5, 2.25)
"""Wider shells that are tried one after the other where the first may have cut the region off."""
_TRUSTED_MM = {"random-walker": 54.0, "grow-cut": 36.0, "gradient-watershed": 54.0}
"""Farthest shell whose region is taken: grow-cut, which leaks, fills an organ in a wider one."""
_STAYED, _GREW = 1.05, 1.25
"""A region that a wider shell makes no larger than the first ends by itself; one that it makes as
much larger as the second had its end from the shell.  House rules."""
_SEED_MM = 3.0
_RANGE = (1.0, 99.0)
_LEAST_GRIP = 1e-3
_TIE_PER_MM = 1e-6
"""Cost of a mm of path, so that of two equal paths the shorter one wins."""
_BETA = 2000.0
_IS_LIKE, _LOOKS_LIKE = 0.75, 1.5
"""Standard deviations inside a region by which the median of what a wider shell adds may differ
for it to be the same tissue, and to be a reason for a doubt.  House rule."""
_SAME = 0.25
"""Part of the range by which a voxel of the ball may differ from the clicked ones."""


class ClickRegion(NamedTuple):
    """What grew from a click.

    Attributes
    ----------
    mask : ndarray of bool, shape (k, j, i)
        The region on the whole volume; connected, holds the clicked voxel; empty when refused.
    box : tuple of slice
        Volume of interest that was looked at.
    refused : str
        Why there is no region; empty when there is one.
    doubt : str
        Why the region should be looked at with care; empty when nothing speaks against it.
    n_voxels : int
        Voxels of the mask.
    shell_mm : float
        Distance from the click in mm beyond which everything was taken as background.
    cut_off : bool
        A part of its border lies against that shell: it ends there because it was made to.
    """

    mask: NDArray[np.bool_]
    box: Box
    refused: str
    doubt: str
    n_voxels: int
    shell_mm: float
    cut_off: bool = False


def click_segment(
    values: NDArray[np.floating[Any]],
    spacing_mm: Sequence[float],
    seed_index: Sequence[int],
    *,
    method: ClickMethod = "random-walker",
    background_index: Sequence[Sequence[int]] = (),
    diameter_mm: float | None = None,
    seed_mm: float = _SEED_MM,
) -> ClickRegion:
    """Grow a region from one click inside a lesion.

    Parameters
    ----------
    values : ndarray of float, shape (k, j, i)
        One contrast, any unit; NaN and infinite voxels belong to no region.
    spacing_mm : sequence of float
        Voxel spacing along (k, j, i) in mm.
    seed_index : sequence of int
        Clicked voxel (k, j, i).
    method : {"random-walker", "grow-cut", "gradient-watershed"}
        How the voxels between the seeds are divided.  The page of validation compares them: the
        random walker is the one that never failed; grow-cut follows the outline best, and fails
        where a weak edge lets it out, unless it is given a diameter or a background click.
    background_index : sequence of (k, j, i)
        Clicks that are not in the lesion.
    diameter_mm : float, optional
        Rough largest diameter of the lesion.  No voxel of a lesion lies farther from a click
        inside it than its diameter, so the shell is put there; when left out 24 mm, and 36 or
        54 mm where that cuts the region off.
    seed_mm : float
        Radius of the ball around every click that belongs to it, in mm.  Voxels of the lesion's
        ball beyond an edge of the contrast are left out of it.

    Returns
    -------
    ClickRegion
        Mask on the whole volume, with what speaks against it.

    Raises
    ------
    InputError
        ``E_ARGUMENT``: shape, spacing, a click outside the volume, or a background click on the
        voxel of the lesion's click.

    Notes
    -----
    The volume of interest reaches 28 mm from the click (4 mm beyond the shell).  A region that
    lies against the shell, or whose border has no step in places while like tissue is joined to
    it, is grown anew within 36 mm, then 54 mm.  The new one is kept, with a doubt that names the
    distance, when it ends by itself, keeps off the shell, is of the same tissue and fills 95 % of
    its convex hull (grow-cut: within 36 mm only; it fills organs within 54 mm).  Where a wider
    shell makes it larger by a quarter but not such a body, the first one stays and the doubt says
    that a part may be missing; where it makes it no larger, the first one stays as it is.

    Values are clipped to their 1st and 99th percentile in the volume of interest, widened to the
    value at the click, and divided by that range, so the region does not change when the contrast
    is scaled or inverted.

    *Random walker* [4]_: probability of reaching the lesion's seed first, weights
    ``exp(-beta (c_p - c_q)^2) (h / spacing)^2`` with beta 2000 and h the finest spacing; beta was
    chosen on made volumes (1000 to 4000 are alike) and is larger than the 90 of the paper because
    the range of an abdomen is mostly that between fat and dark organs.  *Grow-cut* [1]_: a label
    passes from voxel p to its neighbour q with the strength ``theta_q = theta_p g(p, q)``,
    ``g = 1 - |c_p - c_q|``, and the strongest label wins.  The automaton's end state is that of
    the path with the largest product of g [2]_, which is computed here without running it.
    *Gradient watershed*: flooding of the gradient magnitude (Gaussian derivative of one voxel
    along the axes, per mm) from both seeds [3]_.

    Then the part connected with the click is kept (6-neighbours) and its holes are filled.

    References
    ----------
    .. [1] Vezhnevets V, Konouchine V. "GrowCut": interactive multi-label N-D image segmentation by
       cellular automata. Proc. Graphicon 2005:150-156.
    .. [2] Zhu L, Kolesov I, Gao Y, Kikinis R, Tannenbaum A. An effective interactive medical image
       segmentation method using fast GrowCut. MICCAI workshop on interactive medical image
       computing, 2014.
    .. [3] Meyer F. Topographic distance and watershed lines. Signal Processing 1994;38:113-125.
    .. [4] Grady L. Random walks for image segmentation. IEEE Trans Pattern Anal Mach Intell
       2006;28:1768-1783. doi:10.1109/TPAMI.2006.233
    """
    seed, others, spacing = _checked(
        values, spacing_mm, seed_index, background_index, method, diameter_mm, seed_mm
    )
    shell = _SHELL_MM if diameter_mm is None else max(diameter_mm, seed_mm + 2.0 * max(spacing))
    first, suspect = _grown(values, spacing, seed, others, method, shell, seed_mm)
    if not (suspect or first.cut_off):
        return first
    grew = False
    for times in _WIDER:
        wider = times * shell
        made, suspect = _grown(values, spacing, seed, others, method, wider, seed_mm)
        apart = added_differs(values[first.mask], values[made.mask & ~first.mask])
        grew = grew or (made.n_voxels > _GREW * first.n_voxels and apart <= _LOOKS_LIKE)
        # A person who gave a diameter is told, not overruled.
        trusted = diameter_mm is None and wider <= _TRUSTED_MM[method]
        if trusted and not suspect and apart <= _IS_LIKE and _is_whole(made, first):
            if made.n_voxels <= _STAYED * first.n_voxels and not first.cut_off:
                return first
            why = (
                f"it was grown within {wider:g} mm of the click, as {shell:g} mm cut it off: see "
                "that it holds no neighbour"
            )
            return made._replace(doubt="; ".join(d for d in (why, made.doubt) if d))
        if diameter_mm is not None:
            break
    if not grew:
        return first
    return first._replace(doubt="; ".join(d for d in (GOES_ON, first.doubt) if d))


def _is_whole(made: ClickRegion, first: ClickRegion) -> bool:
    """Whether a region in a wider shell ends by itself, and is one body.

    Two things that touch have edges all around as well, and a wider shell would join them.
    """
    if made.refused or made.cut_off or made.n_voxels < first.n_voxels:
        return False
    if any(words in made.doubt for words in (*NOT_A_LESION, REACHES_SHELL)):
        return False
    return is_one_body(made.mask[made.box])


def _grown(
    values: NDArray[np.floating[Any]],
    spacing: tuple[float, float, float],
    seed: tuple[int, int, int],
    others: Sequence[tuple[int, int, int]],
    method: ClickMethod,
    shell: float,
    seed_mm: float,
) -> tuple[ClickRegion, bool]:
    """Grow a region within a shell of background; also whether it may go on beyond its border."""
    reach = shell + _VOI_MM - _SHELL_MM
    box = _box_around(seed, reach, spacing, values.shape)
    part = np.asarray(values[box], dtype=np.float64)
    usable = np.isfinite(part)
    here = tuple(s - b.start for s, b in zip(seed, box, strict=True))
    empty = np.zeros(values.shape, dtype=np.bool_)

    def refused(why: str) -> tuple[ClickRegion, bool]:
        return ClickRegion(empty, box, why, "", 0, shell), False

    if not usable[here]:
        return refused("the clicked voxel has no value")
    distance = _distance(part.shape, here, spacing)
    ball = usable & (distance <= seed_mm)
    low, high = np.percentile(part[usable], _RANGE)
    # A small bright (or dark) lesion is less than a hundredth of the volume of interest.
    level = float(np.median(part[ndimage.binary_dilation(_only(part.shape, here)) & ball]))
    low, high = min(low, level), max(high, level)
    if not high > low:
        return refused("the values around the click do not differ")
    scaled = np.clip((np.where(usable, part, low) - low) / (high - low), 0.0, 1.0)
    lesion = _seed_ball(scaled, (level - low) / (high - low), ball, here)
    background = usable & (distance >= shell)
    for other in others:
        there = tuple(s - b.start for s, b in zip(other, box, strict=True))
        background |= usable & (_distance(part.shape, there, spacing) <= seed_mm)
    background &= ~lesion
    if not background.any():
        return refused("there is no background around the click")
    inside = _divide(scaled, usable, lesion, background, spacing, method)
    inside |= lesion
    inside &= usable & ~background
    parts, _ = ndimage.label(inside)
    kept = ndimage.binary_fill_holes(parts == parts[here]) & usable
    mask = empty
    mask[box] = kept
    made = ClickRegion(
        mask,
        box,
        "",
        doubt_about(kept, lesion, scaled, distance, shell, spacing, values.shape, box),
        int(np.count_nonzero(kept)),
        shell,
        bool((kept & ndimage.binary_dilation(usable & (distance >= shell))).any()),
    )
    return made, may_go_on(kept, scaled, usable, spacing)


def _divide(
    scaled: NDArray[np.float64],
    usable: NDArray[np.bool_],
    lesion: NDArray[np.bool_],
    background: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    method: ClickMethod,
) -> NDArray[np.bool_]:
    """Give every voxel between the seeds to one of them."""
    seeds = np.stack([lesion, background])
    if method == "grow-cut":
        edges = [
            -np.log(np.maximum(1.0 - np.abs(np.diff(scaled, axis=axis)), _LEAST_GRIP))
            + _TIE_PER_MM * step
            for axis, step in enumerate(spacing)
        ]
        cost = least_costs(edges, usable, seeds)
        return np.asarray(cost[0] < cost[1])
    if method == "gradient-watershed":
        watershed = importlib.import_module("skimage.segmentation").watershed
        steepness = np.sqrt(
            sum(
                (ndimage.gaussian_filter1d(scaled, 1.0, axis=axis, order=1) / step) ** 2
                for axis, step in enumerate(spacing)
            )
        )
        markers = lesion.astype(np.int32) + 2 * background.astype(np.int32)
        return np.asarray(watershed(steepness, markers, mask=usable) == 1)
    finest = min(spacing)
    weights = [
        np.exp(-_BETA * np.diff(scaled, axis=axis) ** 2) * (finest / step) ** 2
        for axis, step in enumerate(spacing)
    ]
    return walk_probability(weights, usable, seeds) > 0.5


def _seed_ball(
    scaled: NDArray[np.float64], level: float, ball: NDArray[np.bool_], here: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Part of the ball on the click's side of an edge; a click near the rim reaches across."""
    near = ball & (np.abs(scaled - level) <= _SAME)
    near[here] = True
    parts, _ = ndimage.label(near)
    return np.asarray(parts == parts[here])


def _only(shape: tuple[int, ...], here: tuple[int, ...]) -> NDArray[np.bool_]:
    one = np.zeros(shape, dtype=np.bool_)
    one[here] = True
    return one


def _distance(
    shape: tuple[int, ...], centre: tuple[int, ...], spacing: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Distance of every voxel from one of them, in mm."""
    squares = [
        ((np.arange(n) - c) * step) ** 2 for n, c, step in zip(shape, centre, spacing, strict=True)
    ]
    return np.asarray(
        np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
    )


def _box_around(
    seed: tuple[int, int, int],
    reach_mm: float,
    spacing: tuple[float, float, float],
    shape: tuple[int, ...],
) -> Box:
    k, j, i = (
        slice(max(s - math.ceil(reach_mm / step), 0), min(s + math.ceil(reach_mm / step) + 1, n))
        for s, step, n in zip(seed, spacing, shape, strict=True)
    )
    return k, j, i


def _checked(
    values: NDArray[np.floating[Any]],
    spacing_mm: Sequence[float],
    seed_index: Sequence[int],
    background_index: Sequence[Sequence[int]],
    method: str,
    diameter_mm: float | None,
    seed_mm: float,
) -> tuple[tuple[int, int, int], list[tuple[int, int, int]], tuple[float, float, float]]:
    if values.ndim != 3:
        raise _refuse("values", values.shape, "one volume with the axes (k, j, i) is needed")
    if method not in CLICK_METHODS:
        raise _refuse("method", method, f"the method is one of {', '.join(CLICK_METHODS)}")
    if len(spacing_mm) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        raise _refuse("spacing_mm", tuple(spacing_mm), "the spacing is three lengths above 0 mm")
    for name, length in (("diameter_mm", diameter_mm), ("seed_mm", seed_mm)):
        if length is not None and not (math.isfinite(length) and length > 0):
            raise _refuse(name, length, f"{name} is a length above 0 mm")
    k, j, i = (float(s) for s in spacing_mm)
    clicks = [_click(c, values.shape) for c in (seed_index, *background_index)]
    if clicks[0] in clicks[1:]:
        raise _refuse(
            "background_index", clicks[0], "one voxel cannot be clicked as lesion and background"
        )
    return clicks[0], clicks[1:], (k, j, i)


def _click(click: Sequence[int], shape: tuple[int, ...]) -> tuple[int, int, int]:
    found = tuple(int(c) for c in click)
    if len(found) != 3 or not all(0 <= c < n for c, n in zip(found, shape, strict=True)):
        raise _refuse("seed_index", tuple(click), "a click lies inside the volume")
    return found[0], found[1], found[2]


def _refuse(where: str, value: object, message: str) -> InputError:
    return InputError(
        message,
        code="E_ARGUMENT",
        where=where,
        value=value,
        action="give voxel indices (k, j, i) and lengths in mm",
    )
