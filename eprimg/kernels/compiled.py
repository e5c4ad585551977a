"""Whether the compiled kernels of this installation are there already, or will be made first."""

from __future__ import annotations

import importlib
from pathlib import Path

__all__ = ["is_compiled"]


def is_compiled(module: str, function: str) -> bool:
    """Tell whether calling a compiled function would not wait for the compiler.

    The compiler's results are kept on disk beside the source, or in the user's cache folder; the
    first call after an installation makes them (about ten seconds).

    Parameters
    ----------
    module : str
        Module of the function, below ``eprimg.kernels``.
    function : str
        Its name.

    Returns
    -------
    bool
        True also where nothing is ever compiled because numba is not installed.
    """
    try:
        found = importlib.import_module(f"eprimg.kernels.{module}")
    except ImportError:
        return True
    dispatcher = getattr(found, function)
    if dispatcher.signatures:
        return True
    source = Path(str(found.__file__)).stat().st_mtime
    folder = Path(dispatcher.stats.cache_path)
    return any(
        index.stat().st_mtime >= source for index in folder.glob(f"{module}.{function}-*.nbi")
    )
