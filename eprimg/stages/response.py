"""Metabolic response between two measured FDG cases by a named protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import ConfigError, InputError
from eprimg.kernels.response import (
    EortcRules,
    EortcScan,
    MetabolicResponse,
    PercistRules,
    PercistScan,
    eortc_response,
    percist_response,
)
from eprimg.model.acquisition import PETAcquisition, seconds_between
from eprimg.model.case import Case
from eprimg.model.lesions import Region, RegionSource
from eprimg.model.study import Role
from eprimg.resources import load_resource
from eprimg.stages.lesion_union import voxel_weights
from eprimg.stages.region_voxels import RegionVoxels
from eprimg.stages.uptake_scales import SUL_PREFIX

__all__ = ["NamedResponse", "judge_response", "percist_scan", "response_protocols"]

_FILE = "response_protocols.toml"
_NUCLIDE = "18F"


@dataclass(frozen=True, slots=True)
class NamedResponse:
    """A response with the protocol that it was judged by.

    Parameters
    ----------
    protocol, title, citation : str
        Key, name and source of the protocol.
    quantity : str
        What was compared.
    sul_formula : str
        Formula of the lean body mass; empty where SUL is not used.
    response : MetabolicResponse
        Category with reasons.
    """

    protocol: str
    title: str
    citation: str
    quantity: str
    sul_formula: str
    response: MetabolicResponse


def response_protocols() -> dict[str, dict[str, Any]]:
    """Return the named protocols.

    Returns
    -------
    dict
        Key -> content of ``resources/response_protocols.toml``.
    """
    return dict(load_resource(_FILE)["protocols"])


def judge_response(
    first: Case,
    second: Case,
    protocol: str,
    *,
    tracer: str,
    new_lesion: bool | None = None,
    extent_grew: bool | None = None,
    resolved: bool | None = None,
    cycles: int | None = None,
) -> NamedResponse:
    """Compare two measured cases of one patient by a named protocol.

    Parameters
    ----------
    first, second : Case
        Before and after treatment, both measured (`eprimg.pipeline.run`), with lesion masks that a
        person drew or confirmed, and for PERCIST a region in healthy liver.
    protocol : str
        ``percist-1.0`` or ``eortc-1999``.
    tracer : str
        What was injected; must be ``FDG``.  A header names the nuclide, not reliably the tracer.
    new_lesion, extent_grew, resolved : bool, optional
        Statements of a reader; None when nobody looked.
    cycles : int, optional
        Cycles of treatment between the scans; needed for EORTC.

    Returns
    -------
    NamedResponse
        Category with reasons.

    Raises
    ------
    ConfigError
        ``E_RESPONSE`` for an unknown protocol.
    InputError
        ``E_RESPONSE`` when the cases cannot be compared by it at all: another tracer or nuclide, no
        PET, two pseudonyms, the second scan not later, automatic candidates that nobody reviewed,
        two formulas of SUL, other lesions.

    Notes
    -----
    PERCIST asks for a sphere of 3 cm in the right lobe; the region named liver is used as drawn.
    TLG is that of ``metabolic_volume`` by ``uptake.mtv_percent``, in SUL.  EORTC compares SUVbw
    means of lesions of the same name.
    """
    protocols = response_protocols()
    if protocol not in protocols:
        raise ConfigError(
            f"there is no response protocol {protocol!r}",
            code="E_RESPONSE",
            value=protocol,
            action=f"use one of {', '.join(sorted(protocols))}",
        )
    content = protocols[protocol]
    if tracer != content["tracer"]:
        raise _refused(
            f"{content['title']} is defined for {content['tracer']} only", "tracer", tracer
        )
    numbers = {k: float(t["value"]) for k, t in content["thresholds"].items()}
    names = (first.study.pseudonym, second.study.pseudonym)
    if names[0] != names[1]:
        raise _refused("the two cases have different pseudonyms", "pseudonym", names)
    instants = [_injected(case) for case in (first, second)]
    before_after = [i for i in instants if i is not None]
    if len(before_after) == 2 and (
        seconds_between(*before_after, where="injections of both scans") <= 0.0
    ):
        raise _refused("the second scan is not later than the first", "injection", None)
    formula = ""
    if content["kind"] == "percist":
        most = int(numbers["lesions_for_tlg"])
        before, formula = percist_scan(first, summed=most)
        after, other = percist_scan(second, summed=most)
        if formula != other:
            raise _refused("the two scans have SUL by two formulas", "SUL", (formula, other))
        found = percist_response(
            before,
            after,
            PercistRules(**numbers),
            new_lesion=new_lesion,
            extent_grew=extent_grew,
            resolved=resolved,
        )
    else:
        if cycles is None:
            raise _refused("EORTC 1999 needs the number of treatment cycles", "cycles", cycles)
        old, new = _means(first), _means(second)
        if set(old) != set(new):
            raise _refused(
                "EORTC 1999 compares the lesions that were outlined on the first scan",
                "lesions",
                sorted(set(old) ^ set(new)),
            )
        found = eortc_response(
            EortcScan(tuple(old.values())),
            EortcScan(tuple(new[name] for name in old)),
            EortcRules(**numbers),
            cycles=cycles,
            new_lesion=new_lesion,
            resolved=resolved,
        )
    return NamedResponse(
        protocol, content["title"], content["citation"], content["quantity"], formula, found
    )


def percist_scan(case: Case, *, summed: int = 0) -> tuple[PercistScan, str]:
    """Take the numbers that PERCIST needs from a measured case.

    Parameters
    ----------
    case : Case
        Measured, with SUL.
    summed : int, optional
        The sum of TLG goes over so many lesions, those with the highest peaks; 0: over all.

    Returns
    -------
    PercistScan
        Numbers of the scan.
    str
        Formula of the lean body mass.

    Raises
    ------
    InputError
        ``E_RESPONSE``: no regions, no SUL, or a lesion whose SULpeak is missing.

    Notes
    -----
    A voxel that several lesions of the sum hold above their thresholds counts once: its uptake is
    divided evenly among them, so that the TLG add up to that of the union.
    """
    formulas = sorted(k.removeprefix(SUL_PREFIX) for k in case.maps if k.startswith(SUL_PREFIX))
    if not formulas:
        raise _refused("there is no SUL; it needs weight, height and sex", "SUL", None)
    formula = formulas[0]
    key = f"{SUL_PREFIX}{formula}"
    peaks, totals = [], []
    for lesion in _lesions(case):
        peak, mean = _number(lesion, key, "peak"), _number(lesion, key, "mean")
        if not math.isfinite(peak):
            raise _refused("a lesion has no SULpeak", lesion.name, None)
        peaks.append(peak)
        scale = mean / _number(lesion, "suvbw", "mean")
        totals.append(scale * _number(lesion, "total_lesion_glycolysis", "percent_of_max"))
    order = sorted(range(len(peaks)), key=peaks.__getitem__, reverse=True)
    parts = _counted_uptake(case, [_lesions(case)[n] for n in order[: summed or None]])
    totals = [t * parts.get(r.id, 1.0) for t, r in zip(totals, _lesions(case), strict=True)]
    liver = None if case.lesions is None else case.lesions.reference("liver")
    series = case.study.find(Role.PET)
    hours = None
    if series is not None and isinstance(series.acquisition, PETAcquisition):
        hours = series.acquisition.hours_after_injection
    scan = PercistScan(
        tuple(peaks),
        tuple(totals) if all(math.isfinite(t) for t in totals) else (),
        math.nan if liver is None else _number(liver, key, "mean"),
        math.nan if liver is None else _number(liver, key, "sd"),
        math.nan if hours is None else 60.0 * hours,
    )
    return scan, formula


def _counted_uptake(case: Case, lesions: Sequence[Region]) -> dict[int, float]:
    """Tell which part of the TLG of each lesion counts in their sum; NaN when it is not known."""
    regions = case.native_lesions.get(str(Role.PET), case.lesions)
    if regions is None or not regions.shared:
        return {}
    suvbw = case.maps.get("suvbw")
    if suvbw is None or not suvbw.grid.matches(regions.grid):
        return dict.fromkeys((r.id for r in lesions), math.nan)
    voxels = RegionVoxels(regions)
    above: dict[int, npt.NDArray[np.bool_]] = {}
    values: dict[int, npt.NDArray[np.float64]] = {}
    for lesion in lesions:
        found = lesion.measurement("metabolic_volume", "percent_of_max", str(Role.PET))
        if found is None or lesion.id not in voxels.boxes:
            continue
        box = voxels.boxes[lesion.id]
        values[lesion.id] = np.asarray(suvbw.values[box], dtype=np.float64)
        here = voxels.inside(lesion.id) & suvbw.valid[box]
        # The voxels above the threshold are the hottest ones, and their number was measured.
        hottest = np.sort(values[lesion.id][here])[::-1]
        least = hottest[found.n_voxels - 1] if found.n_voxels else np.inf
        above[lesion.id] = here & (values[lesion.id] >= least)
    parts = {}
    for number, weights in voxel_weights(voxels, above, above).items():
        inside = above[number]
        whole = float(values[number][inside].sum())
        parts[number] = float((weights * values[number])[inside].sum()) / whole if whole else 1.0
    return parts


def _means(case: Case) -> dict[str, float]:
    lesions = _lesions(case)
    means = {lesion.name: _number(lesion, "suvbw", "mean") for lesion in lesions}
    if len(means) != len(lesions):
        raise _refused("two lesions have the same name", "lesions", [r.name for r in lesions])
    for name, value in means.items():
        if not math.isfinite(value):
            raise _refused("a lesion has no mean SUVbw", name, None)
    return means


def _lesions(case: Case) -> tuple[Region, ...]:
    if case.lesions is None:
        raise _refused("a case has no regions", "lesions", None)
    unseen = [r.name for r in case.lesions.lesions if r.source is RegionSource.CANDIDATE]
    if unseen:
        raise _refused("automatic candidates were not reviewed", "lesions", unseen)
    return case.lesions.lesions


def _injected(case: Case) -> datetime | None:
    """Instant of the injection of a fluorine-18 series; a case without one is refused."""
    series = case.study.find(Role.PET)
    if series is None or not isinstance(series.acquisition, PETAcquisition):
        raise _refused("a case has no PET series", "pet", None)
    nuclide = series.acquisition.injection.nuclide.value
    if nuclide != _NUCLIDE:
        raise _refused("FDG is labelled with 18F; the series says another nuclide", "pet", nuclide)
    return series.acquisition.injection.instant.value


def _number(region: Region, quantity: str, statistic: str) -> float:
    found = region.measurement(quantity, statistic, "pet")
    return math.nan if found is None else found.value


def _refused(message: str, where: str, value: object) -> InputError:
    return InputError(
        message,
        code="E_RESPONSE",
        where=where,
        value=value,
        action="see docs, explanation/response",
    )
