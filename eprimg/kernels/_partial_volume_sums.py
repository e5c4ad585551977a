"""Sums over boxed weights and their spread as voxel loops, in plain Python that numba compiles."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._partial_volume_blur import Weights
from eprimg.kernels.label_boxes import Box

__all__ = ["overlaps", "spread_rows"]

_Volume = NDArray[Any]
_Flat = NDArray[np.float64]
_Ends = NDArray[np.int64]
Row = tuple[Box, _Volume]


def overlaps(ones: Sequence[Row], others: Sequence[Row]) -> NDArray[np.float64]:
    """Sum the products of every pair of boxed arrays where their boxes meet.

    Parameters
    ----------
    ones, others : sequence of tuple of Box and ndarray
        Boxes of one volume, and arrays of their shapes.

    Returns
    -------
    ndarray of float64, shape (len(ones), len(others))
        The sums; 0 where the boxes do not meet.
    """
    out = np.zeros((len(ones), len(others)))
    # The others side by side, the ones as they are: only what is small should be copied.
    packed = _packed(others)
    for (box, array), row in zip(ones, out, strict=True):
        ends = np.array([e for s in box for e in (s.start, s.stop)], np.int64)
        _compiled("pair_sums")(ends, np.ascontiguousarray(array, np.float64), *packed, row)
    return out


def spread_rows(rows: Sequence[Row], outer: Sequence[Box], weights: Weights) -> list[Row]:
    """Correlate boxed arrays with symmetric weights along each axis, into other boxes.

    Parameters
    ----------
    rows : sequence of tuple of Box and ndarray
        Boxes and arrays; nothing lies beyond them.
    outer : sequence of Box
        Boxes of the results.
    weights : tuple of ndarray
        Weights per axis, of odd length.

    Returns
    -------
    list of tuple of Box and ndarray
        The outer boxes and the correlated arrays in float64.
    """
    out: list[Row] = []
    for (box, array), wide in zip(rows, outer, strict=True):
        shape = tuple(s.stop - s.start for s in wide)
        first = np.array([b.start - o.start for b, o in zip(box, wide, strict=True)])
        result = np.empty(shape)
        _compiled("spread_box")(np.ascontiguousarray(array, np.float64), first, *weights, result)
        out.append((wide, result))
    return out


def pair_sums(
    box: _Ends,
    array: _Volume,
    others: _Ends,
    starts: _Ends,
    flat: _Flat,
    out: _Flat,
) -> None:
    """Sum the products of one array with every other, where their boxes meet."""
    for b in range(others.shape[0]):
        k0, k1 = max(box[0], others[b, 0]), min(box[1], others[b, 1])
        j0, j1 = max(box[2], others[b, 2]), min(box[3], others[b, 3])
        i0, i1 = max(box[4], others[b, 4]), min(box[5], others[b, 5])
        total = 0.0
        if k0 < k1 and j0 < j1 and i0 < i1:
            nj, ni = others[b, 3] - others[b, 2], others[b, 5] - others[b, 4]
            for k in range(k0, k1):
                for j in range(j0, j1):
                    row = array[k - box[0], j - box[2]]
                    at = starts[b] + ((k - others[b, 0]) * nj + j - others[b, 2]) * ni
                    at += i0 - others[b, 4]
                    to = i0 - box[4]
                    for i in range(i1 - i0):
                        total += row[to + i] * flat[at + i]
        out[b] = total


def spread_box(
    array: _Volume, first: _Ends, weight_k: _Flat, weight_j: _Flat, weight_i: _Flat, out: _Volume
) -> None:
    """Correlate one array that begins at `first` of the result; each axis changes in its turn.

    What lies outside of the result is dropped.  Four neighbours are added at a time, so that a row
    of the result is fetched and stored less often.
    """
    nk, nj, ni = array.shape
    mk, mj, mi = out.shape
    along_k = np.zeros((mk, nj, ni))
    reach = weight_k.size // 2
    for to in range(mk):
        k0, k1 = max(to - reach - first[0], 0), min(to + reach + 1 - first[0], nk)
        turn = first[0] - to + reach
        for j in range(nj):
            row = along_k[to, j]
            k = k0
            while k + 4 <= k1:
                w0, w1 = weight_k[turn + k], weight_k[turn + k + 1]
                w2, w3 = weight_k[turn + k + 2], weight_k[turn + k + 3]
                r0, r1, r2, r3 = array[k, j], array[k + 1, j], array[k + 2, j], array[k + 3, j]
                for i in range(ni):
                    row[i] += (w0 * r0[i] + w1 * r1[i]) + (w2 * r2[i] + w3 * r3[i])
                k += 4
            while k < k1:
                w0, r0 = weight_k[turn + k], array[k, j]
                for i in range(ni):
                    row[i] += w0 * r0[i]
                k += 1
    along_j = np.zeros((mk, mj, ni))
    reach = weight_j.size // 2
    for k in range(mk):
        for to in range(mj):
            j0, j1 = max(to - reach - first[1], 0), min(to + reach + 1 - first[1], nj)
            turn = first[1] - to + reach
            row = along_j[k, to]
            j = j0
            while j + 4 <= j1:
                w0, w1 = weight_j[turn + j], weight_j[turn + j + 1]
                w2, w3 = weight_j[turn + j + 2], weight_j[turn + j + 3]
                r0, r1 = along_k[k, j], along_k[k, j + 1]
                r2, r3 = along_k[k, j + 2], along_k[k, j + 3]
                for i in range(ni):
                    row[i] += (w0 * r0[i] + w1 * r1[i]) + (w2 * r2[i] + w3 * r3[i])
                j += 4
            while j < j1:
                w0, r0 = weight_j[turn + j], along_k[k, j]
                for i in range(ni):
                    row[i] += w0 * r0[i]
                j += 1
    reach = weight_i.size // 2
    # Nothing on either side, so that every place of a row has all its neighbours.
    padded = np.zeros(mi + 2 * reach + 4)
    i0, i1 = max(-reach - first[2], 0), min(mi + reach - first[2], ni)
    for k in range(mk):
        for j in range(mj):
            part, row = along_j[k, j], out[k, j]
            for i in range(i0, i1):
                padded[i + first[2] + reach] = part[i]
            for i in range(mi):
                row[i] = 0.0
            for t in range(0, weight_i.size, 4):
                w0 = weight_i[t]
                w1 = weight_i[t + 1] if t + 1 < weight_i.size else 0.0
                w2 = weight_i[t + 2] if t + 2 < weight_i.size else 0.0
                w3 = weight_i[t + 3] if t + 3 < weight_i.size else 0.0
                near = padded[t : t + mi + 3]
                for i in range(mi):
                    row[i] += (w0 * near[i] + w1 * near[i + 1]) + (
                        w2 * near[i + 2] + w3 * near[i + 3]
                    )


def _packed(rows: Sequence[Row]) -> tuple[_Ends, _Ends, _Flat]:
    """Return the ends of the boxes, where their arrays begin, and the arrays side by side."""
    ends = [[e for s in box for e in (s.start, s.stop)] for box, _ in rows]
    starts = np.cumsum([0, *(array.size for _, array in rows)])[:-1]
    flat = np.concatenate([np.empty(0), *(array.ravel() for _, array in rows)])
    return np.asarray(ends, np.int64).reshape(-1, 6), starts.astype(np.int64), flat


@cache
def _compiled(name: str) -> Callable[..., None]:
    """Compile on first use; numba is imported here so that importing eprimg stays fast."""
    numba: Any = importlib.import_module("numba")
    # Sums may be taken in another order; NaN keeps its meaning.
    jit = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})
    compiled: Callable[..., None] = jit({"pair_sums": pair_sums, "spread_box": spread_box}[name])
    return compiled
