"""Announces: neighbours, grants, tickets, and when to call again."""

from __future__ import annotations

from typing import Any

import pytest

from dragonfly.control.messages import (
    LeaveRequest,
    Rates,
    prefix_of,
    prefixes,
)
from dragonfly.errors import (
    BadControlMessage,
    OriginRefused,
    OriginUnreachable,
)
from dragonfly.sched.graph import DEGREE_MAX
from dragonfly.signatures import KeyRing
from dragonfly.supernode.admission import ADMISSION_S
from dragonfly.supernode.answers import ANNOUNCE_MAX_S, ANNOUNCE_S, ANNOUNCES_PER_S
from dragonfly.supernode.swarm import GROWING_CHANCE_S, SEED_CHANCE_S
from dragonfly.supernode.tickets import TICKET_S, TICKETS_MAX
from dragonfly.task.grant import check_grant
from tests.doubles.swarm import NOW, LabPeer, TrackerLab

TOKEN = [("Authorization", "Bearer right")]


def _grant_ends(lab: TrackerLab, peer: LabPeer, answer: Any, task: bytes) -> int:
    ring = KeyRing([lab.key.public])
    now = lab.clock.seconds()
    grant = check_grant(answer.grant, ring, task=task, key=peer.key, now=now)
    assert grant.expires == answer.grant_expires
    return grant.expires


def test_who_is_not_known_is_told_to_register() -> None:
    """After a restart, after having been forgotten, and when the fetch began anew."""
    lab = TrackerLab()
    peer = lab.peer(1)
    task = lab.register(peer)
    assert lab.announce(peer, task).known
    assert not lab.announce(lab.peer(2), task).known
    assert not lab.announce(peer, task, task=b"?" * 32).known
    assert not lab.announce(peer, task, fetch=task.fetch + 1).known
    lab.library.renew(lab.content(task))
    fresh = lab.register(lab.peer(2))
    assert (fresh.task, fresh.fetch) != (task.task, task.fetch)
    assert not lab.announce(peer, task).known
    assert lab.tracker.peer_count == 1


def test_missing_neighbours_are_named_again_and_present_ones_are_not() -> None:
    """The answer to an announce is the difference only."""
    lab = TrackerLab()
    tasks = lab.swarm(6)
    everybody = [lab.peer(n).key for n in range(2, 7)]
    told = lab.announce(lab.peer(1), tasks[1], neighbours=[lab.key.public, *everybody])
    assert told.neighbours == []
    assert told.drop == b""
    told = lab.announce(lab.peer(1), tasks[1], neighbours=[lab.key.public, *everybody[1:]])
    assert [each.key for each in told.neighbours] == [lab.peer(2).key]


def test_only_what_is_too_much_is_given_up() -> None:
    """A link that works stays while there is room, but not one to the seed, whose few places
    are what the swarm lives on."""
    lab = TrackerLab()
    tasks = lab.swarm(60)
    seed = lab.key.public
    for n in range(1, 61):
        wanted = [each.key for each in lab.announce(lab.peer(n), tasks[n]).neighbours]
        if seed not in wanted and len(wanted) < DEGREE_MAX:
            break
    extra = [lab.peer(m).key for m in range(1, 61) if m != n and lab.peer(m).key not in wanted]
    some = lab.announce(lab.peer(n), tasks[n], neighbours=[*wanted, extra[0]])
    assert some.drop == b""
    many = lab.announce(lab.peer(n), tasks[n], neighbours=[*wanted, *extra[:5]])
    dropped = prefixes(many.drop)
    assert len(dropped) == len(wanted) + 5 - DEGREE_MAX
    assert set(dropped) <= set(map(prefix_of, extra))
    assert lab.announce(lab.peer(n), tasks[n], neighbours=[*wanted, seed]).drop == prefix_of(seed)


def test_neighbours_that_cannot_be_read_are_an_error() -> None:
    """The text says how long they should be."""
    lab = TrackerLab()
    task = lab.register(lab.peer(1))
    with pytest.raises(BadControlMessage, match="6 bytes each cannot have 7"):
        lab.announce(lab.peer(1), task, neighbours=b"1234567")


def test_grants_of_public_content_are_renewed_past_half_their_life() -> None:
    """Not before: signing costs, and peers keep what they have."""
    lab = TrackerLab()
    peer = lab.peer(1)
    task = lab.register(peer)
    lab.clock.advance(ADMISSION_S / 2 - 1)
    assert lab.announce(peer, task).grant == b""
    lab.clock.advance(1)
    told = lab.announce(peer, task)
    assert _grant_ends(lab, peer, told, task.task) == NOW + 1.5 * ADMISSION_S
    assert len(lab.origin.asked) == 1


def test_grants_of_private_content_last_as_long_as_the_origin_says_yes() -> None:
    """The origin is asked in the background; its no ends the membership."""
    lab = TrackerLab()
    lab.keep_private()
    peer = lab.peer(1)
    task = lab.register(peer, headers=TOKEN)
    lab.clock.advance(ADMISSION_S / 2 + 1)
    # The answer is not waited for: what it brings comes with the next announce, or this one.
    grants = [lab.announce(peer, task).grant, lab.announce(peer, task).grant]
    assert any(grants)
    lab.keep_private(right="Bearer changed")
    lab.clock.advance(ADMISSION_S / 2 + 1)
    lab.announce(peer, task)
    assert not lab.announce(peer, task).known
    assert lab.tracker.peer_count == 0


