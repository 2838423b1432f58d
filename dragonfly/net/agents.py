"""Which connection carries which request to an origin, and in which form a proxy is asked."""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse

from dragonfly.errors import OriginUnreachable
from dragonfly.net.drain import discard
from dragonfly.net.pool import quiet_pool
from dragonfly.net.proxies import Proxies, Proxy

__all__ = ["Agents", "Use"]

# Below the 60 s and more after which servers give an idle connection up.
IDLE_S = 30
_LOGIN_TO_PROXY = 407


class Use(Enum):
    """What a connection is used for.

    One is used again only for requests that tell nothing of who asks: some servers tie a
    login to the connection, and bytes sent beyond the end of one body would pass for the next
    answer.  So bodies that are checked have connections of their own: what passes for a body
    there must not pass for the answer to a probe.
    """

    PROBING = "probing"
    CHECKED = "checked"
    SINGLE = "single"


class Agents:
    """An agent for each use.

    :param endpoints: lead to the proxy where one is to be asked.
    :param idle: how many unused connections are kept for each origin and use.
    """

    def __init__(
        self,
        reactor: Any,
        endpoints: IAgentEndpointFactory,
        *,
        idle: int,
        proxies: Proxies | None = None,
    ) -> None:
        self._reactor = reactor
        self._proxies = proxies or Proxies()
        self._pools = {use: _pool(reactor, idle, lasting=use is not Use.SINGLE) for use in Use}
        self._agents = {
            use: _Agent.usingEndpointFactory(reactor, endpoints, pool)  # type: ignore[no-untyped-call]
            for use, pool in self._pools.items()
        }

    def request(self, use: Use, method: bytes, url: bytes, headers: Headers) -> Deferred[IResponse]:
        """Ask, with a body in none of the requests; cancelling closes the connection.

        :raises OriginUnreachable: the proxy wants a login.
        """
        uri = URI.fromBytes(url)
        proxy = None
        if uri.scheme == b"http":
            proxy = self._proxies.proxy_for("http", uri.host.decode("ascii"), uri.port)
        if proxy is None:
            asked: Deferred[IResponse] = self._agents[use].request(method, url, headers)
            return asked
        answered = self._agents[use].request_absolute(method, url, headers, proxy)
        admitted: Deferred[IResponse] = answered.addCallback(self._admitted, proxy)
        return admitted

    def _admitted(self, response: IResponse, proxy: Proxy) -> IResponse:
        if response.code == _LOGIN_TO_PROXY:
            discard(response, self._reactor)
            raise OriginUnreachable(f"proxy {proxy} answered {response.code}")
        return response

    def close(self) -> Deferred[None]:
        """Close the idle connections; fires when they are gone."""
        closing = [pool.closeCachedConnections() for pool in self._pools.values()]
        done: Deferred[None] = gatherResults(closing).addCallback(lambda _: None)
        return done


class _Agent(Agent):
    """One that can ask a proxy as well; connections are kept apart by origin even so."""

    def request_absolute(
        self, method: bytes, url: bytes, headers: Headers, proxy: Proxy
    ) -> Deferred[IResponse]:
        uri = URI.fromBytes(url)
        if proxy.authorization is not None:
            headers = headers.copy()
            headers.setRawHeaders("Proxy-Authorization", [proxy.authorization])
        key = (uri.scheme, uri.host, uri.port)
        endpoint = self._getEndpoint(uri)  # type: ignore[no-untyped-call]
        asked: Deferred[IResponse] = self._requestWithEndpoint(
            key, endpoint, method, uri, headers, None, url
        )
        return asked


def _pool(reactor: Any, idle: int, *, lasting: bool) -> HTTPConnectionPool:
    pool = quiet_pool(reactor, persistent=lasting)
    if lasting:
        pool.maxPersistentPerHost = idle
        pool.cachedConnectionTimeout = IDLE_S
    return pool
