"""What workers share is made by one of them, whole or not at all."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.made_once import keep, kept, made_once


@pytest.mark.skipif(sys.platform == "win32", reason="there tests are run one at a time")
def test_who_comes_first_makes_it_and_the_others_wait(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        time.sleep(0.05)
        (folder / "file").write_text("whole")

    def ask(_: int) -> str:  # each one opens the lock anew, as a process would
        return (made_once(tmp_path, "thing", make) / "file").read_text()

    with ThreadPoolExecutor(4) as workers:
        assert list(workers.map(ask, range(4))) == ["whole"] * 4
    assert len(made) == 1


def test_what_fails_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        made_once(tmp_path, "thing", fail)
    assert not (tmp_path / "thing").exists()
    folder = made_once(tmp_path, "thing", lambda folder: (folder / "all").write_text("all"))
    assert [path.name for path in folder.iterdir()] == ["all"]


def test_arrays_come_back_the_same_and_read_only(tmp_path: Path) -> None:
    shared = np.arange(6.0).reshape(2, 3)
    keep({"one": shared, "other": shared, "mask": np.array([True, False])}, tmp_path)
    back = kept(tmp_path)
    assert back["one"] is back["other"]
    assert np.array_equal(back["one"], shared)
    assert back["mask"].tolist() == [True, False]
    assert not back["one"].flags.writeable
    assert not back["mask"].flags.writeable
