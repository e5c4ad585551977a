"""An output folder appears whole or not at all, and nobody else's folder is replaced."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import eprimg
from eprimg.errors import OutputError
from eprimg.io.batch_processes import machine_mark, process_start
from eprimg.io.output_folder import (
    check_target,
    is_done,
    output_path,
    sweep_folders,
    verify_folder,
    whole_folder,
)

FACTS = {"input_hash": "a", "config_hash": "b", "eprimg": eprimg.__version__}


def fill(out: Path, text: str = "x", *, overwrite: bool = False) -> None:
    with whole_folder(out, FACTS, overwrite=overwrite) as root:
        (root / "sub").mkdir()
        (root / "sub" / "f.txt").write_text(text)


def left_overs(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def test_whole_with_manifest(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    fill(out)
    manifest = verify_folder(out)
    # SHA-256 of "x", from `printf x | sha256sum`.
    expected = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert manifest["files"]["sub/f.txt"] == {"sha256": expected, "bytes": 1}
    assert manifest["input_hash"] == "a"
    assert left_overs(out.parent) == []


def test_nothing_is_left_when_the_work_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def stop_half_way() -> None:
        with whole_folder(out) as root:
            (root / "half").write_text("x")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_the_old_folder_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out)
    with pytest.raises(OutputError) as caught, whole_folder(out):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.code == "E_DISK"
    verify_folder(out)
    assert left_overs(tmp_path) == []


def test_overwrite_replaces_only_own_folders(tmp_path: Path) -> None:
    out = tmp_path / "out"
    check_target(out)
    fill(out)
    with pytest.raises(OutputError, match="already holds") as caught:
        check_target(out)
    assert caught.value.code == "E_OUTPUT_EXISTS"
    check_target(out, overwrite=True)
    fill(out, "new", overwrite=True)
    assert (out / "sub" / "f.txt").read_text() == "new"
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("do not delete")
    with pytest.raises(OutputError) as caught:
        check_target(foreign, overwrite=True)
    assert caught.value.code == "E_OUTPUT_FOREIGN"
    (foreign / "manifest.json").write_text('{"name": "web application"}')
    with pytest.raises(OutputError) as caught:
        check_target(foreign, overwrite=True)
    assert caught.value.code == "E_OUTPUT_FOREIGN"
    with pytest.raises(OutputError, match="file, not a folder"):
        check_target(foreign / "chapter.tex")


def test_a_note_that_somebody_put_into_a_result_is_never_lost(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out)
    (out / "sub" / "note.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="did not write") as caught:
            check_target(out, overwrite=not resume, resume=resume)
        assert caught.value.value == ["sub/note.txt"]
    with pytest.raises(OutputError):
        fill(out, "new", overwrite=True)
    assert (out / "sub" / "note.txt").read_text() == "mine"


def test_the_input_is_never_inside_the_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out)
    for source in (out, out / "sub"):
        with pytest.raises(OutputError) as caught:
            check_target(out, overwrite=True, source=source)
        assert caught.value.code == "E_OUTPUT_INPUT"
    check_target(tmp_path / "in" / "results", source=tmp_path / "in")


def test_a_folder_that_appeared_in_the_meantime_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def race() -> None:
        with whole_folder(out) as root:
            (root / "f").write_text("second")
            fill(out, "first")

    with pytest.raises(OutputError) as caught:
        race()
    assert caught.value.code == "E_OUTPUT_EXISTS"
    assert (out / "sub" / "f.txt").read_text() == "first"
    assert left_overs(tmp_path) == []


def test_a_result_that_a_killed_run_had_set_aside_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out)
    out.rename(tmp_path / f".out.old-{machine_mark()}-4194399-1-00000000")
    with pytest.raises(RuntimeError):
        _fail(out)
    verify_folder(out)
    assert left_overs(tmp_path) == []


def _fail(out: Path) -> None:
    with whole_folder(out):
        raise RuntimeError("stop")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused_early(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(OutputError) as caught:
        check_target(closed / "out")
    assert caught.value.code == "E_OUTPUT_UNWRITABLE"


def test_a_place_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        check_target(tmp_path / "file" / "out")
    assert caught.value.code == "E_OUTPUT_UNWRITABLE"
    with pytest.raises(OutputError) as caught, whole_folder(tmp_path / "file" / "out"):
        pass
    assert caught.value.code == "E_OUTPUT_UNWRITABLE"


def test_done_means_same_input_settings_version_and_hashes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not is_done(out, "a", "b")
    fill(out)
    assert is_done(out, "a", "b")
    with pytest.raises(OutputError, match="another input"):
        is_done(out, "a", "other")
    (out / "sub" / "f.txt").write_text("changed")
    assert not is_done(out, "a", "b")
    with pytest.raises(OutputError) as caught:
        verify_folder(out)
    assert caught.value.value == ["sub/f.txt"]
    (out / "manifest.json").write_text("{")
    with pytest.raises(OutputError) as caught:
        verify_folder(out)
    assert caught.value.code == "E_OUTPUT_DAMAGED"


def test_what_a_dead_run_left_is_swept(tmp_path: Path) -> None:
    here, parent = machine_mark(), os.getppid()
    dead = f".out.partial-{here}-4194399-1-00000000"
    reused = f".out.partial-{here}-{parent}-1-00000000"  # its number went to another process
    living = f".out.partial-{here}-{parent}-{process_start(parent)}-00000000"
    for name in (dead, reused, living):
        (tmp_path / name).mkdir()
    fill(tmp_path / "out")
    assert left_overs(tmp_path) == [living]


def test_what_another_computer_writes_is_left_for_a_day(tmp_path: Path) -> None:
    # nodes of a cluster share the folder; the same process number means another process there
    there = tmp_path / ".out.partial-ffffffff-4194399-1-00000000"
    there.mkdir()
    stranger = tmp_path / ".other.partial-1"
    stranger.mkdir()
    fill(tmp_path / "out")
    assert sweep_folders(tmp_path) == 0
    two_days_ago = there.stat().st_mtime - 2 * 24 * 3600
    os.utime(there, (two_days_ago, two_days_ago))
    assert sweep_folders(tmp_path, "another") == 0
    assert sweep_folders(tmp_path) == 1
    assert left_overs(tmp_path) == [stranger.name]
    assert sweep_folders(tmp_path / "nowhere") == 0


def test_paths_come_from_the_resource() -> None:
    assert output_path(Path("o"), "registered_map", key="suvbw") == Path("o/maps/suvbw.nii.gz")
    assert output_path(Path("o"), "lesions") == Path("o/lesions.csv")
