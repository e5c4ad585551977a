"""The command line: parse, call one function, print."""

from __future__ import annotations

import json
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from eprimg import __version__, cli_batch, cli_register, cli_segment
from eprimg.cli_show import err, out, progress, show_case, show_findings, show_index
from eprimg.config import Config, load_config
from eprimg.errors import (
    ConfigError,
    EngineError,
    EprimgError,
    GeometryError,
    OutputError,
)

__all__ = ["EXIT_CODES", "app", "main"]

EXIT_CODES = {
    0: "all went well",
    1: "an unexpected fault of eprimg itself: please report it",
    2: "the command line was wrong",
    3: "the input was refused",
    4: "a setting, study file or scheme file was refused",
    5: "geometry, registration or an engine failed",
    6: "the output cannot be written, or is already there",
    7: "the comparison with the truth failed (demo)",
    8: "some studies were refused (batch)",
    9: "some studies failed (batch)",
    10: "the engine was lost, or studies wait: run the same command again to resume (batch)",
    130: "stopped by Ctrl-C",
}

app = typer.Typer(
    name="eprimg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Nanoparticle uptake of tumours from ferumoxytol MRI and 89Zr / 64Cu PET. "
    "Research use only; not a medical device.",
)
map_app = typer.Typer(no_args_is_help=True, help="Just a map, from one series.")
config_app = typer.Typer(no_args_is_help=True, help="Settings.")
app.add_typer(map_app, name="map")
app.add_typer(config_app, name="config")
app.command()(cli_batch.batch)
app.command()(cli_batch.status)
app.command()(cli_register.register)
app.command()(cli_segment.segment)

