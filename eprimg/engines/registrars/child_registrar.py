"""Registration engines that a user installed: they run in a child process, apart from the session.

Such a library may crash, hang or need another numpy.  Volumes go out as NIfTI into a private
folder, a matrix (and perhaps a displacement field) comes back; nothing that it prints is read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from eprimg.config import RegisterConfig
from eprimg.engines.child_process import ChildResult, run_child
from eprimg.engines.registrars.contract import Progress, RegistrarResult, ShouldStop
from eprimg.engines.registrars.intensity import comparable_values
from eprimg.engines.registrars.rigid_settings import RigidSettings
from eprimg.engines.registrars.similarity import centroid_mm, overlap_fraction
from eprimg.engines.sitk_bridge import to_sitk
from eprimg.errors import EngineError, EngineUnavailable
from eprimg.model.displacement import Displacement
from eprimg.model.grid import Grid
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.resources import load_resource

__all__ = ["ChildRegistrar", "is_rigid"]

FloatArray = npt.NDArray[np.float64]

_ASK_S = 20.0
"""Longest time to ask another python which version it has."""
_RIGID_TOLERANCE = 1e-3


def is_rigid(matrix: FloatArray) -> bool:
    """Tell whether a matrix only turns and shifts.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        Any matrix.

    Returns
    -------
    bool
        True within the precision of what programs write.
    """
    linear = matrix[:3, :3]
    straight = np.abs(linear @ linear.T - np.eye(3)).max() < _RIGID_TOLERANCE
    return bool(straight and np.linalg.det(linear) > 0 and np.allclose(matrix[3], (0, 0, 0, 1)))


class _Version:
    """``Engine.version()`` for the default place, ``engine.version()`` for that of its config."""

    def __get__(
        self, instance: ChildRegistrar | None, owner: type[ChildRegistrar]
    ) -> Callable[[], str]:
        return partial(_version, owner() if instance is None else instance)


def _version(engine: ChildRegistrar) -> str:
    return engine.installed()


class ChildRegistrar(ABC):
    """Common part of the adapters; see `eprimg.engines.registrars.contract.Registrar`.

    Parameters
    ----------
    config : RegisterConfig, optional
        Its ``python``, ``program``, ``time_limit_s`` and ``memory_limit_mb``.

    Notes
    -----
    The start is applied to the moving series before the engine sees it, so all engines search from
    where they are told to.  They run on one thread, so that the same input gives the same matrix.
    There is no second estimate: the consistency of the result is not known (NaN).
    """

    name: ClassVar[str] = ""
    package: ClassVar[str] = ""
    variable: ClassVar[str] = ""
    script: ClassVar[str] = ""
    resource: ClassVar[str] = ""
    deformable: ClassVar[bool] = False
    takes_config: ClassVar[bool] = True
    version = _Version()

    def __init__(self, config: RegisterConfig | None = None) -> None:
        self.config = config or RegisterConfig()

    # ---- the installation

    def python(self) -> str:
        """Return the python that has the package.

        Returns
        -------
        str
            ``register.python``, else the environment variable of the engine, else this python.
        """
        return self.config.python or os.environ.get(self.variable, "") or sys.executable

    def installed(self) -> str:
        """Return the version that would run.

        Returns
        -------
        str
            Version of the package.

        Raises
        ------
        EngineUnavailable
            ``E_ENGINE`` when the package is not there.
        """
        python = self.python()
        try:
            if python == sys.executable:
                return metadata.version(self.package)
            ask = f"from importlib.metadata import version; print(version({self.package!r}))"
            done = subprocess.run(
                [python, "-I", "-c", ask],
                capture_output=True,
                text=True,
                timeout=_ASK_S,
                check=True,
                stdin=subprocess.DEVNULL,
            )
            return done.stdout.strip().splitlines()[-1]
        except (metadata.PackageNotFoundError, OSError, subprocess.SubprocessError, IndexError):
            raise EngineUnavailable(
                f"{self.package} is not installed where {self.name} looks for it",
                code="E_ENGINE",
                where=self.name,
                value=Path(python).name,
                action=f"install {self.package} in an environment of its own and name its python "
                f"in register.python or {self.variable}",
            ) from None

    def command(self, folder: Path) -> list[str]:
        """Return the command that runs in the private folder.

        Parameters
        ----------
        folder : Path
            The folder.

        Returns
        -------
        list of str
            Program and arguments.
        """
        return [self.python(), "-I", str(Path(__file__).with_name(self.script))]

    # ---- the work

    @abstractmethod
    def prepare(self, fixed: Volume, own: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return what the script reads from ``in.json``."""

    def answer(self, folder: Path, fixed: Volume) -> tuple[FloatArray, Displacement | None]:
        """Read the matrix, LPS mm, from fixed points to points of the started moving series."""
        out = json.loads((folder / "out.json").read_text(encoding="utf-8"))
        return np.array(out["matrix"], dtype=np.float64), None

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
    ) -> RegistrarResult:
        """Estimate the transform from the fixed frame to the moving frame.

        Parameters
        ----------
        fixed, moving : Volume
            3-D volumes.
        settings : Mapping
            A profile; of it, the tables ``intensity`` and ``start`` are followed.
        seed : int
            Seed of the sampler.
        threads : int
            Not used: one thread.
        start : str or Transform
            ``identity``, ``centres``, ``moments``, ``best`` (identity where the fields of view
            overlap enough, else moments), or a transform.
        progress : callable, optional
            Called with words and share.
        should_stop : callable, optional
            True ends the program.

        Returns
        -------
        RegistrarResult
            The matrix, the displacement of a deformable engine, and its own settings.

        Raises
        ------
        InputError
            ``E_CONSTANT``, ``E_REGISTRATION_VALUES`` or ``E_REGISTRATION_SMALL``.
        EngineError
            ``E_REGISTRATION`` without overlap, ``E_ENGINE...`` of the child process,
            ``E_ENGINE_ANSWER`` when what it left is no transform.
        EngineUnavailable
            ``E_ENGINE`` when it is not installed.
        Cancelled
            When ``should_stop`` said so.
        """
        began = time.perf_counter()
        rules = RigidSettings.from_mapping(settings)
        values = comparable_values(fixed, rules.intensity, what="the fixed series")
        other = comparable_values(moving, rules.intensity, what="the moving series")
        version = self.installed()
        first, name = _start(start, fixed, moving, (values, other), rules)
        if overlap_fraction(fixed.grid, moving.grid, first) <= 0.0:
            raise EngineError(
                "the two series do not overlap where the search would start",
                code="E_REGISTRATION",
                where=self.name,
                action="they may show different parts of the body; try the start 'best'",
            )
        own = load_resource(f"registration_engines/{self.resource}.toml")
        tell = progress or (lambda words, share: None)
        with tempfile.TemporaryDirectory(prefix="eprimg-register-") as private:
            folder = Path(private).resolve()
            back = np.asarray(np.linalg.inv(first), dtype=np.float64)
            started = Grid(
                moving.grid.shape, back @ moving.grid.affine, fixed.grid.frame_of_reference
            )
            _write(values, fixed.grid, folder / "fixed.nii")
            _write(other, started, folder / "moving.nii")
            asked = self.prepare(fixed, own, max(1, seed % 2**31))
            (folder / "in.json").write_text(json.dumps(asked), encoding="utf-8")
            tell(f"aligning with {self.name}", 0.1)
            child = self._run(folder, should_stop)
            found, bend = self._answer(folder, fixed)
        tell("aligned", 1.0)
        return RegistrarResult(
            matrix=first @ found,
            start=first,
            start_name=name,
            consistency_mm=float("nan"),
            seconds=time.perf_counter() - began,
            displacement=bend,
            settings={
                "engine_settings": own,
                "engine_version": version,
                "engine_threads": 1,
                "engine_peak_memory_mb": round(child.peak_memory_mb),
            },
        )

    def _run(self, folder: Path, should_stop: ShouldStop | None) -> ChildResult:
        one = "1"
        return run_child(
            self.command(folder),
            folder=folder,
            time_limit_s=self.config.time_limit_s,
            memory_limit_mb=self.config.memory_limit_mb,
            should_stop=should_stop,
            environment={
                "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": one,
                "OMP_NUM_THREADS": one,
                "OPENBLAS_NUM_THREADS": one,
                "HOME": str(folder),  # nothing is written into the user's
            },
            where=self.name,
        )

    def _answer(self, folder: Path, fixed: Volume) -> tuple[FloatArray, Displacement | None]:
        try:
            matrix, bend = self.answer(folder, fixed)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._no_answer(f"{type(error).__name__}") from error
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not is_rigid(matrix):
            raise self._no_answer("the matrix is not rigid")
        return matrix, bend

    def _no_answer(self, why: str) -> EngineError:
        return EngineError(
            f"{self.name} ended, but left no usable transform ({why})",
            code="E_ENGINE_ANSWER",
            where=self.name,
            action="check the version of the installation",
        )


def _write(values: npt.NDArray[np.float32], grid: Grid, path: Path) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(to_sitk(values, grid), str(path))


def _start(
    start: str | Transform,
    fixed: Volume,
    moving: Volume,
    values: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    rules: RigidSettings,
) -> tuple[FloatArray, str]:
    if isinstance(start, Transform):
        return np.array(start.matrix), "given"
    name = start
    if name == "best":
        header = overlap_fraction(fixed.grid, moving.grid, np.eye(4))
        name = "identity" if header >= rules.start.header_overlap_fraction else "moments"
    matrix = np.eye(4)
    if name == "centres":
        matrix[:3, 3] = moving.grid.center_lps_mm - fixed.grid.center_lps_mm
    elif name == "moments":
        matrix[:3, 3] = centroid_mm(values[1], moving.grid) - centroid_mm(values[0], fixed.grid)
    elif name != "identity":
        raise EngineError(
            f"there is no start called {start!r}",
            code="E_ARGUMENT",
            value=start,
            action="use one of: best, identity, centres, moments",
        )
    return matrix, name
