"""The napari plugin of eprimg: a reading room, thin over the same pipeline as the command line.

Only the modules that hold windows import Qt; readers, writers, samples and `reading.Reading` work
without a screen.
"""

from __future__ import annotations

__all__: list[str] = []
