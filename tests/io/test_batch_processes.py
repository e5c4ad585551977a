from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from eprimg.io import batch_processes
from eprimg.io.batch_processes import (
    own_process,
    process_lives,
    process_start,
    same_process_lives,
)


def test_this_process_lives_and_is_itself() -> None:
    assert process_lives(os.getpid())
    assert same_process_lives(own_process()) is True


def test_a_process_that_ended_does_not_live_even_before_it_is_collected() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 20
    while process_lives(child.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    # nobody has called wait(): the system still keeps its number
    assert not process_lives(child.pid)
    child.wait()
    assert process_start(child.pid) == ""


def test_a_number_given_to_another_process_is_not_the_same_process() -> None:
    assert same_process_lives({**own_process(), "start": "1"}) is False


def test_files_are_named_after_computer_and_container(monkeypatch: pytest.MonkeyPatch) -> None:
    here = batch_processes.machine_mark()
    assert re.fullmatch("[0-9a-f]{8}", here)
    monkeypatch.setattr(batch_processes, "_space", lambda: "pid:[1]")
    container = batch_processes.machine_mark()
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert len({here, container, batch_processes.machine_mark()}) == 3


def test_a_start_of_the_computer_ends_all_processes() -> None:
    assert same_process_lives({**own_process(), "boot": "an earlier one"}) is False


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"space": "pid:[1]"}])
def test_a_process_elsewhere_cannot_be_judged(other: dict[str, str]) -> None:
    assert same_process_lives({**own_process(), **other}) is None


def test_a_requeued_slurm_job_knows_that_its_first_process_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    first = {**own_process(), "host": "node-1"}
    assert same_process_lives(first) is None
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert same_process_lives(first) is False
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    assert same_process_lives(first) is None


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 12345])
def test_no_process_has_an_impossible_number(pid: int) -> None:
    assert not process_lives(pid)
