"""A neighbour of a seed: takes what it gets, verifies it, asks for more.

::

    leecher = Leecher(supernode, content, clock)
    leecher.protocol()          # give it to a transport or an endpoint
    leecher.pieces              # what came and had its digest
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dragonfly.errors import RemoteProtocolError
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.supernode.content import Content
from dragonfly.task.bitfield import pieces_of
from dragonfly.task.digest import piece_digest
from dragonfly.task.manifest import Manifest, parse_run
from dragonfly.wire.constants import ANY_PIECE
from dragonfly.wire.events import (
    BitfieldReceived,
    DigestsReceived,
    Event,
    HaveReceived,
    RejectReceived,
    SliceReceived,
)
from dragonfly.wire.fake import FakeGate, make_nonce, make_offer
from dragonfly.wire.messages import Offer
from dragonfly.wire.session import PeerSession, Role

__all__ = ["Leecher"]


class Leecher:
    """One neighbour.

    :param asks: REQUEST_ANYs that it keeps standing; 0: it asks for nothing by itself.
    :param echo: whether it shows what it has.
    :param offer: what its HELLO and grant say otherwise, see :func:`make_offer`.
    """

    def __init__(
        self,
        supernode: SigningKey,
        content: Content,
        clock: Any,
        *,
        asks: int = 1,
        echo: bool = True,
        key: SigningKey | None = None,
        **offer: Any,
    ) -> None:
        self.key = SigningKey.generate() if key is None else key
        self.asks = asks
        self.echo = echo
        self.events: list[Event] = []
        self.shown: set[int] = set()
        self.pieces: dict[int, bytes] = {}
        self.order: list[int] = []
        """Pieces in the order in which their first bytes came."""
        self.repeats = 0
        self.unverifiable: list[int] = []
        self.fragments: list[bytes] = []
        """Answers that were not whole pieces."""
        self.reason: Exception | None = None
        self.opened = self.closed = False
        self.done: Deferred[Leecher] = Deferred()
        """Fires when all pieces are here, or the connection is gone."""
        self.on_event: Callable[[Event], None] = lambda event: None
        self.offer: Offer = make_offer(
            supernode,
            self.key,
            **{
                "task": content.id,
                "fetch": content.fetch,
                "piece_size": content.piece_size,
                "now": clock.seconds(),
                **offer,
            },
        )
        self.ring = KeyRing([supernode.public])
        self.gate = FakeGate(self.offer, supernode.public)
        self.manifest = Manifest(content.id, content.fetch, content.piece_size)
        self._parts: dict[int, bytearray] = {}
        self._clock = clock
        self.peer: PeerProtocol

    def protocol(self) -> PeerProtocol:
        """Make the dialler's end."""
        self.peer = PeerProtocol(
            lambda now: PeerSession(
                Role.DIALLER, self.key, make_nonce(), self.gate, now, self.offer
            ),
            self._clock,
            self,
        )
        return self.peer

    @property
    def code(self) -> int | None:
        """The code with which it ended."""
        return self.reason.code if isinstance(self.reason, RemoteProtocolError) else None

    def ask(self, count: int = 1, in_flight: tuple[int, ...] = ()) -> None:
        """Send REQUEST_ANYs."""
        for _ in range(count):
            self.peer.session.request_any(in_flight)
        self.peer.flush()

    def show(self, *pieces: int) -> None:
        """Send HAVEs."""
        self.peer.session.queue_have(pieces)
        self.peer.session.flush_have()
        self.peer.flush()

    # -- PeerListener ------------------------------------------------------------------

    def peer_opened(self, peer: PeerProtocol) -> None:
        """Ask."""
        self.opened = True
        if self.asks:
            self.ask(self.asks)

    def peer_event(self, peer: PeerProtocol, event: Event) -> None:
        """Keep everything."""
        if isinstance(event, SliceReceived):
            self._slice(event)
        else:
            self.events.append(event)
        if isinstance(event, DigestsReceived):
            self.manifest.add(event.run, parse_run(event.run, self.ring))
        elif isinstance(event, BitfieldReceived):
            mask = int.from_bytes(event.bits, "big") >> (-event.count % 8)
            bits = f"{mask:0{event.count}b}"
            self.shown = {piece for piece, bit in enumerate(bits) if bit == "1"}
        elif isinstance(event, HaveReceived):
            self.shown.update(event.pieces)
        elif isinstance(event, RejectReceived) and event.piece == ANY_PIECE:
            self.asks -= 1
        self.on_event(event)

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """It is over."""
        self.closed = True
        self.reason = reason
        self._finish()

    # -- inside ------------------------------------------------------------------------

    def _slice(self, event: SliceReceived) -> None:
        if event.piece not in self._parts:
            self.order.append(event.piece)
        part = self._parts.setdefault(event.piece, bytearray())
        part += event.data
        if event.last:
            self._piece(event.piece, bytes(self._parts.pop(event.piece)), event.any)

    def _piece(self, piece: int, data: bytes, any_: bool) -> None:
        expected = self.manifest.digest(piece)
        if expected is None:
            self.unverifiable.append(piece)
            return
        if len(data) < self.manifest.layout.piece_length(piece):
            self.fragments.append(data)
            return
        assert piece_digest(data) == expected, f"piece {piece} is wrong"
        self.repeats += piece in self.pieces
        self.pieces[piece] = data
        if self.echo and self.peer.is_open:
            self.peer.session.queue_have([piece])
        if any_ and self.asks and self.peer.is_open:
            self.ask()
        if self.manifest.complete and len(self.pieces) == self.manifest.piece_count:
            self._finish()

    def _finish(self) -> None:
        if not self.done.called:
            self.done.callback(self)


def known_pieces(leecher: Leecher) -> list[int]:
    """Pieces whose digests it was told."""
    return list(pieces_of(leecher.manifest.known.mask))
