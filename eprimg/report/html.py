"""The report: one self-contained HTML page per case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, partial

import jinja2

from eprimg.config import Config
from eprimg.model.case import Case, Severity
from eprimg.model.lesions import Region, RegionSource
from eprimg.model.tiers import Tier
from eprimg.report import facts, tables
from eprimg.report.covariates import covariate_rows
from eprimg.report.decay_figure import decay_picture, lesion_decays
from eprimg.report.findings import finding_groups
from eprimg.report.frames import reference_grid
from eprimg.report.layers import Layer, anatomy_layer, lesion_layers, pet_layer
from eprimg.report.lesion_figure import (
    LesionPlace,
    lesion_lettering,
    lesion_places,
    lesion_planes_picture,
)
from eprimg.report.over_time import over_time, over_time_picture
from eprimg.report.overview_figure import overview_picture
from eprimg.report.palette import SEVERITIES
from eprimg.report.picture import Picture
from eprimg.report.profile_figure import MOST_PROFILES, profile_picture
from eprimg.report.registration_figure import registration_picture
from eprimg.report.registration_lesions import MOST_LESIONS, LesionCheck, lesion_checks
from eprimg.report.registration_rows import BENDING, HEADLINE, apart
from eprimg.report.uptake_figure import uptake_panels, uptake_picture

__all__ = ["render_report"]

_MOST_CARDS = 16
"""Lesions with planes; more would make the page too big to open or to send."""


@dataclass(frozen=True, slots=True)
class _PatientTile:
    badge: tables.TierBadge
    rule: str
    lesions: str
    percent: int


@dataclass(frozen=True, slots=True)
class _Card:
    row: tables.Row
    numbers: tuple[tuple[tables.Column, tables.Cell], ...]
    planes: Picture | None
    decay: Picture | None
    why_no_planes: str
    profile: Picture | None
    why_no_profile: str
    measurements: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Check:
    facts: facts.RegistrationFacts
    picture: Picture | None
    lesions: tuple[tuple[Region, str, LesionCheck], ...]


def render_report(
    case: Case,
    config: Config,
    *,
    pseudonym: str | None = None,
    progress: Callable[[str, float], object] | None = None,
) -> str:
    """Write a case as one HTML page that needs nothing else.

    Parameters
    ----------
    case : Case
        Whatever is known; parts that are missing are said in words.
    config : Config
        Settings, which are printed too.
    pseudonym : str, optional
        Stands for the patient; that of the study by default.
    progress : callable, optional
        Called with words and the finished share before every picture; what it raises ends the work.

    Returns
    -------
    str
        HTML with inline style and pictures, without scripts, external links, dates of the patient
        or names; every text from a header is escaped.
    """
    tell = progress or (lambda words, share: None)
    tell("report: layers", 0.0)
    grid = reference_grid(case)
    places = lesion_places(case.lesions) if case.lesions is not None else {}
    lesions = case.lesions.lesions if case.lesions is not None else ()
    organs = case.lesions.references if case.lesions is not None else ()
    layers, missing = lesion_layers(case, config)
    lesion_notes, organ_notes = tables.Footnotes(), tables.Footnotes()
    columns, organ_columns = tables.lesion_columns(lesions), tables.organ_columns(organs)
    rows = tables.table_rows(case, lesions, columns, lesion_notes)
    overview = None
    tell("report: overview", 0.1)
    if grid is not None:
        frame = grid.frame_of_reference
        ask = partial(tell, "report: overview", 0.1)
        anatomy, uptake_layer = anatomy_layer(case, frame), pet_layer(case, config, frame)
        ask()
        overview = overview_picture(places, lesions, anatomy, uptake_layer, frame, ask=ask)
    groups = finding_groups(case)
    panels = uptake_panels(case)
    tell("report: uptake", 0.2)
    uptake = uptake_picture(panels)
    sessions = over_time(case)
    cards = _cards(case, rows, columns, places, layers, config, tell)
    checks = _checks(case, places, tell)
    tell("report: page", 0.95)
    return _template().render(
        title=config.report.title,
        pseudonym=pseudonym or case.study.pseudonym,
        tiles=_tiles(case),
        no_tier=_why_no_tier(case),
        schemes=case.schemes,
        facts=facts.key_facts(case),
        timeline=facts.timeline(case),
        severe=[g for g in groups if g.look.rank < 2],
        remarks=[g for g in groups if g.look.rank >= 2],
        severities=[
            (SEVERITIES[s], sum(f.severity == s for f in case.findings))
            for s in (Severity.ERROR, Severity.WARNING, Severity.INFO)
        ],
        uptake=uptake,
        overview=overview,
        columns=columns,
        rows=rows,
        footnotes=lesion_notes.texts,
        any_candidate=any(r.candidate for r in rows),
        organ_columns=organ_columns,
        organs=tables.table_rows(case, organs, organ_columns, organ_notes),
        organ_footnotes=organ_notes.texts,
        covariates=covariate_rows(case),
        over_time=sessions,
        over_time_picture=over_time_picture(sessions),
        cards=cards,
        n_lesions=len(lesions),
        most_cards=_MOST_CARDS,
        least_voxels=config.heterogeneity.least_voxels,
        missing=missing,
        checks=checks,
        check_columns=HEADLINE,
        bending_columns=BENDING,
        most_checked=MOST_LESIONS,
        several_series=len(case.study.series) > 1,
        settings=config.to_toml(),
        config_hash=case.provenance.config_hash or config.hash,
        provenance=case.provenance,
        series=case.study.series,
        entered=facts.entered_facts(case.study.overrides),
        candidates=facts.reference_candidates(case),
        origin=case.lesions.origin if case.lesions is not None else "",
        methods=[
            (key, m.quantity, m.method)
            for key, m in [
                *case.maps.items(),
                *((f"{k} (registered)", m) for k, m in case.registered.items()),
            ]
        ],
    )


def _tiles(case: Case) -> list[_PatientTile]:
    schemes = {s.key: s for s in case.schemes}
    tiles = []
    for tier in case.patient_tiers:
        # A patient's tier has the same words as a lesion's; only the rule is new.
        same = {f.name: getattr(tier, f.name) for f in fields(Tier) if hasattr(tier, f.name)}
        badge = tables.tier_badge(Tier(**same), schemes.get(tier.scheme))
        known = tier.confidence == tier.confidence
        plural = "" if tier.n_lesions == 1 else "s"
        tiles.append(
            _PatientTile(
                badge,
                tier.rule.replace("-", " "),
                f"{tier.n_lesions} lesion{plural}",
                round(100 * tier.confidence) if known else 0,
            )
        )
    return tiles


def _why_no_tier(case: Case) -> str:
    if case.patient_tiers:
        return ""
    if case.lesions is None or not case.lesions.lesions:
        return "No lesion was given or found, so the patient is not placed in a tier."
    if all(r.source == RegionSource.CANDIDATE for r in case.lesions.lesions):
        return (
            "Every lesion is a candidate that nobody has reviewed, so nothing is placed in a "
            "tier. Confirm the regions in a mask, or accept them on purpose."
        )
    if not case.schemes:
        return "No tier scheme was applied."
    return "No scheme could place this patient in a tier; the findings say why."


def _cards(
    case: Case,
    rows: tuple[tables.Row, ...],
    columns: tuple[tables.Column, ...],
    places: dict[int, LesionPlace],
    layers: tuple[Layer, ...],
    config: Config,
    tell: Callable[[str, float], object],
) -> list[_Card]:
    cards, lettering = [], lesion_lettering(layers) if layers and places else None
    for number, row in enumerate(rows):
        share = 0.25 + 0.45 * number / len(rows)
        words = f"report: lesion {number + 1} of {len(rows)}"
        tell(words, share)
        region: Region = row.region
        place, planes, decay, why = places.get(region.id), None, None, ""
        if place is None:
            why = "This lesion has no voxel on the reference grid, so there are no planes."
        elif not layers:
            why = "There is no volume to show."
        elif number >= _MOST_CARDS:
            why = f"Planes are drawn for the first {_MOST_CARDS} lesions only."
        else:
            planes = lesion_planes_picture(
                place,
                layers,
                name=region.name,
                lettering=lettering,
                ask=partial(tell, words, share),
            )
            tell(f"report: decay of lesion {number + 1}", share)
            decay = decay_picture(lesion_decays(case, region.id), name=region.name)
        cards.append(
            _Card(
                row,
                tuple(zip(columns, row.cells, strict=True)),
                planes,
                decay,
                why,
                *_profile(region, number, config),
                tables.every_measurement(region),
            )
        )
    return cards


def _profile(region: Region, number: int, config: Config) -> tuple[Picture | None, str]:
    """Draw the profiles of a lesion, or say why there are none."""
    if not config.heterogeneity.measure:
        return None, ""
    if not region.profiles:
        least = config.heterogeneity.least_voxels
        return None, (
            f"No profile from the rim inwards: no map has {least} voxels of the lesion with a "
            "value."
        )
    if number >= MOST_PROFILES:
        return None, (
            f"Profiles from the rim inwards are drawn for the first {MOST_PROFILES} lesions only; "
            "profiles.csv has them all."
        )
    picture = profile_picture(region)
    return picture, "" if picture is not None else "No rim of the lesion is seen on any map."


def _checks(
    case: Case, places: dict[int, LesionPlace], tell: Callable[[str, float], object]
) -> list[_Check]:
    centre = None
    if places:
        biggest = max(places.values(), key=lambda p: int(p.mask.sum()))
        centre = biggest.centre_mm
    checks = []
    for number, each in enumerate(case.registrations):
        tell(f"report: alignment of {each.moving}", 0.7 + 0.25 * number / len(case.registrations))
        picture = registration_picture(case, each, centre)
        drawn = lesion_checks(case, each, places)
        lesions = case.lesions.lesions if case.lesions is not None else ()
        rows = tuple(
            (r, apart(case.uptake_apart_mm, r.id, each.moving), drawn[r.id])
            for r in lesions
            if r.id in drawn
        )
        checks.append(_Check(facts.registration_facts(each), picture, rows))
    return checks


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("eprimg.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2")
