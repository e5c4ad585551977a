"""Regions from clicks: a lesion grown from its click, a sphere placed in an organ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eprimg.config import ClickConfig, Config
from eprimg.kernels.click import ClickMethod, click_segment
from eprimg.kernels.reference_sphere import place_reference_sphere
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource
from eprimg.model.study import Click, Series, Study
from eprimg.model.volume import EchoStack

__all__ = ["click_contrast", "place_clicks"]

_LESION = "lesion"
_METHODS: dict[str, ClickMethod] = {
    "random-walker": "random-walker",
    "grow-cut": "grow-cut",
    "gradient-watershed": "gradient-watershed",
}
_Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False, slots=True)
class _Grown:
    """What became of one click."""

    mask: npt.NDArray[np.bool_] | None
    said: str
    doubt: str = ""


def place_clicks(study: Study, config: Config) -> StageResult[tuple[LesionSet, ...]]:
    """Make a region of every click, on the grid of the series that was clicked.

    Parameters
    ----------
    study : Study
        With clicks.
    config : Config
        ``clicks``, and ``segment.accept_candidates``.

    Returns
    -------
    StageResult of tuple of LesionSet
        One set per clicked series.  A lesion is a candidate (its outline has not been reviewed), a
        sphere in an organ is confirmed.  ``I_CLICK_PLACED`` says what was made of each click,
        ``W_CLICK_DOUBT`` what speaks against an outline, ``W_CLICK_REFUSED`` why there is no
        region.
    """
    findings: list[Finding] = []
    sets = []
    for series in study.series:
        clicks = [c for c in study.clicks if c.on in (series.key, str(series.role))]
        if not clicks:
            continue
        made = _on_series(study, series, clicks, config, findings)
        if made.regions:
            sets.append(made)
    return StageResult(tuple(sets), tuple(findings))


def _on_series(
    study: Study,
    series: Series,
    clicks: Sequence[Click],
    config: Config,
    findings: list[Finding],
) -> LesionSet:
    values, looked_at = click_contrast(series, config.clicks)
    labels: _Labels = np.zeros(series.grid.shape, dtype=np.int32)
    lesions, others = _imported(study, series)
    organs = {r.anatomy for each in study.regions for r in each.references if r.anatomy}
    regions: list[Region] = []
    # Lesions first, so that the spheres keep off them.
    for click in sorted(clicks, key=lambda c: c.anatomy != _LESION):
        taken = lesions if click.anatomy == _LESION else lesions | others
        grown = _grow(click, series, values, taken, organs, config.clicks)
        where = f"{click.name} ({series.key})"
        if grown.mask is None:
            text = f"The click of {click.name} on {looked_at} gives no region: {grown.said}."
            findings.append(Finding("W_CLICK_REFUSED", Severity.WARNING, where, text))
            continue
        number = len(regions) + 1
        labels[grown.mask & (labels == 0)] = number
        if click.anatomy == _LESION:
            lesions |= grown.mask
        else:
            others |= grown.mask
        regions.append(_region(click, number, config))
        organs |= {click.anatomy} - {_LESION}
        text = f"{click.name} was made from a click on {looked_at}: {grown.said}."
        findings.append(Finding("I_CLICK_PLACED", Severity.INFO, where, text))
        if grown.doubt:
            text = f"{click.name}: look at the outline, {grown.doubt}."
            findings.append(Finding("W_CLICK_DOUBT", Severity.WARNING, where, text))
    return LesionSet(
        labels,
        series.grid,
        tuple(regions),
        origin=f"clicks on {series.key}",
        settings={"clicks": [c.point_mm for c in clicks], "click_method": config.clicks.method},
    )


def _grow(
    click: Click,
    series: Series,
    values: npt.NDArray[np.floating],
    taken: npt.NDArray[np.bool_],
    organs: set[str],
    config: ClickConfig,
) -> _Grown:
    grid = series.grid
    points = (click.point_mm, *click.background_mm)
    index = np.rint(grid.lps_mm_to_index(points)).astype(int)
    if (index < 0).any() or (index >= np.array(grid.shape)).any():
        return _Grown(None, "the point lies outside the field of view")
    seed, beside = index[0].tolist(), index[1:].tolist()
    if click.anatomy == _LESION:
        if seed in beside:
            return _Grown(None, "one voxel was clicked as lesion and as background")
        found = click_segment(
            values,
            grid.spacing_mm,
            seed,
            method=_METHODS[config.method],
            background_index=beside,
            diameter_mm=click.diameter_mm or None,
        )
        if found.refused:
            return _Grown(None, found.refused)
        mask = found.mask & ~taken
        if not mask.any():
            return _Grown(None, "all of it lies in another region")
        volume = np.count_nonzero(mask) * grid.voxel_volume_ml
        said = f"{config.method}, {volume:.2g} mL"
        if found.doubt:
            return _Grown(mask, f"{said}; look at it: {found.doubt}", found.doubt)
        return _Grown(mask, said)
    if click.anatomy in organs:
        return _Grown(None, f"there is a {click.anatomy} region already")
    sphere = place_reference_sphere(
        values,
        grid.spacing_mm,
        seed,
        diameter_mm=click.diameter_mm,
        search_mm=config.search_mm,
        margin_mm=config.margin_mm,
        tolerance=config.tolerance,
        taken=taken,
    )
    if sphere.refused:
        return _Grown(None, sphere.refused)
    return _Grown(
        sphere.mask,
        f"a sphere of {click.diameter_mm:g} mm, {sphere.moved_mm:.1f} mm from the click, median "
        f"{sphere.median:.4g}, median absolute deviation {sphere.mad:.3g}",
    )


def _region(click: Click, number: int, config: Config) -> Region:
    lesion = click.anatomy == _LESION
    reviewed = not lesion or config.segment.accept_candidates
    return Region(
        number,
        click.name,
        RegionRole.LESION if lesion else RegionRole.REFERENCE,
        RegionSource.CONFIRMED if reviewed else RegionSource.CANDIDATE,
        anatomy="" if lesion else click.anatomy,
    )


def click_contrast(series: Series, config: ClickConfig) -> tuple[npt.NDArray[np.floating], str]:
    """Choose the volume that clicks are looked at on.

    Parameters
    ----------
    series : Series
        Any series.
    config : ClickConfig
        ``echo_time_ms``.

    Returns
    -------
    ndarray, shape (k, j, i)
        The only volume, or the echo nearest to the echo time of the settings.
    str
        What it is, in words.
    """
    pixels = series.pixels
    if not isinstance(pixels, EchoStack):
        return np.asarray(pixels.data), series.key
    times = pixels.echo_times_s
    best = int(np.argmin([abs(1e3 * t - config.echo_time_ms) for t in times]))
    values = np.asarray(pixels.volume.data[..., best])
    return values, f"{series.key} (echo at {1e3 * times[best]:.1f} ms)"


def _imported(study: Study, series: Series) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Voxels of imported regions that were drawn on this grid: lesions and excluded, organs."""
    lesions = np.zeros(series.grid.shape, dtype=np.bool_)
    organs = np.zeros(series.grid.shape, dtype=np.bool_)
    for each in study.regions:
        if not each.grid.matches(series.grid):
            continue
        # A lesion wins over the organ that it lies in; a region such as "body" is no organ.
        held = [r.id for r in each.regions if r.role != RegionRole.REFERENCE]
        named = [r.id for r in each.references if r.anatomy]
        lesions |= np.isin(each.labels, held)
        organs |= np.isin(each.labels, named)
    return lesions, organs
