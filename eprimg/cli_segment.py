"""The command line of one series' regions: ``eprimg segment``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from eprimg.cli_show import out, progress, show_findings
from eprimg.config import Config, SegmentConfig, load_config
from eprimg.errors import ConfigError, InputError, option_unused

__all__ = ["segment"]

_PET_METHODS: tuple[str, ...] = SegmentConfig.__dataclass_fields__["method"].metadata["choices"]
_CLICKS = ("random-walker", "grow-cut", "gradient-watershed")


class Modality(StrEnum):
    """What is segmented."""

    AUTO = "auto"
    PET = "pet"
    MR = "mr"


class VoxelUnit(StrEnum):
    """Unit of a PET NIfTI without a side-car."""

    SUVBW = "suvbw"
    ACTIVITY = "activity"


def segment(
    source: Annotated[
        Path, typer.Argument(metavar="PET_OR_MR", help="NIfTI file, or folder with the series.")
    ],
    out_folder: Annotated[Path, typer.Option("--out", help="Output folder; must be new.")],
    method: Annotated[
        str,
        typer.Option(
            help=f"PET: {', '.join(_PET_METHODS)}. MR: {', '.join(_CLICKS)}. "
            "The default of the settings when left out."
        ),
    ] = "",
    seeds: Annotated[
        list[str] | None,
        typer.Option(
            "--seed", help="Point in a lesion, x,y,z in LPS mm; may be repeated. MR needs one."
        ),
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option("--background", help="MR: point that is no lesion, x,y,z in LPS mm."),
    ] = None,
    diameter_mm: Annotated[
        float | None, typer.Option(min=1.0, help="MR: rough diameter of the lesion.")
    ] = None,
    modality: Annotated[
        Modality, typer.Option(help="What it is, when the headers do not say.")
    ] = Modality.AUTO,
    unit: Annotated[
        VoxelUnit | None, typer.Option(help="Unit of a PET NIfTI without a side-car.")
    ] = None,
    regions_file: Annotated[
        Path | None,
        typer.Option("--regions", help="PET: mask of reference organs (NIfTI or DICOM SEG)."),
    ] = None,
    series: Annotated[
        str, typer.Option("--series", help="Key of the series (see eprimg scan).")
    ] = "",
    study_file: Annotated[Path | None, typer.Option("--study", help="Study file (TOML).")] = None,
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
    """Outline lesions on one PET or MR series: labels.nii.gz and regions.csv."""
    from eprimg.io.output_folder import check_target
    from eprimg.io.pet_or_mr import read_pet_or_mr
    from eprimg.io.write_region_folder import write_region_folder
    from eprimg.model.study import Role
    from eprimg.model.volume import EchoStack
    from eprimg.stages.segment_single import seed_indices, segment_mr

    config = load_config(config_file, assignments or ())
    if method and method not in (*_PET_METHODS, *_CLICKS):
        raise ConfigError(
            f"there is no method {method!r}",
            code="E_CONFIG",
            where="--method",
            value=method,
            action=f"use one of: {', '.join(dict.fromkeys((*_PET_METHODS, *_CLICKS)))}",
        )
    points = [_point(s, "--seed") for s in seeds or ()]
    others_mm = [_point(b, "--background") for b in background or ()]
    check_target(out_folder, overwrite=overwrite, source=source)
    only_mr = method in _CLICKS and method not in _PET_METHODS
    with progress() as tell:
        read = read_pet_or_mr(
            source,
            modality=str(modality),
            unit=str(unit) if unit else "",
            series=series,
            study_file=study_file,
            config=config,
            prefer="mr" if only_mr else "pet",
            progress=tell,
        )
        study, findings = read.value, list(read.findings)
        one = study.series[0]
        tell("segment", 0.8)
        places = seed_indices(one.grid, points)
        if one.role == Role.PET:
            if only_mr:
                raise _wrong_method(method, "PET", _PET_METHODS)
            if diameter_mm is not None:
                raise option_unused("--diameter-mm", "PET", "the click in a lesion on MR")
            if others_mm:
                raise option_unused("--background", "PET", "the click in a lesion on MR")
            if method:
                config = config.with_settings({"segment": {"method": method}})
            made = _pet(study, config, places, regions_file, findings)
        else:
            if method and method not in _CLICKS:
                raise _wrong_method(method, "MR", _CLICKS)
            if regions_file is not None:
                purpose = "PET, where candidates in organs are left out"
                raise option_unused("--regions", "MR", purpose)
            data = (
                one.pixels.volume.data[..., 0]  # the first echo
                if isinstance(one.pixels, EchoStack)
                else one.pixels.data
            )
            others = seed_indices(one.grid, others_mm, where="--background")
            made = segment_mr(
                data, one.grid, places, method=method, background=others, diameter_mm=diameter_mm
            )
        rows = _with_doubt(made.rows, findings)
        facts = {"input_hash": study.input_hash, "config_hash": config.hash}
        write_region_folder(made.lesions, rows, out_folder, facts=facts, overwrite=overwrite)
    show_findings((*findings, *made.findings))
    _show(rows)
    out.print(str(out_folder / "labels.nii.gz"), markup=False, soft_wrap=True)
    out.print(str(out_folder / "regions.csv"), markup=False, soft_wrap=True)
    if points and not made.lesions.regions:
        raise typer.Exit(5)


def _pet(
    study: Any, config: Config, places: Any, regions_file: Path | None, findings: list[Any]
) -> Any:
    """Segment a PET series in SUVbw where the header allows it, else in activity."""
    import numpy as np

    from eprimg import pipeline
    from eprimg.io.read_regions import read_regions
    from eprimg.model.case import Case, Finding, Severity
    from eprimg.model.maps import QuantityMap
    from eprimg.stages.segment_single import segment_pet

    one = study.series[0]
    if one.acquisition is None:
        volume = one.pixels
        values = QuantityMap(
            volume.data, volume.grid, volume.quantity, np.isfinite(volume.data), "as stored",
            (one.key,),
        )  # fmt: skip
    else:
        case = pipeline.run(
            study, config, case=Case(study=study), start="quantify", stop="quantify"
        )
        findings += case.findings
        values = case.maps.get("suvbw") or case.maps["activity"]
    if values.quantity.key != "suvbw":
        findings.append(
            Finding(
                "W_SEG_ACTIVITY",
                Severity.WARNING,
                one.key,
                "SUV is not known: the outlines were drawn on the values as they are.",
            )
        )
    organs = None
    if regions_file is not None:
        given = read_regions(regions_file, frame_of_reference=one.grid.frame_of_reference)
        findings += given.findings
        organs = given.value
    return segment_pet(values, one, config.segment, seeds=places, organs=organs)


def _with_doubt(rows: Any, findings: list[Any]) -> list[Any]:
    """Write beside every row that its series was taken for what nothing says that it is."""
    if "W_SEG_MODALITY" not in [f.code for f in findings]:
        return list(rows)
    doubt = "nothing says whether the series is PET or MR"
    return [{**r, "note": "; ".join(n for n in (r.get("note", ""), doubt) if n)} for r in rows]


def _point(text: str, where: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = float("nan")
    if not (abs(x) < 1e6 and abs(y) < 1e6 and abs(z) < 1e6):
        raise InputError(
            "a point has three numbers, x,y,z in LPS mm",
            code="E_SEG_SEED",
            where=where,
            value=text,
            action=f"e.g. {where} -12.5,30,101",
        )
    return x, y, z


def _wrong_method(method: str, what: str, choices: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"{method!r} is no method for {what}",
        code="E_CONFIG",
        where="--method",
        value=method,
        action=f"use one of: {', '.join(choices)}",
    )


def _show(rows: Any) -> None:
    table = Table(title="regions", title_justify="left")
    for name in ("region", "mL", "mm", "max", "peak", "mean", "note"):
        table.add_column(name, overflow="fold")
    for row in rows:
        cells = [
            f"{row[k]:.4g}" if row.get(k) is not None and row[k] == row[k] else ""
            for k in ("volume_ml", "equivalent_diameter_mm", "max", "peak", "mean")
        ]
        status = "" if row["status"] == "candidate" else f" ({row['status']})"
        table.add_row(f"{row['name']}{status}", *cells, escape(row.get("note", "")))
    out.print(table)
