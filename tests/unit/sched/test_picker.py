"""The picker, one decision at a time; tables of ``#`` (has it) and ``.`` stand for neighbours."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from dragonfly.errors import ErrorCode
from dragonfly.sched.asking import (
    ANY_PATIENCE_S,
    IN_ORDER_AHEAD_BYTES,
    IN_ORDER_PATIENCE_S,
    IN_ORDER_PIECES,
    IN_ORDER_READERS,
    PART_DEPTH,
    PART_PATIENCE_S,
)
from dragonfly.sched.neighbours import GONE_FIRST_S
from dragonfly.sched.picker import ALL, Ask, Cancel, Late, Picker
from dragonfly.sched.timing import BUSY_MAX_S, FLOOR_S, SEED_FLOOR_S, TIMES, UNMEASURED_S
from dragonfly.task.bitfield import mask_of

FIRST_LIMIT_S = TIMES * UNMEASURED_S


def mask(row: str) -> int:
    """``#.#`` are pieces 0 and 2."""
    return mask_of([at for at, sign in enumerate(row) if sign == "#"])


def table(
    rows: dict[str, str] | None = None, *, out: int = 8, known: int | None = None, **more: str
) -> Picker:
    """Give a picker whose neighbours hold what the rows say; names with ``seed`` are seeds.

    :param known: how many pieces can be verified; all that are in the rows by default.
    """
    rows = {**(rows or {}), **more}
    picker = Picker(rng=random.Random(7), out=out)
    picker.learn(list(range(max(map(len, rows.values())) if known is None else known)))
    for name, row in rows.items():
        picker.add_peer(name, seed="seed" in name)
        picker.peer_has(name, mask(row))
    return picker


def named(asks: list[Ask]) -> Counter[object]:
    """Count the requests by name of each neighbour."""
    return Counter(ask.peer for ask in asks if ask.piece is not None)


def anys(asks: list[Ask]) -> Counter[object]:
    """Count the REQUEST_ANYs of each neighbour."""
    return Counter(ask.peer for ask in asks if ask.piece is None)


def deliver(picker: Picker, peer: str, piece: int, now: float) -> list[Cancel]:
    """Let ``peer`` send a whole good piece at once."""
    picker.progress(peer, piece, 1000, now)
    picker.arrived(peer, piece, now)
    return picker.got(piece, now)


# -- how many --------------------------------------------------------------------------------


def test_one_request_for_each_neighbour() -> None:
    """With three or more, one each: a queue would bind pieces to slow neighbours."""
    picker = table(a="#" * 20, b="#" * 20, c="#" * 20)
    assert named(picker.next_asks(0.0)) == {"a": 1, "b": 1, "c": 1}
    assert picker.next_asks(0.1) == []


def test_eight_requests_in_all() -> None:
    """However many neighbours are free: equal limits are what balances a swarm."""
    picker = table({f"peer{n}": "#" * 20 for n in range(12)})
    assert sum(named(picker.next_asks(0.0)).values()) == 8


def test_the_owner_may_want_fewer_requests() -> None:
    """``out`` bounds them, also for a lone neighbour."""
    assert named(table(out=3, a="#" * 20).next_asks(0.0)) == {"a": 3}


@pytest.mark.parametrize(("names", "each"), [("a", 8), ("ab", 4), ("abc", 1)])
def test_few_neighbours_share_all_requests(names: str, each: int) -> None:
    """One request at a time would leave a fast link idle for a round trip after each piece."""
    picker = table(dict.fromkeys(names, "#" * 20))
    assert named(picker.next_asks(0.0)) == dict.fromkeys(names, each)


def test_a_lone_seed_has_eight_standing_questions() -> None:
    """It decides what throughput a single download has; they are not counted in the eight."""
    assert anys(table(seed="#" * 20).next_asks(0.0)) == {"seed": 8}


def test_standing_questions_do_not_count() -> None:
    """Besides the seed eight others are asked."""
    picker = table({f"peer{n}": "#" * 20 for n in range(9)}, seed="#" * 20)
    asks = picker.next_asks(0.0)
    assert anys(asks) == {"seed": 1}
    assert sum(named(asks).values()) == 8


