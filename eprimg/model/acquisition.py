"""How a series was acquired; every field is known (header), entered (user) or missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from eprimg.errors import ClockError, MissingTagError

__all__ = [
    "CLOCK_SKEW_S",
    "ImageNote",
    "Injection",
    "Known",
    "MRAcquisition",
    "Origin",
    "PETAcquisition",
    "seconds_between",
]

CLOCK_SKEW_S = 3600.0
"""An injection may lie this long after the reference instant: clocks differ, dynamic scans start
with the injection."""

T = TypeVar("T")


class Origin(StrEnum):
    """Where a fact comes from."""

    HEADER = "header"
    ENTERED = "entered"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """A fact with its origin.

    Parameters
    ----------
    value : object or None
        The fact; None when missing.
    origin : Origin
        Header, entered or missing.
    where : str
        Tag with number, side-car key or study-file key.
    """

    value: T | None = None
    origin: Origin = Origin.MISSING
    where: str = ""

    def require(self, what: str, *, code: str) -> T:
        """Return the value or refuse.

        Parameters
        ----------
        what : str
            Name of the fact for the message.
        code : str
            Error code.

        Returns
        -------
        object
            The value.

        Raises
        ------
        MissingTagError
            When the fact is missing.
        """
        if self.value is None:
            raise MissingTagError(
                f"{what} is missing",
                code=code,
                where=self.where or None,
                action="enter it in study.toml (see docs, how-to/enter-missing-facts)",
            )
        return self.value


def seconds_between(start: datetime, end: datetime, *, where: str) -> float:
    """Seconds from one instant to another.

    Parameters
    ----------
    start, end : datetime
        Both with an offset from UTC, or both without.
    where : str
        What is compared, for the message.

    Returns
    -------
    float
        Positive when `end` is later.

    Raises
    ------
    ClockError
        ``E_SUV_TIME`` when only one of them has an offset.
    """
    if (start.tzinfo is None) != (end.tzinfo is None):
        raise ClockError(
            "one of two instants states its offset from UTC and the other does not, so the time "
            "between them is not known",
            code="E_SUV_TIME",
            where=where,
            action="enter [injection] instant in study.toml on the clock of the scanner's header "
            "(with an offset only if TimezoneOffsetFromUTC (0008,0201) is there)",
        )
    return (end - start).total_seconds()


def _missing() -> Known[float]:
    return Known()


@dataclass(frozen=True, slots=True)
class Injection:
    """One administration of a radiopharmaceutical.

    Parameters
    ----------
    instant : Known[datetime]
        Dated instant of the injection; a bare clock time cannot be held here.
    dose_bq : Known[float]
        Injected activity at the instant of injection, in Bq (net of the residual when entered so).
    nuclide : Known[str]
        E.g. ``89Zr``.
    half_life_s : Known[float]
        Half-life in seconds.
    """

    instant: Known[datetime]
    dose_bq: Known[float]
    nuclide: Known[str]
    half_life_s: Known[float]

    def __post_init__(self) -> None:
        """Refuse anything that is not a full date and time."""
        if self.instant.value is not None and not isinstance(self.instant.value, datetime):
            raise ClockError(
                "an injection needs a date and a time, not a clock time alone",
                code="E_SUV_TIME",
                value=self.instant.value,
            )


@dataclass(frozen=True, slots=True)
class ImageNote:
    """Something that the header says about how the echoes were read out or processed.

    Parameters
    ----------
    kind : str
        ``bipolar``, ``monopolar``, ``normalised``, ``filtered``, ``resampled``, ``gain_varies`` or
        ``scale_varies``.
    text : str
        In words.
    where : str
        Element that says so.
    """

    kind: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class MRAcquisition:
    """Facts about a multi-echo MR series.

    Parameters
    ----------
    echo_times_s : tuple of float
        Echo times in seconds.
    field_strength_t : Known[float]
        Field strength in tesla.
    agent_phase : str
        ``pre``, ``post`` or ``unknown`` with respect to ferumoxytol.
    manufacturer, model, sequence : str
        As in the header.
    repetition_time_s, flip_angle_deg : Known[float]
        Sequence timing.
    image_notes : tuple of ImageNote
        What the header says about read-out polarity, filters and gains; a header that says
        nothing leaves it empty, which proves nothing.
    """

    echo_times_s: tuple[float, ...]
    field_strength_t: Known[float] = field(default_factory=_missing)
    agent_phase: str = "unknown"
    manufacturer: str = ""
    model: str = ""
    sequence: str = ""
    repetition_time_s: Known[float] = field(default_factory=_missing)
    flip_angle_deg: Known[float] = field(default_factory=_missing)
    image_notes: tuple[ImageNote, ...] = ()


@dataclass(frozen=True, slots=True)
class PETAcquisition:
    """Facts about a PET series that SUV depends on.

    Parameters
    ----------
    injection : Injection
        Dose, instant, nuclide.
    weight_kg : Known[float]
        Patient weight.
    height_m : Known[float]
        Patient height.
    sex : Known[str]
        ``M``, ``F`` or ``O``.
    unit : str
        DICOM Units (0054,1001), e.g. ``BQML``.
    decay_correction : str
        ``START``, ``ADMIN`` or ``NONE``.
    reference_instant : datetime or None
        Instant to which the voxel values are decay corrected.
    reference_rule : str
        The rule that gave it (pet reference table, row F) in words.
    reference_candidates : tuple of (str, datetime)
        Every candidate that could be computed.
    hours_after_injection : float or None
        From injection to the acquisition's start.
    frame_times : tuple of (float, float)
        Per slice: seconds from ``reference_instant`` to the frame's start, and frame duration (s).
    manufacturer, model : str
        As in the header.
    corrections : tuple of str
        CorrectedImage (0028,0051).
    voxel_rule : str
        How the stored voxel values became Bq/mL or SUVbw (pet reference table, row C) in words.
    mode : str
        ``lenient`` or ``strict``, see `eprimg.config.PetConfig`.
    warnings : tuple of str
        Code and text of every warning that judging the header gave.
    pet_over_dose_calibrator : Known[float]
        Cross-calibration: what the scanner reads over what the dose calibrator reads; 1 when
        missing.
    modality : str
        ``PET``, or ``SPECT`` for a reconstruction of a gamma camera.
    """

    injection: Injection
    weight_kg: Known[float]
    height_m: Known[float]
    sex: Known[str]
    unit: str
    decay_correction: str
    reference_instant: datetime | None
    reference_rule: str
    reference_candidates: tuple[tuple[str, datetime], ...] = ()
    hours_after_injection: float | None = None
    frame_times: tuple[tuple[float, float], ...] = ()
    manufacturer: str = ""
    model: str = ""
    corrections: tuple[str, ...] = ()
    voxel_rule: str = ""
    mode: str = "lenient"
    warnings: tuple[str, ...] = ()
    pet_over_dose_calibrator: Known[float] = field(default_factory=_missing)
    # Not in the text form, which is hashed: the hashes of PET studies stay what they were.
    modality: str = field(default="PET", repr=False)
