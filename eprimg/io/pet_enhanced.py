"""Frames of enhanced and legacy-converted PET, each seen through the elements of classic PET.

The functional groups (PS3.3 C.7.6.16) say per frame what classic PET says per file: the instant of
acquisition, the duration, the rescale or the real-world value mapping.  Decay correction is a flag
with a date-time.  What is read here goes through the same rules as classic PET.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eprimg.errors import EprimgError, InputError
from eprimg.io.instance import Instance

__all__ = ["Mapped", "Mapping", "frame_datasets", "real_world_mapping", "unit_of_code"]

_ENHANCED = "1.2.840.10008.5.1.4.1.1.130"
_UNITS = {
    "Bq/ml": ("BQML", "", 1.0),
    "kBq/ml": ("BQML", "", 1e3),
    "MBq/ml": ("BQML", "", 1e6),
    "g/ml": ("GML", "", 1.0),
    "g/ml{SUVbw}": ("GML", "BW", 1.0),
    "g/ml{SUVlbm}": ("GML", "LBM", 1.0),
    "g/ml{SUVlbm(James128)}": ("GML", "LBMJAMES128", 1.0),
    "g/ml{SUVlbm(Janma)}": ("GML", "LBMJANMA", 1.0),
    "g/ml{SUVibw}": ("GML", "IBW", 1.0),
    "cm2/ml": ("CM2ML", "", 1.0),
    "cm2/ml{SUVbsa}": ("CM2ML", "BSA", 1.0),
}
"""UCUM code (PS3.16 CID 84, 85) -> Units, SUVType, factor.  More preferred units come first."""
_FLAGS = (
    ("AttenuationCorrected", "ATTN"),
    ("DecayCorrected", "DECY"),
    ("ScatterCorrected", "SCAT"),
)
_MAPPING_WHERE = "RealWorldValueMappingSequence (0040,9096)"
_RANGES = (
    ("DoubleFloatRealWorldValueFirstValueMapped", "DoubleFloatRealWorldValueLastValueMapped"),
    ("RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped"),
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One linear real-world value mapping of a frame.

    Parameters
    ----------
    units, suv_type : str
        In the words of classic PET; the code itself when it is none of them.
    slope, intercept : float
        Applied to the *stored* values, not after a rescale.
    span : tuple of (float, float) or None
        First and last stored value that it covers; None when it does not say.
    """

    units: str
    suv_type: str
    slope: float
    intercept: float
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Mapped:
    """Frames as datasets of classic PET.

    Parameters
    ----------
    datasets : tuple
        One per frame; `eprimg.io.pet_header.header_from_datasets` reads them.
    names : tuple of str
        File and frame, for messages.
    spans : tuple of (float, float) or None
        Stored values that the mapping of each frame covers.
    faults : tuple of EprimgError
        What cannot be used.
    """

    datasets: tuple[Any, ...]
    names: tuple[str, ...]
    spans: tuple[tuple[float, float] | None, ...]
    faults: tuple[EprimgError, ...]


def unit_of_code(code: str) -> tuple[str, str, float]:
    """Words of classic PET for a coded unit.

    Parameters
    ----------
    code : str
        UCUM code, e.g. ``Bq/ml``; the annotation may stand before or after the unit.

    Returns
    -------
    units, suv_type : str
        E.g. ``GML`` and ``BW``; another code is handed back as it is, to be refused by name.
    factor : float
        To the unit of `units`.
    """
    plain = code.strip().replace("mL", "ml")
    if plain.startswith("{") and "}" in plain:
        note, rest = plain[: plain.index("}") + 1], plain[plain.index("}") + 1 :]
        plain = rest + note
    return _UNITS.get(plain, (code.strip() or "(no code)", "", 1.0))


