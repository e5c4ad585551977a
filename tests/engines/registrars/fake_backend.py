"""A stand-in for a python with a registration library: an executable file that knows the answer.

It reads where the moving series was put from the NIfTI header (PS: sform, RAS), as a real engine
would, and answers with the transform that is left to the true one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from eprimg.engines.registrars.conformance import TRUE_MATRIX, conformance_pair

_BODY = """#!{python}
import json, os, signal, sys, time
from pathlib import Path
if "-c" in sys.argv:
    print("9.9")
    sys.exit(0)
import numpy as np
{before}
asked = json.loads(Path("in.json").read_text())
flip = np.diag((-1.0, -1.0, 1.0, 1.0))
def affine(name):
    raw = Path(name).read_bytes()
    rows = np.frombuffer(raw[280:328], "<f4").astype(float).reshape(3, 4)
    return flip @ np.vstack([rows, [0, 0, 0, 1]])
moved = affine("moving.nii") @ np.linalg.inv(np.array({moving}))
left = moved @ np.array({truth})
left[3] = (0, 0, 0, 1)
u, _, vt = np.linalg.svd(left[:3, :3])
left[:3, :3] = u @ vt
print("done at 50 %")
{after}
"""

WRITE_JSON = 'Path("out.json").write_text(json.dumps({"matrix": left.tolist()}))'
WRITE_RAS = 'np.savetxt("affine.mat", flip @ left @ flip)'


def fake(folder: Path, *, before: str = "", after: str = WRITE_JSON) -> str:
    """Write the stand-in; ``before`` and ``after`` are lines of Python that it runs."""
    _, moving = conformance_pair()
    # x runs fastest in NIfTI
    affine = np.array(moving.grid.affine)[:, [2, 1, 0, 3]]
    path = folder / "backend"
    path.write_text(
        _BODY.format(
            python=sys.executable,
            before=before,
            after=after,
            moving=affine.tolist(),
            truth=TRUE_MATRIX.tolist(),
        )
    )
    path.chmod(0o755)
    return str(path)
