"""The page as a whole: complete, self-contained, safe, and never silent about what is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.lesions import Profile
from eprimg.model.study import Study
from eprimg.report.html import render_report

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags, attributes and words; fails on a tag that closes another one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(case: Case) -> Page:
    return Page(render_report(case, Config()))


def test_the_page_needs_nothing_from_outside(page: Page) -> None:
    assert not page.all("script")
    assert not page.all("link")
    for attributes in (a for _, a in page.tags):
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href"):
            target = attributes.get(key)
            assert target is None or target.startswith(("data:image/", "#"))
    policy = [a for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy[0]["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_figure_has_an_alternative_text(page: Page) -> None:
    # chart, overview, three lesions with planes and decay, two registrations, and for each of these
    # four pictures (both series, tiles, edges) of every lesion
    assert len(page.all("img")) == 2 + 3 * 2 + 2 + 2 * 3 * 4
    assert all(len(a.get("alt") or "") > 30 for a in page.all("img"))


def test_the_head_says_who_when_and_what_it_is_not(page: Page) -> None:
    assert "case-7f3a" in page.words
    assert "Research use only; not a medical device" in page.words
    assert "72.0 h after injection" in page.words
    assert not re.search(r"2024-?03", page.words)  # no date of the patient


def test_the_order_is_the_readers(page: Page) -> None:
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert ids == [
        "tiers",
        "facts",
        "findings",
        "uptake",
        "lesions",
        "organs",
        "lesion-1",
        "lesion-2",
        "lesion-3",
        "registration",
        "provenance",
    ]


def test_tiers_come_with_confidence_and_notice(page: Page) -> None:
    assert "> 99 %" in page.words
    assert "97 %" in page.words
    # 2 patient tiers, 6 in the table, 6 on the cards, 2 schemes, and the caption of the chart
    assert page.words.count("example, not validated") == 2 + 6 + 6 + 2 + 1
    assert "most likely moderate" in page.words


def test_findings_are_sorted_and_escaped(page: Page, case: Case) -> None:
    text = page.words
    assert text.index("E_SEG_FRAME") < text.index("W_NOISE_FLOOR") < text.index("I_AGENT")
    assert "mask <b>bold</b>.nii.gz" in text
    assert not [1 for tag, _ in page.tags if tag == "bold"]


def test_settings_versions_and_transforms_are_there(page: Page) -> None:
    for words in (
        "percent of the maximum SUVbw",
        "aa" * 32,
        "12" * 32,
        "simpleitk-rigid",
        "0.998",
        "dominant-volume",
    ):
        assert words in page.words


def test_a_header_cannot_smuggle_markup(brief_case: Case) -> None:
    evil = "<script>alert(1)</script>\"'$x$"
    assert brief_case.lesions is not None
    regions = tuple(replace(r, name=evil, notes=(evil,)) for r in brief_case.lesions.regions)
    points = tuple(
        replace(
            t,
            label=f"{t.label} {evil}",
            series=tuple(replace(s, description=evil) for s in t.series),
        )
        for t in brief_case.study.timepoints
    )
    study = replace(brief_case.study, timepoints=points, overrides={evil: evil})
    changed = replace(brief_case, study=study, lesions=brief_case.lesions.with_regions(regions))
    page = Page(render_report(changed, Config(), pseudonym=evil))
    assert not page.all("script")
    assert evil in page.words


def test_many_notes_fold_away(brief_case: Case) -> None:
    note = brief_case.findings[0]
    many = tuple(replace(note, text=f"note number {i}") for i in range(6))
    assert (
        "6 notes"
        in Page(
            render_report(
                replace(brief_case, findings=many, registrations=(), lesions=None), Config()
            )
        ).words
    )


def test_candidates_are_loud(candidate_case: Case) -> None:
    page = Page(render_report(candidate_case, Config()))
    assert page.words.count("candidate, not reviewed") >= 5  # table, card, warning, two tiers
    assert "Nobody has confirmed" in page.words
    assert "Every lesion is a candidate" in page.words


def only(case: Case, keys: set[str]) -> Case:
    points = tuple(t for t in case.study.timepoints if t.series[0].key in keys)
    maps = {k: m for k, m in case.maps.items() if set(m.sources) <= keys}
    return replace(
        case,
        study=replace(case.study, timepoints=points),
        maps=maps,
        registered={},
        registrations=tuple(r for r in case.registrations if {r.fixed, r.moving} <= keys),
    )


def test_pet_alone(brief_case: Case) -> None:
    alone = replace(
        only(brief_case, {"pet"}),
        lesions=brief_case.native_lesions["pet"],
        native_lesions={"pet": brief_case.native_lesions["pet"]},
    )
    page = Page(render_report(alone, Config()))
    assert "not in this study" in page.words
    assert "nothing had to be registered" in page.words
    assert len(page.all("img")) == 2 + 1


def test_mr_alone(brief_case: Case) -> None:
    page = Page(render_report(only(brief_case, {"mr_pre", "mr_post"}), Config()))
    assert "PET" in page.words
    assert "not in this study" in page.words
    assert len(page.all("img")) == 2 + 2 + 1 + 4


def test_verdicts_reasons_and_lesions_of_the_alignments(brief_case: Case) -> None:
    first, second = brief_case.registrations
    doubted = replace(first, doubts=("two estimates disagree",))
    told = replace(brief_case, registrations=(doubted, second), uptake_apart_mm={1: 4.27})
    page = Page(render_report(told, Config()))
    assert "review: accepted with doubts" in page.words
    assert "pass: accepted" in page.words
    assert "two estimates disagree" in page.words
    assert "all checks passed" in page.words
    # Beside the pictures of that lesion only, and not a second time among the figures.
    assert page.words.count("4.27") == 0
    assert page.words.count("uptake 4.3 mm from the outline's centre") == 1


def test_no_lesions(brief_case: Case) -> None:
    bare = replace(brief_case, lesions=None, native_lesions={}, patient_tiers=())
    page = Page(render_report(bare, Config()))
    assert "No lesion was given or found, so the patient is not placed in a tier." in page.words
    assert len(page.all("img")) == 1 + 2


def test_registrations_not_accepted(brief_case: Case) -> None:
    refused = replace(
        brief_case,
        registered={},
        native_lesions={"mr_pre": brief_case.native_lesions["mr_pre"]},
        registrations=tuple(
            replace(r, accepted=False, note="the check failed") for r in brief_case.registrations
        ),
    )
    page = Page(render_report(refused, Config()))
    assert page.words.count("not accepted: maps that need it were not made") == 2
    assert "PET is not shown on the lesions" in page.words
    assert "ΔR2* is not shown" in page.words


def test_no_registration_and_no_tier(brief_case: Case) -> None:
    page = Page(
        render_report(
            replace(
                brief_case,
                registrations=(),
                registered={},
                schemes=(),
                patient_tiers=(),
                findings=(),
            ),
            Config(),
        )
    )
    assert "No series was registered" in page.words
    assert "No tier scheme was applied." in page.words
    assert "Nothing was found" in page.words


def test_schemes_that_could_not_place_the_patient(brief_case: Case) -> None:
    page = Page(render_report(replace(brief_case, patient_tiers=(), registrations=()), Config()))
    assert "No scheme could place this patient" in page.words


def test_an_empty_case_still_renders() -> None:
    page = Page(render_report(Case(Study("empty", ())), Config()))
    assert "No lesion was given or found" in page.words
    assert page.all("img") == []


def test_the_page_is_the_same_every_time(brief_case: Case) -> None:
    assert render_report(brief_case, Config()) == render_report(brief_case, Config())


def test_a_lesion_without_a_voxel_says_why_it_has_no_planes(brief_case: Case) -> None:
    assert brief_case.lesions is not None
    lesion = brief_case.lesions.lesions[0]
    ghosts = tuple(replace(lesion, id=100 + i, name=f"ghost-{i}") for i in range(2))
    regions = brief_case.lesions.with_regions(ghosts)
    page = Page(render_report(replace(brief_case, lesions=regions, registrations=()), Config()))
    assert page.words.count("no voxel on the reference grid, so there are no planes") == 2


def test_many_lesions_keep_the_page_small(
    brief_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eprimg.report.html._MOST_CARDS", 0)
    page = Page(render_report(replace(brief_case, registrations=()), Config()))
    assert "Planes are drawn for the first 0 lesions only." in page.words
    assert "lesion-1" in page.words


@pytest.fixture
def no_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures that take long and are looked at elsewhere."""
    for name in ("overview_picture", "uptake_picture", "registration_picture"):
        monkeypatch.setattr(f"eprimg.report.html.{name}", lambda *args, **more: None)
    monkeypatch.setattr("eprimg.report.html.lesion_checks", lambda *args: {})
    monkeypatch.setattr("eprimg.report.html._MOST_CARDS", 0)