def test_two_requests_where_the_round_trip_is_long() -> None:
    """A round trip of more than four piece times is filled by a second request."""
    picker = table(near="#" * 40, near2="#" * 40, far="#" * 40)
    asked = {ask.peer: ask.piece or 0 for ask in picker.next_asks(0.0)}
    now = 0.0
    while now < 0.5:
        now += 0.01
        for name in ("near", "near2"):
            if name in asked:
                deliver(picker, name, asked.pop(name), now)
        asked |= {ask.peer: ask.piece or 0 for ask in picker.next_asks(now)}
    deliver(picker, "far", asked["far"], now)
    assert named(picker.next_asks(now))["far"] == 2


def test_a_neighbour_that_arrived_is_asked_before_its_piece_is_verified() -> None:
    """Hashing and writing take time in which the link must not idle; the piece is not asked
    of others meanwhile, and REQUEST_ANY still names it."""
    picker = table(a="#" * 5, b=".....", c=".....")
    piece = picker.next_asks(0.0)[0].piece
    assert piece is not None
    picker.progress("a", piece, 1000, 0.1)
    picker.arrived("a", piece, 0.1)
    (ask,) = picker.next_asks(0.1)
    assert ask.peer == "a"
    assert ask.piece != piece
    assert set(picker.in_flight) == {ask.piece, piece}


# -- what -------------------------------------------------------------------------------------


def test_the_rarest_first() -> None:
    """Of what a neighbour has, what the fewest others have."""
    picker = table(a="####", b="##.#", c="#..#")
    asks = {ask.peer: ask.piece for ask in picker.next_asks(0.0)}
    assert asks["a"] == 2
    assert asks["b"] == 1
    assert asks["c"] in (0, 3)


def test_ties_are_broken_at_random() -> None:
    """Otherwise all peers want the same pieces at the same time."""
    first = set()
    for number in range(30):
        picker = Picker(rng=random.Random(number), out=1)
        picker.learn(list(range(16)))
        picker.add_peer("a", seed=False)
        picker.peer_has("a", 0xFFFF)
        first.add(picker.next_asks(0.0)[0].piece)
    assert len(first) > 8


def test_a_neighbour_that_leaves_is_no_holder_any_more() -> None:
    """Rarity is about those who are there."""
    picker = table(out=1, a="##", b=".#", c=".#", d="#.")
    picker.remove_peer("b")
    picker.remove_peer("c")
    picker.remove_peer("d")
    picker.add_peer("e", seed=False)
    picker.peer_has("e", mask("#."))
    assert picker.next_asks(0.0) == [Ask("a", 1)]


def test_a_seed_that_leaves_takes_its_questions_with_it() -> None:
    """What it was sending is asked of the others."""
    picker = table(seed="#", a="#", b=".")
    picker.remove_peer("a")
    picker.next_asks(0.0)
    picker.any_started("seed", 0)
    picker.add_peer("a", seed=False)
    picker.peer_has("a", 1)
    picker.remove_peer("seed")
    assert picker.in_flight == []
    assert picker.next_asks(0.0) == [Ask("a", 0)]


def test_only_known_digests_are_asked_for() -> None:
    """What cannot be verified is of no use."""
    picker = table(known=1, a="###")
    assert picker.next_asks(0.0) == [Ask("a", 0)]
    picker.learn([2])
    assert picker.next_asks(0.0) == [Ask("a", 2)]


def test_a_seed_with_unknown_pieces_is_not_let_choose() -> None:
    """It could choose one of these; but it can be asked by name meanwhile."""
    picker = table(known=2, seed="###")
    asks = picker.next_asks(0.0)
    assert anys(asks) == {}
    assert {ask.piece for ask in asks} == {0, 1}


def test_what_was_learnt_again_is_missing_again() -> None:
    """A piece of an earlier run that turned out wrong is asked for like others."""
    picker = table(a="#")
    assert picker.got(0, 0.0) == []
    assert picker.next_asks(0.0) == []
    picker.learn([0])
    assert picker.next_asks(0.0) == [Ask("a", 0)]


