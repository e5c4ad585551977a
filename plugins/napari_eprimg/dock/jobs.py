"""One job at a time for each reading, in a thread of its own; the windows stay alive.

The worker thread touches no Qt object: it leaves words, share and result in a plain record, and a
timer of the GUI thread looks at that record.  So progress is throttled by itself, an error comes
back as a value, and a window can be closed at any moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from eprimg.errors import Cancelled
from napari_eprimg.dock.notices import NoticeLog

if TYPE_CHECKING:
    from napari_eprimg.reading.reading import Reading, Task

__all__ = ["JobBar", "Jobs", "Outcome", "jobs_of"]

_LOOK_MS = 40
"""How often the GUI thread looks at the job."""


@dataclass(eq=False)
class _Run:
    """What worker thread and GUI thread share; each attribute is written by one of them."""

    task: Task
    cancel: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    told: tuple[str, float] = ("", 0.0)
    value: Any = None
    error: BaseException | None = None

    def progress(self, words: str, share: float) -> None:
        """Take words and share from the work; stop it here when it was cancelled."""
        if self.cancel.is_set():
            raise _cancelled()
        self.told = (words, share)

    def work(self) -> None:
        """Run the task in the worker thread; whatever it raises becomes a value."""
        try:
            self.value = self.task.work(self.progress)
        except BaseException as error:
            self.error = error
        finally:
            self.over.set()


def _cancelled() -> Cancelled:
    return Cancelled()


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Parameters
    ----------
    task : Task
        What was done.
    error : BaseException or None
        Why it failed; None when it went well or was cancelled.
    cancelled : bool
        The reader stopped it; nothing of it was applied.
    """

    task: Task
    error: BaseException | None = None
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        """True when the result was applied."""
        return self.error is None and not self.cancelled


class Jobs(QObject):
    """Runs tasks one after the other in a worker thread.

    Parameters
    ----------
    log : NoticeLog
        Where outcomes are told.
    parent : QObject, optional
        Owner; when it goes, a running job is stopped.
    """

    changed = Signal()
    """A job started or ended."""
    progressed = Signal(str, float)
    """Words and finished share (0 to 1) of the running job."""
    finished = Signal(object)
    """`Outcome`, after its result was applied."""

    def __init__(self, log: NoticeLog, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.log = log
        self._run: _Run | None = None
        self.thread_of_job: threading.Thread | None = None
        self._running: list[_Run] = []  # outlives this object, unlike its attributes
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self.destroyed.connect(self.stopper())

    @property
    def busy(self) -> str:
        """Title of the running job; empty when there is none."""
        return self._run.task.title if self._run is not None else ""

    @property
    def why_not(self) -> str:
        """Why no job can be started now, in words; empty when one can."""
        return f"Wait for '{self.busy}' to end, or cancel it." if self.busy else ""

    def start(self, task: Task) -> bool:
        """Start a task, unless one is running.

        Parameters
        ----------
        task : Task
            What is to be done.

        Returns
        -------
        bool
            False when it was refused, in words, because another one is running.
        """
        if self._run is not None:
            self.log.warning(f"'{task.title}' was not started. {self.why_not}")
            return False
        self._run = run = _Run(task, told=(task.title, 0.0))
        self._running.append(run)
        # Not a daemon: a thread inside a compiled engine must not be killed when Python ends.
        self.thread_of_job = threading.Thread(target=run.work, name="eprimg job")
        self.thread_of_job.start()
        self._timer.start()
        self.changed.emit()
        self.progressed.emit(*run.told)
        return True

    def cancel(self) -> None:
        """Ask the running job to stop; it does so at its next progress call."""
        if self._run is not None:
            self._run.cancel.set()
            self.progressed.emit("stopping", self._run.told[1])

    def stopper(self) -> Callable[..., None]:
        """Make a function that stops what is running, also when this object is gone by then.

        Returns
        -------
        callable
            For the ``destroyed`` signal of a window; it takes and ignores any arguments.
        """
        running = self._running

        def stop(*_: Any) -> None:
            for run in running:
                run.cancel.set()

        return stop

    def _look(self) -> None:
        run = self._run
        if run is None:
            return
        if not run.over.is_set():
            if not run.cancel.is_set():
                self.progressed.emit(*run.told)
            return
        self._timer.stop()
        self._run = None
        self._running.remove(run)
        outcome = self._apply(run)
        self.changed.emit()
        self.finished.emit(outcome)

    def _apply(self, run: _Run) -> Outcome:
        """Apply the result in the GUI thread; a fault in there is told like any other."""
        error = run.error
        if error is None and run.cancel.is_set():
            # A result that came in spite of the wish to stop is not applied: no half states.
            error = _cancelled()
        try:
            if error is None:
                run.task.done(run.value)
            else:
                run.task.failed(error)
        except Exception as fault:
            error = fault
        if error is None:
            self.log.information(f"{run.task.title}: done.")
            return Outcome(run.task)
        if isinstance(error, Cancelled):
            self.log.information(f"{run.task.title}: stopped; nothing was changed.")
            return Outcome(run.task, cancelled=True)
        self.log.error(error)
        return Outcome(run.task, error=error)


_JOBS: WeakKeyDictionary[Reading, Jobs] = WeakKeyDictionary()


def jobs_of(reading: Reading) -> Jobs:
    """Return the runner of a reading; it is made on the first call.

    Parameters
    ----------
    reading : Reading
        The reading.

    Returns
    -------
    Jobs
        The only one of this reading.
    """
    jobs = _JOBS.get(reading)
    if jobs is None:
        # Owned by the application: a timer must not be collected in the worker thread.
        jobs = _JOBS[reading] = Jobs(NoticeLog(), QCoreApplication.instance())
    return jobs


class JobBar(QWidget):
    """Words, bar and cancel button of the running job; always in the same place.

    Parameters
    ----------
    jobs : Jobs
        The runner.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self.words = QLabel("No job is running.")
        self.words.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(12)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the running job; nothing of it is kept")
        self.cancel_button.clicked.connect(jobs.cancel)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.words)
        layout.addLayout(row)
        jobs.changed.connect(self._refresh)
        jobs.progressed.connect(self._show)
        self._refresh()

    def _refresh(self) -> None:
        busy = self._jobs.busy
        self.cancel_button.setEnabled(bool(busy))
        if not busy:
            self.words.setText("No job is running.")
            self.bar.setValue(0)

    def _show(self, words: str, share: float) -> None:
        title = self._jobs.busy
        self.words.setText(title if words in ("", title) else f"{title}: {words}")
        self.bar.setValue(round(1000 * min(max(share, 0.0), 1.0)))
        if words == "stopping":
            self.cancel_button.setEnabled(False)
