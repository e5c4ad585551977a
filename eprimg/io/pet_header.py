"""The header facts that SUV depends on, as plain values, with every unreadable one noted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eprimg.errors import EprimgError, InputError
from eprimg.io._pet_tags import TAGS, NuclideCode, tag

__all__ = ["TAGS", "NuclideCode", "PetHeader", "PetSlice", "header_from_datasets", "tag"]

_GE_CREATOR, _GE_DECAY, _GE_INJECTION = (0x0009, "GEMS_PETD_01"), 0x0D, 0x3B
_SIEMENS_CREATOR, _SIEMENS_DECAY = (0x0071, "SIEMENS MED PT"), 0x22
_PHILIPS_CREATOR = (0x7053, "Philips PET Private Group")
_PHILIPS_SUV, _PHILIPS_ACTIVITY = 0x00, 0x09

_NUMERIC = "mend the header, or enter the value in study.toml"


@dataclass(frozen=True, slots=True)
class PetSlice:
    """Facts that may differ from slice to slice.

    Parameters
    ----------
    where : str
        File name.
    acquisition_date, acquisition_time : str
        As in the header.
    acquisition_datetime : str
        FrameAcquisitionDateTime of a multi-frame object; wins over date and time.
    reference_datetime : str
        FrameReferenceDateTime of a multi-frame object: the instant that stands for the frame.
    frame_reference_s, duration_s : float or None
        FrameReferenceTime and ActualFrameDuration in seconds (the tags are in ms).
    slope, intercept : float or None
        Rescale of this slice.
    position : tuple of float or None
        ImagePositionPatient.
    """

    where: str = ""
    acquisition_date: str = ""
    acquisition_time: str = ""
    acquisition_datetime: str = ""
    reference_datetime: str = ""
    frame_reference_s: float | None = None
    duration_s: float | None = None
    slope: float | None = 1.0
    intercept: float | None = 0.0
    position: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class PetHeader:
    """Facts of one PET series as its headers state them; nothing is repaired here.

    Parameters
    ----------
    slices : tuple of PetSlice
        In the order of the files.
    modality, sop_class, manufacturer, model : str
        As in the header.
    image_type, series_type, corrections : tuple of str
        ImageType (words of all slices), SeriesType, CorrectedImage.
    units, decay_correction : str
        As in the header, upper case.
    sex : str
        PatientSex.
    weight_kg, height_m, dose, half_life_s : float or None
        Numbers as they stand (a dose may be in MBq, a weight in grams).
    n_administrations : int
        Items of RadiopharmaceuticalInformationSequence.
    start_time, start_datetime : str
        RadiopharmaceuticalStartTime and RadiopharmaceuticalStartDateTime.
    nuclide : NuclideCode
        Coded nuclide.
    radiopharmaceutical : str
        Free text of the radiopharmaceutical.
    series_date, series_time, offset : str
        SeriesDate, SeriesTime, TimezoneOffsetFromUTC.
    private_decay : str
        The vendor's private decay date-time; empty when absent.
    private_decay_where : str
        Vendor and tag of it.
    decay_datetime : str
        DecayCorrectionDateTime of a multi-frame object: what the private elements say for classic
        ones.
    private_injection : str
        GE's private administration date-time; only compared, never used.
    suv_type : str
        SUVType, upper case.
    agent_number : str
        Number of the administration that a multi-frame object's frames refer to.
    philips_suv_factor, philips_activity_factor : float or None
        Private factors; one that is zero, negative or unreadable counts as absent.
    creator_stripped : bool
        Philips' private factors stand without their creator element.
    dates_modified : bool
        De-identification has shifted or removed dates.
    bq_per_ml_per_count : float or None
        Calibration of SPECT counts that the user entered; no element of the header.
    """

    slices: tuple[PetSlice, ...]
    modality: str = "PT"
    sop_class: str = "1.2.840.10008.5.1.4.1.1.128"
    manufacturer: str = ""
    model: str = ""
    image_type: tuple[str, ...] = ()
    series_type: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    units: str = ""
    decay_correction: str = ""
    sex: str = ""
    weight_kg: float | None = None
    height_m: float | None = None
    dose: float | None = None
    half_life_s: float | None = None
    n_administrations: int = 1
    start_time: str = ""
    start_datetime: str = ""
    nuclide: NuclideCode = field(default_factory=NuclideCode)
    radiopharmaceutical: str = ""
    series_date: str = ""
    series_time: str = ""
    offset: str = ""
    private_decay: str = ""
    private_decay_where: str = ""
    decay_datetime: str = ""
    private_injection: str = ""
    suv_type: str = ""
    agent_number: str = ""
    philips_suv_factor: float | None = None
    philips_activity_factor: float | None = None
    creator_stripped: bool = False
    dates_modified: bool = False
    bq_per_ml_per_count: float | None = None


def header_from_datasets(
    datasets: Sequence[Any], names: Sequence[str]
) -> tuple[PetHeader, list[EprimgError]]:
    """Collect the facts of a PET series from the headers of its slices.

    Parameters
    ----------
    datasets : sequence of pydicom.dataset.Dataset
        One per slice; pixels are not needed.
    names : sequence of str
        File names, for messages.

    Returns
    -------
    header : PetHeader
        The facts; an unreadable or contradictory one is left out and noted as a fault.
    faults : list of EprimgError
        ``E_NUMERIC`` for a number that is none, ``E_SUV_MIXED`` for a fact that differs between
        slices.
    """
    faults: list[EprimgError] = []
    readers = [_Reader(d, n, faults) for d, n in zip(datasets, names, strict=True)]
    facts: dict[str, Any] = {}
    for name, (where, read) in _CONSTANT.items():
        values = list(dict.fromkeys(read(r) for r in readers))
        if len(values) > 1:
            faults.append(
                InputError(
                    f"{where.split(' (')[0]} differs between the slices of one series "
                    f"({len(values)} values)",
                    code="E_SUV_MIXED",
                    where=where,
                    action="check whether two series were merged; split them, or export again",
                )
            )
        facts[name] = values[0]  # the fault stops the series; no follow-on faults from a gap
    facts["image_type"] = tuple(dict.fromkeys(w for r in readers for w in r.words("ImageType")))
    return PetHeader(slices=tuple(_slice(r) for r in readers), **facts), _unique(faults)


class _Reader:
    """Plain values out of one dataset."""

    def __init__(self, dataset: Any, name: str, faults: list[EprimgError]) -> None:
        self.dataset, self.name, self.faults = dataset, name, faults
        sequence: Any = self._get(dataset, "RadiopharmaceuticalInformationSequence") or []
        self.n_administrations = len(sequence)
        self.agent = sequence[0] if len(sequence) else None

    def _get(self, place: Any, keyword: str | tuple[int, int]) -> Any:
        if place is None:
            return None
        try:
            return place.get(keyword)
        except Exception:  # pydicom raises many kinds for an element it cannot convert
            if keyword not in TAGS:
                return None
            keyword = str(keyword)
            self.faults.append(
                InputError(
                    f"{keyword} cannot be read",
                    code="E_NUMERIC",
                    where=tag(keyword),
                    action=_NUMERIC,
                )
            )
            return None

    def text(self, keyword: str, place: Any = ...) -> str:
        return _text(self._get(self.dataset if place is ... else place, keyword))

    def words(self, keyword: str) -> tuple[str, ...]:
        value = self._get(self.dataset, keyword)
        if value is None or value == "":
            return ()
        parts = [value] if isinstance(value, str | bytes) else list(value)
        return tuple(_text(p).upper() for p in parts)

    def number(self, keyword: str, place: Any = ...) -> float | None:
        value = self._get(self.dataset if place is ... else place, keyword)
        return self._float(value, f"{keyword} {TAGS.get(keyword, '')}".strip())

    def _float(self, value: Any, where: str) -> float | None:
        if isinstance(value, bytes):
            value = _text(value)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            self.faults.append(
                InputError(
                    f"{where.split(' (')[0]} is not a finite number",
                    code="E_NUMERIC",
                    where=where,
                    action=_NUMERIC,
                )
            )
            return None
        return number

    def private(self, creator: tuple[int, str], element: int) -> tuple[Any, str]:
        """Value and tag of a private element, found through its creator, wherever the block is."""
        try:
            found = self.dataset.private_block(creator[0], creator[1])[element]
        except Exception:  # absent block, absent element, or one that pydicom cannot build
            return None, ""
        where = f"{creator[1]} ({found.tag.group:04X},{found.tag.element:04X})"
        return found.value, where

    def private_decay(self) -> tuple[str, str]:
        for creator, element in ((_GE_CREATOR, _GE_DECAY), (_SIEMENS_CREATOR, _SIEMENS_DECAY)):
            value, where = self.private(creator, element)
            if _text(value):
                return _text(value), where
        return "", ""

    def private_injection(self) -> str:
        return _text(self.private(_GE_CREATOR, _GE_INJECTION)[0])

    def creator_stripped(self) -> bool:
        """Tell whether a Philips header holds factors whose creator element was removed.

        Without a creator a private element belongs to nobody; only in the first block of Philips'
        own group, in a Philips header, and with no creator in that group is there no other owner.
        """
        group = _PHILIPS_CREATOR[0]
        if not self.text("Manufacturer").upper().startswith("PHILIPS"):
            return False
        try:
            inside = [t for t in self.dataset.keys() if t.group == group]  # noqa: SIM118
        except AttributeError:
            return False
        return bool(inside) and all(t.element >= 0x1000 for t in inside)

    def philips(self, element: int) -> float | None:
        value, _ = self.private(_PHILIPS_CREATOR, element)
        if value is None and self.creator_stripped():
            value = self._get(self.dataset, (_PHILIPS_CREATOR[0], 0x1000 + element))
            value = getattr(value, "value", None)
        try:
            factor = float(_text(value))
        except ValueError:  # text, several values or none: as if the element were absent
            return None
        return factor if math.isfinite(factor) and factor > 0 else None

    def code(self) -> NuclideCode:
        items: Any = self._get(self.agent, "RadionuclideCodeSequence") or []
        if not len(items):
            return NuclideCode()
        return NuclideCode(
            *(
                self.text(k, items[0])
                for k in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
            )
        )


_Read = Callable[[_Reader], Any]


def _agent(keyword: str, kind: str) -> tuple[str, _Read]:
    def read(reader: _Reader) -> Any:
        return getattr(reader, kind)(keyword, reader.agent)

    return tag(keyword), read


def _plain(keyword: str, kind: str) -> tuple[str, _Read]:
    def read(reader: _Reader) -> Any:
        return getattr(reader, kind)(keyword)

    return (tag(keyword) if keyword in TAGS else keyword), read


_CONSTANT: dict[str, tuple[str, _Read]] = {
    "modality": _plain("Modality", "text"),
    "sop_class": _plain("SOPClassUID", "text"),
    "manufacturer": _plain("Manufacturer", "text"),
    "model": _plain("ManufacturerModelName", "text"),
    "series_type": _plain("SeriesType", "words"),
    "corrections": _plain("CorrectedImage", "words"),
    "units": (tag("Units"), lambda r: r.text("Units").upper()),
    "decay_correction": (tag("DecayCorrection"), lambda r: r.text("DecayCorrection").upper()),
    "sex": (tag("PatientSex"), lambda r: r.text("PatientSex").upper()),
    "weight_kg": _plain("PatientWeight", "number"),
    "height_m": _plain("PatientSize", "number"),
    "dose": _agent("RadionuclideTotalDose", "number"),
    "half_life_s": _agent("RadionuclideHalfLife", "number"),
    "n_administrations": (
        tag("RadiopharmaceuticalInformationSequence"),
        lambda r: r.n_administrations,
    ),
    "start_time": _agent("RadiopharmaceuticalStartTime", "text"),
    "start_datetime": _agent("RadiopharmaceuticalStartDateTime", "text"),
    "nuclide": (tag("RadionuclideCodeSequence"), _Reader.code),
    "radiopharmaceutical": _agent("Radiopharmaceutical", "text"),
    "series_date": _plain("SeriesDate", "text"),
    "series_time": _plain("SeriesTime", "text"),
    "offset": _plain("TimezoneOffsetFromUTC", "text"),
    "private_decay": ("private decay date-time", lambda r: r.private_decay()[0]),
    "private_decay_where": ("private decay date-time", lambda r: r.private_decay()[1]),
    "decay_datetime": _plain("DecayCorrectionDateTime", "text"),
    "private_injection": (
        "GEMS_PETD_01 (0009,xx3B)",
        lambda r: r.private_injection(),
    ),
    "suv_type": (tag("SUVType"), lambda r: r.text("SUVType").upper()),
    "agent_number": (
        tag("RadiopharmaceuticalAgentNumber"),
        lambda r: r.text("RadiopharmaceuticalAgentNumber"),
    ),
    "philips_suv_factor": (
        "Philips SUV scale factor (7053,xx00)",
        lambda r: r.philips(_PHILIPS_SUV),
    ),
    "philips_activity_factor": (
        "Philips activity scale factor (7053,xx09)",
        lambda r: r.philips(_PHILIPS_ACTIVITY),
    ),
    "creator_stripped": (
        "Philips PET Private Group (7053,0010)",
        lambda r: r.creator_stripped(),
    ),
    "dates_modified": (
        tag("LongitudinalTemporalInformationModified"),
        lambda r: r.text("LongitudinalTemporalInformationModified") in ("MODIFIED", "REMOVED"),
    ),
}


def _slice(reader: _Reader) -> PetSlice:
    reference = reader.number("FrameReferenceTime")
    duration = reader.number("ActualFrameDuration")
    position = reader._get(reader.dataset, "ImagePositionPatient")
    return PetSlice(
        where=reader.name,
        acquisition_date=reader.text("AcquisitionDate"),
        acquisition_time=reader.text("AcquisitionTime"),
        acquisition_datetime=reader.text("FrameAcquisitionDateTime"),
        reference_datetime=reader.text("FrameReferenceDateTime"),
        frame_reference_s=None if reference is None else reference / 1000.0,
        duration_s=None if duration is None else duration / 1000.0,
        slope=reader.number("RescaleSlope"),
        intercept=reader.number("RescaleIntercept"),
        position=tuple(float(p) for p in position) if position else None,
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return str(value).strip(" \0")


def _unique(faults: list[EprimgError]) -> list[EprimgError]:
    """Drop repetitions: the same unreadable element in 300 slices is one fault."""
    return list({(f.code, f.where): f for f in faults}.values())