def test_the_faster_neighbour_gets_more() -> None:
    """Of two free neighbours the one that answered faster is preferred."""
    picker = table(out=1, fast="#" * 60, slow="#" * 60, other=".")
    now = 0.0
    asked: Counter[object] = Counter()
    for _ in range(50):
        (ask,) = picker.next_asks(now)
        now += 0.01 if ask.peer == "fast" else 0.1
        asked[ask.peer] += 1
        deliver(picker, ask.peer, ask.piece or 0, now)
    assert asked["fast"] > 30
    assert asked["slow"] > 1


# -- seeds ------------------------------------------------------------------------------------


def test_a_seed_that_chose_is_asked_again() -> None:
    """One question at a time: the next when the piece is there."""
    picker = table(seed="####", a="....", b="....")
    assert anys(picker.next_asks(0.0)) == {"seed": 1}
    picker.any_started("seed", 2)
    picker.progress("seed", 2, 1000, 0.1)
    assert picker.in_flight == [2]
    assert picker.next_asks(0.1) == []
    assert deliver(picker, "seed", 2, 0.2) == []
    assert anys(picker.next_asks(0.2)) == {"seed": 1}


def test_no_more_questions_stand_than_pieces_are_left() -> None:
    """What the others are sending need not be asked of a seed."""
    picker = table(seed="###")
    assert anys(picker.next_asks(0.0)) == {"seed": 3}
    assert picker.next_asks(0.0) == []


def test_a_seed_that_is_still_fetching_keeps_the_question() -> None:
    """It has shown nothing yet: the question stands, and is never late."""
    picker = Picker(rng=random.Random(1))
    picker.add_peer("seed", seed=True)
    assert anys(picker.next_asks(0.0))["seed"] >= 1
    assert picker.next_deadline() is None
    assert picker.expire(1000.0) == []
    picker.learn([0])
    picker.any_started("seed", 0)
    deliver(picker, "seed", 0, 1000.0)
    assert anys(picker.next_asks(1000.0)) == {"seed": 1}


def test_a_seed_with_everything_is_left_alone_when_all_is_here() -> None:
    """A finished download does not leave questions behind."""
    picker = table(seed="##")
    picker.got(0, 0.0)
    picker.got(1, 0.0)
    assert picker.next_asks(0.0) == []
    assert picker.next_deadline() is None


def test_a_seed_that_does_not_choose_is_asked_by_name_at_last() -> None:
    """Whatever its reasons: after some patience it is named what nobody else has."""
    picker = table(seed="###", a="#..", b="...", c="...")
    assert anys(picker.next_asks(0.0)) == {"seed": 1}
    deadline = picker.next_deadline()
    assert deadline is not None
    deliver(picker, "a", 0, 0.1)
    assert named(picker.next_asks(ANY_PATIENCE_S / 2)) == {}
    assert picker.next_deadline() == pytest.approx(ANY_PATIENCE_S)
    (ask,) = picker.next_asks(ANY_PATIENCE_S)
    assert ask.peer == "seed"
    assert ask.piece in (1, 2)


def test_patience_begins_anew_with_each_piece_that_a_seed_chooses() -> None:
    """A seed that sends is not named anything."""
    picker = table(seed="####", a="....", b="....")
    now = 0.0
    for piece in range(3):
        assert named(picker.next_asks(now)) == {}
        now += ANY_PATIENCE_S - 1
        picker.any_started("seed", piece)
        deliver(picker, "seed", piece, now)
    assert named(picker.next_asks(now)) == {}


def test_what_a_standing_question_excludes_is_asked_by_name() -> None:
    """It named a piece that another was sending; that one gave up, and only the seed is left."""
    picker = table(seed="##", a="##", b="..")
    asks = picker.next_asks(0.0)
    assert anys(asks) == {"seed": 1}
    piece = next(ask.piece for ask in asks if ask.piece is not None)
    picker.remove_peer("a")
    picker.add_peer("c", seed=False)
    assert picker.next_asks(0.1) == [Ask("seed", piece)]


def test_who_does_not_choose_is_an_ordinary_neighbour() -> None:
    """NOT_ALLOWED to REQUEST_ANY: asked by name like all others, never for any again."""
    picker = table(seed="####", a="####", b="....")
    picker.next_asks(0.0)
    picker.rejected("seed", None, ErrorCode.NOT_ALLOWED, 0.1)
    asks = picker.next_asks(0.1)
    assert named(asks) == {"seed": 1}
    assert anys(asks) == {}
    picker.rejected("seed", None, ErrorCode.NOT_ALLOWED, 0.1)
    assert picker.next_asks(1.0) == []


