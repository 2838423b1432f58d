"""What a connection of the front asks of the front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IProtocol
from twisted.internet.ssl import CertificateOptions

from dragonfly.daemon.front.opening import Opener
from dragonfly.daemon.front.refusals import Refusal

if TYPE_CHECKING:
    from dragonfly.daemon.front.connection import Connection

__all__ = ["ConnectionOwner"]


class ConnectionOwner(Protocol):
    """Who counts the connections, and knows what is done on them besides answering.

    :ivar draining: whether connections end with the answer that they are at.
    :ivar opener: answers CONNECT; ``None``: nobody.
    :ivar tls: what TLS is spoken with if a client begins with it; ``None``: that is refused.
    """

    @property
    def draining(self) -> bool:
        """See above."""

    @property
    def opener(self) -> Opener | None:
        """See above."""

    @property
    def tls(self) -> CertificateOptions | None:
        """See above."""

    def secured(self, options: CertificateOptions, tunnel: str) -> IProtocol:
        """Make what speaks TLS on a connection, and HTTP inside."""

    def connection_replaced(self, connection: Connection) -> None:
        """Another one begins on the same transport, and counts for it."""

    def connection_made(self, connection: Connection) -> Refusal | None:
        """One more; or why there may not be."""

    def connection_lost(self, connection: Connection) -> None:
        """It is gone."""
