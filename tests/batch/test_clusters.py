"""A running cluster with TLS, and a scheduler that dies; SLURM where it is not."""

from __future__ import annotations

import datetime
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.comm import CommClosedError

from eprimg.batch import feeding
from eprimg.batch.clusters import connected
from eprimg.batch.engine import BatchEnd
from eprimg.batch.feeding import Stop
from eprimg.batch.options import EngineOptions, SchedulerAddress, SlurmJob
from eprimg.errors import EngineError, EngineUnavailable
from eprimg.io.batch_records import read_records
from tests.batch.conftest import Heard
from tests.batch.fake_studies import ROOT, let_all_end, make_two_quick_ones


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert, private


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _program(*words: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_cluster_with_tls_serves_its_own_and_its_death_is_told(
    run_fakes: Callable[..., tuple[BatchEnd, Heard]], tmp_path: Path
) -> None:
    cert, key = _certificate(tmp_path)
    address = f"tls://127.0.0.1:{_free_port()}"
    tls = ("--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key)
    port = address.rpartition(":")[2]
    scheduler_words = ("--host", "tls://127.0.0.1", "--port", port, "--no-dashboard")
    root = make_two_quick_ones(tmp_path / "root")
    out = tmp_path / "out"
    with (
        _program("-m", "distributed.cli.dask_scheduler", *scheduler_words, *tls) as scheduler,
        _program(
            *("-m", "distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard"),
            *("--death-timeout", 30, *tls),
        ),
        _program("-m", "tests.batch.run_fakes", root, out, 0, address, cert, cert, key) as run,
    ):
        deadline = time.monotonic() + 120
        while len(list((out / "records").glob("*.json"))) < 2:
            assert time.monotonic() < deadline
            assert run.poll() is None, run.communicate()[0]
            time.sleep(0.05)
        stranger = SchedulerAddress(address, *_strangers(tmp_path))
        with (
            pytest.raises(EngineError, match="E_BATCH_SCHEDULER"),
            connected(EngineOptions(scheduler=stranger), out, Stop()),
        ):
            pass
        os.kill(scheduler.pid, signal.SIGKILL)
        printed, _ = run.communicate(timeout=120)
        assert run.returncode == 10, printed
        assert "Traceback" not in printed, printed
    assert len(read_records(out).value) == 2
    let_all_end(root)
    end, heard = run_fakes(root)
    assert (end.exit_code, end.n_run, heard.kept) == (0, 2, ["ok", "ok"])


def test_an_outcome_whose_way_was_cut_off_comes_all_the_same(
    run_fakes: Callable[..., tuple[BatchEnd, Heard]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, cut = Client._gather_remote, []

    async def first_cut_off(self: Client, direct: bool, local_worker: bool) -> dict[str, Any]:
        answer = await whole(self, direct, local_worker)
        if not cut:
            cut.append(answer["status"])
            raise CommClosedError("in <TLS (closed)>: Stream is closed")
        return answer

    monkeypatch.setattr(Client, "_gather_remote", first_cut_off)
    monkeypatch.setattr(feeding, "_UNTOLD_S", 0.3)
    root = make_two_quick_ones(tmp_path / "root")
    let_all_end(root)
    end, heard = run_fakes(root, workers=1)
    assert cut == ["OK"]
    assert (end.exit_code, end.n_run, len(heard.outcomes)) == (0, 4, 4)


def test_what_dask_and_its_loop_log_of_a_lost_connection_is_not_shown(tmp_path: Path) -> None:
    loggers = [logging.getLogger(n) for n in ("tornado.application", "distributed.client")]
    for logger in loggers:
        logger.setLevel(logging.ERROR)  # as Dask sets them when it is imported
    with connected(EngineOptions(workers=1), tmp_path, Stop()):
        assert not any(logger.isEnabledFor(logging.ERROR) for logger in loggers)


def _strangers(folder: Path) -> tuple[Path, Path, Path]:
    other = folder / "other"
    other.mkdir()
    cert, key = _certificate(other)
    return cert, cert, key


def test_missing_package_for_slurm_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with (
        pytest.raises(EngineUnavailable, match="eprimg\\[cluster\\]"),
        connected(EngineOptions(slurm=SlurmJob()), tmp_path, Stop()),
    ):
        pass


def test_slurm_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(EngineError, match="E_BATCH_SLURM"),
        connected(EngineOptions(slurm=SlurmJob(jobs=1)), tmp_path, Stop()),
    ):
        pass


def test_slurm_script_asks_for_what_was_said(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    from eprimg.batch.clusters import slurm_cluster

    job = SlurmJob(2, 6.0, 90, "short", "lab")
    with slurm_cluster(job, tmp_path) as cluster:
        script = cluster.job_script()
    for words in ("-p short", "-A lab", "-t 01:30:00", "--mem=6G", "--lifetime 85m", "tls"):
        assert words in script
    assert "worker_setup" in script
    assert "--no-dashboard" in script


def _heard_beyond_this_machine() -> set[tuple[str, int]]:
    """Ports of this process that listen on more than the loopback."""
    import psutil

    places = (c.laddr for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN")
    return {(a.ip, a.port) for a in places if not a.ip.startswith("127.") and a.ip != "::1"}


def test_local_workers_are_heard_on_this_machine_alone(tmp_path: Path) -> None:
    before = _heard_beyond_this_machine()
    with connected(EngineOptions(workers=1), tmp_path, Stop()) as client:
        assert client.submit(os.getpid, pure=False).result(30) != os.getpid()
        assert _heard_beyond_this_machine() == before


def test_the_page_of_a_slurm_scheduler_is_not_for_the_network(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    from eprimg.batch.clusters import slurm_cluster

    with slurm_cluster(SlurmJob(1), tmp_path) as cluster:
        heard = cluster.scheduler.http_server
        places = [s.getsockname()[0] for s in heard._sockets.values()]
    assert places == ["127.0.0.1"]


def test_workers_that_die_as_they_begin_leave_a_batch_to_resume(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deadly = tmp_path / "deadly.py"
    deadly.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setattr("eprimg.batch.clusters._SETUP", str(deadly))
    with (
        pytest.raises(EngineError, match="E_BATCH_LOST"),
        connected(EngineOptions(workers=1), tmp_path, Stop()),
    ):
        pass
