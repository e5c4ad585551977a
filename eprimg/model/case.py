"""A case: everything that is known about one study so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from eprimg.model.lesions import LesionSet, MatchedLesions
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Study
from eprimg.model.tiers import PatientTier, TierScheme
from eprimg.model.transform import Registration

if TYPE_CHECKING:
    from eprimg.errors import EprimgError

__all__ = ["Case", "Finding", "Provenance", "Severity", "StageResult"]

T = TypeVar("T")


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_SEVERITY_OF = {"I_": Severity.INFO, "W_": Severity.WARNING, "E_": Severity.ERROR}


@dataclass(frozen=True, slots=True)
class Finding:
    """A doubtful but usable input, or something the reader should know.

    Parameters
    ----------
    code : str
        Stable code: ``W_...`` for a warning, ``I_...`` for information, ``E_...`` for a part
        that was refused while the rest went on.
    severity : Severity
        Info, warning or error.
    where : str
        Series key, region name, file or tag.
    text : str
        One or two sentences for a person.
    stage : str
        Step that noticed it (``read``, or a stage of the pipeline), set by the pipeline so that the
        findings of a stage that is run again are replaced.  It is no part of what is said: two
        findings that differ in nothing else are equal.
    """

    code: str
    severity: Severity
    where: str
    text: str
    stage: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check that the code says the same as the severity."""
        if self.severity != _SEVERITY_OF.get(self.code[:2], self.severity):
            raise ValueError(f"{self.code} is not a code of severity {self.severity}")

    @classmethod
    def from_error(cls, error: EprimgError, where: str = "") -> Finding:
        """Turn an error that stops only a part into a finding.

        Parameters
        ----------
        error : EprimgError
            What was refused.
        where : str
            Place; the error's own place by default.

        Returns
        -------
        Finding
            Of severity error, with the error's code.
        """
        text = error.message.rstrip(".") + (f". Next: {error.action}." if error.action else "")
        return cls(error.code, Severity.ERROR, where or (error.where or ""), text)


@dataclass(frozen=True, slots=True)
class StageResult(Generic[T]):
    """What a stage returns.

    Parameters
    ----------
    value : object
        The stage's product.
    findings : tuple of Finding
        What it noticed.
    """

    value: T
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made the numbers.

    Parameters
    ----------
    versions : Mapping of str to str
        Package versions.
    config_hash, input_hash : str
        SHA-256 of configuration and of the input.
    started, finished : str
        ISO 8601 instants (UTC).
    seconds : Mapping of str to float
        Wall-clock seconds per stage.
    peak_memory_mb : float
        Peak resident memory of the process.
    engines : Mapping of str to str
        Engine per purpose.
    threads : int
        Number of threads.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    config_hash: str = ""
    input_hash: str = ""
    started: str = ""
    finished: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = float("nan")
    engines: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """Study, transforms, maps, regions, tiers: grows by replacement.

    Parameters
    ----------
    study : Study
        What was read.
    registrations : tuple of Registration
        Estimated transforms from the reference series to the others.
    maps : Mapping of str to QuantityMap
        Native-grid maps by key: ``r2star_pre``, ``s0_pre``, ``r2star_post``, ``s0_post``,
        ``suvbw``, ``pid_per_kg`` ...
    registered : Mapping of str to QuantityMap
        Maps on the reference grid: ``r2star_pre``, ``r2star_post``, ``dr2star``, ``suvbw``,
        ``pid_per_kg``.
    lesions : LesionSet or None
        Regions with measurements and tiers, on the reference grid.
    native_lesions : Mapping of str to LesionSet
        The same labels carried to each native grid, by series key.
    schemes : tuple of TierScheme
        Schemes that were applied.
    patient_tiers : tuple of PatientTier
        One per scheme.
    findings : tuple of Finding
        Everything noticed so far.
    provenance : Provenance
        Versions, hashes, times.
    drawn_lesions : Mapping of str to LesionSet
        Regions that were drawn or found on another grid than the reference, as they were drawn, by
        series key.  An edit on the reference grid leaves them alone: measuring uses them only
        while the outline on the reference grid is still the one that belongs to them.
    lesion_matches : tuple of MatchedLesions
        Lesions that were drawn on two series, and which of them belong together; of the regions as
        they were read, not of edited ones.
    uptake_apart_mm : Mapping of int to float
        Distance between the centre of a lesion's uptake and of its MR outline, by region id; only
        lesions whose uptake stands out.
    uptake_centres : Mapping of str to tuple of float or None
        What those distances were computed with, for the next edit: centre of the uptake (LPS mm of
        PET), or None where nothing stands out, by a digest of the voxels it was found from.  It
        saves work and changes no number; it is not written to disk.
    """

    study: Study
    registrations: tuple[Registration, ...] = ()
    maps: Mapping[str, QuantityMap] = field(default_factory=dict)
    registered: Mapping[str, QuantityMap] = field(default_factory=dict)
    lesions: LesionSet | None = None
    native_lesions: Mapping[str, LesionSet] = field(default_factory=dict)
    schemes: tuple[TierScheme, ...] = ()
    patient_tiers: tuple[PatientTier, ...] = ()
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    drawn_lesions: Mapping[str, LesionSet] = field(default_factory=dict)
    lesion_matches: tuple[MatchedLesions, ...] = ()
    uptake_apart_mm: Mapping[int, float] = field(default_factory=dict)
    uptake_centres: Mapping[str, tuple[float, float, float] | None] = field(default_factory=dict)

    def registration(self, moving: str) -> Registration | None:
        """Return the registration of a series to the reference series.

        Parameters
        ----------
        moving : str
            Key of the moving series.

        Returns
        -------
        Registration or None
            None when the series is the reference itself or could not be registered.
        """
        return next((r for r in self.registrations if r.moving == moving), None)

    def __repr__(self) -> str:
        """Short form."""
        return (
            f"Case({self.study!r}, maps {sorted(self.maps)}, {self.lesions!r}, "
            f"{len(self.findings)} findings)"
        )
