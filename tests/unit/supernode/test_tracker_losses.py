"""The dead are given to nobody, the bad are put out, and liars achieve little."""

from __future__ import annotations

import pytest

from dragonfly.control.messages import (
    Complaint,
    prefix_of,
)
from dragonfly.errors import (
    TrackerError,
)
from dragonfly.sched.bans import BAN_S
from tests.doubles.swarm import URL, TrackerLab

TOKEN = [("Authorization", "Bearer right")]


def test_one_report_costs_a_peer_one_neighbour_only() -> None:
    """A liar must not empty the swarm: we dial the accused, and it answers."""
    lab = TrackerLab()
    tasks = lab.swarm(30)
    lab.time_passes(tasks)
    everybody = [lab.peer(n).key for n in range(2, 31)]
    lab.announce(lab.peer(1), tasks[1], dead=everybody)
    assert all(fresh for _, _, fresh in lab.dialler.asked[30:])
    seen = set()
    for n in range(2, 31):
        seen |= lab.given(n, tasks[n])
    assert set(everybody) <= seen


def test_who_does_not_answer_our_dial_is_given_to_nobody() -> None:
    """One report is enough to have us look."""
    lab = TrackerLab()
    tasks = lab.swarm(12)
    dead = lab.peer(5)
    lab.time_passes(tasks)
    lab.dialler.unreachable.add((dead.address, dead.port))
    lab.announce(lab.peer(1), tasks[1], dead=[dead.key])
    for n in tasks:
        assert dead.key not in lab.given(n, tasks[n])


def test_two_reports_are_believed_before_our_own_dial_says_more() -> None:
    """A black hole takes seconds to be found out; meanwhile nobody else is sent there. When
    it was reached after all, it is taken back with its next call."""
    lab = TrackerLab()
    tasks = lab.swarm(12)
    lost = lab.peer(5)
    lab.time_passes(tasks)
    lab.dialler.hold = True
    for n in (1, 2):
        lab.announce(lab.peer(n), tasks[n], dead=[lost.key, lab.peer(n).key, b"?" * 32])
    others = {n: task for n, task in tasks.items() if n != 5}
    for n, task in others.items():
        assert lost.key not in lab.given(n, task)
    lab.dialler.answer()
    assert lab.announce(lost, tasks[5]).known
    assert any(lost.key in lab.given(n, task) for n, task in others.items() if n > 2)


def test_a_report_about_a_silent_peer_is_believed_at_once() -> None:
    """It should have called long ago, and somebody could not reach it."""
    lab = TrackerLab()
    tasks = lab.swarm(30)
    lost = lab.peer(30)
    lab.clock.advance(17.4)
    for n in range(1, 30):
        lab.announce(lab.peer(n), tasks[n])
    lab.clock.advance(0.7)
    asked = len(lab.dialler.asked)
    far = next(n for n in range(1, 30) if lost.key not in lab.given(n, tasks[n]))
    lab.announce(lab.peer(far), tasks[far], dead=[lost.key])
    assert len(lab.dialler.asked) == asked
    assert lost.key not in lab.tracker._swarms.find(tasks[1].task, lost.key)[0].graph


def test_the_silent_are_given_to_nobody() -> None:
    """A process that was killed says nothing; it is missed after a few announces."""
    lab = TrackerLab()
    tasks = lab.swarm(8)
    lab.clock.advance(30.0)
    for n in range(2, 9):
        assert lab.peer(1).key not in {each.key for each in lab.register(lab.peer(n)).neighbours}
    assert lab.tracker.peer_count == 8
    assert lab.announce(lab.peer(1), tasks[1]).known
    assert lab.peer(1).key in {each.key for each in lab.register(lab.peer(9)).neighbours}


def test_three_addresses_ban_a_peer() -> None:
    """It is out of all tasks, refused, dropped by its neighbours, and shown with the reason;
    and the ban ends."""
    lab = TrackerLab()
    tasks = lab.swarm(6)
    bad = lab.peer(6)
    complaint = Complaint(key=bad.key, piece=3, why="wrong bytes")
    for n in (1, 2):
        for _ in range(3):
            lab.announce(lab.peer(n), tasks[n], complaints=[complaint])
    assert lab.tracker.banned(bad.key) is None
    told = lab.announce(lab.peer(3), tasks[3], complaints=[complaint], neighbours=[bad.key])
    assert told.drop == prefix_of(bad.key)
    for call in (lambda: lab.register(bad), lambda: lab.announce(bad, tasks[6])):
        with pytest.raises(TrackerError, match=r"banned: 3 addresses.*wrong bytes") as caught:
            call()
        assert caught.value.status == 403
    [shown] = lab.tracker.ban_list()
    assert shown["ID"] == bad.key.hex()
    assert "wrong bytes" in shown["reason"]
    assert shown["until"].endswith("Z")
    assert lab.tracker.peer_view(bad.key) is None
    lab.clock.advance(BAN_S)
    assert lab.tracker.ban_list() == []
    assert lab.register(bad).task == tasks[6].task


def test_complaints_count_within_the_task_and_by_network() -> None:
    """Strangers, oneself, and the many addresses of one IPv6 host ban nobody."""
    lab = TrackerLab()
    bad = lab.peer(1)
    task = lab.register(bad)
    complaint = Complaint(key=bad.key, piece=0, why="wrong bytes")
    for n in range(2, 8):
        peer = lab.peer(n, address=f"2001:db8::{n}")
        lab.announce(peer, lab.register(peer), complaints=[complaint])
        elsewhere = lab.register(lab.peer(n + 10), f"{URL}{n}")
        lab.announce(lab.peer(n + 10), elsewhere, complaints=[complaint])
    lab.announce(bad, task, complaints=[complaint])
    assert lab.tracker.banned(bad.key) is None
    for n in (20, 21):
        lab.announce(lab.peer(n), lab.register(lab.peer(n)), complaints=[complaint])
    assert lab.tracker.banned(bad.key) is not None
