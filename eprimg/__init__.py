"""Nanoparticle uptake of tumours from ferumoxytol MRI and 89Zr / 64Cu PET.

The public names are imported on first use, so that ``import eprimg`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eprimg.config import Config, load_config
    from eprimg.errors import Cancelled, EprimgError
    from eprimg.io.study import read_study
    from eprimg.kernels.r2star import fit_r2star
    from eprimg.model.case import Case
    from eprimg.model.study import Study
    from eprimg.pipeline import export_case, run, run_folder

__version__ = "0.1.0"

__all__ = [
    "Cancelled",
    "Case",
    "Config",
    "EprimgError",
    "Study",
    "__version__",
    "export_case",
    "fit_r2star",
    "load_config",
    "read_study",
    "run",
    "run_folder",
]

_HOMES = {
    "Cancelled": "eprimg.errors",
    "Case": "eprimg.model.case",
    "Config": "eprimg.config",
    "EprimgError": "eprimg.errors",
    "Study": "eprimg.model.study",
    "fit_r2star": "eprimg.kernels.r2star",
    "load_config": "eprimg.config",
    "read_study": "eprimg.io.study",
    "run": "eprimg.pipeline",
    "run_folder": "eprimg.pipeline",
    "export_case": "eprimg.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'eprimg' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
