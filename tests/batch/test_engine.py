"""A batch from list to exit code: resume, retry, shards, and what is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from eprimg.batch.engine import BatchEnd
from eprimg.config import Config
from eprimg.errors import ConfigError, OutputError
from eprimg.io.batch_inputs import list_studies
from eprimg.io.batch_lock import OutputLock
from eprimg.io.batch_records import read_record, read_records
from tests.batch.conftest import Heard
from tests.batch.fake_studies import ROOT, let_all_end, make_studies, make_two_quick_ones
from tests.quick import PROFILE

Run = Callable[..., tuple[BatchEnd, Heard]]


def _starts(tmp_path: Path) -> int:
    return sum(len(p.read_text()) for p in (tmp_path / "starts").iterdir())


@pytest.mark.parametrize(
    ("counts", "fields", "code"),
    [
        ({"ok": 2, "refused": 0, "failed": 0, "waiting": 0}, {}, 0),
        ({"ok": 2, "refused": 1, "failed": 0, "waiting": 0}, {}, 8),
        ({"ok": 2, "refused": 1, "failed": 1, "waiting": 0}, {}, 9),
        ({"ok": 2, "refused": 1, "failed": 1, "waiting": 1}, {}, 10),
        ({"ok": 2, "refused": 0, "failed": 0, "waiting": 1}, {"interrupted": True}, 130),
        ({"ok": 2, "refused": 0, "failed": 0, "waiting": 0}, {"lost": OSError()}, 10),
    ],
)
def test_exit_codes(counts: dict[str, int], fields: dict[str, object], code: int) -> None:
    assert BatchEnd(counts, **fields).exit_code == code  # type: ignore[arg-type]


def test_rerun_does_only_what_is_needed(run_fakes: Run, tmp_path: Path) -> None:
    root = make_studies(tmp_path / "root", a="ok 1", b="refuse", c="fault x")
    end, heard = run_fakes(root)
    assert (dict(end.counts), end.exit_code) == (
        {"ok": 1, "refused": 1, "failed": 1, "waiting": 0},
        9,
    )
    assert (heard.total, len(heard.outcomes), _starts(tmp_path)) == (3, 3, 3)
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} >= {
        "batch.json",
        "settings.toml",
        "sources.csv",
        "cohort.csv",
        "index.html",
    }
    assert list((out / "locks").glob("*.json")) == list((out / "locks").glob("stop-*")) == []

    end, heard = run_fakes(root)
    assert (end.n_run, end.exit_code, sorted(heard.kept)) == (0, 9, ["failed", "ok", "refused"])
    assert _starts(tmp_path) == 3

    (root / "c" / "do").write_text("ok 2", encoding="utf-8")  # mended
    end, _ = run_fakes(root)
    assert (end.n_run, end.exit_code) == (1, 8)
    (root / "b" / "do").write_text("fault y", encoding="utf-8")
    assert run_fakes(root)[0].exit_code == 9
    end, _ = run_fakes(root, retry_failed=True)
    assert (end.n_run, _starts(tmp_path)) == (1, 6)
    key = next(t.key for t in list_studies(root).value if t.path.name == "b")
    record = read_record(out, key)
    assert record is not None
    assert record.attempts == 3


def test_other_settings_do_everything_again_and_say_so(run_fakes: Run, tmp_path: Path) -> None:
    root = make_studies(tmp_path / "root", a="ok 1")
    assert run_fakes(root)[1].said == []
    end, heard = run_fakes(root, Config().with_assignments(["measure.tail_quantile=0.8"]))
    assert end.n_run == 1
    assert "settings" in heard.said[0]
    head = json.loads((tmp_path / "out" / "batch.json").read_text(encoding="utf-8"))
    assert {"format", "version", "config_hash", "created"} <= set(head)


def test_a_changed_registration_profile_does_everything_again(
    run_fakes: Run, tmp_path: Path
) -> None:
    root = make_studies(tmp_path / "root", a="ok 1")
    own = tmp_path / "own.toml"
    text = PROFILE.read_text(encoding="utf-8")
    config = Config().with_settings({"register": {"profile": str(own)}})
    with pytest.raises(ConfigError, match="own.toml"):  # before anything runs
        run_fakes(root, config)
    own.write_text(text, encoding="utf-8")
    assert [run_fakes(root, config)[0].n_run for _ in range(2)] == [1, 0]
    own.write_text(text.replace("histogram_bins = 32", "histogram_bins = 40"), encoding="utf-8")
    assert run_fakes(root, config)[0].n_run == 1
    assert _starts(tmp_path) == 2


def test_number_of_threads_is_no_setting_of_a_batch(run_fakes: Run, tmp_path: Path) -> None:
    root = make_studies(tmp_path / "root", a="ok 1")
    run_fakes(root)
    end, _ = run_fakes(root, Config().with_assignments(["threads=7"]))
    assert end.n_run == 0


def test_a_manifest_with_a_wrong_setting_is_refused_before_anything_runs(
    run_fakes: Run, tmp_path: Path
) -> None:
    make_studies(tmp_path / "root", a="ok 1")
    with pytest.raises(ConfigError, match="metod"):
        run_fakes(tmp_path / "root", Config().with_assignments(["r2star.metod=x"]))


def test_shards_do_every_study_once(run_fakes: Run, tmp_path: Path) -> None:
    root = make_studies(tmp_path / "root", **{f"s{n}": f"ok {n}" for n in range(7)})
    ran = [run_fakes(root, shard=(n, 3))[0].n_run for n in (1, 2, 3)]
    assert sum(ran) == 7
    assert _starts(tmp_path) == 7
    assert run_fakes(root)[0].counts["ok"] == 7


def test_a_second_batch_on_the_folder_is_refused(run_fakes: Run, tmp_path: Path) -> None:
    root = make_studies(tmp_path / "root", a="ok 1")
    with OutputLock(tmp_path / "out"), pytest.raises(OutputError, match="E_BATCH_LOCKED"):
        run_fakes(root)
    assert run_fakes(root)[0].exit_code == 0


def test_a_full_disk_stops_the_batch_and_the_rerun_goes_on(run_fakes: Run, tmp_path: Path) -> None:
    root = make_studies(tmp_path / "root", a="disk", b="disk", c="disk")
    with pytest.raises(OutputError, match="resume") as caught:
        run_fakes(root)
    assert caught.value.code == "E_DISK"
    assert _starts(tmp_path) == 1  # the others would only have failed as well
    for name in "abc":
        (root / name / "do").write_text("ok 1", encoding="utf-8")
    assert run_fakes(root)[0].exit_code == 0


def test_cluster_of_this_machine_with_dying_workers(run_fakes: Run, tmp_path: Path) -> None:
    deeds = {f"s{n}": f"sleep 0.{n}" for n in range(4)}
    root = make_studies(tmp_path / "root", **deeds, bad="refuse", evil="poison")
    end, heard = run_fakes(root, workers=2)
    assert dict(end.counts) == {"ok": 4, "refused": 1, "failed": 1, "waiting": 0}
    by_name = {t.path.name: t.key for t in list_studies(root).value}
    assert heard.outcomes[by_name["evil"]].code == "E_BATCH_POISON"
    record = read_record(tmp_path / "out", by_name["evil"])
    assert record is not None
    assert record.code == "E_BATCH_POISON"
    # three deaths, and three more when it was tried again at the end
    assert len((tmp_path / "starts" / by_name["evil"]).read_text()) == 6


@pytest.fixture
def program(own_places: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start programs of this folder; end them after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _wait_for_records(out: Path, number: int, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while len(list((out / "records").glob("*.json"))) < number:
        assert time.monotonic() < deadline, "no record in time"
        time.sleep(0.05)


def _no_children_of(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_client_leaves_nothing_half_done(
    program: Callable[..., subprocess.Popen[str]], run_fakes: Run, tmp_path: Path, workers: int
) -> None:
    root = make_two_quick_ones(tmp_path / "root")
    out = tmp_path / "out"
    client = program("-m", "tests.batch.run_fakes", root, out, workers)
    _wait_for_records(out, 2)
    family = psutil.Process(client.pid).children(recursive=True)
    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    _no_children_of(family)
    before = read_records(out)
    assert before.findings == ()
    assert len(before.value) == 2
    done = {p.name for p in (out / "studies").iterdir() if not p.name.startswith(".")}
    assert {r.key for r in before.value} <= done
    let_all_end(root)
    end, heard = run_fakes(root)
    assert (end.exit_code, end.n_run, heard.kept) == (0, 2, ["ok", "ok"])
    assert [p.name for p in (out / "studies").iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_finishes_what_runs_and_a_second_one_does_not(
    program: Callable[..., subprocess.Popen[str]], tmp_path: Path, workers: int
) -> None:
    root = make_studies(tmp_path / "root", **{f"s{n}": "sleep 0.4" for n in range(9)})
    out = tmp_path / "out"
    client = program("-m", "tests.batch.run_fakes", root, out, workers)
    _wait_for_records(out, 1)
    os.killpg(client.pid, signal.SIGINT)  # as a terminal does: the whole group
    printed, _ = client.communicate(timeout=120)
    assert client.returncode == 130, printed
    assert "stopping" in printed
    assert "Traceback" not in printed
    starts = sorted(p.name for p in (tmp_path / "starts").iterdir())
    assert sorted(r.key for r in read_records(out).value) == starts
    assert len(starts) < 9
    assert (out / "cohort.csv").is_file()

    for folder in root.iterdir():
        (folder / "do").write_text("sleep 50", encoding="utf-8")
    client = program("-m", "tests.batch.run_fakes", root, out, workers)
    deadline = time.monotonic() + 120
    while _starts(tmp_path) == len(starts):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = psutil.Process(client.pid).children(recursive=True)
    os.killpg(client.pid, signal.SIGINT)
    while not list((out / "locks").glob("stop-*")):  # the first one was heard
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(client.pid, signal.SIGINT)
    printed, _ = client.communicate(timeout=120)
    assert client.returncode == 130, printed
    assert "Traceback" not in printed
    _no_children_of(family)
