"""A program in a child process: every way of ending is told, and nothing outlives the call."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from eprimg.engines.child_process import run_child
from eprimg.errors import Cancelled, EngineError, EngineUnavailable, EprimgError

posix = pytest.mark.skipif(os.name != "posix", reason="signals and sessions of POSIX")


def python(script, folder, **changes):
    options = {"time_limit_s": 20.0, "memory_limit_mb": 400.0, "where": "test engine"}
    # -S: the tests need no installed package, and starting is quick
    command = [sys.executable, "-S", "-c", script]
    return run_child(command, folder=folder, **{**options, **changes})


def failed(code, script, folder, **changes):
    with pytest.raises(EprimgError) as caught:
        python(script, folder, **changes)
    assert caught.value.code == code
    assert caught.value.where == "test engine"
    return caught.value


def gone(pid):
    """Tell whether a process is gone (or only waits to be collected by the system)."""
    for _ in range(100):
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
            if text.rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
        time.sleep(0.02)
    return False


def test_a_program_that_does_its_work(tmp_path):
    script = (
        "import os, pathlib, sys\n"
        "pathlib.Path('made.txt').write_text(os.environ['TMPDIR'] + ' ' + os.environ['ASKED'])\n"
        "print('one'); print('two at', os.getcwd(), file=sys.stderr)"
    )
    done = python(script, tmp_path, environment={"ASKED": "yes"})
    assert (tmp_path / "made.txt").read_text() == f"{tmp_path} yes"
    assert set(done.last_lines) == {"one", "two at FOLDER"}
    assert 0 < done.seconds < 20
    assert "ASKED" not in os.environ


def test_only_the_end_of_much_output_is_kept(tmp_path):
    done = python(r"print('\x1b[31mx' * 90_000); [print('line', n) for n in range(9999)]", tmp_path)
    assert done.last_lines == tuple(f"line {n}" for n in range(9979, 9999))


def test_failure_is_told_with_the_last_lines(tmp_path):
    error = failed("E_ENGINE_EXIT", "raise ValueError('no weights here')", tmp_path)
    assert isinstance(error, EngineError)
    assert "status 1" in error.message
    assert "no weights here" in error.message


@posix
def test_a_crash_leaves_the_session_alive(tmp_path):
    error = failed("E_ENGINE_CRASH", "import os; os.kill(os.getpid(), 11)", tmp_path)
    assert "SIGSEGV" in error.message


def test_a_program_that_is_not_there(tmp_path):
    for name in (str(tmp_path / "nobody"), "eprimg-no-such-program"):
        with pytest.raises(EngineUnavailable) as caught:
            run_child([name], folder=tmp_path, time_limit_s=9, memory_limit_mb=99, where="here")
        assert caught.value.code == "E_ENGINE_START"
        assert "No such file" in caught.value.message
    with pytest.raises(EngineUnavailable):
        python("pass", tmp_path / "no folder")


@posix
@pytest.mark.parametrize("session", [False, True])
def test_time_is_up_and_nothing_stays_behind(tmp_path, session):
    """Also a grandchild that left the session, as daemons do, is ended."""
    script = (
        "import pathlib, subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'],"
        f" start_new_session={session})\n"
        "pathlib.Path('pid').write_text(str(p.pid)); time.sleep(60)"
    )
    error = failed("E_ENGINE_TIME", script, tmp_path, time_limit_s=0.6)
    assert "0.6 s" in error.message
    assert gone(int((tmp_path / "pid").read_text()))


@posix
def test_what_a_good_program_leaves_running_is_ended_too(tmp_path):
    script = (
        "import pathlib, subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('pid').write_text(str(p.pid))"
    )
    done = python(script, tmp_path)
    assert done.seconds < 15  # the grandchild holds the pipe open for a minute
    assert gone(int((tmp_path / "pid").read_text()))


def test_memory_of_the_whole_family_counts(tmp_path):
    """Two processes of 60 MB each are within a limit of 100 MB alone, but not together."""
    hold = "import time; a = b'x' * (60 << 20); time.sleep(30)"
    script = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-S', '-c', {hold!r}])\n"
        f"{hold}"
    )
    error = failed("E_ENGINE_MEMORY", script, tmp_path, memory_limit_mb=100)
    assert "100 MB" in error.message
    peak = float(error.message.partition("seen: ")[2].split()[0])
    assert 100 < peak < 400


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts on Linux")
def test_a_burst_between_two_looks_is_refused_by_the_system(tmp_path):
    error = failed("E_ENGINE_MEMORY", "a = bytearray(9 << 30)", tmp_path, memory_limit_mb=50)
    assert "MemoryError" in error.message


def test_a_person_stops_it(tmp_path):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 3

    begin = time.monotonic()
    with pytest.raises(Cancelled) as caught:
        python("import time; time.sleep(60)", tmp_path, should_stop=stop)
    assert caught.value.where == "test engine"
    assert len(asked) == 4
    assert time.monotonic() - begin < 15


@posix
def test_an_interrupt_ends_the_child(tmp_path):
    script = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); "

    def interrupt():
        if (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        python(script + "time.sleep(60)", tmp_path, should_stop=interrupt)
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_limits_are_numbers(tmp_path, limit):
    for name in ("time_limit_s", "memory_limit_mb"):
        with pytest.raises(EprimgError) as caught:
            python("pass", tmp_path, **{name: limit})
        assert caught.value.code == "E_ARGUMENT"