def test_a_busy_seed_is_asked_again_soon() -> None:
    """REQUEST_ANY may be told BUSY, too."""
    picker = table(seed="#", a=".", b=".")
    picker.next_asks(0.0)
    picker.rejected("seed", None, ErrorCode.BUSY, 0.0)
    assert picker.next_asks(0.0) == []
    deadline = picker.next_deadline()
    assert deadline is not None
    assert deadline < BUSY_MAX_S
    assert anys(picker.next_asks(deadline)) == {"seed": 1}


def test_a_choice_that_crosses_a_request_by_name() -> None:
    """The seed had chosen the piece when it was asked for it: it says BUSY to the name, and the
    bytes go on coming as the answer to REQUEST_ANY."""
    picker = table(seed="#", a=".", b=".")
    picker.next_asks(0.0)
    assert picker.next_asks(ANY_PATIENCE_S) == [Ask("seed", 0)]
    picker.any_started("seed", 0)
    picker.any_started("seed", 0)
    picker.rejected("seed", 0, ErrorCode.BUSY, 9.0)
    assert picker.in_flight == [0]
    deliver(picker, "seed", 0, 9.1)
    assert picker.missing == 0


def test_a_choice_of_what_is_here_already_is_cancelled() -> None:
    """It crossed the news: nobody needs these bytes, and the seed is not to blame."""
    picker = table(seed="##", a="..", b="..")
    picker.next_asks(0.0)
    picker.got(0, 0.1)
    picker.any_started("seed", 0)
    assert picker.next_deadline() == pytest.approx(0.1)
    assert picker.expire(0.1) == [Late("seed", 0)]
    assert anys(picker.next_asks(0.1)) == {"seed": 1}


def test_a_choice_of_what_is_here_already_may_also_end_by_itself() -> None:
    """Its last byte came before it was cancelled: nothing is being verified then."""
    picker = table(seed="##", a="..", b="..")
    picker.next_asks(0.0)
    picker.got(0, 0.1)
    picker.any_started("seed", 0)
    picker.arrived("seed", 0, 0.1)
    assert picker.in_flight == []
    assert picker.expire(0.1) == []


# -- the end game ------------------------------------------------------------------------------


def test_a_late_last_piece_is_asked_twice_and_the_second_cancelled() -> None:
    """Nothing is left unrequested, and one neighbour is slow: who is first wins."""
    picker = table(a="#", b="#", c="#")
    (first,) = picker.next_asks(0.0)
    assert picker.next_asks(0.1) == []
    due = picker.next_deadline()
    assert due == pytest.approx(UNMEASURED_S / 2)
    (second,) = picker.next_asks(UNMEASURED_S / 2)
    assert second.piece == 0
    assert second.peer != first.peer
    assert picker.next_asks(UNMEASURED_S) == []
    assert deliver(picker, str(second.peer), 0, 1.1) == [Cancel(first.peer, 0)]


def test_no_second_request_while_others_are_unrequested() -> None:
    """There is better work to do."""
    picker = table(a="#.", b="#.", c="#.", d="..", known=2)
    assert len(picker.next_asks(0.0)) == 1
    assert picker.next_asks(2.0) == []


def test_the_second_request_never_goes_to_a_seed() -> None:
    """Its bytes are the scarcest."""
    picker = table(a="#", seed="#", b=".")
    assert Ask("a", 0) in picker.next_asks(0.0)
    assert picker.next_asks(3.0) == []


def test_what_a_seed_sends_slowly_may_be_asked_of_others() -> None:
    """The other way round it helps the seed."""
    picker = table(seed="#", a=".", b=".")
    picker.next_asks(0.0)
    picker.any_started("seed", 0)
    picker.progress("seed", 0, 10, 0.0)
    picker.peer_has("a", 1)
    assert picker.next_asks(2.0) == [Ask("a", 0)]


# -- neighbours that do not answer -----------------------------------------------------------


