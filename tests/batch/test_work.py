"""What a child does: the main job on a small PET study, and nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import eprimg
from eprimg.batch.orders import MEASURE, NOTHING, StudyOrder
from eprimg.batch.task import run_order
from eprimg.batch.work import do_nothing, load_work, measure_study
from eprimg.config import Config
from eprimg.io.batch_files import BatchPaths
from eprimg.io.batch_records import read_record, result_hash
from eprimg.io.batch_tasks import StudyTask


def test_work_is_found_by_its_name() -> None:
    assert load_work(MEASURE) is measure_study
    assert load_work(NOTHING) is do_nothing
    with pytest.raises(ImportError):
        load_work("eprimg.nowhere:nothing")


def test_nothing_is_done_and_recorded(order_for: Callable[..., StudyOrder]) -> None:
    order = order_for("", work=NOTHING)
    assert run_order(order).status == "ok"
    record = read_record(order.out, "S-1")
    assert record is not None
    assert record.result_hash == ""
    assert not BatchPaths(order.out).study("S-1").exists()


def test_work_that_cannot_be_found_is_a_fault_and_not_a_hang(
    order_for: Callable[..., StudyOrder],
) -> None:
    assert run_order(order_for("", work="eprimg.nowhere:nothing")).code == "E_BATCH_FAULT"


def test_the_main_job_gives_what_run_gives(phantom: Path, tmp_path: Path) -> None:
    from eprimg.pipeline import run_folder

    config = replace(Config(), threads=1)
    pet = next(d for d in (phantom / "dicom").iterdir() if len(list(d.iterdir())) == 54)
    run_folder(pet, tmp_path / "alone", config)
    task = StudyTask("S-1", pet)
    order = StudyOrder(
        task,
        tmp_path / "out",
        config,
        config_hash="c",
        version=eprimg.__version__,
        budget_mb=4000.0,
    )
    outcome = run_order(order)
    assert outcome.status == "ok", outcome
    record = read_record(order.out, "S-1")
    assert record is not None
    assert record.result_hash == result_hash(tmp_path / "alone")
    assert 100 < record.peak_memory_mb < 650
    assert BatchPaths(order.out).thumbnail("S-1").is_file()
    log = BatchPaths(order.out).log("S-1").read_text(encoding="utf-8")
    assert "quantify" in log
    assert "I_UPTAKE_TIME" in log
