"""Records for JSON: tiers, findings, entered facts; a pseudonym and no other identity."""

from __future__ import annotations

import json

from eprimg.config import Config
from eprimg.io.case_records import patient_record, provenance_record, registration_record
from eprimg.io.write_maps import json_text
from tests import tiny_case


def test_patient_record() -> None:
    record = json.loads(json_text(patient_record(tiny_case.case())))
    assert record["pseudonym"] == "P-1"
    assert record["tiers"][0]["label"] == "high"
    assert record["regions"][0]["tiers"][0]["probabilities"] == {"low": 0.03, "high": 0.97}
    assert record["worst_finding"] == "warning"
    assert record["entered"] == {"dose_mbq": 37.0}
    assert "not a medical device" in record["notice"]


def test_provenance_record_names_every_source() -> None:
    record = json.loads(json_text(provenance_record(tiny_case.case(), Config())))
    assert [s["series"] for s in record["sources"]] == ["mr_pre", "pet"]
    assert record["settings"]["r2star"]["method"] == "nlls"
    assert record["config_hash"] == Config().hash


def test_registration_record() -> None:
    record = registration_record(tiny_case.case().registrations[0])
    assert record["matrix_fixed_to_moving_lps_mm"][0][0] == 1.0
    assert record["qc"] == {"moved_mm": 0.0}
    assert record["file"] == "transforms/pet_to_pre.tfm"
    assert record["displacement"] is None
