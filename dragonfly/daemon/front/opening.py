"""A client's wish to be connected to somewhere, between its CONNECT and what becomes of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.ssl import CertificateOptions

from dragonfly.daemon.front.outflow import Outflow
from dragonfly.daemon.front.refusals import Refusal
from dragonfly.daemon.front.requestreader import RequestReader
from dragonfly.daemon.http.messages import RequestHead
from dragonfly.net.fanout import OneShot

__all__ = ["HANDSHAKE", "Opener", "Opening", "OpeningHost"]

HANDSHAKE = 0x16
"""The first byte of TLS: a handshake record."""

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class OpeningHost(Protocol):
    """The connection that the wish came on."""

    def refuse(self, refusal: Refusal) -> None:
        """Answer with that, and close."""

    def abort(self) -> None:
        """Cut it."""

    def hand_over(self, protocol: IProtocol) -> None:
        """Let another protocol speak from now on; it gets what was not read."""

    def secure(self, options: CertificateOptions, tunnel: str) -> None:
        """Speak TLS from now on, and HTTP inside."""


class Opening:
    """One CONNECT request that is being answered.

    :ivar established: whether the client was told that it is connected.
    :ivar gone: whether it hung up before that was of any use.
    """

    def __init__(
        self, head: RequestHead, *, reader: RequestReader, out: Outflow, host: OpeningHost
    ) -> None:
        self.head = head
        self.established = False
        self.gone = False
        self._reader = reader
        self._out = out
        self._host = host
        self._first: OneShot[int] = OneShot()
        self._on_gone: list[Callable[[], None]] = []

    # -- for who opens it -----------------------------------------------------------

    def on_gone(self, call: Callable[[], None]) -> None:
        """Call that, once, if the client is gone before it was handed over."""
        if self.gone:
            call()
        else:
            self._on_gone.append(call)

    def establish(self) -> None:
        """Tell the client that it is connected."""
        if not self.established and not self.gone:
            self.established = True
            self._out.write(_ESTABLISHED)

    def first_byte(self) -> Deferred[int]:
        """Fire with the first byte of what the client sends.

        Cancelling it stops the waiting only.
        """
        return self._first.wait()

    def refuse(self, refusal: Refusal) -> None:
        """Say that it cannot be; cut the connection if the client was told that it is."""
        if self.gone:
            return
        self._on_gone.clear()
        if self.established:
            self._host.abort()
        else:
            self._host.refuse(refusal)

    def hand_over(self, protocol: IProtocol) -> None:
        """Let *protocol* have the connection, with what has come since."""
        if not self.gone:
            self._on_gone.clear()
            self._host.hand_over(protocol)

    def secure(self, options: CertificateOptions, tunnel: str) -> None:
        """Be the server that the client wants to speak to, over TLS.

        :param tunnel: the ``host:port`` of that server.
        """
        if not self.gone:
            self._on_gone.clear()
            self._host.secure(options, tunnel)

    # -- for the connection -----------------------------------------------------------

    def begin(self, opener: Opener) -> None:
        """Have it opened, or refused."""
        self._reader.body()  # its end, which h11 wants to have said
        opener.open(self)
        self.look_ahead()

    def look_ahead(self) -> None:
        """Something may have come after the head."""
        if self._reader.held:
            self._first.fire(self._reader.ahead[0])

    def lost(self) -> None:
        """The client is gone."""
        self.gone = True
        calls, self._on_gone = self._on_gone, []
        for call in calls:
            call()


class Opener(Protocol):
    """Who answers CONNECT."""

    def open(self, opening: Opening) -> None:
        """Begin to; the opening is refused, handed over or secured in the end."""

    def unused(self, client: str, tunnel: str, why: str) -> None:
        """A client left that had not asked us anything, who are ``tunnel`` to it.

        :param why: why its TLS handshake failed; empty: it did not.
        """
