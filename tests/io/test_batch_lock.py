from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from eprimg.errors import OutputError
from eprimg.io.batch_files import BatchPaths
from eprimg.io.batch_lock import OutputLock

ROOT = Path(__file__).resolve().parents[2]


def _start(out: Path, shard: str = "None") -> subprocess.Popen[str]:
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from eprimg.errors import OutputError
        from eprimg.io.batch_lock import OutputLock
        try:
            with OutputLock(Path({str(out)!r}), shard={shard}):
                print("held", flush=True)
                time.sleep(60)
        except OutputError as error:
            print(error.code, flush=True)
        """
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def _said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def _end(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


def test_the_lock_names_computer_and_process_and_goes(tmp_path: Path) -> None:
    path = BatchPaths(tmp_path).locks / "batch.json"
    with OutputLock(tmp_path):
        content = json.loads(path.read_text())
        assert content["pid"] == os.getpid()
        assert content["host"]
    assert not path.exists()


def test_a_second_batch_is_refused_in_words_while_the_first_lives(tmp_path: Path) -> None:
    child = _start(tmp_path)
    try:
        assert _said(child) == "held"
        with pytest.raises(OutputError) as caught, OutputLock(tmp_path):
            pass
        assert caught.value.code == "E_BATCH_LOCKED"
        assert f"process {child.pid}" in caught.value.message
        # the refused one has not touched the lock of the first
        assert json.loads((tmp_path / "locks" / "batch.json").read_text())["pid"] == child.pid
    finally:
        _end(child)
    with OutputLock(tmp_path):  # killed: nobody has removed its lock
        assert json.loads((tmp_path / "locks" / "batch.json").read_text())["pid"] == os.getpid()


def test_the_lock_goes_also_when_the_batch_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), OutputLock(tmp_path):
        raise ZeroDivisionError
    assert not (tmp_path / "locks" / "batch.json").exists()


def _change_lock(out: Path, **changes: object) -> Path:
    path = out / "locks" / "batch.json"
    with OutputLock(out):
        content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_a_number_that_was_given_to_another_process_is_taken_over(tmp_path: Path) -> None:
    _change_lock(tmp_path, start="1")
    with OutputLock(tmp_path):
        pass


def test_the_lock_of_another_computer_is_refused_and_the_way_out_is_told(tmp_path: Path) -> None:
    path = _change_lock(tmp_path, host="node-7")
    with pytest.raises(OutputError) as caught, OutputLock(tmp_path):
        pass
    assert caught.value.code == "E_BATCH_LOCKED"
    assert "node-7" in caught.value.message
    assert "remove the file" in str(caught.value.action)
    assert path.exists()
    path.unlink()
    with OutputLock(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_lock_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = _change_lock(tmp_path)
    path.write_text(text)
    with pytest.raises(OutputError, match="E_BATCH_LOCKED"), OutputLock(tmp_path):
        pass


def test_a_lock_that_somebody_else_has_taken_by_now_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "batch.json"
    with OutputLock(tmp_path):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "pid": 1}))
    assert json.loads(path.read_text())["pid"] == 1


def test_shards_of_one_count_run_together(tmp_path: Path) -> None:
    with OutputLock(tmp_path, shard=(1, 3)), OutputLock(tmp_path, shard=(2, 3)):
        names = sorted(p.name for p in (tmp_path / "locks").glob("*.json"))
    assert names == ["shard-1-of-3.json", "shard-2-of-3.json"]


@pytest.mark.parametrize("second", [None, (1, 3), (2, 4)])
def test_a_shard_keeps_out_itself_other_counts_and_the_whole(
    tmp_path: Path, second: tuple[int, int] | None
) -> None:
    with (
        OutputLock(tmp_path, shard=(1, 3)),
        pytest.raises(OutputError, match="E_BATCH_LOCKED"),
        OutputLock(tmp_path, shard=second),
    ):
        pass


def test_of_many_that_start_at_once_one_gets_the_lock_of_a_dead_batch(tmp_path: Path) -> None:
    _change_lock(tmp_path, start="1")
    children = [_start(tmp_path) for _ in range(6)]
    try:
        said = sorted(_said(child) for child in children)
    finally:
        for child in children:
            _end(child)
    assert said == ["E_BATCH_LOCKED"] * 5 + ["held"]


def test_entering_and_leaving_sweep_what_killed_processes_left(tmp_path: Path) -> None:
    from eprimg.io.batch_processes import machine_mark

    records = BatchPaths(tmp_path).records
    records.mkdir()
    (records / f".S-1.json.tmp-{machine_mark()}-4194399-00000000").write_text("x")
    with OutputLock(tmp_path):
        assert list(records.iterdir()) == []
        (records / f".S-2.json.tmp-{machine_mark()}-4194399-00000000").write_text("x")
    assert list(records.iterdir()) == []
