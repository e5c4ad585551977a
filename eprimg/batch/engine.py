"""A batch from its list of studies to its exit code; what counts is what is on disk."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol
from uuid import uuid4

from eprimg.batch.feeding import Stop, feed_cluster, feed_here
from eprimg.batch.options import EngineOptions
from eprimg.batch.orders import StudyOrder, StudyOutcome
from eprimg.config import Config
from eprimg.errors import EngineError, EprimgError, OutputError, raise_faults
from eprimg.io.batch_files import BatchPaths, write_whole
from eprimg.io.batch_hashes import input_hash, input_stamp
from eprimg.io.batch_inputs import shard, write_sources
from eprimg.io.batch_lock import OutputLock
from eprimg.io.batch_records import (
    Decision,
    decide,
    read_record,
    refresh_stamp,
    remove_results,
    write_record,
)
from eprimg.io.batch_summary import write_summary
from eprimg.io.batch_tasks import StudyTask
from eprimg.model.study_record import Status, StudyRecord

__all__ = ["BatchEnd", "Reporter", "batch_config", "plan_batch", "run_batch"]

_FORMAT = "eprimg batch 1"
_SUMMARY_SHARE = 0.05
"""Part of the time that may go into summaries while studies run."""


class Reporter(Protocol):
    """Who is told how a batch goes on."""

    def begin(self, total: int) -> None:
        """Told how many studies there are."""

    def passed(self, status: str) -> None:
        """Told of a study that is not run because its record stands."""

    def outcome(self, outcome: StudyOutcome) -> None:
        """Told how a study ended."""

    def say(self, words: str) -> None:
        """Told what a person should know."""


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """How a batch ended; counted from the records on disk.

    Parameters
    ----------
    counts : Mapping of str to int
        ``ok``, ``refused``, ``failed`` and ``waiting`` (without record) of the chosen studies.
    n_run : int
        Studies that this run ended.
    lost : EprimgError or None
        Why the engine was lost.
    interrupted : bool
        A person stopped it.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    n_run: int = 0
    lost: EprimgError | None = None
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """130 interrupted, 10 resume, 9 some failed, 8 some refused, 0 all well."""
        if self.interrupted:
            return 130
        if self.lost is not None or self.counts["waiting"]:
            return 10
        if self.counts["failed"]:
            return 9
        return 8 if self.counts["refused"] else 0


def batch_config(config: Config) -> Config:
    """Return the settings as a batch uses them: one thread per study.

    Parameters
    ----------
    config : Config
        Settings.

    Returns
    -------
    Config
        The same with ``threads = 1``.
    """
    return replace(config, threads=1)


class _Settings:
    """Settings and hash of each study; most studies share them."""

    def __init__(self, config: Config, tasks: Sequence[StudyTask]) -> None:
        from eprimg import pipeline

        self._known: dict[tuple[str, ...], tuple[Config, str]] = {}
        faults: list[EprimgError] = []
        for settings in dict.fromkeys([(), *(t.settings for t in tasks)]):
            try:
                own = batch_config(config.with_assignments(settings)) if settings else config
                pipeline.check_settings(own)
                self._known[settings] = (own, pipeline.settings_hash(own))
            except EprimgError as error:
                faults.append(error)
        raise_faults(faults)

    def of(self, task: StudyTask) -> tuple[Config, str]:
        """Return settings and hash of a study."""
        return self._known[task.settings]

    @property
    def hash(self) -> str:
        """Hash of the settings without those of single studies."""
        return self._known[()][1]


def plan_batch(
    tasks: Sequence[StudyTask], out: Path, config: Config, options: EngineOptions
) -> Iterator[tuple[StudyTask, Decision]]:
    """Decide for each study of the shard whether it is run.

    Parameters
    ----------
    tasks : sequence of StudyTask
        All studies.
    out : Path
        Output folder of the batch.
    config : Config
        Settings.
    options : EngineOptions
        Shard, and whether failed studies are tried again.

    Yields
    ------
    tuple of (StudyTask, Decision)
        In order; files are looked at when the pair is asked for.
    """
    import eprimg

    settings = _Settings(batch_config(config), tasks)
    for task in _chosen(tasks, options):
        yield (
            task,
            decide(
                task,
                out,
                settings.of(task)[1],
                eprimg.__version__,
                retry_failed=options.retry_failed,
            ),
        )


