"""Connecting to a host by any name that a resolver takes.

Twisted's endpoint connects to the addresses of a name in turn ("happy eyeballs"), but refuses
names that IDNA does not know, such as ``my_registry``. It asks its reactor's resolver for them,
so it is given a name that it likes, and a resolver that knows which one is meant.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from dragonfly.errors import OriginUnreachable
from dragonfly.hostnames import is_host_name
from dragonfly.net.addresses import literal

__all__ = ["HostEndpoint", "WithResolver"]

_ANY_NAME = "host.invalid"


@implementer(IStreamClientEndpoint)
class HostEndpoint:
    """Connects to a host's addresses, several in turn.

    :param reactor: TCP, time and name resolution.
    :param host: a name in ASCII, or an address, IPv6 without brackets.
    :param timeout_s: for each address that is tried.
    """

    def __init__(self, reactor: Any, host: str, port: int, timeout_s: float) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._timeout_s = timeout_s

    def connect(
        self,
        protocolFactory: IProtocolFactory,  # noqa: N803
    ) -> Deferred[IProtocol]:
        """Connect; cancelling gives it up.

        :raises OriginUnreachable: no host can have that name; other errors are Twisted's.
        """
        if literal(self._host) is None and not is_host_name(self._host):
            # A resolver would not even answer: Python has no way to write it to DNS.
            return fail(OriginUnreachable("that is no name that a host can have"))
        meant = WithResolver(self._reactor, _Meant(self._host, self._reactor.nameResolver))
        endpoint = HostnameEndpoint(meant, _ANY_NAME, self._port, self._timeout_s)
        return endpoint.connect(protocolFactory)


@implementer(IHostnameResolver)
class _Meant:
    """Asks another resolver for one host, whatever it is asked for itself."""

    def __init__(self, host: str, inner: IHostnameResolver) -> None:
        self._host = host
        self._inner = inner

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: ARG002, N803
        *args: Any,
        **kwargs: Any,
    ) -> IHostResolution:
        return self._inner.resolveHostName(resolutionReceiver, self._host, *args, **kwargs)


@implementer(IReactorPluggableNameResolver)
class WithResolver:
    """A reactor in everything but its name resolver."""

    def __init__(self, reactor: Any, resolver: IHostnameResolver) -> None:
        self._reactor = reactor
        self.nameResolver = resolver

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """Use another one from now on."""
        before, self.nameResolver = self.nameResolver, resolver
        return before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
