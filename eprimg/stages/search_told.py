"""What a search for candidates on PET looked at, and what it could not see, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from eprimg.config import SegmentConfig
from eprimg.kernels.unseen_uptake import unseen_parts
from eprimg.model.case import Finding, Severity
from eprimg.model.lesions import LesionSet, RegionRole
from eprimg.model.maps import QuantityMap

__all__ = ["search_findings"]

_NAMED = 5
"""So many unseen parts are named with their places, the largest first."""


def search_findings(
    values: QuantityMap,
    found: LesionSet,
    where: str,
    config: SegmentConfig,
    *,
    organs: LesionSet | None = None,
) -> list[Finding]:
    """Tell the search threshold, and uptake below it that nobody looked at.

    Parameters
    ----------
    values : QuantityMap
        Map that was searched.
    found : LesionSet
        Candidates on its grid; ``settings["search"]`` holds the ``threshold`` in the unit of the
        map and in ``by`` the words of its rule.
    where : str
        Key of the series.
    config : SegmentConfig
        Settings: ``suvbw`` is the level from which uptake counts, ``psf_fwhm_mm`` the margin
        around what was seen, ``minimum_volume_ml`` the smallest part.
    organs : LesionSet, optional
        Reference regions on the grid of the map; their uptake is known.

    Returns
    -------
    list of Finding
        ``I_SEG_SEARCH``, and ``W_SEG_UNSEEN`` when uptake of at least the level lies below the
        threshold; none without a search.

    Notes
    -----
    The level of the settings, SUVbw 4, is the one by which lymphoma is preselected on FDG PET
    [1]_.  With another tracer it is no more than a hint.  In activity there is no such level.

    References
    ----------
    .. [1] Boellaard R et al., J Nucl Med 2024;65:1343-1348. doi:10.2967/jnumed.124.267789
    """
    search = found.settings.get("search")
    usable = values.valid & np.isfinite(values.values)
    if not isinstance(search, Mapping) or not usable.any():
        return []
    threshold = float(search["threshold"])
    unit = values.quantity.name
    inside = np.where(usable, values.values, -np.inf)
    k, j, i = (int(n) for n in np.unravel_index(int(np.argmax(inside)), inside.shape))
    owner = "" if organs is None else _name_at(organs, (k, j, i))
    text = (
        f"Candidates were looked for where {unit} is at least {threshold:.3g} ({search['by']}). "
        f"The maximum of the series, {float(inside[k, j, i]):.3g}, lies at "
        f"{_place(values, (k, j, i))}{f' in {owner}' if owner else ''}. Uptake below "
        f"{threshold:.3g} was not looked at."
    )
    said = [Finding("I_SEG_SEARCH", Severity.INFO, where, text)]
    level = config.suvbw
    if values.quantity.key != "suvbw" or not threshold > level:
        return said
    looked = (inside >= threshold) | np.asarray(found.labels > 0)
    if organs is not None:
        ids = [r.id for r in organs.regions if r.role != RegionRole.LESION]
        looked |= np.isin(organs.labels, ids)
    parts = unseen_parts(
        values.values,
        looked,
        values.grid.spacing_mm,
        level=level,
        margin_mm=config.psf_fwhm_mm,
        minimum_volume_ml=config.minimum_volume_ml,
        valid=usable,
    )
    if not parts:
        return said
    total = math.fsum(p.volume_ml for p in parts)
    named = "; ".join(
        f"{p.volume_ml:.3g} mL up to {p.maximum:.3g} at {_place(values, p.maximum_index)}"
        for p in parts[:_NAMED]
    )
    more = f"; {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    text = (
        f"{total:.3g} mL with {unit} {level:g} or more lie below the search threshold of "
        f"{threshold:.3g} and were not looked at: {len(parts)} "
        f"{'part' if len(parts) == 1 else 'parts'} more than {config.psf_fwhm_mm:g} mm from all "
        f"that was: {named}{more}. Healthy organs reach this level as well; a lesion may be among "
        f"the parts. segment.rule=fixed looks from {unit} {level:g} on; or give a click in the "
        "lesion, or a mask."
    )
    said.append(Finding("W_SEG_UNSEEN", Severity.WARNING, where, text))
    return said


def _place(values: QuantityMap, index: tuple[int, int, int]) -> str:
    x, y, z = (float(c) for c in values.grid.index_to_lps_mm(np.asarray(index, dtype=np.float64)))
    return f"LPS {x:.1f},{y:.1f},{z:.1f} mm"


def _name_at(organs: LesionSet, index: tuple[int, int, int]) -> str:
    number = int(organs.labels[index])
    return next((r.name for r in organs.regions if r.id == number), "")
