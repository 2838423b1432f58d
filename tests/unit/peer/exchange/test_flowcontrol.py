"""Which neighbours are read from: what rate limits and a slow disk hold back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dragonfly.net.throttle import AHEAD_BYTES, Throttle
from dragonfly.peer.connections.links import Link
from dragonfly.peer.exchange.flowcontrol import FlowControl
from tests.doubles.exchanging import ExchangeLab, Neighbour
from tests.doubles.tasklab import PIECE


def test_a_disk_that_is_behind_pauses_all_links_until_it_has_caught_up(tmp_path: Path) -> None:
    """Also one that opens meanwhile; asking goes on by itself afterwards."""
    scene = ExchangeLab.ten(tmp_path)
    scene.lab.disk._key_high = 2 * PIECE
    neighbour, other = Neighbour(scene), Neighbour(scene)
    neighbour.answer_at_once()
    neighbour.session.queue_have(range(10))
    neighbour.session.flush_have()
    neighbour.say(run=False)
    for _ in range(5):
        scene.clock.advance(0)
        neighbour.pair.pump()
    assert neighbour.link.peer.paused
    assert other.link.peer.paused
    late = Neighbour(scene)
    assert late.link.peer.paused
    assert scene.lab.disk.queued_bytes < 10 * PIECE
    scene.run()
    assert not any(each.link.peer.paused for each in scene.neighbours)
    assert scene.content.complete
    scene.end()


def test_a_rate_limit_lets_one_link_after_another(scene: ExchangeLab) -> None:
    """Those that were asked; who owes nothing is not paused."""
    scene.limit.set(1000)
    first, second, other = (Neighbour(scene) for _ in range(3))
    first.show(0)
    second.show(1)
    scene.wait(0.1)
    assert [each.link.peer.paused for each in (first, second, other)] == [False, True, False]
    scene.wait(5.0)
    assert not second.link.peer.paused


def test_what_was_paid_ahead_comes_back(scene: ExchangeLab) -> None:
    """When a link owes nothing more: then only what came counts."""
    scene.limit.set(AHEAD_BYTES)
    neighbour = Neighbour(scene)
    neighbour.show(0)
    scene.wait(0)
    neighbour.send(0)
    scene.run()
    granted: list[int] = []
    assert scene.limit.claim(scene, 1, lambda: granted.append(1)) is not None
    scene.wait(PIECE / AHEAD_BYTES - 0.05)
    assert granted == []
    scene.wait(0.1)
    assert granted == [1]


class _Peer:
    """A connection that notes what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.session = SimpleNamespace(questions_asked=1)

    def pause(self, token: str) -> None:
        self.said.append(f"pause {token}")

    def pause_for(self, token: str, _: float) -> None:
        self.said.append(f"pause {token}")

    def resume(self, token: str) -> None:
        self.said.append(f"resume {token}")

    def read_at_most(self, _: int) -> None:
        pass


def _link(peer: _Peer) -> Link:
    return Link(cast("Any", peer), b"k", dialled=False, seed=False, address="", port=1)


class _Disk:
    """A disk that is full until it is told to drain."""

    def __init__(self) -> None:
        self.behind = True
        self.waiting: list[Deferred[None]] = []

    def full(self, _: bytes) -> bool:
        return self.behind

    def drained(self, _: bytes) -> Deferred[None]:
        self.waiting.append(Deferred())
        return self.waiting[-1]


def test_a_disk_that_is_behind_is_asked_for_its_end_once() -> None:
    """However many slices come meanwhile; and again the next time."""
    disk, peer = _Disk(), _Peer()
    flow = FlowControl(b"t", cast("Any", disk), (), lambda _: None)
    flow.add(_link(peer))
    flow.hold_back()
    flow.hold_back()
    assert len(disk.waiting) == 1
    disk.waiting[0].callback(None)
    assert peer.said == ["pause disk", "resume disk"]
    flow.hold_back()
    assert len(disk.waiting) == 2


def test_who_may_go_on_is_told_of_before_it_is_read() -> None:
    """So that the silence until then does not count against it; so is one that is closed."""
    clock = Clock()
    limit = Throttle(clock, AHEAD_BYTES)
    first, second = _Peer(), _Peer()
    told: list[tuple[Link, list[str]]] = []
    disk = cast("Any", _Disk())
    flow = FlowControl(b"t", disk, (limit.flow("t"),), lambda x: told.append((x, [*second.said])))
    links = [_link(peer) for peer in (first, second)]
    for link in links:
        flow.add(link)
        flow.begin(link)
        flow.took(link, AHEAD_BYTES)
    assert flow.limited
    assert links[1] in list(flow.waiting())
    flow.remove(links[1])
    assert [link for link, _ in told] == [links[1]]
    assert "resume rate" not in told[0][1]
    assert second.said[-1] == "resume rate"
    assert links[1] not in list(flow.waiting())
    flow.stop()
    assert not flow.limited
    assert clock.getDelayedCalls() == []
