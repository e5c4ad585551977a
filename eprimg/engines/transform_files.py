"""Transforms on disk as ITK writes them: ``.tfm`` (text) and ``.h5`` (HDF5), bent ones too."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from eprimg.engines.sitk_bridge import bent_from_sitk, bent_to_sitk, write_tfm
from eprimg.errors import EprimgError, InputError, OutputError
from eprimg.model.transform import Transform

__all__ = ["SUFFIXES", "read_transform", "write_transform"]

SUFFIXES = (".tfm", ".txt", ".h5", ".hdf5")
"""Names of files that are taken for ITK transforms."""

_LARGEST_BYTES = 2_000_000_000
"""A larger file is no transform that anything here could use."""


def write_transform(transform: Transform, path: Path | str) -> None:
    """Write a transform as ITK, SimpleITK and 3D Slicer read it, all or nothing.

    Parameters
    ----------
    transform : Transform
        Affine or bent; frames of reference are not part of the format.
    path : Path
        ``.tfm``: text; ``.h5``: HDF5, which a bent transform should have for its size.  An older
        file is replaced.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` for another suffix.
    OutputError
        ``E_OUTPUT_UNWRITABLE`` when it cannot be written.

    Notes
    -----
    A bent transform is a composite of a displacement field (double precision, linear between
    nodes) and the affine transform that follows it.  HDF5 files keep the time of writing, so two
    files of the same transform differ in some bytes; their numbers do not.
    """
    import SimpleITK as sitk

    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            "the name of a transform file ends in .tfm or .h5",
            code="E_TRANSFORM_FILE",
            where=target.name,
        )
    if transform.is_affine and target.suffix.lower() in (".tfm", ".txt"):
        write_tfm(transform, target)
        return
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=".", suffix=target.suffix.lower(), dir=target.parent
        )
        os.close(handle)
        sitk.WriteTransform(bent_to_sitk(transform), temporary)
        with open(temporary, "rb+") as file:  # noqa: PTH123 (a name from mkstemp)
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except (OSError, RuntimeError) as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else "ITK failed"
        raise OutputError(
            f"the transform cannot be written: {why}",
            code="E_OUTPUT_UNWRITABLE",
            where=target.name,
            action="give a folder that you may write to, on a disk with space left",
        ) from error


def read_transform(path: Path | str, from_frame: str, to_frame: str) -> Transform:
    """Read an ITK transform file.

    Parameters
    ----------
    path : Path
        ``.tfm``, ``.txt``, ``.h5`` or any other file that ITK reads.
    from_frame, to_frame : str
        Frames of reference of the fixed and of the moving series: ITK maps fixed points to moving
        points.

    Returns
    -------
    Transform
        Linear transforms and at most one displacement field.

    Raises
    ------
    InputError
        ``E_TRANSFORM_FILE`` when the file is missing, faulty, or of another kind.
    """
    import SimpleITK as sitk

    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise InputError(
                "the file is too large for a transform",
                code="E_TRANSFORM_FILE",
                where=file.name,
                value=file.stat().st_size,
            )
        transform = sitk.ReadTransform(str(file))
    except (OSError, RuntimeError) as error:
        raise InputError(
            "the file is not a transform that ITK reads",
            code="E_TRANSFORM_FILE",
            where=file.name,
            action="give a .tfm or .h5 file with an affine transform or a displacement field",
        ) from error
    try:
        return bent_from_sitk(transform, from_frame, to_frame)
    except EprimgError as error:
        raise InputError(
            error.message,
            code="E_TRANSFORM_FILE",
            where=file.name,
            value=error.value,
            action=error.action,
        ) from error
