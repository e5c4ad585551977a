"""Two FDG cases of the tiny study; SUL and categories are worked out here."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from eprimg.errors import ConfigError, InputError
from eprimg.kernels.response import PercistRules, ResponseCategory
from eprimg.model.acquisition import Injection
from eprimg.model.case import Case
from eprimg.model.lesions import Region, RegionRole, RegionSource, SharedVoxels
from eprimg.stages.measure import measure
from eprimg.stages.quantify import quantify
from eprimg.stages.response import judge_response, percist_scan, response_protocols

LOOKED = {"new_lesion": False, "extent_grew": False, "resolved": False}


def case(
    scene,
    lesion=1.0,
    *,
    days=0,
    minutes=60.0,
    nuclide="18F",
    settings=None,
    source=None,
    twin=False,
):
    """A man of 72 kg, 370 MBq of 18F; uptake of the lesion times a factor."""
    injected = scene.injected + timedelta(days=days)
    known = scene.known
    config = scene.config.with_settings(settings or {})
    values = scene.paint(2)
    values[scene.boxes["lesion"]] *= lesion
    acquisition = scene.pet_acquisition(
        injection=Injection(known(injected), known(370e6), known(nuclide), known(6586.2)),
        decay_correction="ADMIN",
        reference_instant=injected + timedelta(minutes=minutes),
        hours_after_injection=minutes / 60.0,
    )
    study = scene.study(scene.pet_series("pet", acquisition, values))
    regions = scene.region_set("pet")
    if source is not None:
        regions = regions.with_regions(
            tuple(replace(r, source=source) if r.name == "lesion" else r for r in regions.regions)
        )
    if twin:
        regions = with_twin(regions)
    made = quantify(study, (), config).value
    measured = measure(study, (), made.maps, made.registered, regions, config).value
    return Case(study, maps=made.maps, lesions=measured.lesions)


def with_twin(regions):
    """The lesion drawn a second time: all of its voxels are shared."""
    (lesion,) = (r for r in regions.regions if r.name == "lesion")
    inside = np.asarray(regions.labels == lesion.id)
    again = Region(99, "again", RegionRole.LESION)
    return replace(
        regions,
        regions=(*regions.regions, again),
        shared=(SharedVoxels(99, lesion.id, (0, 0, 0), inside),),
    )


def test_uptake_that_two_lesions_hold_counts_once(scene):
    """The union of a lesion and its copy is the lesion: its TLG is that of the lesion alone."""
    alone, _ = percist_scan(case(scene), summed=5)
    both, _ = percist_scan(case(scene, twin=True), summed=5)
    assert len(both.tlg) == 2
    assert sum(both.tlg) == pytest.approx(alone.tlg[0], rel=1e-9)
    assert both.tlg[0] == pytest.approx(both.tlg[1], rel=1e-9)
    # only one of them is in the sum: nothing is shared within it
    one, _ = percist_scan(case(scene, twin=True), summed=1)
    assert max(one.tlg) == pytest.approx(alone.tlg[0], rel=1e-9)


def test_every_threshold_has_its_citation():
    protocols = response_protocols()
    assert set(protocols) == {"percist-1.0", "eortc-1999"}
    for content in protocols.values():
        assert content["citation"]
        for entry in content["thresholds"].values():
            assert entry["citation"]
            assert entry["text"]
    numbers = {k: t["value"] for k, t in protocols["percist-1.0"]["thresholds"].items()}
    # science.md 1.2 (g): O JH, Radiology 2016 (PMC4976461), and the tables named there
    assert PercistRules(**numbers) == (1.5, 2.0, 0.3, 20.0, 15.0, 30.0, 0.8, 75.0, 5.0)
    eortc = {k: t["value"] for k, t in protocols["eortc-1999"]["thresholds"].items()}
    assert list(eortc.values()) == [25.0, 20.0, 15.0, 25.0]


def test_numbers_of_a_scan(scene):
    scan, formula = percist_scan(case(scene))
    lean_g = 1e3 * 9270.0 * 72.0 / (6680.0 + 216.0 * 72.0 / 1.75**2)
    per_bq = lean_g / 370e6
    assert formula == "janmahasatian"
    assert scan.liver_mean == pytest.approx(6000.0 * per_bq, rel=1e-5)
    assert scan.liver_sd == pytest.approx(0.0, abs=1e-5)
    # 100 voxels of 0.036 mL, all above 41 % of the maximum
    assert scan.tlg[0] == pytest.approx(12000.0 * per_bq * 3.6, rel=1e-5)
    assert scan.uptake_min == pytest.approx(60.0)
    # the 12.4 mm sphere reaches 0.2 mm out of the lesion: less than 0.1 %
    assert scan.sul_peak[0] == pytest.approx(12000.0 * per_bq, rel=2e-3)


@pytest.mark.parametrize(
    ("factor", "category"),
    [
        (0.6, ResponseCategory.PARTIAL),
        (0.8, ResponseCategory.STABLE),
        (1.8, ResponseCategory.PROGRESSIVE),
    ],
)
def test_percist_from_two_cases(scene, factor, category):
    """The lesion is 12 / 6 livers; SULpeak of 1.84 falls by 0.74 at a factor of 0.6, so it is
    scaled up four times in both scans (SUL 7.4) to pass the limit of 0.8."""
    found = judge_response(
        case(scene, 4.0), case(scene, 4.0 * factor, days=30), "percist-1.0", tracer="FDG", **LOOKED
    )
    assert found.response.category is category
    assert found.response.change_percent == pytest.approx(100.0 * (factor - 1.0), abs=0.1)
    assert (found.title, found.sul_formula) == ("PERCIST 1.0", "janmahasatian")
    assert "10.2967/jnumed.108.057307" in found.citation
    assert found.response.not_judged == ()


def test_percist_refuses_scans_of_other_uptake_times(scene):
    found = judge_response(
        case(scene, 4.0),
        case(scene, 1.0, days=30, minutes=90.0),
        "percist-1.0",
        tracer="FDG",
        **LOOKED,
    )
    assert found.response.category is ResponseCategory.NOT_EVALUABLE
    assert "30 min" in found.response.reasons[0]


def test_eortc_from_two_cases(scene):
    options = {"tracer": "FDG", "new_lesion": False, "resolved": False}
    found = judge_response(
        case(scene), case(scene, 0.8, days=30), "eortc-1999", cycles=1, **options
    )
    assert found.response.category is ResponseCategory.PARTIAL
    assert found.response.change_percent == pytest.approx(-20.0, abs=1e-3)
    later = judge_response(
        case(scene), case(scene, 0.8, days=30), "eortc-1999", cycles=3, **options
    )
    assert later.response.category is ResponseCategory.STABLE


def test_what_the_protocols_do_not_cover_is_refused(scene):
    good, later = case(scene), case(scene, days=30)
    calls = [
        lambda: judge_response(good, later, "percist-1.0", tracer="89Zr-liposome"),
        lambda: judge_response(
            good, case(scene, days=30, nuclide="89Zr"), "percist-1.0", tracer="FDG"
        ),
        lambda: judge_response(
            good, case(scene, days=30, source=RegionSource.CANDIDATE), "percist-1.0", tracer="FDG"
        ),
        lambda: judge_response(
            good,
            case(scene, days=30, settings={"uptake": {"sul_formula": "james128"}}),
            "percist-1.0",
            tracer="FDG",
        ),
        lambda: judge_response(good, later, "eortc-1999", tracer="FDG"),
        lambda: judge_response(later, good, "percist-1.0", tracer="FDG"),
        lambda: judge_response(
            good,
            replace(later, study=replace(later.study, pseudonym="case-2")),
            "percist-1.0",
            tracer="FDG",
        ),
        lambda: judge_response(good, good, "percist-1.0", tracer="FDG"),
        lambda: judge_response(good, Case(good.study), "percist-1.0", tracer="FDG"),
        lambda: judge_response(good, replace(later, lesions=None), "percist-1.0", tracer="FDG"),
    ]
    for call in calls:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "E_RESPONSE"
    with pytest.raises(ConfigError, match="use one of eortc-1999, percist-1.0"):
        judge_response(good, good, "percist", tracer="FDG")
