"""Limits of a child, tried in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eprimg.batch import limits

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells and limits")


def _python(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_environment_has_one_thread_and_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("SOMETHING", "kept")
    environment = limits.child_environment(tmp_path)
    assert {environment[f"{n}_NUM_THREADS"] for n in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"1"}
    assert environment["TMPDIR"] == str(tmp_path)
    assert environment["SOMETHING"] == "kept"
    assert os.environ["OMP_NUM_THREADS"] == "8"


@pytest.mark.parametrize(("given", "kept"), [("65536", None), ("131072", "131072"), (None, None)])
def test_a_study_does_not_inherit_how_dask_workers_give_memory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, kept: str | None
) -> None:
    # 65536 is what Dask sets; another value is somebody's wish
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    if given is not None:
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", given)
    assert limits.child_environment(tmp_path).get("MALLOC_TRIM_THRESHOLD_") == kept


def test_dask_still_sets_the_value_that_is_taken_out() -> None:
    import dask
    import distributed  # noqa: F401 (its import fills the settings)

    environment = dask.config.get("distributed.nanny.pre-spawn-environ")
    assert str(environment["MALLOC_TRIM_THRESHOLD_"]) == limits._TRIM_OF_DASK


@linux
@pytest.mark.parametrize(("megabytes", "fits"), [(100, True), (400, False)])
def test_memory_cap(megabytes: int, fits: bool) -> None:
    script = (
        "import sys; from eprimg.batch.limits import limit_memory; "
        "limit_memory(300, final=True); bytearray(int(sys.argv[1]) << 20); print('fits')"
    )
    done = _python(script, megabytes)
    assert ("fits" in done.stdout) is fits
    assert ("MemoryError" in done.stderr) is not fits


@linux
def test_a_cap_that_is_not_final_can_be_raised_and_a_final_one_not() -> None:
    script = (
        "import resource; from eprimg.batch.limits import limit_memory; "
        "limit_memory(300, final=False); limit_memory(600, final=True); "
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20); limit_memory(900, final=True); "
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] >> 20)"
    )
    assert _python(script).stdout.split() == ["600", "600"]


def test_a_process_whose_parent_is_another_ends_at_once() -> None:
    script = (
        "import sys; from eprimg.batch.limits import die_with_parent; "
        "die_with_parent(int(sys.argv[1])); print('lives')"
    )
    assert "lives" in _python(script, os.getpid()).stdout
    orphan = _python(script, os.getppid())
    assert (orphan.returncode, orphan.stdout) == (1, "")


@linux
def test_peak_memory_is_that_of_the_process_itself() -> None:
    script = (
        "from eprimg.batch.limits import peak_memory_mb; before = peak_memory_mb(); "
        "x = b'1' * (200 << 20); del x; print(peak_memory_mb() - before)"
    )
    assert 195 <= float(_python(script).stdout) <= 300
    assert limits.peak_memory_mb({"VmHWM": "\t  2048 kB"}) == 2.0


@linux
def test_a_child_is_offered_to_the_memory_killer() -> None:
    script = (
        "from eprimg.batch.limits import offer_to_the_memory_killer; offer_to_the_memory_killer(); "
        "print(open('/proc/self/oom_score_adj').read())"
    )
    assert int(_python(script).stdout) == 500


def test_a_group_is_killed_as_a_whole() -> None:
    script = (
        "import subprocess, sys, time; "
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print(p.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    grandchild = int(process.stdout.readline())
    limits.kill_group(process)
    process.stdout.close()
    import psutil

    def gone() -> bool:
        try:  # whoever inherits it may leave it as a zombie
            return psutil.Process(grandchild).status() == "zombie"
        except psutil.NoSuchProcess:
            return True

    deadline = time.monotonic() + 60
    while not gone():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    limits.kill_group(process)  # twice does no harm
