"""Upload slots: bounded, fair, and never in the way of a neighbour without competition."""

from __future__ import annotations

import pytest

from dragonfly.sched.slots import SLOTS, UNACKED_BYTES, UploadSlots


def fill(slots: UploadSlots, peer: str = "other", count: int = SLOTS) -> None:
    """Let ``peer`` take ``count`` slots."""
    for key in range(count):
        assert slots.offer(peer, key) == "start"


def test_a_lone_neighbour_gets_every_slot() -> None:
    """The eight requests of a lone downloader all start; a ninth waits, a tenth is refused."""
    slots = UploadSlots()
    fill(slots, "lone")
    assert slots.offer("lone", "ninth") == "wait"
    assert slots.offer("lone", "tenth") == "busy"
    assert (slots.taken, slots.waiting, slots.free) == (8, 1, 0)


def test_one_request_of_each_neighbour_waits() -> None:
    """Others are told to look elsewhere at once."""
    slots = UploadSlots()
    fill(slots)
    assert slots.offer("a", 1) == "wait"
    assert slots.offer("a", 2) == "busy"
    assert slots.offer("b", 1) == "wait"
    assert slots.waiting == 2


def test_what_waits_in_all_is_bounded() -> None:
    """However many neighbours there are."""
    slots = UploadSlots(2, waiting_in_all=3)
    fill(slots, count=2)
    verdicts = [slots.offer(peer, 0) for peer in "abcd"]
    assert verdicts == ["wait", "wait", "wait", "busy"]
    assert [UploadSlots(1).offer(peer, 0) for peer in "a"] == ["start"]


def test_the_default_bound_grows_with_the_slots() -> None:
    """Eight for each slot."""
    slots = UploadSlots(1)
    fill(slots, count=1)
    verdicts = [slots.offer(f"peer{n}", 0) for n in range(9)]
    assert verdicts == ["wait"] * 8 + ["busy"]


def test_a_free_slot_goes_to_who_is_in_the_fewest() -> None:
    """A neighbour with many requests keeps its slots only while nobody else wants them."""
    slots = UploadSlots(3)
    fill(slots, "greedy", 3)
    slots.offer("greedy", "next")
    slots.offer("modest", 1)
    assert slots.next_start() is None
    slots.finished("greedy", 0)
    assert slots.next_start() == ("modest", 1)
    slots.finished("greedy", 1)
    assert slots.next_start() == ("greedy", "next")
    assert slots.held_by("greedy") == 2


def test_equals_take_turns() -> None:
    """The one whose last start is longest ago is next, not the one who asked first."""
    slots = UploadSlots(1)
    fill(slots, "a", 1)
    order = []
    last: tuple[str, object] = ("a", 0)
    for turn in range(6):
        for peer in "abc":
            slots.offer(peer, turn)
        slots.finished(*last)
        chosen = slots.next_start()
        assert chosen is not None
        last = chosen
        order.append(last[0])
    assert order == ["b", "c", "a", "b", "c", "a"]


def test_nobody_gets_past_those_who_wait() -> None:
    """A slot is free, and somebody waits for it: a newcomer waits as well."""
    slots = UploadSlots(1)
    fill(slots, count=1)
    slots.offer("a", 1)
    slots.finished("other", 0)
    assert slots.offer("b", 1) == "wait"
    assert slots.next_start() == ("a", 1)
    assert slots.next_start() is None


@pytest.mark.parametrize(
    ("unacked", "free"), [(0, True), (UNACKED_BYTES, True), (UNACKED_BYTES + 1, False)]
)
def test_a_slot_is_taken_until_the_bytes_are_acked(unacked: int, free: bool) -> None:
    """The kernel swallows whole pieces: without this slots would bound nothing."""
    slots = UploadSlots()
    slots.offer("a", 1)
    assert slots.draining("a", 1, unacked) is free
    assert slots.taken == (0 if free else 1)


def test_answers_of_a_connection_are_judged_one_by_one() -> None:
    """What it has to send besides is no reason, neither to free a slot nor to keep it."""
    slots = UploadSlots()
    fill(slots, "lone")
    assert slots.draining("lone", 0, 0)
    assert not slots.draining("lone", 1, 1 << 20)
    assert slots.offer("lone", 8) == "start"
    assert not slots.draining("lone", 1, 1 << 20)
    assert slots.held_by("lone") == 8
    assert slots.draining("lone", 1, UNACKED_BYTES)
    assert slots.held_by("lone") == 7


def test_other_connections_drain_for_themselves() -> None:
    """What one has to send says nothing of another."""
    slots = UploadSlots()
    slots.offer("a", 1)
    slots.offer("b", 1)
    assert not slots.draining("a", 1, 1 << 20)


def test_a_cancelled_request_waits_no_more() -> None:
    """Its neighbour may let another one wait; what is in a slot is not touched."""
    slots = UploadSlots(1)
    fill(slots, count=1)
    slots.offer("a", 1)
    slots.cancel("a", 1)
    slots.cancel("a", 1)
    slots.cancel("other", 0)
    assert (slots.taken, slots.waiting) == (1, 0)
    assert slots.offer("a", 2) == "wait"


def test_the_first_of_several_that_wait_starts_first() -> None:
    """Where more than one of a neighbour may wait."""
    slots = UploadSlots(1, waiting_each=2)
    fill(slots, count=1)
    assert [slots.offer("a", key) for key in (1, 2, 3)] == ["wait", "wait", "busy"]
    slots.finished("other", 0)
    assert slots.next_start() == ("a", 1)
    assert slots.waiting == 1


def test_what_is_gone_frees_everything() -> None:
    """A connection ended."""
    slots = UploadSlots(2)
    fill(slots, "a", 2)
    slots.offer("a", "next")
    slots.offer("b", 1)
    slots.remove("a")
    slots.remove("stranger")
    assert (slots.taken, slots.waiting) == (0, 1)
    assert slots.next_start() == ("b", 1)


def test_what_is_in_no_slot_may_finish() -> None:
    """The owner's clean-up need not know."""
    slots = UploadSlots()
    slots.offer("a", 1)
    slots.finished("a", 2)
    slots.finished("b", 1)
    assert slots.taken == 1
    slots.finished("a", 1)
    slots.finished("a", 1)
    assert slots.taken == 0
