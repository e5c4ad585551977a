"""Pixels of frames: straight from the file where it is native, else through a decoder."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.errors import EprimgError, InputError, raise_faults
from eprimg.io.headers import NATIVE_LITTLE_ENDIAN
from eprimg.io.instance import Instance

__all__ = ["content_matches", "read_pixels", "require_readable"]

_RUN = 16
"""Frames per piece of work of one thread."""


def require_readable(frames: Sequence[Instance], *, what: str) -> None:
    """Refuse frames whose pixels cannot be read, before any memory is taken.

    Parameters
    ----------
    frames : sequence of Instance
        Frames of one volume.
    what : str
        Name of the series in messages.

    Raises
    ------
    InputError
        E_PIXEL_TYPE, E_PIXEL_SHORT or E_SYNTAX.
    """
    faults: list[EprimgError] = []
    kinds = Counter((f.bits_allocated, f.pixel_representation, f.samples_per_pixel) for f in frames)
    odd = [k for k in kinds if k[0] not in (8, 16, 32) or k[1] not in (0, 1) or k[2] != 1]
    if odd or any(not 0 < f.bits_stored <= f.bits_allocated for f in frames):
        faults.append(
            InputError(
                f"{what}: pixels are not grey values of 8, 16 or 32 bits",
                code="E_PIXEL_TYPE",
                where="BitsAllocated, BitsStored, PixelRepresentation, SamplesPerPixel (0028,...)",
                value=sorted(kinds),
                action="give the original series, not a colour or screen copy",
            )
        )
    shifted = [f for f in frames if f.high_bit not in (None, f.bits_stored - 1)]
    if shifted:
        # PS3.5 8.1.1: HighBit is BitsStored - 1; elsewhere every value would be a power of 2 off
        faults.append(
            InputError(
                f"{what}: the bits of {len(shifted)} of {len(frames)} frames do not start at bit "
                f"0 (HighBit {shifted[0].high_bit}, BitsStored {shifted[0].bits_stored}), which "
                "DICOM no longer allows",
                code="E_PIXEL_TYPE",
                where=f"HighBit (0028,0102) in {shifted[0].name}",
                value=shifted[0].high_bit,
                action="export the original series again; HighBit has to be BitsStored - 1",
            )
        )
    for f in frames:
        if f.pixel_offset is None or f.pixel_length is None:
            continue
        needed = _frame_bytes(f) * f.number_of_frames
        if f.pixel_length < needed:
            faults.append(_short(f, needed, f.pixel_length, what))
    for syntax in sorted({f.transfer_syntax for f in frames} - NATIVE_LITTLE_ENDIAN):
        fault = _missing_decoder(syntax, what)
        if fault is not None:
            faults.append(fault)
    raise_faults(faults)


def read_pixels(frames: Sequence[Instance], out: npt.NDArray[np.float32], *, what: str) -> str:
    """Read frames into an array, each with its own slope and intercept.

    Parameters
    ----------
    frames : sequence of Instance
        One per first-axis entry of ``out``.
    out : ndarray of float32, shape (n, rows, columns)
        Filled in place; stored value times slope plus intercept, computed in float64 and rounded
        once.
    what : str
        Name of the series in messages.

    Returns
    -------
    str
        SHA-256 over instance UIDs, rescale and stored values.

    Raises
    ------
    InputError
        E_PIXEL_SHORT, E_DECODE or E_FILE.
    """
    runs = _runs(frames)
    parts: list[list[bytes]] = [[] for _ in runs]

    def fill(number: int) -> None:
        start, stop = runs[number]
        exact = np.empty(out.shape[1:], dtype=np.float64)
        stored_frames = _stored_frames(frames[start:stop], what)
        for target, (frame, stored) in zip(out[start:stop], stored_frames, strict=True):
            digest = hashlib.sha256(
                f"{frame.sop_uid}|{frame.frame}|{frame.slope!r}|{frame.intercept!r}|".encode()
            )
            digest.update(np.ascontiguousarray(stored).data)
            parts[number].append(digest.digest())
            if frame.slope == 1.0 and frame.intercept == 0.0:
                target[...] = stored
                continue
            np.multiply(stored, frame.slope, out=exact)
            if frame.intercept != 0.0:
                exact += frame.intercept
            target[...] = exact

    # the decoders' warning filter belongs to the whole process: one thread when it is needed
    native = all(f.pixel_offset is not None for f in frames)
    with ThreadPoolExecutor(max_workers=_threads() if native else 1) as pool:
        for _ in pool.map(fill, range(len(runs))):
            pass
    return hashlib.sha256(b"".join(d for part in parts for d in part)).hexdigest()


def _threads() -> int:
    return max(1, min(4, os.cpu_count() or 1))


def _runs(frames: Sequence[Instance]) -> list[tuple[int, int]]:
    """Cut frames into pieces of work; a compressed multi-frame file stays in one piece."""
    runs = []
    start = 0
    for n in range(1, len(frames) + 1):
        if n < len(frames):
            whole = frames[n].pixel_offset is None and frames[n].path == frames[start].path
            if whole or n - start < _RUN:
                continue
        runs.append((start, n))
        start = n
    return runs


def content_matches(a: Instance, b: Instance) -> bool:
    """Tell whether two frames with one UID are copies of each other.

    Parameters
    ----------
    a, b : Instance
        Frames.

    Returns
    -------
    bool
        True when header facts and stored values are equal.
    """
    if replace(a, path=b.path, pixel_offset=None) != replace(b, pixel_offset=None):
        return False
    try:
        (_, first), (_, second) = [next(iter(_stored_frames([f], "series"))) for f in (a, b)]
    except InputError:
        return False
    return bool(np.array_equal(first, second))


def _frame_bytes(frame: Instance) -> int:
    return frame.rows * frame.columns * (frame.bits_allocated // 8)


def _dtype(frame: Instance) -> np.dtype[Any]:
    kind = "i" if frame.pixel_representation else "u"
    return np.dtype(f"<{kind}{frame.bits_allocated // 8}")


def _short(frame: Instance, needed: int, found: int, what: str) -> InputError:
    return InputError(
        f"{what}: the pixels of {frame.name} are cut off ({found} bytes instead of {needed})",
        code="E_PIXEL_SHORT",
        where=f"PixelData (7FE0,0010) in {frame.name}",
        value=found,
        action="transfer the file again",
    )


def _stored_frames(
    frames: Sequence[Instance], what: str
) -> Iterator[tuple[Instance, npt.NDArray[Any]]]:
    """Yield every frame with its stored values, unused bits cleared."""
    for _, run in groupby(frames, key=lambda f: (f.path, f.pixel_offset is None)):
        same_file = list(run)
        if same_file[0].pixel_offset is None:
            yield from _decoded(same_file, what)
        else:
            yield from _native(same_file, what)


def _native(frames: list[Instance], what: str) -> Iterator[tuple[Instance, npt.NDArray[Any]]]:
    try:
        with frames[0].path.open("rb", buffering=0) as file:
            for frame in frames:
                assert frame.pixel_offset is not None
                stored = np.empty((frame.rows, frame.columns), dtype=_dtype(frame))
                file.seek(frame.pixel_offset)
                found = file.readinto(stored.data.cast("B")) or 0
                if found < stored.nbytes:
                    raise _short(frame, stored.nbytes, found, what)
                yield frame, _used_bits(frame, stored)
    except OSError as error:
        raise InputError(
            f"{what}: {frames[0].name} cannot be read: {error.strerror}",
            code="E_FILE",
            where=frames[0].name,
        ) from error


def _used_bits(frame: Instance, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Clear (or sign-extend over) the bits above BitsStored, which carry no value (PS3.5 8.1.1)."""
    unused = frame.bits_allocated - frame.bits_stored
    if unused > 0:
        if frame.pixel_representation:
            stored <<= unused
            stored >>= unused
        else:
            stored &= (1 << frame.bits_stored) - 1
    return stored


