"""What all downloads of one peer share, made once by the service."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from dragonfly.control.messages import Announced
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.disk import DiskPool
from dragonfly.net.origin import OriginClient
from dragonfly.net.origintrusts import TrustAt, WayTrusts, nothing_known
from dragonfly.net.proxies import Proxies
from dragonfly.net.readgroup import ReadGroup
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.net.trust import Trust
from dragonfly.peer.connections.links import Dialler
from dragonfly.peer.content.memory import Memory
from dragonfly.peer.tracker.supernodes import Supernodes
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.signatures import SigningKey
from dragonfly.store.piecestore import PieceStore

__all__ = ["Equipment", "Origins", "Runtime"]


@attrs.frozen(kw_only=True)
class Runtime:
    """What a role gets from whoever starts it: the reactor, randomness, a log, what origins are
    reached through, and what is known of how far single ones are trusted."""

    reactor: Any
    rng: random.Random = attrs.field(factory=random.Random)
    log: Logger = attrs.field(factory=lambda: Logger("dragonfly"))
    proxies: Proxies = attrs.field(factory=Proxies)
    trust_at: TrustAt = nothing_known


class Origins:
    """Clients for origins, one for each way to trust them.

    :param proxies: what origins are reached through.
    :param trust_at: what our operator says of places that an origin may redirect to.
    """

    def __init__(self, reactor: Any, proxies: Proxies, trust_at: TrustAt = nothing_known) -> None:
        self._reactor = reactor
        self._proxies = proxies
        self._trust_at = trust_at
        self._clients: dict[tuple[Trust, bool, bool], OriginClient] = {}

    def get(self, trust: Trust, loopback: bool = True, *, everywhere: bool = False) -> OriginClient:
        """The client that believes what ``trust`` says of the origin that is asked.

        :param loopback: whether this machine's own is allowed, as for users who fetch for
            themselves.
        :param everywhere: whether that is said of all that it redirects to as well, as by a
            user of one download.

        :raises ConfigError: a file that it names cannot be used.
        """
        key = trust, loopback, everywhere
        if key not in self._clients:
            self._clients[key] = OriginClient(
                self._reactor,
                policy=FetchPolicy(allow_loopback=loopback),
                trust=WayTrusts(trust, None if everywhere else self._trust_at),
                proxies=self._proxies,
            )
        return self._clients[key]

    def close(self) -> Deferred[None]:
        """Close idle connections; fires when they are gone."""
        closing = [client.close() for client in self._clients.values()]
        done: Deferred[None] = gatherResults(closing).addCallback(lambda _: None)
        return done


@attrs.frozen(kw_only=True)
class Equipment:
    """The peer's shared parts.

    :ivar announced: how this peer describes itself, with its real port.
    :ivar total: the rate limit of all downloads together.
    :ivar readers: reads from all neighbours.
    :ivar memory: small contents that are at hand.
    """

    reactor: Any
    rng: random.Random
    key: SigningKey
    disk: DiskPool
    store: PieceStore
    uploader: Uploader
    supernodes: Supernodes
    origins: Origins
    tasks: TaskSet
    dial: Dialler
    announced: Callable[[], Announced]
    total: Throttle
    readers: ReadGroup | None = None
    memory: Memory = attrs.field(factory=Memory)
