"""Runs antspyx in its own process: ``python -I _run_antspyx.py`` in the private folder.

Imports nothing of eprimg: the python that runs it may have another numpy.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Read ``in.json`` and two volumes, write ``out.json``."""
    ants: Any = import_module("ants")
    np: Any = import_module("numpy")
    asked = json.loads(Path("in.json").read_text(encoding="utf-8"))
    fixed, moving = (ants.image_read(name) for name in ("fixed.nii", "moving.nii"))
    # antspyx 0.6.3 leaves the keyword random_seed unread; older versions read nothing else
    config: Any = getattr(ants, "config", None)
    if hasattr(config, "set_ants_deterministic"):
        config.set_ants_deterministic(on=True, seed_value=int(asked["seed"]))
    found = ants.registration(
        fixed,
        moving,
        initial_transform="Identity",
        random_seed=int(asked["seed"]),
        outprefix=str(Path("found_").resolve()),
        **asked["settings"]["registration"],
    )
    (path,) = found["fwdtransforms"]
    transform = ants.read_transform(path)
    numbers = np.asarray(transform.parameters, dtype=float)
    centre = np.asarray(transform.fixed_parameters, dtype=float)
    linear = numbers[:9].reshape(3, 3)
    offset = numbers[9:] + centre - linear @ centre
    matrix = np.vstack([np.c_[linear, offset], [0, 0, 0, 1]])
    Path("out.json").write_text(json.dumps({"matrix": matrix.tolist()}), encoding="utf-8")


if __name__ == "__main__":
    main()
