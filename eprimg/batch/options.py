"""How a batch is run: where, how many at a time, with which limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from eprimg.batch.orders import MEASURE
from eprimg.errors import ConfigError

__all__ = ["EngineOptions", "SchedulerAddress", "SlurmJob", "parse_shard"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class SchedulerAddress:
    """A Dask scheduler that somebody else has started.

    Parameters
    ----------
    address : str
        E.g. ``tls://node1:8786``.
    ca, cert, key : Path, optional
        Certificate of the authority, own certificate and own key (PEM) for ``tls://``.
    insecure : bool
        Allow an address without TLS beyond this machine.
    """

    address: str
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.address if "://" in self.address else f"tcp://{self.address}")
        if parts.scheme not in ("tcp", "tls") or not parts.hostname:
            raise ConfigError(
                "a scheduler address is tls://HOST:PORT or tcp://HOST:PORT",
                code="E_BATCH_SCHEDULER",
                where="--scheduler",
                value=self.address,
            )
        if parts.scheme == "tcp" and parts.hostname not in _LOOPBACK and not self.insecure:
            raise ConfigError(
                "an address without TLS lets everybody on the network run programs in your name",
                code="E_BATCH_INSECURE",
                where="--scheduler",
                value=self.address,
                action="use tls:// with --tls-ca, --tls-cert and --tls-key; in a closed network "
                "--insecure-scheduler allows it",
            )
        missing = [f"--tls-{name}" for name in ("ca", "cert", "key") if getattr(self, name) is None]
        if parts.scheme == "tls" and missing:
            raise ConfigError(
                f"a tls:// address needs {', '.join(missing)}",
                code="E_BATCH_SCHEDULER",
                where="--scheduler",
                value=self.address,
            )


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """What is asked of SLURM; one job holds one worker.

    Parameters
    ----------
    jobs : int
        Number of jobs.
    memory_gb : float
        Memory of a job.
    walltime_min : int
        Time limit of a job in minutes.
    partition, account : str
        As SLURM knows them; empty leaves the choice to SLURM.
    """

    jobs: int = 4
    memory_gb: float = 4.0
    walltime_min: int = 240
    partition: str = ""
    account: str = ""

    def __post_init__(self) -> None:
        if self.jobs < 1 or not self.memory_gb > 0 or self.walltime_min <= 10:
            raise ConfigError(
                "SLURM needs at least one job, some memory and more than 10 minutes",
                code="E_ARGUMENT",
                where="--slurm",
                value=(self.jobs, self.memory_gb, self.walltime_min),
            )


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a batch is run.

    Parameters
    ----------
    workers : int
        Studies at a time on this machine; 0 runs one after the other without Dask.
    budget_mb : float
        Memory that all studies on one machine may use together; 0 takes most of it.
    time_limit_s : float
        A study that takes longer is ended and counts as failed.
    retry_failed : bool
        Try failed studies again.
    shard : tuple of (int, int), optional
        Number and count of the shard.
    scheduler : SchedulerAddress, optional
        Use this cluster.
    slurm : SlurmJob, optional
        Ask SLURM for workers.
    summary_every : int
        Write the summary after this many studies; 0 only at the end.
    dashboard : bool
        Show Dask's own page on this machine.
    work : str
        See `eprimg.batch.orders.StudyOrder`.
    """

    workers: int = 1
    budget_mb: float = 0.0
    time_limit_s: float = 3600.0
    retry_failed: bool = False
    shard: tuple[int, int] | None = None
    scheduler: SchedulerAddress | None = None
    slurm: SlurmJob | None = None
    summary_every: int = 50
    dashboard: bool = False
    work: str = MEASURE

    def __post_init__(self) -> None:
        wrong = [
            words
            for words, bad in (
                ("--workers is 0 or more", self.workers < 0),
                ("--memory is above zero", self.budget_mb < 0),
                ("--time-limit is above zero", not self.time_limit_s > 0),
                ("--summary-every is 0 or more", self.summary_every < 0),
                ("--scheduler and --slurm exclude each other", bool(self.scheduler and self.slurm)),
            )
            if bad
        ]
        if wrong:
            raise ConfigError("; ".join(wrong), code="E_ARGUMENT")


def parse_shard(text: str) -> tuple[int, int] | None:
    """Read ``i/n``.

    Parameters
    ----------
    text : str
        E.g. ``3/8``; empty for a batch without shards.

    Returns
    -------
    tuple of (int, int) or None
        Number, from 1, and count.

    Raises
    ------
    ConfigError
        ``E_ARGUMENT``.
    """
    if not text:
        return None
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ConfigError(
            "a shard is given as number/count",
            code="E_ARGUMENT",
            where="--shard",
            value=text,
            action="e.g. --shard 1/8 to --shard 8/8",
        )
    return int(number), int(count)
