"""What the command line prints: progress, findings, series, lesions and tiers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = [
    "err",
    "out",
    "progress",
    "show_case",
    "show_findings",
    "show_index",
    "show_registrations",
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """Show a bar on a terminal, one plain line per step elsewhere.

    Yields
    ------
    callable
        Takes words and the finished share (0 to 1).
    """
    if err.is_terminal:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        with Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        ) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda words, share: bar.update(task, description=words, completed=share)
        return
    seen: set[str] = set()

    def say(words: str, share: float) -> None:
        if words not in seen:
            seen.add(words)
            err.print(f"eprimg: {words}", markup=False)

    yield say


def show_findings(findings: Any) -> None:
    """Print findings, one line each.

    Parameters
    ----------
    findings : iterable of Finding
        In the order in which they were noticed.
    """
    styles = {"error": "bold red", "warning": "yellow", "info": "cyan"}
    for finding in findings:
        style = styles[str(finding.severity)]
        place = f" [{finding.where}]" if finding.where else ""
        out.print(
            f"[{style}]{finding.severity:<7}[/] {escape(f'{finding.code}{place}')} "
            f"{escape(finding.text)}",
            soft_wrap=True,
        )


def show_index(index: Any) -> None:
    """Print the series of a folder, their roles and why.

    Parameters
    ----------
    index : StudyIndex
        The scan.
    """
    table = Table(title=f"{index.n_files} files", title_justify="left", expand=False)
    for name in ("key", "role", "modality", "series", "frames", "echo times (ms)"):
        table.add_column(name, overflow="fold")
    for entry in index.series:
        echoes = ", ".join(f"{t:g}" for t in entry.echo_times_ms)
        table.add_row(
            entry.key,
            f"[bold]{entry.role}[/]",
            entry.modality,
            escape(entry.description),
            str(entry.n_frames),
            echoes,
        )
    out.print(table)
    out.print("why:" if index.series else "no series")
    for entry in index.series:
        out.print(f"  {entry.key} is {entry.role}: {escape(entry.reason)}", soft_wrap=True)
        for reason, count in entry.dropped:
            out.print(f"    left out: {count} frames, {escape(reason)}", soft_wrap=True)


def _share(probability: float) -> str:
    """Write a probability; 1.00 would claim more than any model knows."""
    if probability != probability:
        return ""
    return ">0.99" if probability > 0.99 else f"{probability:.2f}"


def _shown(measurement: Any, form: str) -> str:
    """Write a number; nothing where nothing was measured."""
    if measurement is None or not math.isfinite(measurement.value):
        return ""
    return format(measurement.value, form)


def show_registrations(registrations: Any) -> None:
    """Print how series were aligned and how good that is, one line each.

    Parameters
    ----------
    registrations : iterable of Registration
        Accepted or not.
    """
    styles = {"pass": "bold green", "review": "bold yellow", "fail": "bold red"}
    for each in registrations:

        def figure(name: str, form: str, of: Any = each.qc) -> str:
            value = of.get(name, math.nan)
            return format(value, form) if math.isfinite(value) else "–"

        nmi, ncc = (
            " to ".join(figure(f"{name}_{when}", ".3f") for when in ("before", "after"))
            for name in ("nmi", "ncc")
        )
        verdict = str(each.verdict)
        out.print(
            f"registration {escape(each.moving)} to {escape(each.fixed)}: "
            f"[{styles[verdict]}]{verdict}[/], moved {figure('moved_center_mm', '.1f')} mm "
            f"and {figure('rotated_deg', '.1f')} degrees, NMI {nmi}, local NCC² {ncc}"
            + (f"; {escape('; '.join(each.reasons))}" if each.reasons else ""),
            soft_wrap=True,
        )


def show_case(case: Any) -> None:
    """Print findings, the lesion table and the patient's tiers.

    Parameters
    ----------
    case : Case
        A finished case.
    """
    from eprimg.model.tiers import JUDGED_SOURCES
    from eprimg.quantities import QUANTITIES

    show_findings(case.findings)
    show_registrations(case.registrations)
    if case.lesions is not None:
        table = Table(title="lesions", title_justify="left")
        table.add_column("lesion", overflow="fold")
        table.add_column("mL", justify="right", no_wrap=True)
        for scheme in case.schemes:
            unit = QUANTITIES[scheme.quantity].unit.text
            name = QUANTITIES[scheme.quantity].name
            head = f"{name}\n{scheme.statistic}" + ("" if name == unit else f"\n({unit})")
            table.add_column(head, justify="right", no_wrap=True)
            table.add_column("tier", no_wrap=True)
        for region in case.lesions.lesions:
            volume = region.measurement("volume", "volume")
            row = [escape(region.name), _shown(volume, ".2f")]
            for scheme in case.schemes:
                judged = JUDGED_SOURCES.get(scheme.quantity)
                number = region.measurement(scheme.quantity, scheme.statistic, judged)
                tier = next((t for t in region.tiers if t.scheme == scheme.key), None)
                row.append(_shown(number, ".4g"))
                row.append(f"{tier.label} {_share(tier.confidence)}" if tier else "")
            table.add_row(*row)
        out.print(table)
    for tier in case.patient_tiers:
        notice = f" ({tier.notice})" if tier.notice else ""
        out.print(
            f"patient, {tier.scheme}: [bold]{escape(tier.label)}[/]{notice}, "
            f"confidence {_share(tier.confidence) or 'not stated'}",
            soft_wrap=True,
        )
