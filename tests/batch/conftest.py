"""Batches of fake studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import eprimg
from eprimg.batch.engine import BatchEnd, run_batch
from eprimg.batch.options import EngineOptions
from eprimg.batch.orders import StudyOrder, StudyOutcome
from eprimg.config import Config
from eprimg.io.batch_inputs import list_studies
from eprimg.io.batch_tasks import StudyTask
from tests.batch.fake_studies import ACT, ROOT


@dataclass
class Heard:
    """A reporter that remembers."""

    total: int = 0
    kept: list[str] = field(default_factory=list)
    outcomes: dict[str, StudyOutcome] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def begin(self, total: int) -> None:
        self.total = total

    def passed(self, status: str) -> None:
        self.kept.append(status)

    def outcome(self, outcome: StudyOutcome) -> None:
        assert outcome.key not in self.outcomes, "told twice"
        self.outcomes[outcome.key] = outcome

    def say(self, words: str) -> None:
        self.said.append(words)


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Children import the fake studies; the ledger and scratch lie in a folder of the test."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    return scratch


@pytest.fixture
def order_for(tmp_path: Path) -> Callable[..., StudyOrder]:
    """Make an order of one fake study."""

    def make(deed: str, *, name: str = "one", **fields: object) -> StudyOrder:
        folder = tmp_path / "root" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "do").write_text(deed, encoding="utf-8")
        given = {
            "work": ACT,
            "version": eprimg.__version__,
            "config_hash": "c",
            "batch_run": "r",
            **fields,
        }
        given.setdefault("budget_mb", 4000.0)
        task = StudyTask("S-1", folder, source=name)
        return StudyOrder(task, tmp_path / "out", **given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def run_fakes(tmp_path: Path) -> Callable[..., tuple[BatchEnd, Heard]]:
    """Run the fake studies of a folder."""

    def run(root: Path, config: Config | None = None, **options: object) -> tuple[BatchEnd, Heard]:
        heard = Heard()
        given = {"workers": 0, "work": ACT, "budget_mb": 4000.0, **options}
        tasks = list_studies(root).value
        end = run_batch(
            tasks,
            tmp_path / "out",
            config or Config(),
            EngineOptions(**given),  # type: ignore[arg-type]
            heard,
        )
        return end, heard

    return run
