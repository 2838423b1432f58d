"""Where to connect to for a registry, and whom to believe there."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI
from twisted.web.iweb import IPolicyForHTTPS

from dragonfly.daemon.routing.registry import Registry
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.endpoints import CheckedEndpoints
from dragonfly.net.proxies import Proxies
from dragonfly.net.trust import Trust
from dragonfly.store.newest import Newest

__all__ = ["Endpoints", "RegistryEndpoints"]

# Far more than anyone has.
_MOST = 64
_NOBODY = Trust(insecure=True)


class Endpoints(Protocol):
    """Knows the way to registries."""

    def endpoint(self, registry: Registry) -> IStreamClientEndpoint:
        """Where to connect to.

        :raises ConfigError: a file that its trust names cannot be used.
        :raises AddressRefused: its address is one that no proxy is asked for.
        """

    def plain(self, registry: Registry) -> IStreamClientEndpoint:
        """Where to connect to for any bytes, without TLS of ours.

        :raises AddressRefused: its address is one that no proxy is asked for.
        """


class RegistryEndpoints:
    """Endpoints that are made once for each registry.

    The registry may be on this machine: it is our operator who named it.

    :param reactor: TCP, time and name resolution.
    :param connect_s: seconds for each address that is tried.
    :param proxies: what registries are reached through; by default they are reached directly.
    """

    def __init__(self, reactor: Any, *, connect_s: float, proxies: Proxies | None = None) -> None:
        self._reactor = reactor
        self._proxies = proxies
        self._connect_s = connect_s
        self._made: Newest[Registry, IStreamClientEndpoint] = Newest(_MOST)
        # Apart by trust, not by registry: reading the system's authorities takes 5 ms and more.
        self._policies: Newest[Trust, IPolicyForHTTPS] = Newest(_MOST)

    def endpoint(self, registry: Registry) -> IStreamClientEndpoint:
        """Where to connect to.

        :raises ConfigError: a file that its trust names cannot be used.
        :raises AddressRefused: its address is one that no proxy is asked for.
        """
        made = self._made.get(registry)
        if made is None:
            made = self._make(registry)
            self._made.put(registry, made)
        return made

    def plain(self, registry: Registry) -> IStreamClientEndpoint:
        """Where to connect to for any bytes, without TLS of ours.

        :raises AddressRefused: its address is one that no proxy is asked for.
        """
        # Whom to believe is the client's business.
        return self._checked(registry, _NOBODY).tunnel(registry.host, registry.port)

    def _make(self, registry: Registry) -> IStreamClientEndpoint:
        checked = self._checked(registry, registry.trust)
        netloc, host = registry.netloc.encode("ascii"), registry.host.encode("ascii")
        scheme = registry.scheme.encode("ascii")
        uri = URI(scheme, netloc, host, registry.port, b"/", b"", b"", b"")
        return checked.endpointForURI(uri)

    def _checked(self, registry: Registry, trust: Trust) -> CheckedEndpoints:
        return CheckedEndpoints(
            self._reactor,
            policy=FetchPolicy(allow_loopback=registry.local),
            trust=self._policy(trust),
            timeout_s=self._connect_s,
            proxies=self._proxies,
        )

    def _policy(self, trust: Trust) -> IPolicyForHTTPS:
        policy = self._policies.get(trust)
        if policy is None:
            policy = trust.policy()
            self._policies.put(trust, policy)
        return policy
