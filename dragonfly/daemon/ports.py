"""The ports of a dfdaemon where HTTP is spoken: the mirror's, its TLS port, the status port."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from dragonfly.config import DaemonConfig
from dragonfly.net.listen import BoundService

__all__ = ["SOCKETS", "Ports"]

SOCKETS = ("dfdaemon", "dfdaemon-https", "dfdaemon-status", "dfdaemon-peer")
"""Names of the sockets that are listened on, as they are handed in from outside, and over to
the next process."""


class Ports:
    """Where a configuration says that it listens, or sockets that are listened on already.

    :param pieces: gives the piece port, which is the peer's, for the numbers of all.
    :param opened: sockets by their names in :data:`SOCKETS`.
    :ivar front: the port of the mirror.
    :ivar https: the port where it speaks TLS only; ``None`` without a certificate.
    :ivar status: the port of ``/metrics`` and ``/healthy``.
    """

    _log = Logger("dragonfly.daemon")

    def __init__(
        self,
        reactor: Any,
        config: DaemonConfig,
        clients: IProtocolFactory,
        site: IProtocolFactory,
        pieces: Callable[[], BoundService],
        *,
        tls: CertificateOptions | None,
        opened: Mapping[str, socket.socket],
    ) -> None:
        self._reactor = reactor
        self._pieces = pieces
        self._opened = opened
        host = config.host_ip
        front, https, status, _ = SOCKETS
        self.front = self._listener(front, config.port, clients, host, "mirror's port")
        self.https: BoundService | None = None
        if tls is not None:
            factory = TLSMemoryBIOFactory(tls, False, clients, reactor)
            self.https = self._listener(
                https, config.https_port, factory, host, "mirror's TLS port"
            )
        elif https in opened:
            self._log.warn("a socket for TLS is handed in, and there is no certificate")
            opened[https].close()
        self.status = self._listener(
            status, config.status_port, site, config.status_address, "status port"
        )

    def _listener(
        self, name: str, port: int, factory: IProtocolFactory, interface: str, what: str
    ) -> BoundService:
        opened = self._opened.get(name)
        return BoundService(
            self._reactor, port, factory, interface=interface, what=what, opened=opened
        )

    def __iter__(self) -> Iterator[BoundService]:
        yield self.front
        if self.https is not None:
            yield self.https
        yield self.status

    def mirror_numbers(self) -> set[int]:
        """The ports where the mirror is, to tell requests to ourselves."""
        return {port.port for port in (self.front, self.https) if port is not None}

    def numbers(self) -> dict[str, int]:
        """All ports by name, the piece port among them."""
        ports = {
            "front": self.front.port,
            "pieces": self._pieces().port,
            "status": self.status.port,
        }
        return ports if self.https is None else {**ports, "https": self.https.port}

    def sockets(self) -> dict[str, int]:
        """The descriptors that are listened on, by their names in :data:`SOCKETS`."""
        found = {}
        ports = (self.front, self.https, self.status, self._pieces())
        for name, port in zip(SOCKETS, ports, strict=True):
            if port is not None and port.descriptor is not None:
                found[name] = port.descriptor
        return found

    async def close_mirror(self) -> None:
        """Take no more requests."""
        await self.front.stopService()
        if self.https is not None:
            await self.https.stopService()
