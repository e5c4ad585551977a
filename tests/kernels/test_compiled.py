"""Is the compiler still to be waited for?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from eprimg.kernels.compiled import is_compiled
from eprimg.kernels.r2star import fit_r2star

_ASK = (
    "from eprimg.kernels.compiled import is_compiled;"
    "print(is_compiled('_r2star_numba', 'fit_chunk'))"
)


def test_what_was_called_is_compiled() -> None:
    fit_r2star(np.ones((4, 3), np.float32), [0.001, 0.002, 0.003])
    assert is_compiled("_r2star_numba", "fit_chunk")


def test_an_empty_cache_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
