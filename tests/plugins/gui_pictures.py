"""Keeps a PNG of a window when the environment asks for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QApplication, QWidget


def keep_picture(widget: QWidget, name: str) -> None:
    """Write what the window of a widget shows to the folder of EPRIMG_GUI_PICTURES."""
    folder = os.environ.get("EPRIMG_GUI_PICTURES")
    if not folder:
        return
    for _ in range(5):
        QApplication.processEvents()
    Path(folder).mkdir(parents=True, exist_ok=True)
    window: Any = widget.window()
    window.grab().save(str(Path(folder) / f"{name}.png"))
