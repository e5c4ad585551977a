"""The page ``docs/validation/batch.md``: its parts are replaced by what a run measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "validation" / "batch.md"
RESULTS = ROOT / "bench-results"


def write_part(name: str, lines: Sequence[str], *, page: Path = PAGE) -> None:
    """Replace one part of the page.

    Parameters
    ----------
    name : str
        Name in the marks ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.
    lines : sequence of str
        New text between them.
    page : Path
        The page.

    Raises
    ------
    ValueError
        When the page does not have exactly one such part.
    """
    marks = [f"<!-- {name}: {word} -->" for word in ("begin", "end")]
    pattern = re.compile(rf"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
    text = page.read_text(encoding="utf-8")
    new = "\n".join([marks[0], "", *lines, "", marks[1]])
    replaced, count = pattern.subn(lambda _: new, text)
    if count != 1:
        raise ValueError(f"{page.name} has {count} parts {name!r}, not one")
    page.write_text(replaced, encoding="utf-8")


def keep(name: str, numbers: Mapping[str, Any]) -> None:
    """Keep the numbers of a run in ``bench-results``, which is not part of the repository."""
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps(numbers, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(content, encoding="utf-8")


def kept(name: str) -> dict[str, Any]:
    """Return the numbers of the last run that were kept."""
    content = (RESULTS / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(content)
    return found


def soak_lines(numbers: Mapping[str, Any], codes: Mapping[str, str]) -> list[str]:
    """Put the numbers of a full soak into words.

    Parameters
    ----------
    numbers : Mapping
        See `tests.soak.scenario.Outcome`.
    codes : Mapping of str to str
        What was wrong with each bad study, and the code that it had to end with.

    Returns
    -------
    list of str
        Markdown.
    """
    good = numbers["studies"] - numbers["bad"]
    rows = [
        ("studies", f"{numbers['studies']}, of them {numbers['bad']} bad, each in another way"),
        ("workers killed (`kill -9`)", str(numbers["killed_workers"])),
        ("processes of studies killed (`kill -9`)", str(numbers["killed_studies"])),
        ("undisturbed run, two workers", f"{numbers['undisturbed_s']:.0f} s"),
        ("killed every few seconds, then the client", _s(numbers, "workers_and_client_killed_s")),
        ("the same with a scheduler of its own, then it", _s(numbers, "scheduler_killed_s")),
        ("full disk", _s(numbers, "full_disk_s")),
        ("run again in peace", _s(numbers, "run_again_s")),
        ("run again with nothing to do", _s(numbers, "nothing_to_do_s")),
    ]
    if "slurm_studies" in numbers:
        words = (
            f"{numbers['slurm_studies']} studies, {numbers['slurm_cancelled_jobs']} worker jobs "
            f"cancelled, {numbers['slurm_s']:.0f} s"
        )
        rows.append(("SLURM of one node", words))
    else:
        rows.append(("SLURM of one node", "not run"))
    rows.append(("**faults found by the judge**", f"**{numbers['faults']}**"))
    return [
        "| | |",
        "|---|---|",
        *(f"| {name} | {words} |" for name, words in rows),
        "",
        (
            f"{good} good studies had to give the same result hash and the same files to the byte "
            "as in the undisturbed run, the bad ones these codes:"
        ),
        "",
        "| wrong with the study | code |",
        "|---|---|",
        *(f"| {name} | `{code}` |" for name, code in codes.items()),
    ]


def _s(numbers: Mapping[str, Any], key: str) -> str:
    return f"{numbers[key]:.0f} s" if key in numbers else "not run"
