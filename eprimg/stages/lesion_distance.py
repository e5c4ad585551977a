"""How far the uptake of each lesion lies from its MR outline: a check of PET-MR at the lesions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.kernels.label_boxes import Box, label_boxes
from eprimg.model.case import Case, Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.study import Role, Series
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.stages.carry import reference_series
from eprimg.stages.native_labels import CARRIED

__all__ = ["lesion_distances", "uptake_centre_mm"]

FloatArray = npt.NDArray[np.float64]

_MARGIN_MM = 8.0
_RIM_MM = 6.0
_SHARE = 0.41
_LEAST_CONTRAST = 1.5
_FLAG_MM = 5.0


def lesion_distances(case: Case) -> StageResult[dict[int, float]]:
    """Measure the distance between uptake and outline of every lesion drawn on MR.

    Parameters
    ----------
    case : Case
        After the stage `measure`.

    Returns
    -------
    StageResult
        Distance in mm by region id, for every lesion whose uptake stands out.  A finding names
        those that lie further than 5 mm or than half their diameter, whichever is less.

    Notes
    -----
    After `measure`, because it needs the outlines on the grid of PET.  A lesion that was drawn on
    PET itself says nothing and has no figure.  It is a figure of the lesion, not of the whole
    alignment: it changes neither the verdict nor a tier.
    """
    pet = case.study.find(Role.PET)
    made = next((r for r in case.registrations if pet is not None and r.moving == pet.key), None)
    if pet is None or made is None or not made.accepted or case.lesions is None:
        return StageResult({})
    native = case.native_lesions.get(pet.key)
    if native is None or made.fixed != reference_series(case.study).key:
        return StageResult({})
    figures, findings = _figures(case.lesions, native, pet, made.transform)
    return StageResult(figures, findings)


def _figures(
    lesions: LesionSet, native: LesionSet, pet: Series, transform: Transform
) -> tuple[dict[int, float], tuple[Finding, ...]]:
    values = _values(pet)
    carried = native.settings.get(CARRIED)
    # A set without this mark holds regions as they were drawn on PET.
    ids = set(carried) if isinstance(carried, tuple) else set()
    figures: dict[int, float] = {}
    findings = []
    # Boxes are found in one pass: looking for every lesion in the whole grid takes a second.
    boxes = label_boxes(lesions.labels, max((r.id for r in lesions.regions), default=0))
    held = label_boxes(native.labels, max(boxes, default=0))
    for region in lesions.lesions:
        box = boxes.get(region.id) if region.id in ids else None
        if box is None:
            continue
        inside = np.argwhere(lesions.labels[box] == region.id)
        index = inside + [side.start for side in box]
        on_pet = held.get(region.id)
        if on_pet is None:
            continue
        there = uptake_centre_mm(values, native.labels, region.id, native.grid, found=on_pet)
        if there is None:
            continue
        outline = transform.apply(lesions.grid.index_to_lps_mm(index.mean(axis=0)))
        apart = float(np.linalg.norm(there - outline))
        figures[region.id] = apart
        volume = len(index) * lesions.grid.voxel_volume_ml
        diameter = (6.0 * volume * 1000.0 / math.pi) ** (1 / 3)
        limit = min(_FLAG_MM, diameter / 2)
        if apart > limit:
            findings.append(
                Finding(
                    "W_LESION_APART",
                    Severity.WARNING,
                    region.name,
                    f"The centre of the uptake lies {apart:.1f} mm from the centre of the outline "
                    f"(limit {limit:.1f} mm; diameter {diameter:.0f} mm).",
                )
            )
    return figures, tuple(findings)


def uptake_centre_mm(
    values: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    number: int,
    grid: Grid,
    *,
    found: Box | None = None,
) -> FloatArray | None:
    """Find the centre of the uptake in and around a lesion.

    Parameters
    ----------
    values : ndarray, shape (k, j, i)
        Activity in any unit.
    labels : ndarray of integer, shape (k, j, i)
        Regions on the same grid.
    number : int
        The lesion.
    grid : Grid
        The grid of PET.
    found : tuple of slice, optional
        Bounding box of the lesion, when it is known.

    Returns
    -------
    ndarray, shape (3,), or None
        LPS mm; None when the uptake does not stand out (highest value less than 1.5 times the
        background) or the lesion has no voxel.

    Notes
    -----
    Within the outline and 8 mm around it, without other regions: the part that holds the highest
    value and lies above background + 41 % (highest - background), weighted with the uptake above
    the background.  The background is the median of a rim of 6 mm around that.
    """
    found = found or label_boxes(labels, number).get(number)
    if found is None:
        return None
    spacing = np.array(grid.spacing_mm)
    reach = np.ceil((_MARGIN_MM + _RIM_MM) / spacing).astype(int) + 1
    box = tuple(
        slice(max(0, side.start - r), side.stop + r) for side, r in zip(found, reach, strict=True)
    )
    far = ndimage.distance_transform_edt(labels[box] != number, sampling=spacing)
    own = (labels[box] == number) | (labels[box] == 0)
    cut = np.asarray(values[box], dtype=np.float64)
    usable = own & np.isfinite(cut)
    near = usable & (far <= _MARGIN_MM)
    rim = usable & (far > _MARGIN_MM) & (far <= _MARGIN_MM + _RIM_MM)
    if not near.any() or not rim.any():
        return None
    background = float(np.median(cut[rim]))
    top = float(cut[near].max())
    if not top > _LEAST_CONTRAST * max(background, 0.0) or top <= 0:
        return None
    parts, _ = ndimage.label(near & (cut >= background + _SHARE * (top - background)))
    peak = np.unravel_index(int(np.argmax(np.where(near, cut, -np.inf))), cut.shape)
    hot = parts == parts[peak]
    weights = cut[hot] - background
    first = np.array([b.start for b in box])
    centre = (np.argwhere(hot) * weights[:, None]).sum(axis=0) / weights.sum()
    return grid.index_to_lps_mm(centre + first)


def _values(series: Series) -> npt.NDArray[np.float64]:
    assert isinstance(series.pixels, Volume)
    data = np.asarray(series.pixels.data)
    return data.mean(axis=-1) if data.ndim == 4 else data
