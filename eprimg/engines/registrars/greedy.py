"""Adapter of greedy: the program, or the python package picsl-greedy, of the user's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg.engines.registrars.child_registrar import ChildRegistrar
from eprimg.errors import EngineUnavailable
from eprimg.model.displacement import Displacement
from eprimg.model.volume import Volume

__all__ = ["Greedy"]

_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))
"""Turns RAS into LPS and back."""


class Greedy(ChildRegistrar):
    """Rigid registration by normalised mutual information.

    Notes
    -----
    ``register.program`` names the program; else a python with the package (``register.python`` or
    ``EPRIMG_GREEDY_PYTHON``); else ``greedy`` on the PATH; else this python.  Its licence (GPL
    upstream) is the reason why it is nowhere a requirement of eprimg.
    """

    name = "greedy"
    package = "picsl-greedy"
    variable = "EPRIMG_GREEDY_PYTHON"
    script = "_run_greedy.py"
    resource = "greedy"

    def program(self) -> str:
        """Return the program to run, empty when the python package is used.

        Returns
        -------
        str
            Path.
        """
        if self.config.program:
            return self.config.program
        if self.config.python or os.environ.get(self.variable, ""):
            return ""
        return shutil.which("greedy") or ""

    def installed(self) -> str:
        """Return the version of the package, or the name of the program.

        Returns
        -------
        str
            Version, or ``program greedy``: the program does not tell its version reliably.

        Raises
        ------
        EngineUnavailable
            ``E_ENGINE`` when neither is there.
        """
        program = self.program()
        if not program:
            return super().installed()
        if shutil.which(program) is None:
            raise EngineUnavailable(
                "register.program names no program",
                code="E_ENGINE",
                where=self.name,
                value=Path(program).name,
                action="give the path of the program greedy",
            )
        return f"program {Path(program).name}"

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
        program = self.program()
        if program:
            return [program, *_arguments(self._own)]
        return super().command(folder)

    def prepare(self, fixed: Volume, own: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return the command line; greedy takes no seed and samples nothing.

        Parameters
        ----------
        fixed : Volume
            The fixed series.
        own : Mapping
            Settings of the engine.
        seed : int
            Not used.

        Returns
        -------
        dict
            Content of ``in.json``.
        """
        self._own = dict(own["rigid"])
        return {"command": " ".join(_arguments(self._own))}

    def answer(
        self, folder: Path, fixed: Volume
    ) -> tuple[npt.NDArray[np.float64], Displacement | None]:
        """Read the matrix: RAS mm, from fixed points to moving points.

        Parameters
        ----------
        folder : Path
            The private folder.
        fixed : Volume
            The fixed series.

        Returns
        -------
        matrix : ndarray, shape (4, 4)
            LPS mm.
        displacement : None
            There is none.
        """
        matrix = np.loadtxt(folder / "affine.mat", dtype=np.float64)
        if matrix.shape != (4, 4):
            raise ValueError
        return _RAS @ matrix @ _RAS, None


def _arguments(own: Mapping[str, Any]) -> list[str]:
    line = f"-d 3 -a -dof 6 -m {own['metric']} -i fixed.nii moving.nii -o affine.mat"
    # without the jitter of its sample points, which takes no seed, reruns agree
    more = f"-ia-identity -n {own['iterations']} -jitter 0 -threads 1 -V 0"
    return [*line.split(), *more.split()]
