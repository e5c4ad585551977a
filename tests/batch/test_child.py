"""The child's own part: who may be its parent, what counts as a lack of memory."""

from __future__ import annotations

import os
import subprocess
import sys

from eprimg.batch.child import caused_by_memory


def test_a_lack_of_memory_is_seen_through_other_errors() -> None:
    direct, hidden = ValueError("damaged header"), KeyError("x")
    direct.__cause__ = MemoryError()
    hidden.__context__ = MemoryError()  # raised while the other was being handled
    assert caused_by_memory(direct)
    assert caused_by_memory(hidden)
    assert caused_by_memory(RuntimeError("itk: Failed to allocate memory for image."))
    assert not caused_by_memory(RuntimeError("the memory of this map"))
    loop = ValueError("a")
    loop.__cause__ = loop
    assert not caused_by_memory(loop)


def test_a_child_of_nobody_ends_before_it_reads_anything() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eprimg.batch.child", str(os.getppid())],
        input=b"anything",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")


def test_starting_a_child_imports_nothing_heavy() -> None:
    script = (
        "import sys, eprimg.batch.child, eprimg.batch.task, eprimg.batch.feeding; "
        "heavy = {'numba', 'SimpleITK', 'matplotlib', 'scipy', 'distributed', 'rich', 'typer'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