def real_world_mapping(items: Sequence[Any]) -> Mapping | None:
    """Choose the real-world value mapping of a frame.

    Parameters
    ----------
    items : sequence of pydicom.dataset.Dataset
        Items of RealWorldValueMappingSequence (0040,9096).

    Returns
    -------
    Mapping or None
        Activity first, then SUVbw, then the others; None when there is no item.

    Raises
    ------
    InputError
        ``E_PET_SLOPE``: a table instead of a slope, or two different mappings to one unit.
    """
    order = {unit[:2]: n for n, unit in reversed(list(enumerate(_UNITS.values())))}
    found: dict[tuple[str, str], Mapping] = {}
    tables = 0
    for item in items:
        codes = item.get("MeasurementUnitsCodeSequence") or []
        units, kind, factor = unit_of_code(str(codes[0].get("CodeValue") or "") if codes else "")
        slope, intercept = item.get("RealWorldValueSlope"), item.get("RealWorldValueIntercept")
        if slope is None or intercept is None:
            tables += 1
            continue
        one = Mapping(units, kind, factor * float(slope), factor * float(intercept), _span(item))
        other = found.setdefault((units, kind), one)
        if (other.slope, other.intercept) != (one.slope, one.intercept):
            raise _slope_fault(f"two different mappings to {units}")
    if not found:
        if tables:
            raise _slope_fault("a mapping without slope and intercept (a table)")
        return None
    best = min(found, key=lambda u: order.get(u, len(order)))
    return found[best]


def frame_datasets(instances: Sequence[Instance]) -> Mapped:
    """Read the headers of multi-frame PET and give every frame the elements of classic PET.

    Parameters
    ----------
    instances : sequence of Instance
        Frames, of one file or several.

    Returns
    -------
    Mapped
        One dataset per frame, in the order of `instances`.

    Raises
    ------
    InputError
        ``E_FILE`` when a file has gone, ``E_ENHANCED`` when it has no functional groups.
    """
    import pydicom

    files: dict[Any, Any] = {}
    datasets, spans, faults = [], [], []
    for each in instances:
        if each.path not in files:
            try:
                files[each.path] = pydicom.dcmread(each.path, stop_before_pixels=True, force=True)
            except OSError as error:
                raise InputError(
                    f"the file cannot be read: {error.strerror}",
                    code="E_FILE",
                    where=each.path.name,
                ) from error
        frame = _Frame(files[each.path], each)
        spans.append(frame.span)
        faults += frame.faults
        datasets.append(frame)
    return Mapped(
        tuple(datasets),
        tuple(i.name for i in instances),
        tuple(spans),
        tuple({(f.code, f.message): f for f in faults}.values()),
    )


