"""Complex echoes out of DICOM: magnitude with phase, or real with imaginary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eprimg.errors import GeometryError, InputError
from eprimg.io.frame_types import by_echo, complex_part
from eprimg.io.instance import Instance
from eprimg.io.mr_scale import one_scale
from eprimg.io.phase_scale import phase_rescale, sign_words
from eprimg.io.pixels import read_pixels, require_readable
from eprimg.io.sidecar import seconds_from_ms
from eprimg.io.stack import StackGeometry, stack_geometry
from eprimg.model.acquisition import Known
from eprimg.model.case import Finding, Severity, StageResult
from eprimg.model.complex_echoes import ComplexEchoStack
from eprimg.model.volume import EchoStack

__all__ = ["DicomComplexEchoes", "check_modulus", "check_phase", "polar"]

_SAME_TIME_S = 1e-5
_MODULUS_SPREAD = 0.05
"""Relative spread over echoes of |real + i imaginary| / magnitude that is let pass."""
_PHASE_LIMIT = np.float32(np.pi * 1.002)


@dataclass(frozen=True, eq=False, slots=True)
class DicomComplexEchoes:
    """Frames that make the signal of a magnitude train complex.

    Parameters
    ----------
    frames : tuple of Instance
        Phase frames, or real and imaginary frames, at every position and echo time.
    key : str
        Key of the series, for messages.
    position_tolerance_mm : float
        As for the magnitude.
    field_strength_t : Known[float]
        Field strength in tesla.
    """

    frames: tuple[Instance, ...]
    key: str
    position_tolerance_mm: float
    field_strength_t: Known[float]

    @property
    def made_from(self) -> str:
        """``magnitude and phase`` or ``real and imaginary``."""
        phase = any(complex_part(f) == "PHASE" for f in self.frames)
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
            ``E_PHASE``, ``E_SCALE``, ``E_GRID_MISMATCH``, ``E_ECHO`` and the codes of the pixel
            reader.
        """
        what = f"the {self.made_from.split(' and ')[-1]} of series {self.key}"
        data = np.empty(magnitude.volume.data.shape, dtype=np.complex64)
        digest = hashlib.sha256()
        findings: list[Finding] = []
        if self.made_from == "magnitude and phase":
            trains = self._trains("PHASE", magnitude, what)
            plane = np.empty(magnitude.grid.shape, dtype=np.float32)
            for n, train in enumerate(trains):
                scaled = tuple(_in_radians(train.instances, what))
                digest.update(read_pixels(scaled, plane, what=what).encode())
                check_phase(plane, what)
                polar(magnitude.volume.data[..., n], plane, data[..., n])
        else:
            real = self._trains("REAL", magnitude, what)
            imaginary = self._trains("IMAGINARY", magnitude, what)
            scaled_trains, noticed = one_scale([*real, *imaginary], self.key)
            findings += noticed
            for number, train in enumerate(scaled_trains):
                _require_signed(train.instances, what)
                part = data.real if number < len(real) else data.imag
                out = part[..., number % len(real)]
                digest.update(read_pixels(train.instances, out, what=what).encode())
            check_modulus(data, magnitude.volume.data, what)
        findings.append(
            Finding(
                "I_COMPLEX",
                Severity.INFO,
                self.key,
                f"complex echoes were made from {self.made_from}; phase {sign_words(self.frames)}",
            )
        )
        stack = ComplexEchoStack(
            data,
            magnitude.grid,
            magnitude.echo_times_s,
            self.field_strength_t,
            self.made_from,
            sign_words(self.frames),
            digest.hexdigest(),
        )
        return StageResult(stack, tuple(findings))

    def _trains(self, part: str, magnitude: EchoStack, what: str) -> list[StackGeometry]:
        groups = by_echo(f for f in self.frames if complex_part(f) == part)
        times_s = [seconds_from_ms(t) for t in groups if t is not None]
        if len(times_s) != len(magnitude.echo_times_s) or any(
            abs(a - b) > _SAME_TIME_S for a, b in zip(times_s, magnitude.echo_times_s, strict=True)
        ):
            raise InputError(
                f"{what}: other echo times than the magnitude",
                code="E_ECHO",
                value=(times_s, magnitude.echo_times_s),
            )
        trains = []
        for frames in groups.values():
            train = stack_geometry(
                frames, position_tolerance_mm=self.position_tolerance_mm, what=what
            )
            if not train.grid.matches(magnitude.grid):
                raise GeometryError(
                    f"{what}: another grid than the magnitude ({train.grid!r} and "
                    f"{magnitude.grid!r})",
                    code="E_GRID_MISMATCH",
                )
            require_readable(train.instances, what=what)
            trains.append(train)
        return trains


