"""What a registration engine takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from eprimg.config import RegisterConfig
from eprimg.model.displacement import Displacement
from eprimg.model.manual_help import MetricMask
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.registry import load_engine

__all__ = ["Progress", "Registrar", "RegistrarResult", "ShouldStop", "make_registrar"]

Progress = Callable[[str, float], object]
"""Called with words and the share that is done (0 to 1)."""

ShouldStop = Callable[[], bool]
"""Asked between steps; True ends the work with ``E_REGISTRATION_STOPPED``."""


@dataclass(frozen=True, eq=False, slots=True)
class RegistrarResult:
    """An estimated alignment.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        Maps LPS mm of the fixed frame to LPS mm of the moving frame.
    start : ndarray, shape (4, 4)
        Where the search began.
    start_name : str
        ``identity``, ``centres``, ``moments``, ``moments +40 mm`` or ``given``.
    consistency_mm : float
        Root-mean-square distance over the fixed body between this estimate and a second one from
        other sample points of twice as smooth volumes.  It shows the scatter of the estimate but
        no error that both share: a lower bound of the true error.
    metric : Mapping of str to float
        Last value of the engine's own metric per step (its sign and scale are the engine's).
    iterations : Mapping of str to int
        Iterations per step.
    seconds : float
        Wall-clock time.
    polish_moved_mm : float
        Movement of the field of view's centre by the second pass; NaN when there was none.
    polish_kept : bool
        Whether the second pass was kept.
    displacement : Displacement or None
        What a deformable engine adds, in the fixed frame: a point p goes to ``matrix (p + u(p))``.
    settings : Mapping
        Settings of an engine that does not follow the profile; recorded in its place.
    """

    matrix: npt.NDArray[np.float64]
    start: npt.NDArray[np.float64]
    start_name: str
    consistency_mm: float
    metric: Mapping[str, float] = field(default_factory=dict)
    iterations: Mapping[str, int] = field(default_factory=dict)
    seconds: float = float("nan")
    polish_moved_mm: float = float("nan")
    polish_kept: bool = False
    displacement: Displacement | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


class Registrar(Protocol):
    """A registration engine behind the entry-point group ``eprimg.registrars``."""

    @staticmethod
    def version() -> str:
        """Version of the library that does the work."""
        ...

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        *,
        settings: Mapping[str, Any],
        seed: int,
        threads: int,
        start: str | Transform = "identity",
        progress: Progress | None = None,
        should_stop: ShouldStop | None = None,
        fixed_mask: MetricMask | None = None,
        moving_mask: MetricMask | None = None,
    ) -> RegistrarResult:
        """Estimate the transform from the fixed frame to the moving frame.

        The masks are passed only when they were given: an engine that takes none leaves them out of
        its signature, and a run with masks is then refused.
        """
        ...


def make_registrar(
    config: RegisterConfig, load: Callable[[str, str], Any] = load_engine
) -> Registrar:
    """Make the engine that the settings name.

    Parameters
    ----------
    config : RegisterConfig
        Its ``engine``; an engine whose class has ``takes_config = True`` gets the settings.
    load : callable
        Finds the class by kind and name.

    Returns
    -------
    Registrar
        Ready to run.

    Raises
    ------
    EngineUnavailable
        ``E_ENGINE`` when it is not installed.
    """
    kind = load("registrar", config.engine)
    made: Registrar = kind(config) if getattr(kind, "takes_config", False) else kind()
    return made
