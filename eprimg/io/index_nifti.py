"""NIfTI files of a folder: echo trains, masks and other volumes, told by name and side-car."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from eprimg.errors import InputError
from eprimg.io.echo_names import companion_paths, echo_number
from eprimg.io.entries import SeriesEntry
from eprimg.io.sidecar import nifti_stem, read_side_car, side_car_echo_times_ms
from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role

__all__ = ["is_magnitude", "is_nifti", "is_nrrd", "nifti_entries", "nrrd_entries"]

_ECHO = re.compile(r"_echo-(\d+)", re.IGNORECASE)
_PART = re.compile(r"_part-(phase|real|imag)|(^|[_\-.])(phase|ph)([_\-.]|$)", re.IGNORECASE)
_PET = re.compile(r"_pet$", re.IGNORECASE)
_MASK = re.compile(
    r"mask|label|dseg|(^|[_\-.])seg(mentation)?s?([_\-.]|$)|lesion|organ|roi", re.IGNORECASE
)


def is_nifti(path: Path | str) -> bool:
    """Tell a NIfTI file by its name.

    Parameters
    ----------
    path : Path or str
        Any file.

    Returns
    -------
    bool
        True for ``.nii`` and ``.nii.gz``.
    """
    return str(path).lower().endswith((".nii", ".nii.gz"))


def is_nrrd(path: Path | str) -> bool:
    """Tell an NRRD file by its name.

    Parameters
    ----------
    path : Path or str
        Any file.

    Returns
    -------
    bool
        True for ``.nrrd`` and ``.nhdr``.
    """
    return str(path).lower().endswith((".nrrd", ".nhdr"))


def is_magnitude(path: Path | str) -> bool:
    """Tell by its name a NIfTI file that may hold magnitude echoes.

    Parameters
    ----------
    path : Path or str
        NIfTI file.

    Returns
    -------
    bool
        False for phase, real and imaginary parts and for masks.
    """
    stem = nifti_stem(Path(path))
    return not _PART.search(stem) and not _MASK.search(stem)


def nifti_entries(paths: Sequence[Path], root: Path) -> list[SeriesEntry]:
    """Describe NIfTI files.

    Parameters
    ----------
    paths : sequence of Path
        NIfTI files.
    root : Path
        Folder of the scan, for names.

    Returns
    -------
    list of SeriesEntry
        Echo trains (grouped by their BIDS name), masks (role regions), PET with a PET-BIDS side-car
        (role pet) and others (unused).
    """
    trains: dict[tuple[Path, str], list[Path]] = {}
    entries = []
    for path in sorted(paths):
        stem = nifti_stem(path)
        if _ECHO.search(stem) and not _PART.search(stem):
            trains.setdefault((path.parent, _ECHO.sub("", stem)), []).append(path)
        else:
            entries.append(_single(path, root))
    for (_, stem), files in trains.items():
        files.sort(key=lambda p: echo_number(p) or 0)
        entries.append(_train(stem, files, companion_paths(files, paths)))
    return entries


def nrrd_entries(paths: Sequence[Path]) -> list[SeriesEntry]:
    """Describe NRRD files: masks by their name; NRRD is read for nothing else.

    Parameters
    ----------
    paths : sequence of Path
        NRRD files.

    Returns
    -------
    list of SeriesEntry
        Role regions for a name that says so (``.seg.nrrd`` does), else unused.
    """
    entries = []
    for path in sorted(paths):
        stem = path.stem
        mask = _MASK.search(stem) is not None
        entries.append(
            SeriesEntry(
                key=f"nrrd-{stem.lower()[:40]}",
                role=Role.REGIONS if mask else Role.UNUSED,
                reason="the name says that it holds regions"
                if mask
                else "NRRD is read for masks only; name it in study.toml if it is one",
                modality="NRRD",
                description=stem,
                source="nifti",
                n_files=1,
                n_frames=1,
                paths=(path,),
            )
        )
    return entries


def _header(path: Path) -> tuple[tuple[int, ...] | None, str]:
    import nibabel

    try:
        return tuple(int(n) for n in nibabel.load(path).shape), ""
    except Exception as error:  # nibabel raises many kinds for a damaged header
        return None, f"the NIfTI header cannot be read ({type(error).__name__})"


def _text(shape: tuple[int, ...]) -> str:
    i, j, k, *rest = (*shape, 1, 1)[: max(len(shape), 3)]
    echoes = f", {rest[0]} volumes" if rest and rest[0] > 1 else ""
    return f"{k} x {j} x {i}{echoes}"


def _has_pet_facts(path: Path) -> bool:
    """Tell a measured PET volume by its side-car; a derived map beside it has none of these."""
    try:
        car = read_side_car(path)
    except InputError:
        return True  # reading it will say what is wrong with the side-car
    return "InjectedRadioactivity" in car or "TracerRadionuclide" in car


def _single(path: Path, root: Path) -> SeriesEntry:
    stem = nifti_stem(path)
    shape, problem = _header(path)
    role, reason = Role.UNUSED, ""
    times: tuple[float, ...] = ()
    if shape is None:
        reason = problem
    elif _PART.search(stem):
        reason = "phase, real or imaginary part"
    elif _MASK.search(stem):
        role, reason = Role.REGIONS, "the name says that it holds regions"
    elif _PET.search(stem) and _has_pet_facts(path):
        role, reason = Role.PET, "PET-BIDS name and side-car"
    else:
        times = side_car_echo_times_ms([path])
        if len(shape) == 4 and shape[3] > 1 and len(times) != shape[3]:
            reason = f"{shape[3]} volumes without echo times: give them with --echo-times-ms"
            times = ()
        elif len(times) < 2:
            reason = "a volume without known use"
            times = ()
    findings = () if not problem else (Finding("E_NII_READ", Severity.ERROR, path.name, problem),)
    return SeriesEntry(
        key=f"nii-{stem.lower()[:40]}",
        role=role,
        reason=reason,
        modality="NIFTI",
        description=stem,
        source="nifti",
        n_files=1,
        n_frames=1 if shape else 0,
        shape=_text(shape) if shape else "",
        echo_times_ms=tuple(times),
        paths=(path,),
        findings=findings,
    )


def _train(stem: str, files: list[Path], companions: tuple[Path, ...]) -> SeriesEntry:
    shape, problem = _header(files[0])
    times = side_car_echo_times_ms(files)
    known = len(times) == len(files)
    reason = (
        "" if known else f"{len(times)} of {len(files)} echoes have an EchoTime in their side-car"
    )
    return SeriesEntry(
        key=f"nii-{stem.lower()[:40]}",
        role=Role.UNUSED,
        reason=problem or reason,
        modality="NIFTI",
        description=stem,
        source="nifti",
        n_files=len(files),
        n_frames=len(files),
        shape=f"{_text(shape)}, {len(files)} echoes" if shape else "",
        echo_times_ms=tuple(times) if known else (),
        paths=tuple(files),
        companion_paths=companions,
    )