def _chosen(tasks: Sequence[StudyTask], options: EngineOptions) -> Sequence[StudyTask]:
    return shard(tasks, *options.shard) if options.shard is not None else tasks


def run_batch(
    tasks: Sequence[StudyTask],
    out: Path,
    config: Config,
    options: EngineOptions,
    reporter: Reporter,
) -> BatchEnd:
    """Run all studies that need it.

    Parameters
    ----------
    tasks : sequence of StudyTask
        All studies of the batch, also those of other shards.
    out : Path
        Output folder of the batch.
    config : Config
        Settings; each study is run with one thread.
    options : EngineOptions
        Where and how many.
    reporter : Reporter
        Told how it goes on.

    Returns
    -------
    BatchEnd
        Counted from the records on disk.

    Raises
    ------
    EprimgError
        When the batch cannot begin, or when the disk is full.
    """
    out = Path(out).resolve()
    settings = _Settings(batch_config(config), tasks)
    run = _Run(tasks, out, settings, options, reporter)
    with OutputLock(out, shard=options.shard):
        _write_head(out, tasks, settings, batch_config(config), reporter)
        reporter.begin(len(run.chosen))
        with _interrupts(run.stop, run.stop_file, reporter):
            lost, interrupted = run.feed()
        run.summarise()
        run.stop_file.unlink(missing_ok=True)
    if run.stop.disk is not None:
        raise OutputError(
            run.stop.disk.message,
            code=run.stop.disk.code,
            where=str(out),
            action="make room, then run the same command again to resume: what is done is kept",
        )
    return BatchEnd(run.counts(), run.n_run, lost, interrupted)


