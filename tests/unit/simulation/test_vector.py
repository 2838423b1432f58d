"""The model in arrays; numpy is needed for nothing else and may be absent."""

from __future__ import annotations

import pytest

vector = pytest.importorskip("benchmarks.simulation.vector", exc_type=ImportError)


def test_all_get_everything_in_about_the_time_of_the_real_pickers() -> None:
    """64 peers with 128 pieces: everybody is done, and the seed sends little beyond a copy."""
    swarm = vector.VectorSwarm(64, 128)
    figures = swarm.run()
    assert not swarm._want.any()
    assert 1.1 < figures.p50 <= figures.ratio < 1.6
    assert 1.0 <= figures.seed_copies < 1.6
    assert figures.line()


def test_a_lone_peer_is_fed_by_the_seed() -> None:
    """At the rate of its link."""
    figures = vector.VectorSwarm(1, 64).run()
    assert figures.ratio == pytest.approx(1.0, abs=0.1)
    assert figures.seed_copies == 1.0
