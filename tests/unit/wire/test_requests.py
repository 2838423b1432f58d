"""The books: every question ends exactly once, whatever crosses whatever."""

from __future__ import annotations

import pytest

from dragonfly.errors import BadMessage, LocalProtocolError, UnexpectedMessage
from dragonfly.wire.constants import ANY_PIECE, MAX_REQUESTS
from dragonfly.wire.messages import Data, Request
from dragonfly.wire.requests import Asked, Owed

SIZE = 1000


@pytest.fixture
def asked() -> Asked:
    """Give the book of what we asked, for pieces of 1000 bytes."""
    book = Asked()
    book.piece_size = SIZE
    return book


@pytest.fixture
def owed() -> Owed:
    """Give the book of what we were asked, for pieces of 1000 bytes."""
    book = Owed()
    book.piece_size = SIZE
    return book


# -- what we asked ---------------------------------------------------------------------


def test_an_answer_in_several_slices(asked: Asked) -> None:
    """Slices must continue each other and end where the request ends."""
    asked.request(5, 100, 300)
    first = asked.answered(Data(5, 100, 200))
    assert asked.answered(Data(5, 300, 100, last=True)) is first
    asked.end(first)
    assert len(asked) == 0


@pytest.mark.parametrize(
    "data",
    [
        Data(6, 100, 300, last=True),
        Data(5, 0, 300),
        Data(5, 200, 100),
        Data(5, 100, 301, last=True),
        Data(5, 100, 300),
        Data(5, 100, 299, last=True),
        Data(5, 100, 300, last=True, any=True),
        Data(5, 0, 300, any=True),
    ],
)
def test_slices_nobody_asked_for(asked: Asked, data: Data) -> None:
    """Another piece, another place, too much, or an end in the wrong place: violations."""
    asked.request(5, 100, 300)
    with pytest.raises(UnexpectedMessage, match=f"piece {data.piece}"):
        asked.answered(data)


def test_the_answer_to_any_ends_where_it_says(asked: Asked) -> None:
    """The last piece may be short, and only the responder knows which piece comes."""
    asked.request_any()
    question = asked.answered(Data(7, 0, 400, any=True))
    assert question.piece == 7
    assert asked.answered(Data(7, 400, 100, any=True, last=True)) is question


@pytest.mark.parametrize(
    "data",
    [
        Data(7, 0, SIZE, any=True),
        Data(7, 0, SIZE + 1, any=True, last=True),
        Data(7, 100, 100, any=True),
        Data(7, 0, 100),
    ],
)
def test_answers_to_any_that_are_not(asked: Asked, data: Data) -> None:
    """It begins at 0, stays in the piece, and ends there at the latest."""
    asked.request_any()
    with pytest.raises(UnexpectedMessage):
        asked.answered(data)


def test_one_answer_for_each_any(asked: Asked) -> None:
    """A second piece for one question is as unasked as any other."""
    asked.request_any()
    asked.answered(Data(7, 0, 400, any=True))
    with pytest.raises(UnexpectedMessage):
        asked.answered(Data(8, 0, 400, any=True))


def test_a_request_and_an_any_for_the_same_piece_are_kept_apart(asked: Asked) -> None:
    """The seed may choose what we are just asking it for; the flag says which is which."""
    asked.request(7, 0, 500)
    asked.request_any()
    chosen = asked.answered(Data(7, 0, 400, any=True))
    wanted = asked.answered(Data(7, 0, 500, last=True))
    assert chosen is not wanted
    assert chosen.any
    assert not wanted.any


def test_cancelled_questions_stay_until_their_end(asked: Asked) -> None:
    """Late slices of what we cancelled are no violation."""
    asked.request(5, 0, 300)
    assert asked.cancel(5, 0) == (5, 0)
    assert asked.answered(Data(5, 0, 100)).cancelled
    assert asked.rejected(5, 0).cancelled
    assert len(asked) == 0
    with pytest.raises(UnexpectedMessage):
        asked.rejected(5, 0)


