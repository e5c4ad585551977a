"""A job runs beside the window: progress, cancel, one notification for each error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("qtpy")
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QWidget

from eprimg.errors import MissingTagError
from napari_eprimg.dock.jobs import JobBar, Jobs, Outcome
from napari_eprimg.dock.notices import NoticeLog
from napari_eprimg.reading.reading_steps import Step, Task

SLOW_S = 20.0


def _slow(progress: Any) -> str:
    """Work that tells its progress every 10 ms."""
    end = time.monotonic() + SLOW_S
    while time.monotonic() < end:
        progress("waiting", 0.3)
        time.sleep(0.01)
    return "never"


@pytest.fixture
def told() -> Iterator[list[str]]:
    """Messages of the notifications of this test."""
    messages: list[str] = []

    def keep(notification: Any) -> None:
        messages.append(notification.message)

    notification_manager.notification_ready.connect(keep)
    yield messages
    notification_manager.notification_ready.disconnect(keep)


@pytest.fixture
def jobs(qtbot: Any) -> Iterator[Jobs]:
    holder = QObject()
    yield Jobs(NoticeLog(), holder)
    holder.deleteLater()


def _finish(qtbot: Any, jobs: Jobs, task: Task) -> Outcome:
    outcomes: list[Outcome] = []
    with qtbot.waitSignal(jobs.finished, timeout=20_000):
        jobs.finished.connect(outcomes.append)
        assert jobs.start(task)
    return outcomes[-1]


def test_the_result_is_applied_in_the_gui_thread(qtbot: Any, jobs: Jobs) -> None:
    threads: dict[str, Any] = {}

    def work(progress: Any) -> int:
        threads["work"] = threading.current_thread()
        progress("counting", 0.5)
        return 41

    def done(value: int) -> None:
        threads["done"], threads["value"] = threading.current_thread(), value

    outcome = _finish(qtbot, jobs, Task("Count", work, done))
    assert outcome.ok
    assert threads["value"] == 41
    assert threads["done"] is threading.main_thread()
    assert threads["work"] is not threading.main_thread()
    assert jobs.busy == ""


def test_the_bar_shows_words_and_cancel_stops_within_a_second(
    qtbot: Any, jobs: Jobs, told: list[str]
) -> None:
    bar = JobBar(jobs)
    qtbot.addWidget(bar)
    bar.show()
    applied: list[Any] = []
    failed: list[BaseException] = []
    assert jobs.start(Task("Register", _slow, applied.append, Step.REGISTER, failed.append))
    qtbot.waitUntil(lambda: bar.words.text() == "Register: waiting", timeout=20_000)
    assert bar.bar.value() == 300
    clock = time.monotonic()
    with qtbot.waitSignal(jobs.finished, timeout=20_000) as ended:
        qtbot.mouseClick(bar.cancel_button, Qt.MouseButton.LeftButton)
    assert time.monotonic() - clock < 1.0
    assert ended.args[0].cancelled
    assert not applied
    assert [type(e).__name__ for e in failed] == ["Cancelled"]
    assert told == []
    assert bar.words.text() == "No job is running."
    assert not bar.cancel_button.isEnabled()
    assert _finish(qtbot, jobs, Task("Again", lambda progress: 1, applied.append)).ok
    assert applied == [1]


def test_a_result_that_comes_after_cancel_is_not_applied(qtbot: Any, jobs: Jobs) -> None:
    gate = threading.Event()
    applied: list[Any] = []
    with qtbot.waitSignal(jobs.finished, timeout=20_000) as ended:
        jobs.start(Task("Deaf", lambda progress: gate.wait(5), applied.append))
        jobs.cancel()
        gate.set()
    assert ended.args[0].cancelled
    assert applied == []


def test_a_coded_error_gives_one_notification_with_tag_action_and_code(
    qtbot: Any, jobs: Jobs, told: list[str]
) -> None:
    def work(progress: Any) -> None:
        raise MissingTagError(
            "the body weight is missing",
            code="E_SUV_WEIGHT",
            where="PatientWeight (0010,1030)",
            value="Doe^Jane",
            action="enter [patient] weight_kg in study.toml",
        )

    failed: list[BaseException] = []
    outcome = _finish(qtbot, jobs, Task("Check", work, lambda _: None, Step.CHECK, failed.append))
    assert isinstance(outcome.error, MissingTagError)
    assert failed == [outcome.error]
    assert len(told) == 1
    assert told[0] == (
        "The body weight is missing [PatientWeight (0010,1030)]. "
        "Next: enter [patient] weight_kg in study.toml. (E_SUV_WEIGHT)"
    )
    assert "Traceback" not in jobs.log.text()
    assert "Doe" not in jobs.log.text()
    assert _finish(qtbot, jobs, Task("Again", lambda progress: 1, lambda _: None)).ok


@pytest.mark.parametrize("where", ["work", "done"])
def test_an_unexpected_fault_gives_one_notification_and_details_to_copy(
    qtbot: Any, jobs: Jobs, told: list[str], where: str
) -> None:
    def fall(_: Any) -> None:
        raise ZeroDivisionError("ground")

    def calm(_: Any) -> None:
        return None

    task = Task("Check", fall if where == "work" else calm, fall if where == "done" else calm)
    outcome = _finish(qtbot, jobs, task)
    assert isinstance(outcome.error, ZeroDivisionError)
    assert told == ["Unexpected fault of eprimg, report it (ZeroDivisionError)."]
    assert "ZeroDivisionError: ground" in jobs.log.text()


def test_a_second_job_is_refused_in_words(qtbot: Any, jobs: Jobs, told: list[str]) -> None:
    jobs.start(Task("First", _slow, lambda _: None))
    assert not jobs.start(Task("Second", _slow, lambda _: None))
    assert told == ["'Second' was not started. Wait for 'First' to end, or cancel it."]
    with qtbot.waitSignal(jobs.finished, timeout=20_000):
        jobs.cancel()


def test_a_window_that_goes_stops_its_job(qtbot: Any) -> None:
    window = QWidget()
    jobs = Jobs(NoticeLog(), window)
    stopped = threading.Event()

    def work(progress: Any) -> None:
        try:
            _slow(progress)
        finally:
            stopped.set()

    jobs.start(Task("Long", work, lambda _: None))
    with qtbot.waitSignal(window.destroyed, timeout=20_000):
        window.deleteLater()
    assert stopped.wait(1.0)
