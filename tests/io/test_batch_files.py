from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from eprimg.errors import ConfigError, OutputError
from eprimg.io import batch_files
from eprimg.io.batch_files import BatchPaths, check_key, sweep_leftovers, whole_file, write_whole
from eprimg.io.batch_processes import machine_mark

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "x.json"
    write_whole(target, "Größe\n")
    assert target.read_bytes() == "Größe\n".encode()
    assert [p.name for p in target.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "E_DISK"), (errno.EDQUOT, "E_DISK"), (errno.EROFS, "E_OUTPUT_UNWRITABLE")],
)
@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, call: str
) -> None:
    target = tmp_path / "cohort.csv"
    write_whole(target, "old")

    def full(*args: object) -> int:
        raise OSError(number, os.strerror(number))

    def write_into_the_full() -> None:
        with whole_file(target) as file:
            file.write(b"ne")
            full()

    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr(batch_files.os, "fsync", full)
        with pytest.raises(OutputError) as caught:
            write_whole(target, "new") if call == "fsync" else write_into_the_full()
    assert caught.value.code == code
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["cohort.csv"]


def test_an_error_of_the_writer_itself_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_whole(target, "old")

    def write_half() -> None:
        with whole_file(target) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def _killed_between_write_and_rename(target: Path) -> None:
    """Start a process that writes, waits before its rename, and is killed there."""
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from eprimg.io.batch_files import whole_file
        with whole_file(Path({str(target)!r})) as file:
            file.write(b"half")
            file.flush()
            print("written", flush=True)
            time.sleep(60)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "written"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_a_killed_writer_leaves_nothing_that_counts_and_is_swept(tmp_path: Path) -> None:
    paths = BatchPaths(tmp_path)
    target = paths.record("S-1")
    write_whole(target, "old")
    _killed_between_write_and_rename(target)
    assert target.read_text() == "old"
    assert len(list(paths.records.iterdir())) == 2
    assert sweep_leftovers(tmp_path) == 1
    assert [p.name for p in paths.records.iterdir()] == ["S-1.json"]


@pytest.mark.parametrize("place", ["out", "records", "logs", "thumbnails", "locks"])
def test_every_folder_that_files_are_written_to_is_swept(tmp_path: Path, place: str) -> None:
    folder = getattr(BatchPaths(tmp_path), place)
    folder.mkdir(exist_ok=True)
    _killed_between_write_and_rename(folder / "file")
    assert sweep_leftovers(tmp_path) == 1
    assert list(folder.iterdir()) == []


def test_the_sweep_leaves_the_living_the_others_and_the_strangers(tmp_path: Path) -> None:
    records = BatchPaths(tmp_path).records
    records.mkdir()
    mine = f".S-1.json.tmp-{machine_mark()}-{os.getpid()}-00000000"
    elsewhere = ".S-2.json.tmp-ffffffff-1-00000000"
    stranger = ".S-3.json.tmp"
    for name in (mine, elsewhere, stranger, "S-4.json"):
        (records / name).write_text("x")
    assert sweep_leftovers(tmp_path) == 0
    two_days_ago = (records / elsewhere).stat().st_mtime - 2 * 24 * 3600
    os.utime(records / elsewhere, (two_days_ago, two_days_ago))
    assert sweep_leftovers(tmp_path) == 1
    assert sorted(p.name for p in records.iterdir()) == sorted([mine, stranger, "S-4.json"])


@pytest.mark.parametrize("key", ["S-0123456789", "sub-01_ses-02", "A", "x" * 64, "7.b"])
def test_keys_that_are_file_names_everywhere(key: str) -> None:
    assert BatchPaths(Path("o")).record(key) == Path(f"o/records/{key}.json")


@pytest.mark.parametrize(
    "key", ["", ".hidden", "-x", "a/b", "..", "a\0", "x" * 65, "Müller", "a b", "=1", "a."]
)
def test_keys_that_are_not(key: str) -> None:
    with pytest.raises(ConfigError, match="E_BATCH_KEY"):
        check_key(key)
