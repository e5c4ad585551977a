"""Runs picsl_greedy in its own process: ``python -I _run_greedy.py`` in the private folder.

Its output on the screen is not read: it prints complaints about line searches and goes on well.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Read ``in.json``; greedy itself reads the volumes and writes ``affine.mat``."""
    greedy: Any = import_module("picsl_greedy")
    asked = json.loads(Path("in.json").read_text(encoding="utf-8"))
    greedy.Greedy3D().execute(asked["command"])
    os._exit(0)  # what a library does on its way out is no concern of ours


if __name__ == "__main__":
    main()
