"""The state table: which message may come in which state, and what it leads to.

This is all there is to it: a message that has no entry closes the connection.
``doc/wire_tables.py`` writes it into the specification.
"""

from __future__ import annotations

from enum import Enum

import attrs

from dragonfly.wire.constants import Kind

__all__ = ["TABLE", "Move", "Role", "State"]


class Role(Enum):
    """Who opened the connection; the value is the role byte of AUTH."""

    DIALLER = 0
    LISTENER = 1


class State(Enum):
    """Where a session is."""

    HELLO_SENT = "dialler: said HELLO, waits for the listener's"
    HELLO_CHECKED = "dialler: accepted the listener's HELLO, waits for its proof"
    LISTENING = "listener: waits for HELLO"
    ANSWERED = "listener: said HELLO and AUTH, waits for the dialler's proof"
    OPEN = "both sides are proved"
    CLOSED = "BYE was said or heard, or the protocol was violated"


@attrs.frozen
class Move:
    """Where a message leads, and what its receiver does."""

    target: State
    does: str


def _stay(does: str) -> Move:
    return Move(State.OPEN, does)


_GOODBYE = Move(State.CLOSED, "closes without an answer")

TABLE: dict[tuple[State, Kind], Move] = {
    (State.HELLO_SENT, Kind.HELLO): Move(State.HELLO_CHECKED, "checks it"),
    (State.HELLO_CHECKED, Kind.AUTH): Move(State.OPEN, "checks it, says AUTH"),
    (State.LISTENING, Kind.HELLO): Move(State.ANSWERED, "checks it, says HELLO and AUTH"),
    (State.ANSWERED, Kind.AUTH): Move(State.OPEN, "checks it"),
    (State.OPEN, Kind.BITFIELD): _stay("replaces what the sender has"),
    (State.OPEN, Kind.HAVE): _stay("adds to what the sender has"),
    (State.OPEN, Kind.GET_DIGESTS): _stay("sends up to 32 runs, or none"),
    (State.OPEN, Kind.DIGESTS): _stay("verifies and keeps the run"),
    (State.OPEN, Kind.REQUEST): _stay("sends DATA or REJECT, now or later"),
    (State.OPEN, Kind.REQUEST_ANY): _stay("sends DATA of a piece of its choice or REJECT"),
    (State.OPEN, Kind.DATA): _stay("takes the slice if it continues an answer"),
    (State.OPEN, Kind.REJECT): _stay("forgets the question, asks elsewhere"),
    (State.OPEN, Kind.CANCEL): _stay("ends the answer with REJECT NO_ERROR"),
    (State.OPEN, Kind.PING): _stay("says PONG"),
    (State.OPEN, Kind.PONG): _stay("knows the round trip"),
    (State.HELLO_SENT, Kind.BYE): _GOODBYE,
    (State.HELLO_CHECKED, Kind.BYE): _GOODBYE,
    (State.LISTENING, Kind.BYE): _GOODBYE,
    (State.ANSWERED, Kind.BYE): _GOODBYE,
    (State.OPEN, Kind.BYE): _GOODBYE,
}