def test_what_has_ended_cannot_be_cancelled(asked: Asked) -> None:
    """The owner may be late; that is no error."""
    assert asked.cancel(5, 0) is None
    asked.request(5, 0, 300)
    asked.cancel(5, 0)
    assert asked.cancel(5, 0) is None


def test_asking_again_while_the_cancelled_one_has_no_end(asked: Asked) -> None:
    """Ends come in the order of the questions, so the older one gets the first."""
    asked.request(5, 0, 300)
    asked.cancel(5, 0)
    asked.request(5, 0, 300)
    asked.answered(Data(5, 0, 100))
    assert asked.rejected(5, 0).cancelled
    assert not asked.answered(Data(5, 0, 300, last=True)).cancelled


def test_the_names_of_an_any_on_the_wire(asked: Asked) -> None:
    """Before its first slice all are alike; then the piece names it."""
    asked.request_any()
    asked.request_any()
    asked.answered(Data(7, 0, 400, any=True))
    assert asked.cancel(7, 0) == (7, ANY_PIECE)
    assert asked.cancel(ANY_PIECE, 0) == (ANY_PIECE, 0)
    assert asked.rejected(7, ANY_PIECE).piece == 7
    assert asked.rejected(ANY_PIECE, 0).piece == ANY_PIECE


def test_an_any_that_we_still_want_gets_the_piece(asked: Asked) -> None:
    """Of two alike the cancelled one is not the one to fill; its REJECT comes later."""
    asked.request_any()
    asked.request_any()
    asked.cancel(ANY_PIECE, 0)
    assert not asked.answered(Data(7, 0, 400, any=True)).cancelled
    assert asked.rejected(ANY_PIECE, 0).cancelled


def test_a_cancel_that_crossed_the_answer(asked: Asked) -> None:
    """The seed had begun before it read our CANCEL."""
    asked.request_any()
    asked.cancel(ANY_PIECE, 0)
    assert asked.answered(Data(7, 0, 400, any=True)).cancelled


@pytest.mark.parametrize(("begin", "length"), [(0, 0), (-1, 10), (0, SIZE + 1), (SIZE, 1)])
def test_requests_outside_of_a_piece_are_our_mistake(asked: Asked, begin: int, length: int) -> None:
    """The other side would close the connection."""
    with pytest.raises(LocalProtocolError):
        asked.request(0, begin, length)


def test_the_same_twice_is_our_mistake(asked: Asked) -> None:
    """Two questions with one name could not be told apart."""
    asked.request(0, 0, 10)
    with pytest.raises(LocalProtocolError, match="already"):
        asked.request(0, 0, 20)


def test_too_many_are_our_mistake(asked: Asked) -> None:
    """Cancelled ones count until they have ended, as they do on the other side."""
    for piece in range(MAX_REQUESTS):
        asked.request(piece, 0, 10)
        asked.cancel(piece, 0)
    with pytest.raises(LocalProtocolError, match="64"):
        asked.request(MAX_REQUESTS, 0, 10)
    with pytest.raises(LocalProtocolError, match="64"):
        asked.request_any()


# -- what we were asked ---------------------------------------------------------------


def test_answering_in_slices(owed: Owed) -> None:
    """The last slice carries the flag, and then the question is gone."""
    assert owed.request(Request(5, 100, 300))
    assert owed.answer(5, 100, 200) == Data(5, 100, 200)
    assert owed.answer(5, 300, 100) == Data(5, 300, 100, last=True)
    assert len(owed) == 0
    assert owed.answer(5, 300, 100) is None


def test_slices_that_do_not_fit_are_not_sent(owed: Owed) -> None:
    """What the other side would call a violation never leaves."""
    owed.request(Request(5, 100, 300))
    assert owed.answer(5, 101, 10) is None
    assert owed.answer(5, 100, 301) is None
    assert owed.answer(6, 100, 10) is None


