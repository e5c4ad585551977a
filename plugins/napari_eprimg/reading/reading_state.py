"""What a reading knows: study, case, settings, what is stale, selection and crosshair."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from psygnal import Signal

from eprimg.config import Config
from eprimg.errors import ConfigError, raise_faults
from eprimg.io.pet_entered import ENTERED_KEYS, read_entered
from eprimg.io.study_file import StudyFile
from eprimg.io.study_plan import StudyPlan
from eprimg.io.time_points import POINT_ROLES
from eprimg.model.case import Case, Finding
from eprimg.model.lesions import LesionSet
from eprimg.model.study import Role, Study
from napari_eprimg.reading.edits import SchemeChoice, UndoStack
from napari_eprimg.reading.reading_steps import Step, StepState
from napari_eprimg.reading.step_lights import STEPS, Progressed, step_states, steps_of_settings

__all__ = ["ReadingState"]

_STUDY_FILE = "study.toml"
_ONE_SERIES = (Role.MR_PRE, Role.CT)
"""Roles that one series plays; the others are played once per session."""


class ReadingState:
    """State of one reading; the classes below add what can be done with it.

    Attributes
    ----------
    case_changed : Signal()
        Study, maps or registrations were replaced: rebuild the layers.
    regions_changed : Signal(object)
        Frozen set of the region ids whose outline, record or numbers changed.
    tiers_changed : Signal()
        Schemes or tiers changed: recolour.
    steps_changed : Signal()
        Lights, sentences, roles or entered facts changed.
    selection_changed : Signal(int)
        Selected region, 0 for none.
    cursor_changed : Signal(object)
        Crosshair (s, p, l) in mm.
    view : dict
        What the windows want to find again in a saved case (window, fusion, camera, visible
        layers); plain JSON values.
    """

    case_changed = Signal()
    regions_changed = Signal(object)
    tiers_changed = Signal()
    steps_changed = Signal()
    selection_changed = Signal(int)
    cursor_changed = Signal(object)

    def __init__(self) -> None:
        self.view: dict[str, Any] = {}
        self._config = Config()
        self._clear()

    def _clear(self) -> None:
        """Forget everything about a study; settings stay."""
        self._folder: Path | None = None
        self._plan: StudyPlan | None = None
        self._roles: dict[str, Role] = {}
        self._entered: dict[str, Any] = {}
        self._study: Study | None = None
        self._case: Case | None = None
        self._progressed = Progressed()
        self._undo = UndoStack()
        self._dirty: set[int] = set()
        self._edited_before = False
        self._highest_id = 0
        self._measured: LesionSet | None = None
        self._schemes = SchemeChoice(self._config.stratify.schemes)
        self._saved_as: Path | None = None
        self._selected = 0
        self._cursor: tuple[float, float, float] | None = None
        self._revision = 0

    # ------------------------------------------------------------------ what is known

    @property
    def folder(self) -> Path | None:
        """Folder of the study; None before one is open."""
        return self._folder

    @property
    def plan(self) -> StudyPlan | None:
        """Series with the roles that were proposed, or given by the study's own study file."""
        return self._plan

    @property
    def roles(self) -> dict[str, Role]:
        """Role of every series by its key: as proposed, and as the user changed it."""
        if self._plan is None:
            return {}
        roles = {e.key: e.role for e in self._plan.index.series}
        for key, role in self._roles.items():
            taken = {k: Role.UNUSED for k, r in roles.items() if r == role and k != key}
            roles |= {k: r for k, r in taken.items() if self._excludes(role, key, k)}
            roles[key] = role
        return roles

    @property
    def entered(self) -> dict[str, Any]:
        """Facts that a user entered, by their name in the study file."""
        return dict(self._entered)

    @property
    def config(self) -> Config:
        """Settings; the defaults until somebody changes them."""
        return self._config

    @property
    def study(self) -> Study | None:
        """What was read; None before the step `check`."""
        return self._study

    @property
    def case(self) -> Case | None:
        """Everything measured so far; None before the step `check`."""
        return self._case

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What reading and the stages noticed."""
        if self._case is not None:
            return self._case.findings
        return self._plan.findings if self._plan is not None else ()

    @property
    def states(self) -> tuple[StepState, ...]:
        """Light, sentence and precondition of every step, in order."""
        return step_states(self._progressed, self._plan, self._case, self.roles)

    @property
    def saved_as(self) -> Path | None:
        """Saved case that holds just this state; None when there is none."""
        return self._saved_as

    @property
    def selected(self) -> int:
        """Selected region; 0 for none."""
        return self._selected

    @property
    def cursor_mm(self) -> tuple[float, float, float] | None:
        """Crosshair (s, p, l) in mm; None before the first move."""
        return self._cursor

    def done(self, step: Step) -> bool:
        """Tell whether a step was run and is not stale.

        Parameters
        ----------
        step : Step
            Which one.

        Returns
        -------
        bool
            True when its results stand.
        """
        return self._progressed.stands(step)

    def select(self, region_id: int) -> None:
        """Select a region.

        Parameters
        ----------
        region_id : int
            Its id; 0 (or an id that is not there) for none.
        """
        known = self._case.lesions.regions if self._case and self._case.lesions else ()
        chosen = int(region_id) if any(r.id == region_id for r in known) else 0
        if chosen != self._selected:
            self._selected = chosen
            self.selection_changed.emit(chosen)

    def move_cursor(self, point_mm: Sequence[float]) -> None:
        """Move the crosshair.

        Parameters
        ----------
        point_mm : sequence of 3 floats
            S, P, L in mm.
        """
        s, p, ell = (float(x) for x in point_mm)
        if (s, p, ell) != self._cursor:
            self._cursor = (s, p, ell)
            self.cursor_changed.emit(self._cursor)

    # ------------------------------------------------------------------ what the user says

    def set_role(self, key: str, role: Role) -> None:
        """Give a series a role; it is recorded as entered, and pixels must be read again.

        Parameters
        ----------
        key : str
            Key of the series.
        role : Role
            A role that one series plays is taken from the series that had it; MR after the agent
            and PET are taken from a series of the same session only.

        Raises
        ------
        ConfigError
            ``E_ROLE`` for a series that is not there.
        """
        if key not in self.roles:
            raise ConfigError(
                f"no series has the key {key!r}",
                code="E_ROLE",
                where="roles",
                action="choose a series of the list",
            )
        if self.roles[key] == role:
            return
        roles = self.roles
        for other, theirs in roles.items():
            given = theirs == role and self._roles.get(other) == role
            if given and self._excludes(role, key, other):
                self._roles[other] = Role.UNUSED
        self._roles[key] = Role(role)
        self._stale_from(Step.CHECK)

    def enter(self, fact: str, value: Any) -> None:
        """Enter a fact that wins over the header.

        Parameters
        ----------
        fact : str
            As in the study file, e.g. ``weight_kg``, ``dose_mbq``, ``injection_instant``.
        value : object
            A number, a text, or an instant (datetime or ISO 8601 text with date and time).

        Raises
        ------
        EprimgError
            ``E_ENTERED`` when it is unknown or cannot be used.
        """
        if fact not in ENTERED_KEYS or fact == "residual_bq":
            known = ", ".join(k for k in ENTERED_KEYS if k != "residual_bq")
            raise ConfigError(
                f"there is no fact {fact!r}", code="E_ENTERED", action=f"use one of {known}"
            )
        checked = read_fact(fact, value)
        if self._entered.get(fact) != checked:
            other = {"dose_mbq": "dose_bq", "dose_bq": "dose_mbq"}.get(fact, "")
            self._entered.pop(other, None)
            self._entered[fact] = checked
            self._stale_from(Step.CHECK)

    def forget(self, fact: str) -> None:
        """Take an entered fact back: the header counts again.

        Parameters
        ----------
        fact : str
            Its name; one that was not entered is ignored.
        """
        if fact in self._entered:
            del self._entered[fact]
            self._stale_from(Step.CHECK)

    def set_config(self, settings: Mapping[str, Any]) -> None:
        """Change settings; the stages that depend on them become stale.

        Parameters
        ----------
        settings : Mapping
            Nested as in the TOML file, e.g. ``{"segment": {"percent": 50.0}}``.

        Raises
        ------
        ConfigError
            ``E_CONFIG``, listing every unknown key and wrong value; nothing is changed then.
        """
        config = self._config.with_settings(settings, where="settings")
        changed = steps_of_settings(self._config, config)
        if config.stratify.schemes != self._config.stratify.schemes:
            self._schemes = SchemeChoice(config.stratify.schemes)
        self._config = config
        if changed:
            self._stale_from(min(changed, key=STEPS.index))

    # ------------------------------------------------------------------ for the classes below

    @property
    def _edited(self) -> bool:
        """True when regions differ from what the stages made."""
        return self._edited_before or self._undo.holds_regions

    def _study_file(self) -> StudyFile:
        """Everything that was said about the study, as if it stood in one study file."""
        own = self._plan.study_file if self._plan is not None else StudyFile()
        # A role that is given to one series is taken from those that are not named.
        several = {k: r for k, r in self.roles.items() if r in POINT_ROLES}
        several = {k: r for k, r in several.items() if r in self._roles.values()}
        roles = {**own.roles, **several, **self._roles}
        spoken = replace(own, roles=roles, entered=dict(self._entered), source=_STUDY_FILE)
        return spoken if spoken.to_content() else replace(spoken, source="")

    def _excludes(self, role: Role, key: str, other: str) -> bool:
        """Tell whether two series cannot play a role together."""
        if role not in POINT_ROLES:
            return role in _ONE_SERIES
        series = self._plan.index.series if self._plan is not None else ()
        found = [e for e in series if e.key in (key, other)]
        return any(e.instant is None for e in found) or len({e.study_uid for e in found}) < 2

    def _said_more(self) -> bool:
        """Tell whether the user said something that the plan does not hold."""
        own = dict(self._plan.study_file.entered) if self._plan is not None else {}
        return bool(self._roles) or self._entered != own

    def _stale_from(self, step: Step) -> None:
        """Mark a step and all later ones as to be run again."""
        self._progressed.make_stale(step)
        self._touched()
        self.steps_changed.emit()

    def _touched(self) -> None:
        """Something that a saved case holds has changed."""
        self._revision += 1
        self._saved_as = None


def read_fact(fact: str, value: Any) -> Any:
    """Check one entered fact and give it the type that the study file has.

    Parameters
    ----------
    fact : str
        One of `eprimg.io.pet_entered.ENTERED_KEYS`.
    value : object
        What the user typed.

    Returns
    -------
    object
        Datetime, float or text.

    Raises
    ------
    EprimgError
        ``E_ENTERED``.
    """
    kind, partner = value, {}
    if fact.startswith("residual"):
        # Amount and instant belong together; each is entered by itself.
        partner = {"residual_instant": datetime(2000, 1, 1), "residual_bq": 1.0}
        partner.pop("residual_instant" if fact == "residual_instant" else "residual_bq")
    if fact == "dose_instant":
        partner = {"dose_bq": 1e8}
    if isinstance(value, str) and fact not in ("sex", "nuclide") and not fact.endswith("instant"):
        with contextlib.suppress(ValueError):
            kind = float(value.replace(",", "."))
    facts, _, faults = read_entered({fact: kind, **partner})
    raise_faults(faults)
    return float(kind) if isinstance(kind, int | float) else getattr(facts, fact)