def polar(
    magnitude: npt.NDArray[np.float32],
    phase_rad: npt.NDArray[np.float32],
    out: npt.NDArray[np.complex64],
) -> None:
    """Write magnitude exp(i phase) slice by slice.

    Parameters
    ----------
    magnitude : ndarray of float32, shape (k, j, i)
        Modulus.
    phase_rad : ndarray of float32, shape (k, j, i)
        Phase in radians.
    out : ndarray of complex64, shape (k, j, i)
        Filled in place; may be a strided view.
    """
    for target, modulus, angle in zip(out, magnitude, phase_rad, strict=True):
        np.multiply(modulus, np.cos(angle), out=target.real)
        np.multiply(modulus, np.sin(angle), out=target.imag)


def check_phase(phase_rad: npt.NDArray[np.float32], what: str) -> None:
    """Refuse phase outside one turn.

    Parameters
    ----------
    phase_rad : ndarray of float32
        Phase in radians; values that are not finite are let pass (those voxels are not used).
    what : str
        Name of the series in messages.

    Raises
    ------
    InputError
        ``E_PHASE``.
    """
    finite = phase_rad[np.isfinite(phase_rad)]
    if finite.size and max(float(finite.max()), -float(finite.min())) > _PHASE_LIMIT:
        raise InputError(
            f"{what}: values from {float(finite.min()):.4g} to {float(finite.max()):.4g} rad are "
            "more than one turn around zero",
            code="E_PHASE",
            value=(float(finite.min()), float(finite.max())),
            action="export phase with its rescale; R2* from magnitude is not affected",
        )


def check_modulus(
    data: npt.NDArray[np.complex64], magnitude: npt.NDArray[np.float32], what: str
) -> None:
    """Refuse real and imaginary parts whose modulus does not follow the magnitude over the echoes.

    Parameters
    ----------
    data : ndarray of complex64, shape (k, j, i, n_echoes)
        Real + i imaginary.
    magnitude : ndarray of float32, same shape
        Magnitude of the same acquisition.
    what : str
        Name of the series in messages.

    Raises
    ------
    InputError
        ``E_SCALE`` when the median ratio of modulus to magnitude over the brighter half of the
        voxels (by the first echo) differs by more than 5 % between echoes: the echoes, or the two
        parts, are on different scales.
    """
    first = magnitude[..., 0]
    bright = first > 0.5 * float(np.nanmax(first, initial=0.0))
    if not bright.any():
        return
    ratios = []
    for n in range(data.shape[-1]):
        under = magnitude[..., n][bright]
        over = np.abs(data[..., n][bright])
        used = under > 0
        if used.any():
            ratios.append(float(np.median(over[used] / under[used])))
    low, high = min(ratios, default=1.0), max(ratios, default=1.0)
    if low <= 0 or high / low - 1.0 > _MODULUS_SPREAD:
        raise InputError(
            f"{what}: |real + i imaginary| is {low:.4g} to {high:.4g} times the magnitude, "
            "depending on the echo; the parts are not on one scale",
            code="E_SCALE",
            value=ratios,
            action="export the series again with its rescale; R2* from magnitude is not affected",
        )


def _in_radians(frames: Iterable[Instance], what: str) -> Iterable[Instance]:
    for frame in frames:
        slope, intercept = phase_rescale(frame, what=what)
        yield replace(frame, slope=slope, intercept=intercept)


def _require_signed(frames: Iterable[Instance], what: str) -> None:
    for frame in frames:
        if not frame.pixel_representation and frame.intercept * frame.slope >= 0:
            raise InputError(
                f"{what}: real and imaginary parts have two signs, but the stored values of "
                f"{frame.name} and their rescale hold none below zero",
                code="E_PHASE",
                where="PixelRepresentation (0028,0103), RescaleIntercept (0028,1052)",
                action="export the series again with its rescale; R2* from magnitude is not "
                "affected",
            )
