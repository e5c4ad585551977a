"""NIfTI volumes, echo trains and label volumes, with their JSON side-cars."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError, MissingTagError
from eprimg.io.bridge import grid_from_nifti, volume_array
from eprimg.io.echo_names import echo_name_findings
from eprimg.io.echo_times import check_echo_times_ms
from eprimg.io.image_notes import side_car_notes
from eprimg.io.sidecar import (
    nifti_stem,
    read_side_car,
    require_own_frame,
    seconds_from_ms,
    side_car_echo_times_ms,
)
from eprimg.model.acquisition import Known, MRAcquisition, Origin
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.grid import Grid
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack, Volume
from eprimg.quantities import quantity

__all__ = [
    "NiftiEchoTrain",
    "nifti_echo_train",
    "nifti_grid",
    "read_nifti_echoes",
    "read_nifti_labels",
    "read_nifti_volume",
]

_SESSION = re.compile(r"ses-[0-9A-Za-z]+")
_MAX_VOXELS = 2**32


def read_nifti_volume(
    path: Path | str, quantity_key: str, *, frame_of_reference: str | None = None
) -> Volume:
    """Read a NIfTI file as a volume.

    Parameters
    ----------
    path : Path or str
        File ``.nii`` or ``.nii.gz``.
    quantity_key : str
        Key of the quantity that the voxels hold, in that quantity's unit.
    frame_of_reference : str, optional
        Identifier of the coordinate system; else that of the side-car; else minted.

    Returns
    -------
    Volume
        Float32, shape (k, j, i) or (k, j, i, m).

    Raises
    ------
    EprimgError
        E_NII_READ, E_NII_DIM, E_NII_TYPE, E_NII_ZOOM, E_NII_CODE, E_NII_AFFINE.
    """
    path = Path(path)
    nifti = _load(path)
    grid = _grid(nifti, path, frame_of_reference)
    return Volume(_values(nifti, path, grid), grid, quantity(quantity_key))


def read_nifti_labels(
    path: Path | str, *, frame_of_reference: str | None = None
) -> tuple[npt.NDArray[np.int32], Grid]:
    """Read a NIfTI file with one integer label per voxel.

    Parameters
    ----------
    path : Path or str
        File ``.nii`` or ``.nii.gz``.
    frame_of_reference : str, optional
        Identifier of the coordinate system; else that of the side-car; else minted.

    Returns
    -------
    labels : ndarray of int32, shape (k, j, i)
        Labels.
    grid : Grid
        Where they lie.

    Raises
    ------
    EprimgError
        ``E_SEG_LABELS`` when values are not whole numbers from 0 on; ``E_FOR`` when the side-car
        names another frame; the codes of `read_nifti_volume`.
    """
    path = Path(path)
    require_own_frame(path, frame_of_reference)
    nifti = _load(path)
    grid = _grid(nifti, path, frame_of_reference)
    try:
        values = np.asanyarray(nifti.dataobj)
    except Exception as error:
        raise _damaged(path, error) from error
    values = volume_array(values.reshape(nifti.shape[:3] + _extra(values)))
    if values.ndim != 3:
        raise InputError(
            "a label volume has three axes",
            code="E_SEG_LABELS",
            where=path.name,
            value=nifti.shape,
            action="give one label volume",
        )
    with np.errstate(invalid="ignore"):
        whole = np.asarray(values, dtype=np.int32)
    if not np.array_equal(whole, values) or (whole.size and int(whole.min()) < 0):
        raise InputError(
            "labels are whole numbers from 0 on; this file holds other values",
            code="E_SEG_LABELS",
            where=path.name,
            action="give a label volume, not a probability or a signal",
        )
    return np.ascontiguousarray(whole), grid


def read_nifti_echoes(
    paths_or_4d: Path | str | Sequence[Path | str],
    *,
    echo_times_ms: Sequence[float] | None = None,
    key: str,
    role: Role,
    agent_phase: str | None = None,
) -> StageResult[Series]:
    """Read an echo train: one 4-D file, or one 3-D file per echo.

    Parameters
    ----------
    paths_or_4d : Path or sequence of Path
        Files in the order of ``echo_times_ms``.
    echo_times_ms : sequence of float, optional
        Echo times in ms; from the side-cars (``EchoTime`` in seconds) when left out.
    key : str
        Key of the series in the study.
    role : Role
        What it is used for.
    agent_phase : str, optional
        ``pre``, ``post`` or ``unknown``; from the role when left out.

    Returns
    -------
    StageResult of Series
        Echo stack of float32 with rising echo times.

    Raises
    ------
    EprimgError
        ``E_SIDECAR`` (no echo times), ``E_ECHO``, ``E_GRID_MISMATCH`` and E_NII_...
    """
    train = nifti_echo_train(paths_or_4d, echo_times_ms=echo_times_ms)
    paths, grid, times_ms, origin = train.paths, train.grid, train.echo_times_ms, train.origin
    order = np.argsort(times_ms, kind="stable")
    rank = np.argsort(order, kind="stable")
    data = np.empty((*grid.shape, len(times_ms)), dtype=np.float32)
    digest = hashlib.sha256()
    done = 0
    for path, nifti, count in zip(paths, train.loaded, train.counts, strict=True):
        values = _values(nifti, path, grid).reshape(*grid.shape, count)
        for n in range(count):
            data[..., rank[done + n]] = values[..., n]
        done += count
    for n, position in enumerate(order):
        digest.update(f"{times_ms[position]!r}|".encode())
        digest.update(np.ascontiguousarray(data[..., n]).data)
    rising = tuple(seconds_from_ms(float(times_ms[n])) for n in order)
    findings = _findings(paths, key, _frame_of(paths[0], None), data, len(rising))
    if origin == Origin.HEADER and len(paths) == len(times_ms):
        findings += echo_name_findings(dict(zip(paths, times_ms, strict=True)), key)
    series = Series(
        key=key,
        role=role,
        pixels=EchoStack(Volume(data, grid, quantity("signal")), rising),
        acquisition=_acquisition(paths, rising, agent_phase or _phase_of(role)),
        description=nifti_stem(paths[0]),
        source_hash=digest.hexdigest(),
        study_uid=f"nifti:{hashlib.sha256(digest.digest()).hexdigest()[:16]}",
        n_files=len(paths),
    )
    return StageResult(series, tuple(findings))


@dataclass(frozen=True, eq=False, slots=True)
class NiftiEchoTrain:
    """What the headers and side-cars of a NIfTI echo train say.

    Parameters
    ----------
    paths : list of Path
        Files.
    loaded : list of Any
        The files with their headers; the voxels are not read yet.
    counts : list of int
        Echoes in each file.
    grid : Grid
        Where all of them lie.
    echo_times_ms : list of float
        Echo times in ms, in the order of the files.
    origin : Origin
        Who said them.
    """

    paths: list[Path]
    loaded: list[Any]
    counts: list[int]
    grid: Grid
    echo_times_ms: list[float]
    origin: Origin


def nifti_echo_train(
    paths_or_4d: Path | str | Sequence[Path | str],
    *,
    echo_times_ms: Sequence[float] | None = None,
) -> NiftiEchoTrain:
    """Check what headers and side-cars of a NIfTI echo train say; no voxel is read.

    Parameters
    ----------
    paths_or_4d, echo_times_ms
        As in `read_nifti_echoes`.

    Returns
    -------
    NiftiEchoTrain
        Files, grid and echo times.

    Raises
    ------
    EprimgError
        As `read_nifti_echoes`, for what needs no voxel.
    """
    paths = [
        Path(p) for p in ([paths_or_4d] if isinstance(paths_or_4d, Path | str) else paths_or_4d)
    ]
    if not paths:
        raise InputError("no NIfTI file was given", code="E_EMPTY")
    loaded = [_load(p) for p in paths]
    frame = _frame_of(paths[0], None)
    grids = [_grid(n, p, frame) for n, p in zip(loaded, paths, strict=True)]
    for path, grid in zip(paths[1:], grids[1:], strict=True):
        grid.require_match(grids[0], what=f"{paths[0].name} and {path.name}")
    counts = [1 if len(n.shape) < 4 else int(n.shape[3]) for n in loaded]
    times_ms, origin = _echo_times(paths, sum(counts), echo_times_ms)
    where = "--echo-times-ms" if origin == Origin.ENTERED else "EchoTime of the side-cars"
    check_echo_times_ms(times_ms, where=where)
    if np.any(np.diff(np.sort(times_ms)) <= 0):
        raise InputError(
            "echo times repeat",
            code="E_ECHO",
            where=where,
            value=times_ms,
            action="give one volume per echo time",
        )
    return NiftiEchoTrain(paths, loaded, counts, grids[0], times_ms, origin)


def nifti_grid(path: Path | str) -> Grid:
    """Read where the voxels of a NIfTI file lie; no voxel is read.

    Parameters
    ----------
    path : Path or str
        File ``.nii`` or ``.nii.gz``.

    Returns
    -------
    Grid
        As `read_nifti_volume` gives it.

    Raises
    ------
    EprimgError
        As `read_nifti_volume`, for what needs no voxel.
    """
    return _grid(_load(Path(path)), Path(path), None)


def _phase_of(role: Role) -> str:
    return {Role.MR_PRE: "pre", Role.MR_POST: "post"}.get(role, "unknown")


def _load(path: Path) -> Any:
    import nibabel

    if not path.is_file():
        raise InputError("there is no such file", code="E_EMPTY", where=path.name)
    try:
        nifti = nibabel.load(path)
    except Exception as error:
        raise _damaged(path, error) from error
    if not isinstance(nifti, nibabel.Nifti1Image):
        raise InputError(
            "this is not a NIfTI file",
            code="E_NII_READ",
            where=path.name,
            value=type(nifti).__name__,
            action="give .nii or .nii.gz",
        )
    if np.prod([int(n) for n in nifti.shape], dtype=object) > _MAX_VOXELS:
        raise InputError(
            "the header asks for more voxels than this reader takes",
            code="E_TOO_LARGE",
            where=path.name,
            value=nifti.shape,
            action="check the file; its header may be damaged",
        )
    return nifti


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"the NIfTI file cannot be read ({type(error).__name__})",
        code="E_NII_READ",
        where=path.name,
        action="convert or copy the file again",
    )


def _frame_of(path: Path, given: str | None) -> str | None:
    if given:
        return given
    value = read_side_car(path).get("FrameOfReferenceUID")
    return str(value) if value else None


def _grid(nifti: Any, path: Path, frame_of_reference: str | None) -> Grid:
    session = _SESSION.search(path.as_posix())
    return grid_from_nifti(
        nifti,
        frame_of_reference=_frame_of(path, frame_of_reference),
        where=path.name,
        session=session.group(0) if session else "",
    )


def _extra(values: npt.NDArray[Any]) -> tuple[int, ...]:
    """Return the sizes behind the third axis without trailing ones."""
    extra = list(values.shape[3:])
    while extra and extra[-1] == 1:
        extra.pop()
    return tuple(extra)


def _values(nifti: Any, path: Path, grid: Grid) -> npt.NDArray[np.float32]:
    try:
        values = np.asarray(nifti.get_fdata(dtype=np.float32, caching="unchanged"))
    except Exception as error:
        raise _damaged(path, error) from error
    return volume_array(values.reshape(grid.shape[::-1] + _extra(values)))


def _echo_times(
    paths: list[Path], wanted: int, given: Sequence[float] | None
) -> tuple[list[float], Origin]:
    if given is not None:
        if len(given) != wanted:
            raise InputError(
                f"{len(given)} echo times were given for {wanted} volumes",
                code="E_ECHO",
                where="--echo-times-ms",
                value=list(given),
                action="give one per volume, in file order",
            )
        return [float(t) for t in given], Origin.ENTERED
    times = list(side_car_echo_times_ms(paths))
    if len(times) != wanted:
        without = [p.name for p in paths if not side_car_echo_times_ms([p])]
        raise MissingTagError(
            f"{wanted} volumes need {wanted} echo times, the side-cars give {len(times)}",
            code="E_SIDECAR",
            where=f"EchoTime beside {', '.join(without[:8]) or paths[0].name}",
            action="put EchoTime (s) into the JSON side-cars, or give --echo-times-ms",
        )
    return times, Origin.HEADER


def _findings(
    paths: list[Path], key: str, frame: str | None, data: npt.NDArray[np.float32], n_echoes: int
) -> list[Finding]:
    findings = []
    if frame is None:
        findings.append(
            Finding(
                "I_NII_FRAME",
                Severity.INFO,
                key,
                f"{paths[0].name} names no FrameOfReferenceUID in a side-car; only NIfTI files "
                "with the same matrix and orientation are taken to share its coordinates",
            )
        )
    if n_echoes == 2:
        findings.append(
            Finding(
                "I_TWO_ECHOES",
                Severity.INFO,
                key,
                "two echoes give R2* without a standard error and without a check of the model",
            )
        )
    bad = sum(int(np.count_nonzero(~np.isfinite(plane))) for plane in data)
    if bad:
        findings.append(
            Finding(
                "W_NAN",
                Severity.WARNING,
                key,
                f"{bad} values are not finite numbers; those voxels are not used",
            )
        )
    return findings


def _acquisition(
    paths: Sequence[Path], times_s: tuple[float, ...], agent_phase: str
) -> MRAcquisition:
    cars = [read_side_car(p) for p in paths]
    car = cars[0]

    def known(name: str) -> Known[float]:
        value = car.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
            return Known(float(value), Origin.HEADER, f"side-car {name}")
        return Known(where=f"side-car {name}")

    return MRAcquisition(
        echo_times_s=times_s,
        field_strength_t=known("MagneticFieldStrength"),
        agent_phase=agent_phase,
        manufacturer=str(car.get("Manufacturer", "")),
        model=str(car.get("ManufacturersModelName", "")),
        sequence=str(car.get("SequenceName", car.get("ScanningSequence", ""))),
        repetition_time_s=known("RepetitionTime"),
        flip_angle_deg=known("FlipAngle"),
        image_notes=side_car_notes(cars),
    )
