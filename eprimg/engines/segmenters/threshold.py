"""Candidate regions by a threshold on PET: connected components above a minimum volume."""

from __future__ import annotations

from eprimg.config import SegmentConfig
from eprimg.engines.segmenters._search import fixed_search, percent_search
from eprimg.errors import EngineError
from eprimg.kernels.thresholds import connected_regions
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from eprimg.model.maps import QuantityMap

__all__ = ["ThresholdSegmenter"]


class ThresholdSegmenter:
    """Threshold on SUVbw, 26-connected components, minimum volume.

    Parameters
    ----------
    config : SegmentConfig
        Rule, threshold, minimum volume, largest number of candidates.

    Notes
    -----
    The threshold knows no anatomy: it also marks healthy organs, and with a carrier that goes to
    the liver or spleen it marks those first.  Its regions are candidates until a person confirms
    them.  Below a contrast of about 2.5:1 a threshold at 41 % of the maximum leaks into the
    background.
    """

    name = "threshold"
    version = "1"

    def __init__(self, config: SegmentConfig) -> None:
        self._config = config

    def segment(self, suvbw: QuantityMap) -> LesionSet:
        """Find candidate regions.

        Parameters
        ----------
        suvbw : QuantityMap
            SUVbw on the native PET grid.

        Returns
        -------
        LesionSet
            Candidates on the grid of the map, the largest first; without regions when nothing
            lies above the threshold.

        Raises
        ------
        EngineError
            ``E_SEG_MANY`` when there are more components than allowed.
        """
        suvbw.quantity.require("suvbw")
        config = self._config
        if config.rule == "fixed":
            mask, search = fixed_search(suvbw, config.suvbw)
        else:
            mask, search = percent_search(suvbw, config.percent)
        rule = search.rule(suvbw.quantity.name)
        labels = connected_regions(
            mask,
            voxel_volume_ml=suvbw.grid.voxel_volume_ml,
            minimum_volume_ml=config.minimum_volume_ml,
        )
        count = int(labels.max())
        if count > config.maximum_candidates:
            raise EngineError(
                f"the threshold ({rule}) gives {count} candidate regions, more than the "
                f"{config.maximum_candidates} that are allowed: it follows noise or organs",
                code="E_SEG_MANY",
                where="segment.maximum_candidates",
                value=count,
                action="give lesion masks, raise the threshold or the minimum volume "
                "(segment.minimum_volume_ml)",
            )
        regions = tuple(
            Region(
                id=n, name=f"candidate-{n}", role=RegionRole.LESION, source=RegionSource.CANDIDATE
            )
            for n in range(1, count + 1)
        )
        return LesionSet(
            labels=labels,
            grid=suvbw.grid,
            regions=regions,
            origin=f"{self.name} {self.version}",
            settings={
                "rule": rule,
                "minimum_volume_ml": config.minimum_volume_ml,
                "connectivity": 26,
                "search": search.facts(),
            },
        )