@pytest.mark.usefixtures("no_planes")
def test_profiles_of_some_lesions_and_a_word_for_the_others(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eprimg.report.html.MOST_PROFILES", 1)
    steps = Profile("suvbw", "pet", "g", (0.0, 2.0), (2.0, 4.0), (3.0, 5.0), (0.1, 0.2), (30, 9))
    assert case.lesions is not None
    regions = tuple(
        replace(r, profiles=(steps,)) if r.id in (1, 2) else r for r in case.lesions.regions
    )
    told = replace(case, lesions=case.lesions.with_regions(regions))
    page = Page(render_report(told, Config()))
    (picture,) = page.all("img")
    assert (picture["src"] or "").startswith("data:image/svg+xml;base64,")
    assert "SUVbw [g/mL], pet: 3.00 ± 0.10 at 1 mm, 5.00 ± 0.20 at 3 mm" in (picture["alt"] or "")
    assert page.words.count("From the rim of the lesion inwards") == 1
    assert "fewer than 20 voxels" in page.words
    assert page.words.count("drawn for the first 1 lesions only; profiles.csv has them all") == 1
    assert page.words.count("no map has 20 voxels of the lesion with a value") == 1
    assert "Bent transforms" not in page.words
    unasked = Config().with_assignments(["heterogeneity.measure=false"])
    assert "the rim inwards" not in Page(render_report(case, unasked)).words


@pytest.mark.usefixtures("no_planes")
def test_columns_of_bent_transforms_only(brief_case: Case) -> None:
    first, second = brief_case.registrations
    grid = Grid((2, 2, 2), np.eye(4), first.transform.from_frame)
    field = Displacement(np.zeros((2, 2, 2, 3), np.float32), grid)
    qc = {"jacobian_min": 0.7123, "folding_percent": 0.0, "inverse_p95_mm": 2.214}
    bent = replace(first, transform=replace(first.transform, displacement=field), qc=qc)
    page = Page(render_report(replace(brief_case, registrations=(bent, second)), Config()))
    words = page.words[page.words.index("Bent transforms") :]
    table = words[: words.index("Jacobian determinant J inside")]
    assert "Smallest Jacobian J" in table
    assert "SD of log J" in table
    assert re.findall(r"mr_post to mr_pre\s*–0.7120––2.21", table)
    assert "pet to mr_pre" not in table
