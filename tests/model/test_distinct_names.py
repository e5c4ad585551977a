"""Names of regions: each once, whatever was given."""

from __future__ import annotations

import pytest

from eprimg.model.distinct_names import distinct_names
from eprimg.model.lesions import Region, RegionRole


@pytest.mark.parametrize(
    ("given", "taken", "expected"),
    [
        (["a", "b"], (), ["a", "b"]),
        # none of two alike keeps the name: nobody knows which of them was meant by it
        (["a", "b", "a"], (), ["a #1", "b", "a #3"]),
        (["a", "b"], ("a",), ["a #1", "b"]),
        # a name that looks like one of ours is not given twice
        (["a", "a", "a #1"], (), ["a #1 #1", "a #2", "a #1"]),
    ],
)
def test_names(given: list[str], taken: tuple[str, ...], expected: list[str]) -> None:
    regions = [Region(n, name, RegionRole.LESION) for n, name in enumerate(given, start=1)]
    found = distinct_names(regions, taken)
    assert [r.name for r in found] == expected
    assert [r.id for r in found] == [r.id for r in regions]
