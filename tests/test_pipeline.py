"""The order of stages, going on from a case, and what is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eprimg import pipeline
from eprimg.config import Config
from eprimg.errors import Cancelled, ConfigError
from eprimg.io.case_records import patient_record
from eprimg.io.study import read_study
from eprimg.io.write_tables import lesions_csv, measurements_csv
from eprimg.model.case import Case
from eprimg.report.html import render_report
from tests.quick import QUICK


@pytest.fixture(scope="module")
def study(phantom: Path):  # type: ignore[no-untyped-def]
    return read_study(phantom / "dicom").value


@pytest.fixture(scope="module")
def stepped(study):  # type: ignore[no-untyped-def]
    """The finished case, made stage by stage, how often each stage asked, and what each made."""
    asked: dict[str, int] = {}
    made: dict[str, Case] = {}
    case = None
    for stage in pipeline.STAGES:
        asked[stage] = 0

        def count(words: str, share: float, *, stage: str = stage) -> None:
            asked[stage] += 1

        start = None if case is None else stage
        case = pipeline.run(study, QUICK, case=case, start=start, stop=stage, progress=count)
        made[stage] = case
    return case, asked, made


@pytest.fixture(scope="module")
def whole(stepped):  # type: ignore[no-untyped-def]
    return stepped[0]


def test_stages_can_be_named_and_must_be_in_order(study) -> None:  # type: ignore[no-untyped-def]
    for start, stop in (("nothing", None), (None, "nothing"), ("measure", "register")):
        with pytest.raises(ConfigError) as caught:
            pipeline.run(study, start=start, stop=stop)
        assert caught.value.code == "E_STAGE"
    with pytest.raises(ConfigError, match="needs the case"):
        pipeline.run(study, start="measure")


def test_a_run_can_stop_and_go_on(study) -> None:  # type: ignore[no-untyped-def]
    told: list[tuple[str, float]] = []
    config = QUICK
    half = pipeline.run(
        study, config, stop="quantify", progress=lambda words, share: told.append((words, share))
    )
    assert half.lesions is None
    assert {"r2star_pre", "r2star_post", "suvbw", "pid_per_kg"} <= set(half.maps)
    assert told[-1][1] == 1.0
    assert [s for _, s in told] == sorted(s for _, s in told)
    whole = pipeline.run(study, config, case=half, start="segment")
    assert whole.registrations == half.registrations
    assert whole.lesions is not None
    assert whole.patient_tiers
    assert set(whole.provenance.seconds) == set(pipeline.STAGES)
    assert whole.provenance.config_hash == pipeline.settings_hash(config)
    assert whole.provenance.input_hash == study.input_hash
    assert whole.provenance.versions["SimpleITK"]
    again = pipeline.run(study, config, case=whole, start="stratify")
    assert [t.label for t in again.patient_tiers] == [t.label for t in whole.patient_tiers]


def test_the_settings_hash_follows_the_files_that_the_settings_name(tmp_path: Path) -> None:
    scheme = (Path(pipeline.__file__).parent / "resources" / "tier_schemes").joinpath(
        "example-pid-per-kg-peak.toml"
    )
    text = scheme.read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    config = Config().with_assignments([f"stratify.schemes=['{own}']"])
    before = pipeline.settings_hash(config)
    assert pipeline.settings_hash(config) == before
    own.write_text(text.replace("20.0", "25.0").replace("[5, 20]", "[5, 25]"), encoding="utf-8")
    assert own.read_text(encoding="utf-8") != text
    assert pipeline.settings_hash(config) != before


class StopAt:
    """Progress that stops at its n-th call, by raising or by returning False."""

    def __init__(self, at: int, *, by_raising: bool) -> None:
        self.at, self.by_raising, self.calls = at, by_raising, 0

    def __call__(self, words: str, share: float) -> bool:
        self.calls += 1
        if self.calls >= self.at:
            if self.by_raising:
                raise Cancelled
            return False
        return True


@pytest.mark.parametrize("by_raising", [True, False])
@pytest.mark.parametrize("at", [1, 2, 7, 60, 250])
def test_a_run_stops_at_the_call_that_asks_for_it(study, at: int, by_raising: bool) -> None:  # type: ignore[no-untyped-def]
    progress = StopAt(at, by_raising=by_raising)
    with pytest.raises(Cancelled) as caught:
        pipeline.run(study, QUICK, progress=progress)
    assert caught.value.code == "E_CANCELLED"
    # Not one more question after the answer: nothing swallowed it and went on.
    assert progress.calls == at


def test_every_long_step_asks_often(stepped, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    case, calls, _ = stepped
    now = []
    pipeline.export_case(
        case, QUICK, tmp_path / "o", progress=lambda words, share: now.append(words)
    )
    # Two searches with 3 levels each ask at every iteration of the optimiser.
    iterations = sum(sum(r.settings["iterations"].values()) for r in case.registrations)
    assert calls["register"] > iterations > 100
    # Two fits of at least one chunk, three spline axes for each of two resampled maps.
    assert calls["quantify"] > 15
    # One question per PET region and map.
    assert calls["measure"] > len(case.lesions.regions)
    # Every map and every lesion of the report.
    assert len(now) > 2 * len(case.maps) + 2 * len(case.lesions.lesions)


def test_a_cancelled_export_leaves_nothing(whole, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    case = replace(whole, lesions=None, drawn_lesions={}, patient_tiers=())
    for at in (1, 4, 8, 12):
        with pytest.raises(Cancelled):
            pipeline.export_case(case, QUICK, tmp_path / "o", progress=StopAt(at, by_raising=True))
        assert list(tmp_path.iterdir()) == []


def test_findings_of_a_stage_that_runs_again_are_replaced(study, whole) -> None:  # type: ignore[no-untyped-def]
    config = QUICK
    assert {f.stage for f in whole.findings} <= {"read", *pipeline.STAGES}
    for start in ("quantify", "measure", "stratify"):
        again = pipeline.run(study, config, case=whole, start=start)
        assert again.findings == whole.findings
        assert [f.stage for f in again.findings] == [f.stage for f in whole.findings]


def test_regions_can_be_handed_in(study, whole) -> None:  # type: ignore[no-untyped-def]
    config = QUICK
    given = pipeline.run(
        study,
        config,
        regions=whole.lesions,
        native=whole.drawn_lesions,
        case=whole,
        start="segment",
    )
    assert measurements_csv(given) == measurements_csv(whole)
    assert lesions_csv(given) == lesions_csv(whole)
    assert [f.code for f in given.findings if f.stage == "segment"] == ["I_REGIONS_GIVEN"]


def test_edited_schemes_take_the_place_of_those_of_the_settings(study, whole) -> None:  # type: ignore[no-untyped-def]
    config = QUICK
    low = tuple(replace(s, edges=tuple(1e-6 * e for e in s.edges)) for s in whole.schemes)
    edited = pipeline.run(study, config, case=whole, start="stratify", schemes=low)
    assert [s.edges for s in edited.schemes] == [s.edges for s in low]
    assert edited.provenance.config_hash != whole.provenance.config_hash
    # Whoever reads the tables or the report sees that these are not the tiers of the scheme.
    assert not any(s.validated for s in edited.schemes)
    assert lesions_csv(edited).count("edited scheme, not validated") >= len(edited.lesions.lesions)
    assert "edited scheme" not in lesions_csv(whole)
    notices = [t["notice"] for t in patient_record(edited)["tiers"]]
    assert notices == ["edited scheme, not validated"] * len(low)
    assert "edited scheme, not validated" in render_report(edited, config)
    # The case's own schemes handed in again are no edit.
    same = pipeline.run(study, config, case=whole, start="stratify", schemes=whole.schemes)
    assert lesions_csv(same) == lesions_csv(whole)
    # Far below every lesion: whoever has a tier has the highest.
    tiers = [t for r in edited.lesions.lesions for t in r.tiers if t.label != "not tiered"]
    tops = {s.key: s.labels[-1] for s in low}
    assert tiers
    assert all(t.most_likely == tops[t.scheme] for t in tiers)


@pytest.mark.usefixtures("plain_page")
def test_a_folder_is_run_with_facts(phantom: Path, tmp_path: Path) -> None:
    case = pipeline.run_folder(phantom / "dicom", tmp_path / "o", QUICK, facts={"weight_kg": 81.0})
    assert case.study.overrides == {"weight_kg": 81.0}
    assert (tmp_path / "o" / "lesions.csv").read_text(encoding="utf-8") == lesions_csv(case)
    held = pipeline.run_folder(
        phantom / "dicom", tmp_path / "o", QUICK, facts={"weight_kg": 81.0}, resume=True
    )
    assert not held.provenance.finished


def test_iron_is_measured_by_the_model_that_the_settings_name(study, stepped) -> None:  # type: ignore[no-untyped-def]
    half = stepped[2]["segment"]
    # the digital abdomen is a 3 T scan
    config = QUICK.with_assignments(["iron.model=knobloch2018-plasma-3t"])
    case = pipeline.run(study, config, case=half, start="measure")
    assert case.lesions is not None
    for region in case.lesions.lesions:
        change = region.measurement("dr2star", "median", "mr_post-mr_pre")
        iron = region.measurement("iron_concentration", "median", "mr_post-mr_pre")
        assert change is not None
        assert iron is not None
        inside = 0.26 <= change.value / 55.7 <= 4.2
        assert (iron.value == iron.value) == inside, (region.name, change.value, iron.note)
        if inside:
            assert iron.value == pytest.approx(change.value / 55.7)
    codes = {f.code for f in case.findings}
    assert {"I_IRON_MODEL", "I_IRON_DOSE"} <= codes
    assert "iron_median_mmol_per_l" in lesions_csv(case)
    assert case.provenance.config_hash != pipeline.settings_hash(QUICK)
    other = QUICK.with_assignments(["iron.model=knobloch2018-plasma-1t5"])
    refused = pipeline.run(study, other, case=half, start="measure", stop="measure")
    assert "E_IRON_FIELD" in {f.code for f in refused.findings}
