"""A SLURM of one node, in namespaces of its own, so that nothing outside of them is touched.

``python -m tests.soak.slurm_node COMMAND ...`` starts munged, slurmctld and slurmd (Debian packages
munge, slurmctld, slurmd, slurm-client), runs the command, and takes everything down again.  The
network namespace has nothing but a loopback with a second address: a node name that leads to
127.0.0.1 is not taken by the name look-up of Dask and SLURM.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PROGRAMS = ("unshare", "ip", "munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "iproute2")
NODE, ADDRESS = "soaknode", "10.99.0.1"

_CONFIG = """\
ClusterName=soak
SlurmctldHost={node}({address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=2
NodeName={node} NodeAddr={address} CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=soak Nodes={node} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def why_not() -> str | None:
    """Tell why no SLURM can be run here, or None when it can."""
    missing = [p for p in PROGRAMS if _program(p) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian packages: {' '.join(PACKAGES)})"
    if os.geteuid() != 0:
        return "slurmd has to be started by root"
    probe = [*_UNSHARE, "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "namespaces cannot be made here (unshare is not allowed)"
    return None


def install() -> None:
    """Install the Debian packages where that is possible; `why_not` says what is absent then."""
    if all(_program(p) for p in PROGRAMS):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        # A machine without a network says so through `why_not`, which judges what is there.
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def inside(command: list[str]) -> list[str]:
    """Return the command line that runs a command on the node."""
    return [*_UNSHARE, sys.executable, "-m", "tests.soak.slurm_node", *command]


_UNSHARE = [
    *("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child"),
    "--mount-proc",
]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def _wait(what: str, ready: object, seconds: float = 30.0) -> None:
    assert callable(ready)
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} is not ready after {seconds:.0f} s")
        time.sleep(0.1)


def _network(root: Path) -> None:
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo")
    _run("hostname", NODE)
    hosts = root / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {NODE}\n", encoding="ascii")
    _run("mount", "--bind", str(hosts), "/etc/hosts")  # in this mount namespace only


@contextmanager
def node(root: Path) -> Iterator[None]:
    """Run a SLURM node below a folder; the process must already be in namespaces of its own.

    Parameters
    ----------
    root : Path
        Folder for keys, state and logs.
    """
    _network(root)
    (root / "state").mkdir()
    (root / "spool").mkdir()
    key = root / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    config = root / "slurm.conf"
    config.write_text(
        _CONFIG.format(
            node=NODE,
            address=ADDRESS,
            root=root,
            cpus=os.cpu_count() or 1,
            memory_mb=int(psutil.virtual_memory().total / 2**20),
        ),
        encoding="ascii",
    )
    os.environ["SLURM_CONF"] = str(config)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    files = [f"--{name}-file={root}/munge.{name}" for name in ("key", "log", "pid", "seed")]
    daemons = []
    try:
        munged = ["munged", "--foreground", "--force", f"--socket={root}/munge.socket", *files]
        with (root / "munged.out").open("wb") as out:
            daemons.append(subprocess.Popen(munged, stdout=out, stderr=out))
        _wait("munged", (root / "munge.socket").exists)
        for program, log in (("slurmctld", "ctl.out"), ("slurmd", "d.out")):
            with (root / log).open("wb") as out:
                arguments = [program, "-D"] + (["-N", NODE] if program == "slurmd" else [])
                daemons.append(subprocess.Popen(arguments, stdout=out, stderr=out))
        _wait("the node", _idle)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in reversed(daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _idle() -> bool:
    done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
    return done.stdout.strip() in ("idle", "mixed", "allocated")


def jobs() -> list[tuple[int, str]]:
    """Return number and state of every job."""
    rows = _run("squeue", "-h", "-o", "%A %T").splitlines()
    return [(int(number), state) for number, state in (row.split() for row in rows)]


def main() -> int:
    """Run the command line behind the module's name on a node of its own."""
    root = Path(tempfile.mkdtemp(prefix="soak-slurm-"))
    root.chmod(0o755)  # munged refuses a socket in a folder that others cannot reach
    try:
        with node(root):
            return subprocess.run(sys.argv[1:], check=False).returncode
    except TimeoutError as error:
        print(error)
        for log in sorted(root.glob("*.log")) + sorted(root.glob("*.out")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
        return 99
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
