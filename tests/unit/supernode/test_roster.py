"""Who is known, and who can be reached: dialled once, and anew when there is a doubt."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.control.messages import Announced
from dragonfly.errors import TrackerError
from dragonfly.sched.peers import Peer
from dragonfly.supernode.registration import Caller
from dragonfly.supernode.roster import DOUBT_S, REDIAL_S, Roster
from tests.doubles.swarm import FakeDialler

KEY = b"k" * 32
CALLER = Caller(address="10.0.0.1", reached="10.0.0.9", secure=True)


class _Lab:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.dialler = FakeDialler()
        self.reached: list[bool | None] = []
        self.roster = Roster(
            self.dialler, self.clock, lambda peer: self.reached.append(peer.reachable)
        )

    def meet(self, port: int = 7, address: str | None = None) -> Peer:
        return self.roster.meet(KEY, Announced(port=port, address=address), CALLER)


def test_the_address_is_the_caller_s_unless_it_names_a_usable_one() -> None:
    """Nobody is sent to where no host on the network could be."""
    lab = _Lab()
    assert lab.meet().address == "10.0.0.1"
    assert lab.meet(address="10.7.7.7").address == "10.7.7.7"
    assert lab.meet(address="127.0.0.1").address == "10.0.0.1"


def test_one_dial_serves_all_who_want_to_know() -> None:
    """Two registrations of one peer at the same time wait for the same answer."""
    lab = _Lab()
    lab.dialler.hold = True
    peer = lab.meet()
    first = lab.roster.try_to_reach(peer)
    assert lab.roster.try_to_reach(peer) is first
    lab.roster.doubt(peer)
    lab.dialler.answer()
    assert lab.reached == [True]
    assert lab.roster.try_to_reach(peer) is None
    assert len(lab.dialler.asked) == 1


def test_an_answer_about_an_old_address_counts_for_nothing() -> None:
    """The peer has moved meanwhile; or has gone."""
    lab = _Lab()
    lab.dialler.hold = True
    peer = lab.meet()
    lab.roster.try_to_reach(peer)
    lab.meet(port=8)
    second = lab.roster.try_to_reach(peer)
    assert second is not None
    assert [port for _, port, _ in lab.dialler.asked] == [7, 8]
    lab.dialler.unreachable.add(("10.0.0.1", 7))
    lab.dialler.answer()
    assert lab.reached == [True]
    assert lab.roster.release(peer)
    assert not lab.roster.release(peer)
    again = lab.meet()
    lab.roster.try_to_reach(again)
    lab.roster.release(again)
    lab.dialler.answer()
    assert lab.reached == [True]


def test_no_answer_is_asked_for_again_after_a_while() -> None:
    """Sooner where an earlier yes was voided than where there was a no."""
    lab = _Lab()
    peer = lab.meet()
    lab.dialler.unreachable.add(("10.0.0.1", 7))
    lab.roster.try_to_reach(peer)
    lab.clock.advance(REDIAL_S - 1)
    assert lab.roster.try_to_reach(peer) is None
    lab.clock.advance(1)
    assert lab.roster.try_to_reach(peer) is not None
    peer.reachable = None
    assert lab.roster.try_to_reach(peer) is None
    lab.clock.advance(DOUBT_S)
    assert lab.roster.try_to_reach(peer) is not None
    assert [fresh for _, _, fresh in lab.dialler.asked] == [False, True, True]


def test_there_is_a_limit_and_room_again_when_peers_go() -> None:
    """Inventing keys costs us a bounded amount of memory; those who are known may call."""
    roster = Roster(FakeDialler(), Clock(), lambda _: None, most=2)
    says = Announced(port=1)
    first = roster.meet(b"1", says, CALLER)
    roster.meet(b"2", says, CALLER)
    assert roster.meet(b"1", says, CALLER) is first
    with pytest.raises(TrackerError, match="2 peers") as caught:
        roster.meet(b"3", says, CALLER)
    assert caught.value.status == 503
    roster.release(first)
    assert len(roster) == 1
    assert roster.meet(b"3", says, CALLER).port == 1
