"""Listening ports that either work or end the process.

Twisted's StreamServerEndpointService logs a failed listen and carries on, so a
server whose port is taken would sit there without serving.  Here the socket is
bound in ``privilegedStartService``: that is before any service of the process
has started (no thread runs yet, nothing is half open), before ``twistd`` gives
up root, and after it became a daemon.  If it fails,
:class:`~dragonfly.errors.ListenError` is raised.  ``twistd`` catches what is an
``Exception``: it removes its pid file and, as a daemon, reports the text through
its status pipe to the command that was typed, which ends with exit code 1.
Then it raises again, and what is a ``SystemExit`` ends the process with the
text as one line and exit code 1 instead of a traceback.  The error is both.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from dragonfly.errors import ListenError
from dragonfly.net.fanout import OneShot

__all__ = ["BACKLOG", "BoundService", "bind"]

# Ten thousand peers register within a second or two; Twisted's 50 would send
# most of them into SYN retries.  The kernel caps this at net.core.somaxconn.
BACKLOG = 4096
# What socket() or bind() says where the kernel has IPv6 switched off.
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def bind(port: int, *, interface: str = "", backlog: int = BACKLOG) -> socket.socket:
    """Return a listening, non-blocking TCP socket.

    :param port: 0 lets the kernel choose.
    :param interface: an address; ``::`` for all of IPv6 and IPv4 in one socket, empty for the
        same, or all of IPv4 on a host without IPv6.
    :raises ListenError: in words for a user.
    """
    ipv6 = ":" in interface or not interface
    try:
        try:
            return _bound(socket.AF_INET6 if ipv6 else socket.AF_INET, interface, port, backlog)
        except OSError as exc:
            if interface or exc.errno not in _NO_IPV6:
                raise
            return _bound(socket.AF_INET, interface, port, backlog)
    except OSError as exc:
        raise ListenError(_explain(exc, port, interface)) from None


def _bound(family: int, interface: str, port: int, backlog: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # The system's default may be either.
            only = int(interface not in ("", "::"))
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        listening.setblocking(False)
        listening.bind((interface, port))
        listening.listen(backlog)
    except BaseException:
        listening.close()
        raise
    return listening


def _explain(exc: OSError, port: int, interface: str) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"port {port} is taken: another process listens there"
    if exc.errno == errno.EACCES:
        return f"port {port} may not be used by this user"
    reason = os.strerror(exc.errno).lower() if exc.errno else str(exc)
    where = f"{interface} port {port}" if interface else f"port {port}"
    return f"cannot listen on {where}: {reason}"


class BoundService(Service):
    """Listens on one TCP port while it runs.

    :param reactor: must be able to adopt sockets (every reactor on Linux can).
    :param port: 0 lets the kernel choose; see :attr:`port`.
    :param factory: gets the connections.
    :param interface: as for :func:`bind`.
    :param what: names it in the log.
    :param opened: a socket that is listened on already, instead of ``port``; it is closed
        when the reactor has a copy of its own, or the service is stopped.

    Starting raises :class:`~dragonfly.errors.ListenError` if the port cannot be
    had; see the module's text for what becomes of it.  Stopping fires when the
    port is closed and the factory has been told (``stopFactory``).  After that
    it may be started again.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        port: int,
        factory: IProtocolFactory,
        *,
        interface: str = "",
        backlog: int = BACKLOG,
        what: str = "listener",
        opened: socket.socket | None = None,
    ) -> None:
        self._reactor = reactor
        self._wanted = port
        self._factory = factory
        self._interface = interface
        self._backlog = backlog
        self._what = what
        self._opened = opened
        self._listening: IListeningPort | None = None
        self._number = 0
        self._ready: OneShot[int] = OneShot()

    @property
    def port(self) -> int:
        """The port's number, once it is bound; before that 0."""
        return self._number

    @property
    def descriptor(self) -> int | None:
        """The number of the descriptor that is listened on; ``None``: none."""
        listening: Any = self._listening
        return None if listening is None else int(listening.fileno())

    def duplicate(self) -> socket.socket | None:
        """The socket that is listened on, as another descriptor; ``None``: none."""
        number = self.descriptor
        return None if number is None else socket.socket(fileno=os.dup(number))

    @property
    def ready(self) -> Deferred[int]:
        """A new Deferred that fires with the port's number when it is bound, or fails."""
        return self._ready.wait()

    def privilegedStartService(self) -> None:
        """Bind and listen."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._listen()

    def startService(self) -> None:
        """Bind and listen, unless that was done with privileges."""
        self._listen()
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Stop listening; fires when the port is free again."""
        super().stopService()  # type: ignore[no-untyped-call]
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
        listening, self._listening = self._listening, None
        self._ready = OneShot()
        self._number = 0
        if listening is None:
            return maybeDeferred(lambda: None)
        return maybeDeferred(listening.stopListening).addCallback(lambda _: None)

    def _listen(self) -> None:
        if self._listening is not None:
            return
        try:
            sock = self._socket()
        except ListenError as exc:
            self._log.error("{what}: {error}", what=self._what, error=str(exc))
            self._ready.fail(exc)
            raise
        with sock:  # the reactor listens on a copy of the descriptor
            self._number = sock.getsockname()[1]
            self._listening = self._reactor.adoptStreamPort(
                sock.fileno(), sock.family, self._factory
            )
        self._ready.fire(self._number)

    def _socket(self) -> socket.socket:
        opened, self._opened = self._opened, None
        return opened or bind(self._wanted, interface=self._interface, backlog=self._backlog)
