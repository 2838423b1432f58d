"""Which connections through the proxy are opened, and whether they can be.

An engine tries TLS first on a registry that speaks plain HTTP, and goes on without when that
registry's own answer shows it. So before a client is answered in TLS, the registry is asked
whether it speaks that. A registry whose certificate is not believed does: the client's requests
are answered with 502 then, which gives the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

import attrs
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger

from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.tls.leaves import Leaves
from dragonfly.errors import OriginError, OriginTlsFailed, OriginUntrusted
from dragonfly.net.deadline import deadline
from dragonfly.store.newest import Newest

__all__ = ["KNOCK_S", "REMEMBER_S", "Interception", "Knocker"]

REMEMBER_S = 60.0
"""So long it counts what a registry spoke: a pull opens some ten connections within seconds."""

KNOCK_S = 5.0
"""To speak TLS: clients give up after ten, and the registry's own answer is still to come."""

_REMEMBERED = 256
_DAY_S = 24 * 3600.0

_log = Logger()


class Knocker(Protocol):
    """Connects to registries."""

    async def knock(self, registry: Registry) -> None:
        """Connect, and keep the connection for a request.

        :raises OriginUntrusted: it speaks TLS, and its certificate is not believed.
        :raises OriginTlsFailed: it answered, and there is no speaking TLS with it.
        :raises OriginError: it cannot be connected to.
        """


@attrs.frozen
class _Finding:
    speaks_tls: bool
    until: float


class Interception:
    """Opens connections to the hosts that ``hosts`` match.

    :param hosts: searched for in ``host:port``.
    :param clock: its seconds must be those since 1970.
    """

    def __init__(
        self,
        hosts: Iterable[re.Pattern[str]],
        *,
        leaves: Leaves,
        upstream: Knocker,
        clock: IReactorTime,
    ) -> None:
        self._hosts = tuple(hosts)
        self._leaves = leaves
        self._upstream = upstream
        self._clock = clock
        self._found: Newest[str, _Finding] = Newest(_REMEMBERED)
        self._said_at = 0.0

    def covers(self, registry: Registry) -> bool:
        """Whether connections to it are opened.

        Not when our authority has ended: clients would believe none of its certificates, and
        pulls fail that work without us.
        """
        return any(each.search(registry.place) for each in self._hosts) and self._is_valid()

    def known(self, registry: Registry) -> bool | None:
        """Whether it speaks TLS; ``None``: it was not asked lately."""
        found = self._found.get(registry.place)
        if found is None or self._clock.seconds() >= found.until:
            return None
        return found.speaks_tls

    async def speaks_tls(self, registry: Registry) -> bool:
        """Find out whether it speaks TLS. Cancelling gives it up."""
        known = self.known(registry)
        if known is not None:
            return known
        knocking = Deferred.fromCoroutine(self._upstream.knock(registry))
        try:
            await deadline(knocking, KNOCK_S, self._clock)
        except OriginUntrusted:
            pass
        except OriginTlsFailed:
            self._remember(registry, False)
            return False
        except (OriginError, defer.TimeoutError) as error:  # this may be over in a moment
            _log.warn("{registry} is not opened: {error}", registry=registry, error=str(error))
            return False
        self._remember(registry, True)
        return True

    def options(self, host: str) -> Deferred[CertificateOptions]:
        """Give what TLS is spoken with in the place of ``host``.

        Cancelling the Deferred stops the waiting only.
        """
        return self._leaves.options(host)

    def _remember(self, registry: Registry, speaks_tls: bool) -> None:
        until = self._clock.seconds() + REMEMBER_S
        self._found.put(registry.place, _Finding(speaks_tls, until))

    def _is_valid(self) -> bool:
        now = self._clock.seconds()
        if now < self._leaves.authority.until:
            return True
        if now - self._said_at >= _DAY_S:
            self._said_at = now
            _log.warn(
                "the certificate of hijack_https has ended: connections are passed through"
                " unopened; 'dfdaemon gen-ca' makes a new one, for dfdaemon and its clients"
            )
        return False
