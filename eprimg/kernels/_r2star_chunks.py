"""Cut an echo stack into runs of voxels and share them among threads."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chunk", "Outputs", "chunks", "for_kernel", "processors", "share"]

Outputs = tuple[NDArray[Any], ...]

_POLL_S = 0.1
"""Seconds between two calls of the progress function while other threads work."""


class Chunk(NamedTuple):
    """A run of voxels: views of the input, of what belongs to it, and of the outputs.

    Attributes
    ----------
    samples : ndarray, shape (n_voxels, n_echoes)
        Signal.
    mask : ndarray of bool, shape (n_voxels,) or (0,)
        Voxels to fit; empty for all.
    sigma : ndarray of float64, shape (n_voxels,) or (0,)
        Noise of each voxel; empty where there is no map of it.
    outputs : tuple of ndarray, shape (n_voxels,)
        Results to write.
    """

    samples: NDArray[Any]
    mask: NDArray[np.bool_]
    sigma: NDArray[np.float64]
    outputs: Outputs


def for_kernel(outputs: Outputs) -> tuple[Outputs, NDArray[np.int16], NDArray[np.uint8]]:
    """Return outputs in the order of `R2StarFit` as a plain fit takes them.

    Parameters
    ----------
    outputs : tuple of ndarray
        In the order of `R2StarFit`.

    Returns
    -------
    tuple of ndarray
        The floating ones.
    n_echoes, reason : ndarray
        The others.
    """
    return (*outputs[:4], *outputs[6:9]), outputs[4], outputs[5]


def evenly_spaced(times: NDArray[np.float64]) -> bool:
    """Tell whether powers of one exponential give the decay at all echo times.

    Parameters
    ----------
    times : ndarray of float64, shape (n_echoes,)
        Echo times in any unit, strictly rising.

    Returns
    -------
    bool
        True where no echo is further than 1e-13 of the whole from its place.
    """
    return _evenly_spaced(times.tobytes())


@lru_cache(maxsize=64)
def _evenly_spaced(echoes: bytes) -> bool:
    # Every chunk asks about the same few echo times.
    times = np.frombuffer(echoes)
    places = (times - times[0]) / (times[-1] - times[0])
    return bool(np.all(np.abs(places - np.linspace(0.0, 1.0, times.size)) < 1e-13))


def processors() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunks(
    stack: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    sigma: NDArray[np.float64] | None,
    outputs: Outputs,
    per_chunk: int,
) -> Iterator[Chunk]:
    """Yield runs of voxels as two-dimensional views; descend where the axes cannot be merged.

    Parameters
    ----------
    stack : ndarray, shape (..., n_echoes)
        Signal.
    mask, sigma : ndarray, shape (...), optional
        Voxels to fit, and the noise of each.
    outputs : tuple of ndarray, shape (...)
        C-contiguous arrays for the results.
    per_chunk : int
        Largest number of voxels in a run.

    Yields
    ------
    Chunk
        The runs, in the order of memory.
    """
    shape, strides = stack.shape[:-1], stack.strides[:-1]
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    merges = all(
        strides[outer] == strides[inner] * shape[inner] for outer, inner in itertools.pairwise(axes)
    )
    if not merges:
        for k in range(shape[0]):
            yield from chunks(
                stack[k],
                None if mask is None else mask[k],
                None if sigma is None else sigma[k],
                tuple(output[k] for output in outputs),
                per_chunk,
            )
        return
    rows = stack.reshape(-1, stack.shape[-1])
    flat_mask = np.empty(0, np.bool_) if mask is None else mask.reshape(-1)
    flat_sigma = np.empty(0, np.float64) if sigma is None else sigma.reshape(-1)
    flat = tuple(output.reshape(-1) for output in outputs)
    for start in range(0, rows.shape[0], per_chunk):
        part = slice(start, start + per_chunk)
        part_mask = np.require(flat_mask[part], None, ["C"]).view()
        part_mask.flags.writeable = False
        yield Chunk(rows[part], part_mask, flat_sigma[part], tuple(output[part] for output in flat))


def share(
    fit: Callable[[Chunk], None],
    parts: Iterator[Chunk],
    threads: int,
    n_chunks: int,
    progress: Callable[[float], object] | None,
) -> None:
    """Share the chunks among plain threads.

    The kernels release the interpreter lock.  Plain threads instead of numba's own leave no global
    thread count behind and may be called from several threads at once (Dask, a napari worker),
    which numba's default threading layer does not survive.

    Parameters
    ----------
    fit : callable
        Fits one chunk.
    parts : iterator of Chunk
        The chunks.
    threads, n_chunks : int
        How many of each.
    progress : callable, optional
        Told the finished share by the calling thread.
    """
    lock = threading.Lock()
    done = itertools.count(1)
    finished, ended = 0, False

    def work(tell: Callable[[float], object] | None = None) -> None:
        nonlocal finished
        while not ended:
            with lock:
                chunk = next(parts, None)
            if chunk is None:
                return
            fit(chunk)
            finished = next(done)
            if tell is not None:
                tell(min(finished / n_chunks, 1.0))

    if threads <= 1:
        work(progress)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="r2star") as pool:
        running = {pool.submit(work) for _ in range(threads)}
        try:
            while running:
                over, running = wait(
                    running,
                    None if progress is None else _POLL_S,
                    return_when=ALL_COMPLETED if progress is None else FIRST_COMPLETED,
                )
                for each in over:
                    each.result()
                if progress is not None:
                    progress(min(finished / n_chunks, 1.0))
        finally:
            ended = True
