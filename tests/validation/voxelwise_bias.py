"""Bias of the ΔR2* of lesions: averages over lesions with their interval, and the bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from tests.validation.voxelwise_dr2star import Row

BOUND_PER_S = 2.0


class Bias(NamedTuple):
    """A mean error over lesions."""

    value: float
    half: float
    """Half the width of the 95 % interval, by the spread between lesions."""
    lesions: int

    @property
    def ok(self) -> bool:
        """Whether the mean is within the bound."""
        return abs(self.value) <= BOUND_PER_S

    def __str__(self) -> str:
        """Write it with its interval."""
        low, high = self.value - self.half, self.value + self.half
        return f"{signed(self.value)} 1/s (95 % interval {signed(low)} to {signed(high)})"


def signed(value: float) -> str:
    """Write a number with its sign and one digit, and zero without the sign of its rest."""
    return f"{round(value, 1) + 0.0:+.1f}"


def bias(rows: Sequence[Row], figure: str) -> Bias:
    """Average over lesions.

    The same lesions come back in every study, so each counts once, with its mean.
    """
    each = list(by_lesion(rows, figure).values())
    half = np.nan
    if len(each) > 1:
        half = float(stats.t.ppf(0.975, len(each) - 1) * np.std(each, ddof=1) / len(each) ** 0.5)
    return Bias(float(np.mean(each)) if each else np.nan, half, len(each))


def by_lesion(rows: Sequence[Row], figure: str) -> dict[str, float]:
    """Mean error of every lesion over its studies."""
    names = dict.fromkeys(r.lesion for r in rows)
    return {n: float(np.mean([getattr(r, figure) for r in rows if r.lesion == n])) for n in names}


def judged(rows: Sequence[Row]) -> list[Row]:
    """Leave out lesions that are too small or cut."""
    return [r for r in rows if r.judged]


def groups(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Part lesions in liver and spleen from the others."""
    return [r for r in rows if r.bright_around], [r for r in rows if not r.bright_around]
