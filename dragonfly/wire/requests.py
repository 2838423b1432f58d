"""The books of questions that have no end yet: those we asked, and those we were asked.

Every question has exactly one end, the last slice of its answer or a REJECT, so both sides
of a connection always agree on what is outstanding. ``doc/protocol.rst``, *REJECT and
CANCEL*, has the rules.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from dragonfly.errors import BadMessage, LocalProtocolError, UnexpectedMessage
from dragonfly.wire.constants import ANY_PIECE, MAX_REQUESTS
from dragonfly.wire.messages import Data, Request

__all__ = ["Asked", "Owed", "Question"]


@attrs.define(eq=False)
class Question:
    """A REQUEST, or a REQUEST_ANY with the piece that answers it once there is one.

    :param end: where the answer ends in the piece; -1 when only its last slice will tell.
    :param next: where the next slice of the answer begins.
    """

    piece: int
    begin: int
    end: int
    any: bool = False
    next: int = attrs.field(default=attrs.Factory(lambda self: self.begin, takes_self=True))
    cancelled: bool = False

    @property
    def started(self) -> bool:
        """Whether a slice of the answer was sent (by us) or announced (by the neighbour)."""
        return self.next > self.begin

    @property
    def wire_name(self) -> tuple[int, int]:
        """What REJECT and CANCEL call it."""
        if not self.any:
            return self.piece, self.begin
        return (self.piece, ANY_PIECE) if self.started else (ANY_PIECE, 0)

    def is_called(self, piece: int, begin: int) -> bool:
        """Whether the owner means this one: like the wire, but begin 0 for an ANY with a piece."""
        return (self.piece, self.begin) == (piece, begin)


class _Book:
    """Questions of one side, oldest first; ``piece_size`` is set when the session opens."""

    def __init__(self) -> None:
        self.piece_size = 0
        self._questions: list[Question] = []

    def __len__(self) -> int:
        return len(self._questions)

    @property
    def full(self) -> bool:
        """Whether one more would be too many."""
        return len(self._questions) >= MAX_REQUESTS

    def _find(self, *wishes: Callable[[Question], bool]) -> Question | None:
        """Give the oldest question that fulfils the first wish that any fulfils."""
        for wish in wishes:
            for question in self._questions:
                if wish(question):
                    return question
        return None

    def _live(self, piece: int, begin: int) -> Question | None:
        """Find the REQUEST, else the REQUEST_ANY, that the owner calls this."""
        return self._find(
            lambda q: q.is_called(piece, begin) and not q.any and not q.cancelled,
            lambda q: q.is_called(piece, begin) and q.any and not q.cancelled,
        )


class Asked(_Book):
    """What we asked."""

    def request(self, piece: int, begin: int, length: int) -> None:
        """Note a REQUEST.

        :raises LocalProtocolError: the same is outstanding, too many are, or it is not
            inside a piece.
        """
        if begin < 0 or length < 1 or begin + length > self.piece_size:
            raise LocalProtocolError(f"request for {length} bytes at {begin} of piece {piece}")
        if self._find(lambda q: q.is_called(piece, begin) and not q.any and not q.cancelled):
            raise LocalProtocolError(f"piece {piece} at {begin} is asked for already")
        self._add(Question(piece, begin, begin + length))

    def request_any(self) -> None:
        """Note a REQUEST_ANY.

        :raises LocalProtocolError: too many questions are outstanding.
        """
        self._add(Question(ANY_PIECE, 0, -1, any=True))

    def cancel(self, piece: int, begin: int) -> tuple[int, int] | None:
        """Give up on a question; its name on the wire, None if it has ended already."""
        question = self._live(piece, begin)
        if question is None:
            return None
        question.cancelled = True
        return question.wire_name

    def answered(self, data: Data) -> Question:
        """Find the question that a slice answers, and move it on.

        :raises UnexpectedMessage: there is none, or the slice is not its next part.
        """
        found = self._any_for(data) if data.any else self._request_for(data)
        if found is None:
            raise UnexpectedMessage(
                f"DATA of {data.length} bytes at {data.begin} of piece {data.piece}"
                f"{' for any' * data.any}{', the last' * data.last}: not what was asked for"
            )
        found.piece = data.piece
        found.next = data.begin + data.length
        return found

    def rejected(self, piece: int, begin: int) -> Question:
        """End the oldest question with this name on the wire.

        Of several with one name those that were cancelled are the older ones.

        :raises UnexpectedMessage: there is none.
        """
        found = self._find(lambda q: q.wire_name == (piece, begin))
        if found is None:
            raise UnexpectedMessage(f"REJECT of piece {piece} at {begin}, which was not asked for")
        self._questions.remove(found)
        return found

    def end(self, question: Question) -> None:
        """Forget a question whose last slice has come."""
        self._questions.remove(question)

    def _add(self, question: Question) -> None:
        if self.full:
            raise LocalProtocolError(f"{MAX_REQUESTS} questions are outstanding")
        self._questions.append(question)

    def _request_for(self, data: Data) -> Question | None:
        end = data.begin + data.length
        return self._find(
            lambda q: (
                not q.any
                and (q.piece, q.next) == (data.piece, data.begin)
                and end <= q.end
                and (end == q.end) == data.last
            )
        )

    def _any_for(self, data: Data) -> Question | None:
        end = data.begin + data.length
        if end > self.piece_size or (end == self.piece_size and not data.last):
            return None
        if data.begin:
            return self._find(lambda q: q.any and (q.piece, q.next) == (data.piece, data.begin))
        return self._find(
            lambda q: q.any and not q.started and not q.cancelled,
            lambda q: q.any and not q.started,
        )


class Owed(_Book):
    """What we were asked."""

    def request(self, request: Request) -> bool:
        """Note a REQUEST; False if its bytes are on their way as an answer to REQUEST_ANY.

        :raises BadMessage: it is not inside a piece.
        :raises UnexpectedMessage: the same is outstanding, or too many are.
        """
        piece, begin, end = request.piece, request.begin, request.begin + request.length
        if end > self.piece_size:
            raise BadMessage(f"REQUEST up to {end} of a piece of {self.piece_size} bytes")
        if self._find(lambda q: q.is_called(piece, begin) and not q.any):
            raise UnexpectedMessage(f"REQUEST of piece {piece} at {begin} twice")
        self._check_room()
        if self._find(lambda q: q.any and q.piece == piece):
            return False
        self._questions.append(Question(piece, begin, end))
        return True

    def request_any(self) -> None:
        """Note a REQUEST_ANY.

        :raises UnexpectedMessage: too many questions are outstanding.
        """
        self._check_room()
        self._questions.append(Question(ANY_PIECE, 0, -1, any=True))

    def bind(self, piece: int, length: int) -> bool:
        """Let ``piece`` answer the oldest REQUEST_ANY that has none; False if there is none.

        :raises LocalProtocolError: the length is no piece's, or the piece is asked for or
            being sent to this neighbour.
        """
        if not 1 <= length <= self.piece_size:
            raise LocalProtocolError(f"piece {piece} of {length} bytes")
        if self._find(lambda q: q.piece == piece):
            raise LocalProtocolError(f"piece {piece} is being sent to this neighbour")
        question = self._find(lambda q: q.piece == ANY_PIECE)
        if question is None:
            return False
        question.piece, question.end = piece, length
        return True

    def cancelled(self, piece: int, begin: int) -> Question | None:
        """End the question with this name on the wire; None if it has ended already.

        Of several REQUEST_ANY one without a piece goes first.
        """
        found = self._find(
            lambda q: q.wire_name == (piece, begin) and q.piece == ANY_PIECE,
            lambda q: q.wire_name == (piece, begin),
        )
        if found is not None:
            self._questions.remove(found)
        return found

    def answer(self, piece: int, begin: int, length: int) -> Data | None:
        """Note that a slice is being sent; None if nobody waits for it any more."""
        end = begin + length
        found = self._find(lambda q: (q.piece, q.next) == (piece, begin) and end <= q.end)
        if found is None:
            return None
        found.next = end
        if end == found.end:
            self._questions.remove(found)
        return Data(piece, begin, length, last=end == found.end, any=found.any)

    def reject(self, piece: int, begin: int) -> tuple[int, int] | None:
        """End a question as the owner calls it; its name on the wire, None if it has ended."""
        question = self._live(piece, begin)
        if question is None:
            return None
        self._questions.remove(question)
        return question.wire_name

    def _check_room(self) -> None:
        if self.full:
            raise UnexpectedMessage(f"more than {MAX_REQUESTS} questions outstanding")
