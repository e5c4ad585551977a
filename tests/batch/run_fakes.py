"""A batch of fake studies as a program of its own, to be killed: ROOT OUT WORKERS [ADDRESS]."""

from __future__ import annotations

import sys
from pathlib import Path

from eprimg.batch.engine import run_batch
from eprimg.batch.options import EngineOptions, SchedulerAddress
from eprimg.batch.progress import BatchProgress
from eprimg.config import Config
from eprimg.io.batch_inputs import list_studies
from tests.batch.fake_studies import ACT


def main() -> None:
    """Run, print like the command line, exit like it."""
    from rich.console import Console

    root, out, workers, *address = sys.argv[1:]
    options = EngineOptions(
        workers=int(workers),
        work=ACT,
        budget_mb=4000.0,
        scheduler=SchedulerAddress(address[0], *map(Path, address[1:])) if address else None,
    )
    reporter = BatchProgress(Console(force_terminal=False))
    end = run_batch(list_studies(Path(root)).value, Path(out), Config(), options, reporter)
    sys.exit(end.exit_code)


if __name__ == "__main__":
    main()