def test_silence_takes_the_question_back() -> None:
    """After the limit somebody else is asked, and the silent one is left alone."""
    picker = table(a="##", b="##", c="..")
    picker.next_asks(0.0)
    assert picker.expire(FIRST_LIMIT_S - 0.1) == []
    late = picker.expire(FIRST_LIMIT_S)
    assert {item.peer for item in late} == {"a", "b"}
    assert picker.next_asks(FIRST_LIMIT_S) == []
    assert picker.next_deadline() == pytest.approx(3 * FIRST_LIMIT_S)
    assert len(picker.next_asks(3 * FIRST_LIMIT_S)) == 2


def test_each_failure_doubles_the_pause_and_a_good_piece_forgets_them() -> None:
    """Somebody who is dead costs less and less; somebody who was slow is welcome again."""
    picker = table(a="###")
    now = 0.0
    starts = []
    for _ in range(3):
        starts.append(now)
        assert picker.next_asks(now)
        now += picker._neighbours["a"].timing.limit
        assert picker.expire(now)
        now = picker.next_deadline() or now
    assert starts[2] - starts[1] > 1.5 * (starts[1] - starts[0])
    (ask, *_) = picker.next_asks(now)
    deliver(picker, "a", ask.piece or 0, now + 0.1)
    assert picker._neighbours["a"].timing.limit == FLOOR_S


def test_bytes_of_any_answer_are_a_sign_of_life() -> None:
    """A neighbour sends its answers one after another; the last of eight waits for long."""
    picker = table(a="#" * 8)
    picker.next_asks(0.0)
    for step in range(1, 9):
        picker.progress("a", 0, 10, step * 0.9 * FIRST_LIMIT_S)
        assert picker.expire(step * 0.9 * FIRST_LIMIT_S) == []


def test_the_limit_is_four_measured_response_times() -> None:
    """Slow neighbours get more time, fast ones at least half a second."""
    picker = table(a="##", b="..", c="..")
    (ask,) = picker.next_asks(0.0)
    deliver(picker, "a", ask.piece or 0, 2.0)
    picker.next_asks(2.0)
    assert picker.expire(2.0 + 4 * 2.0 - 0.1) == []
    assert len(picker.expire(2.0 + 4 * 2.0)) == 1


def test_a_seed_that_stops_in_the_middle_gets_more_time() -> None:
    """Taking its answer back costs bytes of the scarcest uplink."""
    picker = table(seed="#", a=".", b=".")
    picker.next_asks(0.0)
    picker.any_started("seed", 0)
    picker.progress("seed", 0, 10, 1.0)
    assert picker.expire(1.0 + SEED_FLOOR_S - 0.1) == []
    assert picker.expire(1.0 + SEED_FLOOR_S) == [Late("seed", 0)]


def test_one_of_two_that_stalls_leaves_all_requests_to_the_other() -> None:
    """It does not count as a neighbour while it is left alone."""
    picker = table(a="#" * 20, b="#" * 20)
    picker.next_asks(0.0)
    picker.progress("b", 0, 10, FIRST_LIMIT_S)
    assert {late.peer for late in picker.expire(FIRST_LIMIT_S)} == {"a"}
    assert named(picker.next_asks(FIRST_LIMIT_S)) == {"b": 4}


# -- neighbours that refuse ----------------------------------------------------------------------


def test_busy_sends_the_question_elsewhere() -> None:
    """At once, and the busy one is asked again after a short pause."""
    picker = table(out=1, a="#", b="#", c=".")
    (first,) = picker.next_asks(0.0)
    picker.rejected(first.peer, 0, ErrorCode.BUSY, 0.0)
    (second,) = picker.next_asks(0.0)
    assert {first.peer, second.peer} == {"a", "b"}


def test_busy_again_and_again_waits_longer() -> None:
    """Up to a second, for slots become free all the time."""
    picker = table(a="#", b=".", c=".")
    now, pauses = 0.0, []
    for _ in range(12):
        assert picker.next_asks(now) == [Ask("a", 0)]
        picker.rejected("a", 0, ErrorCode.BUSY, now)
        deadline = picker.next_deadline()
        assert deadline is not None
        pauses.append(deadline - now)
        now = deadline
    assert pauses[5] > 4 * pauses[0]
    assert max(pauses) <= 1.5 * BUSY_MAX_S