class _Run:
    """One run of a batch."""

    def __init__(
        self,
        tasks: Sequence[StudyTask],
        out: Path,
        settings: _Settings,
        options: EngineOptions,
        reporter: Reporter,
    ) -> None:
        self.chosen = _chosen(tasks, options)
        self.out = out
        self.settings = settings
        self.options = options
        self.reporter = reporter
        self.stop = Stop()
        self.mark = uuid4().hex[:12]
        self.n_run = 0
        self._summary_at = time.monotonic()
        self._summary_took = 0.0

    @property
    def stop_file(self) -> Path:
        """See `StudyOrder.stop_file`."""
        return self.out / "locks" / f"stop-{self.mark}"

    def feed(self) -> tuple[EprimgError | None, bool]:
        """Run; return why the engine was lost, and whether a person stopped it."""
        orders = self._orders()
        try:
            if self.options.workers == 0 and not (self.options.scheduler or self.options.slurm):
                feed_here(orders, self._take, self.stop)
            else:
                self._feed_cluster(orders)
        except EngineError as error:
            if error.code != "E_BATCH_LOST":
                raise
            return error, False
        except KeyboardInterrupt:
            return None, True
        return None, self.stop.asked and self.stop.disk is None

    def _feed_cluster(self, orders: Iterator[StudyOrder]) -> None:
        first = next(orders, None)
        if first is None:  # nothing to do: no cluster is needed
            return

        def all_orders() -> Iterator[StudyOrder]:
            yield first
            yield from orders

        from eprimg.batch.clusters import connected

        with connected(self.options, self.out, self.stop) as client:
            feed_cluster(
                client,
                all_orders(),
                self._take,
                self.stop,
                poisoned=self._poisoned,
                say=self.reporter.say,
            )

    def _orders(self) -> Iterator[StudyOrder]:
        import eprimg

        for task in self.chosen:
            config, config_hash = self.settings.of(task)
            decision = decide(
                task,
                self.out,
                config_hash,
                eprimg.__version__,
                retry_failed=self.options.retry_failed,
            )
            record = decision.record
            if not decision.to_run:
                refresh_stamp(self.out, decision)
                self.reporter.passed(str(record.status) if record is not None else "ok")
                continue
            yield StudyOrder(
                task=task,
                out=self.out,
                config=config,
                config_hash=config_hash,
                version=eprimg.__version__,
                batch_run=self.mark,
                earlier_started=record.started if record is not None else "",
                earlier_attempts=record.attempts if record is not None else 0,
                work=self.options.work,
                time_limit_s=self.options.time_limit_s,
                budget_mb=self.options.budget_mb,
            )

    def _take(self, outcome: StudyOutcome) -> None:
        if outcome.status == "stopped":
            return
        self.n_run += 1
        self.reporter.outcome(outcome)
        every = self.options.summary_every
        if every and self.n_run % every == 0:
            since = time.monotonic() - self._summary_at
            if self._summary_took <= _SUMMARY_SHARE * since:
                self.summarise()

    def summarise(self) -> None:
        """Write the summary; a full disk is told at the end."""
        from eprimg.report.batch_page import render_batch_page

        clock = time.monotonic()
        try:
            write_summary(self.out, render_batch_page)
        except OutputError as error:
            if self.stop.disk is None:
                self.stop.asked = True
                self.stop.disk = StudyOutcome("", "disk", error.code, error.message)
        self._summary_at = time.monotonic()
        self._summary_took = self._summary_at - clock

    def _poisoned(self, order: StudyOrder) -> StudyOutcome:
        task = order.task
        done = read_record(self.out, task.key)
        if done is not None and done.started != order.earlier_started:
            return StudyOutcome(task.key, str(done.status), done.code, done.message, done.seconds)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        message = "the workers that ran this study died again and again, so it was set aside"
        record = StudyRecord(
            key=task.key,
            status=Status.FAILED,
            code="E_BATCH_POISON",
            message=message,
            action="look at the memory of the machine; run again with --retry-failed",
            input_hash=input_hash(task.path, task.study_file, task.facts),
            config_hash=order.config_hash,
            version=order.version,
            stamp=input_stamp(task.path, task.study_file, task.facts),
            attempts=order.earlier_attempts + 1,
            exit="worker died",
            started=now,
            finished=now,
            host=socket.gethostname(),
        )
        remove_results(self.out, task.key)
        try:
            write_record(self.out, record)
        except OutputError as error:
            self.stop.asked = True
            self.stop.disk = StudyOutcome(task.key, "disk", error.code, error.message)
        return StudyOutcome(task.key, "failed", "E_BATCH_POISON", message)

    def counts(self) -> dict[str, int]:
        """Count the chosen studies by their records on disk."""
        found = {str(s): 0 for s in Status} | {"waiting": 0}
        for task in self.chosen:
            record = read_record(self.out, task.key)
            found[str(record.status) if record is not None else "waiting"] += 1
        return found


def _write_head(
    out: Path,
    tasks: Sequence[StudyTask],
    settings: _Settings,
    config: Config,
    reporter: Reporter,
) -> None:
    """Write what the batch is; say when it is another one than before."""
    import eprimg

    paths = BatchPaths(out)
    earlier: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(paths.batch.read_text(encoding="utf-8"))
        earlier = content if isinstance(content, dict) else {}
    if earlier and earlier.get("version") != eprimg.__version__:
        reporter.say(
            f"this folder was made by eprimg {earlier.get('version')}: all studies are done again"
        )
    elif earlier and earlier.get("config_hash") != settings.hash:
        reporter.say("the settings are not those of this folder: all studies are done again")
    head = {
        "format": _FORMAT,
        "version": eprimg.__version__,
        "config_hash": settings.hash,
        "created": earlier.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_whole(paths.batch, json.dumps(head, indent=1) + "\n")
    write_whole(paths.settings, config.to_toml())
    write_sources(out, tasks)
    paths.logs.mkdir(exist_ok=True)


@contextmanager
def _interrupts(stop: Stop, stop_file: Path, reporter: Reporter) -> Iterator[None]:
    """Ctrl-C once: begin nothing more; twice, or a request to terminate: stop at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def once(number: int, frame: FrameType | None) -> None:
        if stop.asked or number == signal.SIGTERM:
            stop.now = True
            if stop.watched:
                return
            raise KeyboardInterrupt
        stop.asked = True
        with contextlib.suppress(OSError):
            stop_file.touch()
        reporter.say("stopping: running studies are finished; Ctrl-C again stops at once")

    before = {n: signal.signal(n, once) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