def test_a_grant_for_private_content_is_not_renewed_while_the_origin_is_silent() -> None:
    """Nobody can say whether the credentials are still good."""
    lab = TrackerLab()
    lab.keep_private()
    peer = lab.peer(1)
    task = lab.register(peer, headers=TOKEN)
    lab.origin.decide = lambda _: OriginUnreachable("origin.example:80: refused")
    for _ in range(5):
        lab.clock.advance(ADMISSION_S / 5)
        told = lab.announce(peer, task)
        assert told.known
        assert told.grant == b""
        assert told.grant_expires == NOW + ADMISSION_S


def test_announces_come_less_often_where_there_are_many() -> None:
    """All together they stay as many; a peer that is done has little to say."""
    lab = TrackerLab()
    task = lab.register(lab.peer(1))
    waits = [lab.announce(lab.peer(1), task).announce_after for _ in range(20)]
    assert min(waits) >= 0.75 * ANNOUNCE_S
    assert max(waits) <= 1.25 * ANNOUNCE_S
    assert len(set(waits)) > 10
    assert lab.announce(lab.peer(1), task, complete=True).announce_after > 2 * ANNOUNCE_S
    lab.tracker._swarms.population = 4000
    wait = lab.announce(lab.peer(1), task).announce_after
    assert 0.75 <= wait * ANNOUNCES_PER_S / 4000 <= 1.25
    lab.tracker._swarms.population = 10**5
    assert lab.announce(lab.peer(1), task).announce_after <= 1.25 * ANNOUNCE_MAX_S


def test_downloaded_bytes_are_counted_once() -> None:
    """Peers tell totals."""
    lab = TrackerLab()
    task = lab.register(lab.peer(1))
    lab.announce(lab.peer(1), task, rates=Rates(from_cdn=100, from_peers=50))
    lab.announce(lab.peer(1), task, rates=Rates(from_cdn=100, from_peers=80, from_origin=1))
    assert lab.value("pieces_downloaded_size_bytes_total") == 181
    lab.announce(lab.peer(1), task, complete=True)
    assert lab.tracker.downloads() == {("unknown", "SUCCESS"): 1}


def test_a_failed_fetch_is_told_with_the_origin_s_status() -> None:
    """So that peers know whether it is of use to try themselves."""
    lab = TrackerLab()
    task = lab.register(lab.peer(1))
    lab.content(task).settle(OriginRefused("origin.example answered 404", 404))
    told = lab.announce(lab.peer(1), task)
    assert told.state == "failed"
    assert told.error is not None
    assert (told.error.code, told.error.origin_status) == (502, 404)
    assert not told.error.retryable
    assert lab.tracker.downloads() == {("unknown", "FAILED"): 1}


# -- starving ----------------------------------------------------------------------------------


def test_the_starving_are_brought_to_the_seed_before_they_get_a_ticket() -> None:
    """The seed has what they lack; if that does not help, a few may read the origin."""
    lab = TrackerLab()
    tasks = lab.swarm(60)
    content = lab.content(tasks[1])
    content.held = 10
    lab.library.finish(content)
    for n in range(1, 61):
        wanted = [each.key for each in lab.announce(lab.peer(n), tasks[n]).neighbours]
        if lab.key.public not in wanted:
            break
    told = lab.announce(lab.peer(n), tasks[n], starving=True, neighbours=wanted)
    assert told.ticket == 0
    assert lab.key.public in {each.key for each in told.neighbours}
    lab.clock.advance(SEED_CHANCE_S)
    assert lab.announce(lab.peer(n), tasks[n], starving=True).ticket == TICKET_S


def test_few_tickets_at_once_and_none_for_the_fed() -> None:
    """A crowd of starving peers must not run to the origin."""
    lab = TrackerLab()
    tasks = lab.swarm(6)
    lab.content(tasks[1]).settle(OriginUnreachable("cut"))
    tickets = [lab.announce(lab.peer(n), tasks[n], starving=True).ticket for n in tasks]
    assert sum(ticket > 0 for ticket in tickets) == TICKETS_MAX
    assert lab.announce(lab.peer(1), tasks[1]).ticket == 0
    assert lab.announce(lab.peer(6), tasks[6], starving=True).ticket == TICKET_S
    lab.tracker.leave(LeaveRequest(key=lab.peer(6).key))
    assert lab.announce(lab.peer(5), tasks[5], starving=True).ticket == TICKET_S


def test_who_waits_for_a_slow_origin_gets_no_ticket_while_the_cdn_moves() -> None:
    """Reading it once more would only make it slower; when the CDN is stuck, it is tried."""
    lab = TrackerLab()
    task = lab.register(lab.peer(1))
    content = lab.content(task)
    for held in range(1, 6):
        content.held = held
        told = lab.announce(lab.peer(1), task, starving=True, have_count=held)
        assert told.ticket == 0
        lab.clock.advance(9.0)
    lab.clock.advance(2.0)
    assert lab.announce(lab.peer(1), task, starving=True, have_count=5).ticket > 0


def test_who_is_behind_a_cdn_that_moves_gets_a_ticket_late() -> None:
    """The first pieces of a large swarm need their time from host to host; somebody whom
    nobody feeds is let to the origin in the end."""
    lab = TrackerLab()
    task = lab.register(lab.peer(1))
    content, told, hungry_s = lab.content(task), [], 0.0
    while hungry_s <= GROWING_CHANCE_S:
        content.held += 1
        told.append(lab.announce(lab.peer(1), task, starving=True).ticket)
        lab.clock.advance(GROWING_CHANCE_S / 4)
        hungry_s += GROWING_CHANCE_S / 4
    assert told == [0, 0, 0, 0, TICKET_S]