def test_a_lone_neighbour_that_is_busy_is_asked_for_less() -> None:
    """It has room for three: the next round is three requests, not eight and five refusals."""
    picker = table(a="#" * 30)
    pieces = [ask.piece for ask in picker.next_asks(0.0)]
    for piece in pieces[3:]:
        picker.rejected("a", piece, ErrorCode.BUSY, 0.0)
    assert picker.next_asks(5.0) == []
    deliver(picker, "a", pieces[0] or 0, 5.0)
    assert len(picker.next_asks(5.0)) == 1


def test_gone_is_not_for_ever() -> None:
    """Others are asked first; the only holder is asked again after a while, then later."""
    picker = table(a="#", b=".", c=".")
    picker.next_asks(0.0)
    picker.rejected("a", 0, ErrorCode.GONE, 0.0)
    assert picker.next_asks(GONE_FIRST_S / 2) == []
    assert picker.next_deadline() == pytest.approx(GONE_FIRST_S)
    assert picker.next_asks(GONE_FIRST_S) == [Ask("a", 0)]
    picker.rejected("a", 0, ErrorCode.GONE, GONE_FIRST_S)
    assert picker.next_asks(2 * GONE_FIRST_S) == []


def test_a_spoilt_piece_is_asked_once_more() -> None:
    """It landed, and another's wrong bytes were written over it: ``GONE`` for a landed piece."""
    picker = table(a="#", b="#", c="#")
    (ask,) = picker.next_asks(0.0)
    picker.arrived(ask.peer, 0, 0.1)
    assert picker.next_asks(0.1) == []
    picker.rejected(ask.peer, 0, ErrorCode.GONE, 0.2)
    (again,) = picker.next_asks(0.2)
    assert again.peer != ask.peer


def test_a_piece_that_is_not_allowed_is_never_asked_again() -> None:
    """Not of this neighbour, which is also left alone for a while."""
    picker = table(a="#", b=".", c=".")
    picker.next_asks(0.0)
    picker.rejected("a", 0, ErrorCode.NOT_ALLOWED, 0.0)
    assert picker.next_asks(1000.0) == []


def test_wrong_bytes_end_it() -> None:
    """Nothing is asked of the liar any more, and what it was asked is free at once: its
    connection may take seconds to close."""
    picker = table(a="####")
    picker.next_asks(0.0)
    picker.arrived("a", 0, 0.1)
    picker.failed(0, "a")
    assert picker.in_flight == []
    assert picker.next_asks(1000.0) == []
    picker.add_peer("b", seed=False)
    picker.peer_has("b", mask("####"))
    assert named(picker.next_asks(1000.0)) == {"b": 4}


def test_two_copies_that_land_are_judged_one_by_one() -> None:
    """The first is wrong, the second still being verified: nobody else is asked."""
    picker = table(a="#", b="#", c="#")
    (first,) = picker.next_asks(0.0)
    (second,) = picker.next_asks(1.0)
    picker.arrived(first.peer, 0, 1.1)
    picker.arrived(second.peer, 0, 1.1)
    picker.failed(0, first.peer)
    assert picker.next_asks(1.2) == []
    assert picker.in_flight == [0]
    assert picker.got(0, 1.3) == []
    assert picker.missing == 0


def test_what_landed_survives_its_connection() -> None:
    """The bytes are here; whether they are good is told later, even of somebody who left."""
    picker = table(a="#", b="#", c="#")
    (ask,) = picker.next_asks(0.0)
    picker.arrived(ask.peer, 0, 0.1)
    picker.remove_peer(ask.peer)
    assert picker.next_asks(0.1) == []
    picker.failed(0, ask.peer)
    (again,) = picker.next_asks(0.2)
    assert again.peer != ask.peer


def test_news_of_strangers_is_ignored() -> None:
    """What a connection said may be told after its end."""
    picker = table(a="#")
    for peer in ("gone", 17):
        picker.peer_has(peer, 1)
        picker.any_started(peer, 0)
        picker.progress(peer, 0, 10, 0.0)
        picker.arrived(peer, 0, 0.0)
        picker.rejected(peer, 0, ErrorCode.BUSY, 0.0)
        picker.rejected(peer, None, ErrorCode.NOT_ALLOWED, 0.0)
        picker.failed(0, peer)
        picker.remove_peer(peer)
    assert picker.next_asks(0.0) == [Ask("a", 0)]


