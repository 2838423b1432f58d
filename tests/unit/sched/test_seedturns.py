"""Who gets the seed's next slot: the longest ago, debtors last, nobody never."""

from __future__ import annotations

import random

import pytest

from dragonfly.sched.seeding import ECHO_LIMIT, Receiver, Seeding
from dragonfly.sched.seedturns import REST_FACTOR, Turns
from dragonfly.task.bitfield import mask_of


def seeding(pieces: int = 64) -> Seeding:
    """A task of which so many pieces are held."""
    made = Seeding(random.Random(1))
    made.hold(pieces)
    return made


def join(task: Seeding) -> Receiver:
    """A neighbour that knows all digests."""
    receiver = task.add(object())
    receiver.known = (1 << 64) - 1
    return receiver


def feed(task: Seeding, receiver: Receiver, count: int) -> None:
    """Give ``count`` pieces of the seed's choice."""
    for _ in range(count):
        piece = task.choose(receiver)
        assert piece is not None
        task.give(receiver, piece)


def test_longest_ago_goes_first_over_all_tasks() -> None:
    """Questions of several tasks share one line; many questions do not help."""
    turns = Turns()
    one, two = join(seeding()), join(seeding())
    for _ in range(5):
        turns.ask_any(one, 0)
    turns.ask_any(two, 0)
    served = []
    while (turn := turns.next(0.0)) is not None:
        served.append(turn.receiver)
        turn.receiver.seeding.give(turn.receiver, turn.piece)
    assert served == [one, two, one, one, one, one]
    assert not turns


def test_by_name_first() -> None:
    """A reader in order waits for that piece."""
    turns = Turns()
    one = join(seeding())
    turns.ask_any(one, 0)
    turns.ask_named(one)
    assert turns.next(0.0).piece is None
    assert turns.next(0.0).piece == 0


def test_in_flight_is_left_out() -> None:
    """What it gets from others is not sent by the seed, too."""
    turns = Turns()
    one = join(seeding(2))
    turns.ask_any(one, mask_of([0]))
    assert turns.next(0.0).piece == 1


def test_questions_that_are_taken_back() -> None:
    """They do not get a turn; taking back too much is no error."""
    turns = Turns()
    one = join(seeding())
    turns.ask_any(one, 0)
    turns.ask_named(one)
    turns.drop_named(one)
    turns.drop_named(one)
    turns.drop_any(one)
    assert not turns
    assert turns.next(0.0) is None
    turns.drop_any(one)
    turns.enter(one)
    assert not turns


def test_standing_questions_wait_for_pieces() -> None:
    """Who can be given nothing leaves the line, and keeps its question."""
    turns, task = Turns(), seeding(0)
    one = join(task)
    turns.ask_any(one, 0)
    assert turns.next(0.0) is None
    assert not turns
    task.hold(1)
    turns.enter(one)
    assert turns.next(0.0).piece == 0


def test_one_that_left() -> None:
    """Its questions went with it."""
    turns = Turns()
    one = join(seeding())
    turns.ask_any(one, 0)
    turns.leave(one)
    assert turns.next(0.0) is None


@pytest.fixture
def debtor() -> tuple[Turns, Seeding, Receiver, Receiver]:
    """A neighbour that owes, one that does not, and a third."""
    turns, task = Turns(), seeding()
    owes, good, _ = join(task), join(task), join(task)
    feed(task, owes, ECHO_LIMIT)
    return turns, task, owes, good


def test_a_debtor_goes_last(debtor: tuple[Turns, Seeding, Receiver, Receiver]) -> None:
    """Who waited longer is passed by who owes less."""
    turns, _, owes, good = debtor
    turns.ask_any(owes, 0)
    turns.ask_any(good, 0)
    assert turns.next(0.0).receiver is good
    assert turns.next(0.0).receiver is owes


def test_a_debtor_rests_while_others_are_served(
    debtor: tuple[Turns, Seeding, Receiver, Receiver],
) -> None:
    """It gets a small share of the time, not none; and all when nobody else is served."""
    turns, _, owes, good = debtor
    turns.ask_any(owes, 0)
    first = turns.next(10.0)
    assert first.limited
    turns.ended(first, 2.0, 12.0)
    turns.ask_any(good, 0)
    served = turns.next(12.0)
    turns.ask_any(owes, 0)
    assert turns.next(12.0) is None
    assert turns.wake == 12.0 + 2.0 * REST_FACTOR
    assert turns.next(turns.wake).receiver is owes
    assert turns.wake is None
    turns.ask_any(owes, 0)
    turns.ended(served, 1.0, 13.0)
    assert turns.next(13.0).receiver is owes


def test_no_rest_when_most_owe(debtor: tuple[Turns, Seeding, Receiver, Receiver]) -> None:
    """Then the way between the neighbours is slow, and holding back the seed helps nobody."""
    turns, task, owes, good = debtor
    turns.ask_any(good, 0)
    assert not turns.next(10.0).limited
    turns.ask_any(owes, 0)
    turns.ended(turns.next(10.0), 2.0, 12.0)
    feed(task, good, ECHO_LIMIT)
    turns.ask_any(owes, 0)
    assert turns.next(12.0).receiver is owes


def test_of_debtors_the_smallest(debtor: tuple[Turns, Seeding, Receiver, Receiver]) -> None:
    """A swarm in which all owe goes on."""
    turns, task, owes, good = debtor
    feed(task, good, ECHO_LIMIT + 1)
    turns.ask_any(good, 0)
    turns.ask_any(owes, 0)
    assert turns.next(0.0).receiver is owes
    assert turns.next(0.0).receiver is good


def test_a_choice_is_quick() -> None:
    """2,048 pieces and ten neighbours: tens of microseconds; the bound here is ten times that."""
    import time  # noqa: PLC0415 - nothing else here knows of time

    task, turns = seeding(2048), Turns()
    rng = random.Random(5)
    all_of = [task.add(object()) for _ in range(10)]
    for receiver in all_of:
        receiver.known = (1 << 2048) - 1
        task.shows(receiver, rng.getrandbits(2048) & rng.getrandbits(2048))
        turns.ask_any(receiver, 0)
    begun = time.perf_counter()
    for _ in range(500):
        turn = turns.next(0.0)
        task.give(turn.receiver, turn.piece)
        task.shows(turn.receiver, 1 << turn.piece)
        turns.ended(turn, 0.0, 0.0)
        turns.ask_any(turn.receiver, 0)
    assert (time.perf_counter() - begun) / 500 < 500e-6
