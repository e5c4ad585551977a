"""[spect] of a study file: for a silent NM header only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eprimg.errors import EprimgError, InputError
from eprimg.io.pet_entered import read_entered
from eprimg.io.spect_facts import spect_facts_refused, spect_header
from eprimg.io.study import read_study
from eprimg.io.study_file import parse_study_file
from eprimg.io.study_plan import plan_study
from tests.io.dicom_factory import write_pet
from tests.io.pet_headers import zr89


def test_the_header_is_filled_only_where_it_is_silent() -> None:
    silent = replace(zr89(), modality="NM", decay_correction="")
    faults: list[EprimgError] = []
    entered = {"decay_correction": "admin", "bq_per_ml_per_count": 2, "weight_kg": 70}
    told = spect_header(silent, entered, faults)
    assert (told.decay_correction, told.bq_per_ml_per_count, faults) == ("ADMIN", 2.0, [])
    spect_header(replace(silent, decay_correction="START"), entered, faults)
    assert [f.code for f in faults] == ["E_DECAY"]
    assert spect_header(silent, {}, []) == silent


def test_what_cannot_be_is_refused() -> None:
    _, _, faults = read_entered({"decay_correction": "maybe"})
    assert [f.code for f in faults] == ["E_ENTERED"]
    _, _, faults = read_entered({"bq_per_ml_per_count": -1.0})
    assert [f.code for f in faults] == ["E_ENTERED"]
    assert [f.code for f in spect_facts_refused({"decay_correction": "NONE"})] == ["E_ENTERED"]
    assert spect_facts_refused({"weight_kg": 70.0}) == []


def test_they_are_refused_for_pet(tmp_path: Path) -> None:
    write_pet(tmp_path)
    plan = plan_study(tmp_path, facts={"spect": {"bq_per_ml_per_count": 2.0}})
    with pytest.raises(InputError, match="for SPECT"):
        read_study(tmp_path, plan=plan)


def test_they_are_kept_in_a_section_of_their_own() -> None:
    spoken = parse_study_file({"spect": {"bq_per_ml_per_count": 2.0}, "weight_kg": 70.0})
    assert spoken.entered == {"weight_kg": 70.0, "bq_per_ml_per_count": 2.0}
    assert parse_study_file(spoken.to_content()) == spoken
    assert spoken.to_content()["spect"] == {"bq_per_ml_per_count": 2.0}
