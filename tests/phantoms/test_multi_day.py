"""Scene "multi-day": the same patient on four days, and retention found again through files."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from eprimg import Config, read_study, run
from eprimg.kernels.kinetics import retention
from eprimg_phantoms import load_scene, make

DAYS = {"": 24.0, "72h": 72.0, "120h": 120.0, "144h": 144.0}
# The ladder that the scene is for: uptake at 144 h over uptake at 24 h.
LADDER = {"lesion-1": 0.25, "lesion-2": 0.5, "lesion-3": 1.0, "lesion-4": 1.5, "lesion-5": 2.0}


def test_uptake_follows_the_stated_rates() -> None:
    scenes = {v: load_scene("multi-day", v) for v in DAYS}
    for variant, hours in DAYS.items():
        scene = scenes[variant]
        injection = datetime.fromisoformat(scene.pet["injection"])
        elapsed = scene.sessions["pet"].start - injection
        assert elapsed.total_seconds() == hours * 3600
        for now, first in zip(scene.lesions, scenes[""].lesions, strict=True):
            # An exponential through 1 at 24 h and the ladder's value at 144 h.
            kept = LADDER[now.name] ** ((hours - 24.0) / 120.0)
            assert now.tissue.pid_per_kg / first.tissue.pid_per_kg == pytest.approx(kept, rel=1e-6)
        blood = scene.organ_tissue("aorta").pid_per_kg
        assert blood == pytest.approx(12.0 * 0.5 ** ((hours - 24.0) / 40.0), rel=1e-6)
        assert scene.organ_tissue("muscle").pid_per_kg == 1.0


def test_a_clearance_needs_its_reference_hour(tmp_path: Path) -> None:
    text = (Path(load_scene.__code__.co_filename).parent / "scenes/multi-day.toml").read_text()
    bare = tmp_path / "bare.toml"
    bare.write_text(text.replace("uptake_reference_h = 24.0\n", ""))
    with pytest.raises(ValueError, match="uptake_reference_h"):
        load_scene(bare)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = tmp_path_factory.mktemp("days")
    config = Config().with_assignments(
        ["partial_volume.method=gtm", "partial_volume.fwhm_mm=6", "blood_volume.fraction=0.05"]
    )
    out: dict[str, dict[str, Any]] = {}
    for variant in ("", "144h"):
        folder = make("multi-day", root / (variant or "24h"), variant=variant)
        read = read_study(folder / "dicom", config=config)
        case = run(read.value, config, findings=read.findings)
        truth = json.loads((folder / "truth.json").read_text())
        header = pydicom.dcmread(next((folder / truth["series"]["pet"]).glob("*.dcm")))
        assert case.lesions is not None
        out[variant] = {"truth": truth, "regions": case.lesions.regions, "header": header}
    return out


def number(day: dict[str, Any], name: str, statistic: str) -> Any:
    region = next(r for r in day["regions"] if r.name == name)
    return region.measurement("pid_per_kg", statistic, "pet")


def test_days_are_studies_of_one_patient(seen: dict[str, dict[str, Any]]) -> None:
    one, two = seen[""]["header"], seen["144h"]["header"]
    assert one.PatientID == two.PatientID
    assert one.StudyInstanceUID != two.StudyInstanceUID
    assert one.FrameOfReferenceUID != two.FrameOfReferenceUID
    start = [d.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
             for d in (one, two)]  # fmt: skip
    assert start[0] == start[1]
    assert (one.SeriesDate, two.SeriesDate) == ("20240305", "20240310")


def test_retention_is_found_again_through_files(seen: dict[str, dict[str, Any]]) -> None:
    for name, kept in LADDER.items():
        early, late = (number(seen[d], name, "mean_partial_volume") for d in ("", "144h"))
        truth = [seen[d]["truth"]["lesions"][name]["pid_per_kg"] for d in ("", "144h")]
        assert truth[1] / truth[0] == pytest.approx(kept, rel=1e-6)
        for found, true in zip((early, late), truth, strict=True):
            assert found.value == pytest.approx(true, rel=0.06)
        ratio = retention(
            early.value, late.value, early_se=early.uncertainty, late_se=late.uncertainty
        )
        # Masks of whole voxels of 4 mm, drawn anew on a patient who lies differently.
        assert float(ratio.value) == pytest.approx(kept, rel=0.05)
        assert abs(float(ratio.value) - kept) < 2 * float(ratio.standard_error)


def test_blood_is_taken_off(seen: dict[str, dict[str, Any]]) -> None:
    for day in seen.values():
        raw, less = (number(day, "lesion-3", s) for s in ("mean", "mean_without_blood"))
        blood = next(r for r in day["regions"] if r.anatomy == "blood")
        pool = blood.measurement("pid_per_kg", "mean", "pet")
        assert less.value == pytest.approx(raw.value - 0.05 * pool.value, rel=1e-6)
        assert math.isfinite(less.uncertainty)
        assert np.sign(raw.value - less.value) == 1
