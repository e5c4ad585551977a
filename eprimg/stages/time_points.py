"""Several sessions in one role: what their maps and numbers are called, and one seen alone.

The primary series has the key of its role (``mr_post``, ``pet``) and its maps plain names; what
belongs to another one ends in its number (``mr_post_2``, ``r2star_post_2``, ``dr2star_2``,
``pet_2``, ``suvbw_2``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from eprimg.model.case import Finding
from eprimg.model.lesions import Measurement
from eprimg.model.maps import QuantityMap
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.transform import Registration
from eprimg.stages.noise_floor import VoxelDoubts
from eprimg.stages.numbers import Kept, Numbers

__all__ = [
    "MEASURED_ROLES",
    "Point",
    "measured_series",
    "pet_points",
    "phase_of",
    "post_points",
    "primary_first",
    "registered_keys",
    "suffix_of",
    "suffixes_in",
]

MEASURED_ROLES = (Role.MR_PRE, Role.MR_POST, Role.PET)
"""Roles whose series carry numbers."""

_REGISTERED = ("suvbw", "pid_per_kg")


def suffix_of(series: Series) -> str:
    """Return what the names of a series' maps end in.

    Parameters
    ----------
    series : Series
        MR after the agent, or PET.

    Returns
    -------
    str
        Empty for the primary one, and for a series that was read alone under another key; else
        ``_2`` and so on.
    """
    numbered = re.fullmatch(rf"{series.role}(_\d+)", series.key)
    return numbered[1] if numbered else ""


def phase_of(series: Series) -> str:
    """Return what the names of the maps of an MR series end in.

    Parameters
    ----------
    series : Series
        MR before or after the agent.

    Returns
    -------
    str
        ``pre``, ``post``, ``post_2`` and so on.
    """
    return ("pre" if series.role == Role.MR_PRE else "post") + suffix_of(series)


def suffixes_in(keys: Iterable[str], role: str) -> tuple[str, ...]:
    """Return what the keys of a role's series end in.

    Parameters
    ----------
    keys : iterable of str
        Keys of series.
    role : str
        E.g. ``pet``.

    Returns
    -------
    tuple of str
        The empty suffix of the primary one, whether it is there or not, then ``_2`` and so on.
    """
    found = {int(m[1]) for k in keys if (m := re.fullmatch(rf"{role}_(\d+)", k))}
    return ("", *(f"_{n}" for n in sorted(found)))


def primary_first(study: Study, role: Role) -> tuple[Series, ...]:
    """Return the series of a role, the primary one first and the others in order of time.

    Parameters
    ----------
    study : Study
        What was read.
    role : Role
        The role.

    Returns
    -------
    tuple of Series
        Empty when nothing plays the role.
    """
    first = study.find(role)
    if first is None:
        return ()
    return (first, *(s for s in study.find_all(role) if s is not first))


def measured_series(study: Study) -> tuple[Series, ...]:
    """Return every series that carries numbers.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    tuple of Series
        Before the agent, after it, PET; within a role the primary one first.
    """
    return tuple(s for role in MEASURED_ROLES for s in primary_first(study, role))


def registered_keys(study: Study) -> tuple[str, ...]:
    """Name the native maps that are also brought to the reference grid.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    tuple of str
        Whether the maps are there or not.
    """
    mr = [s for role in (Role.MR_PRE, Role.MR_POST) for s in primary_first(study, role)]
    pets = [suffix_of(s) for s in primary_first(study, Role.PET)]
    return (
        *(f"r2star_{phase_of(s)}" for s in mr),
        *(f"{key}{suffix}" for suffix in pets for key in _REGISTERED),
    )


@dataclass(frozen=True, eq=False, slots=True)
class Point:
    """One time point, to be measured by the functions that measure a study with one of them.

    Parameters
    ----------
    series : Series
        As it is called in the study.
    study : Study
        The study with this series alone in its role, under the name of the primary one.
    others : frozenset of str
        Keys of the other time points of this role.
    """

    series: Series
    study: Study
    others: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Key of the series."""
        return self.series.key

    @property
    def suffix(self) -> str:
        """What the names of its maps end in."""
        return suffix_of(self.series)

    @property
    def is_primary(self) -> bool:
        """Whether its names are plain ones."""
        return not self.suffix

    def plain(self, maps: Mapping[str, QuantityMap]) -> dict[str, QuantityMap]:
        """Return the maps as they would be if this time point were the primary one.

        Parameters
        ----------
        maps : Mapping of str to QuantityMap
            By the names that they have in the case.

        Returns
        -------
        dict
            By plain names; without those of the other time points of this role.
        """
        kept = {}
        for name, each in maps.items():
            if self.others & set(each.sources):
                continue
            if self.suffix and self.key in each.sources:
                sources = tuple(str(self.series.role) if s == self.key else s for s in each.sources)
                name, each = name.removesuffix(self.suffix), replace(each, sources=sources)
            kept[name] = each
        return kept

    def registrations(self, registrations: Sequence[Registration]) -> tuple[Registration, ...]:
        """Return the registrations as they would be if this time point were the primary one.

        Parameters
        ----------
        registrations : sequence of Registration
            From the reference series to the others.

        Returns
        -------
        tuple of Registration
            Without those of the other time points of this role.
        """
        return tuple(
            replace(r, moving=str(self.series.role)) if r.moving == self.key else r
            for r in registrations
            if r.moving not in self.others
        )

    def renamed(self, text: str) -> str:
        """Put the name of this time point where the text says that of the primary one.

        Parameters
        ----------
        text : str
            Source, grid or words about the primary time point.

        Returns
        -------
        str
            The same about this one.
        """
        if self.is_primary:
            return text
        if text == "registered":
            return f"{text}{self.suffix}"
        return re.sub(rf"\b{self.series.role}\b", self.key, text)

    def renamed_findings(self, findings: Iterable[Finding]) -> list[Finding]:
        """Rename findings of a function that saw this time point as the primary one.

        Parameters
        ----------
        findings : iterable of Finding
            As returned.

        Returns
        -------
        list of Finding
            Those of a further time point that are about it; all for the primary one.
        """
        if self.is_primary:
            return list(findings)
        renamed = [
            replace(f, where=self.renamed(f.where), text=self.renamed(f.text)) for f in findings
        ]
        return [f for f in renamed if self.key in f.where]

    def doubts(self, doubts: VoxelDoubts) -> VoxelDoubts:
        """Return the doubtful voxels as they would be if this time point were the primary one.

        Parameters
        ----------
        doubts : Mapping
            By source and region id.

        Returns
        -------
        Mapping
            The same, by plain names.
        """
        if self.is_primary or self.key not in doubts:
            return doubts
        return {**doubts, str(self.series.role): doubts[self.key]}

    @contextmanager
    def as_primary(self, numbers: Numbers, kept: Kept) -> Iterator[tuple[Numbers, Kept]]:
        """Let functions measure this time point under the names of the primary one.

        Parameters
        ----------
        numbers : dict
            Measurements by region id; grows by what was measured meanwhile, under the names of
            this time point.
        kept : Mapping
            Measurements of regions that are not measured again.

        Yields
        ------
        tuple of dict and Mapping
            New and kept numbers with plain names, without those of the other time points; the
            arguments themselves for the primary one.
        """
        if self.is_primary:
            yield numbers, kept
            return
        seen = {i: self._seen(each) for i, each in numbers.items()}
        before = {i: len(each) for i, each in seen.items()}
        yield seen, {i: tuple(self._seen(each)) for i, each in kept.items()}
        for number, measured in seen.items():
            numbers[number] += [
                replace(
                    m,
                    source=self.renamed(m.source),
                    grid=self.renamed(m.grid),
                    note=self.renamed(m.note),
                    uncertainty_note=self.renamed(m.uncertainty_note),
                )
                for m in measured[before[number] :]
            ]

    def _seen(self, measured: Iterable[Measurement]) -> list[Measurement]:
        of_role = re.compile(rf"\b{self.series.role}(_\d+)?\b|^registered(_\d+)?$")
        own = re.compile(rf"\b{self.key}\b|^registered{self.suffix}$")
        seen = []
        for m in measured:
            if own.search(m.source):
                plain = re.sub(rf"\b{self.key}\b", str(self.series.role), m.source)
                seen.append(replace(m, source="registered" if plain == m.source else plain))
            elif not of_role.search(m.source):
                seen.append(m)
        return seen


def post_points(study: Study) -> tuple[Point, ...]:
    """Return the MR sessions after the agent, the primary one first.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    tuple of Point
        Empty without MR after the agent.
    """
    return _points(study, Role.MR_POST)


def pet_points(study: Study) -> tuple[Point, ...]:
    """Return the PET sessions, the primary one first.

    Parameters
    ----------
    study : Study
        What was read.

    Returns
    -------
    tuple of Point
        Empty without PET.
    """
    return _points(study, Role.PET)


def _points(study: Study, role: Role) -> tuple[Point, ...]:
    found = primary_first(study, role)
    keys = frozenset(s.key for s in found)
    return tuple(Point(s, _alone(study, s), keys - {s.key}) for s in found)


def _alone(study: Study, series: Series) -> Study:
    """Take the other series of a role out, and give this one the name of the primary one."""
    if len(study.find_all(series.role)) == 1:
        return study
    points = []
    for timepoint in study.timepoints:
        kept = tuple(
            replace(s, key=str(s.role)) if s.key == series.key else s
            for s in timepoint.series
            if s.role != series.role or s.key == series.key
        )
        if kept:
            points.append(Timepoint(timepoint.label, timepoint.instant, kept))
    return replace(study, timepoints=tuple(points))