def _decoded(frames: list[Instance], what: str) -> Iterator[tuple[Instance, npt.NDArray[Any]]]:
    from pydicom.pixels import iter_pixels

    first = frames[0]
    numbers = [f.frame or 0 for f in frames]
    try:
        with warnings.catch_warnings():
            # a decoder that warns (wrong length of a run, wrong size) made up or dropped values
            warnings.simplefilter("error")
            for frame, stored in zip(
                frames, iter_pixels(first.path, indices=numbers, raw=True), strict=True
            ):
                if stored.shape != (frame.rows, frame.columns):
                    raise ValueError(f"decoded to {stored.shape}")
                yield frame, stored
    except (KeyboardInterrupt, SystemExit, GeneratorExit, EprimgError):
        raise
    except BaseException as error:  # a Rust decoder panics past `except Exception`
        raise InputError(
            f"{what}: the pixels of {first.name} cannot be decoded ({type(error).__name__}: "
            f"{str(error)[:120]})",
            code="E_DECODE",
            where=first.name,
            action="transfer the file again, or have it sent uncompressed",
        ) from error


def _missing_decoder(syntax: str, what: str) -> InputError | None:
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    name = UID(syntax).name
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None:
        return InputError(
            f"{what}: transfer syntax {name} cannot be read",
            code="E_SYNTAX",
            where="TransferSyntaxUID (0002,0010)",
            value=syntax,
            action="have the series sent uncompressed",
        )
    if not decoder.is_available:
        needs = "; ".join(decoder.missing_dependencies)
        return InputError(
            f"{what}: transfer syntax {name} needs a decoder that is not installed",
            code="E_SYNTAX",
            where="TransferSyntaxUID (0002,0010)",
            value=syntax,
            action=f"install one of: {needs}; or have it sent uncompressed",
        )
    return None