Folder = Annotated[Path, typer.Argument(help="Folder with the study (DICOM, or NIfTI), or a file.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Output folder; must be new.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="One setting, section.key=value; may be repeated.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier output folder.")]
SeriesKey = Annotated[str, typer.Option("--series", help="Key of the series (see eprimg scan).")]


class DemoSize(StrEnum):
    """Sizes of the phantom."""

    SMALL = "small"
    FULL = "full"


@app.command()
def scan(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the series of a folder and propose a role for each (headers only)."""
    from eprimg.io.index import scan as scan_folder

    with progress() as tell:
        index = scan_folder(
            folder, progress=lambda number, total: tell("scan", number / max(total, 1))
        )
    if as_json:
        sys.stdout.write(json.dumps(index.to_dict(), indent=2, ensure_ascii=False) + "\n")
        return
    show_index(index)
    show_findings(index.findings)


@app.command()
def run(
    out_folder: OutFolder,
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder with the study; with --case: where it lies now, if moved."),
    ] = None,
    config_file: ConfigFile = None,
    assignments: Assignments = None,
    study_file: Annotated[
        Path | None, typer.Option("--study", help="Study file (TOML): roles, facts, masks.")
    ] = None,
    saved_case: Annotated[
        Path | None, typer.Option("--case", help="Saved case: its regions and facts are used.")
    ] = None,
    accept_candidates: Annotated[
        bool, typer.Option(help="Treat automatic regions as confirmed, so that they get tiers.")
    ] = False,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Do nothing when the same run is already there.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, do nothing.")] = False,
) -> None:
    """Measure a study: maps, lesion table, tiers, report."""
    from eprimg import pipeline
    from eprimg.io.output_folder import output_path

    if folder is None and saved_case is None:
        raise typer.BadParameter("give the folder of a study, or --case with a saved case")
    config = load_config(config_file)
    if saved_case is not None and config_file is None:
        from eprimg.io.saved_case import load_saved_case

        config = load_saved_case(saved_case, source=folder).config
    config = config.with_assignments(assignments or ())
    if accept_candidates:
        config = config.with_settings({"segment": {"accept_candidates": True}})
    if dry_run:
        _show_plan(folder, out_folder, config, study_file, saved_case, overwrite, resume)
        return
    with progress() as tell:
        case = pipeline.run_folder(
            folder,
            out_folder,
            config,
            study_file=study_file,
            saved_case=saved_case,
            overwrite=overwrite,
            resume=resume,
            progress=tell,
        )
    if not case.provenance.finished:
        out.print(f"already there, same input, settings and version: {out_folder}", markup=False)
        return
    show_case(case)
    out.print(f"report: {output_path(out_folder, 'report')}", markup=False, soft_wrap=True)


def _show_plan(
    folder: Path | None,
    out_folder: Path,
    config: Config,
    study_file: Path | None,
    saved_case: Path | None,
    overwrite: bool,
    resume: bool,
) -> None:
    """Say what a run would do, after every check that needs no voxel of a series."""
    from eprimg import pipeline
    from eprimg.folder_plan import check_folder

    with progress() as tell:
        planned = pipeline.plan_folder(
            folder,
            out_folder,
            config,
            study_file=study_file,
            saved_case=saved_case,
            overwrite=overwrite,
            resume=resume,
            progress=tell,
        )
        findings = check_folder(planned, progress=tell)
    show_index(planned.plan.index)
    show_findings(findings)
    out.print(f"would run: {', '.join(pipeline.STAGES)}; would write to {out_folder}", markup=False)


@app.command()
def view(
    path: Annotated[Path, typer.Argument(help="Folder with the study, or a saved case.")],
) -> None:
    """Open a study or a saved case in the napari reading room."""
    import subprocess
    from importlib.util import find_spec

    from eprimg.errors import EngineUnavailable, InputError

    if not path.exists():
        raise InputError(
            "there is no such folder or file", code="E_EMPTY", where=path.name, value=str(path)
        )
    bindings = ("PySide6", "PyQt6", "PyQt5", "PySide2")
    missing = [n for n in ("napari", "napari_eprimg", "qtpy") if find_spec(n) is None]
    if not any(find_spec(name) for name in bindings):
        missing.append("a Qt binding")
    if missing:
        raise EngineUnavailable(
            f"the reading room needs what is not installed: {', '.join(missing)}",
            code="E_VIEWER",
            where=sys.executable,
            action='install them into this Python: pip install "napari[pyside6]"',
        )
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in screens):
        raise EngineUnavailable(
            "the reading room needs a screen, and there is none in this session",
            code="E_VIEWER",
            where="DISPLAY",
            action="run it on the desktop of the computer, or over `ssh -X`; without a screen use "
            "eprimg run",
        )
    # A process of its own: eprimg never imports Qt, and a crash of a window stays there.
    done = subprocess.run([sys.executable, "-m", "napari_eprimg", str(path)], check=False)
    if done.returncode:
        raise typer.Exit(done.returncode if done.returncode > 0 else 128 - done.returncode)


@map_app.command("r2star")
def map_r2star(
    folder: Folder,
    out_folder: OutFolder,
    echo_times_ms: Annotated[
        str, typer.Option(help="Echo times for NIfTI without a side-car, e.g. 4,8,12.")
    ] = "",
    series: SeriesKey = "",
    config_file: ConfigFile = None,
    assignments: Assignments = None,
    overwrite: Overwrite = False,
) -> None:
    """Fit R2* (1/s) with its standard error and S0 from one multi-echo series."""
    from eprimg.io.single import read_echoes

    config = load_config(config_file, assignments or ())
    times = tuple(_floats(echo_times_ms)) if echo_times_ms else None
    with progress() as tell:
        read = read_echoes(folder, series=series, echo_times_ms=times, config=config, progress=tell)
    files = {"r2star": "r2star_pre", "r2star_se": "r2star_pre", "s0": "s0_pre"}
    _single_map(read, config, folder, out_folder, overwrite, files)


@map_app.command("suv")
def map_suv(
    folder: Folder,
    out_folder: OutFolder,
    series: SeriesKey = "",
    study_file: Annotated[Path | None, typer.Option("--study", help="Study file (TOML).")] = None,
    config_file: ConfigFile = None,
    assignments: Assignments = None,
    overwrite: Overwrite = False,
) -> None:
    """Compute SUVbw (g/mL) from one PET series."""
    from eprimg.io.single import read_activity

    config = load_config(config_file, assignments or ())
    with progress() as tell:
        read = read_activity(
            folder, series=series, study_file=study_file, config=config, progress=tell
        )
    _single_map(read, config, folder, out_folder, overwrite, {"suvbw": "suvbw"})


def _floats(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            "echo times are numbers in milliseconds with commas between them",
            code="E_ECHO",
            where="--echo-times-ms",
            value=text,
            action="e.g. --echo-times-ms 4,8,12",
        ) from None


def _single_map(
    read: Any,
    config: Config,
    folder: Path,
    out_folder: Path,
    overwrite: bool,
    files: dict[str, str],
) -> None:
    from eprimg import pipeline
    from eprimg.io.output_folder import check_target
    from eprimg.io.outputs import write_map_folder
    from eprimg.model.case import Case

    check_target(out_folder, overwrite=overwrite, source=folder)
    case = Case(study=read.value, findings=read.findings)
    with progress() as tell:
        case = pipeline.run(
            read.value, config, case=case, start="quantify", stop="quantify", progress=tell
        )
        write_map_folder(case, config, out_folder, files, overwrite=overwrite)
    show_findings(case.findings)
    for name in files:
        out.print(str(out_folder / f"{name}.nii.gz"), markup=False, soft_wrap=True)


@app.command()
def demo(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder; must be new.")] = Path("demo"),
    size: Annotated[DemoSize, typer.Option(help="Size of the phantom.")] = DemoSize.SMALL,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the phantom.")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Make a phantom study as DICOM, measure it, compare with the truth."""
    import shutil

    from eprimg import pipeline
    from eprimg.io.output_folder import check_target, output_path
    from eprimg.io.study import read_study
    from eprimg_phantoms import make
    from eprimg_phantoms.compare import compare

    results, phantom = out_folder / "results", out_folder / "phantom"
    check_target(results, overwrite=overwrite)
    if phantom.exists():
        if not (overwrite and (phantom / "truth.json").is_file()):
            raise OutputError(
                "the demo folder is already there",
                code="E_OUTPUT_EXISTS",
                where=str(out_folder),
                action="give another --out, or --overwrite",
            )
        shutil.rmtree(phantom)
    config = Config()
    with progress() as tell:
        tell("phantom", 0.0)
        clock = time.perf_counter()
        make("abdomen", phantom, size=str(size), seed=seed)
        seconds = {"phantom": time.perf_counter() - clock}
        clock = time.perf_counter()
        read = read_study(phantom / "dicom", config=config, progress=tell)
        seconds["read"] = time.perf_counter() - clock
        case = pipeline.run(
            read.value, config, findings=read.findings, seconds=seconds, progress=tell
        )
        clock = time.perf_counter()
        pipeline.export_case(case, config, results, overwrite=overwrite, progress=tell)
        written = time.perf_counter() - clock
    comparison = compare(results, phantom)
    show_case(case)
    out.print(comparison.text(), markup=False, soft_wrap=True)
    spent = {**case.provenance.seconds, "report and write": written}
    times = ", ".join(f"{k} {v:.1f} s" for k, v in spent.items())
    out.print(
        f"time: {times}; peak memory {case.provenance.peak_memory_mb:.0f} MB",
        markup=False,
        soft_wrap=True,
    )
    out.print(f"report: {output_path(results, 'report')}", markup=False, soft_wrap=True)
    if not comparison.ok:
        out.print("[bold red]the measured numbers do not agree with the truth[/]")
        raise typer.Exit(7)
    out.print("[bold green]all numbers agree with the truth within their bounds[/]")


@app.command()
def check() -> None:
    """Show versions and which engines are available, and why others are not."""
    from eprimg.registry import engines

    out.print(f"eprimg {__version__}, Python {sys.version.split()[0]}", markup=False)
    table = Table()
    for name in ("kind", "engine", "available", "detail"):
        table.add_column(name, overflow="fold")
    for engine in engines():
        table.add_row(
            engine.kind, engine.name, "yes" if engine.available else "no", escape(engine.detail)
        )
    out.print(table)


@config_app.command("show")
def config_show(config_file: ConfigFile = None, assignments: Assignments = None) -> None:
    """Print all settings as TOML, with their meaning."""
    sys.stdout.write(load_config(config_file, assignments or ()).to_toml())


@app.command()
def explain(code: Annotated[str, typer.Argument(help="A code, e.g. E_SUV_TIME.")]) -> None:
    """Explain an error or finding code."""
    from eprimg.resources.codes import explain_code

    entry = explain_code(code)
    out.print(f"[bold]{escape(entry.code)}[/]  {escape(entry.title)}\n")
    out.print(escape(entry.text))
    out.print(f"\n[bold]What to do:[/] {escape(entry.action)}")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(__version__, markup=False)
        raise typer.Exit


def exit_code(error: EprimgError) -> int:
    """Choose the exit code of an error.

    Parameters
    ----------
    error : EprimgError
        What was raised.

    Returns
    -------
    int
        See `EXIT_CODES`.
    """
    if isinstance(error, OutputError):
        return 6
    if isinstance(error, ConfigError):
        return 4
    if isinstance(error, GeometryError | EngineError):
        return 5
    return 3


def main() -> None:
    """Run the command line; coded errors become one message and an exit code."""
    try:
        app()
    except EprimgError as error:
        err.print(f"[bold red]refused[/] {escape(str(error))}", soft_wrap=True)
        err.print(f"`eprimg explain {error.code}` tells more.", markup=False)
        raise SystemExit(exit_code(error)) from None


if __name__ == "__main__":
    main()
