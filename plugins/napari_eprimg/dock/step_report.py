"""Step 7: export what `eprimg run` exports, save the case, and say how to get the numbers again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices, QGuiApplication, QTextOption
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QPlainTextEdit

from eprimg.io.output_folder import output_path
from napari_eprimg.dock.panel_parts import RunButton, blocked, card, push_button, row, words
from napari_eprimg.dock.step_frame import StepBody, fusion_of
from napari_eprimg.reading.reading import Step
from napari_eprimg.view.view_memory import remember_view

if TYPE_CHECKING:
    import napari

    from napari_eprimg.dock.jobs import Jobs, Outcome
    from napari_eprimg.reading.reading import Reading, Task

__all__ = ["ReportStep"]


class ReportStep(StepBody):
    """Export, report, saved case, command line.

    Parameters
    ----------
    viewer, reading, jobs
        See `StepBody`.
    """

    step = Step.REPORT
    title = "Report"

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__(viewer, reading, jobs)
        self.folder = QLineEdit()
        self.folder.setObjectName("out_folder")
        self.folder.setPlaceholderText("output folder (new)")
        self.folder.textChanged.connect(lambda _text: self.refresh())
        choose = push_button("...", self._choose_folder, tip="Choose the output folder")
        choose.setMaximumWidth(36)
        self.overwrite = QCheckBox("replace an earlier output folder")
        self.overwrite.setToolTip("Only a folder that eprimg wrote is replaced, never another")
        self.overwrite.setObjectName("overwrite")
        self.run_button = RunButton("Export", self._export)
        self.run_button.button.setObjectName("run_report")
        self.report_button = push_button("Open report in browser", self._open_report)
        self.report_button.setObjectName("open_report")
        self.exported: Path | None = None
        self._asked: tuple[Task, Path] | None = None
        self._own_case: Path | None = None
        self._asked_case: tuple[Task, Path] | None = None
        self.layout_.addWidget(
            card(
                [
                    words("Tables, maps, masks and report", bold=True),
                    row(self.folder, choose),
                    self.overwrite,
                    self.run_button,
                    self.report_button,
                ]
            )
        )
        self.save_path = QLineEdit()
        self.save_path.setObjectName("case_path")
        self.save_path.setPlaceholderText("saved case")
        choose_case = push_button("...", self._choose_case, tip="Choose where the case is saved")
        choose_case.setMaximumWidth(36)
        self.save_path.textChanged.connect(lambda _text: self.refresh())
        self.save_button = push_button("Save case", self._save)
        self.save_button.setObjectName("save_case")
        self.reopen_button = push_button("Reopen case", self._reopen)
        self.reopen_button.setObjectName("reopen_case")
        self.layout_.addWidget(
            card(
                [
                    words("Go on another day", bold=True),
                    row(self.save_path, choose_case),
                    row(self.save_button, self.reopen_button),
                ]
            )
        )
        self.command = QPlainTextEdit()
        self.command.setObjectName("reproduce")
        self.command.setReadOnly(True)
        self.command.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.command.setFixedHeight(96)
        self.copy_button = push_button("Copy command", self._copy)
        self.copy_button.setObjectName("copy_command")
        self.copied = words(dim=True)
        self.copied.setObjectName("copied")
        self.copied.hide()
        self.layout_.addWidget(
            card(
                [
                    words("The same numbers on the command line", bold=True),
                    self.command,
                    self.copy_button,
                    self.copied,
                ]
            )
        )
        self.add_settings("report")
        jobs.finished.connect(self._note)

    def refresh(self) -> None:
        """Show what can be exported, saved and repeated."""
        why = self.why_not()
        asked = self.folder.text().strip()
        self.run_button.show_why(why or ("" if asked else "Choose an output folder."))
        self.show_settings()
        there = self.exported is not None
        blocked(self.report_button, "" if there else "Export first.")
        path = self.save_path.text().strip()
        busy = self.jobs.why_not
        no_path = "" if path else "Choose where the case is saved."
        no_case = "" if self.reading.case is not None else "There is no case to save yet."
        blocked(self.save_button, busy or no_case or no_path)
        blocked(self.reopen_button, busy or no_path)
        command = self.reading.reproduce
        if command != self.command.toPlainText():
            self.command.setPlainText(command)
            self.copied.hide()
        blocked(self.copy_button, self._no_command(), "Copy it as it stands, ready for a terminal")

    def _export(self) -> None:
        asked = Path(self.folder.text().strip()).expanduser()

        def make() -> Task:
            task = self.reading.export_task(asked, overwrite=self.overwrite.isChecked())
            self._asked = (task, asked)
            return task

        self.run(make)

    def _note(self, outcome: Outcome) -> None:
        if self._asked is not None and outcome.task is self._asked[0]:
            if outcome.ok:
                self.exported = self._asked[1]
            self._asked = None
        if self._asked_case is not None and outcome.task is self._asked_case[0]:
            if outcome.ok:
                self._own_case = self._asked_case[1]
            self._asked_case = None

    def _open_report(self) -> None:
        if self.exported is not None:
            page = output_path(self.exported, "report")
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))

    def _save(self) -> None:
        path = Path(self.save_path.text().strip()).expanduser()
        again = path == self._own_case  # saving one's own case again needs no question

        def make() -> Task:
            remember_view(self.viewer, self.reading, fusion_of(self.viewer))
            task = self.reading.save_task(path, overwrite=again)
            self._asked_case = (task, path)
            return task

        self.run(make)

    def _reopen(self) -> None:
        path = Path(self.save_path.text().strip()).expanduser()

        def make() -> Task:
            task = self.reading.reopen_task(path)
            self._asked_case = (task, path)
            return task

        self.run(make)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Output folder")
        if path:
            self.folder.setText(path)

    def _choose_case(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Saved case")
        if path:
            self.save_path.setText(path)

    def _no_command(self) -> str:
        """Why there is no command line to copy; empty when there is one."""
        if self.reading.folder is None:
            return "There is nothing to repeat yet."
        if self.reading.must_be_saved:
            return "Save the case first: it holds your edits."
        if not self.reading.reproduce_command() and not self.folder.text().strip():
            return "Choose an output folder above: the files that the command needs go beside it."
        return ""

    def _copy(self) -> None:
        typed = self.folder.text().strip()
        asked = Path(typed or "eprimg_out").expanduser()
        used = asked.is_dir() and any(asked.iterdir())
        out = str(asked.with_name(f"{asked.name}_again") if used else asked)

        def copy() -> None:
            line, said = self.reading.reproduce_command(out=out), "Copied."
            if not line:
                inputs = asked.absolute().with_name(f"{asked.name}_inputs")
                line = self.reading.reproduce_command(inputs, out)
                names = " and ".join(sorted(path.name for path in inputs.glob("*.toml")))
                said += f" It needs {names}, written to {inputs.name} beside the output folder."
            QGuiApplication.clipboard().setText(line)
            self.copied.setText(f"{said} Its output goes to {Path(out).name}.")
            self.copied.show()

        self.attempt(copy)
