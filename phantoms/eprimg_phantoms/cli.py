"""Command ``eprimg-phantom``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

app = typer.Typer(
    help="Digital reference objects: scenes become real DICOM with a known truth.",
    no_args_is_help=True,
    add_completion=False,
)
console = Console(stderr=True)


@app.command("make")
def make_command(
    scene: Annotated[str, typer.Argument(help="Built-in scene (see `list`) or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to create.")],
    size: Annotated[
        str, typer.Option("--size", help="small or full; vials: tiny or small.")
    ] = "small",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of noise and identifiers.")] = 1,
    ct: Annotated[bool, typer.Option("--ct", help="Also write the CT of the PET/CT.")] = False,
    variant: Annotated[str, typer.Option("--variant", help="Variant (see `list`).")] = "",
) -> None:
    """Write one phantom study: DICOM, masks and truth.json."""
    from eprimg_phantoms.make import make

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, object] = {}

        def show(step: str, fraction: float) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=1.0)
            bar.update(tasks[step], completed=fraction)  # type: ignore[arg-type]

        try:
            folder = make(
                scene, out, size=size, seed=seed, with_ct=ct, variant=variant, progress=show
            )
        except (ValueError, OSError) as problem:
            console.print(f"[red]error:[/red] {problem}", highlight=False)
            raise typer.Exit(2) from None
    typer.echo(folder)


@app.command("list")
def list_command() -> None:
    """List the built-in scenes."""
    from eprimg_phantoms.scene import available_scenes, available_variants
    from eprimg_phantoms.vials import scene_title

    for name in available_scenes():
        variants = ", ".join(available_variants(name))
        more = f" (variants: {variants})" if variants else ""
        typer.echo(f"{name}: {scene_title(name)}{more}")


@app.command("compare")
def compare_command(
    results: Annotated[Path, typer.Argument(help="Output folder of `eprimg run`.")],
    phantom: Annotated[Path, typer.Argument(help="Folder of the phantom, or its truth.json.")],
    size: Annotated[
        str | None, typer.Option("--size", help="Bounds to use; default: those of the phantom.")
    ] = None,
    shown: Annotated[
        bool, typer.Option("--all", help="Also print rows that are shown but not judged.")
    ] = False,
) -> None:
    """Compare what was written to disk with the truth; exit code 1 if a bound is broken."""
    from eprimg_phantoms.compare import compare

    report = compare(results, phantom, size=size)
    typer.echo(report.text(shown=shown))
    if not report.ok:
        raise typer.Exit(1)


def main() -> None:
    """Run the command."""
    app()
