"""Adapter of antspyx (ANTs), which needs an environment of its own.

References
----------
Avants BB et al., NeuroImage 2011;54:2033, doi 10.1016/j.neuroimage.2010.09.025.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eprimg.engines.registrars.child_registrar import ChildRegistrar
from eprimg.model.volume import Volume

__all__ = ["Antspyx"]


class Antspyx(ChildRegistrar):
    """Rigid registration by Mattes mutual information."""

    name = "antspyx"
    package = "antspyx"
    variable = "EPRIMG_ANTSPYX_PYTHON"
    script = "_run_antspyx.py"
    resource = "antspyx"

    def prepare(self, fixed: Volume, own: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Return settings and seed.

        Parameters
        ----------
        fixed : Volume
            The fixed series.
        own : Mapping
            Settings of the engine.
        seed : int
            Seed of the sampler.

        Returns
        -------
        dict
            Content of ``in.json``.
        """
        return {"settings": dict(own), "seed": seed}
