"""The connections of one task: dial, accept, keep one per neighbour, drop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.control.messages import Neighbour
from dragonfly.errors import ErrorCode, Fault, RemoteProtocolError
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.task.grant import parse_grant
from dragonfly.wire.events import Event

__all__ = ["MAX_LINKS", "Dialler", "Link", "LinkListener", "Links"]

MAX_LINKS = 32
"""Open connections of one task. The supernode's graph asks for about ten; the rest is room for
old neighbours that have not gone yet and for new ones that dial first."""

Dialler = Callable[[str, int, PeerProtocol], "Deferred[object]"]
"""Connects the protocol to (address, port); fails when that does not work within seconds."""


@attrs.define(eq=False)
class Link:
    """One open connection, and what its neighbour has shown.

    :ivar told_at: when it was last told what is here, or asked for something, which tells it.
    """

    peer: PeerProtocol
    key: bytes
    dialled: bool
    seed: bool
    address: str
    port: int
    mask: int = 0
    asked: set[int] = attrs.field(factory=set)
    received_bytes: int = 0
    sent_bytes: int = 0
    told_at: float = float("-inf")

    @property
    def name(self) -> str:
        """What logs call this neighbour."""
        return f"{self.key.hex()[:8]}@{self.address}"


class LinkListener(Protocol):
    """Who works with the links."""

    def link_opened(self, link: Link) -> None:
        """A neighbour is there; it may be asked and told things."""

    def link_event(self, link: Link, event: Event) -> None:
        """The neighbour said something."""

    def link_closed(self, link: Link, reason: Exception | None) -> None:
        """It is gone; called once for every link that was opened."""


class Links:
    """All links of one task.

    :param me: our public key.
    :param dial: connects a protocol to an address.
    :param make_protocol: a protocol for the dialling side of this task, listening to us.
    :param max_links: more than this many are refused (never a seed).
    """

    _log = Logger()

    def __init__(
        self,
        me: bytes,
        listener: LinkListener,
        *,
        dial: Dialler,
        make_protocol: Callable[[Links], PeerProtocol],
        max_links: int = MAX_LINKS,
    ) -> None:
        self._me = me
        self._listener = listener
        self._dial = dial
        self._make_protocol = make_protocol
        self._max_links = max_links
        self._links: dict[bytes, Link] = {}
        self._by_peer: dict[PeerProtocol, Link] = {}
        self._dialling: dict[PeerProtocol, Neighbour] = {}
        self._barred: set[bytes] = set()
        self._dead: set[bytes] = set()
        self.closed = False

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._links.values()))

    def __len__(self) -> int:
        return len(self._links)

    @property
    def dialling(self) -> int:
        """Connections that are on their way."""
        return len(self._dialling)

    def get(self, key: bytes) -> Link | None:
        """The link to the holder of ``key``."""
        return self._links.get(key)

    @property
    def dead(self) -> bool:
        """Whether there are keys for :meth:`take_dead`."""
        return bool(self._dead)

    def take_dead(self) -> list[bytes]:
        """Keys that could not be reached since the last call, for the next announce."""
        dead, self._dead = sorted(self._dead), set()
        return dead

    # -- making and ending links ----------------------------------------------------

    def connect(self, neighbours: Iterable[Neighbour]) -> None:
        """Dial those that are not linked yet; who was barred or cannot be reached is left out."""
        for neighbour in neighbours:
            if self.closed or not self._wanted(neighbour.key):
                continue
            peer = self._make_protocol(self)
            self._dialling[peer] = neighbour
            self._dial(neighbour.address, neighbour.port, peer).addErrback(self._unreachable, peer)

    def accept(self, peer: PeerProtocol) -> None:
        """Take over a connection that dialled us and has proved itself for this task."""
        peer.listener = self
        if self.closed:
            peer.close(ErrorCode.SHUTTING_DOWN, "this peer is stopping")
            return
        self.peer_opened(peer)

    def drop(self, key: bytes, code: ErrorCode, text: str, *, bar: bool = False) -> None:
        """End the link to ``key``; with ``bar`` it is not to come back."""
        if bar:
            self._barred.add(key)
        link = self._links.get(key)
        if link is not None:
            link.peer.close(code, text)

    def close(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """End all links, and make none any more."""
        self.closed = True
        for peer in [*self._by_peer, *self._dialling]:
            if peer.transport is None:
                continue
            peer.close(code, text)

    def _wanted(self, key: bytes) -> bool:
        if key == self._me or key in self._barred or key in self._links:
            return False
        return all(neighbour.key != key for neighbour in self._dialling.values())

    def _unreachable(self, failure: Failure, peer: PeerProtocol) -> None:
        neighbour = self._dialling.pop(peer, None)
        if neighbour is not None and not self.closed:
            self._dead.add(neighbour.key)
            self._log.debug(
                "cannot reach {address}:{port}: {error}",
                address=neighbour.address,
                port=neighbour.port,
                error=failure.getErrorMessage(),
            )

    # -- PeerListener -----------------------------------------------------------------

    def peer_opened(self, peer: PeerProtocol) -> None:
        """Make a link of an open connection, unless one to that neighbour is better."""
        neighbour = self._dialling.pop(peer, None)
        link = _make_link(peer, neighbour)
        if link.key in self._barred or self.closed:
            peer.close(ErrorCode.NOT_ALLOWED, "not with this peer")
            return
        if len(self._links) >= self._max_links and link.key not in self._links and not link.seed:
            peer.close(ErrorCode.TOO_MANY_CONNECTIONS, f"{self._max_links} connections are open")
            return
        other = self._links.get(link.key)
        if other is not None:
            if self._survives(other, link):
                peer.close(ErrorCode.DUPLICATE_CONNECTION, "there is another connection")
                return
            self._end(other, None)
            other.peer.close(ErrorCode.DUPLICATE_CONNECTION, "there is another connection")
        self._links[link.key] = link
        self._by_peer[peer] = link
        self._listener.link_opened(link)

    def peer_event(self, peer: PeerProtocol, event: Event) -> None:
        """Pass on what a neighbour says."""
        link = self._by_peer.get(peer)
        if link is not None:
            self._listener.link_event(link, event)

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """Forget a connection, open or not."""
        neighbour = self._dialling.pop(peer, None)
        if neighbour is not None and not self.closed:
            self._refused(neighbour, reason)
        link = self._by_peer.get(peer)
        if link is not None:
            self._end(link, reason)

    def _refused(self, neighbour: Neighbour, reason: Exception | None) -> None:
        """The handshake failed. That two connections met is nobody's failure."""
        code = getattr(reason, "code", None)
        if code in (ErrorCode.DUPLICATE_CONNECTION, ErrorCode.SELF_CONNECTION):
            return
        self._dead.add(neighbour.key)
        if isinstance(reason, RemoteProtocolError) and reason.fault is Fault.PEER:
            self._log.info(
                "no link with {address}:{port}: {error}",
                address=neighbour.address,
                port=neighbour.port,
                error=str(reason),
            )

    def _survives(self, old: Link, new: Link) -> bool:
        """Which of two connections between the same peers stays: both sides choose the one
        that the smaller key dialled; of two that one side dialled, the newer, since nobody
        dials again while a connection lives."""
        smaller_is_me = self._me < old.key
        return old.dialled != new.dialled and old.dialled == smaller_is_me

    def _end(self, link: Link, reason: Exception | None) -> None:
        self._by_peer.pop(link.peer, None)
        if self._links.get(link.key) is link:
            del self._links[link.key]
        self._listener.link_closed(link, reason)


def _make_link(peer: PeerProtocol, neighbour: Neighbour | None) -> Link:
    hello = peer.session.remote
    if hello is None:
        raise AssertionError("an open session knows its neighbour")
    return Link(
        peer=peer,
        key=hello.key,
        dialled=neighbour is not None,
        seed=parse_grant(hello.grant).seed,
        address=peer.address,
        port=neighbour.port if neighbour is not None else hello.port,
    )
