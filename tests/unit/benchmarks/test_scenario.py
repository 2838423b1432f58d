"""Scenarios and their casts."""

from __future__ import annotations

import random

import attrs
import pytest
from labrig.bound import bytes_per_s
from labrig.dials import draw_dials
from labrig.scenario import SCENARIOS


def test_the_scenarios_are_what_they_are_called() -> None:
    """The table is by name, and all hosts have parts."""
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert len(scenario.cast(1)) == scenario.hosts


def test_addresses_are_different_ones() -> None:
    """In networks of any size."""
    addresses = [host.address for host in SCENARIOS["D"].cast(1)]
    assert len(set(addresses)) == len(addresses) == 200
    many = attrs.evolve(SCENARIOS["D"], hosts=600).cast(1)
    assert len({host.address for host in many}) == 600


def test_the_special_are_drawn_by_the_seed() -> None:
    """The same ones each time; with other seeds, others."""
    scenario = SCENARIOS["killed"]

    def killed(seed: int) -> set[str]:
        return {host.name for host in scenario.cast(seed) if host.role == "killed"}

    assert len(killed(1)) == 3
    assert killed(1) == killed(1)
    assert any(killed(1) != killed(seed) for seed in range(2, 6))


def test_who_is_struck_is_not_waited_for() -> None:
    """Nor is the liar, whom others may have banned."""
    for name, role in (("killed", "killed"), ("stalled", "stalled"), ("lying", "lying")):
        special = [host for host in SCENARIOS[name].cast(1) if not host.counted]
        assert {host.role for host in special} == {role}


def test_slow_hosts_have_a_quarter_and_count() -> None:
    """They are to be served, too."""
    slow = [host for host in SCENARIOS["mixed"].cast(1) if host.role == "slow"]
    assert [(host.mbit, host.counted) for host in slow] == [(25 / 4, True)] * 3


def test_hosts_arrive_one_after_another() -> None:
    """The first at once, the last before the time is over."""
    starts = [host.starts_s for host in SCENARIOS["arriving"].cast(1)]
    assert starts[0] == 0.0
    assert starts == sorted(starts)
    assert 9.0 < starts[-1] < 10.0


def test_bounds_follow_the_rates() -> None:
    """In A the hosts' own links are the limit, natively the origin's."""
    scenario = SCENARIOS["A"]
    hosts = scenario.cast(1)
    assert scenario.bound_s(hosts) == pytest.approx(scenario.size / bytes_per_s(50))
    assert scenario.native_s(hosts) == pytest.approx(16 * scenario.size / bytes_per_s(100))


def test_a_slow_origin_bounds_a_cold_run_only() -> None:
    """A warm supernode does not ask it for content."""
    warm = attrs.evolve(SCENARIOS["A"], origin_mbit=10)
    cold = attrs.evolve(warm, cold=True)
    assert warm.bound_s(warm.cast(1)) == pytest.approx(warm.size / bytes_per_s(50))
    assert cold.bound_s(cold.cast(1)) == pytest.approx(warm.size / bytes_per_s(10))


@pytest.mark.parametrize("count", [1, 2, 16, 64])
def test_no_two_dial_each_other(count: int) -> None:
    """And few enough are all connected to all."""
    names = [str(number) for number in range(count)]
    dials = draw_dials(names, random.Random(1))
    pairs = [frozenset((one, other)) for one, others in dials.items() for other in others]
    assert len(pairs) == len(set(pairs))
    assert all(len(pair) == 2 for pair in pairs)
    if count <= 16:
        assert len(pairs) == count * (count - 1) // 2
