"""One small phantom for all tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eprimg_phantoms import make


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(
        "abdomen", tmp_path_factory.mktemp("phantom") / "small", size="small", seed=1, with_ct=True
    )


@pytest.fixture(scope="session")
def truth(small: Path) -> dict[str, Any]:
    return dict(json.loads((small / "truth.json").read_text()))
