"""Recovery coefficients of phantom spheres: read a table, interpolate in it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from eprimg.errors import EprimgError, InputError, raise_faults

_COLUMNS = ("nuclide", "scanner", "diameter_mm", "background_ratio", "rc", "rc_uncertainty")
STATISTICS = ("mean", "peak", "max")


class RecoveryRecord(NamedTuple):
    """One measured sphere.

    Attributes
    ----------
    nuclide, scanner : str
        What the table holds for: ``"89Zr"``, and a name of scanner and reconstruction.
    diameter_mm : float
        Inner diameter of the sphere in mm.
    background_ratio : float
        True sphere to background ratio; infinite for a cold background.
    rc : float
        Measured over true concentration in the sphere.
    rc_uncertainty : float
        Standard uncertainty of `rc`.
    statistic : str
        Of what: ``"mean"`` over the sphere, ``"peak"`` (12.4 mm sphere) or ``"max"``.
    """

    nuclide: str
    scanner: str
    diameter_mm: float
    background_ratio: float
    rc: float
    rc_uncertainty: float
    statistic: str = "mean"


class RecoveryEstimate(NamedTuple):
    """Recovery coefficient and its standard uncertainty, both without unit."""

    rc: float
    rc_uncertainty: float


def parse_recovery_table(text: str) -> tuple[RecoveryRecord, ...]:
    """Read recovery coefficients from CSV text.

    Parameters
    ----------
    text : str
        Comma-separated lines with the heading ``nuclide,scanner,diameter_mm,background_ratio,rc,
        rc_uncertainty`` in any order; ``inf`` is a cold background.  A column ``statistic`` (mean,
        peak or max) may be there; without it all coefficients are of the mean.  Lines that begin
        with ``#`` and empty lines are left out.

    Returns
    -------
    tuple of RecoveryRecord
        Records in the order of the lines.

    Raises
    ------
    InputError
        A column is missing or unknown, a number is out of range, or a sphere is there twice; all
        faults are listed.

    Notes
    -----
    Ranges: diameter above 0, ratio above 1, ``0 < rc <= 2``, uncertainty from 0 on.
    """
    lines = [n for n in text.lstrip("\ufeff").splitlines() if n.strip() and n.strip()[0] != "#"]
    reader = csv.DictReader(io.StringIO("\n".join(lines)), skipinitialspace=True)
    names = [(n or "").strip() for n in reader.fieldnames or ()]
    reader.fieldnames = names
    if sorted(names) not in (sorted(_COLUMNS), sorted((*_COLUMNS, "statistic"))):
        raise _refuse(
            "The heading of a recovery table names each of its columns once.", "heading", names
        )
    faults: list[EprimgError] = []
    records: list[RecoveryRecord] = []
    seen: set[tuple[str, str, float, float, str]] = set()
    for number, row in enumerate(reader, start=1):
        place = f"record {number}"
        if None in row or None in row.values():
            faults.append(_refuse("A record has one value per column.", place, list(row.values())))
            continue
        try:
            diameter, ratio, rc, uncertainty = (float(row[name]) for name in _COLUMNS[2:])
        except ValueError:
            faults.append(_refuse("A value is not a number.", place, dict(row)))
            continue
        of = row.get("statistic", "mean").strip()
        who = row["nuclide"].strip(), row["scanner"].strip()
        record = RecoveryRecord(*who, diameter, ratio, rc, uncertainty, of)
        key = (*record[:4], of)
        named = record.nuclide and record.scanner and of in STATISTICS
        if not named or not _in_range(record):
            faults.append(_refuse("A value is missing or out of range.", place, dict(row)))
        elif key in seen:
            faults.append(_refuse("The same sphere is there twice.", place, key))
        seen.add(key)
        records.append(record)
    if not records and not faults:
        faults.append(_refuse("The table holds no record.", "table", None))
    raise_faults(faults)
    return tuple(records)


def recovery_coefficient(
    diameter_mm: float,
    table: Sequence[RecoveryRecord],
    *,
    nuclide: str,
    scanner: str,
    background_ratio: float,
    statistic: str = "mean",
) -> RecoveryEstimate:
    """Interpolate the recovery coefficient of a sphere.

    Parameters
    ----------
    diameter_mm : float
        Diameter of the sphere in mm (of a lesion: its equivalent diameter).
    table : sequence of RecoveryRecord
        Measured spheres, as `parse_recovery_table` gives them.
    nuclide, scanner : str
        Which records hold; nothing is taken from another nuclide or scanner.
    background_ratio : float
        True sphere to background ratio; infinite for a cold background.
    statistic : {"mean", "peak", "max"}, optional
        Which records hold; a peak is never corrected with coefficients of the mean.

    Returns
    -------
    RecoveryEstimate
        Coefficient and standard uncertainty.

    Raises
    ------
    InputError
        No record fits, a curve has fewer than two diameters, or the diameter or ratio lies outside
        of the table: nothing is extrapolated.

    Notes
    -----
    Along the diameter: monotone piecewise cubic (PCHIP), which makes no overshoot between measured
    spheres.  Between two ratios a: linear in 1/a, which is exact for a linear blur, where
    ``RC_a = RC + (1 - RC) / a``.  The uncertainty is the largest of the records used; the error of
    the interpolation itself is not in it.

    RC is measured over true concentration.  Contrast recovery is ``(a RC - 1) / (a - 1)``; do not
    mix them.  A lesion is not a sphere with a cold wall of plastic: the coefficient is an estimate.

    References
    ----------
    .. [1] Fritsch FN, Carlson RE, SIAM Journal on Numerical Analysis 1980;17:238-246.
       doi:10.1137/0717021
    .. [2] Soret M, Bacharach SL, Buvat I, J Nucl Med 2007;48:932-945.
       doi:10.2967/jnumed.106.035774
    """
    chosen = select_records(table, nuclide, scanner, statistic)
    ratios = sorted({r.background_ratio for r in chosen})
    if not ratios[0] <= background_ratio <= ratios[-1]:
        raise _refuse(
            f"The ratio lies outside of the table, {ratios[0]:g} to {ratios[-1]:g}.",
            "background_ratio",
            background_ratio,
        )
    below = max(r for r in ratios if r <= background_ratio)
    above = min(r for r in ratios if r >= background_ratio)
    low, high = (_on_curve(diameter_mm, chosen, ratio) for ratio in (below, above))
    share = 0.0
    if above > below:
        share = (1.0 / below - 1.0 / background_ratio) / (1.0 / below - 1.0 / above)
    return RecoveryEstimate(
        low.rc + share * (high.rc - low.rc), max(low.rc_uncertainty, high.rc_uncertainty)
    )


def select_records(
    table: Sequence[RecoveryRecord], nuclide: str, scanner: str, statistic: str
) -> list[RecoveryRecord]:
    """Pick the records of one nuclide, scanner and statistic, or refuse the table."""
    chosen = [
        r for r in table if (r.nuclide, r.scanner, r.statistic) == (nuclide, scanner, statistic)
    ]
    if not chosen:
        known = sorted({(r.nuclide, r.scanner, r.statistic) for r in table})
        raise _refuse(
            f"The table has nothing for the {statistic}, this nuclide and this scanner.",
            "table",
            known,
        )
    return chosen


def _on_curve(
    diameter_mm: float, records: Sequence[RecoveryRecord], ratio: float
) -> RecoveryEstimate:
    """Interpolate among the spheres of one background ratio."""
    curve = sorted((r for r in records if r.background_ratio == ratio), key=lambda r: r.diameter_mm)
    diameters: NDArray[np.float64] = np.array([r.diameter_mm for r in curve])
    if np.unique(diameters).size < max(2, diameters.size):
        raise _refuse("A curve needs at least two spheres, each once.", "table", diameters.tolist())
    if not diameters[0] <= diameter_mm <= diameters[-1]:
        raise _refuse(
            f"The diameter lies outside of the table, {diameters[0]:g} to {diameters[-1]:g} mm.",
            "diameter_mm",
            diameter_mm,
        )
    rc = float(PchipInterpolator(diameters, [r.rc for r in curve])(diameter_mm))
    first = int(np.searchsorted(diameters, diameter_mm, side="right")) - 1
    last = int(np.searchsorted(diameters, diameter_mm, side="left"))
    return RecoveryEstimate(rc, max(r.rc_uncertainty for r in curve[first : last + 1]))


def _in_range(record: RecoveryRecord) -> bool:
    """Tell whether the numbers of a record mean something; NaN does not."""
    return (
        0.0 < record.diameter_mm < math.inf
        and record.background_ratio > 1.0
        and 0.0 < record.rc <= 2.0
        and 0.0 <= record.rc_uncertainty < math.inf
    )


def _refuse(message: str, where: str, value: object) -> InputError:
    return InputError(
        message,
        code="E_RECOVERY_TABLE",
        where=where,
        value=value,
        action="Measure the spheres of this scanner and nuclide, and give their table.",
    )
