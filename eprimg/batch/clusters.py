"""Where the workers come from: this machine, a running cluster, or SLURM."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from eprimg.batch.feeding import Stop
from eprimg.batch.options import EngineOptions, SchedulerAddress, SlurmJob
from eprimg.batch.slurm_jobs import JobKeeper
from eprimg.errors import EngineError, EngineUnavailable
from eprimg.io.batch_files import BatchPaths

__all__ = ["connected", "slurm_cluster"]

_SETTINGS = {
    # a study is blamed when its third worker dies; never 0, or a study in flight beside it is lost
    "distributed.scheduler.allowed-failures": 2,
    # what is queued stays with the scheduler, so that a dying worker takes one study along at most
    "distributed.scheduler.worker-saturation": 1.0,
    # a worker holds next to nothing: the study is in its child
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": 0.85,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.admin.tick.limit": "60s",
    # nobody looks at the profile of a worker that waits for its child, nor at its pulse of 20 ms;
    # both would take time from the studies
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.comm.timeouts.connect": "30s",
}
_SETUP = "eprimg.batch.worker_setup"
_SPARE_MIN = 5
"""A SLURM worker stops to take studies so long before its job ends."""


@contextmanager
def connected(options: EngineOptions, out: Path, stop: Stop) -> Iterator[Any]:
    """Start or join a cluster.

    Parameters
    ----------
    options : EngineOptions
        Where and how many.
    out : Path
        Output folder of the batch; SLURM's own logs go there.
    stop : Stop
        Told when SLURM's jobs do not work.

    Yields
    ------
    distributed.Client
        Its workers run orders.

    Raises
    ------
    EngineError
        ``E_BATCH_SCHEDULER``, or ``E_BATCH_SLURM`` (also when its package is missing).
    """
    dask: Any = import_module("dask")
    distributed: Any = import_module("distributed")
    _quiet()
    with dask.config.set(_SETTINGS), ExitStack() as stack:
        if options.scheduler is not None:
            client = stack.enter_context(_joined(options.scheduler))
        else:
            if options.slurm is not None:
                cluster = stack.enter_context(_jobs(options.slurm, out, stop))
            else:
                cluster = stack.enter_context(_local(options))
            client = stack.enter_context(distributed.Client(cluster))
        yield client


def _quiet() -> None:
    """Silence Dask and the loop below it: they log tracebacks; the engine says what matters."""
    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.split(".")[0] in ("asyncio", "distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    # a cluster without a way out to the internet is nothing that a person has to mend
    warnings.filterwarnings("ignore", message="Couldn't detect a suitable IP address")


def _local(options: EngineOptions) -> Any:
    distributed: Any = import_module("distributed")
    try:
        return distributed.LocalCluster(
            n_workers=options.workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0" if options.dashboard else None,
            # without a page Dask still answers a few questions over HTTP; any free port will do
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            preload=_SETUP,
        )
    except (RuntimeError, OSError, TimeoutError) as error:  # a worker was killed as it began
        raise EngineError(
            f"the workers did not start ({error})",
            code="E_BATCH_LOST",
            action="run the same command again to resume; with --workers 0 studies run one by one "
            "without Dask",
        ) from error


@contextmanager
def _joined(place: SchedulerAddress) -> Iterator[Any]:
    distributed: Any = import_module("distributed")
    security = None
    if place.ca is not None:
        security = distributed.Security(
            tls_ca_file=str(place.ca),
            tls_client_cert=str(place.cert),
            tls_client_key=str(place.key),
            require_encryption=True,
        )
    try:
        client = distributed.Client(place.address, security=security, timeout="15s")
    except Exception as error:  # OSError, ssl and comm errors of many kinds
        raise EngineError(
            f"the scheduler does not answer ({type(error).__name__})",
            code="E_BATCH_SCHEDULER",
            where="--scheduler",
            value=place.address,
            action="check the address and the certificates, and that `dask scheduler` runs there",
        ) from error
    with client:
        yield client


def slurm_cluster(job: SlurmJob, out: Path) -> Any:
    """Prepare a scheduler whose workers are SLURM jobs; none is asked for yet.

    Parameters
    ----------
    job : SlurmJob
        What each job is.
    out : Path
        Output folder of the batch, which all nodes see.

    Returns
    -------
    dask_jobqueue.SLURMCluster
        Its jobs are cancelled when it is closed.

    Raises
    ------
    EngineError
        ``E_BATCH_SLURM``.
    """
    try:
        jobqueue: Any = import_module("dask_jobqueue")
    except ImportError as error:
        raise EngineUnavailable(
            "the package dask-jobqueue is not installed",
            code="E_BATCH_SLURM",
            where="--slurm",
            action="pip install 'eprimg[cluster]'; --shard i/n in a job array needs no package",
        ) from error
    distributed: Any = import_module("distributed")
    hours, minutes = divmod(job.walltime_min, 60)
    paths = BatchPaths(out)
    for folder in (paths.locks, paths.logs):
        folder.mkdir(parents=True, exist_ok=True)
    return jobqueue.SLURMCluster(
        cores=1,
        processes=1,
        memory=f"{job.memory_gb:g}GB",
        walltime=f"{hours:02d}:{minutes:02d}:00",
        queue=job.partition or None,
        account=job.account or None,
        worker_extra_args=[
            *("--lifetime", f"{job.walltime_min - _SPARE_MIN}m"),
            *("--lifetime-stagger", "4m"),
            *("--preload", _SETUP),
            "--no-dashboard",
        ],
        # never to the network of the cluster: the page asks nobody who they are
        scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        local_directory=tempfile.gettempdir(),  # on the node; only Dask's own small files
        log_directory=str(paths.logs / "slurm"),
        shared_temp_directory=str(paths.locks),  # the keys, readable by this user alone
        security=distributed.Security.temporary(),
        protocol="tls://",
    )


@contextmanager
def _jobs(job: SlurmJob, out: Path, stop: Stop) -> Iterator[Any]:
    """Ask SLURM for workers, and again for those whose job ended or was cancelled."""
    action = (
        "check partition, account and limits with `sbatch` itself; --shard i/n in a job array is "
        "the plain way"
    )
    cluster = slurm_cluster(job, out)
    if shutil.which("sbatch") is None:
        cluster.close()
        raise EngineError(
            "SLURM is not on this machine: there is no sbatch",
            code="E_BATCH_SLURM",
            where="--slurm",
            action=action,
        )
    try:
        cluster.scale(jobs=job.jobs)
    except Exception as error:  # sbatch refuses, or does not answer
        cluster.close()
        raise EngineError(
            f"SLURM did not take the jobs ({type(error).__name__}: {error})",
            code="E_BATCH_SLURM",
            where="--slurm",
            action=action,
        ) from error
    with cluster, JobKeeper(cluster, job.jobs, BatchPaths(out).logs / "slurm", stop):
        yield cluster