# -- streaming --------------------------------------------------------------------------------


def test_what_a_reader_needs_goes_first() -> None:
    """Two of the requests, though the pieces are not the rarest."""
    rows = {f"peer{n}": "#" * 64 for n in range(8)}
    picker = table(rows)
    picker.want_in_order([(10, 0)])
    asked = {ask.piece for ask in picker.next_asks(0.0)}
    assert {10, 11} <= asked
    assert len(asked & set(range(10, 18))) < 8
    assert IN_ORDER_PIECES == 2


def test_a_reader_with_enough_ahead_waits_for_the_rarest() -> None:
    """Else all that stream want the same pieces."""
    picker = table(out=1, a="#" * 64, b="#" * 63 + ".")
    picker.want_in_order([(0, IN_ORDER_AHEAD_BYTES)])
    assert picker.next_asks(0.0) == [Ask("a", 63)]


def test_a_reader_that_ended_is_forgotten() -> None:
    """``None``: nobody reads in order."""
    picker = table(out=1, a="#" * 64, b="#" * 63 + ".")
    picker.want_in_order([(0, 0)])
    picker.want_in_order([])
    assert picker.next_asks(0.0) == [Ask("a", 63)]


def test_a_lone_seed_is_asked_by_name_for_a_reader() -> None:
    """There is no swarm to harm: two in order, the rest as it likes."""
    picker = table(seed="#" * 64)
    picker.want_in_order([(5, 0)])
    asks = picker.next_asks(0.0)
    assert [ask.piece for ask in asks if ask.piece is not None] == [5, 6]
    assert anys(asks) == {"seed": 8}


def test_in_a_swarm_the_seed_is_named_the_next_piece_only_when_it_does_not_come() -> None:
    """At the start all want piece 0: one copy of it must do for all."""
    picker = table(seed="#" * 64, a="." * 64, b="." * 64)
    picker.want_in_order([(0, 0)])
    assert named(picker.next_asks(0.0)) == {}
    assert picker.next_deadline() == pytest.approx(IN_ORDER_PATIENCE_S)
    assert picker.next_asks(IN_ORDER_PATIENCE_S) == [Ask("seed", 0)]
    assert picker.next_asks(IN_ORDER_PATIENCE_S + 0.1) == []


# -- what is told -------------------------------------------------------------------------------


def test_in_flight_names_what_others_send_first() -> None:
    """The list is cut after 32: a seed knows itself what it is sending."""
    picker = table(seed="####", a="#...", b="....")
    picker.next_asks(0.0)
    picker.any_started("seed", 3)
    assert list(picker.in_flight) == [0, 3]
    assert picker.in_flight[:1] == [0]


def test_a_piece_from_elsewhere_cancels_what_runs() -> None:
    """The origin, or an earlier run, brought it."""
    picker = table(a="#", b=".", c=".")
    picker.next_asks(0.0)
    assert picker.got(0, 0.1) == [Cancel("a", 0)]
    assert picker.got(0, 0.1) == []
    assert picker.next_deadline() is None


def test_a_piece_that_ends_after_its_question_was_taken_back() -> None:
    """Answers cross cancels: nothing of it counts, nothing breaks."""
    picker = table(a="#", b=".", c=".")
    picker.next_asks(0.0)
    picker.expire(FIRST_LIMIT_S)
    picker.progress("a", 0, 10, FIRST_LIMIT_S)
    picker.arrived("a", 0, FIRST_LIMIT_S)
    assert picker.in_flight == []
    assert picker.missing == 1


def test_of_several_readers_each_has_its_next_piece_asked_for() -> None:
    """None waits for the others; more than there are requests for are looked after in turn."""
    picker = table({f"peer{n}": "#" * 64 for n in range(8)}, out=4)
    picker.want_in_order([(60, 0), (10, 0), (20, 5), (20, 6)])
    asked = [ask.piece for ask in picker.next_asks(0.0)]
    assert asked[:3] == [60, 10, 20]
    picker = table({f"peer{n}": "#" * 64 for n in range(8)}, out=2)
    picker.want_in_order([(60, 0), (10, 0), (20, 5)])
    assert [ask.piece for ask in picker.next_asks(0.0)] == [60, 10]
    picker = table({f"peer{n}": "#" * 64 for n in range(20)}, out=20)
    picker.want_in_order([(3 * n, n) for n in range(20)])
    places = [3 * n for n in range(IN_ORDER_READERS)]
    assert [ask.piece for ask in picker.next_asks(0.0)][:IN_ORDER_READERS] == places


