"""Can a peer be reached at the address that it advertises? Somebody must try: we do.

An address is handed to others only after a connection to it succeeded, so that a peer
behind NAT costs nobody a timeout, and nobody is sent to a host that did not ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, DeferredSemaphore
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from dragonfly.net.addresses import is_loopback
from dragonfly.net.tasks import TaskSet
from dragonfly.store.newest import Newest

__all__ = ["DIALS_MAX", "DIAL_S", "REMEMBER_S", "DialBack", "usable_address"]

DIALS_MAX = 64
"""Attempts at once; ten thousand peers on a LAN are tried in a few seconds."""

DIAL_S = 3.0
"""A peer that does not answer a SYN for so long is of no use as a neighbour."""

REMEMBER_S = 60.0
"""How long an answer counts, for the same peer's other tasks and registrations."""

_REMEMBERED_MAX = 65536


def usable_address(advertised: str | None, source: str) -> str:
    """Where others may be sent to for a peer that called from ``source``.

    The advertised address, unless it is none that a host on the network could have;
    loopback only if the peer itself called over loopback.
    """
    if advertised is None:
        return source
    try:
        address = ip_address(advertised)
    except ValueError:
        return source
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return source
    if is_loopback(advertised) and not is_loopback(source):
        return source
    return str(address)


@attrs.frozen
class _Answer:
    until: float
    reachable: bool


class _Touch(Protocol):
    """Connected: that is all there was to find out."""

    def connectionMade(self) -> None:
        self.transport.abortConnection()  # type: ignore[union-attr]


class _TouchFactory(Factory):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: ARG002
        return _Touch()


class DialBack:
    """Tries addresses, a bounded number at a time.

    :param reactor: TCP and time.
    """

    def __init__(self, reactor: Any, tasks: TaskSet) -> None:
        self._reactor = reactor
        self._tasks = tasks
        self._turns = DeferredSemaphore(DIALS_MAX)
        self._known: Newest[tuple[str, int], _Answer] = Newest(_REMEMBERED_MAX)
        self._asking: dict[tuple[str, int], list[Callable[[bool], object]]] = {}

    def known(self, address: str, port: int) -> bool | None:
        """What a recent attempt found; ``None``: there was none."""
        answer = self._known.get((address, port))
        if answer is None or answer.until < self._reactor.seconds():
            return None
        return answer.reachable

    def ask(
        self, address: str, port: int, tell: Callable[[bool], object], *, fresh: bool = False
    ) -> None:
        """Try ``address``, and call ``tell`` with the result: now if it is known.

        :param fresh: there is reason to doubt what is known: try again.
        """
        found = None if fresh else self.known(address, port)
        if found is not None:
            tell(found)
            return
        waiting = self._asking.setdefault((address, port), [])
        waiting.append(tell)
        if len(waiting) == 1:
            self._tasks.spawn(self._dial(address, port), "dialling a peer back")

    async def _dial(self, address: str, port: int) -> None:
        reachable = False
        try:
            await self._turns.acquire()
            try:
                reachable = await self._connects(address, port)
            finally:
                self._turns.release()
        finally:
            waiting = self._asking.pop((address, port))
        self._remember(address, port, reachable)
        for tell in waiting:
            tell(reachable)

    async def _connects(self, address: str, port: int) -> bool:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        try:
            await kind(self._reactor, address, port, DIAL_S).connect(_TouchFactory())
        except CancelledError:
            raise
        except (ConnectError, OSError, ValueError):
            return False
        return True

    def _remember(self, address: str, port: int, reachable: bool) -> None:
        until = self._reactor.seconds() + REMEMBER_S
        self._known.put((address, port), _Answer(until, reachable))
