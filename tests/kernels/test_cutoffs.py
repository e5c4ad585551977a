from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eprimg.errors import InputError
from eprimg.kernels.cutoffs import assign_tier, fixed_cutoffs, median_cutoff, tertile_cutoffs


def test_value_on_an_edge_is_in_the_higher_tier() -> None:
    tier = assign_tier([[-1.0, 2.0], [2.5, 5.0], [np.nan, np.inf]], [2.0, 5.0])
    np.testing.assert_array_equal(tier, [[0, 1], [1, 2], [-1, 2]])
    assert tier.dtype == np.int64


def test_scalar_gives_a_scalar() -> None:
    assert assign_tier(3.0, [2.0]).shape == ()
    assert int(assign_tier(np.nan, [2.0])) == -1


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=20))
def test_tier_counts_the_edges_at_or_below(values: list[float]) -> None:
    edges = [-10.0, 0.0, 3.5]
    expected = [sum(value >= edge for edge in edges) for value in values]
    np.testing.assert_array_equal(assign_tier(values, edges), expected)


def test_median_and_tertiles_of_known_cohorts() -> None:
    assert median_cutoff([3.0, np.nan, 1.0, 10.0, 2.0]) == 2.5
    # 0 .. 9: positions 3 and 6 of q (n - 1).
    np.testing.assert_allclose(tertile_cutoffs([*range(9, -1, -1), np.nan, np.inf]), [3.0, 6.0])


def test_fixed_cutoffs_are_a_copy() -> None:
    given_edges = np.asarray([1.0, 2.0])
    edges = fixed_cutoffs(given_edges)
    given_edges[0] = 9.0
    np.testing.assert_array_equal(edges, [1.0, 2.0])


@pytest.mark.parametrize("edges", [[], [1.0, 1.0], [2.0, 1.0], [1.0, np.nan], [np.inf], [[1.0]]])
def test_bad_edges_are_refused(edges: list[float]) -> None:
    with pytest.raises(InputError, match="rise strictly"):
        fixed_cutoffs(edges)
    with pytest.raises(InputError):
        assign_tier([1.0], edges)


def test_small_and_flat_cohorts_are_refused() -> None:
    with pytest.raises(InputError, match="At least 2"):
        median_cutoff([1.0, np.nan])
    with pytest.raises(InputError, match="At least 3"):
        tertile_cutoffs([1.0, 2.0, np.nan])
    with pytest.raises(InputError, match="coincide"):
        tertile_cutoffs([1.0, 1.0, 1.0, 1.0, 5.0])
