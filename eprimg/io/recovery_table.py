"""Read a table of recovery coefficients, measured with phantom spheres, from a CSV file."""

from __future__ import annotations

from pathlib import Path

from eprimg.errors import InputError
from eprimg.kernels.partial_volume import RecoveryRecord, parse_recovery_table

__all__ = ["load_recovery_table"]


def load_recovery_table(path: Path | str) -> tuple[RecoveryRecord, ...]:
    """Read recovery coefficients.

    Parameters
    ----------
    path : Path or str
        CSV file, UTF-8, with the columns ``nuclide``, ``scanner``, ``diameter_mm`` (inner diameter
        of the sphere, mm), ``background_ratio`` (true sphere to background, ``inf`` for a cold
        background), ``rc`` (measured over true concentration), ``rc_uncertainty`` (standard
        uncertainty) and, when there are others than means, ``statistic`` (mean, peak or max).

    Returns
    -------
    tuple of RecoveryRecord
        Records in the order of the lines.

    Raises
    ------
    InputError
        ``E_RECOVERY_TABLE``, naming the file and every record at fault.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the table of recovery coefficients cannot be read: {error}",
            code="E_RECOVERY_TABLE",
            where=str(path),
            action="name a readable CSV file in partial_volume.recovery_table",
        ) from error
    try:
        return parse_recovery_table(text)
    except InputError as error:
        raise InputError(
            error.message,
            code=error.code,
            where=f"{path}, {error.where}" if error.where else str(path),
            value=error.value,
            action=error.action,
            faults=error.faults,
        ) from error
