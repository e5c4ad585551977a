"""Everything behind the windows of a reading; it knows neither Qt nor napari."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eprimg import pipeline
from eprimg.errors import ConfigError
from eprimg.io.schemes import load_schemes
from eprimg.model.tiers import TierScheme
from napari_eprimg.reading.edits import Edit, SchemeChoice, SchemesChange
from napari_eprimg.reading.reading_folders import FolderTasks
from napari_eprimg.reading.reading_steps import Light, Progress, Step, StepState, Task
from napari_eprimg.reading.region_edits import ANATOMIES
from napari_eprimg.reading.region_records import reason_of
from napari_eprimg.reading.reproduce import command_line, write_inputs
from napari_eprimg.settings import plugin_settings

__all__ = [
    "ANATOMIES",
    "Light",
    "Progress",
    "Reading",
    "Step",
    "StepState",
    "Task",
    "reading_of",
    "reason_of",
]

_EDITED = ", edited by the reader"


class Reading(FolderTasks):
    """One study as one person reads it in one viewer.

    Everything that the windows show and do goes through this class; it emits a signal for every
    change, in the thread that applied it.  See `ReadingState` for what it knows, `StepTasks` and
    `FolderTasks` for the steps, `OutlineEdits` and `RecordEdits` for edits; here are tiers, undo
    and the command line.
    """

    # ------------------------------------------------------------------ tiers

    @property
    def schemes(self) -> tuple[TierScheme, ...]:
        """Tier schemes that are applied, with the reader's cut-offs."""
        if self._schemes.edited is not None:
            return self._schemes.edited
        return load_schemes(self._config.stratify)

    def set_scheme_edges(self, key: str, edges: Sequence[float]) -> None:
        """Give a scheme other cut-offs; only the tiers are computed again.

        Parameters
        ----------
        key : str
            Key of an applied scheme.
        edges : sequence of float
            Rising cut-offs in the unit of the scheme, as many as before.

        Raises
        ------
        ConfigError
            ``E_SCHEME`` for an unknown key, a scheme whose cut-offs come from a cohort, another
            number of cut-offs, or cut-offs that do not rise.
        """
        schemes = self.schemes
        scheme = next((s for s in schemes if s.key == key), None)
        if scheme is None:
            raise ConfigError(
                f"the scheme {key!r} is not applied",
                code="E_SCHEME",
                action=f"use one of {', '.join(s.key for s in schemes)}",
            )
        if scheme.rule != "fixed" or len(edges) != len(scheme.edges):
            raise ConfigError(
                f"the scheme {key} has {len(scheme.edges)} cut-offs of its own"
                if scheme.rule == "fixed"
                else f"the cut-offs of {key} come from a cohort",
                code="E_SCHEME",
                value=list(edges),
                action="give as many cut-offs" if scheme.rule == "fixed" else "change the cohort",
            )
        new = tuple(float(e) for e in edges)
        if new == scheme.edges:
            return
        if scheme.applies_to == "pet" and min(new) <= 0:
            raise ConfigError(
                "cut-offs of PET uptake are positive", code="E_SCHEME", value=list(new)
            )
        version = scheme.version.removesuffix(_EDITED) + _EDITED
        edited = replace(scheme, edges=new, version=version, validated=False)
        after = tuple(edited if s.key == key else s for s in schemes)
        names = self._config.stratify.schemes
        self._choose(f"cut-offs of {key}", SchemeChoice(names, after))

    def set_schemes(self, keys_or_paths: Sequence[str]) -> None:
        """Choose the tier schemes; cut-offs that the reader changed are given up.

        Parameters
        ----------
        keys_or_paths : sequence of str
            Keys of schemes of the package, or paths of scheme files.

        Raises
        ------
        ConfigError
            ``E_SCHEME`` for one that cannot be used; nothing is changed then.
        """
        choice = SchemeChoice(tuple(keys_or_paths))
        load_schemes(replace(self._config.stratify, schemes=choice.names))
        if choice != self._schemes:
            self._choose("choose tier schemes", choice)

    def _choose(self, words: str, choice: SchemeChoice) -> None:
        edit = Edit(words, schemes=SchemesChange(self._schemes, choice))
        self._apply_schemes(edit)
        self._undo.push(edit)

    def _apply_schemes(self, edit: Edit) -> None:
        """Apply the scheme part of an edit; a case that has tiers gets new ones at once."""
        assert edit.schemes is not None
        choice = edit.schemes.after
        stratify = replace(self._config.stratify, schemes=choice.names)
        config = replace(self._config, stratify=stratify)
        if self._case is not None and self.done(Step.TIERS):
            self._case = pipeline.run(
                self._case.study,
                config,
                case=self._case,
                start="stratify",
                schemes=choice.edited,
            )
            self._progressed.make_stale(Step.REPORT)
        self._schemes, self._config = choice, config
        self._touched()
        self.tiers_changed.emit()
        self.steps_changed.emit()

    # ------------------------------------------------------------------ undo

    @property
    def can_undo(self) -> bool:
        """True when there is an edit to take back."""
        return bool(self._undo.undo_words)

    @property
    def can_redo(self) -> bool:
        """True when an edit was taken back."""
        return bool(self._undo.redo_words)

    @property
    def undo_words(self) -> str:
        """What `undo` takes back; empty when there is nothing."""
        return self._undo.undo_words

    @property
    def redo_words(self) -> str:
        """What `redo` does again; empty when there is nothing."""
        return self._undo.redo_words

    def undo(self) -> None:
        """Take the last edit back: outline, record or cut-offs; nothing to undo is no error."""
        self._replay(self._undo.take_back())

    def redo(self) -> None:
        """Do the last undone edit again; nothing to redo is no error."""
        self._replay(self._undo.do_again())

    def _replay(self, edit: Edit | None) -> None:
        if edit is None:
            return
        if edit.schemes is not None:
            self._apply_schemes(edit)
        if edit.on_regions:
            self._apply_regions(edit)

    # ------------------------------------------------------------------ the same without a screen

    @property
    def edited(self) -> bool:
        """True when regions or cut-offs differ from what the stages made."""
        return self._edited or self._schemes.edited is not None

    @property
    def must_be_saved(self) -> bool:
        """True when only a saved case can hold what the reader edited, and there is none."""
        return self.edited and self._saved_as is None

    @property
    def reproduce(self) -> str:
        """Command line that gives these numbers, and which files it needs; no path is shown.

        See `reproduce_command` for the line with its paths.
        """
        return command_line(
            study_file=self._study_file(),
            said_more=self._said_more(),
            config=self._config,
            edited=self.edited,
            saved_as=self._saved_as,
        )

    def reproduce_command(self, inputs: Path | str | None = None, out: str = "OUT") -> str:
        """Return the command line with its paths, ready for a terminal.

        Parameters
        ----------
        inputs : Path, optional
            Folder to which the study file and the settings are written (`write_inputs`); needed
            when there are any and no saved case holds them.
        out : str
            Output folder.

        Returns
        -------
        str
            Empty when no study is open, or when edits or settings have not been saved.
        """
        if self._folder is None:
            return ""
        words = ["eprimg", "run", str(self._folder)]
        if self._saved_as is not None:
            words += ["--case", str(self._saved_as)]
        elif self.edited:
            return ""
        elif inputs is not None:
            for option, path in write_inputs(
                Path(inputs), self._study_file() if self._said_more() else None, self._config
            ):
                words += [option, str(path)]
        elif self._said_more() or self._config != type(self._config)():
            return ""
        return shlex.join([*words, "--out", out])


_ATTRIBUTE = "_eprimg_reading"


def reading_of(viewer: Any) -> Reading:
    """Return the reading of a viewer; it is made on the first call and goes with the viewer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer, or napari's proxy of it.

    Returns
    -------
    Reading
        The only one of this viewer.
    """
    owner = getattr(viewer, "__wrapped__", viewer)
    # Kept in the viewer itself: windows that listen to a reading may refer back to the viewer, and
    # a weak map from the viewer would then keep both alive for ever.
    reading = vars(owner).get(_ATTRIBUTE)
    if reading is None:
        reading = Reading()
        scheme = plugin_settings().default_scheme
        if scheme:
            reading.set_config({"stratify": {"schemes": [scheme]}})
        object.__setattr__(owner, _ATTRIBUTE, reading)
    return reading
