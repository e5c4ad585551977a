"""A form drawn from a configuration record, which holds meaning, limits, choices and defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_eprimg.dock.panel_parts import push_button, still_on_wheel, words

__all__ = ["SettingsForm"]

_HUGE = 1e9


class SettingsForm(QWidget):
    """One control for each setting of a record.

    Parameters
    ----------
    record : dataclass instance
        Section of `eprimg.config.Config` with the values to show.
    choices : Mapping of str to sequence of str, optional
        For settings that name something installed: what there is.
    leave_out : sequence of str
        Settings that are edited elsewhere.
    """

    edited = Signal()
    """The reader finished changing a value."""

    def __init__(
        self,
        record: Any,
        *,
        choices: Mapping[str, Sequence[str]] | None = None,
        leave_out: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._defaults = type(record)()
        self.controls: dict[str, QWidget] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 2, 0, 2)
        layout.setSpacing(3)
        for each in fields(record):
            if each.name in leave_out:
                continue
            text = each.metadata["text"]
            control = self._control(each, (choices or {}).get(each.name, ()))
            control.setObjectName(each.name)
            control.setToolTip(f"{each.name} (default {getattr(self._defaults, each.name)})")
            label = words(text[:1].upper() + text[1:], dim=True)
            label.setBuddy(control)
            layout.addWidget(label)
            layout.addWidget(control)
            self.controls[each.name] = control
        self.default_button = push_button(
            "Back to the defaults", self._reset, tip="Give every setting above its default again"
        )
        layout.addWidget(self.default_button)
        self.show_record(record)

    def values(self) -> dict[str, Any]:
        """Return what is in the form.

        Returns
        -------
        dict
            Key -> value, ready for `Config.with_settings` below the name of the section.
        """
        return {name: _value(control) for name, control in self.controls.items()}

    def show_record(self, record: Any) -> None:
        """Show the values of a record; nothing is emitted.

        Parameters
        ----------
        record : dataclass instance
            Same type as the one the form was made from.
        """
        for name, control in self.controls.items():
            if _value(control) != getattr(record, name):
                control.blockSignals(True)
                _set(control, getattr(record, name))
                control.blockSignals(False)
        self._mark()

    def _control(self, each: Field[Any], offered: Sequence[str]) -> QWidget:
        rules, value = each.metadata, getattr(self._defaults, each.name)
        low, high = rules.get("low"), rules.get("high")
        options = tuple(offered) or rules.get("choices", ())
        control: QWidget
        if isinstance(value, bool):
            control = QCheckBox("yes")
            control.toggled.connect(self._on_edit)
        elif options:
            control = QComboBox()
            for option in options:
                control.addItem(str(option), option)
            control.setMinimumContentsLength(8)
            still_on_wheel(control)
            control.activated.connect(self._on_edit)
        elif isinstance(value, int):
            control = QSpinBox()
            lowest, highest = (-_HUGE if low is None else low), (_HUGE if high is None else high)
            control.setRange(int(lowest), int(highest))
            control.setKeyboardTracking(False)
            still_on_wheel(control)
            control.valueChanged.connect(self._on_edit)
        elif isinstance(value, float):
            control = QDoubleSpinBox()
            # Decimals before range: a limit such as 0.05 would be rounded away.
            control.setDecimals(3)
            control.setRange(-_HUGE if low is None else low, _HUGE if high is None else high)
            control.setSingleStep(max(abs(value), 0.1) / 10)
            control.setKeyboardTracking(False)
            still_on_wheel(control)
            control.valueChanged.connect(self._on_edit)
        elif isinstance(value, tuple):
            control = QLineEdit()
            control.setProperty("limits", [low, high])
            control.setPlaceholderText("numbers, separated by commas")
            control.editingFinished.connect(lambda: _keep_numbers(control))
            control.editingFinished.connect(self._on_edit)
        else:
            control = QLineEdit()
            control.editingFinished.connect(self._on_edit)
        return control

    def _on_edit(self, *_: Any) -> None:
        self._mark()
        self.edited.emit()

    def _mark(self) -> None:
        changed = [n for n, v in self.values().items() if v != getattr(self._defaults, n)]
        self.default_button.setVisible(bool(changed))
        for name, control in self.controls.items():
            font = control.font()
            font.setBold(name in changed)
            control.setFont(font)

    def _reset(self) -> None:
        self.show_record(self._defaults)
        self.edited.emit()


def _value(control: QWidget) -> Any:
    if isinstance(control, QCheckBox):
        return control.isChecked()
    if isinstance(control, QComboBox):
        return control.currentData()
    if isinstance(control, QSpinBox):
        return control.value()
    if isinstance(control, QDoubleSpinBox):
        shown, exact = round(control.value(), control.decimals()), control.property("exact")
        # A value from a file may have more decimals than the control shows.
        same = exact is not None and round(exact, control.decimals()) == shown
        return exact if same else shown
    assert isinstance(control, QLineEdit)
    if control.property("limits") is not None:
        numbers = _numbers(control)
        return tuple(control.property("exact") or ()) if numbers is None else numbers
    return control.text()


def _numbers(control: QLineEdit) -> tuple[float, ...] | None:
    """Read the numbers of a line; None when one is not a number or out of range."""
    low, high = control.property("limits")
    try:
        numbers = tuple(float(n) for n in control.text().replace(",", " ").split())
    except ValueError:
        return None
    lowest, highest = (-_HUGE if low is None else low), (_HUGE if high is None else high)
    return numbers if all(lowest <= n <= highest for n in numbers) else None


def _keep_numbers(control: QWidget) -> None:
    """Put the last good numbers back when the line holds others."""
    assert isinstance(control, QLineEdit)
    numbers = _numbers(control)
    if numbers is None:
        _set(control, tuple(control.property("exact") or ()))
    else:
        control.setProperty("exact", list(numbers))


def _set(control: QWidget, value: Any) -> None:
    if isinstance(control, QCheckBox):
        control.setChecked(value)
    elif isinstance(control, QComboBox):
        place = control.findData(value)
        if place < 0:  # e.g. an engine that is named in the settings and not installed
            control.addItem(f"{value} (not installed)", value)
            place = control.count() - 1
        control.setCurrentIndex(place)
    elif isinstance(control, QSpinBox | QDoubleSpinBox):
        control.setProperty("exact", value)
        control.setValue(value)
    else:
        assert isinstance(control, QLineEdit)
        if isinstance(value, tuple):
            control.setProperty("exact", list(value))
            value = ", ".join(str(n).removesuffix(".0") for n in value)  # every digit
        control.setText(str(value))
