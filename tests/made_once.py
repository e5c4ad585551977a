"""What takes long to make is made once for all worker processes of a run of the tests."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of this run of the tests, the same one for all workers."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(folder: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that whoever comes first makes; the others wait for it.

    What fails leaves nothing behind, and the next one tries again.  Nobody writes into it later.

    Parameters
    ----------
    folder : Path
        Where it is kept.
    name : str
        Name of the folder.
    make : callable
        Is given an empty folder to fill.
    """
    target = folder / name
    with _alone(folder / f"{name}.lock"):
        if not target.is_dir():
            unfinished = folder / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(target)
    return target


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that ends with the process; where there is none, tests run one at a time."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def keep(thing: Any, folder: Path) -> None:
    """Write records; their arrays beside them, so that they come back as read-only."""
    arrays: list[pickle.PickleBuffer] = []
    (folder / "records").write_bytes(pickle.dumps(thing, protocol=5, buffer_callback=arrays.append))
    for number, array in enumerate(arrays):
        (folder / f"{number}.array").write_bytes(array.raw())


def kept(folder: Path) -> Any:
    """Read records that `keep` wrote."""
    number = len(list(folder.glob("*.array")))
    arrays = [(folder / f"{n}.array").read_bytes() for n in range(number)]
    return pickle.loads((folder / "records").read_bytes(), buffers=arrays)
