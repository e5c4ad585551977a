"""The order of stages, going on from a case, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg import pipeline
from eprimg.config import Config
from eprimg.errors import ConfigError
from eprimg.io.study import read_study


@pytest.fixture(scope="module")
def study(phantom: Path):  # type: ignore[no-untyped-def]
    return read_study(phantom / "dicom").value


def test_stages_can_be_named_and_must_be_in_order(study) -> None:  # type: ignore[no-untyped-def]
    for start, stop in (("nothing", None), (None, "nothing"), ("measure", "register")):
        with pytest.raises(ConfigError) as caught:
            pipeline.run(study, start=start, stop=stop)
        assert caught.value.code == "E_STAGE"
    with pytest.raises(ConfigError, match="needs the case"):
        pipeline.run(study, start="measure")


def test_a_run_can_stop_and_go_on(study) -> None:  # type: ignore[no-untyped-def]
    told: list[tuple[str, float]] = []
    config = Config()
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
