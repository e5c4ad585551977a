"""Complex echoes out of NIfTI: BIDS ``part-phase``, or ``part-real`` and ``part-imag``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eprimg.errors import InputError, MissingTagError
from eprimg.io.complex_echoes import check_modulus, check_phase, polar
from eprimg.io.entries import SeriesEntry
from eprimg.io.read_nifti import read_nifti_echoes, read_nifti_volume
from eprimg.io.sidecar import read_side_car, seconds_from_ms, side_car_echo_times_ms
from eprimg.model.acquisition import Known, MRAcquisition
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.complex_echoes import ComplexEchoStack
from eprimg.model.study import Role, Series
from eprimg.model.volume import EchoStack

__all__ = ["NiftiComplexEchoes", "read_nifti_entry"]

_SAME_TIME_S = 1e-5
_SIGN = (
    "as in the file; a side-car has no key for the sense of rotation, so the sign of frequencies "
    "(and with it fat against water) has to be given or found by the fit"
)


def read_nifti_entry(
    entry: SeriesEntry, *, key: str, role: Role, agent_phase: str | None = None
) -> StageResult[Series]:
    """Read a NIfTI echo train of the index, with its complex parts named.

    Parameters
    ----------
    entry : SeriesEntry
        From the index.
    key : str
        Key of the series in the study.
    role : Role
        What it is used for.
    agent_phase : str, optional
        ``pre``, ``post`` or ``unknown``; from the role when left out.

    Returns
    -------
    StageResult of Series
        As `read_nifti_echoes`.
    """
    result = read_nifti_echoes(entry.paths, key=key, role=role, agent_phase=agent_phase)
    if not entry.companion_paths:
        return result
    series = result.value
    field = (
        series.acquisition.field_strength_t
        if isinstance(series.acquisition, MRAcquisition)
        else Known[float]()
    )
    source = NiftiComplexEchoes(entry.companion_paths, key, field)
    return StageResult(replace(series, complex_echoes=source), result.findings)


@dataclass(frozen=True, eq=False, slots=True)
class NiftiComplexEchoes:
    """Files that make the signal of a NIfTI echo train complex.

    Parameters
    ----------
    paths : tuple of Path
        One phase file per echo, or the real files and then the imaginary ones.
    key : str
        Key of the series, for messages.
    field_strength_t : Known[float]
        Field strength in tesla.
    """

    paths: tuple[Path, ...]
    key: str
    field_strength_t: Known[float]

    @property
    def made_from(self) -> str:
        """``magnitude and phase`` or ``real and imaginary``."""
        phase = "_part-phase" in self.paths[0].name.lower()
        return "magnitude and phase" if phase else "real and imaginary"

    def read(self, magnitude: EchoStack) -> StageResult[ComplexEchoStack]:
        """Read the complex echoes of a magnitude stack.

        Parameters
        ----------
        magnitude : EchoStack
            The stack that these echoes belong to, as the reader gave it.

        Returns
        -------
        StageResult of ComplexEchoStack
            On the grid and at the echo times of `magnitude`.

        Raises
        ------
        EprimgError
            ``E_PHASE`` (BIDS ``Units`` of a phase file is not ``rad``), ``E_SIDECAR``, ``E_ECHO``,
            ``E_SCALE``, ``E_GRID_MISMATCH`` and E_NII_...

        Notes
        -----
        The BIDS specification asks for ``Units`` beside every phase file, ``rad`` or
        ``arbitrary``; only ``rad`` says what a value means.
        """
        what = f"the {self.made_from.split(' and ')[-1]} of series {self.key}"
        data = np.empty(magnitude.volume.data.shape, dtype=np.complex64)
        digest = hashlib.sha256()
        phase = self.made_from == "magnitude and phase"
        n_echoes = len(magnitude.echo_times_s)
        filled: set[tuple[bool, int]] = set()
        for number, path in enumerate(self.paths):
            n = _echo_of(path, magnitude.echo_times_s)
            imaginary = not phase and number >= n_echoes
            filled.add((imaginary, n))
            if phase:
                _require_radians(path)
            volume = read_nifti_volume(
                path, "signal", frame_of_reference=magnitude.grid.frame_of_reference
            )
            volume.grid.require_match(magnitude.grid, what=f"{path.name} and the magnitude")
            values: npt.NDArray[np.float32] = volume.data
            digest.update(f"{path.name}|".encode())
            digest.update(np.ascontiguousarray(values).data)
            if phase:
                check_phase(values, what)
                polar(magnitude.volume.data[..., n], values, data[..., n])
            elif imaginary:
                data.imag[..., n] = values
            else:
                data.real[..., n] = values
        if len(filled) != (n_echoes if phase else 2 * n_echoes):
            raise InputError(
                f"{what}: not one file per echo",
                code="E_ECHO",
                value=len(filled),
                action="give one file per part and echo",
            )
        if not phase:
            check_modulus(data, magnitude.volume.data, what)
        stack = ComplexEchoStack(
            data,
            magnitude.grid,
            magnitude.echo_times_s,
            self.field_strength_t,
            self.made_from,
            _SIGN,
            digest.hexdigest(),
        )
        text = f"complex echoes were made from {self.made_from}; phase {_SIGN}"
        return StageResult(stack, (Finding("I_COMPLEX", Severity.INFO, self.key, text),))


def _echo_of(path: Path, times_s: tuple[float, ...]) -> int:
    times_ms = side_car_echo_times_ms([path])
    if len(times_ms) != 1:
        raise MissingTagError(
            "a phase, real or imaginary file needs its echo time",
            code="E_SIDECAR",
            where=f"EchoTime beside {path.name}",
            action="put EchoTime (s) into its JSON side-car",
        )
    own = seconds_from_ms(times_ms[0])
    for n, time in enumerate(times_s):
        if abs(time - own) <= _SAME_TIME_S:
            return n
    raise InputError(
        f"an echo time of {1000 * own:g} ms is none of the magnitude's",
        code="E_ECHO",
        where=f"EchoTime beside {path.name}",
        value=times_s,
        action="give the parts of one acquisition",
    )


def _require_radians(path: Path) -> None:
    units = str(read_side_car(path).get("Units", "")).strip().lower()
    if units not in ("rad", "radian", "radians"):
        raise InputError(
            f"{path.name}: the phase cannot be turned into radians: its side-car "
            + (f"gives Units {units!r}" if units else "gives no Units"),
            code="E_PHASE",
            where=f"Units beside {path.name}",
            value=units,
            action='convert the phase to radians and write "Units": "rad"; R2* from magnitude is '
            "not affected",
        )