def test_choosing_a_piece(owed: Owed) -> None:
    """The oldest REQUEST_ANY gets it; its answer ends with the piece."""
    assert not owed.bind(7, 500)
    owed.request_any()
    owed.request_any()
    assert owed.bind(7, 500)
    assert owed.bind(8, 500)
    assert not owed.bind(9, 500)
    assert owed.answer(7, 0, 500) == Data(7, 0, 500, last=True, any=True)


def test_a_piece_is_not_sent_twice_to_one_neighbour(owed: Owed) -> None:
    """Neither as two answers to REQUEST_ANY, nor as an answer to each."""
    owed.request_any()
    owed.request_any()
    owed.request(Request(3, 10, 10))
    with pytest.raises(LocalProtocolError):
        owed.bind(3, 500)
    owed.bind(7, 500)
    with pytest.raises(LocalProtocolError):
        owed.bind(7, 500)
    assert not owed.request(Request(7, 0, 500))
    assert len(owed) == 3


@pytest.mark.parametrize("length", [0, SIZE + 1])
def test_pieces_have_a_length(owed: Owed, length: int) -> None:
    """A wrong length would make an answer without an end."""
    owed.request_any()
    with pytest.raises(LocalProtocolError):
        owed.bind(7, length)


def test_cancellation_by_the_requester(owed: Owed) -> None:
    """What has ended is not found: the CANCEL has crossed the end."""
    owed.request(Request(5, 0, 300))
    cancelled = owed.cancelled(5, 0)
    assert cancelled is not None
    assert owed.cancelled(5, 0) is None
    assert owed.answer(5, 0, 300) is None


def test_cancellation_of_an_any_prefers_one_without_a_piece(owed: Owed) -> None:
    """The other may be on its way from the disk already."""
    owed.request_any()
    owed.request_any()
    owed.bind(7, 500)
    first, second = owed.cancelled(ANY_PIECE, 0), owed.cancelled(ANY_PIECE, 0)
    assert first is not None
    assert second is not None
    assert (first.piece, second.piece) == (ANY_PIECE, 7)


def test_an_any_that_is_being_sent_has_its_own_name(owed: Owed) -> None:
    """It is not hit by a CANCEL of one that has not begun."""
    owed.request_any()
    owed.bind(7, 500)
    owed.answer(7, 0, 100)
    assert owed.cancelled(ANY_PIECE, 0) is None
    assert owed.cancelled(7, 0) is None
    assert owed.cancelled(7, ANY_PIECE) is not None


def test_rejecting(owed: Owed) -> None:
    """The owner names what it was told; the wire's name depends on what was sent."""
    owed.request(Request(5, 10, 300))
    for _ in range(3):
        owed.request_any()
    owed.bind(7, 500)
    owed.bind(8, 500)
    owed.answer(8, 0, 100)
    assert owed.reject(5, 10) == (5, 10)
    assert owed.reject(5, 10) is None
    assert owed.reject(7, 0) == (ANY_PIECE, 0)
    assert owed.reject(8, 0) == (8, ANY_PIECE)
    assert owed.reject(ANY_PIECE, 0) == (ANY_PIECE, 0)
    assert len(owed) == 0


def test_requests_that_are_violations(owed: Owed) -> None:
    """Outside of the piece, or the same name twice."""
    with pytest.raises(BadMessage, match="REQUEST up to 1001"):
        owed.request(Request(0, 1, SIZE))
    owed.request(Request(0, 0, 10))
    with pytest.raises(UnexpectedMessage, match="twice"):
        owed.request(Request(0, 0, 20))


def test_too_many_questions_are_a_violation(owed: Owed) -> None:
    """A neighbour cannot make us keep more than 64."""
    for piece in range(MAX_REQUESTS - 1):
        owed.request(Request(piece, 0, 10))
    owed.request_any()
    with pytest.raises(UnexpectedMessage, match="64"):
        owed.request(Request(MAX_REQUESTS, 0, 10))
    with pytest.raises(UnexpectedMessage, match="64"):
        owed.request_any()
