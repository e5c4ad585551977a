"""How far the uptake of each lesion lies from its MR outline: a check of PET-MR at the lesions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

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
from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["LesionDistances", "lesion_distances", "uptake_centre_mm"]

FloatArray = npt.NDArray[np.float64]
Boxes = Mapping[int, Box]
Centre = tuple[float, float, float]

_MARGIN_MM = 8.0
_RIM_MM = 6.0
_SHARE = 0.41
_LEAST_CONTRAST = 1.5
_FLAG_MM = 5.0


@dataclass(frozen=True, eq=False, slots=True)
class LesionDistances:
    """Distances between uptake and outline.

    Parameters
    ----------
    apart_mm : Mapping of int to float
        By region id, for every lesion whose uptake stands out.
    centres : Mapping of str to tuple of float or None
        Centre of the uptake (LPS mm of PET), by the digest of everything it was computed from;
        None where nothing stands out.  For the next call, see `Case.uptake_centres`.
    """

    apart_mm: Mapping[int, float] = field(default_factory=dict)
    centres: Mapping[str, Centre | None] = field(default_factory=dict)


def lesion_distances(
    case: Case, *, boxes: Mapping[str, Boxes] | None = None
) -> StageResult[LesionDistances]:
    """Measure the distance between uptake and outline of every lesion drawn on MR.

    Parameters
    ----------
    case : Case
        After the stage `measure`.
    boxes : Mapping of str to Mapping of int to tuple of slice, optional
        Bounding boxes of the labels of this very case by series key, as `Measured.boxes`; looked
        up where they are missing.

    Returns
    -------
    StageResult
        Distances by region id, for every lesion whose uptake stands out.  A finding names
        those that lie further than 5 mm or than half their diameter, whichever is less.

    Notes
    -----
    After `measure`, because it needs the outlines on the grid of PET.  A lesion that was drawn on
    PET itself says nothing and has no figure.  It is a figure of the lesion, not of the whole
    alignment: it changes neither the verdict nor a tier.

    A centre of `Case.uptake_centres` is used again only where a digest says that the uptake in and
    around the lesion, its voxels, those of its neighbours and the grid are what they were: after a
    brush stroke the lesions that it does not reach are not computed again, and no number can be
    older than what it was computed from.
    """
    pet = case.study.find(Role.PET)
    made = next((r for r in case.registrations if pet is not None and r.moving == pet.key), None)
    if pet is None or made is None or not made.accepted or case.lesions is None:
        return StageResult(LesionDistances())
    native = case.native_lesions.get(pet.key)
    reference = reference_series(case.study).key
    if native is None or made.fixed != reference:
        return StageResult(LesionDistances())
    known = boxes or {}
    return _distances(
        case.lesions,
        native,
        pet,
        made.transform,
        (known.get(reference), known.get(pet.key)),
        case.uptake_centres,
    )


def _distances(
    lesions: LesionSet,
    native: LesionSet,
    pet: Series,
    transform: Transform,
    known: tuple[Boxes | None, Boxes | None],
    earlier: Mapping[str, Centre | None],
) -> StageResult[LesionDistances]:
    assert isinstance(pet.pixels, Volume)
    carried = native.settings.get(CARRIED)
    # A set without this mark holds regions as they were drawn on PET.
    ids = set(carried) if isinstance(carried, tuple) else set()
    figures: dict[int, float] = {}
    centres: dict[str, Centre | None] = {}
    findings = []
    # Boxes are found in one pass: looking for every lesion in the whole grid takes a second.
    drawn, on_grid = RegionVoxels(lesions, known[0]), RegionVoxels(native, known[1])
    boxes, held = drawn.boxes, on_grid.boxes
    for region in lesions.lesions:
        box = boxes.get(region.id) if region.id in ids else None
        on_pet = held.get(region.id)
        if box is None or on_pet is None:
            continue
        labels = on_grid.own_labels(region.id)
        around = _cut(pet.pixels.data, labels, region.id, native.grid, on_pet)
        digest = around.digest(native.grid)
        there = earlier[digest] if digest in earlier else around.centre_mm(native.grid)
        centres[digest] = there
        if there is None:
            continue
        index = np.argwhere(drawn.inside(region.id)) + [side.start for side in box]
        outline = transform.apply(lesions.grid.index_to_lps_mm(index.mean(axis=0)))
        apart = float(np.linalg.norm(np.array(there) - outline))
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
    return StageResult(LesionDistances(figures, centres), tuple(findings))


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
    centre = _cut(values, labels, number, grid, found).centre_mm(grid)
    return None if centre is None else np.array(centre)


@dataclass(frozen=True, eq=False, slots=True)
class _Cut:
    """Everything that the centre of a lesion's uptake is computed from, beside the grid."""

    start: tuple[int, int, int]
    values: npt.NDArray[np.floating]
    own: npt.NDArray[np.bool_]
    free: npt.NDArray[np.bool_]
    """Voxels of no region."""

    def digest(self, grid: Grid) -> str:
        """Tell it from every other one by content, never by identity: arrays can be reused."""
        made = hashlib.sha256(repr((self.start, self.values.shape, self.values.dtype.str)).encode())
        made.update(grid.affine.tobytes())
        made.update(self.values.tobytes())
        made.update(np.packbits(self.own).tobytes())
        made.update(np.packbits(self.free).tobytes())
        return made.hexdigest()

    def centre_mm(self, grid: Grid) -> Centre | None:
        """Find the centre of the uptake in LPS mm; see `uptake_centre_mm`."""
        far = ndimage.distance_transform_edt(~self.own, sampling=grid.spacing_mm)
        cut = np.asarray(self.values, dtype=np.float64)
        usable = (self.own | self.free) & np.isfinite(cut)
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
        centre = (np.argwhere(hot) * weights[:, None]).sum(axis=0) / weights.sum()
        x, y, z = (float(v) for v in grid.index_to_lps_mm(centre + self.start))
        return x, y, z


def _cut(
    values: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    number: int,
    grid: Grid,
    found: Box,
) -> _Cut:
    """Cut out a lesion and what lies within the reach of its rim; frames are averaged."""
    k, j, i = (
        (max(0, side.start - reach), side.stop + reach)
        for side, reach in (
            (side, math.ceil((_MARGIN_MM + _RIM_MM) / step) + 1)
            for side, step in zip(found, grid.spacing_mm, strict=True)
        )
    )
    box = (slice(*k), slice(*j), slice(*i))
    part, inside = np.asarray(values[box]), np.asarray(labels[box])
    if part.ndim == 4:
        part = part.mean(axis=-1)
    return _Cut((k[0], j[0], i[0]), part, inside == number, inside == 0)
