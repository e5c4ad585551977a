"""A patient's study: timepoints with series, ordered and uniquely labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from eprimg.errors import InputError
from eprimg.model.acquisition import MRAcquisition, PETAcquisition
from eprimg.model.complex_echoes import ComplexEchoSource
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet
from eprimg.model.manual_help import ManualHelp
from eprimg.model.maps import ExternalMap
from eprimg.model.volume import EchoStack, Volume

__all__ = ["Click", "Placed", "Role", "Series", "Study", "Timepoint"]


class Role(StrEnum):
    """What a series is used for."""

    MR_PRE = "mr_pre"
    MR_POST = "mr_post"
    PET = "pet"
    CT = "ct"
    REGIONS = "regions"
    UNUSED = "unused"


class Placed(Protocol):
    """What masks, maps, clicks and help for the alignment need to know of a series.

    A `Series` has it, and so has the head of a series whose voxels were not read.
    """

    @property
    def key(self) -> str:
        """Key in the study."""

    @property
    def role(self) -> Role:
        """What it is used for."""

    @property
    def grid(self) -> Grid:
        """Where its voxels lie."""

    @property
    def source_uid(self) -> str:
        """Series instance UID, or empty."""


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """One series with its voxels.

    Parameters
    ----------
    key : str
        Stable short key inside the study: ``mr_pre``, ``mr_post``, ``pet``, ``ct``.  Where a role
        is played at several time points, the primary one has this key and the others, in order of
        time, ``mr_post_2``, ``pet_2`` and so on; a CT has the number of its PET.
    role : Role
        What it is used for.
    pixels : EchoStack or Volume
        Voxel values; PET in Bq/mL as stored (decay corrected as its acquisition says).
    acquisition : MRAcquisition, PETAcquisition or None
        Facts from the header or entered by the user (None for CT).
    description : str
        Series description of the source (never a patient's name).
    source_uid : str
        Series instance UID, or empty for NIfTI.
    source_hash : str
        SHA-256 of the source's instance UIDs and voxel values.
    study_uid : str
        Study instance UID (tells whether two series belong to one session).
    n_files : int
        Number of source files.
    complex_echoes : ComplexEchoSource or None
        Where the complex signal of an echo train can be read from, when phase, or real and
        imaginary, frames were found beside the magnitude; no voxel of them is held here.
    nuclide : str
        Nuclide of a PET whose acquisition is None, because SUV needs more than was said; e.g.
        ``89Zr``, empty when it is not known.  Otherwise the acquisition holds it.
    tracer : str
        What was injected, in the words of the header; empty when it does not say.
    """

    key: str
    role: Role
    pixels: EchoStack | Volume
    acquisition: MRAcquisition | PETAcquisition | None
    description: str = ""
    source_uid: str = ""
    source_hash: str = ""
    study_uid: str = ""
    n_files: int = 0
    complex_echoes: ComplexEchoSource | None = None
    nuclide: str = ""
    tracer: str = ""

    @property
    def grid(self) -> Grid:
        """Grid of the voxels."""
        return self.pixels.grid


@dataclass(frozen=True, slots=True)
class Click:
    """A point that a person set in a lesion or a reference organ.

    Parameters
    ----------
    on : str
        Key of the series on which it was set.
    point_mm : tuple of float
        Place in LPS mm of that series' frame of reference.
    anatomy : str
        ``lesion``, or an organ as in `Region.anatomy`.
    diameter_mm : float
        Size of the sphere in an organ; rough largest diameter of a lesion, 0 for not known.
    name : str
        Name of the region.
    background_mm : tuple of points
        Points that are not in the lesion.
    """

    on: str
    point_mm: tuple[float, float, float]
    anatomy: str
    diameter_mm: float = 0.0
    name: str = ""
    background_mm: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Timepoint:
    """Series that were acquired in one session.

    Parameters
    ----------
    label : str
        Unique label, e.g. ``pre ferumoxytol``.
    instant : datetime or None
        Start of the session.
    series : tuple of Series
        Its series.
    """

    label: str
    instant: datetime | None
    series: tuple[Series, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Study:
    """Everything that was read for one patient.

    Parameters
    ----------
    pseudonym : str
        Stands for the patient in every output.
    timepoints : tuple of Timepoint
        In order of time; labels are unique.
    regions : tuple of LesionSet
        Imported masks on the grid that they were drawn on.
    overrides : Mapping
        Every fact that a user entered: key, value.
    input_hash : str
        SHA-256 over the hashes of all series, regions and external maps.
    external_maps : tuple of ExternalMap
        Maps made elsewhere, each in the frame of reference of one of the series.
    clicks : tuple of Click
        Points from which regions are made.
    help : ManualHelp
        Transforms, landmarks and masks that were given for the alignment.
    """

    pseudonym: str
    timepoints: tuple[Timepoint, ...]
    regions: tuple[LesionSet, ...] = ()
    overrides: Mapping[str, object] = field(default_factory=dict)
    input_hash: str = ""
    external_maps: tuple[ExternalMap, ...] = ()
    clicks: tuple[Click, ...] = ()
    help: ManualHelp = field(default_factory=ManualHelp)

    def __post_init__(self) -> None:
        """Check that labels and series keys are unique."""
        labels = [t.label for t in self.timepoints]
        keys = [s.key for s in self.series]
        if len(set(labels)) != len(labels) or len(set(keys)) != len(keys):
            raise InputError(
                "labels of timepoints and keys of series are unique",
                code="E_STUDY",
                value=(labels, keys),
            )

    @property
    def series(self) -> tuple[Series, ...]:
        """All series of all timepoints, in order."""
        return tuple(s for t in self.timepoints for s in t.series)

    def find(self, role: Role) -> Series | None:
        """Return the series that plays a role; of several time points the primary one.

        Parameters
        ----------
        role : Role
            The role.

        Returns
        -------
        Series or None
            The one whose key is the role, else the first one, or None.
        """
        found = self.find_all(role)
        return next((s for s in found if s.key == str(role)), found[0] if found else None)

    def find_all(self, role: Role) -> tuple[Series, ...]:
        """Return every series that plays a role.

        Parameters
        ----------
        role : Role
            The role.

        Returns
        -------
        tuple of Series
            In order of time.
        """
        return tuple(s for s in self.series if s.role == role)

    def instant_of(self, key: str) -> datetime | None:
        """Return the start of the session of a series.

        Parameters
        ----------
        key : str
            Key of the series.

        Returns
        -------
        datetime or None
            None when there is no such series or its instant is not known.
        """
        sessions = (t for t in self.timepoints if any(s.key == key for s in t.series))
        return next((t.instant for t in sessions), None)

    def hours_after_dose(self, series: Series) -> float | None:
        """Return the hours since the dose that a series is about.

        Parameters
        ----------
        series : Series
            PET: since its injection; MR: since the agent (``agent.instant`` of the study file).

        Returns
        -------
        float or None
            None when one of the two instants is not known, or they cannot be compared.
        """
        if isinstance(series.acquisition, PETAcquisition):
            return series.acquisition.hours_after_injection
        start, instant = self.overrides.get("agent.instant"), self.instant_of(series.key)
        if not isinstance(start, datetime) or instant is None:
            return None
        if (start.tzinfo is None) != (instant.tzinfo is None):
            return None
        return (instant - start).total_seconds() / 3600.0

    def __repr__(self) -> str:
        """Short form."""
        keys = ", ".join(s.key for s in self.series)
        return f"Study({self.pseudonym}: {keys}; {len(self.regions)} region sets)"
