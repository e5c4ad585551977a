"""What a worker is told about one study, and what it tells back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from eprimg.config import Config
from eprimg.errors import ConfigError
from eprimg.io.batch_tasks import StudyTask

__all__ = ["MEASURE", "NOTHING", "StudyOrder", "StudyOutcome"]

MEASURE = "eprimg.batch.work:measure_study"
"""What a child does with a study: the main job."""

NOTHING = "eprimg.batch.work:do_nothing"
"""What a child does when only the engine itself is measured."""


@dataclass(frozen=True, slots=True)
class StudyOrder:
    """One study to run, with everything that its worker needs to know.

    Parameters
    ----------
    task : StudyTask
        The study.
    out : Path
        Output folder of the batch.
    config : Config
        Settings of this study.
    config_hash : str
        Their hash.
    version : str
        Version of eprimg.
    batch_run : str
        Mark of this run of the batch; names the file that asks for an orderly stop.
    earlier_started, earlier_attempts : str, int
        Of the record that the run found: a newer record means that another worker was faster.
    work : str
        ``module:function`` that the child calls with the order and a function `admit`, to which it
        tells its planned memory before it needs it; it returns a `CaseDigest`.
    time_limit_s : float
        A child that takes longer is ended.
    budget_mb : float
        Memory that all studies on one machine may use together; 0 takes most of the machine.
    """

    task: StudyTask
    out: Path
    config: Config = field(default_factory=Config)
    config_hash: str = ""
    version: str = ""
    batch_run: str = ""
    earlier_started: str = ""
    earlier_attempts: int = 0
    work: str = MEASURE
    time_limit_s: float = 3600.0
    budget_mb: float = 0.0

    def __post_init__(self) -> None:
        if not self.time_limit_s > 0:
            raise ConfigError(
                "the time limit is above zero", code="E_ARGUMENT", value=self.time_limit_s
            )

    @property
    def stop_file(self) -> Path:
        """File that asks the workers of this run to begin nothing more."""
        return self.out / "locks" / f"stop-{self.batch_run}"


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """What became of an order, for the display; the truth is the record on disk.

    Parameters
    ----------
    key : str
        Key of the study.
    status : str
        ``ok``, ``refused``, ``failed``; ``stopped`` when it was not begun; ``disk`` when nothing
        could be written, so that there is no record.
    code, message : str
        Of a study that is not ok.
    seconds : float
        Wall-clock time.
    """

    key: str
    status: str
    code: str = ""
    message: str = ""
    seconds: float = 0.0
