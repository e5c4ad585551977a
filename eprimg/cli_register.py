"""The command line of one registration: ``eprimg register``."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from eprimg.cli_show import err, out, progress, show_findings, show_registrations
from eprimg.config import Config, load_config
from eprimg.errors import InputError

__all__ = ["register"]

_FAILED = 5


class Model(StrEnum):
    """How the moving series may move."""

    RIGID = "rigid"
    DEFORMABLE = "deformable"


class Kind(StrEnum):
    """What a series shows."""

    MR = "mr"
    PET = "pet"
    CT = "ct"


def register(
    fixed: Annotated[
        Path, typer.Option(help="Series that stays: NIfTI file, or folder with one DICOM series.")
    ],
    moving: Annotated[Path, typer.Option(help="Series that is brought to it.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Output folder; must be new.")],
    model: Annotated[
        Model | None,
        typer.Option(
            help="How it may move; as in the settings when left out. A bent transform is "
            "written to transform.h5, any other to transform.tfm."
        ),
    ] = None,
    start: Annotated[
        str,
        typer.Option(help="identity, best, or an ITK transform file to begin with."),
    ] = "",
    engine: Annotated[str, typer.Option(help="Engine (see eprimg check).")] = "",
    fixed_mask: Annotated[
        Path | None,
        typer.Option(help="Mask (NIfTI) on the fixed series: only there are they compared."),
    ] = None,
    moving_mask: Annotated[
        Path | None, typer.Option(help="The same on the moving series; each may stand alone.")
    ] = None,
    fixed_labels: Annotated[
        Path | None,
        typer.Option(help="Labels (NIfTI) on the fixed series, to check the result with."),
    ] = None,
    moving_labels: Annotated[
        Path | None, typer.Option(help="Labels (NIfTI) on the moving series, same numbers.")
    ] = None,
    fixed_kind: Annotated[
        Kind | None, typer.Option(help="What the fixed series shows; NIfTI: mr when left out.")
    ] = None,
    moving_kind: Annotated[
        Kind | None, typer.Option(help="What the moving series shows; NIfTI: mr when left out.")
    ] = None,
    fixed_series: Annotated[
        str, typer.Option(help="Key of the series in a folder with several.")
    ] = "",
    moving_series: Annotated[
        str, typer.Option(help="Key of the series in a folder with several.")
    ] = "",
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Settings file (TOML).")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, section.key=value; may be repeated."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier output folder.")
    ] = False,
) -> None:
    """Align two series; write the transform, the moved series and the quality figures.

    The transform is an ITK file: transform.tfm, or transform.h5 when it is bent.
    """
    from eprimg.io.output_folder import check_apart, check_target
    from eprimg.io.read_volume import read_volume
    from eprimg.io.write_registration import write_registration
    from eprimg.stages.moved_series import moved_series
    from eprimg.stages.register import register_pair

    config = _settings(config_file, assignments, model, engine)
    check_target(out_folder, overwrite=overwrite, source=fixed)
    check_apart(out_folder, moving)
    with progress() as tell:
        first, second = (
            read_volume(path, key=key, kind=kind or "", series=name, config=config, progress=tell)
            for path, key, kind, name in (
                (fixed, "fixed", fixed_kind, fixed_series),
                (moving, "moving", moving_kind, moving_series),
            )
        )
        masks = _labels(fixed_labels, moving_labels, first.value, second.value)
        begin = _begin(start, first.value, second.value)
        given = _given(begin, fixed_mask, moving_mask, first.value, second.value)
        result = register_pair(
            first.value,
            second.value,
            config,
            start=start if begin is None else "",
            masks=masks,
            given=given,
            progress=tell,
        )
        findings = (*first.findings, *second.findings, *result.findings)
        made = result.value
        if made is not None:
            tell("writing", 1.0)
            facts = {
                "input_hash": f"{first.value.source_hash} {second.value.source_hash}",
                "config_hash": config.hash,
                "fixed": fixed.name,
                "moving": moving.name,
            }
            if begin is not None:
                facts |= {"start": begin.source, "start_sha256": begin.sha256}
            path = write_registration(
                out_folder,
                made,
                moved_series(second.value, first.value.grid, made.transform),
                first.value.grid,
                findings=findings,
                facts=facts,
                overwrite=overwrite,
            )
    show_findings(findings)
    if made is None:
        err.print("[bold red]the two series could not be aligned; nothing was written[/]")
        raise typer.Exit(_FAILED)
    show_registrations((made,))
    out.print(f"transform: {path}", markup=False, soft_wrap=True)
    if not made.accepted:
        raise typer.Exit(_FAILED)


def _settings(
    config_file: Path | None, assignments: list[str] | None, model: Model | None, engine: str
) -> Config:
    from eprimg.engines.registrars.profiles import checked_profiles

    config = load_config(config_file, assignments or ())
    checked_profiles(config.register)
    settings: dict[str, Any] = {"accept_identity": False}
    if engine:
        settings["engine"] = engine
    # A version without bending knows one model and has no setting for it.
    if model is not None and (model != Model.RIGID or hasattr(config.register, "model")):
        settings["model"] = str(model)
    return config.with_settings({"register": settings})


def _begin(start: str, fixed: Any, moving: Any) -> Any:
    """Read the file that the search begins with; None when a name says where it begins."""
    if start in ("", "identity", "best"):
        return None
    from eprimg.engines.transform_files import read_transform
    from eprimg.model.manual_help import GivenTransform, HelpUse

    path = Path(start)
    if not path.is_file():
        raise InputError(
            "the start is identity, best, or a transform file that is there",
            code="E_ARGUMENT",
            where="--start",
            value=start,
        )
    frames = fixed.grid.frame_of_reference, moving.grid.frame_of_reference
    transform = read_transform(path, *frames)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return GivenTransform(transform, path.name, sha256, fixed.key, moving.key, HelpUse.START)


def _given(
    begin: Any, fixed_path: Path | None, moving_path: Path | None, fixed: Any, moving: Any
) -> Any:
    """Gather what was given: where the search begins, and masks inside of which it looks."""
    from eprimg.io.read_nifti import read_nifti_labels
    from eprimg.model.manual_help import ManualHelp, MetricMask

    masks = []
    for path, series in ((fixed_path, fixed), (moving_path, moving)):
        if path is not None:
            frame = series.grid.frame_of_reference
            labels, grid = read_nifti_labels(path, frame_of_reference=frame)
            masks.append(MetricMask(series.key, labels > 0, grid, path.name))
    return ManualHelp((begin,) if begin is not None else (), masks=tuple(masks))


def _labels(fixed_path: Path | None, moving_path: Path | None, fixed: Any, moving: Any) -> Any:
    """Read both label files, by label number; the files lie on the grids of their series."""
    if fixed_path is None and moving_path is None:
        return None
    if fixed_path is None or moving_path is None:
        raise InputError(
            "labels are compared with each other: give both, or none",
            code="E_ARGUMENT",
            where="--fixed-labels, --moving-labels",
        )
    import numpy as np

    from eprimg.io.read_nifti import read_nifti_labels

    found = []
    for path, series in ((fixed_path, fixed), (moving_path, moving)):
        frame = series.grid.frame_of_reference
        labels, grid = read_nifti_labels(path, frame_of_reference=frame)
        found.append((labels, grid))
    # Only what both hold is compared; numbers may be large (atlases count to tens of thousands).
    numbers = np.intersect1d(np.unique(found[0][0]), np.unique(found[1][0]))
    numbers = numbers[numbers > 0]
    if numbers.size == 0:
        raise InputError(
            "the two label files share no label number, so nothing can be compared",
            code="E_ARGUMENT",
            where="--fixed-labels, --moving-labels",
            value=tuple([int(n) for n in np.unique(labels)[:20] if n > 0] for labels, _ in found),
            action="give the same structure the same number in both files",
        )
    first, second = (({str(int(n)): labels == n for n in numbers}, grid) for labels, grid in found)
    return first, second
