"""What a child does with its study."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import cast

from eprimg.batch.orders import StudyOrder
from eprimg.io.batch_files import BatchPaths, write_whole
from eprimg.model.case import Finding
from eprimg.model.study_record import CaseDigest, Light, digest_case

__all__ = ["Admit", "Work", "do_nothing", "load_work", "measure_study"]

Admit = Callable[[float], None]
"""Called with the planned memory in MB; returns when there is room on the machine."""

Work = Callable[[StudyOrder, Admit], CaseDigest]


def load_work(name: str) -> Work:
    """Find what a child is to do.

    Parameters
    ----------
    name : str
        ``module:function``.

    Returns
    -------
    callable
        See `eprimg.batch.orders.StudyOrder`.
    """
    module, _, function = name.partition(":")
    return cast(Work, getattr(import_module(module), function))


def measure_study(order: StudyOrder, admit: Admit) -> CaseDigest:
    """Do the main job: what `eprimg run` does, into the folder of the study.

    Parameters
    ----------
    order : StudyOrder
        The study.
    admit : callable
        Told the memory that the headers announce.

    Returns
    -------
    CaseDigest
        What the summary says about the case.

    Raises
    ------
    EprimgError
        When the input cannot be used or the results cannot be written.
    """
    from eprimg import pipeline
    from eprimg.batch.memory import planned_memory_mb
    from eprimg.report.batch_thumbnail import make_thumbnail

    task = order.task
    out = BatchPaths(order.out).study(task.key)
    plan = pipeline.plan_folder(
        task.path,
        out,
        order.config,
        study_file=task.study_file,
        facts=task.facts,
        overwrite=True,
    )
    admit(planned_memory_mb(plan.plan.index))
    case = pipeline.run_folder(task.path, out, plan=plan, overwrite=True, progress=_Steps())
    for finding in case.findings:
        _say(finding)
    picture = make_thumbnail(case, order.config)
    if picture is not None:
        write_whole(BatchPaths(order.out).thumbnail(task.key), picture)
    return digest_case(case)


class _Steps:
    """Says each step once."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, words: str, share: float) -> None:
        if words != self.last:
            self.last = words
            _print(words)


def _say(finding: Finding) -> None:
    place = f" [{finding.where}]" if finding.where else ""
    _print(f"{finding.severity}: {finding.code}{place} {finding.text}")


def _print(words: str) -> None:
    """Write a line into the log: it tells where a crash happened."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def do_nothing(order: StudyOrder, admit: Admit) -> CaseDigest:
    """Do nothing: shows what the engine itself costs per study.

    Parameters
    ----------
    order : StudyOrder
        The study.
    admit : callable
        Told that no memory is needed.

    Returns
    -------
    CaseDigest
        Empty.
    """
    admit(0.0)
    return CaseDigest(pseudonym=order.task.key, light=Light.OK)
