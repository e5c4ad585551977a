from __future__ import annotations

from dataclasses import replace

import numpy as np

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.study import Role
from eprimg.report.frames import reach, reference_grid
from eprimg.report.layers import lesion_layers


def rejected(case: Case) -> Case:
    refused = tuple(replace(r, accepted=False) for r in case.registrations)
    return replace(case, registered={}, registrations=refused)


def test_reach_follows_accepted_registrations_only(case: Case) -> None:
    grid = reference_grid(case)
    pet = case.study.find(Role.PET)
    assert grid is not None
    assert pet is not None
    frame = grid.frame_of_reference
    found = reach(case, "pet", pet.grid, frame)
    assert found is case.registrations[1].transform
    assert reach(rejected(case), "pet", pet.grid, frame) is None
    # Another series of the same frame rides on the registration of the first one.
    assert reach(case, "ct", pet.grid, frame) is found
    here = reach(case, "mr_pre", grid, frame)
    assert here is not None
    assert np.array_equal(here.matrix, np.eye(4))
    assert reach(replace(case, registrations=()), "pet", pet.grid, frame) is None


def test_without_regions_the_fixed_series_leads(case: Case) -> None:
    bare = replace(case, lesions=None)
    grid = reference_grid(bare)
    assert grid is not None
    assert grid.frame_of_reference == case.registrations[0].transform.from_frame
    alone = replace(bare, registrations=())
    assert reference_grid(alone) is not None
    nothing = replace(alone, study=replace(case.study, timepoints=()), maps={})
    assert reference_grid(nothing) is None
    assert lesion_layers(nothing, Config()) == ((), ("There is no volume to show.",))
