"""The simulated network: small cases whose answer is known."""

from __future__ import annotations

import random
from math import inf

import pytest

from benchmarks.simulation.clock import SimClock
from benchmarks.simulation.fluid import Flow, Link, Network


class Net:
    """A network with hosts by name, and when each of its flows ended."""

    def __init__(self, tolerance: float = 0.0, **rates: tuple[float, float]) -> None:
        self.clock = SimClock()
        self.network = Network(self.clock, tolerance=tolerance)
        self.up = {name: Link(up) for name, (up, _) in rates.items()}
        self.down = {name: Link(down) for name, (_, down) in rates.items()}
        self.ended: dict[str, float] = {}

    def send(self, source: str, target: str, amount: float, *more: float) -> Flow:
        """Begin a flow that goes on with what is in ``more``."""
        rest = list(more)

        def reached() -> float:
            if rest:
                return rest.pop(0)
            self.ended[source + target] = self.clock.now
            return 0

        flow = self.network.flow(self.up[source], self.down[target], reached)
        flow.begin(amount)
        return flow

    def run(self, until: float = inf) -> None:
        """Let time pass."""
        self.clock.run(until, lambda: False)


def test_one_flow_has_the_slower_of_its_links() -> None:
    """100 bytes at 10 a second; more of them at the same rate."""
    net = Net(a=(10, 10), b=(99, 20))
    net.send("a", "b", 100, 50)
    net.run()
    assert net.ended == {"ab": pytest.approx(15)}


def test_flows_of_a_host_share_its_link_and_what_one_leaves() -> None:
    """Both at 5; the longer one alone at 10 from 20 s on."""
    net = Net(a=(10, 10), b=(99, 99), c=(99, 99))
    net.send("a", "b", 100)
    net.send("a", "c", 150)
    net.run()
    assert net.ended == {"ab": pytest.approx(20), "ac": pytest.approx(25)}


def test_what_one_cannot_take_goes_to_the_other() -> None:
    """b takes 2 of the 10; c gets 8 of them, not 5."""
    net = Net(a=(10, 10), b=(99, 2), c=(99, 99))
    first, second = net.send("a", "b", 100), net.send("a", "c", 800)
    net.run(1)
    assert (first.rate, second.rate) == (2, 8)
    assert (first.left(), second.left()) == (98, 792)


def test_a_chain_of_bottlenecks() -> None:
    """a→x and a→y share 12 as 4 and 8, since b and c fill x, whose 12 are for three."""
    net = Net(a=(12, 0), b=(99, 0), c=(99, 0), x=(0, 12), y=(0, 99))
    flows = [net.send(*ends, 1e6) for ends in (("a", "x"), ("b", "x"), ("c", "x"), ("a", "y"))]
    net.run(0.1)
    assert [flow.rate for flow in flows] == [4, 4, 4, 8]


def test_a_flow_that_stops_leaves_its_share() -> None:
    """And tells what is left of it."""
    net = Net(a=(10, 10), b=(99, 99), c=(99, 99))
    first, second = net.send("a", "b", 100), net.send("a", "c", 100)
    net.clock.at(4.0, first.stop)
    net.run()
    assert (first.left(), first.moved, first.running) == (80, 20, False)
    assert net.ended == {"ac": pytest.approx(12)}
    assert second.rate == 0


def test_a_host_that_stalls_and_comes_back() -> None:
    """Nothing moves at rate 0, and what was sent before counts."""
    net = Net(a=(10, 10), b=(99, 99))
    net.send("a", "b", 100)
    net.clock.at(5.0, net.network.set_rate, net.up["a"], 0.0)
    net.clock.at(105.0, net.network.set_rate, net.up["a"], 50.0)
    net.run()
    assert net.ended == {"ab": pytest.approx(106)}


def water_filling(flows: list[tuple[Link, Link]]) -> list[float]:
    """The max-min allocation by its definition: raise all, freeze what meets a full link."""
    rates = [0.0] * len(flows)
    live = set(range(len(flows)))
    left = {link: link.rate for pair in flows for link in pair}
    while live:
        users = {link: sum(link in flows[n] for n in live) for link in left}
        step = min(left[link] / users[link] for link in left if users[link])
        for n in live:
            rates[n] += step
            for link in flows[n]:
                left[link] -= step
        live -= {n for n in live if min(left[link] for link in flows[n]) <= 1e-9}
    return rates


@pytest.mark.parametrize("seed", range(5))
def test_any_network_comes_to_max_min(seed: int) -> None:
    """As the definition has it, exactly without a tolerance, and nearly with one."""
    rng = random.Random(seed)
    hosts = {f"h{n}": (rng.choice([1, 4, 10]), rng.choice([2, 5, 20])) for n in range(12)}
    pairs = [(a, b) for a in hosts for b in hosts if a != b and rng.random() < 0.4]
    for tolerance, error in ((0.0, 1e-6), (0.02, 0.15)):
        net = Net(tolerance, **hosts)
        flows = [net.send(a, b, 1e9) for a, b in pairs]
        net.run(0.001)
        best = water_filling([(flow.up, flow.down) for flow in flows])
        assert [flow.rate for flow in flows] == pytest.approx(best, rel=error)
        assert max(sum(f.rate for f in up.flows) / up.rate for up in net.up.values()) < 1 + error


def test_calls_can_be_moved_and_taken_back() -> None:
    """The clock does what a reactor's calls do."""
    clock, seen = SimClock(), []
    first = clock.callLater(1.0, seen.append, "first")
    second = clock.callLater(2.0, seen.append, "second")
    third = clock.callLater(3.0, seen.append, "third")
    first.reset(5.0)
    second.cancel()
    third.delay(1.0)
    assert (first.getTime(), second.active(), third.active()) == (5.0, False, True)
    clock.run(4.5, lambda: False)
    assert (seen, clock.now) == (["third"], 4.5)
    clock.run(9.0, lambda: False)
    first.cancel()
    assert (seen, clock.now, first.active()) == (["third", "first"], 5.0, False)
