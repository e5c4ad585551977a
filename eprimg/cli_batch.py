"""The command line of batches: ``eprimg batch`` and ``eprimg status``."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from eprimg.cli_show import err, out, show_findings
from eprimg.config import load_config
from eprimg.errors import InputError, option_unused

__all__ = ["batch", "status"]

_STUDIES, _MEASUREMENT, _MACHINE, _CLUSTER, _SLURM = (
    "Which studies",
    "How they are measured",
    "How the batch runs",
    "A cluster",
    "SLURM",
)
_STYLES = {"ok": "green", "refused": "yellow", "failed": "bold red", "waiting": "cyan"}


def batch(
    context: typer.Context,
    root: Annotated[
        Path, typer.Argument(help="Folder with one folder per study, BIDS dataset, or CSV.")
    ],
    out_folder: Annotated[
        Path, typer.Option("--out", help="Output folder; resumed when it is one.")
    ],
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV: a row per study, path from its folder, what is known.",
            rich_help_panel=_STUDIES,
        ),
    ] = None,
    depth: Annotated[
        int,
        typer.Option(
            min=0, help="Level of the study folders below ROOT.", rich_help_panel=_STUDIES
        ),
    ] = 1,
    per_session: Annotated[
        bool,
        typer.Option(
            "--per-session", help="BIDS: one study per session.", rich_help_panel=_STUDIES
        ),
    ] = False,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file (TOML).", rich_help_panel=_MEASUREMENT),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="One setting, section.key=value; may be repeated.",
            rich_help_panel=_MEASUREMENT,
        ),
    ] = None,
    accept_candidates: Annotated[
        bool,
        typer.Option(
            help="Treat automatic regions as confirmed, so that they get tiers.",
            rich_help_panel=_MEASUREMENT,
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Studies at a time; 0: one by one, without Dask.",
            show_default="cores",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="GB for all studies of a machine together.",
            show_default="85 %",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    time_limit: Annotated[
        float, typer.Option(min=0.01, help="Minutes per study.", rich_help_panel=_MACHINE)
    ] = 60.0,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Try failed studies again.", rich_help_panel=_MACHINE),
    ] = False,
    shard: Annotated[
        str,
        typer.Option(help="i/n: the i-th of n parts, for job arrays.", rich_help_panel=_CLUSTER),
    ] = "",
    scheduler: Annotated[
        str, typer.Option(help="Dask scheduler, tls://HOST:PORT.", rich_help_panel=_CLUSTER)
    ] = "",
    tls_ca: Annotated[
        Path | None, typer.Option(help="Certificate of the authority.", rich_help_panel=_CLUSTER)
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Own certificate.", rich_help_panel=_CLUSTER)
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Own key.", rich_help_panel=_CLUSTER)] = None,
    insecure_scheduler: Annotated[
        bool,
        typer.Option(
            "--insecure-scheduler", help="Allow an address without TLS.", rich_help_panel=_CLUSTER
        ),
    ] = False,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Ask SLURM for workers.", rich_help_panel=_SLURM)
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="SLURM jobs.", rich_help_panel=_SLURM)] = 4,
    job_memory: Annotated[
        float, typer.Option(min=1, help="GB per SLURM job.", rich_help_panel=_SLURM)
    ] = 4.0,
    walltime: Annotated[
        int, typer.Option(min=11, help="Minutes per SLURM job.", rich_help_panel=_SLURM)
    ] = 240,
    partition: Annotated[str, typer.Option(help="SLURM partition.", rich_help_panel=_SLURM)] = "",
    account: Annotated[str, typer.Option(help="SLURM account.", rich_help_panel=_SLURM)] = "",
    summary_every: Annotated[
        int,
        typer.Option(
            min=0, help="Summary after so many studies; 0: at the end.", rich_help_panel=_MACHINE
        ),
    ] = 50,
    dashboard: Annotated[
        bool,
        typer.Option(
            "--dashboard", help="Dask's own page on this machine.", rich_help_panel=_MACHINE
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, do nothing.", rich_help_panel=_MACHINE)
    ] = False,
) -> None:
    """Measure many studies; run it again to resume."""
    from eprimg.batch.engine import run_batch
    from eprimg.batch.options import EngineOptions, SchedulerAddress, SlurmJob, parse_shard
    from eprimg.batch.progress import shown_progress
    from eprimg.io.batch_inputs import list_studies
    from eprimg.io.output_folder import check_apart, check_target

    _check_options(context, root)
    options = EngineOptions(
        workers=_cores() if workers is None else workers,
        budget_mb=1e9 * memory / 2**20 if memory is not None else 0.0,
        time_limit_s=60.0 * time_limit,
        retry_failed=retry_failed,
        shard=parse_shard(shard),
        scheduler=SchedulerAddress(scheduler, tls_ca, tls_cert, tls_key, insecure_scheduler)
        if scheduler
        else None,
        slurm=SlurmJob(jobs, job_memory, walltime, partition, account) if slurm else None,
        summary_every=summary_every,
        dashboard=dashboard,
    )
    config = load_config(config_file, assignments or ())
    if accept_candidates:
        config = config.with_settings({"segment": {"accept_candidates": True}})
    if _is_batch(out_folder):
        check_apart(out_folder, root)
    else:
        check_target(out_folder, source=root)
    listed = list_studies(root, manifest=manifest, depth=depth, per_session=per_session)
    show_findings(listed.findings)
    if dry_run:
        _show_plan(listed.value, out_folder, config, options)
        return
    with shown_progress(err) as reporter:
        end = run_batch(listed.value, out_folder, config, options, reporter)
    _show_counts(end.counts)
    if end.lost is not None:
        err.print(f"[bold red]stopped[/] {escape(str(end.lost))}", soft_wrap=True)
    out.print(f"summary: {out_folder / 'index.html'}", markup=False, soft_wrap=True)
    if end.exit_code in (8, 9):
        out.print(f"eprimg status {out_folder}  tells what to do", markup=False, soft_wrap=True)
    if end.exit_code:
        raise typer.Exit(end.exit_code)


def status(
    folder: Annotated[Path, typer.Argument(help="Output folder of a batch.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    only_failed: Annotated[
        bool, typer.Option("--failed", help="Only failed studies, not the refused ones.")
    ] = False,
) -> None:
    """Tell what became of the studies of a batch, and what to do next."""
    from eprimg.batch.engine import BatchEnd
    from eprimg.io.batch_files import BatchPaths
    from eprimg.io.batch_summary import summarise

    if not BatchPaths(folder).batch.is_file():
        raise InputError(
            "this is not the output folder of a batch",
            code="E_BATCH_FOLDER",
            where=str(folder),
            action="give the folder that --out named",
        )
    summary = summarise(folder)
    wanted = ("failed",) if only_failed else ("failed", "refused")
    rows = [r for name in wanted for r in summary.records if str(r.status) == name]
    if as_json:
        _print_json(summary, rows)
    else:
        _show_counts(summary.counts)
        show_findings(summary.findings)
        _show_rows(rows)
    code = BatchEnd(summary.counts).exit_code
    if code:
        raise typer.Exit(code)


def _check_options(context: typer.Context, root: Path) -> None:
    """Refuse options that would do nothing for this list of studies and this kind of run."""
    from eprimg.io.batch_bids import is_bids

    given = context.params

    def refuse(names: tuple[str, ...], here: str, purpose: str) -> None:
        for name in names:
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise option_unused(f"--{name.replace('_', '-')}", here, purpose)

    table = given["manifest"] is not None or root.is_file()
    bids = not table and root.is_dir() and is_bids(root)
    if table or bids:
        here = "a table of studies" if table else "a BIDS dataset"
        refuse(("depth",), here, "a tree of folders")
    if not bids:
        refuse(("per_session",), "studies that are not a BIDS dataset", "a BIDS dataset")
    if not given["scheduler"]:
        tls = ("tls_ca", "tls_cert", "tls_key", "insecure_scheduler")
        refuse(tls, "a run without --scheduler", "the connection to a Dask scheduler")
    if not given["slurm"]:
        names = ("jobs", "job_memory", "walltime", "partition", "account")
        refuse(names, "a run without --slurm", "the jobs that SLURM is asked for")
    if given["scheduler"] or given["slurm"]:
        refuse(("workers", "dashboard"), "a run on a cluster", "a run on this machine alone")


def _is_batch(folder: Path) -> bool:
    """Tell a folder to resume, also one whose batch was killed when it had only its lock."""
    if not folder.is_dir():
        return False
    return (folder / "batch.json").is_file() or [p.name for p in folder.iterdir()] == ["locks"]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _show_counts(counts: Any) -> None:
    parts = [f"[{_STYLES[name]}]{n} {name}[/]" for name, n in counts.items() if n]
    out.print(", ".join(parts) or "no studies")


def _show_rows(rows: Any) -> None:
    if not rows:
        return
    table = Table()
    for name in ("study", "status", "code", "what", "what to do"):
        table.add_column(name, overflow="fold", no_wrap=name in ("study", "status"))
    for record in rows:
        table.add_row(
            record.key,
            f"[{_STYLES[str(record.status)]}]{record.status}[/]",
            record.code,
            escape(record.message),
            escape(record.action),
        )
    out.print(table)


def _print_json(summary: Any, rows: Any) -> None:
    content = {
        "counts": summary.counts,
        "waiting": list(summary.waiting),
        "studies": [
            {
                "study": r.key,
                "status": str(r.status),
                "code": r.code,
                "message": r.message,
                "action": r.action,
                "exit": r.exit,
                "attempts": r.attempts,
                "seconds": r.seconds,
            }
            for r in rows
        ],
    }
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _show_plan(tasks: Any, folder: Path, config: Any, options: Any) -> None:
    """Say what would be done with every study, and the memory that the headers announce."""
    from eprimg import pipeline
    from eprimg.batch.engine import batch_config, plan_batch
    from eprimg.batch.memory import default_budget_mb, planned_memory_mb
    from eprimg.errors import EprimgError
    from eprimg.folder_plan import check_folder
    from eprimg.io.batch_files import BatchPaths

    counts: Counter[str] = Counter()
    largest = 0.0
    for task, decision in plan_batch(tasks, folder, config, options):
        counts[str(decision.action)] += 1
        words = decision.reason
        if decision.to_run:
            try:
                planned = pipeline.plan_folder(
                    task.path,
                    BatchPaths(folder).study(task.key),
                    batch_config(config.with_assignments(task.settings)),
                    study_file=task.study_file,
                    facts=task.facts,
                    overwrite=True,
                )
                need = planned_memory_mb(planned.plan.index)
                largest = max(largest, need)
                words += f", planned memory {need:.0f} MB"
                check_folder(planned)
            except EprimgError as error:
                codes = dict.fromkeys(f.code for f in error.faults or (error,))
                words += f", would be refused: {', '.join(codes)}"
        out.print(f"{task.key} {decision.action}: {words}", markup=False, soft_wrap=True)
    budget = options.budget_mb or default_budget_mb()
    numbers = ", ".join(f"{n} {action}" for action, n in sorted(counts.items()))
    out.print(f"{sum(counts.values())} studies: {numbers or 'none'}", markup=False)
    out.print(
        f"at most {options.workers} at a time within {budget:.0f} MB; the largest needs "
        f"{largest:.0f} MB; would write to {folder}",
        markup=False,
        soft_wrap=True,
    )