class _Frame:
    """One frame, asked like a dataset of classic PET."""

    def __init__(self, top: Any, instance: Instance) -> None:
        self.top = top
        self.faults: list[EprimgError] = []
        self.span: tuple[float, float] | None = None
        frames = top.get("PerFrameFunctionalGroupsSequence") or []
        shared = top.get("SharedFunctionalGroupsSequence") or []
        number = instance.frame
        if number is None or number >= len(frames):
            raise InputError(
                "a multi-frame object without functional groups for every frame",
                code="E_ENHANCED",
                where=instance.name,
                action="export it as enhanced DICOM with functional groups, or as single frames",
            )
        self.own, self.shared = frames[number], shared[0] if shared else None
        self.places = [*_items(self.own), *_items(self.shared), top]
        self.values: dict[Any, Any] = {}
        self._time()
        self._corrections()
        self._voxels()
        self._agent()

    def get(self, keyword: Any, default: Any = None) -> Any:
        """Value of an element: of the frame, of all frames, of the object."""
        if keyword in self.values:
            return self.values[keyword]
        if not isinstance(keyword, str):
            return self.top.get(keyword, default)
        for place in self.places:
            if keyword in place:
                return place.get(keyword)
        return default

    def keys(self) -> Any:
        return self.top.keys()

    def private_block(self, group: int, creator: str) -> Any:
        """Private elements: converted ones of the frame first, then those of the object."""
        for place in self.places:
            try:
                return place.private_block(group, creator)
            except KeyError:
                continue
        raise KeyError(creator)

    def _groups(self, keyword: str) -> Sequence[Any]:
        for groups in (self.own, self.shared):
            items = None if groups is None else groups.get(keyword)
            if items:
                return list(items)
        return []

    def _time(self) -> None:
        duration = self.get("FrameAcquisitionDuration")
        if duration is not None:
            self.values["ActualFrameDuration"] = duration
        self.values["ImageType"] = self.get("FrameType") or self.get("ImageType")

    def _corrections(self) -> None:
        flag = str(self.get("DecayCorrected") or "").strip().upper()
        by_flag = {"YES": "START", "NO": "NONE"}.get(flag, "")
        classic = "" if self._enhanced() else str(self.get("DecayCorrection") or "").strip()
        if not classic:
            self.values["DecayCorrection"] = by_flag
        elif flag and (classic.upper() == "NONE") != (flag == "NO"):
            self.values["DecayCorrection"] = f"{classic} and DecayCorrected {flag}"
        if self._enhanced() or not self.get("CorrectedImage"):
            self.values["CorrectedImage"] = [
                word for name, word in _FLAGS if str(self.get(name) or "").strip().upper() == "YES"
            ]

    def _voxels(self) -> None:
        mapping = None
        try:
            mapping = real_world_mapping(self._groups("RealWorldValueMappingSequence"))
        except InputError as fault:
            self.faults.append(fault)
        except (TypeError, ValueError):
            self.faults.append(_slope_fault("a slope or intercept that is not a number"))
        if mapping is not None:
            self.values.update(
                Units=mapping.units,
                SUVType=mapping.suv_type,
                RescaleSlope=mapping.slope,
                RescaleIntercept=mapping.intercept,
            )
            self.span = mapping.span
        elif not self.get("Units"):
            kind = str(self.get("RescaleType") or "").strip().upper()
            self.values["Units"] = "" if kind == "US" else kind

    def _agent(self) -> None:
        administrations = list(self.get("RadiopharmaceuticalInformationSequence") or [])
        usage = [
            u.get("RadiopharmaceuticalAgentNumber")
            for u in self._groups("RadiopharmaceuticalUsageSequence")
        ]
        if len(usage) == 1 and len(administrations) > 1:
            administrations = [
                a
                for a in administrations
                if a.get("RadiopharmaceuticalAgentNumber") == usage[0] and usage[0] is not None
            ]
            if len(administrations) != 1:
                self.faults.append(
                    InputError(
                        "the frame's agent number does not name one administration of the object",
                        code="E_SUV_ADMINISTRATIONS",
                        where="RadiopharmaceuticalAgentNumber (0018,9729)",
                        value=None if usage[0] is None else str(usage[0]),
                        action="export the series again",
                    )
                )
        self.values["RadiopharmaceuticalInformationSequence"] = administrations
        self.values["RadiopharmaceuticalAgentNumber"] = (
            "" if len(usage) != 1 or usage[0] is None else str(usage[0])
        )

    def _enhanced(self) -> bool:
        return str(self.top.get("SOPClassUID") or "") == _ENHANCED


def _items(groups: Any) -> list[Any]:
    """First item of every functional group; converted classic elements first."""
    if groups is None:
        return []
    sequences = [e for e in groups if e.VR == "SQ" and e.value]
    converted = [e for e in sequences if e.tag in (0x00209170, 0x00209171)]
    return [e.value[0] for e in (*converted, *(e for e in sequences if e not in converted))]


def _span(item: Any) -> tuple[float, float] | None:
    for first, last in _RANGES:
        low, high = item.get(first), item.get(last)
        if low is not None and high is not None:
            return float(low), float(high)
    return None


def _slope_fault(problem: str) -> InputError:
    return InputError(
        f"the frame has {problem} from stored values to real ones",
        code="E_PET_SLOPE",
        where=_MAPPING_WHERE,
        action="export the series with one linear mapping per frame, or as single-frame PET",
    )
