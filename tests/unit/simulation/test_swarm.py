"""A whole swarm under the simulated clock, as small as it can be."""

from __future__ import annotations

import attrs
import pytest

from benchmarks.simulation.plan import Plan
from benchmarks.simulation.report import simulate

PIECE = 64 * 1024
PLAN = Plan(peers=4, length=48 * PIECE, piece_size=PIECE, up=4e5, down=4e5, seed_up=4e5)


def test_the_bound_is_that_of_a_fluid() -> None:
    """F/s, F/d, all bytes over all uplinks, or the origin: what is slowest."""
    bound = 48 * PIECE / 4e5
    assert pytest.approx(bound) == PLAN.bound_s
    assert attrs.evolve(PLAN, down=1e5).bound_s == pytest.approx(4 * bound)
    assert attrs.evolve(PLAN, up=0.0, down=4e6).bound_s == pytest.approx(4 * bound)
    assert attrs.evolve(PLAN, origin_rate=2e5).bound_s == pytest.approx(2 * bound)
    slow = attrs.evolve(PLAN, slow=0.25)
    assert slow.bound_of(slow.share_of(0)) == pytest.approx(4 * bound)
    assert slow.share_of(1) == 1.0


def test_four_peers_get_everything_in_little_more_than_the_bound() -> None:
    """With real tracker, seed and pickers, and little more than one copy from the seed."""
    figures = simulate(PLAN)
    assert figures.missing == 0
    assert 1.0 <= figures.ratio < 1.5
    assert 1.0 <= figures.seed_copies < 2.0
    assert figures.duplicates < 0.05
    assert figures.line()


def test_a_cold_swarm_with_a_liar_and_a_staller_ends() -> None:
    """Those who are well get everything, and wrong bytes from nobody."""
    plan = attrs.evolve(PLAN, peers=5, lying=1, stalled=1, origin_rate=4e5)
    figures = simulate(plan)
    assert figures.missing == 0
    assert len(figures.times) == 3


def test_who_is_killed_is_not_waited_for() -> None:
    """The others get everything."""
    figures = simulate(attrs.evolve(PLAN, killed=0.25))
    assert figures.missing == 0
    assert len(figures.times) == 3
