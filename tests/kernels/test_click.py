"""A click on made volumes of known outline; the graphs against scipy's own solutions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from eprimg.errors import InputError
from eprimg.kernels._click_graph import least_costs, walk_probability
from eprimg.kernels.click import CLICK_METHODS, click_segment

SPACING = (3.0, 2.0, 2.0)
SHAPE = (23, 31, 31)
CENTRE = (11, 15, 15)


def _distance(centre=CENTRE, shape=SHAPE, spacing=SPACING):
    grid = np.indices(shape).astype(float)
    return np.sqrt(sum(((g - c) * h) ** 2 for g, c, h in zip(grid, centre, spacing, strict=True)))


def _dice(one, other) -> float:
    return 2.0 * np.count_nonzero(one & other) / (one.sum() + other.sum())


@pytest.fixture(scope="module")
def ball():
    """A ball of 18 mm, 40 % brighter than its surroundings, with noise of 2 %."""
    truth = _distance() <= 9.0
    values = np.where(truth, 140.0, 100.0) + np.random.default_rng(7).normal(0, 2.0, SHAPE)
    return values, truth


@pytest.mark.parametrize("method", CLICK_METHODS)
def test_a_ball_is_found_from_an_off_centre_click(ball, method: str) -> None:
    # Truth: the painted ball.  Watershed lines lie on the voxels of the rim, hence 0.85.
    values, truth = ball
    found = click_segment(values, SPACING, (12, 17, 14), method=method)
    assert found.refused == ""
    assert _dice(found.mask, truth) > (0.85 if method == "gradient-watershed" else 0.99)
    assert found.mask[12, 17, 14]
    assert found.n_voxels == np.count_nonzero(found.mask)
    assert found.doubt == ""


@pytest.mark.parametrize("method", CLICK_METHODS[:2])
def test_a_small_lesion_is_not_clipped_to_its_surroundings(method: str) -> None:
    # 10 mm are 0.4 % of the volume of interest: the 99th percentile is that of the noise around.
    truth = _distance() <= 5.0
    values = np.where(truth, 200.0, 100.0) + np.random.default_rng(3).normal(0, 8.0, SHAPE)
    assert _dice(click_segment(values, SPACING, CENTRE, method=method).mask, truth) > 0.9


@pytest.mark.parametrize("method", CLICK_METHODS)
def test_unit_and_sign_of_the_contrast_do_not_matter(ball, method: str) -> None:
    values, _ = ball
    one = click_segment(values, SPACING, CENTRE, method=method)
    other = click_segment(500.0 - 3.0 * values, SPACING, CENTRE, method=method)
    # Percentiles of the turned contrast are the turned percentiles, so the graph is the same.
    assert _dice(one.mask, other.mask) > 0.995


def test_a_background_click_stops_a_leak() -> None:
    # Two balls of one brightness joined by a bridge: only a person can tell them apart.
    near = _distance((11, 15, 10)) <= 6.0
    far = _distance((11, 15, 17)) <= 6.0
    bridge = (_distance((11, 15, 13)) <= 6.0) & (np.abs(np.arange(31) - 15)[None, :, None] <= 1)
    values = np.where(near | far | bridge, 200.0, 100.0)
    leaked = click_segment(values, SPACING, (11, 15, 10), method="grow-cut")
    held = click_segment(
        values, SPACING, (11, 15, 10), method="grow-cut", background_index=[(11, 15, 17)]
    )
    assert _dice(leaked.mask, near | far | bridge) > 0.95
    assert _dice(held.mask, near) > 0.8
    assert not held.mask[11, 15, 17]


def test_a_diameter_draws_the_shell() -> None:
    # In a volume of one brightness nothing but the shell can stop the region.
    values = np.random.default_rng(1).normal(100.0, 1.0, SHAPE)
    found = click_segment(values, SPACING, CENTRE, diameter_mm=14.0, method="random-walker")
    assert found.shell_mm == 14.0
    assert not (found.mask & (_distance() >= 14.0)).any()
    # A diameter below two voxels is not one: the shell stays outside the ball of the click.
    assert click_segment(values, SPACING, CENTRE, diameter_mm=1.0).shell_mm == 9.0


def test_what_speaks_against_a_region_is_said() -> None:
    reaching = np.where(_distance() <= 23.0, 200.0, 100.0)
    assert "shell" in click_segment(reaching, SPACING, CENTRE, diameter_mm=24.0).doubt
    wide = np.where(_distance() <= 29.0, 200.0, 100.0)
    # Larger than the shell on all sides: a random walk stops half way, where there is no edge.
    within = click_segment(wide, SPACING, CENTRE, diameter_mm=24.0)
    assert "edge of the contrast" in within.doubt
    cut = np.where(_distance((1, 15, 15)) <= 8.0, 200.0, 100.0)
    assert "edge of the volume" in click_segment(cut, SPACING, (1, 15, 15)).doubt
    speck = np.where(_distance() <= 3.0, 200.0, 100.0)
    assert "ball" in click_segment(speck, SPACING, CENTRE).doubt


def test_a_voxel_without_a_value_is_in_no_region(ball) -> None:
    values, truth = ball
    holed = values.copy()
    holed[11, 15, 13] = np.nan
    holed[10, 12:20, 12] = np.inf
    for method in CLICK_METHODS:
        found = click_segment(holed, SPACING, CENTRE, method=method)
        assert not found.mask[~np.isfinite(holed)].any()
        assert _dice(found.mask, truth) > 0.8


def test_refusals() -> None:
    flat = np.full(SHAPE, 5.0)
    found = click_segment(flat, SPACING, CENTRE)
    assert (found.n_voxels, found.refused) == (0, "the values around the click do not differ")
    hole = np.arange(flat.size, dtype=float).reshape(SHAPE)
    hole[CENTRE] = np.nan
    assert "no value" in click_segment(hole, SPACING, CENTRE).refused
    small = np.random.default_rng(0).normal(size=(3, 3, 3))
    assert "no background" in click_segment(small, SPACING, (1, 1, 1)).refused
    for wrong in (
        {"seed_index": (23, 0, 0)},
        {"seed_index": (-1, 0, 0)},
        {"spacing_mm": (0.0, 1.0, 1.0)},
        {"method": "magic"},
        {"diameter_mm": float("nan")},
        {"background_index": [CENTRE]},
        {"values": flat[0]},
    ):
        given = {"values": flat, "spacing_mm": SPACING, "seed_index": CENTRE, **wrong}
        values, spacing, seed = (given.pop(k) for k in ("values", "spacing_mm", "seed_index"))
        with pytest.raises(InputError) as caught:
            click_segment(values, spacing, seed, **given)
        assert caught.value.code == "E_ARGUMENT"


def _random_graph():
    """Edges of a small grid with closed voxels, as arrays along the axes and as a list."""
    random = np.random.default_rng(3)
    shape = (4, 5, 6)
    usable = random.random(shape) > 0.15
    usable[0, 0, 0] = usable[3, 4, 5] = True
    number = np.arange(usable.size).reshape(shape)
    edges, one, other, weight = [], [], [], []
    for axis in range(3):
        cost = random.random([n - (a == axis) for a, n in enumerate(shape)])
        edges.append(cost)
        low = np.take(number, range(shape[axis] - 1), axis)
        high = np.take(number, range(1, shape[axis]), axis)
        joined = usable.ravel()[low] & usable.ravel()[high]
        one += low[joined].tolist()
        other += high[joined].tolist()
        weight += cost[joined].tolist()
    seeds = np.zeros((2, *shape), dtype=bool)
    seeds[0, 0, 0, 0] = seeds[1, 3, 4, 5] = True
    graph = coo_array((weight, (one, other)), shape=(usable.size,) * 2).tocsr()
    return usable, edges, seeds, graph


def test_least_costs_are_those_of_dijkstra() -> None:
    # Independent: scipy.sparse.csgraph on the list of edges.
    usable, edges, seeds, graph = _random_graph()
    found = least_costs(edges, usable, seeds)
    expected = dijkstra(graph, directed=False, indices=[0, usable.size - 1])
    np.testing.assert_allclose(found.reshape(2, -1), expected, rtol=1e-12)


def test_walk_probability_solves_the_graph() -> None:
    # Independent: the dense Laplacian of the part that is joined to a seed.
    usable, weights, seeds, graph = _random_graph()
    found = walk_probability(weights, usable, seeds).ravel()
    dense = graph.toarray() + graph.toarray().T
    laplacian = np.diag(dense.sum(axis=1)) - dense
    reached = np.isfinite(dijkstra(graph, directed=False, indices=[0])[0])
    fixed = seeds.any(axis=0).ravel()
    free = np.flatnonzero(reached & ~fixed)
    held = np.flatnonzero(seeds[0].ravel())
    expected = np.linalg.solve(
        laplacian[np.ix_(free, free)], -laplacian[np.ix_(free, held)].sum(axis=1)
    )
    np.testing.assert_allclose(found[free], expected, atol=1e-3)


def test_a_chain_between_two_seeds_is_a_straight_line() -> None:
    # Closed form: in one dimension with equal weights the probability falls linearly.
    usable = np.ones((1, 1, 11), dtype=bool)
    seeds = np.zeros((2, 1, 1, 11), dtype=bool)
    seeds[0, 0, 0, 0] = seeds[1, 0, 0, 10] = True
    weights = [np.ones((0, 1, 11)), np.ones((1, 0, 11)), np.ones((1, 1, 10))]
    found = walk_probability(weights, usable, seeds)
    np.testing.assert_allclose(found[0, 0], np.linspace(1, 0, 11), atol=1e-3)


def test_a_region_is_cut_off_when_its_border_lies_against_the_shell() -> None:
    # The shell begins 24 mm from the click; voxels of 3 x 2 x 2 mm.
    reaching = np.where(_distance() <= 23.0, 200.0, 100.0)
    assert click_segment(reaching, SPACING, CENTRE, diameter_mm=24.0).cut_off
    # Nobody said how large it is: in a wider shell it ends by itself.
    wider = click_segment(reaching, SPACING, CENTRE)
    assert (wider.cut_off, wider.shell_mm) == (False, 36.0)
    assert np.array_equal(wider.mask, reaching > 150.0)
    # No neighbour of a voxel of this disc is farther than 23.5 mm, though it ends near the shell.
    height_mm = 3.0 * np.abs(np.indices(SHAPE)[0] - CENTRE[0])
    disc = (_distance() <= 21.5) & (height_mm <= 9.0)
    near = click_segment(np.where(disc, 200.0, 100.0), SPACING, CENTRE)
    assert not near.cut_off
    assert "shell" in near.doubt
    assert np.array_equal(near.mask, disc)
