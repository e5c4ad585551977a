"""The memory of one machine is shared; who waits longest is next; the dead give theirs back."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from eprimg.batch.admission import MemoryLedger
from eprimg.errors import EngineError


def test_what_can_never_fit_is_refused_at_once(tmp_path: Path) -> None:
    ledger = MemoryLedger(1000.0, tmp_path)
    with pytest.raises(EngineError, match="E_BATCH_MEMORY_PLAN") as caught, ledger.share(1001.0):
        pass
    assert "1001 MB" in caught.value.message
    assert not ledger.path.exists()


def test_running_studies_stay_within_the_budget_and_all_get_their_turn(tmp_path: Path) -> None:
    needs = [600.0, 300.0, 500.0, 900.0, 100.0, 400.0]
    lock, running, highest, ended = threading.Lock(), [0.0], [0.0], []

    def study(need: float) -> None:
        with MemoryLedger(1000.0, tmp_path).share(need) as granted:
            assert granted
            with lock:
                running[0] += need
                highest[0] = max(highest[0], running[0])
            time.sleep(0.15)
            with lock:
                running[0] -= need
                ended.append(need)

    threads = [threading.Thread(target=study, args=(need,)) for need in needs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(ended) == sorted(needs)
    assert 600.0 <= highest[0] <= 1000.0


def test_a_large_study_is_not_overtaken_by_small_ones(tmp_path: Path) -> None:
    order: list[str] = []

    def study(name: str, need: float) -> None:
        with MemoryLedger(1000.0, tmp_path).share(need):
            order.append(name)

    with MemoryLedger(1000.0, tmp_path).share(500.0):
        large = threading.Thread(target=study, args=("large", 800.0))
        large.start()
        time.sleep(0.3)
        small = threading.Thread(target=study, args=("small", 400.0))  # would fit by itself
        small.start()
        time.sleep(0.4)
        assert order == []
    large.join(timeout=10)
    small.join(timeout=10)
    assert order == ["large", "small"]


def test_waiting_ends_when_it_makes_no_sense_any_more(tmp_path: Path) -> None:
    ledger = MemoryLedger(1000.0, tmp_path)
    with ledger.share(900.0) as first, ledger.share(900.0, go_on=lambda: False) as second:
        assert (first, second) == (True, False)


def test_the_dead_give_their_memory_back_and_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    ledger = MemoryLedger(1000.0, tmp_path)
    with ledger.share(900.0):
        entries = json.loads(ledger.path.read_text(encoding="utf-8"))
    assert json.loads(ledger.path.read_text(encoding="utf-8")) == []
    entries[0]["process"]["pid"] = 2**22 + 1  # above the largest number of a process
    ledger.path.write_text(json.dumps(entries), encoding="utf-8")
    with ledger.share(900.0) as granted:
        assert granted
    ledger.path.write_text("[{", encoding="utf-8")
    with ledger.share(900.0) as granted:
        assert granted
