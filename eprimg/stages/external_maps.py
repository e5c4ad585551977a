"""Covariates per region: maps that were made elsewhere, each on its own native grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from eprimg.kernels.vascular import VASCULAR_REASON_TEXT, VascularReason, vessel_size_q
from eprimg.model.lesions import LesionSet, Measurement
from eprimg.model.maps import ExternalMap
from eprimg.model.study import Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg.model.volume import Volume
from eprimg.stages.blood_fraction import why_not_in_vessels
from eprimg.stages.carry import transform_to
from eprimg.stages.coverage import covered_shares
from eprimg.stages.native_labels import native_voxels
from eprimg.stages.numbers import NAN, Kept, Numbers, find_number
from eprimg.stages.region_voxels import RegionVoxels

__all__ = ["COVARIATE", "covariate_voxels", "measure_covariates", "measure_vessel_size"]

COVARIATE = "covariate from an external map, never tiered"
"""How the note of every number of an external map begins."""

_STATISTICS = ("mean", "median", "sd")
_NO_ERROR = "none: the external map comes without a standard error"
_CHANGE = "mr_post-mr_pre"
_WHOLE = 0.995


def covariate_voxels(
    study: Study,
    registrations: Sequence[Registration],
    regions: RegionVoxels,
    outlines: Mapping[str, str],
    voxels: Mapping[str, RegionVoxels],
    before: Mapping[str, LesionSet],
) -> dict[str, RegionVoxels]:
    """Carry the regions to the grid of every external map.

    Parameters
    ----------
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others.
    regions : RegionVoxels
        Regions on the reference grid.
    outlines : Mapping of str to str
        Their outlines.
    voxels : Mapping of str to RegionVoxels
        Regions on the grid of each measured series; used where a map lies on the same grid.
    before : Mapping of str to LesionSet
        Result for an earlier state of the labels; only saves work.

    Returns
    -------
    dict of str to RegionVoxels
        By key of the map; one whose series is not aligned is missing.
    """
    found: dict[str, RegionVoxels] = {}
    for external in study.external_maps:
        first = sorted(voxels, key=lambda key: key != external.on)
        same = next(
            (voxels[k] for k in first if voxels[k].lesions.grid.matches(external.map.grid)), None
        )
        joined = _joined(study, registrations, external)
        if same is not None:
            found[external.key] = same
        elif joined is not None:
            place = Volume(external.map.values, external.map.grid, external.map.quantity)
            moved = native_voxels(
                study,
                registrations,
                regions,
                outlines,
                replace(joined[0], pixels=place),
                drawn=None,
                before=before.get(external.key),
            )
            if moved is not None:
                found[external.key] = moved
    return found


def _joined(
    study: Study, registrations: Sequence[Registration], external: ExternalMap
) -> tuple[Series, Transform] | None:
    """Find an aligned series of the map's frame: CT itself is never registered, its PET is."""
    frame = external.map.grid.frame_of_reference
    for series in sorted(study.series, key=lambda s: s.key != external.on):
        transform = transform_to(study, registrations, series)
        if transform is not None and series.grid.frame_of_reference == frame:
            return series, transform
    return None


def measure_covariates(
    numbers: Numbers,
    study: Study,
    registrations: Sequence[Registration],
    regions: RegionVoxels,
    found: Mapping[str, RegionVoxels],
) -> None:
    """Append mean, median and standard deviation of every external map.

    Parameters
    ----------
    numbers : dict
        Measurements by region id; grows.
    study : Study
        What was read.
    registrations : sequence of Registration
        From the reference series to the others.
    regions : RegionVoxels
        Regions on the reference grid.
    found : Mapping of str to RegionVoxels
        What `covariate_voxels` returned.
    """
    for external in study.external_maps:
        voxels = found.get(external.key)
        joined = _joined(study, registrations, external)
        shares = (
            covered_shares(regions, external.map.grid, joined[1], list(numbers)) if joined else {}
        )
        for number, measured in numbers.items():
            stats = None if voxels is None else voxels.statistics(external.map, number)
            count = 0 if stats is None else int(stats.count[0])
            n = 0 if stats is None else int(stats.n_valid[0])
            why = ""
            if voxels is None:
                why = f"{external.on}, in whose frame the map lies, is not aligned"
            elif not count:
                why = "no voxel of the region lies on the grid of the map"
            elif not n:
                why = "the map has no finite value in the region"
            elif n < count:
                why = f"{count - n} of {count} voxels of the map are not finite and are left out"
            share = shares.get(number, (1.0, 0))[0]
            part = ""
            if n and share < _WHOLE:
                part = f"only {100 * share:.0f} % of the region lies in the field of view"
            note = "; ".join(t for t in (COVARIATE, why, part) if t)
            for name in _STATISTICS:
                value = float(getattr(stats, name)[0]) if n else NAN
                said = "none: spread of the voxels" if name == "sd" else _NO_ERROR
                measured.append(
                    Measurement(
                        external.map.quantity.key,
                        name,
                        external.key,
                        value,
                        NAN,
                        said if n else "none: nothing was measured",
                        n,
                        f"native {external.key}",
                        note,
                    )
                )


def measure_vessel_size(numbers: Numbers, kept: Kept, study: Study) -> None:
    """Append the vessel-density index Q where maps of R2 before and after the agent were given.

    Parameters
    ----------
    numbers : dict
        Measurements by region id, with native dR2* and both means of R2; grows.
    kept : Mapping
        Measurements of regions that are not measured again.
    study : Study
        What was read.

    Notes
    -----
    ``Q = dR2 / dR2*^(2/3)`` of the mean changes; see `eprimg.kernels.vascular.vessel_size_q`.  It
    has that meaning only while the agent is in the vessels, so late scans are refused with the
    reason, as for the fractional blood volume.
    """
    if not {"map_r2_pre", "map_r2_post"} <= {m.key for m in study.external_maps}:
        return
    late = why_not_in_vessels(study)
    for number, measured in numbers.items():
        means = [
            find_number(numbers, kept, number, "r2", "mean", f"map_r2_{phase}")
            for phase in ("post", "pre")
        ]
        change = find_number(numbers, kept, number, "dr2star", "mean", _CHANGE)
        post, pre = means
        if post is None or pre is None:
            continue
        value, n = NAN, min(post.n_voxels, pre.n_voxels)
        why = late
        if change is None:
            why = why or "there is no change of R2* (a series before and one after the agent)"
        elif not why:
            found = vessel_size_q(
                post.value - pre.value, change.value, dr2star_se=change.uncertainty
            )
            value, n = float(found.value), min(n, change.n_voxels)
            reason = VascularReason(int(found.reason))
            why = "" if reason == VascularReason.OK else VASCULAR_REASON_TEXT[reason]
        note = f"not computed: {why}" if why else "mean ΔR2 over mean ΔR2* to the power 2/3"
        measured.append(
            Measurement(
                "vessel_size_q",
                "ratio",
                "map_r2_post-map_r2_pre",
                value,
                NAN,
                _NO_ERROR,
                n,
                "native maps of R2 and native mr_post and mr_pre",
                f"{COVARIATE}; {note}",
            )
        )
