"""Two sessions face to face, joined by nothing but lists of bytes: for tests, ours and others'."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import attrs

from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.task.grant import Grant, check_grant, sign_grant
from dragonfly.wire.events import Event, SliceReceived
from dragonfly.wire.messages import Hello, Offer
from dragonfly.wire.session import PeerSession, Role

__all__ = ["FakeGate", "SessionPair", "chunks_of", "make_offer", "merge_slices"]

_DAY_S = 86400
_nonces = itertools.count(1)


def make_nonce() -> bytes:
    """Give a nonce that was not used before in this process."""
    return next(_nonces).to_bytes(32, "big")


def make_offer(
    supernode: SigningKey,
    holder: SigningKey,
    *,
    task: bytes = b"t" * 32,
    fetch: int = 1,
    piece_size: int = 32 * 1024,
    port: int = 0,
    now: float = 0.0,
    seed: bool = False,
) -> Offer:
    """Make an offer with a grant for ``holder`` that is good for a day from ``now``."""
    grant = Grant(
        task=task, key=holder.public, issued=int(now), expires=int(now) + _DAY_S, seed=seed
    )
    return Offer(
        task=task, fetch=fetch, piece_size=piece_size, port=port, grant=sign_grant(grant, supernode)
    )


class FakeGate:
    """A gate that takes part in one task and checks grants by the keys that it is given."""

    def __init__(self, ours: Offer, *supernodes: bytes) -> None:
        self.ours = ours
        self.keys = KeyRing(supernodes)
        self.admitted: list[Hello] = []

    def offer(self, task: bytes) -> Offer:
        """Give our side of the task.

        :raises RemoteProtocolError: it is another task.
        """
        if task != self.ours.task:
            raise RemoteProtocolError(f"task {task.hex()[:16]}", ErrorCode.UNKNOWN_TASK)
        return self.ours

    def admit(self, hello: Hello, now: float) -> None:
        """Check the grant for real; the session's time is taken for the supernode's.

        :raises BadGrant: it is not good.
        """
        check_grant(hello.grant, self.keys, task=hello.task, key=hello.key, now=now)
        self.admitted.append(hello)


@attrs.define(eq=False)
class SessionPair:
    """A dialler and a listener with real keys and grants, and the link between them.

    :meth:`pump` moves bytes; ``now`` is the time of both sides and is moved by the caller.
    Violations do not come out of :meth:`pump`: they are kept in ``dialler_error`` and
    ``listener_error``, as each side of a real connection sees only its own.
    """

    dialler: PeerSession
    listener: PeerSession
    now: float = 0.0
    dialler_error: RemoteProtocolError | None = None
    listener_error: RemoteProtocolError | None = None

    @classmethod
    def make(
        cls, *, piece_size: int = 32 * 1024, seed: bool = False, now: float = 0.0
    ) -> SessionPair:
        """Make a pair that has not said a word yet; the listener may be a seed."""
        supernode, one, two = (SigningKey.generate() for _ in range(3))
        offers = [
            make_offer(
                supernode, holder, piece_size=piece_size, now=now, seed=seed and holder is two
            )
            for holder in (one, two)
        ]
        gates = [FakeGate(offer, supernode.public) for offer in offers]
        return cls(
            PeerSession(Role.DIALLER, one, make_nonce(), gates[0], now, offers[0]),
            PeerSession(Role.LISTENER, two, make_nonce(), gates[1], now),
            now,
        )

    @classmethod
    def opened(
        cls, *, piece_size: int = 32 * 1024, seed: bool = False, now: float = 0.0
    ) -> SessionPair:
        """Make a pair whose handshake is done."""
        pair = cls.make(piece_size=piece_size, seed=seed, now=now)
        pair.open()
        return pair

    def open(self) -> None:
        """Let both sides shake hands.

        :raises AssertionError: they do not get along.
        """
        self.pump()
        if not (self.dialler.is_open and self.listener.is_open):
            raise AssertionError(f"{self.dialler_error}, {self.listener_error}")

    def pump(
        self, chop: Callable[[bytes], Iterable[bytes]] | None = None
    ) -> tuple[list[Event], list[Event]]:
        """Move bytes both ways until nothing is left; give the (dialler's, listener's) events.

        :param chop: cuts what one side wrote into the reads of the other; one read if None.
        """
        heard: tuple[list[Event], list[Event]] = ([], [])
        while True:
            to_listener = b"".join(self.dialler.take_output())
            to_dialler = b"".join(self.listener.take_output())
            if not to_listener and not to_dialler:
                return heard
            for part in _cut(to_listener, chop):
                heard[1].extend(self.to_listener(part))
            for part in _cut(to_dialler, chop):
                heard[0].extend(self.to_dialler(part))

    def to_dialler(self, data: bytes) -> list[Event]:
        """Let the dialler read ``data``."""
        events, error = _feed(self.dialler, data, self.now)
        self.dialler_error = self.dialler_error or error
        return events

    def to_listener(self, data: bytes) -> list[Event]:
        """Let the listener read ``data``."""
        events, error = _feed(self.listener, data, self.now)
        self.listener_error = self.listener_error or error
        return events


def chunks_of(size: int) -> Callable[[bytes], Iterable[bytes]]:
    """Give a ``chop`` for :meth:`SessionPair.pump` that makes reads of ``size`` bytes."""

    def chop(data: bytes) -> Iterable[bytes]:
        return [data[at : at + size] for at in range(0, len(data), size)]

    return chop


def merge_slices(events: Iterable[Event]) -> list[Event]:
    """Join slices that continue each other: the same for every split of a stream."""
    merged: list[Event] = []
    for event in events:
        before = merged[-1] if merged else None
        if (
            isinstance(event, SliceReceived)
            and isinstance(before, SliceReceived)
            and _continues(before, event)
        ):
            whole = memoryview(bytes(before.data) + event.data)
            merged[-1] = attrs.evolve(before, data=whole, last=event.last)
        else:
            merged.append(event)
    return merged


def _continues(before: SliceReceived, after: SliceReceived) -> bool:
    same = (before.piece, before.wanted, before.any) == (after.piece, after.wanted, after.any)
    return same and not before.last and before.begin + len(before.data) == after.begin


def _cut(data: bytes, chop: Callable[[bytes], Iterable[bytes]] | None) -> Iterable[bytes]:
    if not data:
        return ()
    return (data,) if chop is None else chop(data)


def _feed(
    session: PeerSession, data: bytes, now: float
) -> tuple[list[Event], RemoteProtocolError | None]:
    try:
        return session.receive(data, now), None
    except RemoteProtocolError as error:
        return [event for event in error.events if isinstance(event, Event)], error
