"""Study: unique keys and labels, look-up by role."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.errors import InputError
from eprimg.model.grid import Grid
from eprimg.model.study import Role, Series, Study, Timepoint
from eprimg.model.volume import Volume
from eprimg.quantities import quantity


def series(key: str, role: Role) -> Series:
    grid = Grid((1, 2, 2), np.eye(4), "1.2")
    return Series(key, role, Volume(np.zeros(grid.shape), grid, quantity("activity")), None)


def test_roles_are_found_and_keys_are_unique() -> None:
    pet, ct = series("pet", Role.PET), series("ct", Role.CT)
    study = Study("P", (Timepoint("89Zr PET", None, (pet, ct)),))
    assert study.find(Role.PET) is pet
    assert study.find(Role.MR_PRE) is None
    assert study.series == (pet, ct)
    assert pet.grid.shape == (1, 2, 2)
    assert "pet, ct" in repr(study)
    with pytest.raises(InputError, match="unique"):
        Study("P", (Timepoint("a", None, (pet,)), Timepoint("a", None, (ct,))))
    with pytest.raises(InputError, match="unique"):
        Study("P", (Timepoint("a", None, (pet,)), Timepoint("b", None, (pet,))))