# -- parts ------------------------------------------------------------------------------------


def test_only_what_is_of_use_is_asked_for() -> None:
    """Until more is; what is on its way comes all the same."""
    picker = table(a="#" * 20, b="#" * 20)
    assert picker.look_for(mask("..##")) == []
    assert {ask.piece for ask in picker.next_asks(0.0)} == {2, 3}
    picker.look_for(0)
    assert set(picker.in_flight) == {2, 3}
    assert (picker.missing, picker.next_asks(0.0)) == (0, [])
    picker.look_for(mask(".####"))
    assert {ask.piece for ask in picker.next_asks(0.0)} == {1, 4}


def test_what_came_after_all_is_not_asked_for_again() -> None:
    """Neither while it is being verified nor afterwards, when it is of use once more."""
    picker = table(a="#" * 3, b="...")
    picker.look_for(mask("#"))
    picker.next_asks(0.0)
    picker.look_for(0)
    picker.arrived("a", 0, 0.1)
    picker.look_for(mask("#"))
    assert picker.next_asks(0.1) == []
    picker.got(0, 0.2)
    assert picker.next_asks(0.2) == []


def test_a_seed_is_asked_by_name_for_parts() -> None:
    """At once: it does not know what is of use here, and others may never have it."""
    rows = {"seed": "#" * 20, "a": "#" + "." * 19, "b": "." * 20, "c": "." * 20}
    picker = table(rows)
    picker.look_for(mask("##########"))
    asks = picker.next_asks(0.0)
    assert anys(asks) == {}
    assert named(asks) == {"a": 1, "seed": PART_DEPTH}
    assert Ask("a", 0) in asks


def test_a_short_part_is_asked_of_a_seed_at_once() -> None:
    """It is read in less than the time in which a neighbour might get it."""
    picker = table(seed="#" * 64, a="." * 64, b="." * 64)
    picker.look_for(mask("....##"))
    picker.want_in_order([(4, 0)])
    assert {ask.piece for ask in picker.next_asks(0.0)} == {4, 5}


def test_of_a_long_part_a_seed_is_asked_for_anything_at_first() -> None:
    """All that read the same would ask for the same; what none of them got is named soon."""
    picker = table(seed="#" * 64, a="." * 64, b="." * 64)
    picker.look_for(mask("#" * 60))
    picker.want_in_order([(0, 0)])
    asked = {ask.piece for ask in picker.next_asks(0.0)}
    assert len(asked) == PART_DEPTH
    assert not asked & {0, 1}
    assert picker.next_deadline() == pytest.approx(PART_PATIENCE_S)
    for piece in asked:
        deliver(picker, "seed", piece or 0, 0.1)
    assert Ask("seed", 0) in picker.next_asks(PART_PATIENCE_S)
    picker.look_for(ALL)
    assert picker._reader.patience_s == IN_ORDER_PATIENCE_S


def test_standing_questions_are_taken_back_when_only_parts_are_of_use() -> None:
    """And asked again when everything is."""
    picker = table(seed="#" * 20)
    assert anys(picker.next_asks(0.0)) == {"seed": 8}
    assert picker.look_for(mask("#")) == [Late("seed", None)] * 8
    assert picker.look_for(0) == []
    assert picker.next_asks(0.0) == []
    picker.look_for(ALL)
    assert anys(picker.next_asks(0.0)) == {"seed": 8}


def test_a_late_piece_of_no_use_has_no_second_neighbour() -> None:
    """The end game is for what somebody waits for."""
    picker = table(out=2, a="##", b="..")
    picker.look_for(mask("##"))
    picker.next_asks(0.0)
    picker.look_for(mask(".#"))
    picker.peer_has("b", mask("##"))
    assert picker.next_asks(FIRST_LIMIT_S - 0.1) == [Ask("b", 1)]
