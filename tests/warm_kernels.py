"""Compile the kernels that every run needs, once: ``python -m tests.warm_kernels``.

On a fresh installation every worker of the tests would compile the same functions at the same time,
some twenty-five seconds of processor time each.  The results are kept on disk beside the source.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg import pipeline
from eprimg.config import Config
from eprimg.kernels.joint_histogram import joint_histogram
from eprimg.kernels.resample import resample_map
from eprimg.model.case import Case
from tests.stages.conftest import SHAPE, Scene, region_set


def warm_case() -> Case:
    """Measure the tiny study, whose registrations are given, with everything that is compiled.

    Returns
    -------
    Case
        The measured case.
    """
    config = Config().with_settings({"threads": 1})
    scene = Scene(config)
    study = scene.study()
    case = replace(Case(study), registrations=scene.registrations())
    # Read-only float32, as a run has it: each kind of array is compiled for itself.
    truncated = config.with_settings({"r2star": {"noise": "truncate", "sigma": 1.0}})
    pipeline.run(study, truncated, case=case, start="quantify", stop="quantify")
    holed = np.ones(SHAPE, np.float32)
    holed[5, 5, 5] = np.nan
    resample_map(holed, output_to_input=np.diag([1.0, 1.1, 1.1, 1.0]), output_shape=SHAPE)
    lattice = np.zeros(SHAPE, np.uint8)
    joint_histogram(lattice, holed, output_to_input=np.eye(4), top=1.0, bins=32)
    return pipeline.run(study, config, case=case, start="quantify", regions=region_set())


if __name__ == "__main__":
    warm_case()
