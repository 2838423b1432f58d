"""The seed's choice: every piece once, then the rarest; stallers wait, nobody starves."""

from __future__ import annotations

import random

from dragonfly.sched.seeding import ECHO_LIMIT, REGIVE_S, Receiver, Seeding
from dragonfly.task.bitfield import mask_of


def seeding(pieces: int = 64, **options: object) -> Seeding:
    """A task of which so many pieces are held."""
    made = Seeding(random.Random(1), **options)
    made.hold(pieces)
    return made


def join(task: Seeding, *shown: int) -> Receiver:
    """A neighbour that knows all digests."""
    receiver = task.add(object())
    receiver.known = (1 << 64) - 1
    task.shows(receiver, mask_of(shown))
    return receiver


def feed(task: Seeding, receiver: Receiver, count: int = 1) -> list[int]:
    """Give ``count`` pieces of the seed's choice."""
    given = []
    for _ in range(count):
        piece = task.choose(receiver)
        assert piece is not None
        task.give(receiver, piece)
        given.append(piece)
    return given


# -- pieces ------------------------------------------------------------------------------


def test_each_piece_to_one_neighbour_first() -> None:
    """Nothing is sent twice before all was sent once; in ascending order until then."""
    task = seeding(8)
    one, two = join(task), join(task)
    given = [feed(task, one if turn % 2 else two)[0] for turn in range(8)]
    assert given == list(range(8))


def test_then_the_rarest() -> None:
    """When all was sent once, what the fewest have goes next."""
    task = seeding(4)
    one, _, _ = join(task, 0, 1), join(task, 0, 1, 2, 3), join(task, 0, 1, 3)
    assert feed(task, one, 2) == [2, 3]


def test_ties_are_broken_at_random() -> None:
    """Neighbours that all lack the same must not all get the same."""
    firsts = set()
    for number in range(20):
        task = Seeding(random.Random(number))
        task.hold(16)
        join(task, *range(16))
        firsts.add(task.choose(join(task)))
    assert len(firsts) > 4


def test_what_is_never_chosen() -> None:
    """Shown, given, in flight, asked for by name, unknown, broken or not held: none of it."""
    task = seeding(8)
    one = join(task, 0)
    task.give(one, 1)
    one.in_flight = mask_of([2])
    one.busy = mask_of([3])
    one.known = mask_of([0, 1, 2, 3, 4, 6, 7, 9])
    task.broke(6)
    task.hold(7)
    assert feed(task, one) == [4]
    assert task.choose(one) is None


def test_a_piece_of_one_who_left_is_rare_again() -> None:
    """What went with a neighbour counts no more."""
    task = seeding(2)
    one, two = join(task), join(task)
    assert feed(task, one, 2) == [0, 1]
    feed(task, two)
    task.remove(one)
    task.remove(one)
    assert task.copies(0) + task.copies(1) == 1


def test_a_piece_taken_back_is_given_again() -> None:
    """An answer that was cancelled left no copy."""
    task = seeding(1)
    one = join(task)
    assert feed(task, one) == [0]
    task.take_back(one, 0)
    task.take_back(one, 0)
    assert task.copies(0) == 0
    assert feed(task, one) == [0]


def test_what_is_never_shown_lapses() -> None:
    """A piece that was lost on the other side must not be lost for ever."""
    task = seeding(2)
    one = join(task)
    for piece in feed(task, one, 2):
        task.given(one, piece, 100.0)
    task.shows(one, mask_of([0]))
    assert not task.lapse(one, 100.0 + REGIVE_S - 0.1)
    assert task.choose(one) is None
    assert task.lapse(one, 100.0 + REGIVE_S)
    assert task.choose(one) == 1
    assert not task.lapse(one, 1000.0)


def test_given_is_for_what_is_pending_only() -> None:
    """A piece that was shown before its last byte was ACKed is settled."""
    task = seeding(1)
    one = join(task)
    feed(task, one)
    task.shows(one, 1)
    task.given(one, 0, 1.0)
    assert not task.lapse(one, 1000.0)
    assert task.copies(0) == 1


def test_giving_what_is_shown_makes_no_copy() -> None:
    """A piece asked for by name though it was shown is no second copy."""
    task = seeding(1)
    one = join(task, 0)
    task.give(one, 0)
    task.take_back(one, 0)
    assert task.copies(0) == 1


def test_a_bitfield_replaces() -> None:
    """Pieces that are shown no more can be given again."""
    task = seeding(4)
    one, two = join(task, 0, 1), join(task, 0)
    assert task.shows_only(one, mask_of([1, 2]))
    assert not task.shows_only(one, mask_of([1, 2]))
    assert [task.copies(piece) for piece in range(4)] == [1, 1, 1, 0]
    assert task.shows_only(two, 0)
    assert task.copies(0) == 0


# -- echo --------------------------------------------------------------------------------


def test_debt_is_what_nobody_else_shows() -> None:
    """Showing a piece oneself pays nothing, another neighbour's HAVE does."""
    task = seeding()
    one, two, _ = join(task), join(task), join(task)
    given = feed(task, one, ECHO_LIMIT)
    task.shows(one, mask_of(given))
    assert task.debt(one) == ECHO_LIMIT
    assert task.limited(one)
    task.shows(two, mask_of(given[:1]))
    assert task.debt(one) == ECHO_LIMIT - 1
    assert not task.limited(one)


def test_debt_that_was_paid_stays_paid() -> None:
    """Whoever passed a piece on has done its part, even if the other one leaves."""
    task = seeding()
    one, two, _, _ = (join(task) for _ in range(4))
    task.shows(two, mask_of(feed(task, one, 5)))
    assert task.debt(one) == 0
    task.remove(two)
    assert task.debt(one) == 0


def test_no_limit_for_two() -> None:
    """With one other neighbour nobody can tell who stalls; alone there is nobody to pass on to."""
    task = seeding()
    one, _ = join(task), join(task)
    feed(task, one, 20)
    assert not task.limited(one)
    join(task)
    assert task.debt(one) == 0, "a newcomer makes nobody a debtor"
    feed(task, one, ECHO_LIMIT)
    assert task.limited(one)


def test_debts_end_with_the_swarm() -> None:
    """When too few are left, what was owed is forgotten."""
    task = seeding()
    one, _, three = (join(task) for _ in range(3))
    feed(task, one, 6)
    task.remove(three)
    assert task.debt(one) == 0


def test_no_limit_at_all() -> None:
    """An uplink several times a peer's does better without."""
    task = seeding(echo_limit=None)
    one, _, _ = (join(task) for _ in range(3))
    feed(task, one, 20)
    assert not task.limited(one)
