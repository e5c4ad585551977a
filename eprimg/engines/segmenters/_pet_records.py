"""Records of the PET segmenter: candidates, what was left out, organs widened by the blur."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eprimg.kernels.label_boxes import Box, label_boxes, widened_box
from eprimg.kernels.pet_regions import PetRegion
from eprimg.model.lesions import (
    BELOW_RESOLUTION,
    NO_OUTLINE,
    PART_OUTLINED,
    LesionSet,
    Region,
    RegionRole,
    RegionSource,
)
from eprimg.model.maps import QuantityMap

__all__ = ["Outline", "Removed", "candidate_region", "centre_of", "organ_zones", "outline_facts"]

_MOST_COVERED = 0.5
"""An outline that holds less than this part of what was found is said to be one in part."""


class Outline(NamedTuple):
    """An outline (None: there is none), its voxels and where they lie, why there is none."""

    made: PetRegion | None
    mask: npt.NDArray[np.bool_]
    box: Box
    reason: str
    covered: float = 1.0


@dataclass(slots=True)
class Removed:
    """Candidates that were left out, each with its reason."""

    kept: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, volume_ml: float, centre: Any, reason: str) -> None:
        """Keep one."""
        self.kept.append(
            {
                "name": name,
                "volume_ml": round(volume_ml, 3),
                "centre_lps_mm": [round(float(c), 1) for c in centre],
                "reason": reason,
            }
        )


def organ_zones(
    organs: LesionSet | None, suvbw: QuantityMap, psf_mm: float
) -> npt.NDArray[np.int32] | None:
    """Organs widened by one blur, each voxel with the id of its organ."""
    if organs is None:
        return None
    suvbw.grid.require_match(organs.grid)
    ids = [r.id for r in organs.regions if r.role != RegionRole.LESION]
    labels = np.where(np.isin(organs.labels, ids), organs.labels, 0).astype(np.int32)
    spacing = suvbw.grid.spacing_mm
    margin = [math.ceil(psf_mm / s) + 1 for s in spacing]
    widened = labels.copy()
    for number, box in label_boxes(labels, int(labels.max())).items():
        wide = widened_box(box, (margin[0], margin[1], margin[2]), labels.shape)
        near = ndimage.distance_transform_edt(labels[wide] != number, sampling=spacing) <= psf_mm
        part = widened[wide]
        part[near & (part == 0)] = number
    return widened


def centre_of(suvbw: QuantityMap, mask: npt.NDArray[np.bool_], box: Box) -> Any:
    """Centre of a mask in LPS mm; NaN for an empty one."""
    if not mask.any():
        return (math.nan,) * 3
    middle = np.argwhere(mask).mean(axis=0) + [b.start for b in box]
    return suvbw.grid.index_to_lps_mm(middle)


def candidate_region(number: int, name: str, outline: Outline, shared: int, method: str) -> Region:
    """Record of a candidate, with what its reader must know of the outline."""
    notes = []
    made = outline.made
    if made is None:
        notes.append(
            f"{NO_OUTLINE} {outline.reason} ({method}); these are the voxels above the search "
            "threshold"
        )
    elif made.below_resolution:
        notes.append(
            f"{BELOW_RESOLUTION}: {made.below_reason}; maximum and peak are stated, no volume"
        )
    if outline.covered < _MOST_COVERED:
        notes.append(
            f"{PART_OUTLINED} {100.0 * (1.0 - outline.covered):.0f} % of what lies above the "
            "search threshold is outside of the outline; there may be a fainter lesion beside it"
        )
    if shared:
        notes.append(f"{PART_OUTLINED} {shared} voxels belong to an earlier region")
    return Region(
        id=number,
        name=name,
        role=RegionRole.LESION,
        source=RegionSource.CANDIDATE,
        notes=tuple(notes),
    )


def outline_facts(outline: Outline, volume: float, shared: int, method: str) -> dict[str, Any]:
    """Write down what is known of an outline."""
    made = outline.made
    if made is None:
        return {
            "method": "search threshold",
            "voxel_volume_ml": volume,
            "reason": outline.reason,
        }
    return {
        "method": method,
        "volume_ml": volume if shared and not made.below_resolution else made.volume_ml,
        "voxel_volume_ml": volume,
        "threshold": made.threshold,
        "background": made.background,
        "maximum": made.maximum,
        "equivalent_diameter_mm": made.equivalent_diameter_mm,
        "below_resolution": made.below_resolution,
        "clipped": made.clipped,
        "covered_share": outline.covered,
        "reason": "",
    }
