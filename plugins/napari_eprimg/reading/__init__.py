"""Everything behind the windows: one reading of one study, without a window."""

from __future__ import annotations
