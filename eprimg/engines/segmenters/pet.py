"""Candidates on PET: found by a threshold, freed of organs, split, and outlined one by one."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from eprimg.config import SegmentConfig
from eprimg.engines.segmenters._pet_records import (
    Outline,
    Removed,
    candidate_region,
    centre_of,
    organ_zones,
    outline_facts,
)
from eprimg.engines.segmenters._search import Search, fixed_search, percent_search
from eprimg.engines.segmenters.pet_context import PetContext, liver_seeking
from eprimg.errors import EngineError, InputError
from eprimg.kernels.label_boxes import label_boxes, widened_box
from eprimg.kernels.lesion_split import split_touching, zones
from eprimg.kernels.pet_regions import PetRegion, segment_lesion
from eprimg.kernels.pet_thresholds import LIVER_RULES, PetConstants
from eprimg.kernels.thresholds import connected_regions
from eprimg.model.lesions import LesionSet
from eprimg.model.maps import QuantityMap

__all__ = ["PetSegmenter"]

_ZONE_MM = 40.0
"""So far around a candidate its neighbours bound it."""


class PetSegmenter:
    """Threshold, components, minimum volume, organs out, split, outline.

    Parameters
    ----------
    config : SegmentConfig
        Rule that finds candidates, method that outlines them, constants.

    Notes
    -----
    With seeds only these lesions are outlined, without any search.  No method knows anatomy: the
    regions are candidates until a person confirms them.  What was left out is listed with its
    reason in ``settings["removed"]``, what is known of every outline in
    ``settings["outlines_of_candidates"]``.
    """

    name = "pet"
    version = "1"
    takes_context = True

    def __init__(self, config: SegmentConfig) -> None:
        self._config = config
        self._constants = PetConstants(
            adaptive_fraction=config.adaptive_fraction,
            fixed=config.suvbw,
            percent=config.percent,
            a50_fraction=config.a50_fraction,
            percist_factor=config.percist_factor,
            percist_sds=config.percist_sds,
            schaefer_mean=config.schaefer_mean,
            schaefer_background=config.schaefer_background,
            nestle_beta=config.nestle_beta,
            vote_fixed_low=config.vote_suvbw,
            vote_least=config.vote_least,
        )

    def segment(self, suvbw: QuantityMap, context: PetContext | None = None) -> LesionSet:
        """Find and outline candidate regions.

        Parameters
        ----------
        suvbw : QuantityMap
            SUVbw on the native PET grid.  Activity is taken as well, with methods that need no SUV.
        context : PetContext, optional
            Organs, tracer, seeds.

        Returns
        -------
        LesionSet
            Candidates on the grid of the map, numbered by the volume that was found, the largest
            first; with seeds
            in their order.  A number that was left out is not given to another.

        Raises
        ------
        EngineError
            ``E_SEG_MANY``: more components than allowed.
        InputError
            ``E_SEG_LIVER``: a liver threshold with a tracer that the liver takes up;
            ``E_SEG_REFERENCE``: percist without its reference region; ``E_SEG_REMOVE``: a removed
            candidate that is not there; ``E_SEG_UNIT``: a rule in SUV on a map in another unit.
        """
        context = context or PetContext()
        self._check_unit(suvbw)
        reference = self._reference(suvbw, context)
        removed = Removed()
        search: Search | None = None
        if context.seeds:
            outlines = self._from_seeds(suvbw, context, reference)
            rule = f"{len(context.seeds)} seeds"
        else:
            found, search = self._detected(suvbw, reference, removed)
            rule = search.rule(suvbw.quantity.name)
            found = self._without_organs(suvbw, found, context, removed)
            found = self._split(suvbw, found)
            outlines = self._outlined(suvbw, found, context, reference)
        return self._collected(suvbw, outlines, rule, removed, search)

    def _check_unit(self, suvbw: QuantityMap) -> None:
        config = self._config
        in_suv = config.method in ("fixed", "majority") or config.rule == "fixed"
        no_suv = suvbw.quantity.key in ("activity", "pet_value")
        if suvbw.quantity.key == "suvbw" or (no_suv and not in_suv):
            return
        if not no_suv:
            suvbw.quantity.require("suvbw")
        raise InputError(
            f"the rule is a number of SUV, and the map holds {suvbw.quantity.name}",
            code="E_SEG_UNIT",
            where="segment.method" if config.method in ("fixed", "majority") else "segment.rule",
            value=config.method,
            action="enter dose, injection and weight, or choose a method without an SUV",
        )

    def _reference(self, suvbw: QuantityMap, context: PetContext) -> tuple[float, float] | None:
        config = self._config
        if config.method not in LIVER_RULES:
            return None
        why = liver_seeking(context.nuclide, context.tracer) if config.reference == "liver" else ""
        if why and not config.force_liver_threshold:
            raise InputError(
                f"a threshold from the liver is not valid here: {why}",
                code="E_SEG_LIVER",
                where="segment.method",
                value=config.method,
                action="use adaptive-bg, or segment.reference=blood or muscle; "
                "segment.force_liver_threshold=true takes it all the same",
            )
        organs = context.organs
        region = organs.reference(config.reference) if organs is not None else None
        inside = np.zeros(suvbw.grid.shape, dtype=np.bool_)
        if organs is not None and region is not None:
            inside = (np.asarray(organs.labels) == region.id) & suvbw.valid
        values = suvbw.values[inside]
        values = values[np.isfinite(values)]
        if values.size < 2:
            raise InputError(
                f"percist needs the reference region {config.reference}, and there is none",
                code="E_SEG_REFERENCE",
                where="segment.reference",
                value=config.reference,
                action="give a mask of it, or another method",
            )
        return float(values.mean(dtype=np.float64)), float(values.std(ddof=1, dtype=np.float64))

    def _detected(
        self, suvbw: QuantityMap, reference: tuple[float, float] | None, removed: Removed
    ) -> tuple[npt.NDArray[np.int32], Search]:
        config = self._config
        if reference is not None:
            level = config.percist_factor * reference[0] + config.percist_sds * reference[1]
            by = (
                f"{config.percist_factor:g} means and {config.percist_sds:g} SD of the "
                f"{config.reference}"
            )
            mask, search = fixed_search(suvbw, level, by)
        elif config.method == "fixed" or config.rule == "fixed":
            mask, search = fixed_search(suvbw, config.suvbw)
        else:
            mask, search = percent_search(suvbw, config.percent)
        voxel_ml = suvbw.grid.voxel_volume_ml
        found = connected_regions(mask, voxel_volume_ml=voxel_ml, minimum_volume_ml=0.0)
        sizes = np.bincount(found.ravel())[1:] * voxel_ml
        least = config.minimum_volume_ml * (1.0 - 1e-9)
        kept = int(np.count_nonzero(sizes >= least))  # numbered by falling volume
        if kept < sizes.size:
            small = sizes[kept:]
            removed.add(
                f"{small.size} components", float(small.sum()), (math.nan,) * 3,
                f"each below {config.minimum_volume_ml:g} mL",
            )  # fmt: skip
            found[found > kept] = 0
        return found, search

    def _without_organs(
        self,
        suvbw: QuantityMap,
        found: npt.NDArray[np.int32],
        context: PetContext,
        removed: Removed,
    ) -> npt.NDArray[np.int32]:
        widened = organ_zones(context.organs, suvbw, self._config.psf_fwhm_mm)
        if widened is None or context.organs is None:
            return found
        names = {r.id: r.name for r in context.organs.regions}
        for number, box in label_boxes(found, int(found.max())).items():
            part = found[box]
            mine = part == number
            owners = widened[box][mine]
            share = float((owners > 0).mean())
            if share == 0.0:
                continue
            owner = names[int(np.bincount(owners[owners > 0]).argmax())]
            volume = float(np.count_nonzero(mine)) * suvbw.grid.voxel_volume_ml
            rest = (1.0 - share) * volume
            if share > self._config.organ_share or rest < self._config.minimum_volume_ml:
                why = f"{100 * share:.0f} % in {owner}"
                part[mine] = 0
            else:
                why = f"the part in {owner} was cut off ({100 * share:.0f} %)"
                part[mine & (widened[box] > 0)] = 0
                volume *= share
            removed.add(f"candidate-{number}", volume, centre_of(suvbw, mine, box), why)
        return found

    def _split(self, suvbw: QuantityMap, found: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        config = self._config
        least = max(1, math.ceil(config.minimum_volume_ml / suvbw.grid.voxel_volume_ml - 1e-9))
        parts = found.copy()
        # the highest part keeps the number of its component, the others come after all of them
        following = int(found.max())
        boxes = label_boxes(found, following)
        count = len(boxes)
        for number, box in boxes.items():
            mine = found[box] == number
            local = np.where(mine, suvbw.values[box], 1.0)
            split = split_touching(local, mine, depth=config.split_depth, least_voxels=least)
            more = split > 1
            parts[box][more] = split[more] - 1 + following
            following += int(split.max()) - 1
            count += int(split.max()) - 1
        if count > config.maximum_candidates:
            raise EngineError(
                f"the threshold gives {count} candidate regions, more than the "
                f"{config.maximum_candidates} that are allowed: it follows noise or organs",
                code="E_SEG_MANY",
                where="segment.maximum_candidates",
                value=count,
                action="give lesion masks, raise the threshold or the minimum volume "
                "(segment.minimum_volume_ml)",
            )
        return parts

    def _outlined(
        self,
        suvbw: QuantityMap,
        found: npt.NDArray[np.int32],
        context: PetContext,
        reference: tuple[float, float] | None,
    ) -> dict[int, Outline]:
        organs = organ_zones(context.organs, suvbw, self._config.psf_fwhm_mm)
        spacing, shape = suvbw.grid.spacing_mm, suvbw.grid.shape
        margin = [math.ceil(_ZONE_MM / s) for s in spacing]
        outlines: dict[int, Outline] = {}
        for number, box in label_boxes(found, int(found.max())).items():
            mine = found[box] == number
            around = widened_box(box, (margin[0], margin[1], margin[2]), shape)
            within = np.ones(shape, dtype=np.bool_)
            within[around] = zones(found[around], spacing) == number
            if organs is not None:
                within &= organs == 0
            local = np.where(mine, suvbw.values[box], -np.inf)
            top = np.unravel_index(int(np.argmax(local)), local.shape)
            seed = tuple(int(t) + b.start for t, b in zip(top, box, strict=True))
            made = self._one(suvbw, seed, reference, within, 0.0)
            if made.reason:
                outlines[number] = Outline(None, mine, box, made.reason)
                continue
            covered = np.count_nonzero((found[made.box] == number) & made.mask)
            share = float(covered / np.count_nonzero(mine))
            outlines[number] = Outline(made, made.mask, made.box, "", share)
        return outlines

    def _from_seeds(
        self,
        suvbw: QuantityMap,
        context: PetContext,
        reference: tuple[float, float] | None,
    ) -> dict[int, Outline]:
        outlines: dict[int, Outline] = {}
        for number, seed in enumerate(context.seeds, start=1):
            made = self._one(suvbw, seed, reference, None, self._config.psf_fwhm_mm)
            outlines[number] = Outline(made, made.mask, made.box, made.reason)
        return outlines

    def _one(
        self,
        suvbw: QuantityMap,
        seed: tuple[int, ...],
        reference: tuple[float, float] | None,
        within: npt.NDArray[np.bool_] | None,
        snap_mm: float,
    ) -> PetRegion:
        return segment_lesion(
            suvbw.values,
            suvbw.grid.spacing_mm,
            seed,
            method=self._config.method,
            constants=self._constants,
            psf_fwhm_mm=self._config.psf_fwhm_mm,
            reference=reference,
            valid=suvbw.valid,
            within=within,
            snap_mm=snap_mm,
            fill_holes=self._config.fill_holes,
        )

    def _collected(
        self,
        suvbw: QuantityMap,
        outlines: dict[int, Outline],
        rule: str,
        removed: Removed,
        search: Search | None,
    ) -> LesionSet:
        config = self._config
        unwanted = {n.strip() for n in config.remove.split(",") if n.strip()}
        labels = np.zeros(suvbw.grid.shape, dtype=np.int32)
        regions, facts = [], {}
        for number, outline in outlines.items():
            mask, box = outline.mask, outline.box
            name = f"candidate-{number}"
            free = mask & (labels[box] == 0)
            volume = float(np.count_nonzero(mask)) * suvbw.grid.voxel_volume_ml
            if name in unwanted:
                removed.add(name, volume, centre_of(suvbw, mask, box), "removed by a person")
                continue
            if not free.any():
                taken = outline.reason or "another candidate holds all of its voxels"
                removed.add(name, volume, centre_of(suvbw, mask, box), taken)
                continue
            labels[box][free] = number
            shared = int(np.count_nonzero(mask & ~free))
            volume = float(np.count_nonzero(free)) * suvbw.grid.voxel_volume_ml
            regions.append(candidate_region(number, name, outline, shared, config.method))
            facts[name] = outline_facts(outline, volume, shared, config.method)
        known = {f"candidate-{n}" for n in outlines}
        if unwanted - known:
            raise InputError(
                f"no candidate is called {', '.join(sorted(unwanted - known))}",
                code="E_SEG_REMOVE",
                where="segment.remove",
                value=config.remove,
                action=f"with these settings there are: {', '.join(sorted(known)) or 'none'}",
            )
        return LesionSet(
            labels=labels,
            grid=suvbw.grid,
            regions=tuple(regions),
            origin=f"{self.name} {self.version}",
            settings={
                "rule": f"{rule}, outlined by {config.method}",
                "minimum_volume_ml": config.minimum_volume_ml,
                "connectivity": 26,
                "removed": tuple(removed.kept),
                "outlines_of_candidates": facts,
                **({} if search is None else {"search": search.facts()}),
            },
        )
