"""A saved reading: regions, roles, entered facts, settings and view of one study, as a folder.

The folder holds no voxel of the source: it names the study, with a hash per series, so that a run
from it gives the numbers of the reading again, or refuses when the source has changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from eprimg.config import Config, load_config
from eprimg.errors import EprimgError, InputError, OutputError
from eprimg.io.output_folder import check_target, output_path, verify_folder, whole_folder
from eprimg.io.saved_records import (
    found_at,
    place_of,
    read_set,
    region_record,
    scheme_record,
    study_file_from_record,
    study_file_record,
    write_set,
)
from eprimg.io.shared_voxels import shared_record
from eprimg.io.study_file import StudyFile
from eprimg.io.write_maps import write_json
from eprimg.model.case import Case, Finding, Severity
from eprimg.model.lesions import LesionSet
from eprimg.model.schemes import parse_scheme
from eprimg.model.study import Study
from eprimg.model.tiers import TierScheme

__all__ = [
    "SavedCase",
    "SavedSeries",
    "check_sources",
    "is_saved_case",
    "load_saved_case",
    "refuse_saved_case",
    "save_case",
    "saved_case_of",
]

_FORMAT = "eprimg saved case"
_VERSION = 1
_OUTLINES = "outlines"
"""Setting of a drawn label set: the outline on the reference grid that each region belongs to."""


@dataclass(frozen=True, slots=True)
class SavedSeries:
    """What a saved case remembers of one series, to notice that it was changed.

    Parameters
    ----------
    key, role, source_uid, source_hash : str
        As in `eprimg.model.study.Series`.
    """

    key: str
    role: str
    source_uid: str
    source_hash: str


@dataclass(frozen=True, eq=False)
class SavedCase:
    """A reading of one study.

    Parameters
    ----------
    source : Path
        Folder (or file) that the user opened.
    study_file : StudyFile
        Everything that was said about the study: pseudonym, roles, entered facts, masks.
    config : Config
        Settings.
    series : tuple of SavedSeries
        The series that were read.
    input_hash : str
        Hash of everything that the numbers depend on (`Study.input_hash`).
    regions : LesionSet or None
        Regions on the reference grid as edited, without numbers; None when there are none.
    drawn : Mapping of str to LesionSet
        Regions that were drawn on another grid, by series key (`Case.drawn_lesions`).
    schemes : tuple of TierScheme or None
        Tier schemes as edited; None: those that the settings name.
    view : Mapping
        State of the windows: anything that JSON can hold.
    version : str
        Version of eprimg that saved it; empty before it is saved.
    """

    source: Path
    study_file: StudyFile
    config: Config
    series: tuple[SavedSeries, ...] = ()
    input_hash: str = ""
    regions: LesionSet | None = None
    drawn: Mapping[str, LesionSet] = field(default_factory=dict)
    schemes: tuple[TierScheme, ...] | None = None
    view: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""

    @cached_property
    def regions_hash(self) -> str:
        """SHA-256 of the regions and of where they were drawn."""
        digest = sha256()
        for name, each in (("", self.regions), *sorted(self.drawn.items())):
            if each is not None:
                digest.update(f"{name} {[region_record(r) for r in each.regions]}".encode())
                digest.update(np.asarray(each.labels, dtype=np.int32).tobytes())
                if each.shared:
                    digest.update(repr(shared_record(each)).encode())
        return digest.hexdigest()


def saved_case_of(
    case: Case,
    config: Config,
    *,
    source: Path | str,
    study_file: StudyFile | None = None,
    schemes: Sequence[TierScheme] | None = None,
    view: Mapping[str, Any] | None = None,
) -> SavedCase:
    """Collect what is worth saving of a case.

    Parameters
    ----------
    case : Case
        The reading so far, with edited regions.
    config : Config
        Settings.
    source : Path
        Folder that the user opened.
    study_file : StudyFile, optional
        What was said about the study (`StudyPlan.study_file`).
    schemes : sequence of TierScheme, optional
        Tier schemes when they were edited; those that the settings name when left out.
    view : Mapping, optional
        State of the windows.

    Returns
    -------
    SavedCase
        Ready for `save_case`.
    """
    return SavedCase(
        source=Path(source),
        study_file=study_file or StudyFile(),
        config=config,
        series=tuple(
            SavedSeries(s.key, str(s.role), s.source_uid, s.source_hash) for s in case.study.series
        ),
        input_hash=case.study.input_hash,
        regions=case.lesions,
        drawn=dict(case.drawn_lesions),
        schemes=None if schemes is None else tuple(schemes),
        view=dict(view or {}),
    )


def is_saved_case(path: Path | str) -> bool:
    """Tell whether a folder is a saved case.

    Parameters
    ----------
    path : Path
        Any path.

    Returns
    -------
    bool
        True when it holds the record of a saved case, damaged or not.
    """
    return output_path(Path(path), "saved_case").is_file()


def refuse_saved_case(out: Path | str) -> None:
    """Refuse to write results over a saved reading.

    Parameters
    ----------
    out : Path
        Output folder.

    Raises
    ------
    OutputError
        ``E_OUTPUT_FOREIGN``.
    """
    if is_saved_case(out):
        raise OutputError(
            "the output folder is a saved case, which is not replaced by results",
            code="E_OUTPUT_FOREIGN",
            where=str(out),
            action="give another folder",
        )


def save_case(path: Path | str, saved: SavedCase, *, overwrite: bool = False) -> Path:
    """Write a saved case: the whole folder, with a manifest of hashes, or nothing.

    Parameters
    ----------
    path : Path
        Folder to write.
    saved : SavedCase
        See `saved_case_of`.
    overwrite : bool
        Replace an earlier saved case (and nothing else).

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        See `eprimg.io.output_folder.check_target`; ``E_OUTPUT_FOREIGN`` for a folder that is no
        saved case.
    """
    path = Path(path)
    own_version = version("eprimg")
    check_target(path, overwrite=overwrite, source=saved.source)
    if overwrite and path.is_dir() and any(path.iterdir()) and not is_saved_case(path):
        raise OutputError(
            "the folder is no saved case, so it is not replaced",
            code="E_OUTPUT_FOREIGN",
            where=str(path),
            action="give another folder",
        )
    facts = {"kind": _FORMAT, "input_hash": saved.input_hash, "eprimg": own_version}
    with whole_folder(path, facts, overwrite=overwrite) as root:
        content: dict[str, Any] = {
            "format": _FORMAT,
            "version": _VERSION,
            "eprimg": own_version,
            "source": place_of(saved.source, path),
            "input_hash": saved.input_hash,
            "series": [
                {
                    "key": s.key,
                    "role": s.role,
                    "source_uid": s.source_uid,
                    "source_hash": s.source_hash,
                }
                for s in saved.series
            ],
            "study_file": study_file_record(saved.study_file, lambda mask: place_of(mask, path)),
            "schemes": None
            if saved.schemes is None
            else [scheme_record(scheme) for scheme in saved.schemes],
            "regions": None,
            "drawn": {},
            "view": dict(saved.view),
        }
        if saved.regions is not None:
            content["regions"] = write_set(saved.regions, output_path(root, "saved_regions"))
        for key, each in saved.drawn.items():
            place = output_path(root, "saved_drawn", key=key)
            place.parent.mkdir(exist_ok=True)
            outlines = each.settings.get(_OUTLINES)
            content["drawn"][key] = {
                **write_set(each, place),
                "outlines": dict(outlines) if isinstance(outlines, Mapping) else {},
            }
        text = saved.config.to_toml()
        output_path(root, "settings").write_text(text, encoding="utf-8", newline="")
        write_json(content, output_path(root, "saved_case"))
    return path


def load_saved_case(path: Path | str, *, source: Path | str | None = None) -> SavedCase:
    """Read a saved case and check it against its manifest.

    Parameters
    ----------
    path : Path
        Folder.
    source : Path, optional
        Where the study lies now, when it was moved.

    Returns
    -------
    SavedCase
        As saved; the study itself has not been looked at, see `check_sources`.

    Raises
    ------
    InputError
        ``E_CASE_READ`` when the folder is no saved case, is damaged, or comes from a later version;
        ``E_CASE_MOVED`` when the study is not where it was and no other place was given.
    """
    path = Path(path)
    if not is_saved_case(path):
        raise _unreadable(path, "this is no saved case")
    try:
        verify_folder(path)
        content = json.loads(output_path(path, "saved_case").read_text(encoding="utf-8"))
        if content["format"] != _FORMAT or content["version"] > _VERSION:
            raise _unreadable(path, "the saved case was written by a later version of eprimg")
        saved = _from_content(content, path)
    except InputError as error:
        if error.code == "E_CASE_READ":
            raise
        raise _unreadable(path, f"the saved case cannot be used: {error.message}") from error
    except (EprimgError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, "the saved case is damaged or was changed by hand") from error
    if source is not None:
        saved = replace(saved, source=Path(source))
    if not saved.source.exists():
        raise InputError(
            "the study of this saved case is not where it was",
            code="E_CASE_MOVED",
            where=path.name,
            value=str(saved.source),
            action="give the folder where it lies now (eprimg run FOLDER --case CASE), or open the "
            "study anew",
        )
    return saved


def _from_content(content: Mapping[str, Any], path: Path) -> SavedCase:
    schemes = content["schemes"]
    regions = content["regions"]
    return SavedCase(
        source=found_at(content["source"], path),
        study_file=study_file_from_record(content["study_file"], lambda p: found_at(p, path)),
        config=load_config(output_path(path, "settings")),
        series=tuple(SavedSeries(**each) for each in content["series"]),
        input_hash=str(content["input_hash"]),
        regions=read_set(regions, output_path(path, "saved_regions")) if regions else None,
        drawn={
            key: replace(
                read_set(each, output_path(path, "saved_drawn", key=key)),
                settings={_OUTLINES: dict(each["outlines"])},
            )
            for key, each in content["drawn"].items()
        },
        schemes=None if schemes is None else tuple(parse_scheme(s, path.name) for s in schemes),
        view=dict(content["view"]),
        version=str(content["eprimg"]),
    )


def _unreadable(path: Path, message: str) -> InputError:
    return InputError(
        message,
        code="E_CASE_READ",
        where=path.name,
        action="give the folder as it was saved, or open the study anew",
    )


def check_sources(saved: SavedCase, study: Study) -> tuple[Finding, ...]:
    """Refuse a saved case whose study is not the one that was read.

    Parameters
    ----------
    saved : SavedCase
        The saved case.
    study : Study
        What was read now, with the saved roles and facts.

    Returns
    -------
    tuple of Finding
        ``I_CASE_REOPENED``, and ``W_CASE_VERSION`` when another version of eprimg saved it.

    Raises
    ------
    InputError
        ``E_CASE_SOURCES`` naming every series that is missing, new or changed.
    """
    own_version = version("eprimg")
    now = {s.key: s for s in study.series}
    wrong = [f"{s.key} is missing" for s in saved.series if s.key not in now]
    known = {s.key for s in saved.series}
    wrong += [f"{key} is new" for key in now if key not in known]
    wrong += [
        f"{s.key} has changed"
        for s in saved.series
        if s.key in now
        and (now[s.key].source_hash, now[s.key].source_uid) != (s.source_hash, s.source_uid)
    ]
    same_version = saved.version in ("", own_version)
    if not wrong and same_version and study.input_hash != saved.input_hash:
        wrong = ["headers, masks or entered facts have changed"]
    if wrong:
        raise InputError(
            f"the study is not as it was when the case was saved: {'; '.join(wrong)}",
            code="E_CASE_SOURCES",
            where=saved.source.name,
            action="give the folder that holds the study as it was, or open the study anew",
        )
    findings = [
        Finding(
            "I_CASE_REOPENED",
            Severity.INFO,
            "",
            "Regions, roles, entered facts and settings come from a saved case.",
        )
    ]
    if not same_version:
        findings.append(
            Finding(
                "W_CASE_VERSION",
                Severity.WARNING,
                "",
                f"The case was saved by eprimg {saved.version}, and this is {own_version}: numbers "
                "may differ from those that were seen then.",
            )
        )
    return tuple(findings)
